/* SPDX-License-Identifier: Apache-2.0 */
/* Rows in the making: what the entries of a tally add to each key that the question names. */
#pragma once

#include "frames.h"
#include "tally.h"

/* What `by` names is set, the rest is zero; strings are interned. Compared as bytes. */
struct group_key {
        uint64_t started, window;
        const char *comm, *command, *thread, *unit, *container, *peer;
        uint32_t pid, tid;
        uint32_t frame; /* + 1 */
        uint32_t stack; /* content + 1 */
        uint64_t state; /* + 1 */
};

struct group_row {
        struct group_key key;
        uint64_t own[STATE_MAX], total[STATE_MAX];
        uint64_t idle_ns, samples;
        struct histogram *waits;
};

struct group_detail {
        uint32_t row;
        enum state state;
        const struct held_detail *detail;
        uint64_t ns;
};

struct group {
        const struct profile_query *query;
        struct words *words;
        struct frames *frames;
        struct group_key **threads; /* the thread's part of the key, by index; in the arena */

        struct group_row *rows;
        uint32_t n, room;
        struct index index;
        struct group_detail *details;
        uint32_t details_n, details_room;
        struct index details_index;
};

int group_init(struct group *g, const struct profile_query *q, struct frames *f, const struct held *held);
void group_fini(struct group *g);

/* `s` is the entry's stack. 0, -ENOMEM. */
int group_add(struct group *g, const struct tally_entry *e, const struct frames_stack *s);
