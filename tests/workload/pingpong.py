# SPDX-License-Identifier: Apache-2.0
"""pingpong.py SECONDS [pin]: on every CPU a process of two threads that hand each other an item through two queues, as fast
as they can. Prints what the threads know and the number of rounds."""
import json
import os
import queue
import sys

import truth


def ping(there, back, end, rounds):
    while truth.monotonic() < end:
        there.put(1)
        back.get()
        rounds[0] += 1
    there.put(None)


def pong(there, back):
    while there.get() is not None:
        back.put(1)


def play(end, cpu, execed):
    if cpu is not None:
        os.sched_setaffinity(0, {cpu})
    ledger = truth.Ledger("mixed" if cpu is None else "pinned", execed, company=True)
    there, back, rounds = queue.Queue(), queue.Queue(), [0]
    thread = ledger.start(ledger.main["kind"], pong, there, back)
    ping(there, back, end, rounds)
    thread.join()
    return ledger.facts(rounds=rounds[0])


def main():
    end = truth.monotonic() + float(sys.argv[1])
    pin = "pin" in sys.argv[2:]
    children, everything = [], []
    for cpu in sorted(os.sched_getaffinity(0)):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            with os.fdopen(writer, "w") as out:
                json.dump(play(end, cpu if pin else None, False), out)
            os._exit(0)
        os.close(writer)
        children.append((pid, reader))
    for pid, reader in children:
        with os.fdopen(reader) as source:
            everything.append(json.load(source))
        os.waitpid(pid, 0)
    truth.leave({"processes": everything})


main()
