# SPDX-License-Identifier: Apache-2.0
"""Waits until it is killed."""
import time

print("ready", flush=True)
time.sleep(1e6)
