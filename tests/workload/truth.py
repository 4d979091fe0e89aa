# SPDX-License-Identifier: Apache-2.0
"""What a workload knows about itself: clocks that every Python from 3.6 on has, and a ledger of its threads."""
import functools
import json
import os
import sys
import threading
import time

# C callables, so that reading a clock adds no Python frame. Seconds.
clock = functools.partial(time.clock_gettime, time.CLOCK_THREAD_CPUTIME_ID)
process_clock = functools.partial(time.clock_gettime, time.CLOCK_PROCESS_CPUTIME_ID)
monotonic = functools.partial(time.clock_gettime, time.CLOCK_MONOTONIC)


def native_id():
    # threading.get_native_id came with 3.8
    return int(os.readlink("/proc/thread-self").rsplit("/", 1)[1])


def ns(seconds):
    return int(seconds * 1e9)


def realtime_offset():
    """Nanoseconds to add to CLOCK_MONOTONIC to have CLOCK_REALTIME."""
    return ns(time.clock_gettime(time.CLOCK_REALTIME) - time.clock_gettime(time.CLOCK_MONOTONIC))


def display(code):
    """The name that a profiler shows: qualified where the interpreter has it."""
    return getattr(code, "co_qualname", code.co_name)


def born_ns():
    """When this process began, to the clock tick, by CLOCK_MONOTONIC."""
    with open("/proc/self/stat") as stat:
        ticks = int(stat.read().rsplit(")", 1)[1].split()[19])
    boottime = time.clock_gettime(7) - monotonic()  # CLOCK_BOOTTIME
    return ns(ticks / os.sysconf("SC_CLK_TCK") - boottime)


def run_delay():
    """Nanoseconds that the kernel says this thread was ready to run and did not, so far."""
    with open("/proc/thread-self/schedstat") as stat:
        return int(stat.read().split()[1])


class Ledger:
    """The threads of this process. `kind` says which rule of the books holds for a thread's CPU time:
    spin and pinned: equal to CLOCK_THREAD_CPUTIME_ID; mixed: within the run-queue time. `company`: others are woken on its
    CPU all the time, see check_books.py."""

    def __init__(self, kind="mixed", execed=True, company=False):
        self.rows = []
        self.company = company
        self.main = {"tid": native_id(), "name": "MainThread", "kind": kind, "execed": execed, "main": True, "born_ns": born_ns(),
                     "begin_ns": ns(monotonic()), "cpu_begin_ns": ns(clock()), "delay_begin_ns": run_delay()}

    def start(self, kind, target, *args, **options):
        name = options.get("name")
        thread = threading.Thread(target=self._body, args=(kind, target) + args, name=name)
        thread.daemon = options.get("daemon", False)
        thread.start()
        return thread

    def _body(self, kind, target, *args):
        row = {"tid": native_id(), "name": threading.current_thread().name, "kind": kind, "execed": False,
               "main": False, "begin_ns": ns(monotonic()), "cpu_begin_ns": 0, "delay_begin_ns": 0}
        try:
            target(*args)
        finally:
            row["end_ns"] = ns(monotonic())
            row["cpu_end_ns"] = ns(clock())
            row["delay_end_ns"] = run_delay()
            self.rows.append(row)

    def facts(self, **more):
        self.main["end_ns"] = ns(monotonic())
        self.main["cpu_end_ns"] = ns(clock())
        self.main["delay_end_ns"] = run_delay()
        more.update(pid=os.getpid(), company=self.company, python="%d.%d.%d" % sys.version_info[:3], threads=[self.main] + self.rows,
                    realtime_offset_ns=realtime_offset())
        return more


def leave(facts):
    """Prints the facts and ends at once: an interpreter that takes itself apart would use CPU after the last reading."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()
    os._exit(0)


def spin_wall(seconds):
    end = monotonic() + seconds
    while monotonic() < end:
        for _ in range(500):
            pass


def spin_cpu(seconds):
    end = clock() + seconds
    while clock() < end:
        for _ in range(500):
            pass
