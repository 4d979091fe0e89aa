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
        unsigned step;     /* how much is given up: 0 nothing */
        unsigned calm;     /* seconds below half the limit */
        double cost;       /* percent; a moving average over about two seconds, since rounds of rest are uneven */
        uint64_t last;     /* when it was last told */
        unsigned settled;  /* turns since the setting or the load changed */
        double per_switch; /* BPF's time for each context switch of the machine, ns, as last measured */
        double switches;   /* context switches a second, at the turn before */
};

struct governor_setting {
        uint64_t walk_below_ns;
        unsigned rate;
        unsigned duty; /* percent of the time in which switches are looked at; 100: always */
};

void governor_init(struct governor *g, double limit, unsigned rate_max);

/* What was used since the last turn. */
struct governor_use {
        uint64_t cpu_ns;   /* by the daemon */
        uint64_t bpf_ns;   /* by the programs; meaningful when measured */
        uint64_t switches; /* context switches of the machine */
        bool measured;
};

/* `capacity` is the number of CPUs. Returns 1 when the setting changed. */
int governor_turn(struct governor *g, uint64_t now, const struct governor_use *u, unsigned capacity);

/* Should BPF's time be measured until the next turn? While nothing changes, one turn in ten is enough: in between it is
 * taken to go with the context switches. */
bool governor_measures(const struct governor *g);

struct governor_setting governor_setting(const struct governor *g);
void governor_describe(const struct governor *g, char *text, size_t size);
