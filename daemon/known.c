/* SPDX-License-Identifier: Apache-2.0 */
/* uthash ends the program when memory is short, unless told otherwise. */
#define HASH_NONFATAL_OOM 1

#include "known.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

struct known {
        struct known_process *processes;
        struct known_entry *used; /* all entries, least recently used first */
        uint64_t bytes;
};

int known_new(struct known **ret) {
        struct known *k = calloc(1, sizeof(*k));

        if (!k)
                return -ENOMEM;
        *ret = k;
        return 0;
}

void known_free(struct known *k) {
        if (!k)
                return;
        while (known_evict(k))
                ;
        free(k);
}

uint64_t known_bytes(const struct known *k) {
        return k->bytes;
}

void generation_fini(struct generation *g) {
        function_unref(g->function);
        table_unref(g->table);
        *g = (struct generation){};
}

static size_t entry_bytes(const struct known_entry *e) {
        return e->key.kind == KNOWN_CODE ? sizeof(struct known_code) : sizeof(struct known_stack);
}

static struct known_process *process_find(struct known *k, uint64_t scope, uint32_t pid) {
        struct known_process_id id = {.scope = scope, .pid = pid};
        struct known_process *p = NULL;

        HASH_FIND(hh, k->processes, &id, sizeof(id), p);
        return p;
}

/* A process exists as long as it has entries. */
static void process_release(struct known *k, struct known_process *p) {
        if (p->entries)
                return;
        HASH_DEL(k->processes, p);
        k->bytes -= sizeof(*p);
        free(p);
}

static struct known_process *process_acquire(struct known *k, uint64_t scope, uint32_t pid) {
        struct known_process *p = process_find(k, scope, pid);

        if (p)
                return p;
        p = calloc(1, sizeof(*p));
        if (!p)
                return NULL;
        p->id = (struct known_process_id){.scope = scope, .pid = pid};
        HASH_ADD(hh, k->processes, id, sizeof(p->id), p);
        if (!p->hh.tbl) {
                free(p);
                return NULL;
        }
        k->bytes += sizeof(*p);
        return p;
}

static struct known_entry *entry_find(struct known *k, uint64_t scope, uint32_t pid, struct known_key key) {
        struct known_process *p = process_find(k, scope, pid);
        struct known_entry *e = NULL;

        if (!p)
                return NULL;
        HASH_FIND(hh, p->entries, &key, sizeof(key), e);
        if (e && e->next) {
                DL_DELETE(k->used, e);
                DL_APPEND(k->used, e);
        }
        return e;
}

/* `e` is new and becomes the set's; on failure it stays the caller's. */
static int entry_add(struct known *k, uint64_t scope, uint32_t pid, struct known_key key, struct known_entry *e) {
        struct known_process *p = process_acquire(k, scope, pid);

        if (!p)
                return -ENOMEM;
        e->key = key;
        e->process = p;
        HASH_ADD(hh, p->entries, key, sizeof(e->key), e);
        if (!e->hh.tbl) {
                process_release(k, p);
                return -ENOMEM;
        }
        DL_APPEND(k->used, e);
        k->bytes += entry_bytes(e);
        return 0;
}

static void entry_remove(struct known *k, struct known_entry *e) {
        struct known_process *p = e->process;

        HASH_DEL(p->entries, e);
        DL_DELETE(k->used, e);
        k->bytes -= entry_bytes(e);
        if (e->key.kind == KNOWN_CODE) {
                struct known_code *c = (struct known_code *)e;

                generation_fini(&c->current);
                generation_fini(&c->previous);
        } else
                stack_unref(((struct known_stack *)e)->stack);
        free(e);
        process_release(k, p);
}

struct known_code *known_find_code(struct known *k, uint64_t scope, uint32_t pid, uint64_t address) {
        return (struct known_code *)entry_find(k, scope, pid, (struct known_key){address, KNOWN_CODE});
}

struct known_stack *known_find_stack(struct known *k, uint64_t scope, uint32_t pid, uint64_t hash) {
        return (struct known_stack *)entry_find(k, scope, pid, (struct known_key){hash, KNOWN_STACK});
}

struct known_code *known_add_code(struct known *k, uint64_t scope, uint32_t pid, uint64_t address) {
        struct known_code *c = known_find_code(k, scope, pid, address);

        if (c)
                return c;
        c = calloc(1, sizeof(*c));
        if (!c)
                return NULL;
        if (entry_add(k, scope, pid, (struct known_key){address, KNOWN_CODE}, &c->entry) < 0) {
                free(c);
                return NULL;
        }
        return c;
}

struct known_stack *known_add_stack(struct known *k, uint64_t scope, uint32_t pid, uint64_t hash, struct stack *stack) {
        struct known_stack *s = calloc(1, sizeof(*s));

        if (!s || entry_add(k, scope, pid, (struct known_key){hash, KNOWN_STACK}, &s->entry) < 0) {
                stack_unref(stack);
                free(s);
                return NULL;
        }
        s->stack = stack;
        return s;
}

bool known_evict(struct known *k) {
        if (!k->used)
                return false;
        entry_remove(k, k->used);
        return true;
}

void known_forget_process(struct known *k, uint64_t scope, uint32_t pid) {
        struct known_process *p = process_find(k, scope, pid);
        size_t n;

        if (!p)
                return;
        /* The process goes with its last entry. */
        for (n = HASH_COUNT(p->entries); n > 0; n--)
                entry_remove(k, p->entries);
}
