# SPDX-License-Identifier: Apache-2.0
"""idle_pool.py: a server in its selector loop, a pool of 64 parked workers, and one slow handler that a 65th runs. Prints
its threads' names and native ids once all are parked; ends when its standard input closes."""
import concurrent.futures
import json
import os
import selectors
import sys
import threading
import time

import truth

WORKERS = 65
tids = {}


def fetch_slowly():
    time.sleep(3600)


def slow_handler(barrier):
    note(barrier)
    fetch_slowly()


def note(barrier):
    tids[threading.current_thread().name] = truth.native_id()
    barrier.wait()


def main():
    ledger = truth.Ledger("mixed")
    tids["MainThread"] = ledger.main["tid"]
    barrier = threading.Barrier(WORKERS + 1)
    pool = concurrent.futures.ThreadPoolExecutor(WORKERS, thread_name_prefix="pool-ß-π")
    for _ in range(WORKERS - 1):
        pool.submit(note, barrier)
    pool.submit(slow_handler, barrier)
    barrier.wait()
    names = [thread.name for thread in threading.enumerate()]
    print(json.dumps({"pid": os.getpid(), "names": names, "tids": tids, "file": __file__}))
    sys.stdout.flush()
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    server, client = os.pipe()
    selector.register(server, selectors.EVENT_READ)
    selector.select()
    os._exit(0)


main()
