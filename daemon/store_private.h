/* SPDX-License-Identifier: Apache-2.0 */
/* The history's inside, for store.c and scan.c. */
#pragma once

#include "held.h"
#include "store.h"
#include "window.h"

#define STORE_COARSE (10 * WINDOW_NS) /* length of an old window; such windows begin at multiples of it */
#define STORE_FINE_AGE (600 * WINDOW_NS)
#define STORE_AGE (4200 * WINDOW_NS)
/* Room for late slices and for ageing that comes late. */
#define STORE_FINE_ROOM 640
#define STORE_COARSE_ROOM 384
#define STORE_SPAN_MIN (4 * WINDOW_NS) /* longer waits are spans */

/* A long wait, or one state of it. That it ended, and how long it was, is in a row of the window where it ended. */
struct span {
        struct held_thread *thread;
        struct held_stack *stack;
        struct held_detail *detail;
        uint64_t begin, end;
        enum state state;
};

struct store {
        uint64_t memory_max;
        struct window *fine[STORE_FINE_ROOM];     /* by number, modulo */
        struct window *coarse[STORE_COARSE_ROOM]; /* by number of ten seconds, modulo */
        size_t windows_bytes;
        struct span *spans; /* as they came */
        size_t spans_n, spans_room;
        struct held held;

        uint64_t earliest;  /* instant of the first thing it was told; UINT64_MAX: nothing yet */
        uint64_t horizon;   /* before it all is forgotten */
        uint64_t compacted; /* before it windows are coarse; a multiple of STORE_COARSE */
        uint64_t latest;    /* the last instant that it was told of */
        uint64_t newest;    /* begin of the newest window */
        uint64_t dropped_windows, folded;

        store_lookup_fn *lookup;
        void *lookup_userdata;
};

/* The first instant of which everything is known; `now` when there is nothing. */
uint64_t store_oldest(const struct store *s, uint64_t now);

/* The stored window that holds instant t. */
static inline uint64_t store_window_length(const struct store *s, uint64_t t) {
        return t < s->compacted ? STORE_COARSE : WINDOW_NS;
}

static inline uint64_t store_window_begin(const struct store *s, uint64_t t) {
        return t - t % store_window_length(s, t);
}
