# SPDX-License-Identifier: Apache-2.0
"""names.py SECONDS: one deep stack with a frame of each kind that CPython has, spinning at its leaf. Prints the stack as
sys._getframe() has it, leaf first, before it spins; then spins; then prints its threads."""
import functools
import json
import sys

import truth
from truth import clock


def expected():
    """[function, file, line] of the caller and all of its callers; the caller's line is that of its next line."""
    frame, rows = sys._getframe(1), []
    while frame is not None:
        rows.append([truth.display(frame.f_code), frame.f_code.co_filename, frame.f_lineno])
        frame = frame.f_back
    rows[0][2] += 1
    return rows


def leaf(seconds):
    end = clock() + seconds + announce(expected())
    while clock() < end: pass  # noqa: one line, so that every instruction of the spin has it
    return 1


def announce(stack):
    sys.stdout.write(json.dumps({"stack": stack}) + "\n")
    sys.stdout.flush()
    return 0


# Latin-1, UCS-2 and UCS-4 identifiers
def größe(seconds):
    return leaf(seconds)


def имя_π(seconds):
    return größe(seconds)


def 𐌰𐌱(seconds):
    return имя_π(seconds)


def outer(seconds):
    def inner():
        def innermost():
            return 𐌰𐌱(seconds)
        return innermost()
    return inner()


class Base:
    def __init__(self, seconds):
        self.seconds = seconds

    def method(self):
        return outer(self.seconds)

    @property
    def attribute(self):
        return self.method()

    @classmethod
    def make(cls, seconds):
        return cls(seconds).attribute

    @staticmethod
    def static(seconds):
        return Derived.make(seconds)

    class Nested:
        def __call__(self, seconds):
            return Base.static(seconds)


class Derived(Base):
    def method(self):
        return super().method()

    def __getattr__(self, name):
        raise AttributeError(name)


def generator(seconds):
    value = Base.Nested()(seconds)
    yield value


def delegating(seconds):
    yield from generator(seconds)


def comprehensions(seconds):
    return [
        sum(value for value in delegating(item))
        for item in [seconds]
    ]


async def coroutine(seconds):
    return comprehensions(seconds)


async def awaiting(seconds):
    return await coroutine(
        seconds)


def run(coroutine_object):
    try:
        coroutine_object.send(None)
    except StopIteration as stop:
        return stop.value


def decorate(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)
    return wrapper


@decorate
def decorated(seconds):
    return run(awaiting(seconds))


def by_key(item):
    return decorated(item)


def from_c(seconds):
    return sorted([seconds],
                  key=by_key)


call = lambda seconds: {key: from_c(key) for key in (seconds,)}  # noqa: a lambda is wanted


def far(seconds):
    """Its line number is beyond what one byte holds, its line table has long jumps."""
    if seconds < 0:
        # an instruction far above














































































































































        return None
    return functools.partial(call, seconds)()


def executed(seconds):
    space = {"far": far, "seconds": seconds}
    exec(compile("\n\ndef from_source(value):\n    return far(value)\n\nfrom_source(seconds)\n", "/tmp/gr\u00fc\u03c0\U00010330.py",
                 "exec"), space)


def main():
    ledger = truth.Ledger("spin")
    executed(float(sys.argv[1]))
    truth.leave({"processes": [ledger.facts()]})


main()
