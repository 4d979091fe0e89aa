/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the cost within the budget: compares what BPF and the daemon use with the machine's capacity once a second, and
 * says what to give up, or to take up again: first the walking of short waits, then ticks, last the looking at every
 * switch. Pure: it is told and answers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct governor {
        double limit; /* percent of the machine's CPU capacity */
        unsigned rate_max;
        unsigned step; /* how much is given up: 0 nothing */
        unsigned calm; /* seconds below half the limit */
        double cost;   /* percent; a moving average over about two seconds, since rounds of rest are uneven */
        uint64_t last; /* when it was last told */
};

struct governor_setting {
        uint64_t walk_below_ns;
        unsigned rate;
        unsigned duty; /* percent of the time in which switches are looked at; 100: always */
};

void governor_init(struct governor *g, double limit, unsigned rate_max);

/* CPU time used since the last turn; `capacity` is the number of CPUs. Returns 1 when the setting changed. */
int governor_turn(struct governor *g, uint64_t now, uint64_t used_ns, unsigned capacity);

struct governor_setting governor_setting(const struct governor *g);
void governor_describe(const struct governor *g, char *text, size_t size);
