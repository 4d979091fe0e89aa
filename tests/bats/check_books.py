# SPDX-License-Identifier: Apache-2.0
"""check_books.py TRUTH… [--lost|--dropped]: the books of every thread of the workloads whose facts the files hold.

Σ states = wall = row; wall within 0.5 % of the thread's own CLOCK_MONOTONIC readings; CPU within 0.5 % of
CLOCK_THREAD_CPUTIME_ID where it spins or is pinned, else cpu ≤ THREAD_CPUTIME ≤ cpu + woken run queue, ± 0.5 %.

In company the two clocks differ by design: a wake-up that preempts has __schedule() reuse the clock of the wake-up
(rq_clock_skip_update() in wakeup_preempt(), kernel/sched/core.c), so CLOCK_THREAD_CPUTIME_ID charges the time between
the wake-up and the switch to the woken thread, while the other one still runs; we book the switch. What moves between
CPU and run queue of a thread does not change their sum: there cpu + runq must be, within 0.5 % and 5 us a switch, the
kernel's sum_exec_runtime + run_delay (/proc/PID/task/TID/schedstat), and the deviation of CPU alone is printed. The 5 us:
what __schedule() does between its clock and its tracepoint, above all newidle balancing.

With --lost, records were thrown away: the books balance all the same and say so. With --dropped, others' records may have
been."""
import sys

from client import ask, expect, finish, load, since

TOLERANCE = 0.005
# What a thread does after its last reading: its own end; for a process's last thread also that of the address space.
EXIT_CPU_NS = {False: 300 * 1000, True: 10 * 1000 * 1000}
SCHEDULE_NS = 5000

lost = "--lost" in sys.argv
worst = {"wall": 0.0, "spin": 0.0, "pinned": 0.0, "spin in company": 0.0, "pinned in company": 0.0, "sum in company": 0.0}
seen = {"threads": 0, "lost records": 0, "dropped": 0}


def between(low, value, high):
    return low * (1 - TOLERANCE) <= value <= high * (1 + TOLERANCE)


def runq_woken(row):
    details = [d["ns"] for d in row["detail"] if d["state"] == "runq" and d["detail"] == "woken"]
    return sum(details) if details else 0


def check_company(what, row, truth):
    used, cpu = truth["cpu_end_ns"] - truth["cpu_begin_ns"], row["cpu_ns"]
    low = used + truth["delay_end_ns"] - truth["delay_begin_ns"]
    high = truth["cpu_end_ns"] + truth["delay_end_ns"] + EXIT_CPU_NS[truth["main"]]
    ours = cpu + row["total"].get("runq", 0)
    inside = SCHEDULE_NS * row["waits"]["count"]
    low, high = low - inside, high + inside
    expect(between(low, ours, high), "%s in company: cpu + runq %d, the kernel's %d to %d", what, ours, low, high)
    if not truth["main"]:
        worst["sum in company"] = max(worst["sum in company"], abs(ours - truth["cpu_end_ns"] - truth["delay_end_ns"]) / ours)
        kind = truth["kind"] + " in company"
        if kind in worst:
            worst[kind] = max(worst[kind], abs(cpu - truth["cpu_end_ns"]) / cpu)


def check_cpu(what, row, truth):
    used = truth["cpu_end_ns"] - truth["cpu_begin_ns"]
    ceiling = truth["cpu_end_ns"] + EXIT_CPU_NS[truth["main"]]
    cpu, woken = row["cpu_ns"], runq_woken(row)
    if truth["kind"] in ("spin", "pinned"):
        expect(between(used, cpu, ceiling), "%s %s: cpu %d, its own clock %d to %d (woken %d)", what, truth["kind"], cpu,
               used, ceiling, woken)
        worst[truth["kind"]] = max(worst[truth["kind"]], abs(cpu - truth["cpu_end_ns"]) / cpu if not truth["main"] else 0)
    else:
        expect(cpu <= ceiling * (1 + TOLERANCE) and used <= (cpu + woken) * (1 + TOLERANCE),
               "%s: cpu %d, woken %d, its own clock %d to %d", what, cpu, woken, used, ceiling)


def check_thread(process, row, truth):
    what = "%d/%d %s" % (process["pid"], truth["tid"], truth["name"])
    states = sum(row["total"].values())
    expect(states == row["wall_ns"], "%s: states are %d, wall is %d", what, states, row["wall_ns"])
    seen["lost records"] += sum(d["ns"] for d in row["detail"] if d["detail"] == "lost records")
    wall = truth["end_ns"] - truth["begin_ns"]
    # a main thread that was exec'd began before it could read a clock; one clock tick is how well that is known
    longest = truth["end_ns"] - (truth["born_ns"] - 10**7 if truth["execed"] else truth["begin_ns"])
    expect(between(wall, row["wall_ns"], longest), "%s: wall %d, its own clock %d to %d", what, row["wall_ns"], wall, longest)
    if not truth["execed"]:
        worst["wall"] = max(worst["wall"], abs(row["wall_ns"] - wall) / wall)
    if lost:
        return
    if process.get("company"):
        check_company(what, row, truth)
    if not process.get("company") or truth["kind"] == "mixed":
        check_cpu(what, row, truth)


def check_process(process):
    select = ["wall", "-p", process["pid"], "-n", 0] + since(process)
    answer = ask(*select, "--by", "thread")
    rows = {row["key"]["tid"]: row for row in answer["rows"]}
    expect(len(rows) == len(answer["rows"]), "%d: a thread has several rows", process["pid"])
    expect(set(rows) == {t["tid"] for t in process["threads"]}, "%d: threads %s instead of %s", process["pid"], sorted(rows),
           sorted(t["tid"] for t in process["threads"]))
    for truth in process["threads"]:
        if truth["tid"] in rows:
            seen["threads"] += 1
            check_thread(process, rows[truth["tid"]], truth)
    totals = answer["totals"]
    expect(totals["wall_ns"] == sum(row["wall_ns"] for row in answer["rows"]) == sum(totals["states"].values()),
           "%d: totals do not add up: %s", process["pid"], totals)
    for by in ("process", "function", "line", "stack", "state"):
        other = ask(*select, "--by", by, "--idle", "show")
        part = "own" if "own" in other["rows"][0] else "total"
        total = sum(sum(row[part].values()) for row in other["rows"])
        expect(total == totals["wall_ns"], "%d: wall by %s is %d, by thread %d", process["pid"], by, total, totals["wall_ns"])
    seen["dropped"] = max(seen["dropped"], answer["loss"]["dropped_events"])


for path in [a for a in sys.argv[1:] if not a.startswith("--")]:
    for one in load(path)["processes"]:
        check_process(one)
if lost:
    expect(seen["lost records"] > 0, "records were thrown away, but no thread's books say `lost records`")
elif "--dropped" not in sys.argv:
    expect(seen["dropped"] == 0, "%d dropped events", seen["dropped"])
    expect(seen["lost records"] == 0, "%d ns of lost records though nothing was dropped", seen["lost records"])
print("%d threads; worst deviation: %s; %d dropped events, lost records %.3f s" % (
    seen["threads"], ", ".join("%s %.3f %%" % (k, 100 * v) for k, v in worst.items() if v), seen["dropped"],
    seen["lost records"] / 1e9))
finish()
