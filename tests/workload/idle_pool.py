# SPDX-License-Identifier: Apache-2.0
"""idle_pool.py: a server in its loop, a pool of 64 parked workers, and one slow handler that a 65th runs. Prints its
threads' names and native ids once all are parked. Never ends by itself."""
import concurrent.futures
import json
import os
import socketserver
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
    server = socketserver.TCPServer(("127.0.0.1", 0), socketserver.StreamRequestHandler)
    server.serve_forever()


main()
