/* SPDX-License-Identifier: Apache-2.0 */
/* The default rules against stacks as the interpreters and packages named make them, and the grammar of rules. */
#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "idle.h"

#define FRAMES_MAX 16
#define CHECK(x) check(x, #x, __LINE__)

static unsigned checks, failures;

static void check(bool ok, const char *what, int line) {
        checks++;
        if (ok)
                return;
        failures++;
        fprintf(stderr, "test_idle.c:%i: %s\n", line, what);
}

/* `function@file < …`, leaf first, through `rules`. */
static bool match(const struct idle *rules, const char *text) {
        struct function functions[FRAMES_MAX] = {};
        struct location locations[FRAMES_MAX] = {};
        char *copy = strdup(text), *rest = copy;
        size_t n = 0;
        bool idle;

        while (rest && n < FRAMES_MAX) {
                char *frame = rest, *end = strstr(rest, " < ");

                rest = end ? end + 3 : NULL;
                if (end)
                        *end = '\0';
                functions[n].name = strsep(&frame, "@");
                functions[n].file = frame ?: strchr(functions[n].name, '\0');
                locations[n].function = &functions[n];
                n++;
        }
        idle = idle_match(rules, locations, n);
        free(copy);
        return idle;
}

#define P36 "/opt/lib/python3.6/"
#define P39 "/opt/lib/python3.9/"
#define P311 "/usr/lib/python3.11/"
#define P313 "/opt/lib/python3.13/"
#define SITE "/usr/lib/python3/dist-packages/"
#define THREAD_36 "run@" P36 "threading.py < _bootstrap_inner@" P36 "threading.py < _bootstrap@" P36 "threading.py"
#define THREAD_311 "Thread.run@" P311 "threading.py < Thread._bootstrap_inner@" P311 "threading.py"

static const char *const idle_stacks[] = {
                /* asyncio */
                "select@" P36 "selectors.py < _run_once@" P36 "asyncio/base_events.py < run_forever@" P36
                "asyncio/base_events.py < loop@/srv/app.py",
                "EpollSelector.select@" P313 "selectors.py < BaseEventLoop._run_once@" P313
                "asyncio/base_events.py < BaseEventLoop.run_forever@" P313 "asyncio/base_events.py",
                "Runner.run@" P313 "asyncio/runners.py < run@" P313 "asyncio/runners.py < <module>@/srv/app.py",
                "run@" P39 "asyncio/runners.py < <module>@/srv/app.py",
                /* socketserver */
                "select@" P36 "selectors.py < serve_forever@" P36 "socketserver.py < main@/srv/app.py",
                "_PollLikeSelector.select@" P311 "selectors.py < BaseServer.serve_forever@" P311 "socketserver.py",
                /* concurrent.futures */
                "wait@" P36 "threading.py < get@" P36 "queue.py < _worker@" P36
                "concurrent/futures/thread.py < " THREAD_36,
                "_worker@" P39 "concurrent/futures/thread.py < run@" P39 "threading.py",
                "_worker@" P311 "concurrent/futures/thread.py < " THREAD_311,
                "_recv@" P39 "multiprocessing/connection.py < _recv_bytes@" P39
                "multiprocessing/connection.py < recv_bytes@" P39 "multiprocessing/connection.py < get@" P39
                "multiprocessing/queues.py < _process_worker@" P39 "concurrent/futures/process.py < run@" P39
                "multiprocessing/process.py",
                "SemLock.__enter__@" P313 "multiprocessing/synchronize.py < Queue.get@" P313
                "multiprocessing/queues.py < _process_worker@" P313 "concurrent/futures/process.py",
                "select@" P36 "selectors.py < wait@" P36 "multiprocessing/connection.py < _queue_management_worker@" P36
                "concurrent/futures/process.py < " THREAD_36,
                "_PollLikeSelector.select@" P313 "selectors.py < wait@" P313
                "multiprocessing/connection.py < _ExecutorManagerThread.wait_result_broken_or_wakeup@" P313
                "concurrent/futures/process.py < _ExecutorManagerThread.run@" P313 "concurrent/futures/process.py",
                /* multiprocessing.Pool, ThreadPool */
                "Connection._recv@" P313 "multiprocessing/connection.py < Connection._recv_bytes@" P313
                "multiprocessing/connection.py < _ConnectionBase.recv_bytes@" P313
                "multiprocessing/connection.py < SimpleQueue.get@" P313 "multiprocessing/queues.py < worker@" P313
                "multiprocessing/pool.py < BaseProcess.run@" P313 "multiprocessing/process.py",
                "__enter__@" P39 "multiprocessing/synchronize.py < get@" P39 "multiprocessing/queues.py < worker@" P39
                "multiprocessing/pool.py < run@" P39 "multiprocessing/process.py",
                "wait@" P36 "threading.py < get@" P36 "queue.py < worker@" P36 "multiprocessing/pool.py < " THREAD_36,
                "worker@" P311 "multiprocessing/pool.py < " THREAD_311,
                "_handle_workers@" P36 "multiprocessing/pool.py < " THREAD_36,
                "_PollLikeSelector.select@" P311 "selectors.py < wait@" P311 "multiprocessing/connection.py < "
                "Pool._wait_for_updates@" P311 "multiprocessing/pool.py < Pool._handle_workers@" P311
                "multiprocessing/pool.py",
                "Pool._handle_tasks@" P311 "multiprocessing/pool.py < " THREAD_311,
                "wait@" P36 "threading.py < get@" P36 "queue.py < _handle_tasks@" P36
                "multiprocessing/pool.py < " THREAD_36,
                "Pool._handle_results@" P311 "multiprocessing/pool.py < " THREAD_311,
                "Connection._recv@" P311 "multiprocessing/connection.py < Connection._recv_bytes@" P311
                "multiprocessing/connection.py < _ConnectionBase.recv@" P311
                "multiprocessing/connection.py < Pool._handle_results@" P311 "multiprocessing/pool.py < " THREAD_311,
                "Condition.wait@" P311 "threading.py < Queue._feed@" P311 "multiprocessing/queues.py < " THREAD_311,
                /* gunicorn 20.1 */
                "Arbiter.sleep@" SITE "gunicorn/arbiter.py < Arbiter.run@" SITE "gunicorn/arbiter.py",
                "SyncWorker.wait@" SITE "gunicorn/workers/sync.py < SyncWorker.run_for_one@" SITE
                "gunicorn/workers/sync.py",
                "EpollSelector.select@" P311 "selectors.py < ThreadWorker.run@" SITE "gunicorn/workers/gthread.py",
                /* Others */
                "_epoll.poll@" SITE "kombu/utils/eventio.py < Hub.create_loop@" SITE
                "kombu/asynchronous/hub.py < asynloop@" SITE "celery/worker/loops.py",
                "Condition.wait@" P311 "threading.py < ThreadedTaskDispatcher.handler_thread@" SITE "waitress/task.py",
                "poll@" SITE "waitress/wasyncore.py < loop@" SITE "waitress/wasyncore.py",
                "EPollReactor.doPoll@" SITE "twisted/internet/epollreactor.py < ReactorBase.mainLoop@" SITE
                "twisted/internet/base.py",
                "Hub.run@" SITE "gevent/hub.py",
};

static const char *const busy_stacks[] = {
                "_PollLikeSelector.select@" P311 "selectors.py < Popen._communicate@" P311
                "subprocess.py < Popen.communicate@" P311 "subprocess.py < run@" P311 "subprocess.py",
                "select@" P36 "selectors.py < _communicate@" P36 "subprocess.py < communicate@" P36 "subprocess.py",
                "Condition.wait@" P311 "threading.py < Queue.get@" P311 "queue.py < consume@/srv/app.py < " THREAD_311,
                "Condition.wait@" P311 "threading.py < Queue.get@" P311 "queue.py < " THREAD_311,
                "Condition.wait@" P311 "threading.py < Event.wait@" P311 "threading.py < " THREAD_311,
                "wait@" P36 "threading.py < wait@" P36 "threading.py < " THREAD_36,
                "nap@/srv/app.py < " THREAD_311,
                "take@/srv/locks.py < transfer@/srv/app.py < " THREAD_311,
                /* work inside of a pool's worker */
                "handler@/srv/app.py < _WorkItem.run@" P311 "concurrent/futures/thread.py < _worker@" P311
                "concurrent/futures/thread.py < " THREAD_311,
                "_WorkItem.run@" P311 "concurrent/futures/thread.py < _worker@" P311 "concurrent/futures/thread.py",
                "mapstar@" P311 "multiprocessing/pool.py < worker@" P311 "multiprocessing/pool.py < " THREAD_311,
                "recv@/srv/net.py < SyncWorker.handle@" SITE "gunicorn/workers/sync.py",
                "select@" P311 "selectors.py < wait_ready@/srv/app.py < _run_once@" P311 "asyncio/base_events.py",
                /* waits for results that somebody asked for */
                "Condition.wait@" P311 "threading.py < Future.result@" P311
                "concurrent/futures/_base.py < main@/srv/app.py",
                "Condition.wait@" P311 "threading.py < Event.wait@" P311 "threading.py < ApplyResult.wait@" P311
                "multiprocessing/pool.py < ApplyResult.get@" P311 "multiprocessing/pool.py < main@/srv/app.py",
                /* names that only look alike */
                "select@/srv/myselectors.py < _run_once@" P311 "asyncio/base_events.py",
                "wait@/srv/gunicorn_workers_sync.py",
                "_worker@/srv/concurrent/futures/thread.pyx",
                "do_select@" P311 "selectors.py < serve_forever@" P311 "socketserver.py",
                "[no Python frame]@",
};

static void test_default_rules(void) {
        struct idle *rules = NULL;
        size_t n = 0, bad = 0;

        while (idle_default_rules[n])
                n++;
        CHECK(n > 20);
        CHECK(idle_new(idle_default_rules, n, &rules, &bad) == 0);
        for (size_t i = 0; i < ARRAY_SIZE(idle_stacks); i++)
                check(match(rules, idle_stacks[i]), idle_stacks[i], __LINE__);
        for (size_t i = 0; i < ARRAY_SIZE(busy_stacks); i++)
                check(!match(rules, busy_stacks[i]), busy_stacks[i], __LINE__);
        idle_free(rules);
}

static bool rule_match(const char *rule, const char *stack) {
        struct idle *rules = NULL;
        bool idle;

        if (idle_new(&rule, 1, &rules, NULL) < 0)
                return false;
        idle = match(rules, stack);
        idle_free(rules);
        return idle;
}

static void test_grammar(void) {
        static const char *const malformed[] = {
                        "",
                        "!",
                        " < ",
                        "a < ",
                        " < a",
                        "a@",
                        "@b",
                        "a@b < < c@d",
                        "a b@c",
                        "a@b <  < c",
                        "1 < 2 < 3 < 4 < 5 < 6 < 7 < 8 < 9 < 10 < 11 < 12 < 13 < 14 < 15 < 16 < 17",
        };
        static const char *const ordered[] = {"!wait < main@*/app.py", "wait < main", "wait < *"};
        struct idle *rules = NULL;
        size_t bad = 99;

        for (size_t i = 0; i < ARRAY_SIZE(malformed); i++) {
                const char *pair[] = {"good@file.py", malformed[i]};

                bad = 99;
                check(idle_new(pair, 2, &rules, &bad) == -EINVAL && bad == 1 && !rules, malformed[i], __LINE__);
                idle_free(TAKE_PTR(rules));
        }

        CHECK(rule_match("f@*/x.py", "f@/a/x.py"));
        CHECK(!rule_match("f@*/x.py", "f@/a/x.py2"));
        CHECK(!rule_match("f@*/x.py", "f@/a/yx.py"));
        CHECK(rule_match("f@x.py", "f@/a/x.py"));
        CHECK(!rule_match("f@x.py", "f@/a/yx.py"));
        CHECK(rule_match("f@b/x.py", "f@/a/b/x.py"));
        CHECK(rule_match("f@/a/x.py", "f@/a/x.py"));
        CHECK(!rule_match("f@/a/x.py", "f@/b/a/x.py"));
        CHECK(rule_match("f@*/[xy].py", "f@/a/y.py"));
        CHECK(rule_match("f", "C.f@/a/y.py"));
        CHECK(rule_match("f", "g.<locals>.f@/a/y.py"));
        CHECK(!rule_match("f", "C.ff@/a/y.py"));
        CHECK(rule_match("C.f", "C.f@/a/y.py"));
        CHECK(!rule_match("C.f", "B.C.f@/a/y.py"));
        CHECK(rule_match("*.f", "B.C.f@/a/y.py"));
        CHECK(rule_match("<lambda>", "<lambda>@/a/y.py"));
        CHECK(rule_match("  f@*/x.py  <  g  ", "f@/a/x.py < g@/a/y.py"));
        CHECK(rule_match("f < * < h", "f@a < g@b < h@c"));
        CHECK(!rule_match("f < * < h", "f@a < h@c"));
        CHECK(!rule_match("f < g", "f@a"));
        CHECK(!rule_match("g", "f@a < g@b"));

        CHECK(idle_new(ordered, 3, &rules, NULL) == 0);
        CHECK(!match(rules, "wait@w < main@/srv/app.py"));
        CHECK(match(rules, "wait@w < main@/srv/other.py"));
        CHECK(match(rules, "wait@w < x@y"));
        CHECK(!match(rules, "work@w < x@y"));
        idle_free(rules);

        rules = NULL;
        CHECK(idle_new(NULL, 0, &rules, NULL) == 0 && !match(rules, "f@a"));
        idle_free(rules);
}

int main(void) {
        test_default_rules();
        test_grammar();
        printf("%s idle: %u checks, %u failed\n", failures ? "FAILED" : "ok", checks, failures);
        return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
