/* SPDX-License-Identifier: Apache-2.0 */
/* One window of history: rows of (thread, stack, state, detail), and the time that nobody recorded on purpose. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/index.h"
#include "held.h"
#include "histogram.h"
#include "state.h"

struct window_row {
        struct held_thread *thread;
        struct held_stack *stack;   /* NULL: `[unsampled]` */
        struct held_detail *detail; /* NULL: none */
        uint64_t ns;
        uint64_t excess;         /* what its sampled waits claim of the skipped time; bounded */
        struct histogram *waits; /* NULL: none ended here */
        uint32_t samples;
        uint8_t state; /* enum state */
};

/* Skipped time of a thread. What a wait that is not recorded waited for is not known, but whether it waited for a CPU
 * is: so run-queue time and all else are divided separately. */
struct window_skip {
        struct held_thread *thread;
        uint64_t ns;
        unsigned __int128 excess, claimed; /* scratch of window_each() */
        uint8_t state;
};

struct window {
        uint64_t begin, end;
        struct window_row *rows;
        uint32_t rows_n, rows_room;
        struct index rows_index; /* empty while sealed */
        struct window_skip *skips;
        uint32_t skips_n, skips_room;
        struct index skips_index;
        size_t bytes;
        bool sealed;
};

int window_new(uint64_t begin, uint64_t end, struct window **ret);
void window_free(struct window *w, struct held *held); /* NULL is fine */

/* Adds to the row of the same key. Uses and histograms are taken anew, `row` stays the caller's. */
int window_add(struct window *w, const struct window_row *row);
int window_skip(struct window *w, struct held_thread *thread, enum state state, uint64_t ns);

/* Nothing more is expected: gives back what is only needed to add. Adding still works. */
void window_seal(struct window *w);

/* Calls `fn` for every row with its part of the skipped time in `ns` and no excess left. The parts are whole ns that
 * sum to the skipped time; where no sampled wait claims it, it is a row `[unsampled]`. Passes on negative values. */
typedef int window_row_fn(void *userdata, const struct window_row *row);
int window_each(struct window *w, window_row_fn *fn, void *userdata);
