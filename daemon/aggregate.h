/* SPDX-License-Identifier: Apache-2.0 */
/* From observations to slices: exact time, CPU time cut at window edges and claimed by ticks. Keeps state only in the
 * thread. Waits come whole, the store cuts them. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "followed.h"
#include "stack.h"

#define WINDOW_NS UINT64_C(1000000000) /* window number n is [n, n + 1) * WINDOW_NS on CLOCK_MONOTONIC */

/* One piece of a thread's time with one state and one stack. Borrowed references. */
struct slice {
        struct followed_thread *thread;
        struct stack *stack; /* NULL: `[unsampled]` */
        enum state state;
        const char *detail;  /* "" if none */
        uint64_t begin, end; /* where the time lies; `ns` may be less (CPU time between two ticks) */
        uint64_t ns;         /* exact time this slice holds */
        uint64_t samples;    /* ticks */
        uint64_t wait_ns;    /* > 0: a wait of that length ended here; counted once however many slices it has */
        uint64_t excess_ns;  /* a sampled wait: what it claims of the skipped time, wait_ns * (weight - 1) */
        uint64_t skipped_ns; /* skipped time of `state`, to be divided among the sampled waits of the window */
};

/* Calls `emit` for each slice of the observation, `stack` being what its hash resolved to. What is emitted sums to
 * end - begin, but for CPU time that waits for the next tick (thread->unclaimed): that is emitted with the tick or,
 * once its window is past, as STATE_UNSAMPLED. A tick claims the unclaimed time of its own window and of the one
 * before, each booked where it lies. `thread->accounted` is the caller's to move. Passes on emit's negative return
 * values; -EINVAL, with nothing booked, when the observation's parts do not sum to its length. */
typedef int aggregate_emit_fn(void *userdata, const struct slice *s);
int aggregate_observation(const struct observation *o, struct stack *stack, aggregate_emit_fn *emit, void *userdata);

/* The thread is gone: what is unclaimed is emitted as unsampled. */
int aggregate_thread_exit(struct followed_thread *t, aggregate_emit_fn *emit, void *userdata);
