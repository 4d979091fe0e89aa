/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a small history whose answers are known. */
#include <errno.h>

#include "history.h"

#define BASE (5000 * SECOND)

enum { MAIN, FIB, DUMPS, SELECT, FUNCTIONS };

/*
 * web.py, pid 10: thread 11 computes main > fib > fib > fib (600 ms) and main > dumps (300 ms), then waits 2 s for a
 * database; thread 12 is parked in select (idle) since the start. worker.py, pid 20, a child of 10 of another user:
 * main for 100 ms. tool.py, pid 30, a grandchild: no stack for 50 ms.
 */
struct world {
        struct store *store;
        struct function *functions[FUNCTIONS];
        struct stack *fib, *dumps, *select, *cut, *lost;
        struct followed_process *web, *worker, *tool;
        struct followed_thread *threads[4];
        uint64_t now;
};

static struct stack *world_lookup(void *userdata, struct followed_process *p, uint64_t hash) {
        struct world *w = userdata;

        return hash == 1 ? stack_ref(w->select) : NULL;
}

static void set(char **to, const char *text) {
        free(*to);
        *to = must(strdup(text));
}

static struct stack *world_stack(struct world *w, const int *functions, const int *lines, uint32_t n) {
        struct function *list[8];

        for (uint32_t i = 0; i < n; i++)
                list[i] = w->functions[functions[i]];
        return new_stack(list, lines, n);
}

static void world_stacks(struct world *w) {
        w->functions[MAIN] = new_function("main", "/srv/app/web.py", 1);
        w->functions[FIB] = new_function("fib", "/srv/app/web.py", 10);
        w->functions[DUMPS] = new_function("JSONEncoder.encode", "/usr/lib/python3/json/encoder.py", 180);
        w->functions[SELECT] = new_function("select", "/usr/lib/python3/selectors.py", 452);
        w->fib = world_stack(w, (int[]){FIB, FIB, FIB, MAIN}, (int[]){11, 13, 13, 3}, 4);
        w->dumps = world_stack(w, (int[]){DUMPS, MAIN}, (int[]){199, 4}, 2);
        w->select = world_stack(w, (int[]){SELECT, MAIN}, (int[]){468, 5}, 2);
        w->select->idle = true;
        w->cut = world_stack(w, (int[]){MAIN}, (int[]){3}, 1);
        w->cut->truncated = true;
        w->lost = new_stack(NULL, NULL, 0);
        w->lost->resolved = false;
}

static struct world *new_world(void) {
        struct world *w = must(calloc(1, sizeof(*w)));

        CHECK_EQUAL((uint64_t)store_new(1 << 24, &w->store), 0);
        store_set_lookup(w->store, world_lookup, w);
        world_stacks(w);
        w->web = new_process(10, 1, "web.py", BASE);
        w->worker = new_process(20, 10, "worker.py", BASE + 1);
        w->worker->uid = 1000;
        w->tool = new_process(30, 20, "tool.py", BASE + 2);
        w->tool->namespace_pid = 3;
        set(&w->web->unit, "web.service");
        set(&w->tool->container, "abcdef012345");
        w->threads[0] = new_thread(w->web, 11, BASE);
        w->threads[0]->name = must(strdup("MainThread"));
        w->threads[1] = new_thread(w->web, 12, BASE);
        w->threads[2] = new_thread(w->worker, 21, BASE);
        w->threads[3] = new_thread(w->tool, 31, BASE);
        for (size_t i = 0; i < 4; i++)
                CHECK_EQUAL((uint64_t)store_thread(w->store, w->threads[i]), 0);
        for (int i = 0; i < 6; i++)
                run(w->store, w->threads[0], 100 * MILLI, w->fib);
        for (int i = 0; i < 3; i++)
                run(w->store, w->threads[0], 100 * MILLI, w->dumps);
        wait_for(w->store, w->threads[0], STATE_NET, "tcp 10.0.0.5:5432", 2 * SECOND, 0, w->dumps);
        w->threads[1]->open =
                        (struct thread_open){.state = THREAD_BLOCKED, .reason = STATE_POLL, .since = BASE, .stack = 1};
        run(w->store, w->threads[2], 100 * MILLI, w->cut);
        end_thread(w->store, w->threads[2]);
        run(w->store, w->threads[3], 50 * MILLI, w->lost);
        end_thread(w->store, w->threads[3]);
        w->now = w->threads[0]->accounted;
        return w;
}

static void world_free(struct world *w) {
        store_free(w->store);
        for (size_t i = 0; i < 4; i++) {
                CHECK_EQUAL(w->threads[i]->refs, 1);
                followed_thread_unref(w->threads[i]);
        }
        followed_process_unref(w->web);
        followed_process_unref(w->worker);
        followed_process_unref(w->tool);
        stack_unref(w->fib);
        stack_unref(w->dumps);
        stack_unref(w->select);
        stack_unref(w->cut);
        stack_unref(w->lost);
        for (size_t i = 0; i < FUNCTIONS; i++)
                function_unref(w->functions[i]);
        free(w);
}

static struct profile_query question(unsigned by) {
        return (struct profile_query){.until = UINT64_MAX, .by = by, .viewer = PROFILE_ANYONE};
}

static const struct profile_row *row_of(const struct profile *p, const char *function, int line) {
        for (size_t i = 0; i < p->rows_n; i++)
                if (strcmp(p->rows[i].frame.function, function) == 0 && (line < 0 || p->rows[i].frame.line == line))
                        return &p->rows[i];
        return NULL;
}

static void test_functions(struct world *w) {
        struct profile_query q = question(BY_FUNCTION);
        struct profile *p = ask(w->store, &q, w->now);
        const struct profile_row *fib = row_of(p, "fib", 10), *top = row_of(p, "main", 1), *lost, *dumps;

        CHECK_EQUAL(p->wall_ns, 2900 * MILLI * 2 + 150 * MILLI);
        CHECK_EQUAL(p->cpu_ns, 1050 * MILLI);
        CHECK_EQUAL(p->idle_ns, 2900 * MILLI);
        CHECK(p->processes == 3 && p->threads == 4 && p->idle_threads == 1 && p->samples == 11);
        /* Hidden idle time: no row for select, none in main. */
        CHECK(p->rows_n == 4 && row_of(p, "select", -1) == NULL);
        dumps = &p->rows[0];
        CHECK(strcmp(dumps->frame.function, "JSONEncoder.encode") == 0 && dumps->own[STATE_NET] == 2 * SECOND);
        CHECK(dumps->waits.count == 1 && dumps->waits.max_ns == 2 * SECOND && dumps->waits.p50_ns <= 2 * SECOND &&
              dumps->waits.p50_ns > 1800 * MILLI);
        CHECK(dumps->details_n == 1 && strcmp(dumps->details[0].detail, "tcp 10.0.0.5:5432") == 0);
        CHECK(dumps->state == -1 && dumps->comm == NULL && dumps->pid == 0 && dumps->peer == NULL);
        CHECK(fib && top);
        if (!fib || !top)
                return;
        CHECK_EQUAL(fib->total[STATE_PYTHON], 600 * MILLI); /* recursion counts once */
        CHECK_EQUAL(fib->own[STATE_PYTHON], 600 * MILLI);
        CHECK_EQUAL(fib->samples, 6);
        CHECK_EQUAL(fib->cpu_ns, 600 * MILLI);
        CHECK_EQUAL(top->wall_ns, 3 * SECOND);
        CHECK_EQUAL(top->own[STATE_PYTHON], 100 * MILLI);
        CHECK_EQUAL(top->idle_ns, 2900 * MILLI);
        lost = row_of(p, "[unknown: lost stack]", 0);
        CHECK(lost && lost->own[STATE_PYTHON] == 50 * MILLI && strcmp(lost->frame.file, "") == 0);
        CHECK(p->loss.stacks == 13 && p->loss.truncated_stacks == 1 && p->loss.incomplete_stacks == 1 &&
              p->loss.unresolved_frames == 1);
        profile_free(p);
}

static void test_idle(struct world *w) {
        struct profile_query q = question(BY_FUNCTION);
        const struct profile_row *row;
        struct profile *p;

        q.idle = IDLE_SHOW;
        p = ask(w->store, &q, w->now);
        row = row_of(p, "select", 452);
        CHECK(row && row->own[STATE_POLL] == 2900 * MILLI && row->idle_ns == 2900 * MILLI && p->rows_n == 5);
        profile_free(p);
        q.idle = IDLE_ONLY;
        p = ask(w->store, &q, w->now);
        CHECK(p->rows_n == 2 && p->wall_ns == 2900 * MILLI && p->idle_ns == p->wall_ns && p->threads == 1);
        profile_free(p);
        q.idle = IDLE_HIDE; /* rows by anything else include it */
        q.by = BY_THREAD;
        p = ask(w->store, &q, w->now);
        CHECK(p->rows_n == 4);
        for (size_t i = 0; i < p->rows_n; i++)
                if (p->rows[i].tid == 12)
                        CHECK(p->rows[i].wall_ns == 2900 * MILLI && p->rows[i].idle_ns == 2900 * MILLI &&
                              strcmp(p->rows[i].thread, "t12") == 0);
        profile_free(p);
}

static void test_lines_and_stacks(struct world *w) {
        struct profile_query q = question(BY_LINE);
        struct profile *p = ask(w->store, &q, w->now);
        const struct profile_row *leaf = row_of(p, "fib", 11), *middle = row_of(p, "fib", 13);

        CHECK(leaf && leaf->own[STATE_PYTHON] == 600 * MILLI && leaf->wall_ns == 600 * MILLI);
        CHECK(middle && middle->own[STATE_PYTHON] == 0 && middle->wall_ns == 600 * MILLI);
        CHECK(row_of(p, "main", 3) && row_of(p, "main", 3)->wall_ns == 700 * MILLI);
        profile_free(p);

        q.by = BY_STACK;
        q.sort = SORT_CPU;
        p = ask(w->store, &q, w->now);
        CHECK(p->rows_n == 4 && p->rows[0].frames_n == 4 && p->rows[0].cpu_ns == 600 * MILLI);
        CHECK(strcmp(p->rows[0].frames[0].function, "main") == 0 && p->rows[0].frames[0].line == 3);
        CHECK(strcmp(p->rows[0].frames[3].function, "fib") == 0 && p->rows[0].frames[3].line == 11);
        CHECK(p->rows[0].own[STATE_PYTHON] == 600 * MILLI && p->rows[0].total[STATE_PYTHON] == 600 * MILLI);
        CHECK(p->rows[2].frames_n == 2 && strcmp(p->rows[2].frames[0].function, "[truncated]") == 0);
        profile_free(p);

        q.by = BY_STACK | BY_THREAD | BY_STATE;
        p = ask(w->store, &q, w->now);
        CHECK(p->rows_n == 5);
        for (size_t i = 0; i < p->rows_n; i++)
                CHECK(p->rows[i].state >= 0 && p->rows[i].total[p->rows[i].state] == p->rows[i].wall_ns);
        profile_free(p);
}

/* Wall time of the selection. */
static uint64_t wall(struct world *w, struct profile_query *q, size_t *ret_processes) {
        struct profile *p;
        uint64_t ns;

        q->by = BY_PROCESS;
        q->until = UINT64_MAX;
        p = ask(w->store, q, w->now);
        ns = p->wall_ns;
        *ret_processes = p->processes;
        CHECK_EQUAL(p->rows_n, p->processes);
        profile_free(p);
        return ns;
}

#define ALL (5950 * MILLI)
#define SELECTED(ns, n, ...)                                                       \
        do {                                                                       \
                struct profile_query q_ = {.viewer = PROFILE_ANYONE, __VA_ARGS__}; \
                size_t n_;                                                         \
                CHECK_EQUAL(wall(w, &q_, &n_), ns);                                \
                CHECK_EQUAL(n_, n);                                                \
        } while (0)

static void test_selectors(struct world *w) {
        regex_t fib, end;

        CHECK(regcomp(&fib, "^fib$", REG_EXTENDED | REG_NOSUB) == 0 && regcomp(&end, "encode$", REG_EXTENDED) == 0);
        SELECTED(ALL, 3);
        SELECTED(5800 * MILLI, 1, .pids = (uint32_t[]){10}, .pids_n = 1);
        SELECTED(150 * MILLI, 2, .pids = (uint32_t[]){20, 30}, .pids_n = 2);
        SELECTED(ALL, 3, .pids = (uint32_t[]){10}, .pids_n = 1, .children = true);
        SELECTED(150 * MILLI, 2, .pids = (uint32_t[]){20}, .pids_n = 1, .children = true);
        SELECTED(5800 * MILLI, 1, .units = (char *[]){(char *)"w*.service"}, .units_n = 1);
        SELECTED(5800 * MILLI, 1, .units = (char *[]){(char *)"nope", (char *)"web"}, .units_n = 2);
        SELECTED(50 * MILLI, 1, .containers = (char *[]){(char *)"abc"}, .containers_n = 1);
        SELECTED(50 * MILLI, 1, .containers = (char *[]){(char *)"abc"}, .containers_n = 1, .pids = (uint32_t[]){3},
                 .pids_n = 1);
        SELECTED(0, 0, .pids = (uint32_t[]){3}, .pids_n = 1);
        SELECTED(100 * MILLI, 1, .comms = (char *[]){(char *)"worker.*"}, .comms_n = 1);
        SELECTED(ALL, 3, .comms = (char *[]){(char *)"python?"}, .comms_n = 1);
        SELECTED(2900 * MILLI, 1, .threads = (char *[]){(char *)"MainThread"}, .threads_n = 1);
        SELECTED(3 * SECOND, 2, .threads = (char *[]){(char *)"t21", (char *)"12"}, .threads_n = 2);
        SELECTED(600 * MILLI, 1, .functions = &fib, .functions_n = 1);
        SELECTED(2300 * MILLI, 1, .functions = &end, .functions_n = 1);
        SELECTED(2 * SECOND, 1, .functions = &end, .functions_n = 1, .states = 1u << STATE_NET);
        SELECTED(2300 * MILLI, 1, .files = (char *[]){(char *)"json/encoder.py"}, .files_n = 1);
        SELECTED(0, 0, .files = (char *[]){(char *)"coder.py"}, .files_n = 1);
        SELECTED(1050 * MILLI, 3, .states = 1u << STATE_PYTHON);
        SELECTED(2900 * MILLI, 1, .states = 1u << STATE_POLL);
        SELECTED(0, 0, .pids = (uint32_t[]){20}, .pids_n = 1, .units = (char *[]){(char *)"web.service"}, .units_n = 1);
        {
                struct profile_query q = {.viewer = 1000}; /* other users' processes do not exist */
                size_t n;

                CHECK_EQUAL(wall(w, &q, &n), 100 * MILLI);
                CHECK_EQUAL(n, 1);
                q.pids = (uint32_t[]){10};
                q.pids_n = 1;
                q.children = true;
                CHECK_EQUAL(wall(w, &q, &n), 100 * MILLI);
        }
        regfree(&fib);
        regfree(&end);
}

static void test_sort_and_limit(struct world *w) {
        struct profile_query q = question(BY_FUNCTION);
        struct profile *p;

        q.sort = SORT_NAME;
        p = ask(w->store, &q, w->now);
        for (size_t i = 1; i < p->rows_n; i++)
                CHECK(strcmp(p->rows[i - 1].frame.function, p->rows[i].frame.function) < 0);
        profile_free(p);
        q.sort = SORT_TOTAL;
        q.limit = 1;
        p = ask(w->store, &q, w->now);
        CHECK(p->rows_n == 1 && strcmp(p->rows[0].frame.function, "main") == 0 && p->wall_ns == ALL);
        profile_free(p);
        q = question(BY_UNIT | BY_COMMAND | BY_CONTAINER);
        p = ask(w->store, &q, w->now);
        CHECK(p->rows_n == 3 && strcmp(p->rows[0].unit, "web.service") == 0 &&
              strcmp(p->rows[0].command, "web.py") == 0);
        CHECK(strcmp(p->rows[2].container, "abcdef012345") == 0 && strcmp(p->rows[2].unit, "") == 0);
        profile_free(p);
        q = question(BY_STATE | BY_PEER | BY_WAKER);
        p = ask(w->store, &q, w->now);
        CHECK(p->rows_n == 3 && p->rows[0].state == STATE_POLL && p->rows[1].state == STATE_NET);
        CHECK(strcmp(p->rows[1].peer, "tcp 10.0.0.5:5432") == 0 && strcmp(p->rows[0].peer, "") == 0 &&
              strcmp(p->rows[0].waker, "") == 0);
        profile_free(p);
        q = question(BY_WINDOW);
        q.sort = SORT_NAME;
        p = ask(w->store, &q, w->now);
        CHECK(p->rows_n == 3 && p->rows[0].window == BASE && p->rows[2].window == BASE + 2 * SECOND);
        CHECK(p->rows[1].wall_ns == 2 * SECOND && p->rows[2].wall_ns == 2 * 900 * MILLI);
        profile_free(p);
}

static void test_details(struct world *w) {
        struct followed_thread *t = new_thread(w->web, 99, w->now);
        struct profile_query q = question(BY_THREAD);
        struct profile *p;

        for (unsigned i = 1; i <= 13; i++) {
                char detail[32];

                snprintf(detail, sizeof(detail), "tcp 10.0.0.%u:80", i);
                wait_for(w->store, t, STATE_NET, detail, i * MILLI, 0, w->dumps);
        }
        t->ended = t->accounted;
        q.threads = (char *[]){(char *)"99"};
        q.threads_n = 1;
        p = ask(w->store, &q, t->accounted);
        CHECK(p->rows_n == 1 && p->rows[0].details_n == 11);
        CHECK(strcmp(p->rows[0].details[0].detail, "tcp 10.0.0.13:80") == 0 && p->rows[0].details[0].ns == 13 * MILLI);
        CHECK(strcmp(p->rows[0].details[10].detail, "other") == 0 && p->rows[0].details[10].ns == 6 * MILLI);
        profile_free(p);
        followed_thread_unref(t);
}

static void test_edges(struct world *w) {
        struct profile_query q = question(BY_FUNCTION);
        struct profile_edge *edges = NULL;
        size_t n = 0;

        CHECK_EQUAL((uint64_t)profile_edges(w->store, &q, w->now, &edges, &n), 0);
        CHECK(n == 3);
        CHECK(n > 0 && strcmp(edges[0].caller.function, "main") == 0 && edges[0].wall_ns == 2300 * MILLI &&
              strcmp(edges[0].callee.function, "JSONEncoder.encode") == 0 && edges[0].cpu_ns == 300 * MILLI);
        for (size_t i = 1; i < n; i++) /* main > fib and fib > fib, the latter once a stack */
                CHECK(strcmp(edges[i].callee.function, "fib") == 0 && edges[i].wall_ns == 600 * MILLI &&
                      edges[i].callee.line == 10 && strcmp(edges[i].callee.file, "/srv/app/web.py") == 0);
        free(edges);
}

/* Two interned functions that are equal, and the two kinds of `[unsampled]`, are one row each. */
static void test_equal_content(struct world *w) {
        struct function *again = new_function("fib", "/srv/app/web.py", 10),
                        *named = new_function("[unsampled]", "", 0);
        struct stack *twin = new_stack(&again, &(int){11}, 1), *unsampled = new_stack(&named, &(int){0}, 1);
        struct followed_thread *t = new_thread(w->web, 98, w->now);
        struct observation o = {.thread = t, .lost_ns = MILLI, .end = w->now + MILLI};
        struct profile_query q = question(BY_FUNCTION);
        struct profile *p;

        q.threads = (char *[]){(char *)"98", (char *)"11"};
        q.threads_n = 2;
        observe(w->store, &o, NULL);
        run(w->store, t, MILLI, twin);
        run(w->store, t, MILLI, unsampled);
        t->ended = t->accounted;
        p = ask(w->store, &q, t->accounted);
        CHECK(row_of(p, "fib", 10) && row_of(p, "fib", 10)->wall_ns == 601 * MILLI);
        profile_free(p);
        q.threads_n = 1;
        p = ask(w->store, &q, t->accounted);
        CHECK(row_of(p, "[unsampled]", 0) && row_of(p, "[unsampled]", 0)->wall_ns == 2 * MILLI);
        profile_free(p);
        stack_unref(twin);
        stack_unref(unsampled);
        function_unref(again);
        function_unref(named);
        followed_thread_unref(t);
}

static void test_empty(void) {
        struct profile_query q = question(BY_FUNCTION);
        struct profile_edge *edges = NULL;
        struct store *s = NULL;
        struct profile *p;
        size_t n = 1;

        CHECK_EQUAL((uint64_t)store_new(1 << 20, &s), 0);
        p = ask(s, &q, BASE);
        CHECK(p->rows_n == 0 && p->wall_ns == 0 && p->since == BASE && p->until == BASE && p->oldest == BASE);
        profile_free(p);
        CHECK_EQUAL((uint64_t)profile_edges(s, &q, BASE, &edges, &n), 0);
        CHECK_EQUAL(n, 0);
        free(edges);
        store_free(s);
        profile_free(NULL);
        store_free(NULL);
}

static void test_states(void) {
        for (int i = 0; i < STATE_MAX; i++)
                CHECK(state_from_string(state_to_string((enum state)i)) == i);
        CHECK(state_from_string("nonsense") == -EINVAL && state_from_string("") == -EINVAL);
        CHECK(strcmp(state_to_string(STATE_OTHER), "other") == 0 && strcmp(state_to_string(STATE_MAX), "") == 0);
}

int main(void) {
        struct world *w = new_world();

        test_functions(w);
        test_idle(w);
        test_lines_and_stacks(w);
        test_selectors(w);
        test_sort_and_limit(w);
        test_edges(w);
        test_empty();
        test_states();
        test_details(w);
        test_equal_content(w);
        world_free(w);
        return check_result();
}
