# SPDX-License-Identifier: Apache-2.0
"""check_run.py COLLAPSED: fib_json.py's shares of the program's time: the stacks in main(), which is all but Python's own start."""
import re
import sys

from client import expect, finish

total = everything = fibonacci = encoder = 0
with open(sys.argv[1]) as source:
    for line in source:
        stack, value = line.rsplit(" ", 1)
        frames, value = stack.split(";"), int(value)
        everything += value
        if not any(re.match(r"main\b", frame) for frame in frames):
            continue
        # a wait's kind, `[runq]`, follows the function that waited
        frames = [frame for frame in frames if not frame.startswith("[")]
        total += value
        fibonacci += value if frames[-1].startswith("fibonacci") else 0
        encoder += value if "/json/" in frames[-1] else 0
expect(total > 0, "no stack has main()")
if total:
    print("main(): fibonacci %.2f %%, json %.2f %% of %d; main() is %.1f %% of the process" %
          (100 * fibonacci / total, 100 * encoder / total, total, 100 * total / everything))
    expect(fibonacci > 0.9 * total, "fibonacci's own share is %.2f %%", 100 * fibonacci / total)
    expect(encoder < 0.02 * total, "json's share is %.2f %%", 100 * encoder / total)
finish()
