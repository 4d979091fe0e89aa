# SPDX-License-Identifier: Apache-2.0
"""check_idle.py FACTS: 64 parked threads and one slow handler: the handler comes first, the rest is idle; names."""
import json
import sys

from client import ask, ctl, expect, finish

with open(sys.argv[1]) as source:
    facts = json.loads(source.readline())
pid, tids = facts["pid"], facts["tids"]
rows = ask("wall", "-p", pid, "--by", "function")["rows"]
expect(rows and rows[0]["key"]["function"] == "fetch_slowly", "the first row is %s", rows[0]["key"] if rows else None)
text = ctl("wall", "-p", pid, "--by", "function")
print(next((line for line in text.splitlines() if "fetch_slowly" in line), "no row of fetch_slowly"))
hidden = ask("wall", "-p", pid, "--by", "thread")
expect(len(hidden["rows"]) <= 20, "20 rows were asked for")
every = ask("wall", "-p", pid, "--by", "thread", "-n", 0)
names = {row["key"]["tid"]: row["key"]["thread"] for row in every["rows"]}
expect(names == {tid: name for name, tid in tids.items()}, "names %s",
       sorted(set(names.items()) ^ {(tid, name) for name, tid in tids.items()})[:6])
expect(sorted(names.values()) == sorted(facts["names"]), "threading.enumerate() has other names")
slow = [row for row in every["rows"] if row["wall_ns"] and row["idle_ns"] < 0.5 * row["wall_ns"]]
totals = every["totals"]
expect(len(slow) == 1, "%d of %d threads are not idle: %s", len(slow), len(names), [r["key"]["thread"] for r in slow])
expect(totals["idle_ns"] > 0.97 * 65 / 66 * totals["wall_ns"], "idle %d of %d", totals["idle_ns"], totals["wall_ns"])
dump = ask("dump", "-p", pid)
expect({t["tid"]: t["name"] for t in dump["threads"]} == names, "dump has other names")
print("%d threads, idle %.1f s of %.1f s" % (len(names), totals["idle_ns"] / 1e9, totals["wall_ns"] / 1e9))
finish()
