/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPython's structures in another process, read without touching it: what BPF does at a tick, done from user space for
 * threads that were waiting before anyone looked, for code objects BPF could not copy whole, and for thread names.
 * Pure: reads memory through a function it is handed. The target may lie, change or vanish at any moment: every count
 * is bounded, every pointer may be wild, nothing read is trusted.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "event.h"
#include "offsets.h"
#include "target.h"

/* Reads exactly `size` bytes at `address`; 0 or -errno (-EFAULT, -ESRCH, -EPERM). */
typedef int remote_read_fn(void *userdata, uint64_t address, void *data, size_t size);

struct remote {
        remote_read_fn *read;
        void *userdata;
        const struct target *target;
        const struct offsets_objects *objects;
        uint64_t runtime; /* as in struct process */
        uint64_t code_type;
};

/* The read function over process_vm_readv(2); userdata is (void *)(uintptr_t)pid. */
int remote_read_pid(void *userdata, uint64_t address, void *data, size_t size);

/*
 * Walks the frames of the thread whose thread pointer (pthread_self) is `thread_pointer`, leaf first, at most `max`.
 * Same choice among several thread states as BPF: the active one, else one with a frame. `version` of frames is 0.
 * Returns the number of frames (0: has a thread state, runs no Python), -ENOENT: no thread state matches, -EFAULT.
 * *ret_flags gets EVENT_STACK_* of event.h.
 */
int remote_walk(const struct remote *r, uint64_t thread_pointer, struct event_frame *ret_frames, size_t max,
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
