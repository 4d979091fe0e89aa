# SPDX-License-Identifier: Apache-2.0
"""check_reuse.py NAME TRUTH: functions that follow each other at the same address keep their own names, files and shares."""
import sys

from client import ask, chi_squared, expect, finish, load, since

name, truth = sys.argv[1], load(sys.argv[2])
process = truth["processes"][0]
shares = dict(truth["functions"], rest=truth["rest_ns"])
observed = {}
for row in ask("wall", "-p", process["pid"], "-n", 0, "-s", "cpu", "--by", "stack", *since(process))["rows"]:
    stack = row["key"]["stack"]
    if "drive" in [frame["function"] for frame in stack]:
        leaf = stack[-1]["function"]
        observed[leaf if leaf in shares else "rest"] = observed.get(leaf if leaf in shares else "rest", 0) + row["samples"]
        if leaf.startswith("fleeting_"):
            index = int(leaf[-2:])
            expect(stack[-1]["file"] == "/tmp/fleeting_%d.py" % index and index < stack[-1]["line"] <= index + 6,
                   "%s: %s has file %s, line %d", name, leaf, stack[-1]["file"], stack[-1]["line"])
statistic, freedom, p = chi_squared(observed, shares)
expect(truth["reused"] > 20, "%s: only %d addresses were reused", name, truth["reused"])
expect(p > 1e-6, "%s: p = %g: %s", name, p, observed)
expect(sum(observed.values()) > 99 * sum(shares.values()) / 1e9 * 0.9, "%s: %d samples", name, sum(observed.values()))
print("%-12s %-8s %d addresses reused, %d samples, p = %.3g" % (name, process["python"], truth["reused"],
                                                                sum(observed.values()), p))
finish()
