# SPDX-License-Identifier: Apache-2.0
"""Computes recursive Fibonacci(25) ten times and serialises each result to JSON."""
import json


def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def main():
    for _ in range(10):
        print(json.dumps({"n": 25, "fibonacci": fibonacci(25)}))


main()
