# SPDX-License-Identifier: Apache-2.0
"""Threads that wait in known places, each described by what the interpreter itself says of it.

One line of JSON a thread: ident, name and stack, leaf first, as [function, file, line]; a null stack is not to be
compared. Then the line "ready". Ends when stdin ends. Runs under CPython 3.6 and later.
"""
import _thread
import functools
import json
import os
import sys
import threading
import time

DEPTH = 100
LOCK = _thread.allocate_lock()
PARKED = set()  # idents of the threads that are about to wait
BLOCKING = {}  # code object of a function that waits: the line it waits on


def blocks(line):
    """The decorated function waits on the line that comes `line` lines after its def."""
    def register(function):
        code = function.__code__
        BLOCKING[code] = code.co_firstlineno + 1 + line
        return function
    return register


@blocks(2)
def park():
    PARKED.add(threading.get_ident())
    LOCK.acquire()


@blocks(2)
def park_main():
    PARKED.add(threading.get_ident())
    while os.read(0, 4096):
        pass


@blocks(2)
def park_asleep():
    PARKED.add(threading.get_ident())
    time.sleep(3600)


def plain():
    def nested(value):
        if value:
            park()
        return value
    nested(1)


def recursive(n):
    if n == 0:
        return park()
    return recursive(
        n - 1,
    ) or None


def generator():
    yield 1
    yield park()


def delegating():
    yield from generator()


async def leaf():
    park()


async def coroutine():
    await leaf()


def run_coroutine():
    coroutine().send(None)


def called_from_c(*_):
    return park()


def through_c():
    # sorted() and map() are C between two Python frames.
    sorted([2, 1], key=functools.partial(lambda prefix, v: list(map(called_from_c, [v])), "x"))


class Machine:
    class Part:
        @property
        def value(self):
            return park()

    @staticmethod
    def run():
        return [Machine.Part().value for _ in range(1)]


class Named(threading.Thread):
    """More attributes than the keys that instances share may hold."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        for i in range(40):
            setattr(self, "attribute%d" % i, i)

    def run(self):
        park()


class Slotted(threading.Thread):
    __slots__ = ("one", "two")

    def run(self):
        self.one = 1
        park()


def foreign():
    """No Thread object until it asks for one."""
    threading.current_thread()
    park()


def compiled(source, file, name):
    space = {"park": park}
    exec(compile(source, file, "exec"), space)
    return space[name]


def start():
    accented = compiled("def gef\xfc\xf6hl():\n    pass\n    park()\n", "/tmp/stra\xdfe.py", "gef\xfc\xf6hl")
    wide = compiled("\n" * 70000 + "def \u540d\u524d():\n    return (1,\n            park())\n", "\u6587\u4ef6.py",
                    "\u540d\u524d")
    targets = [("plain", plain), ("deep", lambda: recursive(DEPTH)), ("generator", lambda: list(delegating())),
               ("coroutine", run_coroutine), ("through C", through_c), ("methods", Machine.run),
               ("asleep", park_asleep), ("M\xfcller", accented), ("\u30b9\u30ec\u30c3\u30c9 \U0001f40d", wide)]
    threads = [threading.Thread(target=target, name=name, daemon=True) for name, target in targets]
    threads += [Named(name="many attributes", daemon=True), Slotted(name="slots", daemon=True)]
    threads += [threading.Thread(target=park, daemon=True) for _ in range(20)]
    for thread in threads:
        thread.start()
    vars(threads[0])  # gives this one a dictionary of its own
    threads[1].name = "renamed"
    _thread.start_new_thread(foreign, ())
    return len(threads) + 2


def waiting(frames, ident):
    frame = frames.get(ident)
    return frame is not None and BLOCKING.get(frame.f_code) == frame.f_lineno


def stack_of(frame):
    stack = []
    while frame is not None:
        code = frame.f_code
        stack.append([getattr(code, "co_qualname", code.co_name), code.co_filename, frame.f_lineno])
        frame = frame.f_back
    return stack


def report(expected):
    deadline = time.monotonic() + 60
    while True:
        frames = sys._current_frames()
        if len(PARKED) >= expected and all(waiting(frames, ident) for ident in PARKED):
            break
        if time.monotonic() > deadline:
            os._exit(1)
        time.sleep(0.01)
    lines = []
    for thread in threading.enumerate():
        stack = stack_of(frames[thread.ident]) if thread.ident in PARKED else None
        lines.append(json.dumps({"ident": thread.ident, "name": thread.name, "stack": stack}))
    sys.stdout.write("\n".join(lines) + "\nready\n")
    sys.stdout.flush()
    LOCK.acquire()


def main():
    LOCK.acquire()
    expected = start()
    threading.Thread(target=report, args=(expected,), name="reporter", daemon=True).start()
    park_main()
    os._exit(0)


if __name__ == "__main__":
    main()
