/* SPDX-License-Identifier: Apache-2.0 */
/* A hash index over an array that somebody else keeps: maps hashes to positions, the caller compares. Nothing is taken
 * out singly. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct index_slot {
        uint32_t hash;
        uint32_t entry; /* position + 1; 0: free */
};

struct index {
        struct index_slot *slots;
        uint32_t room; /* a power of two, or 0 */
        uint32_t n;
};

void index_fini(struct index *ix);
void index_clear(struct index *ix);                                /* keeps the room */
int index_add(struct index *ix, uint32_t hash, uint32_t position); /* 0, -ENOMEM; `position` < UINT32_MAX */
uint32_t index_hash(const void *data, size_t size, uint64_t seed);

/* The next position whose hash is `hash`; *at starts at 0. False when there is none left. */
static inline bool index_next(const struct index *ix, uint32_t hash, uint32_t *at, uint32_t *ret_position) {
        while (*at < ix->room) {
                const struct index_slot *slot = &ix->slots[(hash + (*at)++) & (ix->room - 1)];

                if (slot->entry == 0)
                        return false;
                if (slot->hash == hash) {
                        *ret_position = slot->entry - 1;
                        return true;
                }
        }
        return false;
}

static inline size_t index_bytes(const struct index *ix) {
        return ix->room * sizeof(struct index_slot);
}
