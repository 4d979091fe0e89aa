/* SPDX-License-Identifier: Apache-2.0 */
#include "base/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define INDEX_ROOM_MIN 16

void index_fini(struct index *ix) {
        free(ix->slots);
        *ix = (struct index){};
}

uint32_t index_hash(const void *data, size_t size, uint64_t seed) {
        return (uint32_t)XXH3_64bits_withSeed(data, size, seed);
}

void index_clear(struct index *ix) {
        if (ix->n > 0)
                memset(ix->slots, 0, index_bytes(ix));
        ix->n = 0;
}

static void index_place(struct index *ix, uint32_t hash, uint32_t entry) {
        uint32_t i = hash & (ix->room - 1);

        while (ix->slots[i].entry != 0)
                i = (i + 1) & (ix->room - 1);
        ix->slots[i] = (struct index_slot){.hash = hash, .entry = entry};
}

static int index_grow(struct index *ix) {
        struct index bigger = {.room = ix->room ? ix->room * 2 : INDEX_ROOM_MIN, .n = ix->n};

        if (bigger.room < ix->room)
                return -ENOMEM;
        bigger.slots = calloc(bigger.room, sizeof(*bigger.slots));
        if (!bigger.slots)
                return -ENOMEM;
        for (uint32_t i = 0; i < ix->room; i++)
                if (ix->slots[i].entry != 0)
                        index_place(&bigger, ix->slots[i].hash, ix->slots[i].entry);
        free(ix->slots);
        *ix = bigger;
        return 0;
}

int index_add(struct index *ix, uint32_t hash, uint32_t position) {
        int r;

        /* At most three quarters full: probes stay short, and index_next always meets a free slot. */
        if (ix->n + 1 > ix->room - ix->room / 4) {
                r = index_grow(ix);
                if (r < 0)
                        return r;
        }
        index_place(ix, hash, position + 1);
        ix->n++;
        return 0;
}
