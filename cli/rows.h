/* SPDX-License-Identifier: Apache-2.0 */
/* `wall`'s document as a heading and a table. */
#pragma once

#include <jansson.h>

#include "base/buffer.h"
#include "output.h"

/* Window, processes, threads, wall, CPU, idle, loss: one line, unescaped. */
void rows_heading(struct buffer *b, const json_t *answer);

/* `idle: 31 min in 31 threads (--idle show)`, empty when rows leave nothing out. */
void rows_idle_note(struct buffer *b, const json_t *answer);

/* The table of the rows for which `wanted` (NULL: all) says so. 0, -ENOMEM. */
int rows_table(const json_t *answer, bool (*wanted)(const json_t *row, void *user), void *user, struct table *ret);

/* Everything, as `wall` prints it; idle_hidden: with the note about what was left out. 0, -ENOMEM. */
int rows_print(struct output *o, const json_t *answer, bool idle_hidden);

/* Nothing at all met the selection, idle time included. */
bool rows_nothing(const json_t *answer);

/* `function (file:line)`. */
void rows_frame(struct buffer *b, const json_t *frame);

/* `12 dropped events, 3 truncated stacks (cause 12)`; `none`. At most `causes` of the causes, the largest. */
void rows_loss(struct buffer *b, const json_t *loss, size_t causes);

/* Whether `by` of the answer names this key. */
bool rows_by(const json_t *answer, const char *key);

static inline uint64_t rows_number(const json_t *object, const char *name) {
        json_int_t n = json_integer_value(json_object_get(object, name));

        return n < 0 ? 0 : (uint64_t)n;
}

static inline const char *rows_string(const json_t *object, const char *name) {
        const char *s = json_string_value(json_object_get(object, name));

        return s ? s : "";
}
