# SPDX-License-Identifier: Apache-2.0
"""chaos.py SECONDS: processes that die by signals, fork while threads run, exec over themselves and start threads that die
at once, all while they are busy in deep stacks. Prints how many of each there were."""
import os
import random
import signal
import sys
import threading
import time

import truth


def busy(depth, seconds):
    if depth:
        return busy(depth - 1, seconds)
    truth.spin_wall(seconds)


def killed():
    threading.Thread(target=busy, args=(100, 10), daemon=True).start()
    os.kill(os.getpid(), random.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM]))


def forks():
    threading.Thread(target=busy, args=(50, 10), daemon=True).start()
    for _ in range(5):
        if os.fork() == 0:
            busy(20, random.uniform(0, 0.01))
            os._exit(0)
    os._exit(0)


def execs():
    os.execv(random.choice(["/bin/true", "/usr/bin/python3"]), ["python3", "-S", "-c", "pass"])


def execs_from_thread():
    threading.Thread(target=execs).start()
    busy(30, 10)


def threads():
    for _ in range(20):
        threading.Thread(target=busy, args=(10, 0.001)).start()
    os._exit(0)


ACTS = [killed, forks, execs, execs_from_thread, threads]


def main():
    ledger = truth.Ledger("mixed")
    # a parent whose children crash on purpose leaves no core files behind
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    counts = {act.__name__: 0 for act in ACTS}
    end = truth.monotonic() + float(sys.argv[1])
    while truth.monotonic() < end:
        act = random.choice(ACTS)
        pid = os.fork()
        if pid == 0:
            signal.alarm(3)
            busy(random.randrange(200), random.uniform(0, 0.01))
            act()
            time.sleep(10)
            os._exit(1)
        counts[act.__name__] += 1
        os.waitpid(pid, 0)
    truth.leave({"processes": [ledger.facts()], "counts": counts})


main()
