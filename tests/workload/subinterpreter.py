# SPDX-License-Identifier: Apache-2.0
"""subinterpreter.py SECONDS: a function that spins in a subinterpreter, one that spins in the main interpreter before and
after it, and a thread of the main interpreter that takes turns with both. Prints what each used."""
import json
import os
import sys
import threading
import time

import truth

INSIDE = """
import json, os, time
clock = lambda: time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID)
def inside_spin(seconds):
    end = time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) + seconds
    while time.clock_gettime(time.CLOCK_THREAD_CPUTIME_ID) < end:
        pass
def inside_call(seconds):
    inside_spin(seconds)
begin = clock()
inside_call(%f)
os.write(%d, json.dumps(clock() - begin).encode())
"""


def run_inside(source):
    try:
        import _interpreters  # 3.13 and later
        identifier = _interpreters.create()
        failure = _interpreters.exec(identifier, source)
        if failure:
            raise RuntimeError(failure)
        _interpreters.destroy(identifier)
        return
    except ImportError:
        pass
    try:
        import _xxsubinterpreters  # 3.8 to 3.12
        identifier = _xxsubinterpreters.create()
        _xxsubinterpreters.run_string(identifier, source)
        _xxsubinterpreters.destroy(identifier)
    except ImportError:
        import _testcapi
        if _testcapi.run_in_subinterp(source) != 0:
            raise RuntimeError("run_in_subinterp")


def outside_spin(seconds):
    begin = truth.clock()
    while truth.clock() < begin + seconds:
        pass
    return truth.clock() - begin


def beside_spin(used, done):
    begin = truth.clock()
    while not done.is_set():
        for _ in range(5000):
            pass
        # 3.9 to 3.11 ask only their own interpreter's threads for the GIL
        time.sleep(0.001)
    used.append(truth.clock() - begin)


def main():
    seconds = float(sys.argv[1])
    ledger = truth.Ledger("mixed")
    beside, done = [], threading.Event()
    thread = ledger.start("mixed", beside_spin, beside, done)
    outside = outside_spin(seconds)
    reader, writer = os.pipe()
    run_inside(INSIDE % (seconds, writer))
    outside += outside_spin(seconds)
    done.set()
    thread.join()
    inside = json.loads(os.read(reader, 100).decode())
    truth.leave({"processes": [ledger.facts()], "file": __file__,
                 "functions": {"inside_spin": truth.ns(inside), "outside_spin": truth.ns(outside),
                               "beside_spin": truth.ns(beside[0])}})


main()
