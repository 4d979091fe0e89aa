/* SPDX-License-Identifier: Apache-2.0 */
/* A growing run of bytes. After a failed allocation it stays failed; whoever finishes with it asks once. */
#pragma once

#include <errno.h>
#include <stdbool.h>

#include "base/macro.h"

struct buffer {
        char *data; /* owned; not terminated by NUL unless buffer_terminate() was called */
        size_t size;
        size_t room;
        bool failed;
};

void buffer_fini(struct buffer *b);
void buffer_add(struct buffer *b, const void *data, size_t size);
void buffer_add_string(struct buffer *b, const char *s);
void buffer_printf(struct buffer *b, const char *format, ...) _printf_(2, 3);

/* 0 or -ENOMEM for everything added so far; on 0 the data end in a NUL that `size` does not count. */
int buffer_terminate(struct buffer *b);

#define _cleanup_buffer_ _cleanup_(buffer_fini)
