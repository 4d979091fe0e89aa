# SPDX-License-Identifier: Apache-2.0
"""check_names.py NAME COMMAND…: runs names.py with the interpreter COMMAND; the stack that `dump` shows while it spins, and the
one that `wall --by stack` shows afterwards, must be sys._getframe()'s: names, files, lines, depth."""
import json
import os
import subprocess
import sys
import time

from client import ask, expect, finish, is_python, since

SECONDS = 2.0
name, command = sys.argv[1], sys.argv[2:]
script = os.environ["WORKLOAD"] + "/names.py"


def triple(frame):
    return [frame["function"], frame["file"], frame["line"]]


def spinning_dump(pid, leaf):
    """The first dump that has the thread at its leaf."""
    deadline = time.monotonic() + SECONDS * 0.8
    frames = []
    while time.monotonic() < deadline:
        document = json.loads(subprocess.run(
            [os.environ["PYPROFCTL"], "--socket", os.environ["PYPROFD_SOCKET"], "dump", "-p", str(pid), "--json"],
            capture_output=True, timeout=30).stdout.decode() or "{}")
        for thread in document.get("threads", []):
            frames = [triple(f) for f in thread["frames"] if is_python(f)]
            if thread["tid"] == pid and frames and frames[0][0] == leaf:
                return frames
        time.sleep(0.02)
    return frames


def compare(what, got, expected, fields):
    expect(len(got) == len(expected), "%s: %s has %d frames, sys._getframe() %d", name, what, len(got), len(expected))
    for mine, theirs in zip(got, expected):
        expect(mine[:fields] == theirs[:fields], "%s: %s: %s instead of %s", name, what, mine, theirs)


process = subprocess.Popen(command + [script, str(SECONDS)], stdout=subprocess.PIPE)
stack = json.loads(process.stdout.readline().decode())["stack"]
dumped = spinning_dump(process.pid, stack[0][0])
truth = json.loads(process.stdout.readline().decode())["processes"][0]
process.wait()
compare("dump", dumped, stack, 3)

select = ["wall", "-p", truth["pid"], "-n", 0, "-s", "cpu"] + since(truth)
rows = [row for row in ask(*select, "--by", "stack")["rows"]
        if row["key"]["stack"] and row["key"]["stack"][-1]["function"] == stack[0][0]]
samples = sum(row["samples"] for row in rows)
expect(samples >= 99 * SECONDS * 0.8, "%s: %d samples of the leaf in %.1f s", name, samples, SECONDS)
for row in rows:
    compare("wall --by stack", [triple(f) for f in reversed(row["key"]["stack"])], stack, 2)
lines = {(r["key"]["function"], r["key"]["file"], r["key"]["line"])
         for r in ask(*select, "--by", "line", "--sort", "own")["rows"] if r["wall_ns"] > 10**9}
expect({tuple(frame) for frame in stack} <= lines, "%s: wall --by line misses %s", name,
       sorted({tuple(frame) for frame in stack} - lines))
print("%-12s %-8s %d frames, %d samples of its leaf" % (name, truth["python"], len(stack), samples))
finish()
