/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <string.h>

#define ARENA_CHUNK 16384
#define ARENA_ALIGN 16

struct arena_chunk {
        struct arena_chunk *next;
        size_t used, size;
        _Alignas(ARENA_ALIGN) char data[];
};

struct arena {
        struct arena_chunk *chunks; /* the one being filled comes first */
};

struct arena *arena_new(void) {
        return calloc(1, sizeof(struct arena));
}

void arena_free(struct arena *a) {
        if (!a)
                return;
        for (struct arena_chunk *c = a->chunks, *next; c; c = next) {
                next = c->next;
                free(c);
        }
        free(a);
}

void *arena_alloc(struct arena *a, size_t size) {
        struct arena_chunk *c = a->chunks;
        void *p;

        if (size > SIZE_MAX / 2)
                return NULL;
        size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
        if (!c || c->size - c->used < size) {
                size_t room = MAX(size, (size_t)ARENA_CHUNK);

                c = malloc(sizeof(*c) + room);
                if (!c)
                        return NULL;
                *c = (struct arena_chunk){.next = a->chunks, .size = room};
                a->chunks = c;
        }
        p = c->data + c->used;
        c->used += size;
        memset(p, 0, size);
        return p;
}
