/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of aggregate, store and profile have in common: people of a small world, and a clock that is ours. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "aggregate.h"
#include "base/macro.h"
#include "profile.h"
#include "store.h"

#define SECOND WINDOW_NS
#define MILLI (WINDOW_NS / 1000)
#define CHECK(x) check(x, #x, __FILE__, __LINE__)
#define CHECK_EQUAL(a, b) check_equal(a, b, #a " == " #b, __FILE__, __LINE__)

static unsigned checks, failures;

static inline void check(bool ok, const char *what, const char *file, int line) {
        checks++;
        if (ok)
                return;
        failures++;
        fprintf(stderr, "%s:%i: %s\n", file, line, what);
}

static inline void check_equal(uint64_t a, uint64_t b, const char *what, const char *file, int line) {
        check(a == b, what, file, line);
        if (a != b)
                fprintf(stderr, "        %llu against %llu, %lli more\n", (unsigned long long)a, (unsigned long long)b,
                        (long long)(a - b));
}

static inline int check_result(void) {
        printf("%u checks, %u failures\n", checks, failures);
        return failures > 0;
}

/* xorshift64: the same numbers everywhere. */
static inline uint64_t chance(uint64_t *seed, uint64_t below) {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        return below ? *seed % below : 0;
}

static inline void *must(void *p) {
        if (!p)
                abort();
        return p;
}

static inline struct followed_process *new_process(uint32_t pid, uint32_t ppid, const char *command, uint64_t started) {
        struct followed_process *p = must(calloc(1, sizeof(*p)));

        *p = (struct followed_process){.refs = 1,
                                       .pid = pid,
                                       .ppid = ppid,
                                       .namespace_pid = pid,
                                       .started = started,
                                       .scope = started,
                                       .profiled = true};
        snprintf(p->comm, sizeof(p->comm), "python3");
        p->command = must(strdup(command));
        p->cmdline = must(strdup(command));
        p->executable = must(strdup(""));
        p->unit = must(strdup(""));
        p->container = must(strdup(""));
        return p;
}

static inline struct followed_thread *new_thread(struct followed_process *p, uint32_t tid, uint64_t started) {
        struct followed_thread *t = must(calloc(1, sizeof(*t)));

        *t = (struct followed_thread){.refs = 1,
                                      .process = followed_process_ref(p),
                                      .tid = tid,
                                      .started = started,
                                      .accounted = started};
        snprintf(t->comm, sizeof(t->comm), "t%u", tid);
        return t;
}

static inline struct function *new_function(const char *name, const char *file, int line) {
        struct function *f = must(calloc(1, sizeof(*f)));

        *f = (struct function){.refs = 1, .name = must(strdup(name)), .file = must(strdup(file)), .line = line};
        return f;
}

/* `lines[i]` is executed in functions[i], leaf first. */
static inline struct stack *new_stack(struct function **functions, const int *lines, uint32_t n) {
        struct stack *s = must(calloc(1, sizeof(*s)));

        *s = (struct stack){.refs = 1,
                            .resolved = true,
                            .locations_n = n,
                            .locations = must(calloc(n ? n : 1, sizeof(struct location)))};
        for (uint32_t i = 0; i < n; i++)
                s->locations[i] = (struct location){.function = function_ref(functions[i]), .line = lines[i]};
        return s;
}

static inline int add_slice(void *userdata, const struct slice *s) {
        return store_add(userdata, s);
}

/* Books an observation as the daemon does; the thread is then on a CPU. */
static inline void observe(struct store *s, struct observation *o, struct stack *stack) {
        o->begin = o->thread->accounted;
        CHECK_EQUAL((uint64_t)aggregate_observation(o, stack, add_slice, s), 0);
        o->thread->accounted = o->end;
}

/* The thread runs for `ns`, then a tick meets it. */
static inline void run(struct store *s, struct followed_thread *t, uint64_t ns, struct stack *stack) {
        struct observation o = {
                        .thread = t, .end = t->accounted + ns, .cpu_ns = ns, .tick = true, .tick_state = STATE_PYTHON};

        observe(s, &o, stack);
}

/* The thread waits for `ns`, then for a CPU for `runq`. */
static inline void wait_for(struct store *s, struct followed_thread *t, enum state reason, const char *detail,
                            uint64_t ns, uint64_t runq, struct stack *stack) {
        struct observation o = {.thread = t, .wait = true, .reason = reason, .detail = detail, .weight = 1};

        o.since = t->accounted;
        o.woken = o.since + ns;
        o.end = o.woken + runq;
        observe(s, &o, stack);
}

static inline void end_thread(struct store *s, struct followed_thread *t) {
        t->ended = t->accounted;
        CHECK_EQUAL((uint64_t)aggregate_thread_exit(t, add_slice, s), 0);
        store_thread_gone(s, t);
}

static inline struct profile *ask(struct store *s, struct profile_query *q, uint64_t now) {
        struct profile *p = NULL;

        CHECK_EQUAL((uint64_t)profile_query(s, q, now, &p), 0);
        return must(p);
}

/* The wall time of a thread in [since, until), `now` being the last instant there is. */
static inline uint64_t wall_of(const struct followed_thread *t, uint64_t since, uint64_t until, uint64_t now) {
        uint64_t begin = MAX(t->started, since), end = MIN(t->ended ? t->ended : now, until);

        return end > begin ? end - begin : 0;
}
