/* SPDX-License-Identifier: Apache-2.0 */
/* What /proc says of a process. `root` is where proc is mounted. Everything may vanish at any moment: -ESRCH. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

#define PROCESS_COMM_MAX 16

struct process_info {
        uint32_t pid, ppid;
        uint32_t uid;           /* 0 where real, effective and saved differ: only root may look into such a process */
        uint32_t namespace_pid; /* in its innermost pid namespace */
        uint64_t started;       /* CLOCK_MONOTONIC ns, in steps of a clock tick (10 ms) */
        char comm[PROCESS_COMM_MAX];
        char *cmdline;    /* words joined by spaces, cut at 4 KiB; "" for a zombie */
        char *command;    /* what is run: base name of the script, "-m" module, "-c", else comm */
        char *executable; /* "" when it may not be read */
};

void process_info_fini(struct process_info *p);
#define _cleanup_process_info_ _cleanup_(process_info_fini)

/* 0, -ESRCH, -errno. Strings are cleaned to printable UTF-8, are never NULL and go with process_info_fini(). */
int process_read(const char *root, uint32_t pid, struct process_info *ret);

/* Whether it is still the one that started then and runs that executable. A clock tick's difference is none. */
bool process_is(const char *root, uint32_t pid, uint64_t started, const char *executable);

/* The ids of its threads, in no order; the caller's to free(). At most 65536; -E2BIG beyond. */
int process_threads(const char *root, uint32_t pid, uint32_t **ret_tids, size_t *ret_n);

/* The name of one thread. */
int process_thread_comm(const char *root, uint32_t pid, uint32_t tid, char ret_comm[static PROCESS_COMM_MAX]);

/* Calls `each` for every process there is; what it returns other than 0 ends the walk and is passed on. */
typedef int process_fn(void *userdata, uint32_t pid);
int process_each(const char *root, process_fn *each, void *userdata);

/* What a command line of a Python runs; `words` are as in /proc/PID/cmdline, each ended by a NUL within `size`.
 * NULL: out of memory. */
char *process_command(const char *words, size_t size, const char *comm);
