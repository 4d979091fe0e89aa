/* SPDX-License-Identifier: Apache-2.0 */
#include "store.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "store_private.h"

#define COMPACT_AT_ONCE 4 /* groups of ten windows in one call */
#define SEAL_AGE (5 * WINDOW_NS)

int store_new(uint64_t memory_max, struct store **ret) {
        struct store *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        s->memory_max = memory_max;
        s->earliest = UINT64_MAX;
        *ret = s;
        return 0;
}

static void span_fini(struct span *span, struct held *held) {
        held_thread_put(held, span->thread);
        held_stack_put(held, span->stack);
        held_detail_put(held, span->detail);
}

void store_set_memory_max(struct store *s, uint64_t memory_max) {
        s->memory_max = memory_max;
}

void store_free(struct store *s) {
        if (!s)
                return;
        for (size_t i = 0; i < STORE_FINE_ROOM; i++)
                window_free(s->fine[i], &s->held);
        for (size_t i = 0; i < STORE_COARSE_ROOM; i++)
                window_free(s->coarse[i], &s->held);
        for (size_t i = 0; i < s->spans_n; i++)
                span_fini(&s->spans[i], &s->held);
        free(s->spans);
        held_fini(&s->held); /* threads that live */
        free(s);
}

uint64_t store_oldest(const struct store *s, uint64_t now) {
        if (s->earliest == UINT64_MAX)
                return now;
        return MAX(s->horizon, s->earliest - s->earliest % WINDOW_NS);
}

static uint64_t store_bytes(const struct store *s) {
        return s->windows_bytes + s->spans_room * sizeof(*s->spans) + s->held.bytes + sizeof(*s);
}

static void store_drop(struct store *s, struct window **slot) {
        s->windows_bytes -= (*slot)->bytes;
        window_free(*slot, &s->held);
        *slot = NULL;
}

/* Forgets what lies before `instant`. Returns how many windows went. */
static uint64_t store_forget(struct store *s, uint64_t instant) {
        uint64_t dropped = 0;
        size_t kept = 0;

        if (instant <= s->horizon)
                return 0;
        s->horizon = instant;
        for (size_t i = 0; i < STORE_FINE_ROOM; i++)
                if (s->fine[i] && s->fine[i]->end <= instant) {
                        store_drop(s, &s->fine[i]);
                        dropped++;
                }
        for (size_t i = 0; i < STORE_COARSE_ROOM; i++)
                if (s->coarse[i] && s->coarse[i]->end <= instant) {
                        store_drop(s, &s->coarse[i]);
                        dropped++;
                }
        for (size_t i = 0; i < s->spans_n; i++)
                if (s->spans[i].end <= instant)
                        span_fini(&s->spans[i], &s->held);
                else
                        s->spans[kept++] = s->spans[i];
        s->spans_n = kept;
        return dropped;
}

static const struct window *windows_oldest(struct window *const *windows, size_t n) {
        const struct window *oldest = NULL;

        for (size_t i = 0; i < n; i++)
                if (windows[i] && (!oldest || windows[i]->begin < oldest->begin))
                        oldest = windows[i];
        return oldest;
}

/* Drops the oldest until there is some room again, but never the newest window. False: nothing more can go. */
static bool store_shrink(struct store *s) {
        while (store_bytes(s) > s->memory_max - s->memory_max / 32) {
                const struct window *oldest = windows_oldest(s->coarse, STORE_COARSE_ROOM);

                if (!oldest)
                        oldest = windows_oldest(s->fine, STORE_FINE_ROOM);
                if (oldest && oldest->begin < s->newest)
                        s->dropped_windows += store_forget(s, oldest->end);
                else if (s->horizon < s->newest)
                        store_forget(s, s->newest); /* long waits that ended before it */
                else
                        return false;
        }
        return true;
}

static int store_place(struct store *s, struct window **slot, uint64_t begin, uint64_t end) {
        int r;

        r = window_new(begin, end, slot);
        if (r < 0)
                return r;
        s->windows_bytes += (*slot)->bytes;
        s->newest = MAX(s->newest, begin);
        return 0;
}

/* The coarse window of instant t; *ret is NULL when that is forgotten. */
static int store_coarse(struct store *s, uint64_t t, struct window **ret) {
        uint64_t number = t / STORE_COARSE;
        struct window **slot = &s->coarse[number % STORE_COARSE_ROOM];
        int r;

        if (*slot && (*slot)->begin > t) {
                *ret = NULL;
                return 0;
        }
        if (*slot && (*slot)->end <= t)
                store_forget(s, (*slot)->end);
        if (!*slot) {
                r = store_place(s, slot, number * STORE_COARSE, (number + 1) * STORE_COARSE);
                if (r < 0)
                        return r;
        }
        *ret = *slot;
        return 0;
}

static void store_seal(struct store *s, struct window *w) {
        size_t before = w->bytes;

        window_seal(w);
        s->windows_bytes += w->bytes - before;
}

static int compact_row(void *userdata, const struct window_row *row) {
        return window_add(userdata, row);
}

static int store_compact_window(struct store *s, struct window **slot, struct window *into) {
        size_t before = into->bytes;
        int r;

        r = window_each(*slot, compact_row, into);
        s->windows_bytes += into->bytes - before;
        if (r < 0)
                return r;
        store_drop(s, slot);
        return 0;
}

/* Makes the ten windows around instant t one. What cannot be kept for want of memory is forgotten. */
static void store_compact(struct store *s, uint64_t t) {
        uint64_t begin = t - t % STORE_COARSE;
        struct window *into = NULL;
        bool failed = false;

        for (uint64_t at = begin; at < begin + STORE_COARSE && !failed; at += WINDOW_NS) {
                struct window **slot = &s->fine[at / WINDOW_NS % STORE_FINE_ROOM];

                if (!*slot || (*slot)->begin != at)
                        continue;
                if (!into)
                        failed = store_coarse(s, at, &into) < 0 || !into;
                if (!failed)
                        failed = store_compact_window(s, slot, into) < 0;
        }
        s->compacted = MAX(s->compacted, begin + STORE_COARSE);
        if (failed)
                s->dropped_windows += store_forget(s, begin + STORE_COARSE);
        else if (into)
                store_seal(s, into);
}

/* The window of instant t; *ret is NULL when that is forgotten. */
static int store_window(struct store *s, uint64_t t, struct window **ret) {
        struct window **slot = &s->fine[t / WINDOW_NS % STORE_FINE_ROOM];
        uint64_t begin = t - t % WINDOW_NS;
        int r;

        if (t >= s->horizon && t >= s->compacted && *slot && (*slot)->begin != begin)
                store_compact(s, MIN(t, (*slot)->begin)); /* ageing is late */
        if (t < s->horizon) {
                *ret = NULL;
                return 0;
        }
        if (t < s->compacted)
                return store_coarse(s, t, ret);
        if (!*slot) {
                r = store_place(s, slot, begin, begin + WINDOW_NS);
                if (r < 0)
                        return r;
        }
        *ret = *slot;
        return 0;
}

/* What a slice is in the store's terms; one use of each. */
struct entry {
        struct held *held;
        struct held_thread *thread;
        struct held_stack *stack;
        struct held_detail *detail;
};

static void entry_fini(struct entry *e) {
        held_thread_put(e->held, e->thread);
        held_stack_put(e->held, e->stack);
        held_detail_put(e->held, e->detail);
}

static int entry_init(struct entry *e, struct followed_thread *thread, struct stack *stack, const char *detail) {
        int r;

        r = held_thread_get(e->held, thread, &e->thread);
        if (r < 0)
                return r;
        r = held_stack_get(e->held, stack, &e->stack);
        if (r < 0)
                return r;
        return held_detail_get(e->held, detail, &e->detail);
}

/* One window's piece of a slice. */
struct piece {
        uint64_t instant;
        uint64_t ns, excess, skipped, samples;
        struct histogram *waits; /* borrowed */
};

static int store_add_piece(struct store *s, const struct entry *e, enum state state, const struct piece *p) {
        struct window_row row = {
                        .thread = e->thread,
                        .stack = e->stack,
                        .detail = e->detail,
                        .state = (uint8_t)state,
                        .ns = p->ns,
                        .excess = p->excess,
                        .waits = p->waits,
                        .samples = (uint32_t)p->samples,
        };
        struct window *w;
        size_t before;
        int r;

        r = store_window(s, p->instant, &w);
        if (r < 0 || !w)
                return r;
        before = w->bytes;
        if (p->skipped > 0)
                r = window_skip(w, e->thread, state, p->skipped);
        if (r >= 0 && (p->ns > 0 || p->samples > 0 || p->waits || p->excess > 0))
                r = window_add(w, &row);
        s->windows_bytes += w->bytes - before;
        return r;
}

static int store_add_span(struct store *s, struct entry *e, const struct slice *slice) {
        if (slice->end <= s->horizon)
                return 0;
        if (s->spans_n == s->spans_room) {
                size_t room = s->spans_room ? s->spans_room + s->spans_room / 2 : 16;
                struct span *spans = reallocarray(s->spans, room, sizeof(*spans));

                if (!spans)
                        return -ENOMEM;
                s->spans = spans;
                s->spans_room = room;
        }
        s->spans[s->spans_n++] = (struct span){
                        .thread = e->thread,
                        .stack = e->stack,
                        .detail = e->detail,
                        .begin = slice->begin,
                        .end = slice->end,
                        .state = slice->state,
        };
        e->thread = NULL; /* the span's now */
        e->stack = NULL;
        e->detail = NULL;
        return 0;
}

/* `part` of the way through a whole. */
static uint64_t part(uint64_t value, uint64_t x, uint64_t whole) {
        return (uint64_t)((unsigned __int128)value * x / whole);
}

/* Cuts at window edges; what is to be divided is divided by length. A long wait leaves only its end and its claims
 * here: the claims of its first and last window, as no time can have been skipped in between. */
static int store_cut(struct store *s, const struct entry *e, const struct slice *slice, struct histogram *waits,
                     bool span) {
        uint64_t length = slice->end - slice->begin;
        int r;

        for (uint64_t at = slice->begin, next; at < slice->end; at = next) {
                uint64_t from = at - slice->begin, to;
                struct piece p = {.instant = at};

                next = MIN(at - at % WINDOW_NS + WINDOW_NS, slice->end);
                to = next - slice->begin;
                p.ns = span ? 0 : part(slice->ns, to, length) - part(slice->ns, from, length);
                p.excess = part(slice->excess_ns, to, length) - part(slice->excess_ns, from, length);
                p.skipped = part(slice->skipped_ns, to, length) - part(slice->skipped_ns, from, length);
                if (next == slice->end) {
                        p.samples = slice->samples;
                        p.waits = waits;
                }
                r = store_add_piece(s, e, slice->state, &p);
                if (r < 0)
                        return r;
                if (span)
                        next = MAX(next, slice->end - 1 - (slice->end - 1) % WINDOW_NS);
        }
        return 0;
}

static void store_tell(struct store *s, uint64_t begin, uint64_t end) {
        if (s->earliest == UINT64_MAX)
                s->compacted = begin - begin % STORE_COARSE;
        s->earliest = MIN(s->earliest, begin);
        s->latest = MAX(s->latest, end);
}

int store_add(struct store *s, const struct slice *slice) {
        _cleanup_(entry_fini) struct entry e = {.held = &s->held};
        _cleanup_free_ struct histogram *waits = NULL;
        bool wait = !state_is_cpu(slice->state), span, fold;
        int r;

        if (slice->end <= slice->begin || (unsigned)slice->state >= STATE_MAX)
                return -EINVAL;
        store_tell(s, slice->begin, wait ? slice->end : slice->begin);
        fold = store_bytes(s) > s->memory_max && !store_shrink(s);
        s->folded += fold && slice->stack;
        r = entry_init(&e, slice->thread, fold ? NULL : slice->stack, fold ? NULL : slice->detail);
        if (r < 0)
                return r;
        if (slice->wait_ns > 0) {
                r = histogram_add(&waits, slice->wait_ns, 1 + slice->excess_ns / slice->wait_ns);
                if (r < 0)
                        return r;
        }
        /* Only what fills its interval can be cut anywhere. */
        span = wait && slice->end - slice->begin > STORE_SPAN_MIN && slice->ns == slice->end - slice->begin;
        r = store_cut(s, &e, slice, waits, span);
        if (r < 0 || !span)
                return r;
        return store_add_span(s, &e, slice);
}

int store_thread(struct store *s, struct followed_thread *t) {
        struct held_thread *held;
        int r;

        r = held_thread_get(&s->held, t, &held);
        if (r < 0)
                return r;
        if (held->live)
                held_thread_put(&s->held, held);
        held->live = true;
        store_tell(s, t->started, t->started);
        return 0;
}

void store_thread_gone(struct store *s, struct followed_thread *t) {
        struct held_thread *held;

        HASH_FIND_PTR(s->held.threads_by, &t, held);
        if (!held || !held->live)
                return;
        held->live = false;
        s->latest = MAX(s->latest, t->ended);
        held_thread_put(&s->held, held);
}

void store_set_lookup(struct store *s, store_lookup_fn *lookup, void *userdata) {
        s->lookup = lookup;
        s->lookup_userdata = userdata;
}

void store_age(struct store *s, uint64_t now) {
        uint64_t fine = now > STORE_FINE_AGE ? now - STORE_FINE_AGE : 0;
        uint64_t oldest = now > STORE_AGE ? now - STORE_AGE : 0;

        if (s->earliest == UINT64_MAX)
                return;
        fine -= fine % STORE_COARSE;
        store_forget(s, oldest - oldest % STORE_COARSE);
        for (int i = 0; i <= COMPACT_AT_ONCE && s->compacted < fine; i++) {
                const struct window *w = windows_oldest(s->fine, STORE_FINE_ROOM);

                if (!w || w->begin >= fine)
                        s->compacted = fine;
                else if (i < COMPACT_AT_ONCE)
                        store_compact(s, w->begin);
        }
        for (size_t i = 0; i < STORE_FINE_ROOM; i++)
                if (s->fine[i] && s->fine[i]->end + SEAL_AGE <= now)
                        store_seal(s, s->fine[i]);
        if (store_bytes(s) > s->memory_max)
                store_shrink(s);
}

void store_counters(const struct store *s, struct store_counters *ret) {
        struct store_counters c = {
                        .bytes = store_bytes(s),
                        .spans = s->spans_n,
                        .dropped_windows = s->dropped_windows,
                        .folded = s->folded,
                        .oldest = s->earliest == UINT64_MAX ? 0 : store_oldest(s, 0),
        };

        for (size_t i = 0; i < STORE_FINE_ROOM; i++)
                if (s->fine[i]) {
                        c.windows++;
                        c.rows += s->fine[i]->rows_n;
                }
        for (size_t i = 0; i < STORE_COARSE_ROOM; i++)
                if (s->coarse[i]) {
                        c.windows++;
                        c.rows += s->coarse[i]->rows_n;
                }
        *ret = c;
}
