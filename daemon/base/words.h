/* SPDX-License-Identifier: Apache-2.0 */
/* Strings interned in an arena: equal ones have the same address. */
#pragma once

#include "base/arena.h"
#include "base/index.h"

struct words {
        struct arena *arena; /* borrowed, owns the strings */
        struct index index;
        const char **list;
        uint32_t n, room;
};

void words_fini(struct words *w);                         /* the strings stay with the arena */
const char *words_get(struct words *w, const char *text); /* NULL: out of memory */
