# SPDX-License-Identifier: Apache-2.0
"""forks.py SECONDS: four multiprocessing workers, forked, that each spin in a function of their own; each starts a fifth,
by os.fork(), that runs on in the middle of its parent's stack."""
import multiprocessing
import os
import sys

import truth
from truth import clock


def own_spin(seconds):
    begin = clock()
    while clock() < begin + seconds:
        pass
    return clock() - begin


def branch(seconds, queue):
    """Runs in parent and child: both have the parent's frames below."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        begin_ns = truth.ns(truth.monotonic())
        used = branch_child(seconds)
        os.write(writer, b"%d %d %d" % (os.getpid(), truth.ns(used), begin_ns))
        os._exit(0)
    own_spin(seconds)
    pid, used, begin_ns = map(int, os.read(reader, 100).split())
    os.wait()
    queue.put({"pid": pid, "begin_ns": begin_ns, "functions": {"branch_child": used},
               "stack": ["branch", "branch_child"]})


def branch_child(seconds):
    return own_child_spin(seconds)


def own_child_spin(seconds):
    begin = clock()
    while clock() < begin + seconds:
        pass
    return clock() - begin


def worker(seconds, queue):
    begin_ns = truth.ns(truth.monotonic())
    used = own_spin(seconds)
    branch(seconds, queue)
    queue.put({"pid": os.getpid(), "begin_ns": begin_ns, "functions": {"own_spin": truth.ns(used + seconds)},
               "stack": ["worker", "own_spin"]})


def main():
    ledger = truth.Ledger("mixed")
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    workers = [context.Process(target=worker, args=(float(sys.argv[1]), queue)) for _ in range(4)]
    for process in workers:
        process.start()
    children = [queue.get() for _ in range(8)]
    for process in workers:
        process.join()
    truth.leave({"processes": [ledger.facts()], "children": children, "file": __file__})


main()
