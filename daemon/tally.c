/* SPDX-License-Identifier: Apache-2.0 */
#include "tally.h"

#include <errno.h>

#include "base/macro.h"
#include "select.h"

/* By window nothing merges across windows: passing entries on early keeps them in the cache. */
#define FLUSH_AT 1024

static uint32_t fact_hash(const struct fact *f) {
        uint64_t key[] = {(uintptr_t)f->thread, (uintptr_t)f->stack, (uintptr_t)f->detail, f->window, f->state};

        return index_hash(key, sizeof(key), 0);
}

static struct tally_entry *tally_find(const struct tally *t, const struct fact *f, uint32_t hash) {
        for (uint32_t at = 0, i; index_next(&t->index, hash, &at, &i);) {
                struct tally_entry *e = &t->entries[i];

                if (e->thread == f->thread && e->stack == f->stack && e->detail == f->detail && e->state == f->state &&
                    e->window == f->window)
                        return e;
        }
        return NULL;
}

static int tally_append(struct tally *t, const struct fact *f, uint32_t hash, struct tally_entry **ret) {
        int r;

        if (t->n == t->room) {
                uint32_t room = t->room ? t->room * 2 : 256;
                struct tally_entry *entries = reallocarray(t->entries, room, sizeof(*entries));

                if (!entries)
                        return -ENOMEM;
                t->entries = entries;
                t->room = room;
        }
        r = index_add(&t->index, hash, t->n);
        if (r < 0)
                return r;
        *ret = &t->entries[t->n++];
        **ret = (struct tally_entry){.thread = f->thread,
                                     .stack = f->stack,
                                     .detail = f->detail,
                                     .window = f->window,
                                     .state = f->state};
        return 0;
}

static void tally_clear(struct tally *t) {
        for (uint32_t i = 0; i < t->n; i++)
                free(t->entries[i].waits);
        t->n = 0;
        index_clear(&t->index);
}

static int tally_flush(struct tally *t) {
        int r = 0;

        for (uint32_t i = 0; i < t->n && r >= 0; i++)
                r = t->fn(t->userdata, &t->entries[i]);
        tally_clear(t);
        return r;
}

static int tally_fact(void *userdata, const struct fact *f) {
        struct tally *t = userdata;
        struct tally_entry *e;
        uint32_t hash;
        int r;

        if (!t->threads[f->thread->index] || (t->query->states != 0 && !(t->query->states & 1u << f->state)))
                return 0;
        if (t->query->by & BY_WINDOW && t->n >= FLUSH_AT && t->entries[t->n - 1].window != f->window) {
                r = tally_flush(t);
                if (r < 0)
                        return r;
        }
        hash = fact_hash(f);
        e = tally_find(t, f, hash);
        if (!e) {
                r = tally_append(t, f, hash, &e);
                if (r < 0)
                        return r;
        }
        e->ns += f->ns;
        e->samples += f->samples;
        e->met += f->samples + (f->waits ? f->waits->count : 0) + f->open;
        return histogram_merge(&e->waits, f->waits);
}

int tally_init(struct tally *t, struct store *s, const struct profile_query *q, uint64_t now) {
        int r;

        *t = (struct tally){.query = q};
        r = scan_init(&t->scan, s, q->since, q->until, now, q->by & BY_WINDOW);
        if (r < 0)
                return r;
        r = select_threads(q, &s->held, &t->threads);
        if (r < 0)
                tally_fini(t);
        return r;
}

void tally_fini(struct tally *t) {
        tally_clear(t);
        free(t->entries);
        free(t->threads);
        index_fini(&t->index);
        if (t->scan.store)
                scan_fini(&t->scan);
        *t = (struct tally){};
}

int tally_run(struct tally *t, tally_entry_fn *fn, void *userdata) {
        int r;

        t->fn = fn;
        t->userdata = userdata;
        r = scan_each(&t->scan, tally_fact, t);
        return r < 0 ? r : tally_flush(t);
}
