/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon_private.h"

#include <errno.h>

#include "base/macro.h"
#include "proc/clock.h"
#include "seed.h"

static int source_processes(void *userdata, serve_process_fn *each, void *arg) {
        struct daemon *d = userdata;
        struct followed_process *p, *p_next;
        struct followed_thread *t, *t_next;
        int r;

        HASH_ITER (hh, roster_processes(d->roster), p, p_next)
                p->threads_n = 0;
        HASH_ITER (hh, roster_threads(d->roster), t, t_next)
                t->process->threads_n++;
        HASH_ITER (hh, roster_processes(d->roster), p, p_next) {
                r = each(arg, p, p->threads_n);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* A running thread's stack is read now, as long as there is time. */
static uint64_t source_stack(struct daemon *d, const struct followed_thread *t, uint64_t deadline) {
        if (t->open.state != THREAD_ON_CPU)
                return t->open.stack;
        return clock_monotonic_ns() < deadline ? seed_running(d->seed, t) : 0;
}

static int source_thread(struct daemon *d, struct followed_thread *t, uint64_t deadline, serve_thread_fn *each,
                         void *arg) {
        struct serve_thread answer = {.tid = t->tid, .name = t->name ?: t->comm};
        struct stack *stack;
        uint64_t hash = source_stack(d, t, deadline);
        bool missing;
        int r;

        answer.state = t->open.state == THREAD_ON_CPU     ? t->mode
                       : t->open.state == THREAD_RUNNABLE ? STATE_RUNQ
                                                          : t->open.reason;
        stack = resolve_lookup(d->resolve, t->process, hash, 0, &missing);
        if (!stack)
                return -ENOMEM;
        answer.stack = hash ? stack : NULL;
        r = each(arg, &answer);
        stack_unref(stack);
        return r;
}

static int source_threads(void *userdata, uint32_t pid, uint64_t budget_ns, serve_thread_fn *each, void *arg) {
        struct daemon *d = userdata;
        struct followed_process *p = roster_process_find(d->roster, pid);
        struct followed_thread *t, *next;
        uint64_t deadline = clock_monotonic_ns() + budget_ns;
        int r;

        if (!p)
                return -ESRCH;
        r = daemon_read_process_names(d, p);
        if (r < 0)
                return r;
        seed_process(d->seed, p, budget_ns);
        HASH_ITER (hh, roster_threads(d->roster), t, next) {
                if (t->process != p)
                        continue;
                r = source_thread(d, t, deadline, each, arg);
                if (r != 0)
                        break;
        }
        seed_process_done(d->seed);
        return r;
}

static struct report_stages source_stages(struct daemon *d) {
        return (struct report_stages){
                        .probe = d->probe,
                        .roster = d->roster,
                        .ingest = d->ingest,
                        .discovery = d->discovery,
                        .resolve = d->resolve,
                        .store = d->store,
                        .governor = &d->governor,
        };
}

static int source_status(void *userdata, struct serve_status *ret) {
        struct daemon *d = userdata;
        struct report_stages stages = source_stages(d);

        return report_status(&d->report, &stages, ret);
}

static int source_loss(void *userdata, struct profile_loss *loss) {
        struct daemon *d = userdata;
        struct report_stages stages = source_stages(d);

        int r;

        r = report_loss(&stages, loss);
        if (r < 0)
                return r;
        if (seed_counters(d->seed)->unreadable > 0 && loss->causes_n < ARRAY_SIZE(loss->causes)) {
                loss->causes[loss->causes_n].cause = "stacks unreadable";
                loss->causes[loss->causes_n++].n = seed_counters(d->seed)->unreadable;
        }
        return 0;
}

int source_start(struct daemon *d) {
        struct serve_settings settings = {
                        .socket = d->config->socket,
                        .group = d->config->group,
                        .proc_root = d->proc_root,
        };

        d->source = (struct serve_source){
                        .store = d->store,
                        .userdata = d,
                        .sync = daemon_sync,
                        .processes = source_processes,
                        .threads = source_threads,
                        .status = source_status,
                        .loss = source_loss,
        };
        return serve_new(d->event, &settings, &d->source, &d->serve);
}
