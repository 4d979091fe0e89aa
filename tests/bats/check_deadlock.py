# SPDX-License-Identifier: Apache-2.0
"""check_deadlock.py NAME FACTS FAULTHANDLER: `dump` of a deadlocked process against what faulthandler wrote before the daemon was
started, thread names against threading.enumerate()'s, and `wall` that grows by a second a second for each thread."""
import json
import re
import sys
import time

from client import ask, expect, finish, is_python

name = sys.argv[1]
with open(sys.argv[2]) as source:
    facts = json.loads(source.readline())
pid = facts["pid"]
tids = {ident: tid for tid, ident in facts["threads"].values()}


def faulthandler(path):
    """tid: [(file, line, name)], leaf first."""
    stacks, frames = {}, None
    with open(path, errors="backslashreplace") as source:
        for line in source:
            head = re.match(r"(?:Current thread|Thread) 0x([0-9a-f]+)", line)
            frame = re.match(r'  File "(.*)", line (\d+) in (.*)$', line)
            if head:
                frames = stacks.setdefault(tids[int(head.group(1), 16)], [])
            elif frame:
                frames.append((frame.group(1), int(frame.group(2)), frame.group(3)))
    return stacks


expected = faulthandler(sys.argv[3])
expect(len(expected) == 3, "%s: faulthandler wrote %d threads", name, len(expected))
dump = ask("dump", "-p", pid)
expect({t["tid"] for t in dump["threads"]} == set(expected), "%s: dump has threads %s", name, [t["tid"] for t in dump["threads"]])
for thread in dump["threads"]:
    got = [(f["file"], f["line"], f["function"]) for f in thread["frames"] if is_python(f)]
    want = expected.get(thread["tid"], [])
    # faulthandler has no qualified names before 3.14
    same = len(got) == len(want) and all(g[:2] == w[:2] and (g[2] == w[2] or g[2].endswith("." + w[2]))
                                         for g, w in zip(got, want))
    expect(same, "%s: thread %d: dump %s, faulthandler %s", name, thread["tid"], got, want)
    expect(not thread["gil"], "%s: a deadlocked thread has the GIL", name)
    known = {tid: title for title, (tid, _) in facts["threads"].items()}
    expect(thread["name"] == known[thread["tid"]], "%s: thread %d is called %r instead of %r", name, thread["tid"],
           thread["name"], known[thread["tid"]])
expect({t["name"] for t in dump["threads"]} == set(facts["names"]), "%s: names", name)


def wall():
    answer = ask("wall", "-p", pid, "-n", 0, "--by", "line")
    leaves = {(frames[0][0], frames[0][1]): 0 for frames in expected.values() if frames}
    for row in answer["rows"]:
        key = row["key"]["file"], row["key"]["line"]
        if key in leaves:
            leaves[key] += sum(row["own"].values())
    return answer["until"], answer["totals"]["wall_ns"], leaves, answer["totals"]["idle_ns"]


first, then = wall(), None
time.sleep(2)
then = wall()
passed = then[0] - first[0]
# windows are a second wide: `until` is what the answer says it is
expect(abs(then[1] - first[1] - 3 * passed) <= 0.01 * 3 * passed, "%s: wall grew by %d in %d", name, then[1] - first[1], passed)
for leaf, ns in then[2].items():
    expect(abs(ns - first[2][leaf] - passed) <= 0.01 * passed, "%s: %s grew by %d in %d", name, leaf, ns - first[2][leaf], passed)
expect(then[3] == 0, "%s: %d ns of a deadlock are called idle", name, then[3])
print("%-12s %s; wall grew %.2f s in %.2f s" % (name, ", ".join("%s: %s" % (t["name"], "/".join(
    "%s:%d" % (f["function"], f["line"]) for f in t["frames"][:1])) for t in dump["threads"]),
    (then[1] - first[1]) / 1e9, passed / 1e9))
finish()
