# SPDX-License-Identifier: Apache-2.0
"""check_short.py FILE SINCE: all of the short-lived processes that FILE lists are there, with names and lines."""
import sys

from client import ask, expect, finish

MARKS = ("[no Python frame]",)  # before the first frame and after the last: nothing has a name there

with open(sys.argv[1]) as source:
    used = dict(map(int, line.split()) for line in source)
select = ["wall", "-n", 0, "--since", sys.argv[2], "-C", "short.py"]
there = {row["key"]["pid"] for row in ask(*select, "--by", "process")["rows"]}
expect(len(used) == 200, "%d processes ran", len(used))
expect(set(used) <= there, "%d of %d processes are missing: %s", len(set(used) - there), len(used), sorted(set(used) - there))

named = unnamed = outside = spins = 0
bad = {}
for row in ask(*select, "-s", "cpu", "--by", "stack")["rows"]:
    stack, n = row["key"]["stack"], row["samples"]
    if not stack or stack[-1]["function"] in MARKS:
        outside += n
    elif all(f["function"] and not f["function"].startswith("[") and f["file"] and f["line"] > 0 for f in stack):
        named += n
        spins += n if stack[-1]["function"] == "short_spin" else 0
    else:
        unnamed += n
        bad[stack[-1]["function"]] = bad.get(stack[-1]["function"], 0) + n
expected = 99 * sum(used.values()) / 1e9
print("%d of %d processes; %d samples with names and lines, %d without %s, %d outside any Python frame; "
      "short_spin %d, %.1f expected" % (len(set(used) & there), len(used), named, unnamed, bad, outside, spins, expected))
expect(unnamed <= 0.01 * (named + unnamed), "%d of %d samples have no names and lines: %s", unnamed, named + unnamed, bad)
# a named sample cannot hide among those that lie outside: what the processes say they spun must be there
expect(spins >= expected - 5 * expected ** 0.5, "%d samples of short_spin, %.1f expected", spins, expected)
expect(outside <= 0.25 * (named + unnamed), "%d samples lie outside any Python frame, %d inside", outside, named)
finish()
