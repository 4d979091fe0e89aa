# SPDX-License-Identifier: Apache-2.0
"""check_complete.py TRUTH…: of all samples of these workloads at least 99.9 % reach the thread's outermost frame."""
import sys

from client import ROOT_FUNCTIONS, ask, expect, finish, load, since

# What C code of the interpreter calls with nothing below it: at its start and its end, and when a fork comes back.
CALLED_BY_C = {"<frozen importlib._bootstrap>", "<frozen importlib._bootstrap_external>", "<frozen zipimport>"}
CALLED_AT_END = {"_shutdown", "_exit_function", "_python_exit", "_cleanup", "_after_fork", "_afterfork"}

reached = short = outside = 0
roots = {}
for path in sys.argv[1:]:
    truth = load(path)
    for process in truth["processes"]:
        answer = ask("wall", "-p", process["pid"], "-n", 0, "--by", "stack", "--idle", "show", *since(process))
        allowed = ROOT_FUNCTIONS | CALLED_AT_END | set(truth.get("roots", []))
        for row in answer["rows"]:
            stack, n = row["key"]["stack"], row["samples"]
            if not stack or stack[0]["function"] in ("[no Python frame]", "[unsampled]"):
                outside += n
            elif stack[0]["function"] in allowed or stack[0]["file"] in CALLED_BY_C:
                reached += n
            else:
                short += n
                roots[stack[0]["function"]] = roots.get(stack[0]["function"], 0) + n
total = reached + short
print("%d of %d samples reach the outermost frame (%.4f %%), %d more lie outside any frame; others begin with %s"
      % (reached, total, 100 * reached / max(total, 1), outside, roots))
expect(total > 2000, "only %d samples", total)
expect(reached >= 0.999 * total, "%d of %d samples do not reach the outermost frame: %s", short, total, roots)
expect(outside <= 0.02 * total, "%d of %d samples lie outside any frame", outside, total)
loss = answer["loss"]
print("loss: %s" % loss)
for field in ("truncated_stacks", "incomplete_stacks", "unresolved_frames"):
    expect(isinstance(loss[field], int), "loss has no %s", field)
finish()
