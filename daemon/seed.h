/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BPF cannot have seen, read from the target's memory without stopping it: the stack of a thread that waits since
 * before anyone looked, code objects that were not copied whole, the names of threads.
 * A process whose memory does not come in time is not read again (`unreadable` in struct followed_process).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "followed.h"
#include "python/remote.h"
#include "reader.h"
#include "resolve.h"

struct seed;

struct seed_counters {
        uint64_t unreadable; /* stacks not read, because the process's memory does not come in time */
        uint64_t dropped;    /* stacks not asked for yet, because too many wait; they are when their turn comes again */
};

/* `reader` and `proc_root` are borrowed. */
int seed_new(struct reader *reader, const char *proc_root, struct seed **ret);
void seed_free(struct seed *s);
void seed_set_resolve(struct seed *s, struct resolve *r); /* borrowed; before the first turn */

/* Asks for the stack of a thread that waits with none: 1 when it is in the queue now, 0 when there is no need, or
 * -ENOMEM. Once for a wait; believed only if the thread has not run meanwhile: `switches` is what its state record
 * said. */
int seed_thread(struct seed *s, struct followed_thread *t, uint64_t switches);

/* Works the queue for about `budget_ns`: 1 when there is more to do, 0 when it is empty. */
int seed_turn(struct seed *s, uint64_t budget_ns);

/* What is in the queue of one process, before somebody looks at it; as much of it as `budget_ns` allows. */
void seed_process(struct seed *s, const struct followed_process *p, uint64_t budget_ns);

/* The stack of a thread that runs, read while it does: it may be torn, and is for a person to look at. 0: none. Comes
 * after seed_process(), in whose time it must be. */
uint64_t seed_running(struct seed *s, const struct followed_thread *t);
void seed_process_done(struct seed *s); /* throws away what was kept between the two */

/* resolve_fetch_fn; userdata is the seed. */
int seed_fetch(void *userdata, const struct followed_process *p, uint64_t code, struct remote_code *ret);

/* threading's names for the threads of a process; `threads` is ingest's table. */
int seed_names(struct seed *s, const struct followed_process *p, struct followed_thread *threads);

const struct seed_counters *seed_counters(const struct seed *s);
