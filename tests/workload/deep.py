# SPDX-License-Identifier: Apache-2.0
"""deep.py FRAMES SECONDS: spins FRAMES calls below main()."""
import sys

import truth


def leaf(seconds):
    begin = truth.clock()
    while truth.clock() < begin + seconds:
        pass
    return truth.clock() - begin


def down(frames, seconds):
    if frames <= 1:
        return leaf(seconds)
    return down(frames - 1, seconds)


def main():
    frames, seconds = int(sys.argv[1]), float(sys.argv[2])
    ledger = truth.Ledger("spin")
    sys.setrecursionlimit(frames + 200)
    used = down(frames - 1, seconds)
    # <module>, main(), frames - 1 times down(), leaf(): FRAMES below main()
    truth.leave({"processes": [ledger.facts()], "file": __file__, "depth": frames + 2,
                 "functions": {"leaf": truth.ns(used)}})


main()
