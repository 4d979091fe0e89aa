/* SPDX-License-Identifier: Apache-2.0 */
/* History: for every thread and every range the states sum to its wall time, whatever is open, compacted or dropped. */
#include <errno.h>

#include "history.h"

#define THREADS 6
#define STACKS 5
#define START (100000 * SECOND + 123456789)

static struct store *new_store(uint64_t memory_max) {
        struct store *s = NULL;

        CHECK_EQUAL((uint64_t)store_new(memory_max, &s), 0);
        return must(s);
}

static uint64_t wall_in_state(struct store *s, enum state state, uint64_t since, uint64_t until, uint64_t now) {
        struct profile_query q = {.since = since, .until = until, .by = BY_STATE, .viewer = PROFILE_ANYONE};
        struct profile *p = ask(s, &q, now);
        uint64_t ns = p->states[state], rows = 0, states = 0;

        for (size_t i = 0; i < p->rows_n; i++)
                rows += p->rows[i].wall_ns;
        for (size_t i = 0; i < STATE_MAX; i++)
                states += p->states[i];
        CHECK_EQUAL(rows, p->wall_ns);
        CHECK_EQUAL(states, p->wall_ns);
        profile_free(p);
        return ns;
}

/* Rows by thread equal the wall time of each, and rows by window sum to the same. */
static void check_books(struct store *s, struct followed_thread **threads, size_t n, uint64_t since, uint64_t until,
                        uint64_t now) {
        struct profile_query q = {.since = since, .until = until, .by = BY_THREAD, .viewer = PROFILE_ANYONE};
        struct profile *p = ask(s, &q, now), *windows;
        uint64_t all = 0, sum = 0;
        size_t met = 0;

        CHECK(p->since <= MAX(since, p->oldest) && p->until >= MIN(until, p->since) && p->until <= now);
        CHECK(until < p->until || p->until >= MIN(until, now));
        for (size_t i = 0; i < n; i++) {
                uint64_t wall = wall_of(threads[i], p->since, p->until, now), row = 0;

                for (size_t j = 0; j < p->rows_n; j++)
                        if (p->rows[j].tid == threads[i]->tid)
                                row += p->rows[j].wall_ns;
                CHECK_EQUAL(row, wall);
                met += wall > 0;
                all += wall;
        }
        CHECK_EQUAL(p->wall_ns, all);
        CHECK_EQUAL(p->threads, met);
        q.by = BY_WINDOW;
        windows = ask(s, &q, now);
        for (size_t i = 0; i < windows->rows_n; i++)
                sum += windows->rows[i].wall_ns;
        CHECK_EQUAL(sum, all);
        CHECK(windows->since == p->since && windows->until == p->until);
        profile_free(windows);
        profile_free(p);
}

struct world {
        struct store *store;
        struct followed_process *process;
        struct followed_thread *threads[THREADS];
        struct function *functions[STACKS];
        struct stack *stacks[STACKS];
        uint64_t seed;
};

static struct stack *world_lookup(void *userdata, struct followed_process *p, uint64_t hash) {
        struct world *w = userdata;

        return hash > 0 && hash <= STACKS ? stack_ref(w->stacks[hash - 1]) : NULL;
}

/* Threads start within `spread` of START. */
static struct world *new_world(uint64_t memory_max, uint64_t seed, uint64_t spread) {
        struct world *w = must(calloc(1, sizeof(*w)));

        w->seed = seed;
        w->store = new_store(memory_max);
        store_set_lookup(w->store, world_lookup, w);
        w->process = new_process(10, 1, "app.py", START);
        for (size_t i = 0; i < STACKS; i++) {
                char name[16];

                snprintf(name, sizeof(name), "f%zu", i);
                w->functions[i] = new_function(name, "app.py", (int)i + 1);
                w->stacks[i] = new_stack(w->functions, (int[]){1, 2, 3, 4, 5}, (uint32_t)i + 1);
        }
        for (size_t i = 0; i < THREADS; i++) {
                w->threads[i] = new_thread(w->process, (uint32_t)(100 + i), START + chance(&w->seed, spread));
                CHECK_EQUAL((uint64_t)store_thread(w->store, w->threads[i]), 0);
        }
        return w;
}

static void world_free(struct world *w) {
        store_free(w->store);
        for (size_t i = 0; i < THREADS; i++)
                followed_thread_unref(w->threads[i]);
        for (size_t i = 0; i < STACKS; i++) {
                CHECK_EQUAL(w->stacks[i]->refs, 1); /* history gave all of them back */
                stack_unref(w->stacks[i]);
        }
        for (size_t i = 0; i < STACKS; i++)
                function_unref(w->functions[i]);
        CHECK_EQUAL(w->process->refs, 1);
        followed_process_unref(w->process);
        free(w);
}

/* The next thing that thread i does; mostly short, now and then long. */
static void world_step(struct world *w, size_t i, bool skip) {
        struct followed_thread *t = w->threads[i];
        uint64_t longest = chance(&w->seed, 40) ? 80 * MILLI : 30 * SECOND;
        struct stack *stack = chance(&w->seed, 8) ? w->stacks[chance(&w->seed, STACKS)] : NULL;
        struct observation o = {.thread = t, .cpu_ns = chance(&w->seed, 20 * MILLI), .weight = 1};

        if (skip) {
                o.skipped_blocked_ns = chance(&w->seed, 3) ? 0 : chance(&w->seed, 700 * MILLI);
                o.skipped_runnable_ns = chance(&w->seed, 3) ? 0 : chance(&w->seed, 50 * MILLI);
                o.lost_ns = chance(&w->seed, 9) ? 0 : chance(&w->seed, longest);
                o.weight = chance(&w->seed, 2) ? 1 : (uint32_t)chance(&w->seed, 100) + 1;
        }
        o.since = t->accounted + o.cpu_ns + o.skipped_blocked_ns + o.skipped_runnable_ns + o.lost_ns;
        o.wait = chance(&w->seed, 2);
        o.tick = !o.wait;
        o.tick_state = STATE_PYTHON;
        o.reason = chance(&w->seed, 2) ? STATE_NET : STATE_OTHER;
        o.detail = chance(&w->seed, 2) ? "tcp 10.0.0.5:5432" : "";
        o.woken = o.since + (o.wait ? chance(&w->seed, longest) : 0);
        o.end = o.woken + (o.wait ? chance(&w->seed, 3 * MILLI) : 0);
        observe(w->store, &o, stack);
}

static void world_open(struct world *w, size_t i) {
        struct followed_thread *t = w->threads[i];

        t->open = (struct thread_open){
                        .state = (enum thread_state)chance(&w->seed, 3),
                        .reason = chance(&w->seed, 2) ? STATE_NET : STATE_OTHER,
                        .since = t->accounted + chance(&w->seed, 2 * SECOND),
                        .stack = chance(&w->seed, STACKS + 1),
        };
        if (t->open.state != THREAD_ON_CPU && chance(&w->seed, 2))
                t->open.woken = t->open.since + chance(&w->seed, 3 * SECOND) - SECOND; /* it may come before */
}

static void world_check(struct world *w, uint64_t now) {
        for (int i = 0; i < 12; i++) {
                uint64_t since = START - 3 * SECOND + chance(&w->seed, now - START + 6 * SECOND);
                uint64_t until = since + chance(&w->seed, chance(&w->seed, 2) ? 10 * SECOND : now - START);

                check_books(w->store, w->threads, THREADS, since, until, now + (uint64_t)i * 77777777);
        }
        check_books(w->store, w->threads, THREADS, 0, UINT64_MAX, now);
}

/* A world that runs for `length`, all threads abreast, the store ageing once a second as in the daemon. */
static void test_random(uint64_t seed, uint64_t length, bool skip, bool ending, uint64_t memory_max) {
        struct world *w = new_world(memory_max, seed, 5 * SECOND);
        uint64_t aged = START, now;
        struct store_counters c;

        for (now = START; now < START + length; now += 250 * MILLI) {
                for (size_t i = 0; i < THREADS; i++) {
                        while (!w->threads[i]->ended && w->threads[i]->accounted <= now)
                                world_step(w, i, skip);
                        world_open(w, i);
                        if (ending && !w->threads[i]->ended && i < THREADS / 2 && now > START + length / 2)
                                end_thread(w->store, w->threads[i]);
                }
                if (now - aged >= SECOND) {
                        store_age(w->store, now);
                        aged = now;
                }
        }
        for (size_t i = 0; i < THREADS; i++)
                now = MAX(now, w->threads[i]->accounted);
        world_check(w, now);
        world_check(w, now + 40 * SECOND);
        store_counters(w->store, &c);
        CHECK(c.bytes <= memory_max);
        CHECK(length < 5000 * SECOND || c.oldest >= now - 4300 * SECOND);
        CHECK((c.dropped_windows > 0) == (memory_max < 1 << 20));
        world_free(w);
}

static void test_long_wait_is_a_span(void) {
        struct world *w = new_world(1 << 24, 7, 1);
        struct followed_thread *t = w->threads[0];
        struct profile_query q = {.since = 0, .until = UINT64_MAX, .by = BY_FUNCTION, .viewer = PROFILE_ANYONE};
        uint64_t start = t->accounted, end;
        struct store_counters c;
        struct profile *p;

        for (size_t i = 1; i < THREADS; i++)
                end_thread(w->store, w->threads[i]);
        wait_for(w->store, t, STATE_NET, "tcp", 300 * SECOND, 5 * MILLI, w->stacks[0]);
        end = t->accounted;
        store_counters(w->store, &c);
        CHECK(c.spans == 1 && c.rows == 2 && c.windows <= 3);
        CHECK_EQUAL(wall_in_state(w->store, STATE_NET, start, end, end), 300 * SECOND);
        CHECK_EQUAL(wall_in_state(w->store, STATE_NET, START + 50 * SECOND, START + 60 * SECOND, end), 11 * SECOND);
        p = ask(w->store, &q, end);
        CHECK(p->rows_n == 1 && p->rows[0].waits.count == 2 && p->rows[0].waits.max_ns == 300 * SECOND);
        CHECK_EQUAL(p->rows[0].own[STATE_NET], 300 * SECOND);
        CHECK_EQUAL(p->rows[0].own[STATE_RUNQ], 5 * MILLI);
        profile_free(p);
        q.until = START + 100 * SECOND; /* that it ended is known where it ended */
        p = ask(w->store, &q, end);
        CHECK(p->rows_n == 1 && p->rows[0].waits.count == 0 && p->rows[0].wall_ns > 99 * SECOND);
        profile_free(p);
        store_age(w->store, end + 5000 * SECOND); /* and it goes when its end is too old */
        store_counters(w->store, &c);
        CHECK(c.spans == 0 && c.rows == 0);
        world_free(w);
}

/* What every query by (thread, function, state) says, as one number that changes with any row. */
static uint64_t fingerprint(struct store *s, uint64_t since, uint64_t until, uint64_t now) {
        struct profile_query q = {.since = since,
                                  .until = until,
                                  .viewer = PROFILE_ANYONE,
                                  .by = BY_THREAD | BY_FUNCTION | BY_STATE,
                                  .sort = SORT_NAME};
        struct profile *p = ask(s, &q, now);
        uint64_t sum = p->rows_n;

        for (size_t i = 0; i < p->rows_n; i++) {
                const struct profile_row *r = &p->rows[i];

                sum = sum * 31 + r->wall_ns;
                sum = sum * 31 + r->own[r->state];
                sum = sum * 31 + r->samples;
                sum = sum * 31 + r->waits.count;
                sum = sum * 31 + r->waits.p95_ns;
        }
        profile_free(p);
        return sum;
}

static void test_compaction_keeps_sums(void) {
        struct world *w = new_world(1 << 28, 99, 5 * SECOND);
        uint64_t from = START - START % (10 * SECOND) + 20 * SECOND, to = from + 200 * SECOND, before, now = 0;
        struct store_counters c, later;

        for (size_t i = 0; i < THREADS; i++) {
                while (w->threads[i]->accounted < START + 300 * SECOND)
                        world_step(w, i, true);
                now = MAX(now, w->threads[i]->accounted);
        }
        store_counters(w->store, &c);
        before = fingerprint(w->store, from, to, now);
        for (uint64_t at = now; at < now + 700 * SECOND; at += SECOND)
                store_age(w->store, at);
        store_counters(w->store, &later);
        CHECK(c.windows >= 300 && later.windows <= 40 && later.rows < c.rows && later.bytes < c.bytes);
        CHECK_EQUAL(fingerprint(w->store, from, to, now), before);
        check_books(w->store, w->threads, THREADS, from, to, now);

        /* Bounds inside a window of 10 s are rounded outward to it. */
        {
                struct profile_query q = {.since = from + 3 * SECOND,
                                          .until = to - 4 * SECOND,
                                          .by = BY_STATE,
                                          .viewer = PROFILE_ANYONE};
                struct profile *p = ask(w->store, &q, now);

                CHECK(p->since == from && p->until == to);
                profile_free(p);
        }
        world_free(w);
}

static void test_rounding(void) {
        struct world *w = new_world(1 << 24, 3, 1);
        struct profile_query q = {.by = BY_THREAD, .viewer = PROFILE_ANYONE};
        uint64_t base = (START / SECOND) * SECOND, now = base + 60 * SECOND + 400 * MILLI;
        struct profile *p;

        for (size_t i = 0; i < THREADS; i++)
                wait_for(w->store, w->threads[i], STATE_NET, "", base + 60 * SECOND - w->threads[i]->accounted, 0,
                         NULL);
        q.since = base + 20 * SECOND + 1;
        q.until = base + 30 * SECOND + 1;
        p = ask(w->store, &q, now);
        CHECK(p->since == base + 20 * SECOND && p->until == base + 31 * SECOND && p->oldest == base);
        profile_free(p);
        q.until = UINT64_MAX; /* the window that holds now ends now */
        p = ask(w->store, &q, now);
        CHECK(p->until == now);
        profile_free(p);
        q.since = 0; /* more than there is */
        q.until = base + 10 * SECOND;
        p = ask(w->store, &q, now);
        CHECK(p->since == base && p->until == base + 10 * SECOND);
        profile_free(p);
        q.until = base - 10 * SECOND;
        p = ask(w->store, &q, now);
        CHECK(p->since == p->until && p->rows_n == 0 && p->wall_ns == 0);
        profile_free(p);
        q.since = now + 5 * SECOND; /* the future */
        q.until = now + 9 * SECOND;
        p = ask(w->store, &q, now);
        CHECK(p->since == now && p->until == now && p->rows_n == 0);
        profile_free(p);
        world_free(w);
}

static void test_skipped(void) {
        struct world *w = new_world(1 << 24, 5, 1);
        struct followed_thread *t = w->threads[0];
        struct profile_query q = {.until = UINT64_MAX, .by = BY_FUNCTION, .sort = SORT_NAME, .viewer = PROFILE_ANYONE};
        uint64_t base = (START / SECOND + 1) * SECOND;
        struct observation o = {.thread = t, .wait = true, .reason = STATE_OTHER, .weight = 3, .detail = ""};
        struct profile *p;

        for (size_t i = 1; i < THREADS; i++)
                end_thread(w->store, w->threads[i]);
        end_thread(w->store, t);
        t->ended = 0;
        t->started = t->accounted = base;
        /* 100 ms of f0 claim 200 ms, 50 ms of f1 claim 100 ms: they divide 301,000,001 ns two to one. */
        o.since = base;
        o.woken = o.end = o.since + 100 * MILLI;
        observe(w->store, &o, w->stacks[0]);
        o.skipped_blocked_ns = 301 * MILLI + 1;
        o.since = o.end + o.skipped_blocked_ns;
        o.woken = o.end = o.since + 50 * MILLI;
        observe(w->store, &o, w->stacks[1]);
        p = ask(w->store, &q, t->accounted);
        CHECK_EQUAL(p->wall_ns, 451 * MILLI + 1);
        CHECK_EQUAL(p->states[STATE_OTHER], 451 * MILLI + 1);
        CHECK(p->rows_n == 2); /* f1 calls f0 */
        CHECK_EQUAL(p->rows[0].own[STATE_OTHER], 451 * MILLI + 1);
        CHECK(p->rows[1].total[STATE_OTHER] >= 150 * MILLI + 333333 &&
              p->rows[1].total[STATE_OTHER] <= 150 * MILLI + 333334);
        CHECK_EQUAL(p->rows[0].waits.count, 6); /* each stands for three */
        profile_free(p);

        /* Nobody claims what was skipped in the next window; and run-queue time is not what blocked waits claim. */
        o = (struct observation){
                        .thread = t, .end = base + SECOND, .skipped_runnable_ns = base + SECOND - t->accounted};
        observe(w->store, &o, NULL);
        o = (struct observation){.thread = t, .end = base + 2 * SECOND, .skipped_blocked_ns = SECOND};
        observe(w->store, &o, NULL);
        p = ask(w->store, &q, t->accounted);
        CHECK_EQUAL(p->wall_ns, 2 * SECOND);
        CHECK(p->rows_n == 3 && strcmp(p->rows[0].frame.function, "[unsampled]") == 0);
        CHECK_EQUAL(p->rows[0].own[STATE_OTHER], SECOND);
        CHECK_EQUAL(p->rows[0].own[STATE_RUNQ], SECOND - 451 * MILLI - 1);
        profile_free(p);
        world_free(w);
}

static void test_open_grows(void) {
        struct world *w = new_world(1 << 24, 11, 1);
        struct followed_thread *t = w->threads[0];
        uint64_t now;

        for (size_t i = 1; i < THREADS; i++)
                end_thread(w->store, w->threads[i]);
        run(w->store, t, 10 * MILLI, w->stacks[2]);
        now = t->accounted;
        t->open = (struct thread_open){
                        .state = THREAD_BLOCKED, .reason = STATE_LOCK, .since = now + 5 * MILLI, .stack = 3};
        for (uint64_t grown = 1; grown <= 20; grown++) {
                uint64_t at = now + grown * SECOND;

                CHECK_EQUAL(wall_in_state(w->store, STATE_LOCK, 0, UINT64_MAX, at), grown * SECOND - 5 * MILLI);
                CHECK_EQUAL(wall_in_state(w->store, STATE_UNSAMPLED, 0, UINT64_MAX, at), 5 * MILLI);
                check_books(w->store, w->threads, THREADS, 0, UINT64_MAX, at);
        }
        {
                struct profile_query q = {.until = UINT64_MAX, .by = BY_FUNCTION, .viewer = PROFILE_ANYONE};
                struct profile *p = ask(w->store, &q, now + 20 * SECOND);

                CHECK(strcmp(p->rows[0].frame.function, "f0") == 0 && p->rows[0].own[STATE_LOCK] > 19 * SECOND);
                CHECK(p->rows[0].waits.count == 0); /* it has not ended */
                profile_free(p);
        }
        t->open.woken = now + 2 * SECOND;
        CHECK_EQUAL(wall_in_state(w->store, STATE_LOCK, 0, UINT64_MAX, now + 9 * SECOND), 2 * SECOND - 5 * MILLI);
        CHECK_EQUAL(wall_in_state(w->store, STATE_RUNQ, 0, UINT64_MAX, now + 9 * SECOND), 7 * SECOND);
        t->open.state = THREAD_RUNNABLE;
        CHECK_EQUAL(wall_in_state(w->store, STATE_LOCK, 0, UINT64_MAX, now + 9 * SECOND), 2 * SECOND - 5 * MILLI);
        t->open.woken = 0; /* preempted */
        CHECK_EQUAL(wall_in_state(w->store, STATE_RUNQ, 0, UINT64_MAX, now + 9 * SECOND), 9 * SECOND - 5 * MILLI);
        t->open.state = THREAD_ON_CPU;
        CHECK_EQUAL(wall_in_state(w->store, STATE_UNSAMPLED, 0, UINT64_MAX, now + 9 * SECOND), 9 * SECOND);
        world_free(w);
}

static void test_unclaimed_shows(void) {
        struct world *w = new_world(1 << 24, 13, 1);
        struct followed_thread *t = w->threads[0];
        struct observation o = {.thread = t, .cpu_ns = 1500 * MILLI};

        for (size_t i = 1; i < THREADS; i++)
                end_thread(w->store, w->threads[i]);
        o.end = t->accounted + o.cpu_ns; /* no tick: it is accounted, and in no row */
        observe(w->store, &o, NULL);
        CHECK_EQUAL(wall_in_state(w->store, STATE_UNSAMPLED, 0, UINT64_MAX, t->accounted), 1500 * MILLI);
        check_books(w->store, w->threads, THREADS, 0, UINT64_MAX, t->accounted);
        run(w->store, t, MILLI, w->stacks[0]); /* now it is claimed, and not there twice */
        CHECK_EQUAL(wall_in_state(w->store, STATE_UNSAMPLED, 0, UINT64_MAX, t->accounted), 0);
        CHECK_EQUAL(wall_in_state(w->store, STATE_PYTHON, 0, UINT64_MAX, t->accounted), 1501 * MILLI);
        world_free(w);
}

/* One window that is too large alone loses stacks, not time. */
static void test_memory_of_one_window(void) {
        struct store *s = new_store(100000);
        struct followed_process *p = new_process(1, 0, "app.py", 0);
        struct followed_thread *t = new_thread(p, 1, START);
        struct store_counters c;
        uint64_t all;

        CHECK_EQUAL((uint64_t)store_thread(s, t), 0);
        for (int i = 0; i < 5000; i++) {
                struct function *f = new_function("f", "app.py", i);
                struct stack *stack = new_stack(&f, &i, 1);

                run(s, t, 1000, stack);
                stack_unref(stack);
                function_unref(f);
        }
        store_counters(s, &c);
        CHECK(c.folded > 0 && c.bytes < 110000);
        all = wall_in_state(s, STATE_PYTHON, 0, UINT64_MAX, t->accounted);
        CHECK_EQUAL(all, 5000 * 1000);
        store_free(s);
        CHECK_EQUAL(t->refs, 1);
        followed_thread_unref(t);
        followed_process_unref(p);
}

int main(void) {
        test_rounding();
        test_long_wait_is_a_span();
        test_skipped();
        test_open_grows();
        test_unclaimed_shows();
        test_compaction_keeps_sums();
        test_memory_of_one_window();
        for (uint64_t seed = 1; seed <= 6; seed++) {
                test_random(seed * UINT64_C(0x9e3779b97f4a7c15), 60 * SECOND, seed % 2, seed % 3 == 0, 1 << 28);
                test_random(seed * UINT64_C(0x9e3779b97f4a7c15), 120 * SECOND, seed % 2, seed % 3 == 0, 1 << 17);
        }
        test_random(4711, 900 * SECOND, true, true, 1 << 28);
        test_random(815, 900 * SECOND, false, false, 1 << 19);
        test_random(42, 5200 * SECOND, true, false, 1 << 28);
        return check_result();
}
