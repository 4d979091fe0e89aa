/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From records to observations: keeps the roster, checks every record against the books of its thread, and makes each
 * nanosecond of a thread's life part of exactly one observation.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "followed.h"
#include "roster.h"

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
};

/* Borrows the roster, and keeps it. */
int ingest_new(const char *proc_root, struct roster *roster, ingest_image_fn *image, void *userdata,
               struct ingest **ret);
void ingest_free(struct ingest *i);

int ingest_record(struct ingest *i, const void *record, size_t size, struct ingested *ret);

const struct ingest_counters *ingest_counters(const struct ingest *i);
