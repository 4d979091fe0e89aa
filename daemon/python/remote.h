/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPython's structures in another process, read without touching it: what BPF does at a tick, done from user space for
 * threads that were waiting before anyone looked, for code objects BPF could not copy whole, and for thread names.
 * Pure: reads memory through a function it is handed. The target may lie, change or vanish at any moment: every count
 * is bounded, every pointer may be wild, nothing read is trusted.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "offsets.h"
#include "target.h"

/* Reads exactly `size` bytes at `address`; 0 or -errno. -EFAULT: this address cannot be read, others may be; anything
 * else ends what is being done. */
typedef int remote_read_fn(void *userdata, uint64_t address, void *data, size_t size);

struct remote {
        remote_read_fn *read;
        void *userdata;
        const struct target *target;
        const struct offsets_objects *objects;
        uint64_t runtime; /* as in struct process */
        uint64_t code_type;
};

/* The thread states of a process, one for each thread pointer (pthread_self). Among several the same is chosen as by
 * BPF: the active one, else one with a frame. */
struct remote_state {
        uint64_t thread_pointer;
        uint64_t address;
        uint8_t rank;   /* 3: active, 2: has a frame, 1: neither */
        bool ambiguous; /* several of that rank */
};

/* Zero is an empty one. */
struct remote_states {
        struct remote_state *list; /* by thread pointer once complete */
        size_t n, room;
        bool begun, complete;
        unsigned interpreters;
        uint64_t interpreter, next; /* the thread state to be read next, 0: this interpreter has no more */
        uint64_t current;           /* the one that holds the GIL, where _PyRuntime knows it (3.7-3.11) */
};

void remote_states_fini(struct remote_states *s);

/* Reads on, at most `steps` thread states more: 1 when there are more, 0 when the table is complete, -errno. */
int remote_states_read(const struct remote *r, struct remote_states *s, unsigned steps);

/* Of a complete table; borrowed. NULL: no thread state matches. */
const struct remote_state *remote_states_find(const struct remote_states *s, uint64_t thread_pointer);

/*
 * Walks the frames of a thread state, leaf first, at most `max`. `version` of frames is 0.
 * Returns the number of frames (0: runs no Python), -ENOENT: the thread state is another thread's by now, -EFAULT.
 * *ret_flags gets EVENT_STACK_* of event.h.
 */
int remote_walk(const struct remote *r, const struct remote_state *state, struct event_frame *ret_frames, size_t max,
                uint16_t *ret_flags);

/* A code object, copied. Strings are UTF-8, NUL-terminated, never NULL after success. */
struct remote_code {
        char *name; /* qualified where the interpreter has it (3.11 and later) */
        char *filename;
        int firstlineno;
        uint8_t *table; /* owned; at most 1 MiB */
        size_t table_size;
};

void remote_code_fini(struct remote_code *c);
int remote_code(const struct remote *r, uint64_t code, struct remote_code *ret);

/* Calls `each` for every entry of threading._active: its ident (== thread pointer) and its name in UTF-8.
 * Stops early and passes on when `each` returns < 0. -ENOENT when threading is not imported, -EOVERFLOW when there were
 * more threads (4096) or reads (200,000) than any real program needs; the names found until then were passed on. */
typedef int remote_name_fn(void *userdata, uint64_t thread_pointer, const char *name);
int remote_thread_names(const struct remote *r, remote_name_fn *each, void *userdata);

/* Converts CPython's string data of `kind` bytes a character (1: Latin-1, 2: UCS-2, 4: UCS-4) to UTF-8, owned by the
 * caller; control characters and lone surrogates become U+FFFD. NULL: out of memory. */
char *remote_utf8(const void *data, size_t characters, unsigned kind);
