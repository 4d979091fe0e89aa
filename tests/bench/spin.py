# SPDX-License-Identifier: Apache-2.0
"""spin.py DEPTH: spins in a stack of DEPTH frames, <module> among them."""
import sys


def down(frames):
    if frames <= 1:
        print("ready", flush=True)
        turns = 0
        while True:
            turns = turns + 1 & 1023
    return down(frames - 1) + 1


down(int(sys.argv[1]) - 1)
