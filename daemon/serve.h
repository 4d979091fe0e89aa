/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The API of pyprofd(8): HTTP/1.1 and JSON on the UNIX socket, on the daemon's own event loop. What it tells comes
 * from the other stages through struct serve_source, which whoever composes them fills. Who asks is told by
 * SO_PEERCRED.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-event.h>

#include "followed.h"
#include "profile.h"
#include "stack.h"

struct serve;

/* One thread, as it is now. Borrowed for the call. */
struct serve_thread {
        uint32_t tid;
        const char *name;          /* threading's where it is known, else the kernel's */
        enum state state;          /* of a thread on a CPU: python, native or kernel */
        const char *detail;        /* NULL or "": none */
        bool gil;                  /* holds the GIL */
        const struct stack *stack; /* NULL: no Python frame */
};

struct serve_feature {
        const char *name;
        bool ok;
        const char *why; /* it is used, or not; NULL: nothing to say */
};

struct serve_program {
        const char *name;
        uint64_t runs, ns;
};

/* What `status` says and serve does not know by itself. Strings live as long as the source. */
struct serve_status {
        uint64_t uptime_ns;
        const struct serve_feature *features;
        size_t features_n;
        const struct serve_program *programs;
        size_t programs_n;
        uint64_t records;        /* that came from the kernel */
        uint64_t history_oldest; /* CLOCK_MONOTONIC; 0: none yet */
        uint64_t history_bytes;
        double budget_limit, budget_cost; /* percent of the machine's CPU capacity */
        const char *budget_setting;
        unsigned budget_rate; /* Hz, as it is now */
};

typedef int serve_process_fn(void *arg, const struct followed_process *p, unsigned threads);
typedef int serve_thread_fn(void *arg, const struct serve_thread *t);

/* Every function gets `userdata` first and returns 0 or -errno; what `each` returns other than 0 is passed on at once.
 */
struct serve_source {
        struct store *store;
        void *userdata;
        /* Brings every record and the open state of every thread up to now: called before each question. */
        int (*sync)(void *userdata);
        /* Every Python process that lives, those that are not profiled too, with the number of its threads. */
        int (*processes)(void *userdata, serve_process_fn *each, void *arg);
        /* Every thread of a profiled process that lives, with its stack as it is now. Reading its memory takes
         * budget_ns at most: stacks that are not read by then are missing. -ESRCH: it has gone since. */
        int (*threads)(void *userdata, uint32_t pid, uint64_t budget_ns, serve_thread_fn *each, void *arg);
        int (*status)(void *userdata, struct serve_status *ret);
        /* Adds to *loss what was lost since the start, whatever the question: dropped_events and causes. What a stack
         * of the answer itself lacks has been counted by profile_query(). Strings live as long as the source. */
        int (*loss)(void *userdata, struct profile_loss *loss);
};

/* Strings are copied. */
struct serve_settings {
        const char *socket;
        const char *group; /* sees everything, as root does; "" for none */
        const char *proc_root;
};

/* Listens from now on (listener_open() in listen.h has the errors: they have been logged). Does not take the event
 * loop's ownership; `source` must outlive it, as must what it points to. */
int serve_new(sd_event *event, const struct serve_settings *settings, const struct serve_source *source,
              struct serve **ret);
void serve_free(struct serve *s); /* NULL is fine; ends every connection, removes the socket */
