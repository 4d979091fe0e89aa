/* SPDX-License-Identifier: Apache-2.0 */
/* The facts of the selected threads and states, merged over everything but what rows can be told apart by. */
#pragma once

#include "profile.h"
#include "scan.h"

struct tally_entry {
        const struct held_thread *thread;
        const struct held_stack *stack;   /* NULL: `[unsampled]` */
        const struct held_detail *detail; /* NULL: none */
        uint64_t window;                  /* 0 unless the question is by window */
        enum state state;
        uint64_t ns, samples;
        uint64_t met; /* how often the stack was met: ticks, waits that ended and those that go on */
        struct histogram *waits;
};

typedef int tally_entry_fn(void *userdata, const struct tally_entry *e);

struct tally {
        struct scan scan;
        const struct profile_query *query;
        tally_entry_fn *fn;
        void *userdata;
        bool *threads; /* selected, by index */
        struct tally_entry *entries;
        uint32_t n, room;
        struct index index;
};

/* 0, -ENOMEM. The store must not change until tally_fini(). */
int tally_init(struct tally *t, struct store *s, const struct profile_query *q, uint64_t now);
void tally_fini(struct tally *t);

/* Calls `fn` for every entry; by window, several may be of the same kind. Passes on negative values. */
int tally_run(struct tally *t, tally_entry_fn *fn, void *userdata);

/* Time spent waiting for work to come. */
static inline bool tally_entry_idle(const struct tally_entry *e) {
        return !state_is_cpu(e->state) && e->stack && e->stack->stack->idle;
}
