/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From hashes and code addresses to interned stacks of functions and lines. Everything is scoped to a process
 * (pid, scope) and forgotten some time after the process is gone.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "followed.h"
#include "python/remote.h"
#include "stack.h"

struct resolve;

/* Fetches a code object from the process's memory, when BPF could not copy it whole: 0 or -errno. */
typedef int resolve_fetch_fn(void *userdata, const struct followed_process *p, uint64_t code, struct remote_code *ret);

struct resolve_counters {
        uint64_t codes, codes_fetched, codes_unreadable, codes_missing, tables_bad;
        uint64_t stacks, stacks_missing, stacks_late, evicted;
        uint64_t bytes; /* memory held, roughly */
};

/* `idle` is a list of rules as in pyprofd.conf(5); it may be replaced later (SIGHUP). memory_max in bytes bounds codes
 * and hashes (least recently used go first; BPF sends again what is met again). */
int resolve_new(resolve_fetch_fn *fetch, void *userdata, uint64_t memory_max, struct resolve **ret);
void resolve_set_memory_max(struct resolve *r, uint64_t memory_max); /* obeyed as new records come */
void resolve_free(struct resolve *r);
int resolve_set_idle(struct resolve *r, char **rules,
                     size_t rules_n); /* -EINVAL: a rule is malformed, nothing changes */

/* The records; `size` is what the ring buffer says, the record's own sizes are checked against it (-EBADMSG). */
int resolve_code(struct resolve *r, struct followed_process *p, const struct event_code *e, size_t size);
int resolve_stack(struct resolve *r, struct followed_process *p, const struct event_stack *e, size_t size);

/* Frames that user space read itself (threads that waited before the daemon came): interns them and names them by a
 * hash of its own making. 0 and *ret_hash, or -errno. */
int resolve_frames(struct resolve *r, struct followed_process *p, const struct event_frame *frames, size_t n,
                   uint16_t flags, uint64_t *ret_hash);

/* The stack of a hash, a new reference. An unknown hash gives a placeholder that is filled if its record still comes;
 * *ret_missing says that the caller should have it sent again. Hash 0 gives the stack `[no Python frame]` or,
 * with EVENT_STACK_SKIPPED in flags, `[unsampled]`; each exists once. NULL: out of memory. */
struct stack *resolve_lookup(struct resolve *r, struct followed_process *p, uint64_t hash, uint16_t flags,
                             bool *ret_missing);

void resolve_process_gone(struct resolve *r, const struct followed_process *p);
void resolve_counters(const struct resolve *r, struct resolve_counters *ret);
