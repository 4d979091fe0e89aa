/* SPDX-License-Identifier: Apache-2.0 */
/*
 * History in memory: windows of 1 s for the last ten minutes, of 10 s for an hour before, within a bound; the oldest go
 * first and are counted. Waits longer than a few windows are kept as spans, once, and cut when they are asked for.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "aggregate.h"

struct store;

struct store_counters {
        uint64_t bytes, windows, rows, spans;
        uint64_t oldest;          /* instant of the oldest window */
        uint64_t dropped_windows; /* left early for want of memory */
        uint64_t folded;          /* slices that lost their stack for want of memory: one window alone is too much */
};

int store_new(uint64_t memory_max, struct store **ret);
void store_set_memory_max(struct store *s, uint64_t memory_max); /* obeyed from the next store_age() on */
void store_free(struct store *s);

/* Adds one slice, whole; time older than the history is left out. Takes references of its own. -ENOMEM. */
int store_add(struct store *s, const struct slice *slice);

/* Tells the store of a thread that lives, so that queries can extend what is open to `now`; and of its end. */
int store_thread(struct store *s, struct followed_thread *t);
void store_thread_gone(struct store *s, struct followed_thread *t);

/* How an open wait's hash becomes a stack at query time: set once by whoever composes the stages. */
typedef struct stack *store_lookup_fn(void *userdata, struct followed_process *p, uint64_t hash); /* new reference */
void store_set_lookup(struct store *s, store_lookup_fn *lookup, void *userdata);

/* Compacts and drops what is too old or too much. Called about once a second; bounded work. */
void store_age(struct store *s, uint64_t now);

void store_counters(const struct store *s, struct store_counters *ret);
