# SPDX-License-Identifier: Apache-2.0
"""queues.py [one]: two threads that hand a value to and fro through queues; on one CPU, or on any."""
import os
import queue
import sys
import threading

there, back = queue.Queue(), queue.Queue()


def bounce():
    while True:
        back.put(there.get())


if sys.argv[1:] == ["one"]:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
threading.Thread(target=bounce, daemon=True).start()
print("ready", flush=True)
while True:
    there.put(1)
    back.get()
