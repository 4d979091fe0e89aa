/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which files hold a CPython, and which processes run it. Emits targets (into BPF: probe.h) and processes to take in.
 * A file is looked at once. From then on its processes are found by the probe at their start, without user space.
 */
#pragma once

#include <stdint.h>

#include "roster.h"
#include "probe.h"

struct discovery;

struct discovery_counters {
        uint64_t files;      /* looked at */
        uint64_t targets;    /* interpreter binaries followed */
        uint64_t late;       /* processes of binaries never seen before: their beginning may be missing */
        uint64_t rescans;    /* because records of mappings were lost, or a CPU came */
        uint64_t unreadable; /* files and mappings that could not be looked at */
};

/* Borrows all three. */
int discovery_new(const char *proc_root, struct probe *probe, struct roster *roster, struct discovery **ret);
void discovery_free(struct discovery *d);

const struct image *discovery_image(const struct discovery *d, uint32_t target);

/* Looks at the interpreters that are installed where they usually are, so that their first process is not late. */
void discovery_prime(struct discovery *d);

/* Every process there is, and those that they fork meanwhile. Takes them in. */
int discovery_scan(struct discovery *d);

/* A file was mapped. Returns 1 when a process was found that discovery_adopt() should take in. */
int discovery_mapping(struct discovery *d, const struct probe_mapping *m);

/* Takes in what was found: its threads arrive as records. */
int discovery_adopt(struct discovery *d);

/* About once a second: makes up for what was missed, and gives back what is not needed any more. */
int discovery_turn(struct discovery *d, uint64_t now);

const struct discovery_counters *discovery_counters(const struct discovery *d);
