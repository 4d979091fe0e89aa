/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which processes and threads are followed now: the live tables, and the queues of those that have ended until the
 * pipeline has let go of them. Times are CLOCK_MONOTONIC nanoseconds.
 */
#pragma once

#include <stdint.h>

#include "event.h"
#include "followed.h"

struct roster;

int roster_new(const char *proc_root, struct roster **ret);
void roster_free(struct roster *o);

/* Live ones, with HASH_ITER; NULL when there is none. Borrowed. */
struct followed_process *roster_processes(struct roster *o);
struct followed_thread *roster_threads(struct roster *o);
struct followed_process *roster_process_find(struct roster *o, uint32_t pid);
struct followed_thread *roster_thread_find(struct roster *o, uint32_t tid);

/* A process that replaces whatever had its pid; what it is comes from its parent where it was forked, else from /proc.
 */
int roster_add_process(struct roster *o, const struct event *e, uint64_t started, uint32_t uid, uint32_t ppid,
                       const char *comm, const struct followed_process *parent, struct followed_process **ret);
/* A thread that replaces whatever had its tid, with books `b` at the time of the event. */
int roster_add_thread(struct roster *o, struct followed_process *p, const struct event *e, const struct event_books *b,
                      struct followed_thread **ret);

/* Into the queues. A process goes when its last thread has. */
void roster_end_thread(struct roster *o, struct followed_thread *t);
void roster_end_process(struct roster *o, struct followed_process *p);

/* Threads and processes that have ended since the last call, by their own word or by being missed: one reference each
 * for the caller, threads before their process. NULL when there is none. */
struct followed_thread *roster_take_gone_thread(struct roster *o);
struct followed_process *roster_take_gone_process(struct roster *o);

/* A pass of the task iterator: threads that began before it and that it did not tell of are gone; their end was lost.
 */
void roster_begin_pass(struct roster *o, uint64_t now);
void roster_told(struct roster *o, struct followed_thread *t);
void roster_end_pass(struct roster *o);
uint64_t roster_missed_ends(const struct roster *o);

/* Reads what /proc says of forked children that have lived for a while; until then they are as their parent is. */
void roster_describe(struct roster *o, uint64_t now);

/* A Python process that is not profiled: known by name and reason only. -EEXIST when the pid is known already. */
int roster_add_unprofiled(struct roster *o, uint32_t pid, const struct image *image);
/* It runs no Python any more, or is gone. */
void roster_forget_unprofiled(struct roster *o, struct followed_process *p);
