/* SPDX-License-Identifier: Apache-2.0 */
#include "scan.h"

#include <errno.h>

#include "base/macro.h"

/* Nothing is known to have happened after `now`, but for what the store was already told. */
static uint64_t scan_now(const struct store *s, uint64_t now) {
        now = MAX(now, s->latest);
        for (uint32_t i = 0; i < s->held.threads_n; i++)
                if (s->held.threads[i]->live)
                        now = MAX(now, s->held.threads[i]->thread->accounted);
        return now;
}

static struct scan_range scan_round(const struct store *s, uint64_t since, uint64_t until, uint64_t now) {
        struct scan_range r = {.now = scan_now(s, now)};
        uint64_t begin;

        r.oldest = store_oldest(s, r.now);
        if (until >= now) {
                until = r.now;
        } else {
                begin = store_window_begin(s, until);
                if (begin < until)
                        until = begin + store_window_length(s, until);
        }
        /* Of the future there is nothing, not even the window that holds now. */
        since = since >= r.now ? r.now : store_window_begin(s, since);
        r.since = MAX(since, r.oldest);
        r.until = MAX(r.since, MIN(until, r.now));
        return r;
}

static int scan_add(struct scan *sc, struct held_thread *thread, struct held_stack *stack, enum state state,
                    const char *detail, uint64_t begin, uint64_t end) {
        struct held_detail *held;
        int r;

        begin = MAX(begin, sc->range.since);
        end = MIN(end, sc->range.until);
        if (begin >= end)
                return 0;
        if (sc->open_n == sc->open_room) {
                size_t room = sc->open_room ? sc->open_room * 2 : 64;
                struct span *open = reallocarray(sc->open, room, sizeof(*open));

                if (!open)
                        return -ENOMEM;
                sc->open = open;
                sc->open_room = room;
        }
        r = held_detail_get(&sc->store->held, detail, &held);
        if (r < 0)
                return r;
        thread->uses++;
        if (stack)
                stack->uses++;
        sc->open[sc->open_n++] = (struct span){
                        .thread = thread, .stack = stack, .detail = held, .begin = begin, .end = end, .state = state};
        return 0;
}

/* The stack of an open wait, one use of it. */
static int scan_lookup(struct scan *sc, const struct followed_thread *t, struct held_stack **ret) {
        struct store *s = sc->store;
        struct stack *stack;
        int r;

        stack = s->lookup ? s->lookup(s->lookup_userdata, t->process, t->open.stack) : NULL;
        r = held_stack_get(&s->held, stack, ret);
        stack_unref(stack);
        return r;
}

/* [accounted, end) of a thread that is off its CPU: as aggregate would book it if it came back at `end`. */
static int scan_open_wait(struct scan *sc, struct held_thread *held, uint64_t end) {
        const struct followed_thread *t = held->thread;
        uint64_t since = MIN(MAX(t->open.since, t->accounted), end), woken = end;
        bool blocked = t->open.state == THREAD_BLOCKED || t->open.woken > t->open.since;
        enum state reason = t->open.reason;
        struct held_stack *stack;
        int r;

        if ((unsigned)reason >= STATE_MAX || state_is_cpu(reason))
                reason = STATE_OTHER;
        if (!blocked)
                woken = since;
        else if (t->open.woken > 0)
                woken = MIN(MAX(t->open.woken, since), end);
        r = scan_add(sc, held, NULL, STATE_UNSAMPLED, "", t->accounted, since);
        if (r < 0 || end <= sc->range.since || since >= sc->range.until)
                return r;
        r = scan_lookup(sc, t, &stack);
        if (r < 0)
                return r;
        r = scan_add(sc, held, stack, reason, reason == STATE_RUNQ ? "preempted" : "", since, woken);
        if (r >= 0)
                r = scan_add(sc, held, stack, STATE_RUNQ, blocked && reason != STATE_RUNQ ? "woken" : "preempted",
                             woken, end);
        held_stack_put(&sc->store->held, stack);
        return r;
}

static int scan_open(struct scan *sc, struct held_thread *held) {
        const struct followed_thread *t = held->thread;
        uint64_t end = t->ended ? MIN(t->ended, sc->range.now) : sc->range.now;

        if (t->accounted >= end)
                return 0;
        if (t->open.state == THREAD_ON_CPU)
                return scan_add(sc, held, NULL, STATE_UNSAMPLED, "", t->accounted, end);
        return scan_open_wait(sc, held, end);
}

int scan_init(struct scan *sc, struct store *s, uint64_t since, uint64_t until, uint64_t now, bool by_window) {
        int r = 0;

        *sc = (struct scan){.store = s, .range = scan_round(s, since, until, now), .by_window = by_window};
        for (uint32_t i = 0; i < s->held.threads_n && r >= 0; i++)
                if (s->held.threads[i]->live)
                        r = scan_open(sc, s->held.threads[i]);
        if (r < 0)
                scan_fini(sc);
        return r;
}

void scan_fini(struct scan *sc) {
        for (size_t i = 0; i < sc->open_n; i++) {
                held_thread_put(&sc->store->held, sc->open[i].thread);
                held_stack_put(&sc->store->held, sc->open[i].stack);
                held_detail_put(&sc->store->held, sc->open[i].detail);
        }
        free(sc->open);
        *sc = (struct scan){};
}

/* Where facts go, for one window or for all. */
struct scan_sink {
        const struct scan *scan;
        uint64_t window;
        scan_fact_fn *fn;
        void *userdata;
};

static int scan_row(void *userdata, const struct window_row *row) {
        const struct scan_sink *k = userdata;
        struct fact f = {
                        .thread = row->thread,
                        .stack = row->stack,
                        .detail = row->detail,
                        .state = row->state,
                        .window = k->window,
                        .ns = row->ns,
                        .samples = row->samples,
                        .waits = row->waits,
        };

        return k->fn(k->userdata, &f);
}

static int scan_windows(struct scan_sink *k, struct window *const *windows, size_t n) {
        const struct scan_range *range = &k->scan->range;
        int r;

        for (size_t i = 0; i < n; i++) {
                if (!windows[i] || windows[i]->end <= range->since || windows[i]->begin >= range->until)
                        continue;
                k->window = k->scan->by_window ? windows[i]->begin : 0;
                r = window_each(windows[i], scan_row, k);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int scan_span(const struct scan_sink *k, const struct span *span, bool open) {
        const struct scan *sc = k->scan;
        uint64_t begin = MAX(span->begin, sc->range.since), end = MIN(span->end, sc->range.until);
        struct fact f = {.thread = span->thread,
                         .stack = span->stack,
                         .detail = span->detail,
                         .state = span->state,
                         .open = open};
        int r;

        for (uint64_t next; begin < end; begin = next) {
                next = end;
                if (sc->by_window) {
                        f.window = store_window_begin(sc->store, begin);
                        next = MIN(end, f.window + store_window_length(sc->store, begin));
                }
                f.ns = next - begin;
                r = k->fn(k->userdata, &f);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* CPU time that is accounted, but waits for a tick to claim it. */
static int scan_unclaimed(const struct scan_sink *k, const struct held_thread *held) {
        const struct followed_thread *t = held->thread;
        int r;

        for (uint64_t i = 0; i < ARRAY_SIZE(t->unclaimed) && i <= t->unclaimed_window; i++) {
                uint64_t instant = (t->unclaimed_window - i) * WINDOW_NS;
                struct fact f = {.thread = held, .state = STATE_UNSAMPLED, .ns = t->unclaimed[i]};

                if (f.ns == 0 || instant < k->scan->range.since || instant >= k->scan->range.until)
                        continue;
                if (k->scan->by_window)
                        f.window = store_window_begin(k->scan->store, instant);
                r = k->fn(k->userdata, &f);
                if (r < 0)
                        return r;
        }
        return 0;
}

int scan_each(const struct scan *sc, scan_fact_fn *fn, void *userdata) {
        struct scan_sink k = {.scan = sc, .fn = fn, .userdata = userdata};
        struct store *s = sc->store;
        int r;

        if (sc->range.since >= sc->range.until)
                return 0;
        r = scan_windows(&k, s->fine, STORE_FINE_ROOM);
        if (r < 0)
                return r;
        r = scan_windows(&k, s->coarse, STORE_COARSE_ROOM);
        for (size_t i = 0; i < s->spans_n && r >= 0; i++)
                r = scan_span(&k, &s->spans[i], false);
        for (size_t i = 0; i < sc->open_n && r >= 0; i++)
                r = scan_span(&k, &sc->open[i], true);
        for (uint32_t i = 0; i < s->held.threads_n && r >= 0; i++)
                if (s->held.threads[i]->live)
                        r = scan_unclaimed(&k, s->held.threads[i]);
        return r;
}
