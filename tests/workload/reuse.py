# SPDX-License-Identifier: Apache-2.0
"""reuse.py SECONDS: functions that are compiled, run for some milliseconds and freed, so that the next one's code lies at the
same address. Prints what each of the 20 names used and how often an address came back under another name."""
import random
import sys

import truth
from truth import clock

SOURCE = """{lines}
def {name}(seconds):
    begin = clock()
    while clock() < begin + seconds:
        pass
    return clock() - begin
used = {name}(seconds)
address = id({name}.__code__)
"""


def drive(seconds):
    used, owner, reused = {}, {}, 0
    end = clock() + seconds
    while clock() < end:
        index = random.randrange(20)
        name = "fleeting_%02d" % index
        space = {"clock": clock, "seconds": 0.002 * random.uniform(0.2, 1.8) * (1 + index % 4)}
        exec(compile(SOURCE.format(name=name, lines="\n" * index), "/tmp/fleeting_%d.py" % index, "exec"), space)
        used[name] = used.get(name, 0) + space["used"]
        reused += owner.get(space["address"], name) != name
        owner[space["address"]] = name
    return used, reused


def main():
    ledger = truth.Ledger("spin")
    begin = clock()
    used, reused = drive(float(sys.argv[1]))
    total = clock() - begin
    truth.leave({"processes": [ledger.facts()], "reused": reused, "file": __file__,
                 "functions": {name: truth.ns(seconds) for name, seconds in used.items()},
                 "rest_ns": truth.ns(total - sum(used.values()))})


main()
