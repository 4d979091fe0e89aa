# SPDX-License-Identifier: Apache-2.0
"""check_deep.py NAME TRUTH: deep.py's stacks are whole, or have at least 512 frames and say [truncated] at their root."""
import sys

from client import ask, expect, finish, is_python, load, since

name, truth = sys.argv[1], load(sys.argv[2])
process, depth = truth["processes"][0], truth["depth"]
answer = ask("wall", "-p", process["pid"], "-n", 0, "-s", "cpu", "--by", "stack", "-f", "^leaf$", *since(process))
samples, cut, shown = 0, 0, depth
for row in answer["rows"]:
    stack, n = row["key"]["stack"], row["samples"]
    frames = sum(map(is_python, stack))
    samples += n
    expect(stack[-1]["function"] == "leaf" and stack[-2]["function"] == "down", "%s: leaf end %s", name, stack[-2:])
    if stack[0]["function"] == "[truncated]":
        cut += n
        shown = min(shown, frames)
        expect(512 <= frames < depth, "%s: truncated at %d of %d frames", name, frames, depth)
    else:
        expect(frames == depth and stack[0]["function"] == "<module>", "%s: %d of %d frames, root %s", name, frames, depth,
               stack[0]["function"])
expect(samples >= 20, "%s: %d samples in half a second", name, samples)
expect(depth > 512 or cut == 0, "%s: %d frames are cut", name, depth)
expect(cut == 0 or answer["loss"]["truncated_stacks"] > 0, "%s: truncated stacks are not counted: %s", name, answer["loss"])
print("%-12s %-8s depth %d: %d samples, %s" % (name, process["python"], depth, samples,
                                              "%d of them [truncated] after %d" % (cut, shown) if cut else "all whole"))
finish()
