/* SPDX-License-Identifier: Apache-2.0 */
/* From observations to slices: every nanosecond once, in the window where it lies. */
#include <errno.h>

#include "history.h"

#define SLICES_MAX 4096

struct slices {
        struct slice list[SLICES_MAX];
        size_t n;
        int fail; /* what emit returns, once */
};

static int keep(void *userdata, const struct slice *s) {
        struct slices *k = userdata;

        if (k->fail < 0)
                return k->fail;
        if (k->n < SLICES_MAX)
                k->list[k->n++] = *s;
        return 0;
}

static uint64_t unclaimed(const struct followed_thread *t) {
        return t->unclaimed[0] + t->unclaimed[1];
}

static uint64_t booked(const struct slices *k) {
        uint64_t ns = 0;

        for (size_t i = 0; i < k->n; i++)
                ns += k->list[i].ns + k->list[i].skipped_ns;
        return ns;
}

/* Emits and checks the books of one observation; then the thread is accounted up to its end. */
static void step(struct observation *o, struct stack *stack, struct slices *k) {
        uint64_t before = unclaimed(o->thread);

        k->n = 0;
        o->begin = o->thread->accounted;
        CHECK_EQUAL((uint64_t)aggregate_observation(o, stack, keep, k), 0);
        CHECK_EQUAL(booked(k) + unclaimed(o->thread) - before, o->end - o->begin);
        o->thread->accounted = o->end;
}

static void test_tick_claims(struct followed_thread *t, struct stack *stack, struct slices *k) {
        struct observation o = {.thread = t,
                                .end = 10 * SECOND + 300 * MILLI,
                                .cpu_ns = 300 * MILLI,
                                .tick = true,
                                .tick_state = STATE_NATIVE};

        t->accounted = 10 * SECOND;
        step(&o, stack, k);
        CHECK(k->n == 1 && k->list[0].ns == 300 * MILLI && k->list[0].samples == 1);
        CHECK(k->list[0].state == STATE_NATIVE && k->list[0].stack == stack && k->list[0].begin == 10 * SECOND);

        /* 700 ms are left of this window and 100 ms lie in the next: each is booked where it lies. */
        o.end = 11 * SECOND + 100 * MILLI;
        o.cpu_ns = 800 * MILLI;
        step(&o, stack, k);
        CHECK(k->n == 2 && k->list[0].ns == 700 * MILLI && k->list[0].samples == 0);
        CHECK(k->list[0].begin == 10 * SECOND && k->list[1].begin == 11 * SECOND);
        CHECK(k->list[1].ns == 100 * MILLI && k->list[1].samples == 1);
        CHECK_EQUAL(unclaimed(t), 0);
}

static void test_unsampled(struct followed_thread *t, struct stack *stack, struct slices *k) {
        struct observation wait = {.thread = t,
                                   .cpu_ns = 200 * MILLI,
                                   .wait = true,
                                   .reason = STATE_NET,
                                   .detail = "tcp",
                                   .weight = 1};
        struct observation tick = {.thread = t, .cpu_ns = 50 * MILLI, .tick = true, .tick_state = STATE_KERNEL};

        t->accounted = 20 * SECOND;
        wait.since = 20 * SECOND + 200 * MILLI;
        wait.woken = wait.end = 21 * SECOND + 500 * MILLI;
        step(&wait, stack, k);
        CHECK(k->n == 1 && k->list[0].state == STATE_NET); /* the CPU time still waits for a tick */
        CHECK_EQUAL(unclaimed(t), 200 * MILLI);

        wait.cpu_ns = 0;
        wait.since = wait.end;
        wait.woken = wait.end = 22 * SECOND + 950 * MILLI;
        step(&wait, stack, k);
        CHECK(k->n == 2 && k->list[0].state == STATE_UNSAMPLED && k->list[0].begin == 20 * SECOND);
        CHECK(k->list[0].stack == NULL && k->list[0].ns == 200 * MILLI && k->list[0].samples == 0);

        tick.end = 23 * SECOND; /* at the very edge: the tick is the new window's, the time the old one's */
        step(&tick, stack, k);
        CHECK(k->n == 2 && k->list[0].ns == 50 * MILLI && k->list[0].begin == 22 * SECOND && k->list[0].samples == 0);
        CHECK(k->list[1].ns == 0 && k->list[1].begin == 23 * SECOND && k->list[1].samples == 1);
}

static void test_wait(struct followed_thread *t, struct stack *stack, struct slices *k) {
        struct observation o = {.thread = t, .wait = true, .reason = STATE_LOCK, .detail = "d", .weight = 5};

        t->accounted = o.since = 30 * SECOND;
        o.woken = 30 * SECOND + 30 * MILLI;
        o.end = o.woken + 2 * MILLI;
        step(&o, stack, k);
        CHECK(k->n == 2 && k->list[0].state == STATE_LOCK && k->list[1].state == STATE_RUNQ);
        CHECK(k->list[0].stack == stack && k->list[1].stack == stack);
        CHECK(strcmp(k->list[0].detail, "d") == 0 && strcmp(k->list[1].detail, "woken") == 0);
        CHECK(k->list[0].wait_ns == 30 * MILLI && k->list[0].excess_ns == 4 * 30 * MILLI);
        CHECK(k->list[1].wait_ns == 2 * MILLI && k->list[1].excess_ns == 4 * 2 * MILLI);

        /* Preempted: it never was blocked. */
        o.reason = STATE_RUNQ;
        o.detail = "";
        o.weight = 1;
        o.since = o.woken = o.end;
        o.end += MILLI;
        step(&o, stack, k);
        CHECK(k->n == 1 && k->list[0].state == STATE_RUNQ && strcmp(k->list[0].detail, "preempted") == 0);
        CHECK(k->list[0].excess_ns == 0 && k->list[0].ns == MILLI);

        o.since = o.woken = o.end; /* no time at all */
        step(&o, stack, k);
        CHECK_EQUAL(k->n, 0);
}

static void test_skipped_and_lost(struct followed_thread *t, struct slices *k) {
        struct observation o = {.thread = t,
                                .end = 41 * SECOND,
                                .cpu_ns = 100 * MILLI,
                                .skipped_blocked_ns = 200 * MILLI,
                                .skipped_runnable_ns = 300 * MILLI,
                                .lost_ns = 400 * MILLI};

        t->accounted = 40 * SECOND;
        step(&o, NULL, k);
        CHECK(k->n == 3);
        CHECK(k->list[0].state == STATE_OTHER && k->list[0].skipped_ns == 200 * MILLI && k->list[0].ns == 0);
        CHECK(k->list[1].state == STATE_RUNQ && k->list[1].skipped_ns == 300 * MILLI && k->list[1].ns == 0);
        CHECK(k->list[2].state == STATE_OTHER && k->list[2].ns == 400 * MILLI && k->list[2].stack == NULL);
        CHECK(strcmp(k->list[2].detail, "lost records") == 0);

        /* Over three windows each part goes along. */
        o.end = 44 * SECOND;
        o.cpu_ns = 0;
        o.skipped_runnable_ns = 0;
        o.skipped_blocked_ns = 1 * SECOND;
        o.lost_ns = 2 * SECOND;
        step(&o, NULL, k);
        CHECK(k->n == 7); /* and what was unclaimed in window 40 is unsampled */
        for (size_t i = 0; i < k->n; i++)
                CHECK(k->list[i].state == STATE_UNSAMPLED || k->list[i].ns + k->list[i].skipped_ns < SECOND);
}

static void test_refusals(struct followed_thread *t, struct slices *k) {
        struct observation o = {.thread = t, .begin = 50 * SECOND, .end = 51 * SECOND, .cpu_ns = SECOND - 1};

        k->n = 0;
        t->unclaimed[0] = t->unclaimed[1] = 0;
        CHECK(aggregate_observation(&o, NULL, keep, k) == -EINVAL);
        o.cpu_ns = SECOND;
        o.end = 49 * SECOND;
        CHECK(aggregate_observation(&o, NULL, keep, k) == -EINVAL);
        o = (struct observation){.thread = t,
                                 .begin = 50 * SECOND,
                                 .end = 51 * SECOND,
                                 .wait = true,
                                 .since = 50 * SECOND,
                                 .woken = 52 * SECOND,
                                 .reason = STATE_NET,
                                 .weight = 1};
        CHECK(aggregate_observation(&o, NULL, keep, k) == -EINVAL);
        CHECK(k->n == 0 && unclaimed(t) == 0);
        o.woken = 51 * SECOND;
        k->fail = -ENOMEM;
        CHECK(aggregate_observation(&o, NULL, keep, k) == -ENOMEM);
        k->fail = 0;
}

/* Slices are where their time is: per window they hold no more than a second, waits being cut. */
static void spread(const struct slices *k, uint64_t *windows, uint64_t windows_n, uint64_t first) {
        for (size_t i = 0; i < k->n; i++) {
                const struct slice *s = &k->list[i];
                bool whole = s->ns == s->end - s->begin;

                for (uint64_t at = s->begin, next; at < s->end; at = next) {
                        uint64_t n = at / SECOND - first;

                        next = MIN((at / SECOND + 1) * SECOND, s->end);
                        CHECK(n < windows_n && (whole || s->end <= (at / SECOND + 1) * SECOND));
                        if (n < windows_n)
                                windows[n] += whole ? next - at : s->ns + s->skipped_ns;
                }
        }
}

static void random_observation(struct observation *o, uint64_t *seed) {
        uint64_t part[5], scale = UINT64_C(1) << chance(seed, 33);

        for (size_t i = 0; i < ARRAY_SIZE(part); i++)
                part[i] = chance(seed, 3) ? chance(seed, scale) : 0;
        o->cpu_ns = part[0];
        o->skipped_blocked_ns = part[1];
        o->skipped_runnable_ns = part[2];
        o->lost_ns = chance(seed, 10) ? 0 : part[3];
        o->since = o->thread->accounted + o->cpu_ns + o->skipped_blocked_ns + o->skipped_runnable_ns + o->lost_ns;
        o->wait = chance(seed, 2);
        o->tick = !o->wait && chance(seed, 2);
        o->tick_state = (enum state)chance(seed, STATE_UNSAMPLED);
        o->reason = (enum state)(STATE_RUNQ + chance(seed, STATE_MAX - STATE_RUNQ));
        o->weight = (uint32_t)(1 + chance(seed, 20));
        o->woken = o->since + (o->wait ? part[4] : 0);
        o->end = o->woken + (o->wait ? chance(seed, scale) : 0);
        o->detail = "";
}

#define RANDOM_WINDOWS 4096

static void test_random(struct followed_process *p, struct slices *k, uint64_t seed) {
        struct followed_thread *t = new_thread(p, 2, 1000 * SECOND + chance(&seed, SECOND));
        uint64_t *windows = must(calloc(RANDOM_WINDOWS, sizeof(*windows)));
        uint64_t first = t->started / SECOND, last;

        while (t->accounted < t->started + (RANDOM_WINDOWS - 200) * SECOND / 40) {
                struct observation o = {.thread = t};

                random_observation(&o, &seed);
                step(&o, NULL, k);
                spread(k, windows, RANDOM_WINDOWS, first);
        }
        k->n = 0;
        CHECK_EQUAL((uint64_t)aggregate_thread_exit(t, keep, k), 0);
        spread(k, windows, RANDOM_WINDOWS, first);
        CHECK_EQUAL(unclaimed(t), 0);
        last = t->accounted / SECOND - first;
        CHECK_EQUAL(windows[0], (first + 1) * SECOND - t->started);
        for (uint64_t i = 1; i < last; i++)
                CHECK_EQUAL(windows[i], SECOND);
        CHECK_EQUAL(windows[last], t->accounted % SECOND);
        free(windows);
        followed_thread_unref(t);
}

int main(void) {
        struct followed_process *p = new_process(1, 0, "app.py", 0);
        struct followed_thread *t = new_thread(p, 1, 10 * SECOND);
        struct function *f = new_function("work", "app.py", 1);
        struct stack *stack = new_stack(&f, &(int){2}, 1);
        struct slices *k = must(calloc(1, sizeof(*k)));

        test_tick_claims(t, stack, k);
        test_unsampled(t, stack, k);
        test_wait(t, stack, k);
        test_skipped_and_lost(t, k);
        test_refusals(t, k);
        for (uint64_t seed = 1; seed <= 20; seed++)
                test_random(p, k, seed * UINT64_C(0x9e3779b97f4a7c15));

        stack_unref(stack);
        function_unref(f);
        followed_thread_unref(t);
        followed_process_unref(p);
        free(k);
        return check_result();
}
