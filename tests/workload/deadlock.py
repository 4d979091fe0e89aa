# SPDX-License-Identifier: Apache-2.0
"""deadlock.py FILE: two threads take two locks in opposite order. One second later faulthandler writes every thread's
stack to FILE. Prints the names of its threads first. Never ends by itself."""
import faulthandler
import json
import os
import sys
import threading

import truth

first, second = threading.Lock(), threading.Lock()
both_hold = threading.Barrier(2)
tids = {}
ready = threading.Barrier(3)


def introduce():
    tids[threading.current_thread().name] = [truth.native_id(), threading.get_ident()]
    ready.wait()


def take_first_then_second():
    introduce()
    with first:
        both_hold.wait()
        with second:
            raise AssertionError("no deadlock")


class Account:
    def transfer(self):
        introduce()
        second.acquire()
        both_hold.wait()
        first.acquire()
        raise AssertionError("no deadlock")


def main():
    threads = [threading.Thread(target=take_first_then_second, name="größer"),
               threading.Thread(target=Account().transfer, name="поток-2")]
    for thread in threads:
        thread.start()
    tids["MainThread"] = [truth.native_id(), threading.get_ident()]
    ready.wait()
    out = open(sys.argv[1], "w")
    faulthandler.dump_traceback_later(1, file=out)
    print(json.dumps({"pid": os.getpid(), "threads": tids, "names": [t.name for t in threading.enumerate()]}))
    sys.stdout.flush()
    threads[0].join()


main()
