# SPDX-License-Identifier: Apache-2.0
"""check_functions.py NAME TRUTH: the samples of the functions that TRUTH names against the CPU time each used: a Poisson test by
function (p > 10⁻⁶), and every such stack must reach its outermost frame, named in `roots`."""
import sys

from client import ROOT_FUNCTIONS, ask, expect, finish, gamma_upper, load, since

name, truth = sys.argv[1], load(sys.argv[2])
process = truth["processes"][0]
roots = ROOT_FUNCTIONS | set(truth.get("roots", []))


def poisson_tail(count, mean):
    """The smaller of P(X ≤ count) and P(X ≥ count)."""
    at_most = gamma_upper(count + 1, mean)
    at_least = 1 - gamma_upper(count, mean) if count else 1.0
    return min(at_most, at_least) if mean > 0 else 1.0


counts = {function: 0 for function in truth["functions"]}
for row in ask("wall", "-p", process["pid"], "-n", 0, "-s", "cpu", "--by", "stack", *since(process))["rows"]:
    stack = row["key"]["stack"]
    leaf = stack[-1]["function"] if stack else ""
    if leaf in counts:
        counts[leaf] += row["samples"]
        expect(stack[0]["function"] in roots, "%s: the stack of %s begins with %s", name, leaf, stack[0])
for function, used in sorted(truth["functions"].items()):
    mean = 99 * used / 1e9
    # a perf clock of fixed frequency varies less than Poisson
    expect(poisson_tail(counts[function], mean) > 1e-6, "%s: %s has %d samples, %.1f are expected", name, function,
           counts[function], mean)
print("%-14s %-8s %s" % (name, process["python"], ", ".join(
    "%s %d (%.1f)" % (f, counts[f], 99 * truth["functions"][f] / 1e9) for f in sorted(counts))))
finish()
