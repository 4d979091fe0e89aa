# SPDX-License-Identifier: Apache-2.0
"""books.py SECONDS [PROCESSES]: 8 processes of 5 threads each that spin, sleep, contend for a lock and pass work through
a queue. Every thread reads its own clocks first and last. The last two processes are pinned to one CPU each."""
import json
import os
import queue
import random
import sys
import threading
import time

import truth


def spin(end):
    while truth.monotonic() < end:
        for _ in range(500):
            pass


def sleep(end):
    while truth.monotonic() < end:
        time.sleep(random.uniform(0.0005, 0.003))


def contend(end, lock):
    while truth.monotonic() < end:
        with lock:
            for _ in range(2000):
                pass
        time.sleep(0)


def consume(items, lock):
    while items.get() is not None:
        with lock:
            for _ in range(2000):
                pass


def produce(end, items):
    while truth.monotonic() < end:
        items.put(1)
        time.sleep(0.002)
    items.put(None)


def work(index, processes, end, execed):
    pinned = index >= processes - 2
    if pinned:
        cpus = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cpus[index % len(cpus)]})
    kind = "pinned" if pinned else "mixed"
    ledger = truth.Ledger(kind, execed, company=True)
    lock = threading.Lock()
    items = queue.Queue()
    threads = [ledger.start("pinned" if pinned else "spin", spin, end),
               ledger.start(kind, sleep, end),
               ledger.start(kind, contend, end, lock),
               ledger.start(kind, consume, items, lock)]
    produce(end, items)
    for thread in threads:
        thread.join()
    return ledger.facts(index=index)


def main():
    seconds = float(sys.argv[1])
    processes = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    end = truth.monotonic() + seconds
    children = []
    for index in range(1, processes):
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            text = json.dumps(work(index, processes, end, False)).encode()
            with os.fdopen(writer, "wb") as out:
                out.write(text)
            os._exit(0)
        os.close(writer)
        children.append((pid, reader))
    own = work(0, processes, end, True)
    everything = []
    for pid, reader in children:
        with os.fdopen(reader, "rb") as source:
            everything.append(json.loads(source.read().decode()))
        os.waitpid(pid, 0)
    # the parent's main thread lived on while it collected
    own["threads"][0].update(end_ns=truth.ns(truth.monotonic()), cpu_end_ns=truth.ns(truth.clock()))
    truth.leave({"processes": [own] + everything})


main()
