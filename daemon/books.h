/* SPDX-License-Identifier: Apache-2.0 */
/* The arithmetic of a thread's books: what lies between two records. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "followed.h"

struct books_check {
        unsigned records;      /* in: how many records with books there are up to this one: 1, or 0 for a snapshot */
        uint64_t lost;         /* records missing between the two */
        uint64_t inconsistent; /* 1: the times did not add up and were repaired */
};

/*
 * Fills in the times of *o, whose tick or wait fields the caller has set: what has happened to the thread between its
 * last record and this one, which has books `b` and speaks of the time up to `end`. Afterwards the thread is accounted
 * up to `end`. What the observation says sums to end - begin, whatever the record said.
 */
void books_observe(struct followed_thread *t, const struct event_books *b, uint64_t end, struct observation *o,
                   struct books_check *ret);

/* Whether books `b` at `end` follow from the thread's own: no time is missing, none is there twice. */
bool books_agree(const struct followed_thread *t, const struct event_books *b, uint64_t end);
