/* SPDX-License-Identifier: Apache-2.0 */
#include "group.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

_Static_assert(sizeof(struct group_key) == 2 * 8 + 6 * sizeof(char *) + 4 * 4 + 8,
               "keys are compared as bytes: no holes");

int group_init(struct group *g, const struct profile_query *q, struct frames *f, const struct held *held) {
        *g = (struct group){.query = q, .words = f->words, .frames = f};
        g->threads = calloc(held->threads_n ? held->threads_n : 1, sizeof(*g->threads));
        return g->threads ? 0 : -ENOMEM;
}

void group_fini(struct group *g) {
        for (uint32_t i = 0; i < g->n; i++)
                free(g->rows[i].waits);
        free(g->rows);
        free(g->details);
        free(g->threads);
        index_fini(&g->index);
        index_fini(&g->details_index);
        *g = (struct group){};
}

static int group_word(struct group *g, const char *text, const char **ret) {
        *ret = words_get(g->words, text ? text : "");
        return *ret ? 0 : -ENOMEM;
}

/* A row by thread tells its process too: tids mean little without. */
static int key_set_thread(struct group *g, const struct followed_thread *t, struct group_key *key) {
        const struct followed_process *p = t->process;
        unsigned by = g->query->by;
        int r = 0;

        if (by & (BY_PROCESS | BY_THREAD)) {
                key->pid = p->pid;
                key->started = p->started;
                r = group_word(g, p->comm, &key->comm);
        }
        if (r >= 0 && by & (BY_PROCESS | BY_THREAD | BY_COMMAND))
                r = group_word(g, p->command, &key->command);
        if (r >= 0 && by & BY_THREAD) {
                key->tid = t->tid;
                r = group_word(g, t->name ? t->name : t->comm, &key->thread);
        }
        if (r >= 0 && by & BY_UNIT)
                r = group_word(g, p->unit, &key->unit);
        if (r >= 0 && by & BY_CONTAINER)
                r = group_word(g, p->container, &key->container);
        return r;
}

static int group_thread(struct group *g, const struct held_thread *t, const struct group_key **ret) {
        struct group_key *key = g->threads[t->index];
        int r;

        if (!key) {
                key = arena_alloc(g->words->arena, sizeof(*key));
                if (!key)
                        return -ENOMEM;
                r = key_set_thread(g, t->thread, key);
                if (r < 0)
                        return r;
                g->threads[t->index] = key;
        }
        *ret = key;
        return 0;
}

static int group_find(struct group *g, const struct group_key *key, uint32_t *ret) {
        uint32_t hash = index_hash(key, sizeof(*key), 0);
        int r;

        for (uint32_t at = 0, i; index_next(&g->index, hash, &at, &i);)
                if (memcmp(&g->rows[i].key, key, sizeof(*key)) == 0) {
                        *ret = i;
                        return 0;
                }
        if (g->n == g->room) {
                uint32_t room = g->room ? g->room * 2 : 64;
                struct group_row *rows = reallocarray(g->rows, room, sizeof(*rows));

                if (!rows)
                        return -ENOMEM;
                g->rows = rows;
                g->room = room;
        }
        r = index_add(&g->index, hash, g->n);
        if (r < 0)
                return r;
        memset(&g->rows[g->n], 0, sizeof(g->rows[0]));
        memcpy(&g->rows[g->n].key, key, sizeof(*key));
        *ret = g->n++;
        return 0;
}

static int group_add_detail(struct group *g, uint32_t row, const struct tally_entry *e) {
        uint64_t key[] = {row, e->state, (uintptr_t)e->detail};
        uint32_t hash = index_hash(key, sizeof(key), 0);
        int r;

        if (!e->detail || e->ns == 0)
                return 0;
        for (uint32_t at = 0, i; index_next(&g->details_index, hash, &at, &i);) {
                struct group_detail *d = &g->details[i];

                if (d->row == row && d->state == e->state && d->detail == e->detail) {
                        d->ns += e->ns;
                        return 0;
                }
        }
        if (g->details_n == g->details_room) {
                uint32_t room = g->details_room ? g->details_room * 2 : 64;
                struct group_detail *details = reallocarray(g->details, room, sizeof(*details));

                if (!details)
                        return -ENOMEM;
                g->details = details;
                g->details_room = room;
        }
        r = index_add(&g->details_index, hash, g->details_n);
        if (r < 0)
                return r;
        g->details[g->details_n++] =
                        (struct group_detail){.row = row, .state = e->state, .detail = e->detail, .ns = e->ns};
        return 0;
}

static int group_add_row(struct group *g, const struct group_key *key, const struct tally_entry *e, bool own) {
        bool idle = tally_entry_idle(e);
        struct group_row *row;
        uint32_t i;
        int r;

        r = group_find(g, key, &i);
        if (r < 0)
                return r;
        row = &g->rows[i];
        if (idle)
                row->idle_ns += e->ns;
        if (idle && g->query->idle == IDLE_HIDE && g->query->by & BY_FRAMES)
                return 0;
        row->total[e->state] += e->ns;
        if (own)
                row->own[e->state] += e->ns;
        row->samples += e->samples;
        r = histogram_merge(&row->waits, e->waits);
        if (r < 0)
                return r;
        return group_add_detail(g, i, e);
}

int group_add(struct group *g, const struct tally_entry *e, const struct frames_stack *s) {
        unsigned by = g->query->by;
        const struct group_key *thread;
        struct group_key key;
        int r;

        r = group_thread(g, e->thread, &thread);
        if (r < 0)
                return r;
        memcpy(&key, thread, sizeof(key));
        if (by & BY_STATE)
                key.state = (uint64_t)e->state + 1;
        if (by & BY_WINDOW)
                key.window = e->window;
        if (by & BY_STACK)
                key.stack = s->content + 1;
        if (by & BY_PEER) {
                r = group_word(g, e->state == STATE_NET ? held_detail_text(e->detail) : "", &key.peer);
                if (r < 0)
                        return r;
        }
        if (!(by & (BY_FUNCTION | BY_LINE)))
                return group_add_row(g, &key, e, by & BY_STACK);
        for (uint32_t i = 0; i < s->unique_n; i++) {
                key.frame = s->unique[i] + 1;
                r = group_add_row(g, &key, e, s->unique[i] == s->list[0]);
                if (r < 0)
                        return r;
        }
        return 0;
}
