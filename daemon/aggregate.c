/* SPDX-License-Identifier: Apache-2.0 */
#include "aggregate.h"

#include <errno.h>

#include "base/macro.h"

/* Whoever gets the slices; what every step below needs. */
struct sink {
        struct followed_thread *thread;
        aggregate_emit_fn *emit;
        void *userdata;
};

static int sink_cpu(const struct sink *k, uint64_t window, uint64_t ns, struct stack *stack, enum state state,
                    uint64_t samples) {
        struct slice s = {
                        .thread = k->thread,
                        .stack = stack,
                        .state = state,
                        .detail = "",
                        .begin = window * WINDOW_NS,
                        .end = (window + 1) * WINDOW_NS,
                        .ns = ns,
                        .samples = samples,
        };

        return ns == 0 && samples == 0 ? 0 : k->emit(k->userdata, &s);
}

static int sink_unsampled(const struct sink *k, uint64_t window, uint64_t ns) {
        return sink_cpu(k, window, ns, NULL, STATE_UNSAMPLED, 0);
}

/* Makes `window` the current one: CPU time that no tick can claim any more is unsampled. */
static int unclaimed_advance(const struct sink *k, uint64_t window) {
        struct followed_thread *t = k->thread;
        uint64_t current = t->unclaimed_window, now = t->unclaimed[0], before = t->unclaimed[1];
        int r;

        if (window <= current)
                return 0;
        t->unclaimed_window = window;
        t->unclaimed[0] = 0;
        t->unclaimed[1] = window == current + 1 ? now : 0;
        if (before > 0) {
                r = sink_unsampled(k, current - 1, before);
                if (r < 0)
                        return r;
        }
        return window == current + 1 ? 0 : sink_unsampled(k, current, now);
}

static int unclaimed_add(const struct sink *k, uint64_t window, uint64_t ns) {
        struct followed_thread *t = k->thread;
        int r;

        if (ns == 0)
                return 0;
        r = unclaimed_advance(k, window);
        if (r < 0)
                return r;
        if (window == t->unclaimed_window)
                t->unclaimed[0] += ns;
        else if (window + 1 == t->unclaimed_window)
                t->unclaimed[1] += ns;
        else
                return sink_unsampled(k, window, ns);
        return 0;
}

/* Hands out all that is unclaimed: to a tick, or as unsampled. */
static int unclaimed_claim(const struct sink *k, struct stack *stack, enum state state, uint64_t samples) {
        struct followed_thread *t = k->thread;
        uint64_t now = t->unclaimed[0], before = t->unclaimed[1];
        int r;

        t->unclaimed[0] = t->unclaimed[1] = 0;
        if (before > 0) {
                r = sink_cpu(k, t->unclaimed_window - 1, before, stack, state, 0);
                if (r < 0)
                        return r;
        }
        return sink_cpu(k, t->unclaimed_window, now, stack, state, samples);
}

/* `part` of `whole`, at `x` of the way through it; monotone, and exact at both ends. */
static uint64_t share(uint64_t part, uint64_t x, uint64_t whole) {
        return whole == 0 ? 0 : (uint64_t)((unsigned __int128)part * x / whole);
}

/* What [begin, since or end) was spent on. Nobody knows in which order, so it is spread evenly. */
struct mix {
        uint64_t cpu, blocked, runnable, lost;
};

/* The first `x` ns of `all`. Each part is cut out of what the ones before it left, so that the parts always sum to x
 * and a part that is zero stays zero. */
static struct mix mix_until(const struct mix *all, uint64_t x) {
        uint64_t whole = all->cpu + all->blocked + all->runnable + all->lost;
        struct mix m;

        m.cpu = share(all->cpu, x, whole);
        x -= m.cpu;
        whole -= all->cpu;
        m.blocked = share(all->blocked, x, whole);
        x -= m.blocked;
        whole -= all->blocked;
        m.runnable = share(all->runnable, x, whole);
        m.lost = x - m.runnable;
        return m;
}

/* One window's piece, [begin, end), of the mix. */
static int mix_emit(const struct sink *k, const struct mix *m, uint64_t begin, uint64_t end) {
        struct slice s = {.thread = k->thread, .detail = "", .begin = begin, .end = end};
        int r;

        r = unclaimed_add(k, begin / WINDOW_NS, m->cpu);
        if (r < 0)
                return r;
        if (m->blocked > 0) {
                s.state = STATE_OTHER;
                s.skipped_ns = m->blocked;
                r = k->emit(k->userdata, &s);
                if (r < 0)
                        return r;
        }
        if (m->runnable > 0) {
                s.state = STATE_RUNQ;
                s.skipped_ns = m->runnable;
                r = k->emit(k->userdata, &s);
                if (r < 0)
                        return r;
        }
        if (m->lost == 0)
                return 0;
        s.state = STATE_OTHER;
        s.detail = "lost records";
        s.skipped_ns = 0;
        s.ns = m->lost;
        return k->emit(k->userdata, &s);
}

static int mix_spread(const struct sink *k, const struct mix *all, uint64_t begin, uint64_t end) {
        struct mix done = {};
        int r;

        for (uint64_t at = begin, next; at < end; at = next) {
                struct mix upto, piece;

                next = MIN((at / WINDOW_NS + 1) * WINDOW_NS, end);
                upto = mix_until(all, next - begin);
                piece = (struct mix){upto.cpu - done.cpu, upto.blocked - done.blocked, upto.runnable - done.runnable,
                                     upto.lost - done.lost};
                done = upto;
                r = mix_emit(k, &piece, at, next);
                if (r < 0)
                        return r;
        }
        return 0;
}

static uint64_t excess(uint64_t ns, uint32_t weight) {
        uint64_t product;

        if (weight <= 1)
                return 0;
        return __builtin_mul_overflow(ns, (uint64_t)weight - 1, &product) ? UINT64_MAX : product;
}

static int wait_emit_part(const struct sink *k, const struct observation *o, struct stack *stack, enum state state,
                          const char *detail, uint64_t begin, uint64_t end) {
        struct slice s = {
                        .thread = k->thread,
                        .stack = stack,
                        .state = state,
                        .detail = detail,
                        .begin = begin,
                        .end = end,
                        .ns = end - begin,
                        .wait_ns = end - begin,
                        .excess_ns = excess(end - begin, o->weight),
        };

        return begin == end ? 0 : k->emit(k->userdata, &s);
}

static int wait_emit(const struct sink *k, const struct observation *o, struct stack *stack) {
        const char *detail = o->detail ? o->detail : "";
        int r;

        if (o->reason == STATE_RUNQ)
                return wait_emit_part(k, o, stack, STATE_RUNQ, detail[0] ? detail : "preempted", o->since, o->end);
        r = wait_emit_part(k, o, stack, o->reason, detail, o->since, o->woken);
        if (r < 0)
                return r;
        return wait_emit_part(k, o, stack, STATE_RUNQ, "woken", o->woken, o->end);
}

static bool observation_balances(const struct observation *o) {
        unsigned __int128 sum =
                        (unsigned __int128)o->cpu_ns + o->skipped_blocked_ns + o->skipped_runnable_ns + o->lost_ns;

        if (o->end < o->begin)
                return false;
        if (o->wait) {
                if (o->since < o->begin || o->woken < o->since || o->end < o->woken)
                        return false;
                sum += o->end - o->since;
        }
        return sum == o->end - o->begin;
}

int aggregate_observation(const struct observation *o, struct stack *stack, aggregate_emit_fn *emit, void *userdata) {
        struct sink k = {.thread = o->thread, .emit = emit, .userdata = userdata};
        struct mix all = {o->cpu_ns, o->skipped_blocked_ns, o->skipped_runnable_ns, o->lost_ns};
        int r;

        if (!observation_balances(o))
                return -EINVAL;
        r = mix_spread(&k, &all, o->begin, o->wait ? o->since : o->end);
        if (r < 0)
                return r;
        r = unclaimed_advance(&k, o->end / WINDOW_NS);
        if (r < 0)
                return r;
        if (o->tick) {
                r = unclaimed_claim(&k, stack, o->tick_state, 1);
                if (r < 0)
                        return r;
        }
        return o->wait ? wait_emit(&k, o, stack) : 0;
}

int aggregate_thread_exit(struct followed_thread *t, aggregate_emit_fn *emit, void *userdata) {
        struct sink k = {.thread = t, .emit = emit, .userdata = userdata};

        return unclaimed_claim(&k, NULL, STATE_UNSAMPLED, 0);
}
