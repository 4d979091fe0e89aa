# SPDX-License-Identifier: Apache-2.0
"""spin.py SECONDS [CPU]: one thread that does nothing but spin, pinned to a CPU if one is named."""
import os
import sys

import truth

if len(sys.argv) > 2:
    os.sched_setaffinity(0, {int(sys.argv[2])})
ledger = truth.Ledger("spin")
truth.spin_wall(float(sys.argv[1]))
truth.leave({"processes": [ledger.facts()]})
