/* SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#include <errno.h>

#include "base/macro.h"

/* Keeps claims × skipped time within 128 bits: 2^56 ns are two years of waits in one window. */
#define EXCESS_MAX (UINT64_C(1) << 56)

int window_new(uint64_t begin, uint64_t end, struct window **ret) {
        struct window *w = calloc(1, sizeof(*w));

        if (!w)
                return -ENOMEM;
        w->begin = begin;
        w->end = end;
        w->bytes = sizeof(*w);
        *ret = w;
        return 0;
}

void window_free(struct window *w, struct held *held) {
        if (!w)
                return;
        for (uint32_t i = 0; i < w->rows_n; i++) {
                held_thread_put(held, w->rows[i].thread);
                held_stack_put(held, w->rows[i].stack);
                held_detail_put(held, w->rows[i].detail);
                free(w->rows[i].waits);
        }
        for (uint32_t i = 0; i < w->skips_n; i++)
                held_thread_put(held, w->skips[i].thread);
        free(w->rows);
        free(w->skips);
        index_fini(&w->rows_index);
        index_fini(&w->skips_index);
        free(w);
}

static uint32_t row_hash(const struct window_row *row) {
        uintptr_t key[] = {(uintptr_t)row->thread, (uintptr_t)row->stack, (uintptr_t)row->detail, row->state};

        return index_hash(key, sizeof(key), 0);
}

static uint32_t skip_hash(const struct held_thread *thread, bool runq) {
        uintptr_t key[] = {(uintptr_t)thread, runq};

        return index_hash(key, sizeof(key), 0);
}

static struct window_skip *window_skip_find(const struct window *w, const struct held_thread *thread, bool runq) {
        for (uint32_t at = 0, i; index_next(&w->skips_index, skip_hash(thread, runq), &at, &i);)
                if (w->skips[i].thread == thread && (w->skips[i].state == STATE_RUNQ) == runq)
                        return &w->skips[i];
        return NULL;
}

static int window_unseal(struct window *w) {
        int r;

        for (uint32_t i = 0; i < w->rows_n; i++) {
                r = index_add(&w->rows_index, row_hash(&w->rows[i]), i);
                if (r < 0) {
                        index_fini(&w->rows_index);
                        return r;
                }
        }
        w->sealed = false;
        return 0;
}

static struct window_row *window_find(const struct window *w, const struct window_row *row, uint32_t hash) {
        for (uint32_t at = 0, i; index_next(&w->rows_index, hash, &at, &i);) {
                struct window_row *have = &w->rows[i];

                if (have->thread == row->thread && have->stack == row->stack && have->detail == row->detail &&
                    have->state == row->state)
                        return have;
        }
        return NULL;
}

/* A row without time of the key of `row`. */
static int window_append(struct window *w, const struct window_row *row, uint32_t hash, struct window_row **ret) {
        int r;

        if (w->rows_n == w->rows_room) {
                uint32_t room = w->rows_room ? w->rows_room + w->rows_room / 2 : 8;
                struct window_row *rows = reallocarray(w->rows, room, sizeof(*rows));

                if (!rows)
                        return -ENOMEM;
                w->rows = rows;
                w->bytes += (room - w->rows_room) * sizeof(*rows);
                w->rows_room = room;
        }
        w->bytes -= index_bytes(&w->rows_index);
        r = index_add(&w->rows_index, hash, w->rows_n);
        w->bytes += index_bytes(&w->rows_index);
        if (r < 0)
                return r;
        *ret = &w->rows[w->rows_n++];
        **ret = (struct window_row){
                        .thread = row->thread, .stack = row->stack, .detail = row->detail, .state = row->state};
        row->thread->uses++;
        if (row->stack)
                row->stack->uses++;
        if (row->detail)
                row->detail->uses++;
        return 0;
}

int window_add(struct window *w, const struct window_row *row) {
        uint32_t hash = row_hash(row);
        struct window_row *have;
        int r;

        if (w->sealed) {
                r = window_unseal(w);
                if (r < 0)
                        return r;
                w->bytes += index_bytes(&w->rows_index);
        }
        have = window_find(w, row, hash);
        if (!have) {
                r = window_append(w, row, hash, &have);
                if (r < 0)
                        return r;
        }
        if (row->waits) {
                w->bytes -= histogram_bytes(have->waits);
                r = histogram_merge(&have->waits, row->waits);
                w->bytes += histogram_bytes(have->waits);
                if (r < 0)
                        return r;
        }
        have->ns += row->ns;
        have->samples += row->samples;
        have->excess = MIN(EXCESS_MAX, have->excess + MIN(EXCESS_MAX, row->excess));
        return 0;
}

int window_skip(struct window *w, struct held_thread *thread, enum state state, uint64_t ns) {
        struct window_skip *k = window_skip_find(w, thread, state == STATE_RUNQ);
        int r;

        if (k) {
                k->ns += ns;
                return 0;
        }
        if (w->skips_n == w->skips_room) {
                uint32_t room = w->skips_room ? w->skips_room + w->skips_room / 2 : 4;

                k = reallocarray(w->skips, room, sizeof(*k));
                if (!k)
                        return -ENOMEM;
                w->skips = k;
                w->bytes += (room - w->skips_room) * sizeof(*k);
                w->skips_room = room;
        }
        w->bytes -= index_bytes(&w->skips_index);
        r = index_add(&w->skips_index, skip_hash(thread, state == STATE_RUNQ), w->skips_n);
        w->bytes += index_bytes(&w->skips_index);
        if (r < 0)
                return r;
        w->skips[w->skips_n++] = (struct window_skip){.thread = thread, .ns = ns, .state = (uint8_t)state};
        thread->uses++;
        return 0;
}

void window_seal(struct window *w) {
        struct window_row *rows;

        if (w->sealed || w->rows_n == 0)
                return;
        w->bytes -= index_bytes(&w->rows_index);
        index_fini(&w->rows_index);
        w->sealed = true;
        rows = reallocarray(w->rows, w->rows_n, sizeof(*rows));
        if (!rows)
                return;
        w->rows = rows;
        w->bytes -= (w->rows_room - w->rows_n) * sizeof(*rows);
        w->rows_room = w->rows_n;
}

/* The next claim's part: whole ns, and all of `ns` once everybody has claimed. */
static uint64_t skip_claim(struct window_skip *k, uint64_t excess) {
        unsigned __int128 before = k->claimed * k->ns / k->excess;

        k->claimed += excess;
        return (uint64_t)(k->claimed * k->ns / k->excess - before);
}

static void window_sum_excess(struct window *w) {
        for (uint32_t i = 0; i < w->skips_n; i++)
                w->skips[i].excess = w->skips[i].claimed = 0;
        for (uint32_t i = 0; i < w->rows_n; i++) {
                const struct window_row *row = &w->rows[i];
                struct window_skip *k;

                if (row->excess == 0)
                        continue;
                k = window_skip_find(w, row->thread, row->state == STATE_RUNQ);
                if (k)
                        k->excess += row->excess;
        }
}

int window_each(struct window *w, window_row_fn *fn, void *userdata) {
        int r;

        if (w->skips_n > 0)
                window_sum_excess(w);
        for (uint32_t i = 0; i < w->rows_n; i++) {
                struct window_row row = w->rows[i];

                if (row.excess > 0) {
                        struct window_skip *k = window_skip_find(w, row.thread, row.state == STATE_RUNQ);

                        if (k)
                                row.ns += skip_claim(k, row.excess);
                        row.excess = 0;
                }
                r = fn(userdata, &row);
                if (r < 0)
                        return r;
        }
        for (uint32_t i = 0; i < w->skips_n; i++) {
                struct window_row row = {
                                .thread = w->skips[i].thread, .ns = w->skips[i].ns, .state = w->skips[i].state};

                if (w->skips[i].excess > 0)
                        continue;
                r = fn(userdata, &row);
                if (r < 0)
                        return r;
        }
        return 0;
}
