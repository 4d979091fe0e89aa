/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes and threads that are followed, and those that are gone but that history still tells of.
 * Owned by ingest; others hold references. Times are CLOCK_MONOTONIC nanoseconds.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "event.h"
#include "python/image.h"
#include "state.h"

struct followed_process {
        unsigned refs; /* one by ingest while it lives, one by each thread, one by whoever else keeps it */

        uint32_t pid; /* in the initial pid namespace; ids are reused, (pid, scope) is unique */
        uint64_t scope;
        uint64_t started;
        uint64_t ended; /* 0: lives */
        uint32_t ppid;
        uint32_t ancestors[PROCESS_ANCESTORS]; /* at its start: ppid, that one's parent, ...; 0 ends them */
        uint32_t uid;
        uint32_t namespace_pid; /* the pid in its own namespace; pid when there is only one */
        char comm[THREAD_COMM_MAX];
        char *cmdline;    /* words joined by spaces; "" when it could not be read. Owned, never NULL */
        char *command;    /* base name of the script or `-m` module, else comm */
        char *executable; /* path, "" if unknown */
        char *unit;       /* systemd unit, "" if none */
        char *container;  /* container id, "" if none */

        bool profiled;
        char reason[96];           /* why not */
        const struct image *image; /* a reference; NULL if unknown */
        uint64_t runtime;          /* addresses in its memory, as in struct process of target.h */
        uint64_t code_type;

        unsigned alive;                /* threads in ingest's table */
        bool described;                /* what /proc says of it has been read */
        unsigned threads_n;            /* scratch of whoever counts */
        bool unnamed;                  /* has threads whose names are not known yet */
        struct followed_process *next; /* in ingest's queue of those that are gone */

        /* Seed's: how long reads of its memory have held us up of late; unreadable: too long, it is not read again. */
        bool unreadable;
        uint64_t blocked_ns, blocked_at;

        UT_hash_handle hh; /* by pid, live ones only */
};

/* Off-CPU or on-CPU right now: what queries extend to their `until`. */
struct thread_open {
        enum thread_state state;
        enum state reason; /* of a blocked thread */
        uint64_t since;    /* when it left the CPU */
        uint64_t woken;    /* when it became runnable, 0: not yet */
        uint64_t stack;    /* hash; 0: none or not walked */
        int syscall;       /* number at switch-out; -1: outside any */
};

struct followed_thread {
        unsigned refs;
        struct followed_process *process; /* a reference */
        uint32_t tid;
        char comm[THREAD_COMM_MAX];
        char *name; /* threading's, when read; owned or NULL */
        uint64_t started;
        uint64_t ended;           /* 0: lives */
        uint64_t accounted;       /* every nanosecond of [started, accounted) has been booked */
        struct event_books books; /* at `accounted` */
        struct thread_open open;
        enum state mode;         /* where its last tick met it */
        uint64_t thread_pointer; /* 0: not known yet */
        uint64_t seeded;         /* the wait (its `since`) whose stack was asked for from user space */

        /* Aggregate's: CPU time no tick has claimed yet, in the window of `accounted` and in the one before. */
        uint64_t unclaimed_window; /* number of the current window */
        uint64_t unclaimed[2];     /* [0] current, [1] the one before */

        unsigned pass;                /* in which the task iterator last told of it */
        struct followed_thread *next; /* in ingest's queue of those that are gone */

        UT_hash_handle hh; /* by tid, live ones only */
};

struct followed_process *followed_process_ref(struct followed_process *p);
void followed_process_unref(struct followed_process *p); /* NULL is fine */
struct followed_thread *followed_thread_ref(struct followed_thread *t);
void followed_thread_unref(struct followed_thread *t);

/*
 * One record of a thread, checked and in the daemon's terms: what ingest emits and aggregate books.
 * cpu_ns + skipped_blocked_ns + skipped_runnable_ns + lost_ns + (wait ? end - since : 0) == end - begin, always.
 */
struct observation {
        struct followed_thread *thread; /* borrowed for the call */
        uint64_t begin, end;            /* the time that this record accounts for: contiguous per thread */
        uint64_t cpu_ns;
        uint64_t skipped_blocked_ns; /* off-CPU that no record tells of, on purpose: divided by the sampled waits */
        uint64_t skipped_runnable_ns;
        uint64_t lost_ns; /* off-CPU whose records were lost: `other: lost records` */

        bool tick; /* claims the thread's CPU time since its previous tick, in tick_state */
        enum state tick_state;

        bool wait; /* blocked for `reason` in [since, woken), runq in [woken, end) */
        uint64_t since, woken;
        enum state reason;
        const char *detail; /* of `reason`, "" if none */
        uint32_t weight;    /* 1/p: how many waits this sampled one stands for; 1: all are recorded */

        uint64_t stack; /* hash of tick or wait; 0: no Python frame or not walked */
        uint16_t flags; /* EVENT_STACK_* */
};
