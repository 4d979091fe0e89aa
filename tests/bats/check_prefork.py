# SPDX-License-Identifier: Apache-2.0
"""check_prefork.py FOLDER MASTER OFFSET: the workers of a prefork server, by what each wrote of itself into FOLDER."""
import json
import os
import sys

from client import ask, chi_squared, expect, finish, instant

folder, master, offset = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
HANDLERS = ("render_page", "render_api")


def requests_begin(worker):
    """Samples of the handlers in the two seconds from the first request on."""
    first = worker["first_ns"]
    rows = ask("wall", "-p", worker["pid"], "-n", 0, "-s", "cpu", "--by", "function", "--since", instant(first, offset), "--until",
               instant(first + 10**9, offset))["rows"]
    return sum(row["samples"] for row in rows if row["key"]["function"] in HANDLERS)


workers = [json.load(open(os.path.join(folder, name))) for name in sorted(os.listdir(folder)) if name.isdigit()]
expect(len(workers) == 4, "%d workers wrote of themselves", len(workers))
known = {p["pid"]: p for p in ask("ps")["processes"]}
for worker in workers:
    pid = worker["pid"]
    if not expect(pid in known and known[pid]["profiled"] and known[pid]["ppid"] == master, "%d: ps has %s", pid, known.get(pid)):
        continue
    began = known[pid]["started"]
    expect(began <= worker["first_ns"] + offset, "%d: started %d after its first request", pid, began)
    select = ["wall", "-p", pid, "-n", 0, "--since", instant(began - 10**9, 0)]
    process = ask(*select, "--by", "process")
    row = process["rows"][0]
    life = process["until"] - began
    expect(abs(row["wall_ns"] - life) <= 0.005 * life + 2 * 10**7, "%d: wall %d, alive for %d", pid, row["wall_ns"], life)
    rows = {}
    for one in ask(*select, "-s", "cpu", "--by", "stack")["rows"]:
        stack = one["key"]["stack"]
        leaf = stack[-1]["function"] if stack else ""
        if leaf in HANDLERS:
            rows[leaf] = rows.get(leaf, 0) + one["samples"]
            expect("application" in [f["function"] for f in stack] and stack[0]["function"] == "<module>",
                   "%d: %s is called by %s from %s", pid, leaf, stack[-2], stack[0])
    _, _, p = chi_squared(rows or {"none": 0}, {h: worker[h] for h in HANDLERS})
    spent = 99 * sum(worker[h] for h in HANDLERS) / 1e9
    first = requests_begin(worker)
    print("worker %d: %d requests; samples %s, %.0f expected, p = %.3g; in its first second %d"
          % (pid, worker["requests"], rows, spent, p, first))
    expect(p > 1e-6, "%d: p = %g", pid, p)
    expect(abs(sum(rows.values()) - spent) < 5 * spent ** 0.5 + 0.03 * spent, "%d: %s, %.1f expected", pid, rows, spent)
    expect(first > 0, "%d: no handler in its first second", pid)
finish()
