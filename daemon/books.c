/* SPDX-License-Identifier: Apache-2.0 */
#include "books.h"

#include "base/macro.h"

/* What was booked between two records. The counters only grow; one that does not is a lie, and worth nothing. */
struct delta {
        uint64_t cpu, runnable, blocked, skipped;
};

static uint64_t grown(uint64_t now, uint64_t before) {
        return now > before ? now - before : 0;
}

static struct delta books_delta(const struct event_books *now, const struct event_books *before) {
        return (struct delta){
                        .cpu = grown(now->cpu_ns, before->cpu_ns),
                        .runnable = grown(now->runnable_ns, before->runnable_ns),
                        .blocked = grown(now->blocked_ns, before->blocked_ns),
                        .skipped = grown(now->skipped_ns, before->skipped_ns),
        };
}

bool books_agree(const struct followed_thread *t, const struct event_books *b, uint64_t end) {
        struct delta d = books_delta(b, &t->books);

        return end >= t->accounted && d.cpu + d.runnable + d.blocked == end - t->accounted;
}

/* A wait must lie within what the record accounts for. */
static void wait_clamp(struct observation *o) {
        o->since = MIN(MAX(o->since, o->begin), o->end);
        o->woken = MIN(MAX(o->woken, o->since), o->end);
}

void books_observe(struct followed_thread *t, const struct event_books *b, uint64_t end, struct observation *o,
                   struct books_check *ret) {
        struct delta d = books_delta(b, &t->books);
        uint64_t whole, left, own_runnable, skipped_runnable;

        o->thread = t;
        o->begin = t->accounted;
        o->end = MAX(end, t->accounted);
        whole = left = o->end - o->begin;
        ret->inconsistent = d.cpu + d.runnable + d.blocked != whole || end < t->accounted;
        ret->lost = b->seq > t->books.seq + ret->records ? b->seq - t->books.seq - ret->records : 0;

        /* From the surest to the least sure: the wait itself, time on the CPU, what was skipped; the rest is lost. */
        if (o->wait) {
                wait_clamp(o);
                left -= o->end - o->since;
        }
        o->cpu_ns = MIN(d.cpu, left);
        left -= o->cpu_ns;
        own_runnable = o->wait ? o->end - o->woken : 0;
        skipped_runnable = MIN(d.skipped, grown(d.runnable, own_runnable));
        o->skipped_runnable_ns = MIN(skipped_runnable, left);
        left -= o->skipped_runnable_ns;
        o->skipped_blocked_ns = MIN(d.skipped - skipped_runnable, left);
        left -= o->skipped_blocked_ns;
        o->lost_ns = left;

        t->books = *b;
        t->accounted = o->end;
}
