# SPDX-License-Identifier: Apache-2.0
"""check_governor.py: cost, setting and what the kernel says itself, while the ping-pong runs on every CPU. The cost must be below
the budget from ten seconds on; the kernel's own figures must agree with it."""
import json
import os
import subprocess
import sys
import time

from client import ask, expect, finish

pid = int(os.environ["DAEMON_PID"])


def daemon_cpu():
    with open("/proc/%d/stat" % pid) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def bpf_time(programs):
    """Seconds that the daemon's programs have run, by the kernel's statistics; {id: s}."""
    listed = json.loads(subprocess.run(["bpftool", "-j", "prog", "list"], capture_output=True, check=True).stdout.decode())
    return {p["id"]: p.get("run_time_ns", 0) / 1e9 for p in listed if p["id"] in programs}


def own_programs():
    """Ids of the programs that the daemon has open."""
    found = set()
    for name in os.listdir("/proc/%d/fdinfo" % pid):
        with open("/proc/%d/fdinfo/%s" % (pid, name)) as info:
            found |= {int(line.split()[1]) for line in info if line.startswith("prog_id:")}
    return found


begin = time.monotonic()
programs = own_programs()
expect(programs, "the daemon has no program open")
history = []
while time.monotonic() < begin + 10:
    budget = ask("status")["budget"]
    history.append("%.1f s: %.2f (%s)" % (time.monotonic() - begin, budget["cost"], budget["setting"]))
    time.sleep(1)
before, cpu_before, at = bpf_time(programs), daemon_cpu(), time.monotonic()
over = []
while time.monotonic() < at + 10:
    budget = ask("status")["budget"]
    history.append("%.1f s: %.2f (%s)" % (time.monotonic() - begin, budget["cost"], budget["setting"]))
    if budget["cost"] >= budget["limit"]:
        over.append(budget["cost"])
    time.sleep(1)
after, passed = bpf_time(programs), time.monotonic() - at
bpf = sum(after[i] - before[i] for i in before if i in after)
cpu = daemon_cpu() - cpu_before
capacity = 100 * (bpf + cpu) / (passed * os.cpu_count())
print("\n".join(history))
print("the kernel's own figures over %.1f s: BPF %.3f s, daemon %.3f s: %.2f %% of %d CPUs, limit %.2f %%"
      % (passed, bpf, cpu, capacity, os.cpu_count(), budget["limit"]))
expect(not over, "the cost was %s, the limit is %s", over, budget["limit"])
# /proc has clock ticks of 10 ms, two readings: 0.02 s of the ten
expect(capacity <= budget["limit"] + 100 * 0.02 / (passed * os.cpu_count()), "by the kernel's figures the cost is %.2f %%", capacity)
expect(budget["setting"] and budget["setting"] != sys.argv[1], "status says %r, as it did at rest", budget["setting"])
finish()
