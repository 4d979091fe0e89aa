/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the history refers to: threads, stacks, details. Each exists once here however many rows tell of it, and goes
 * with the last of them. `index` is dense, so that a query can keep what it finds out about each in an array.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "followed.h"
#include "stack.h"

struct held_thread {
        struct followed_thread *thread; /* a reference */
        uint64_t uses;
        uint32_t index;
        bool live;
        UT_hash_handle hh;
};

struct held_stack {
        struct stack *stack; /* a reference */
        uint64_t uses;
        size_t bytes; /* what it was last counted as */
        uint32_t index;
        UT_hash_handle hh;
};

struct held_detail {
        uint64_t uses;
        UT_hash_handle hh;
        char text[];
};

struct held {
        struct held_thread *threads_by, **threads;
        uint32_t threads_n, threads_room;
        struct held_stack *stacks_by, **stacks;
        uint32_t stacks_n, stacks_room;
        struct held_detail *details_by;
        size_t bytes;
};

void held_fini(struct held *h);

/* Finds or adds, with one use more that is the caller's. NULL, and "" for a detail, are fine and stay NULL. */
int held_thread_get(struct held *h, struct followed_thread *thread, struct held_thread **ret);
int held_stack_get(struct held *h, struct stack *stack, struct held_stack **ret);
int held_detail_get(struct held *h, const char *text, struct held_detail **ret);

/* Gives one use back. NULL is fine. */
void held_thread_put(struct held *h, struct held_thread *t);
void held_stack_put(struct held *h, struct held_stack *s);
void held_detail_put(struct held *h, struct held_detail *d);

static inline const char *held_detail_text(const struct held_detail *d) {
        return d ? d->text : "";
}
