/* SPDX-License-Identifier: Apache-2.0 */
/* The lines of a source file, read with the rights of whoever asks. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

struct source {
        char *data;   /* owned; the lines end in NUL */
        char **lines; /* owned; [0] is line 1 */
        size_t n;
        int64_t changed; /* mtime, Unix ns */
};

/* A regular file of at most 16 MiB. 0, -errno. */
int source_read(const char *path, struct source *ret);
void source_fini(struct source *s);
#define _cleanup_source_ _cleanup_(source_fini)

/* NULL: there is no such line. */
const char *source_line(const struct source *s, size_t line);

/* The block of the function called `name` (qualified) that has code in the lines from `low` to `high`. */
void source_block(const struct source *s, const char *name, size_t low, size_t high, size_t *ret_first,
                  size_t *ret_last);
