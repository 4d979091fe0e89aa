# SPDX-License-Identifier: Apache-2.0
"""What checks share: asking the daemon through the built client, and the survival function of chi-squared."""
import json
import math
import os
import subprocess
import sys

failures = []


def ctl(*arguments):
    command = [os.environ["PYPROFCTL"], "--socket", os.environ["PYPROFD_SOCKET"], "--no-pager", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, timeout=60)
    if done.returncode:
        sys.exit("%s: exit %d: %s" % (" ".join(command), done.returncode, done.stderr.decode(errors="replace")))
    return done.stdout.decode()


def ask(*arguments):
    document = json.loads(ctl(*arguments, "--json"))
    if document["version"] != 1 or "loss" not in document:
        sys.exit("no version 1 or no loss in the answer to %s" % (arguments,))
    return document


def instant(monotonic_ns, offset_ns):
    """For --since and --until."""
    return "@%d.%09d" % divmod(monotonic_ns + offset_ns, 10**9)


def load(path):
    with open(path) as source:
        return json.loads(source.read().splitlines()[-1])


def since(process):
    """A second before the first reading of the process."""
    begin = min(thread["begin_ns"] for thread in process["threads"])
    return ["--since", instant(begin - 10**9, process["realtime_offset_ns"])]


def expect(condition, text, *values):
    if not condition:
        failures.append(text % values if values else text)
    return bool(condition)


def finish():
    for failure in failures[:40]:
        print("FAILED:", failure)
    if len(failures) > 40:
        print("… and %d more" % (len(failures) - 40))
    sys.exit(1 if failures else 0)


def gamma_upper(a, x):
    """The regularised upper incomplete gamma function Q(a, x): by its series below a + 1, else by Lentz's continued fraction."""
    if x <= 0:
        return 1.0
    scale = math.exp(-x + a * math.log(x) - math.lgamma(a))
    if x < a + 1:
        term = total = 1 / a
        n = a
        while term > total * 1e-16:
            n += 1
            term *= x / n
            total += term
        return max(0.0, 1 - total * scale)
    tiny = 1e-300
    b = x + 1 - a
    c, d = 1 / tiny, 1 / b
    h = d
    for i in range(1, 100000):
        step = -i * (i - a)
        b += 2
        d = step * d + b
        d = 1 / (d if abs(d) > tiny else tiny)
        c = b + step / c
        c = c if abs(c) > tiny else tiny
        h *= d * c
        if abs(d * c - 1) < 1e-15:
            break
    return h * scale


def chi_squared(observed, shares):
    """(statistic, degrees of freedom, p) of the counts against the shares; both are dicts. What is expected fewer than five
    times is taken together."""
    n, total = sum(observed.values()), sum(shares.values())
    cells, small = [], [0, 0.0]
    for key in set(observed) | set(shares):
        expected = n * shares.get(key, 0) / total
        if expected < 5:
            small[0] += observed.get(key, 0)
            small[1] += expected
        else:
            cells.append((observed.get(key, 0), expected))
    if small[1] >= 5 or not cells:
        cells.append(tuple(small))
    else:
        # too few to stand alone: with the smallest of the others
        cells.sort(key=lambda cell: cell[1])
        cells[0] = (cells[0][0] + small[0], cells[0][1] + small[1])
    statistic = sum((o - e) ** 2 / max(e, 1e-9) for o, e in cells)
    freedom = max(len(cells) - 1, 1)
    return statistic, freedom, gamma_upper(freedom / 2, statistic / 2)


# Where a thread's stack begins: the program, a thread's start, what the interpreter itself calls at start and end.
ROOT_FUNCTIONS = {"<module>", "_bootstrap", "Thread._bootstrap"}


def is_python(frame):
    return frame["kind"] == "python" and not frame["function"].startswith("[")
