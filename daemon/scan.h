/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history as a query sees it: everything of a time range as facts, spans cut to it, and what is still open extended
 * to now. For every thread the facts of a range sum to its wall time in it.
 */
#pragma once

#include "store_private.h"

struct scan_range {
        uint64_t since, until; /* effective */
        uint64_t now;
        uint64_t oldest;
};

/* One thread's time of one kind, in the range or, when asked so, in one window of it. Borrowed for the scan. */
struct fact {
        const struct held_thread *thread;
        const struct held_stack *stack; /* NULL: `[unsampled]` */
        const struct held_detail *detail;
        enum state state;
        uint64_t window; /* begin of the stored window; 0 unless asked for */
        uint64_t ns, samples;
        const struct histogram *waits; /* NULL: none */
        bool open;                     /* still going on: nothing has counted it yet */
};

struct scan {
        struct store *store;
        struct scan_range range;
        bool by_window;
        struct span *open; /* what goes on; each with its uses */
        size_t open_n, open_room;
};

/* Rounds the range and looks the stacks of open waits up. From then on to scan_fini() the store must not change, and
 * indexes of what it holds are below store->held.threads_n and stacks_n. 0, -ENOMEM. */
int scan_init(struct scan *sc, struct store *s, uint64_t since, uint64_t until, uint64_t now, bool by_window);
void scan_fini(struct scan *sc);

typedef int scan_fact_fn(void *userdata, const struct fact *f);
int scan_each(const struct scan *sc, scan_fact_fn *fn, void *userdata); /* passes on negative values */
