# SPDX-License-Identifier: Apache-2.0
"""Writes every code object of the standard library, and some with long ways between their lines, to stdout together
with what the interpreter itself says about their lines, for test_linetable. Runs under 3.6 and later.

Little-endian. Stream: magic "LINETAB1", u32 version (minor | major << 8), code objects, trailer.
Code object: i32 first line, u32 table bytes, u32 code bytes, u32 runs; the table; runs of (u32 start, u32 end,
i32 line, 0: none). Trailer: a header with 0, 0xffffffff, 0 and the number of code objects.
"""

import ast
import dis
import os
import random
import struct
import sys
import types

HEADER = struct.Struct("<iIII")
RUN = struct.Struct("<IIi")
CODE = types.CodeType

# Not written for this version of the language.
FOREIGN = {"site-packages", "dist-packages", "lib2to3/tests/data"}


def runs_of(code, size):
    if hasattr(code, "co_lines"):
        return [(start, end, line or 0) for start, end, line in code.co_lines()]

    starts = [s for s in dis.findlinestarts(code) if s[0] < size]
    ends = [s[0] for s in starts[1:]] + [size]
    return [(start, end, line) for (start, line), end in zip(starts, ends)]


def write_code(code, out):
    """Writes `code` and the code objects among its constants; returns how many."""
    table = code.co_linetable if hasattr(code, "co_lines") else code.co_lnotab
    size = len(code.co_code)
    runs = runs_of(code, size)
    out.write(HEADER.pack(code.co_firstlineno, len(table), size, len(runs)))
    out.write(table)
    out.write(b"".join([RUN.pack(*run) for run in runs]))
    return 1 + sum([write_code(c, out) for c in code.co_consts if type(c) is CODE])


def sources(root):
    for folder, folders, files in os.walk(root):
        inside = os.path.relpath(folder, root)
        folders[:] = sorted(f for f in folders if not {f, os.path.join(inside, f)} & FOREIGN)
        for name in sorted(files):
            path = os.path.join(folder, name)
            if name.endswith(".py") and os.path.isfile(path):  # Debian's sitecustomize.py may be a dangling link
                yield path, inside.split(os.sep)


def extremes():
    """Code whose lines are far apart, forwards and backwards, and code that is long on one line."""
    distances = (1, 2, 3, 126, 127, 128, 129, 254, 255, 256, 381, 8191, 40000)
    for distance in distances:
        gap = "\n" * distance
        yield compile("a = 1" + gap + "b = 2\nf(" + gap + "a," + gap + "b)(" + gap + "c)\n", "<gap>", "exec")
    for width in (30, 31, 32, 33, 63, 64, 65, 127, 128, 200, 5000):
        yield compile("a\n" + "b;" * width + "\nc\n", "<width>", "exec")

    chance = random.Random(1)
    tree = ast.parse("a = b\n" * 2000)
    for statement in tree.body:
        line = chance.randint(1, chance.choice((10, 300, 100000)))
        for node in ast.walk(statement):
            if hasattr(node, "lineno"):
                node.lineno = node.end_lineno = line
    yield compile(tree, "<random>", "exec")


def main():
    out = sys.stdout.buffer
    root = os.path.dirname(os.path.abspath(os.__file__))
    count = refused = 0

    out.write(b"LINETAB1" + struct.pack("<I", sys.version_info[0] << 8 | sys.version_info[1]))
    for path, parts in sources(root):
        with open(path, "rb") as f:
            source = f.read()
        try:
            code = compile(source, path, "exec", 0, True)
        except (SyntaxError, ValueError):
            if "test" not in parts:
                raise
            refused += 1  # CPython's own tests carry sources that must not compile
            continue
        count += write_code(code, out)
    count += sum([write_code(code, out) for code in extremes()])

    out.write(HEADER.pack(0, 0xFFFFFFFF, 0, count))
    out.flush()
    if refused:
        print("%d test sources do not compile, as they should" % refused, file=sys.stderr)


if __name__ == "__main__":
    main()
