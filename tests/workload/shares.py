# SPDX-License-Identifier: Apache-2.0
"""shares.py WORKLOAD SECONDS: functions whose shares of CPU time are known, by the thread's own CPU clock.

Prints categories [leaf, functions on the stack, nanoseconds]: `functions` are those of this program from drive() on, each
once. Slices are drawn at random, so that they keep no step with a profiler's ticks."""
import asyncio
import functools
import random
import sys

import truth
from truth import clock, display


class Book:
    """Seconds by (leaf, functions on the stack)."""

    def __init__(self):
        self.cells = {}

    def cell(self, *functions):
        """The cell of the stack drive() > functions[0] > … > functions[-1]: a list of one number."""
        names = [display(f.__code__) for f in functions]
        return self.cells.setdefault((names[-1], tuple(sorted(set(["drive"] + names)))), [0.0])

    def total(self):
        return sum(cell[0] for cell in self.cells.values())


def draw(mean):
    return random.uniform(0.2, 1.8) * mean


# --- two functions, 70 to 30

def seventy(cell, seconds):
    begin = clock()
    while clock() < begin + seconds:
        pass
    cell[0] += clock() - begin


def thirty(cell, seconds):
    begin = clock()
    while clock() < begin + seconds:
        pass
    cell[0] += clock() - begin


def seventy_thirty(book):
    def step():
        seventy(first, draw(0.007))
        thirty(second, draw(0.003))
    first, second = book.cell(step, seventy), book.cell(step, thirty)
    return step


# --- recursion, mutual too

def even(cells, depth):
    cell = cells[0] if depth == 0 else cells[2]
    begin = clock()
    end = begin + draw(0.0006)
    while clock() < end:
        pass
    cell[0] += clock() - begin
    if depth < 40:
        odd(cells, depth + 1)


def odd(cells, depth):
    cell = cells[1]
    begin = clock()
    end = begin + draw(0.0003)
    while clock() < end:
        pass
    cell[0] += clock() - begin
    even(cells, depth + 1)


def descend(cell, depth):
    begin = clock()
    end = begin + draw(0.0004)
    while clock() < end:
        pass
    cell[0] += clock() - begin
    if depth:
        descend(cell, depth - 1)


def recursion(book):
    def step():
        even(mutual, 0)
        descend(direct, 30)
    mutual = book.cell(step, even), book.cell(step, even, odd), book.cell(step, even, odd, even)
    direct = book.cell(step, descend)
    return step


# --- 200 small functions

def two_hundred(book):
    source = "".join("def small_%03d(cell, seconds):\n"
                     "    begin = clock()\n"
                     "    end = begin + seconds\n"
                     "    while clock() < end:\n"
                     "        pass\n"
                     "    cell[0] += clock() - begin\n\n" % i for i in range(200))
    space = {"clock": clock}
    exec(compile(source, __file__, "exec"), space)

    def step():
        for function, cell, mean in functions:
            function(cell, draw(mean))
    functions = [(space["small_%03d" % i], book.cell(step, space["small_%03d" % i]), 0.0001 * (1 + i * 7 % 10))
                 for i in range(200)]
    return step


# --- C in between: sorted(), functools.reduce() and map() call back

class Callbacks:
    def __init__(self, book, step):
        self.keys = book.cell(step, Callbacks.sort, Callbacks.key)
        self.sorting = book.cell(step, Callbacks.sort)
        self.combining = book.cell(step, Callbacks.fold, Callbacks.combine)
        self.folding = book.cell(step, Callbacks.fold)
        self.transforming = book.cell(step, Callbacks.apply, Callbacks.transform)
        self.inner_keys = book.cell(step, Callbacks.apply, Callbacks.transform, Callbacks.inner_key)
        self.applying = book.cell(step, Callbacks.apply)

    def key(self, item):
        begin = clock()
        end = begin + draw(0.0003)
        while clock() < end:
            pass
        self.keys[0] += clock() - begin
        return -item

    def sort(self):
        begin, inside = clock(), self.keys[0]
        sorted(range(20), key=self.key)
        self.sorting[0] += clock() - begin - (self.keys[0] - inside)

    def combine(self, left, right):
        begin = clock()
        end = begin + draw(0.0002)
        while clock() < end:
            pass
        self.combining[0] += clock() - begin
        return left + right

    def fold(self):
        begin, inside = clock(), self.combining[0]
        functools.reduce(self.combine, range(20))
        self.folding[0] += clock() - begin - (self.combining[0] - inside)

    def inner_key(self, item):
        begin = clock()
        end = begin + draw(0.0001)
        while clock() < end:
            pass
        self.inner_keys[0] += clock() - begin
        return item

    def transform(self, item):
        begin = clock()
        end = begin + draw(0.0002)
        while clock() < end:
            pass
        inside = self.inner_keys[0]
        sorted(range(3), key=self.inner_key)
        self.transforming[0] += clock() - begin - (self.inner_keys[0] - inside)
        return item

    def apply(self):
        begin, inside = clock(), self.transforming[0] + self.inner_keys[0]
        list(map(self.transform, range(20)))
        self.applying[0] += clock() - begin - (self.transforming[0] + self.inner_keys[0] - inside)


def callbacks(book):
    def step():
        state.sort()
        state.fold()
        state.apply()
    state = Callbacks(book, step)
    return step


# --- generators, delegating too

def source(cell):
    for _ in range(10):
        begin = clock()
        end = begin + draw(0.0005)
        while clock() < end:
            pass
        cell[0] += clock() - begin
        yield 1


def delegate(cell):
    yield from source(cell)


def stage(cell, items):
    for item in items:
        begin = clock()
        end = begin + draw(0.0003)
        while clock() < end:
            pass
        cell[0] += clock() - begin
        yield item


def consume(cells):
    for _ in stage(cells[1], delegate(cells[0])):
        begin = clock()
        end = begin + draw(0.0002)
        while clock() < end:
            pass
        cells[2][0] += clock() - begin


def generators(book):
    def step():
        consume(cells)
    cells = (book.cell(step, consume, stage, delegate, source), book.cell(step, consume, stage),
             book.cell(step, consume))
    return step


# --- decorators

def measured(cell, mean):
    def decorate(function):
        @functools.wraps(function)
        def measured_call(*args):
            begin = clock()
            end = begin + draw(mean)
            while clock() < end:
                pass
            cell[0] += clock() - begin
            return function(*args)
        return measured_call
    return decorate


def checked(function):
    @functools.wraps(function)
    def checked_call(*args):
        return function(*args)
    return checked_call


def decorators(book):
    def step():
        red(reds)
        blue(blues)

    # every measured() returns the same code, so one cell does for both
    own = book.cell(step, measured(None, 0)(step))
    wrapper = measured(own, 0.001)

    @wrapper
    @checked
    def red(mine):
        begin = clock()
        end = begin + draw(0.003)
        while clock() < end:
            pass
        mine[0] += clock() - begin

    @wrapper
    def blue(mine):
        begin = clock()
        end = begin + draw(0.002)
        while clock() < end:
            pass
        mine[0] += clock() - begin

    reds = book.cell(step, wrapper(step), checked(step), red.__wrapped__.__wrapped__)
    blues = book.cell(step, wrapper(step), blue.__wrapped__)
    return step


# --- coroutines: one event loop, awaits three deep

async def fetch(cell):
    await asyncio.sleep(0)
    begin = clock()
    end = begin + draw(0.0008)
    while clock() < end:
        pass
    cell[0] += clock() - begin


async def handle(cells):
    begin = clock()
    end = begin + draw(0.0004)
    while clock() < end:
        pass
    cells[0][0] += clock() - begin
    await fetch(cells[1])


async def serve(cells):
    await asyncio.gather(*[handle(cells) for _ in range(10)])


def coroutines(book):
    def step():
        loop.run_until_complete(serve(cells))
    loop = asyncio.new_event_loop()
    cells = book.cell(step, handle), book.cell(step, handle, fetch)
    return step


WORKLOADS = {f.__name__: f for f in (seventy_thirty, recursion, two_hundred, callbacks, generators, decorators, coroutines)}


def drive(step, seconds):
    end = clock() + seconds
    while clock() < end:
        step()


def main():
    ledger = truth.Ledger("spin")
    book = Book()
    step = WORKLOADS[sys.argv[1]](book)
    begin = clock()
    drive(step, float(sys.argv[2]))
    categories = [[leaf, names, truth.ns(cell[0])] for (leaf, names), cell in sorted(book.cells.items())]
    rest = truth.ns(clock() - begin - book.total())
    truth.leave({"processes": [ledger.facts()], "workload": sys.argv[1], "categories": categories, "rest_ns": rest,
                 "file": __file__})


main()
