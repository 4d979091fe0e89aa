/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/* Prints what the daemon at `path` uses without and with 200 Pythons that only wait. 0 or -errno. */
int idle_bench(const char *path);
