/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is known of each process: its code objects by address and its stacks by hash. Least recently used go first.
 * Pointers that are handed out hold until the next eviction or forgetting.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "intern.h"
#include "stack.h"

struct known;

enum known_kind { KNOWN_CODE, KNOWN_STACK };

struct known_process_id {
        uint64_t scope;
        uint64_t pid;
};

struct known_key {
        uint64_t id; /* address or hash */
        uint64_t kind;
};

struct known_process {
        struct known_process_id id;
        struct known_entry *entries;
        UT_hash_handle hh;
};

struct known_entry {
        struct known_key key;
        struct known_process *process;
        struct known_entry *prev, *next; /* least recently used first */
        UT_hash_handle hh;
};

/* One code object that lived at an address. References. */
struct generation {
        struct function *function; /* NULL: there is none */
        struct table *table;       /* NULL: no line table */
        int firstlineno;
        uint32_t version;
        uint64_t time; /* of the record that told of it */
        uint64_t fingerprint;
        bool fetched; /* by user space, which knows no fingerprint */
};

void generation_fini(struct generation *g);

struct known_code {
        struct known_entry entry;
        struct generation current, previous;
};

struct known_stack {
        struct known_entry entry;
        struct stack *stack; /* a reference, never NULL once it is looked up */
};

int known_new(struct known **ret);
void known_free(struct known *k); /* NULL is fine */

/* Find and mark as used. NULL: not known. */
struct known_code *known_find_code(struct known *k, uint64_t scope, uint32_t pid, uint64_t address);
struct known_stack *known_find_stack(struct known *k, uint64_t scope, uint32_t pid, uint64_t hash);

/* Find or add an empty one. NULL: out of memory. */
struct known_code *known_add_code(struct known *k, uint64_t scope, uint32_t pid, uint64_t address);
/* What is there must not be known yet; takes the reference in any case. */
struct known_stack *known_add_stack(struct known *k, uint64_t scope, uint32_t pid, uint64_t hash, struct stack *stack);

void known_forget_process(struct known *k, uint64_t scope, uint32_t pid);
bool known_evict(struct known *k); /* the least recently used one; false: there is none */

uint64_t known_bytes(const struct known *k); /* without what is interned */
