# SPDX-License-Identifier: Apache-2.0
"""check_forks.py TRUTH: children that were forked in the middle of a stack have that stack, their own functions, and their own
time from the fork on."""
import sys

from client import ask, expect, finish, instant, load

truth = load(sys.argv[1])
parent = truth["processes"][0]
for child in truth["children"]:
    select = ["wall", "-p", child["pid"], "-n", 0, "-s", "cpu", "--since",
              instant(child["begin_ns"] - 10**9, parent["realtime_offset_ns"])]
    rows = ask(*select, "--by", "stack")["rows"]
    samples = 0
    for row in rows:
        names = [f["function"] for f in row["key"]["stack"]]
        if child["stack"][1] in names:
            samples += row["samples"]
            expect(names[0] == "<module>" and "main" in names and child["stack"][0] in names, "%d: %s", child["pid"], names)
    expected = 99 * sum(child["functions"].values()) / 1e9
    print("%d %s: %d samples, %.1f expected" % (child["pid"], child["stack"][1], samples, expected))
    expect(abs(samples - expected) <= 5 * expected ** 0.5 + 1, "%d: %d samples, %.1f expected", child["pid"], samples, expected)
finish()
