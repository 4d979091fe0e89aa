/* SPDX-License-Identifier: Apache-2.0 */
/* Files below /proc/PID. `root` is where proc is mounted: "/proc", or the host's bound elsewhere. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PROC_PATH_MAX 256

/* "ROOT/PID/NAME" into path; -ENAMETOOLONG. */
int proc_path(char path[static PROC_PATH_MAX], const char *root, uint32_t pid, const char *name);

/* What a failure means for a file of a process: -ESRCH when it is the process that is not there. */
int proc_error(int error);

/* At most size - 1 bytes, a NUL behind them. Returns how many were read, -ESRCH when the process is gone, -errno. */
ssize_t proc_read(const char *root, uint32_t pid, const char *name, char *data, size_t size);
