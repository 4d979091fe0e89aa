/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs in the kernel: the only place that knows libbpf and the skeleton. Emits the records of event.h.
 * Everything it puts into the kernel hangs on its descriptors and is gone with probe_free(), or with the process.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "target.h"

struct probe;

/* One record; `data` lives for the call. A negative return value stops the reading and is passed on. */
typedef int probe_record_fn(void *userdata, const void *data, size_t size);

/* An executable file was mapped: by whom, and which one. */
struct probe_mapping {
        uint32_t pid;
        uint32_t dev_major, dev_minor;
        uint64_t inode, inode_generation;
        uint64_t start, end, offset;
        const char *path; /* as the process sees it; lives for the call */
};
typedef int probe_mapping_fn(void *userdata, const struct probe_mapping *m);

/* What kept it from starting, for people: set where probe_new() fails. */
struct probe_failure {
        char what[256];
        char hint[256];
};

int probe_new(unsigned rate, probe_record_fn *on_record, probe_mapping_fn *on_mapping, void *userdata,
              struct probe_failure *ret_failure, struct probe **ret);
void probe_free(struct probe *p);

/* Readable when records, or mappings, should be read soon. They stay the probe's. */
int probe_records_fd(const struct probe *p);
int probe_mappings_fd(const struct probe *p);
/* Some of what is there, so that the event loop is not held up; the other: all of it, but for what comes meanwhile. */
int probe_read_records(struct probe *p);
int probe_read_all_records(struct probe *p);
int probe_read_mappings(struct probe *p);

/* Grows whenever records of mappings may be missing: who needs all of them has to look for himself. */
uint64_t probe_mapping_gaps(const struct probe *p);

/* An interpreter binary: its map entries, and a probe where it starts. `fd` is the ELF file. Index < TARGETS_MAX.
 * 1: the probe is there; 0: the binary has no place for one; -errno: it could not be attached. */
int probe_add_target(struct probe *p, uint32_t index, const struct target *t, const struct target_image *image, int fd,
                     uint64_t probe_offset);

/* Takes the probes away; waits until none of them runs any more. */
void probe_remove_targets(struct probe *p, const uint32_t *indices, size_t n);
/* Which targets have a process, one that waits for probe_iterate() included. */
int probe_busy_targets(const struct probe *p, bool ret_busy[static TARGETS_MAX]);

/* A process that runs already: follow it from the next probe_iterate() on. -E2BIG when there are too many. */
int probe_add_process(struct probe *p, uint32_t pid, const struct process *process);
/* Forgets one that probe_iterate() did not meet (its scope is still 0). */
void probe_check_process(struct probe *p, uint32_t pid);

/* Reads one EVENT_STATE for each followed thread into on_record. Records in the ring buffer come first. */
int probe_iterate(struct probe *p);

/* The daemon does not know this stack (any more): have it sent again. */
void probe_forget_stack(struct probe *p, uint64_t hash);

int probe_set_rate(struct probe *p, unsigned rate);
unsigned probe_rate(const struct probe *p);
void probe_set_walk_below(struct probe *p, uint64_t ns);
/* Switches are not looked at until it is called again with false; the kernel's own totals bridge the gap. */
void probe_rest(struct probe *p, bool rest);

/* Has the kernel count what the programs take, or not: the counting costs 50 ns a run itself, of every BPF program on
 * the machine. Statistics stand still meanwhile. */
void probe_measure(struct probe *p, bool on);

/* CPUs that came online get their tick. Called about once a second. */
int probe_cover_cpus(struct probe *p);

struct probe_program {
        const char *name;
        uint64_t runs, ns; /* since loading, as BPF statistics count */
};

/* What of the kernel is used, or why it is not. */
struct probe_feature {
        const char *name;
        bool ok;
        char why[96];
};

#define PROBE_FEATURES 5

struct probe_stats {
        struct probe_program programs[16];
        size_t programs_n;
        uint64_t overhead_ns; /* what BPF statistics count for one run of an empty program */
        uint64_t counters[COUNTER_MAX];
        uint64_t mappings_lost;
};

int probe_stats(const struct probe *p, struct probe_stats *ret);
void probe_features(const struct probe *p, struct probe_feature ret[PROBE_FEATURES]);
