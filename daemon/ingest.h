/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to observations: knows which processes and threads are followed, checks every record against the books
 * of its thread, and makes each nanosecond of a thread's life part of exactly one observation.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "followed.h"

struct ingest;

/* Which interpreter a target index means; borrowed, NULL if unknown. Asked when a process starts. */
typedef const struct image *ingest_image_fn(void *userdata, uint32_t target);

enum ingested_kind {
        INGESTED_NOTHING,
        INGESTED_PROCESS_START,
        INGESTED_THREAD_START,
        INGESTED_OBSERVATION,
        INGESTED_CODE,
        INGESTED_STACK,
        INGESTED_STATE, /* thread->open is fresh; comes with an observation when time has passed */
};

/* What a record turned out to be. Pointers are borrowed until the next call. */
struct ingested {
        enum ingested_kind kind;
        struct followed_process *process;
        struct followed_thread *thread;
        struct observation observation;
        bool observed; /* observation holds time */
        const void *record;
        size_t size;
};

struct ingest_counters {
        uint64_t records;
        uint64_t lost;         /* records missing by their sequence numbers */
        uint64_t lost_ns;      /* off-CPU time that they would have told of */
        uint64_t malformed;    /* records of a size or kind that cannot be */
        uint64_t inconsistent; /* records whose times do not add up: repaired, counted */
        uint64_t orphans;      /* records of processes that are not followed */
        uint64_t missed_ends;  /* threads whose end was not told of */
};

int ingest_new(const char *proc_root, ingest_image_fn *image, void *userdata, struct ingest **ret);
void ingest_free(struct ingest *i);

int ingest_record(struct ingest *i, const void *record, size_t size, struct ingested *ret);

/* Threads and processes that have ended since the last call, by their own word or by being missed: taken out of the
 * tables, one reference each for the caller, threads before their process. NULL when there is none. */
struct followed_thread *ingest_take_gone_thread(struct ingest *i);
struct followed_process *ingest_take_gone_process(struct ingest *i);

/* A pass of the task iterator: threads that began before it and that it did not tell of are gone; their end was lost.
 */
void ingest_begin_pass(struct ingest *i, uint64_t now);
void ingest_end_pass(struct ingest *i);

/* Reads what /proc says of forked children that have lived for a while; until then they are as their parent is. */
void ingest_describe(struct ingest *i, uint64_t now);

/* Live processes, by pid; with HASH_ITER. */
struct followed_process *ingest_processes(struct ingest *i);
struct followed_thread *ingest_threads(struct ingest *i);
struct followed_process *ingest_process_find(struct ingest *i, uint32_t pid);

/* A Python process that is not profiled: known by name and reason only. -EEXIST when the pid is known already. */
int ingest_add_unprofiled(struct ingest *i, uint32_t pid, const struct image *image);
/* One that is gone, or has become another program. */
void ingest_forget_unprofiled(struct ingest *i, struct followed_process *p);

const struct ingest_counters *ingest_counters(const struct ingest *i);
