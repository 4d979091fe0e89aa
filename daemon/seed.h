/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What BPF cannot have seen, read from the target's memory without stopping it: the stack of a thread that waits since
 * before anyone looked, code objects that were not copied whole, the names of threads.
 */
#pragma once

#include <stdint.h>

#include "followed.h"
#include "python/remote.h"
#include "resolve.h"

/* Gives t->open a stack, when it waits with none. Believed only if the thread has not run meanwhile: `switches` is
 * what its state record said. Tried once for a wait. */
void seed_thread(struct resolve *r, const char *proc_root, struct followed_thread *t, uint64_t switches);

/* The stack of a thread that runs, read while it does: it may be torn, and is for a person to look at. 0: none. */
uint64_t seed_running(struct resolve *r, const struct followed_thread *t);

/* resolve_fetch_fn; userdata is not used. */
int seed_fetch(void *userdata, const struct followed_process *p, uint64_t code, struct remote_code *ret);

/* threading's names for the threads of a process: `find` tells which thread has a thread pointer, NULL if none. */
typedef struct followed_thread *seed_find_fn(void *userdata, const struct followed_process *p, uint64_t thread_pointer);
int seed_names(const struct followed_process *p, seed_find_fn *find, void *userdata);
