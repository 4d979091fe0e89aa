# SPDX-License-Identifier: Apache-2.0
"""check_viewer.py MINE THEIRS: what uid 65534 gets to see, in every answer and total: THEIRS, which is its own, and not MINE."""
import json
import os
import subprocess
import sys

from client import expect, finish

mine, theirs = int(sys.argv[1]), int(sys.argv[2])
AS_NOBODY = ["setpriv", "--reuid=65534", "--clear-groups"]


def get(prefix, path):
    done = subprocess.run(prefix + ["curl", "-s", "-g", "--max-time", "10", "--unix-socket", os.environ["PYPROFD_SOCKET"],
                                    "http://localhost/v1/" + path], capture_output=True, check=True)
    return json.loads(done.stdout.decode())


for prefix, who, sees in (([], "root", {mine, theirs}), (AS_NOBODY, "nobody", {theirs})):
    processes = {p["pid"] for p in get(prefix, "processes")["processes"]}
    expect(processes & {mine, theirs} == sees, "%s: processes %s", who, processes)
    wall = get(prefix, "wall?by=process&n=0")
    pids = {row["key"]["pid"] for row in wall["rows"]}
    expect(pids & {mine, theirs} == sees, "%s: wall by process %s", who, pids)
    expect(wall["totals"]["wall_ns"] == sum(row["wall_ns"] for row in wall["rows"]), "%s: totals are of more than the rows", who)
    if who == "nobody":
        expect(processes == {theirs} == pids, "nobody sees %s and %s", processes, pids)
        foreign = get(prefix, "threads/%d" % mine)
        expect("error" in foreign, "nobody has threads of root's: %s", foreign)
        stacks = json.dumps(get(prefix, "wall?by=stack,process&n=0&pid=%d" % mine))
        expect('"pid":%d' % mine not in stacks.replace(" ", ""), "nobody has stacks of root's")
        exported = get(prefix, "export?format=json")
        expect(exported["totals"]["wall_ns"] <= wall["totals"]["wall_ns"] * 1.5 + 10**9, "export has more than its own")
        status = get(prefix, "status")
        expect(status["followed"]["processes"] <= 1, "status counts %s", status["followed"])
    print("%s: processes %s" % (who, sorted(processes & {mine, theirs})))
finish()
