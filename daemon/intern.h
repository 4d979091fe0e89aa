/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Equal functions, line tables and stacks exist once. Holds no references: what is interned leaves with its last one,
 * and may outlive the intern.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/macro.h"
#include "stack.h"

struct intern;

/* The line table of a code object: many processes run the same code. */
struct table {
        unsigned refs;
        struct intern *intern;
        uint64_t key;
        UT_hash_handle hh;
        size_t size;
        uint8_t data[];
};

int intern_new(struct intern **ret);
void intern_free(struct intern *i);

/* New references; NULL: out of memory. */
struct function *intern_function(struct intern *i, const char *name, const char *file, int line, bool unknown);
struct table *intern_table(struct intern *i, const uint8_t *data, size_t size);

void table_unref(struct table *t); /* NULL is fine */

/* What a stack consists of. */
struct stack_content {
        struct location *locations; /* leaf first */
        uint32_t n;
        bool truncated, incomplete, idle;
};

/* Take the locations in any case. A placeholder has an id, is found by nobody and is filled once. */
struct stack *intern_stack(struct intern *i, struct stack_content *content);
struct stack *intern_placeholder(struct intern *i, struct stack_content *content);
void intern_fill(struct intern *i, struct stack *placeholder, struct stack_content *content);

/* Calls `each` for every stack that is filled. */
void intern_each_stack(struct intern *i, void (*each)(void *userdata, struct stack *s), void *userdata);

uint64_t intern_bytes(const struct intern *i); /* memory held by what is interned, roughly */

/* For the last unref alone. */
void intern_remove_function(struct intern *i, struct function *f);
void intern_remove_stack(struct intern *i, struct stack *s);
