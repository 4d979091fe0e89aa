/* SPDX-License-Identifier: Apache-2.0 */
/* The product's BPF programs and those they are compared with, and what the kernel's statistics say of their runs. */
#pragma once

#include <stdint.h>

#include "base/macro.h"

struct meter;

int meter_new(struct meter **ret);
void meter_free(struct meter *m);
DEFINE_CLEANUP(struct meter *, meter_free)

/* Has a Python process followed, as the daemon would. -ENOENT: it has no Python inside that is supported. */
int meter_follow(struct meter *m, pid_t pid);
void meter_unfollow(struct meter *m, pid_t pid);

/* Threads whose waits are shorter than this are seldom walked. */
void meter_set_walk_below(struct meter *m, uint64_t ns);

struct meter_runs {
        uint64_t n;
        double ns; /* one, on average */
};

struct meter_walks {
        struct meter_runs empty, python, kernel;
        uint64_t python_frames, kernel_frames; /* of the last stacks walked */
};

/* Walks `python` and `spin` in turn for `ms` each. Each is stopped while the other runs, and after it. */
int meter_walks(struct meter *m, pid_t python, pid_t spin, unsigned ms, struct meter_walks *ret);

struct meter_switches {
        double empty, on_switch; /* ns a run */
        double wakeup;           /* ns a run, on every wake-up of the machine */
        double rate;             /* switches a second */
        double followed;         /* share of the switches that had a followed thread on one side or on both */
        double both;             /* on both */
};

int meter_switches(struct meter *m, unsigned ms, struct meter_switches *ret);
