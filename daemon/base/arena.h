/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed all at once. */
#pragma once

#include <stddef.h>

#include "base/macro.h"

struct arena;

struct arena *arena_new(void); /* NULL: out of memory */
void arena_free(struct arena *a);
void *arena_alloc(struct arena *a, size_t size); /* zeroed, aligned for anything; NULL: out of memory */

DEFINE_CLEANUP(struct arena *, arena_free)
#define _cleanup_arena_ _cleanup_(arena_freep)
