/* SPDX-License-Identifier: Apache-2.0 */
#include "base/words.h"

#include <string.h>

void words_fini(struct words *w) {
        index_fini(&w->index);
        free(w->list);
        *w = (struct words){};
}

const char *words_get(struct words *w, const char *text) {
        size_t size = strlen(text);
        /* Seeded by an address: whoever chooses the strings cannot choose which of them collide. */
        uint32_t hash = index_hash(text, size, (uintptr_t)w->arena);
        char *copy;

        for (uint32_t at = 0, i; index_next(&w->index, hash, &at, &i);)
                if (strcmp(w->list[i], text) == 0)
                        return w->list[i];
        if (w->n == w->room) {
                uint32_t room = w->room ? w->room * 2 : 64;
                const char **list = reallocarray(w->list, room, sizeof(*list));

                if (!list)
                        return NULL;
                w->list = list;
                w->room = room;
        }
        copy = arena_alloc(w->arena, size + 1);
        if (!copy || index_add(&w->index, hash, w->n) < 0)
                return NULL;
        memcpy(copy, text, size);
        w->list[w->n++] = copy;
        return copy;
}
