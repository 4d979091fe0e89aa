/* SPDX-License-Identifier: Apache-2.0 */
/* profile_edges(): who calls whom, over the selection of a question. */
#include "profile.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "frames.h"
#include "tally.h"

struct edge {
        uint32_t caller, callee;
        uint32_t stack; /* the last one that has it, + 1 */
        uint64_t wall_ns, cpu_ns;
};

struct edges {
        struct tally tally;
        struct arena *arena;
        struct words words;
        struct frames frames;
        struct {
                uint64_t wall_ns, cpu_ns;
        } * stacks; /* by index */
        struct edge *list;
        uint32_t n, room;
        struct index index;
};

static void edges_fini(struct edges *e) {
        free(e->list);
        free(e->stacks);
        index_fini(&e->index);
        frames_fini(&e->frames);
        words_fini(&e->words);
        tally_fini(&e->tally);
        arena_free(e->arena);
}

static int edges_init(struct edges *e, struct store *s, const struct profile_query *q, uint64_t now) {
        int r;

        e->arena = arena_new();
        if (!e->arena)
                return -ENOMEM;
        e->words.arena = e->arena;
        r = tally_init(&e->tally, s, q, now);
        if (r < 0)
                return r;
        e->stacks = calloc((size_t)s->held.stacks_n + 1, sizeof(*e->stacks));
        if (!e->stacks)
                return -ENOMEM;
        return frames_init(&e->frames, q, false, &s->held, &e->words);
}

static int edges_add(struct edges *e, uint32_t caller, uint32_t callee, uint32_t stack) {
        uint32_t key[] = {caller, callee}, hash = index_hash(key, sizeof(key), 0), found = UINT32_MAX;
        int r;

        for (uint32_t at = 0, i; found == UINT32_MAX && index_next(&e->index, hash, &at, &i);)
                if (e->list[i].caller == caller && e->list[i].callee == callee)
                        found = i;
        if (found == UINT32_MAX) {
                if (e->n == e->room) {
                        uint32_t room = e->room ? e->room * 2 : 256;
                        struct edge *list = reallocarray(e->list, room, sizeof(*list));

                        if (!list)
                                return -ENOMEM;
                        e->list = list;
                        e->room = room;
                }
                r = index_add(&e->index, hash, e->n);
                if (r < 0)
                        return r;
                found = e->n++;
                e->list[found] = (struct edge){.caller = caller, .callee = callee};
        }
        if (e->list[found].stack == stack + 1)
                return 0;
        e->list[found].stack = stack + 1;
        e->list[found].wall_ns += e->stacks[stack].wall_ns;
        e->list[found].cpu_ns += e->stacks[stack].cpu_ns;
        return 0;
}

/* The same time that rows by function tell of. */
static int edges_entry(void *userdata, const struct tally_entry *entry) {
        struct edges *e = userdata;
        enum profile_idle idle = e->tally.query->idle;

        if (!entry->stack || (tally_entry_idle(entry) ? idle == IDLE_HIDE : idle == IDLE_ONLY))
                return 0;
        e->stacks[entry->stack->index].wall_ns += entry->ns;
        if (state_is_cpu(entry->state))
                e->stacks[entry->stack->index].cpu_ns += entry->ns;
        return 0;
}

static int edges_collect(struct edges *e, const struct held *held) {
        int r;

        for (uint32_t i = 0; i < held->stacks_n; i++) {
                const struct frames_stack *s;

                if (e->stacks[i].wall_ns == 0)
                        continue;
                r = frames_get(&e->frames, held->stacks[i], &s);
                if (r < 0)
                        return r;
                for (uint32_t j = 0; s->selected && j + 1 < s->n; j++) {
                        r = edges_add(e, s->list[j + 1], s->list[j], i);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

static int edge_compare(const void *a, const void *b) {
        const struct profile_edge *x = a, *y = b;
        int r;

        if (x->wall_ns != y->wall_ns)
                return x->wall_ns > y->wall_ns ? -1 : 1;
        r = strcmp(x->caller.function, y->caller.function);
        return r != 0 ? r : strcmp(x->callee.function, y->callee.function);
}

static const char *copy(char **to, const char *text) {
        char *at = *to;

        *to = stpcpy(at, text) + 1;
        return at;
}

/* One block: the edges, then their strings. */
static int edges_render(const struct edges *e, struct profile_edge **ret) {
        size_t size = MAX(e->n, 1u) * sizeof(struct profile_edge), strings = 0;
        struct profile_frame *frames;
        struct profile_edge *edges;
        char *to;

        for (uint32_t i = 0; i < e->frames.n; i++)
                strings += strlen(e->frames.list[i].function) + strlen(e->frames.list[i].file) + 2;
        edges = calloc(1, size + strings);
        if (!edges)
                return -ENOMEM;
        to = (char *)edges + size;
        frames = e->frames.list;
        for (uint32_t i = 0; i < e->frames.n; i++) {
                frames[i].function = copy(&to, frames[i].function);
                frames[i].file = copy(&to, frames[i].file);
        }
        for (uint32_t i = 0; i < e->n; i++)
                edges[i] = (struct profile_edge){
                                .caller = frames[e->list[i].caller],
                                .callee = frames[e->list[i].callee],
                                .wall_ns = e->list[i].wall_ns,
                                .cpu_ns = e->list[i].cpu_ns,
                };
        qsort(edges, e->n, sizeof(*edges), edge_compare);
        *ret = edges;
        return 0;
}

int profile_edges(struct store *s, const struct profile_query *q, uint64_t now, struct profile_edge **ret,
                  size_t *ret_n) {
        _cleanup_(edges_fini) struct edges e = {};
        int r;

        r = edges_init(&e, s, q, now);
        if (r < 0)
                return r;
        r = tally_run(&e.tally, edges_entry, &e);
        if (r < 0)
                return r;
        r = edges_collect(&e, &s->held);
        if (r < 0)
                return r;
        r = edges_render(&e, ret);
        if (r < 0)
                return r;
        *ret_n = e.n;
        return 0;
}
