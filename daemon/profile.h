/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A question to the history and its answer. The answer is plain data: serve renders it as JSON, export/ as files.
 * Times are CLOCK_MONOTONIC nanoseconds; whoever speaks to people converts them.
 */
#pragma once

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "state.h"

enum profile_by {
        BY_PROCESS = 1 << 0,
        BY_THREAD = 1 << 1,
        BY_FUNCTION = 1 << 2,
        BY_LINE = 1 << 3,
        BY_STACK = 1 << 4,
        BY_UNIT = 1 << 5,
        BY_CONTAINER = 1 << 6,
        BY_COMMAND = 1 << 7,
        BY_STATE = 1 << 8,
        BY_PEER = 1 << 9,
        BY_WAKER = 1 << 10,
        BY_WINDOW = 1 << 11,
};
#define BY_FRAMES (BY_FUNCTION | BY_LINE | BY_STACK) /* rows that have an own share */

enum profile_idle { IDLE_HIDE, IDLE_SHOW, IDLE_ONLY };
enum profile_sort { SORT_DEFAULT, SORT_OWN, SORT_TOTAL, SORT_WALL, SORT_CPU, SORT_WAIT, SORT_NAME };

#define PROFILE_ANYONE ((uint32_t)-1) /* viewer that sees every process */

/* Selectors: different ones combine with AND, the same one repeated with OR; an empty list selects everything. */
struct profile_query {
        uint64_t since, until;
        unsigned by; /* enum profile_by */
        enum profile_idle idle;
        enum profile_sort sort;
        size_t limit;    /* rows; 0: all */
        uint32_t viewer; /* uid whose processes alone count, or PROFILE_ANYONE */

        uint32_t *pids;
        size_t pids_n;
        bool children; /* descendants of pids too */
        char **units;
        size_t units_n; /* globs */
        char **containers;
        size_t containers_n; /* id prefixes */
        char **comms;
        size_t comms_n; /* globs on comm and command */
        char **threads;
        size_t threads_n; /* tid or name */
        regex_t *functions;
        size_t functions_n; /* stacks that contain one, extended regular expressions */
        uint32_t states;    /* bit set of enum state; 0: all */
        char **files;
        size_t files_n; /* for lines: path suffixes; stacks that contain one */
};

/* Borrowed strings live as long as the profile. */
struct profile_frame {
        const char *function;
        const char *file;
        int line; /* first line of the function, or the executed line, as the question was */
        enum { FRAME_PYTHON, FRAME_NATIVE, FRAME_KERNEL } kind;
};

struct profile_detail {
        enum state state;
        const char *detail;
        uint64_t ns;
};

struct profile_waits {
        uint64_t count, p50_ns, p95_ns, p99_ns, max_ns; /* from logarithmic buckets, 1/8 octave wide or better */
};

struct profile_row {
        /* the key: what `by` names is set, the rest is zero */
        uint32_t pid, tid;
        uint64_t started; /* of the process */
        const char *comm, *command, *thread, *unit, *container;
        struct profile_frame frame; /* by function or line */
        const struct profile_frame *frames;
        size_t frames_n; /* by stack; root first */
        int state;       /* by state; else -1 */
        const char *peer, *waker;
        uint64_t window;

        uint64_t wall_ns, cpu_ns, idle_ns, samples;
        uint64_t own[STATE_MAX];   /* rows by function, line, stack */
        uint64_t total[STATE_MAX]; /* every row; sums to wall_ns */
        struct profile_waits waits;
        struct profile_detail *details;
        size_t details_n; /* the ten largest, then `other` */
};

struct profile_loss {
        uint64_t dropped_events, stacks, truncated_stacks, incomplete_stacks, unresolved_frames;
        struct {
                const char *cause;
                uint64_t n;
        } causes[64];
        size_t causes_n;
};

struct profile {
        uint64_t since, until; /* effective: rounded outward to stored windows */
        uint64_t oldest;       /* the oldest instant that history holds */
        unsigned by;
        struct profile_row *rows;
        size_t rows_n;
        size_t processes, threads; /* that the selection met */
        size_t idle_threads;       /* of them, those with idle time */
        uint64_t wall_ns, cpu_ns, idle_ns, samples, states[STATE_MAX];
        struct profile_loss loss;
        void *arena; /* owns every string and array above */
};

/* One pair caller -> callee, for stats. */
struct profile_edge {
        struct profile_frame caller, callee;
        uint64_t wall_ns, cpu_ns; /* time under the pair, counted once a stack */
};

struct store;

/* 0, -ENOMEM. *ret is profile_free()'s. `now` closes what is still open. */
int profile_query(struct store *s, const struct profile_query *q, uint64_t now, struct profile **ret);
void profile_free(struct profile *p);

/* For stats --callers/--callees, over the same selection. *ret is the caller's to free(), strings included. */
int profile_edges(struct store *s, const struct profile_query *q, uint64_t now, struct profile_edge **ret,
                  size_t *ret_n);
