# SPDX-License-Identifier: Apache-2.0
"""check_shares.py TRUTH…: the samples of each workload of shares.py against the CPU time it measured itself: one χ² test over
(leaf, functions on the stack), which holds own and total at once; then rows by function must be the sum of their stacks."""
import sys

from client import ask, chi_squared, expect, finish, is_python, load, since


def display(rows, truth):
    own = {}
    for (leaf, _), n in rows.items():
        own[leaf] = own.get(leaf, 0) + n
    shares = {}
    for leaf, _, ns in truth["categories"]:
        shares[leaf] = shares.get(leaf, 0) + ns
    total = sum(shares.values()) + truth["rest_ns"]
    if len(shares) <= 8:
        for leaf in sorted(shares):
            print("    %-60s own %5.1f %%, itself says %5.1f %%" % (leaf, 100 * own.get(leaf, 0) / sum(rows.values()),
                                                                100 * shares[leaf] / total))


def category(stack, known):
    """(leaf, functions from drive() on) if the stack is the workload's."""
    names = [frame["function"] for frame in stack if is_python(frame) and frame["file"] == known["file"]]
    if "drive" not in names:
        return None
    names = names[names.index("drive"):]
    leaf = stack[-1]["function"] if stack[-1]["file"] == known["file"] else "elsewhere"
    key = (leaf, tuple(sorted(set(names))))
    return key if key in known["keys"] else ("rest", ())


def check_functions(select, stacks):
    """A function's own is that of the stacks it is the leaf of; its total that of the stacks that contain it, once each."""
    own, total = {}, {}
    for row in stacks["rows"]:
        frames = [(f["function"], f["file"]) for f in row["key"]["stack"]]
        for key in set(frames):
            total[key] = total.get(key, 0) + row["wall_ns"]
        own[frames[-1]] = own.get(frames[-1], 0) + row["wall_ns"]
    rows = {}
    for row in ask(*select, "--by", "function")["rows"]:
        key = row["key"]["function"], row["key"]["file"]
        sums = rows.setdefault(key, [0, 0])
        sums[0] += sum(row["own"].values())
        sums[1] += sum(row["total"].values())
    for key in total:
        if key[0] != "<module>" and not key[0].startswith("<"):
            expect(rows.get(key) == [own.get(key, 0), total[key]], "%s: own and total %s, by its stacks %d and %d", key[0],
                   rows.get(key), own.get(key, 0), total[key])


def check(path):
    truth = load(path)
    process = truth["processes"][0]
    select = ["wall", "-p", process["pid"], "-n", 0, "-s", "cpu", "--idle", "show"] + since(process)
    stacks = ask(*select, "--by", "stack")
    shares = {(leaf, tuple(names)): ns for leaf, names, ns in truth["categories"]}
    known = {"file": truth["file"], "keys": set(shares)}
    shares[("rest", ())] = truth["rest_ns"]
    observed = {}
    for row in stacks["rows"]:
        key = category(row["key"]["stack"], known) if row["key"]["stack"] else None
        if key:
            observed[key] = observed.get(key, 0) + row["samples"]
    cpu = sum(shares.values()) / 1e9
    samples = sum(observed.values())
    statistic, freedom, p = chi_squared(observed, shares)
    print("%s: %d samples in %.2f s of CPU, chi-squared %.1f with %d degrees of freedom, p = %.3g"
          % (truth["workload"], samples, cpu, statistic, freedom, p))
    display(observed, truth)
    expect(p > 1e-6, "%s: p = %g: %s", truth["workload"], p, sorted(observed.items(), key=lambda kv: -kv[1])[:12])
    # the clock that ticks 99 times a second of CPU time: Poisson, at most
    expect(abs(samples - 99 * cpu) < 5 * (99 * cpu) ** 0.5 + 2, "%s: %d samples in %.2f s at 99 Hz", truth["workload"],
           samples, cpu)
    check_functions(select, stacks)


for name in sys.argv[1:]:
    check(name)
finish()
