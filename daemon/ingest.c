/* SPDX-License-Identifier: Apache-2.0 */
#include "ingest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "books.h"
#include "proc/process.h"

#define SETTLED_NS NSEC_PER_SEC /* after so long a record that has not come is lost */

struct ingest {
        char *proc_root;
        struct roster *roster; /* borrowed */
        ingest_image_fn *image;
        void *userdata;
        struct ingest_counters counters;
};

int ingest_new(const char *proc_root, struct roster *roster, ingest_image_fn *image, void *userdata,
               struct ingest **ret) {
        struct ingest *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        i->proc_root = strdup(proc_root);
        if (!i->proc_root) {
                free(i);
                return -ENOMEM;
        }
        i->roster = roster;
        i->image = image;
        i->userdata = userdata;
        *ret = i;
        return 0;
}

void ingest_free(struct ingest *i) {
        if (!i)
                return;
        free(i->proc_root);
        free(i);
}

const struct ingest_counters *ingest_counters(const struct ingest *i) {
        return &i->counters;
}

/* What only the record of its start says of a process. */
static void ingest_fill_process(struct ingest *i, const struct event_process *e, struct followed_process *p) {
        memcpy(p->ancestors, e->ancestors, sizeof(p->ancestors));
        if (!p->image)
                p->image = image_ref((struct image *)i->image(i->userdata, e->target));
        p->runtime = e->runtime;
        if (p->image) /* both lie in the same image, so one tells where the other is */
                p->code_type = e->runtime - p->image->addresses.runtime + p->image->addresses.code_type;
}

static int ingest_process_start(struct ingest *i, const struct event_process *e, struct ingested *ret) {
        struct followed_process *parent = e->parent_scope ? roster_process_find(i->roster, e->ancestors[0]) : NULL;
        struct followed_process *p = roster_process_find(i->roster, e->event.pid);
        int r;

        if (!p || !p->profiled || p->scope != e->event.scope) { /* else another record of it was faster */
                r = roster_add_process(i->roster, &e->event, e->start, e->uid, e->ancestors[0], e->comm, parent, &p);
                if (r < 0)
                        return r;
        }
        ingest_fill_process(i, e, p);
        ret->kind = INGESTED_PROCESS_START;
        ret->process = p;
        return 0;
}

/* The record of a process whose start was lost. What /proc says is late but better than nothing. */
static int ingest_late_process(struct ingest *i, const struct event *e, struct followed_process **ret) {
        _cleanup_process_info_ struct process_info info = {};
        int r;

        r = process_read(i->proc_root, e->pid, &info);
        if (r < 0)
                return r;
        return roster_add_process(i->roster, e, info.started, info.uid, info.ppid, info.comm, NULL, ret);
}

static int ingest_process_for(struct ingest *i, const struct event *e, struct followed_process **ret) {
        struct followed_process *p = roster_process_find(i->roster, e->pid);

        if (p && p->scope == e->scope) {
                *ret = p;
                return 0;
        }
        return ingest_late_process(i, e, ret);
}

/* The thread of a record with books; one whose start was lost begins here, with books that are zero at its start. */
static int ingest_thread_for(struct ingest *i, const struct event *e, const struct event_books *b, uint64_t at,
                             struct followed_thread **ret) {
        struct followed_thread *t = roster_thread_find(i->roster, e->tid);
        struct followed_process *p;
        uint64_t lived = b->cpu_ns + b->runnable_ns + b->blocked_ns;
        struct event_books zero = {};
        int r;

        if (t && t->process->scope == e->scope) {
                *ret = t;
                return 0;
        }
        r = ingest_process_for(i, e, &p);
        if (r < 0)
                return r;
        r = roster_add_thread(i->roster, p, e, &zero, &t);
        if (r < 0)
                return r;
        t->started = t->accounted = t->open.since = lived < at ? at - lived : at;
        *ret = t;
        return 0;
}

static int ingest_thread_start(struct ingest *i, const struct event_thread *e, struct ingested *ret) {
        struct followed_thread *t = roster_thread_find(i->roster, e->event.tid);
        struct followed_process *p;
        int r;

        if (t && t->process->scope == e->event.scope && !t->ended && t->started >= e->event.time)
                return 0; /* a record of it was faster */
        r = ingest_process_for(i, &e->event, &p);
        if (r < 0)
                return r;
        r = roster_add_thread(i->roster, p, &e->event, &e->books, &ret->thread);
        if (r < 0)
                return r;
        memcpy(ret->thread->comm, e->comm, sizeof(e->comm) - 1);
        ret->kind = INGESTED_THREAD_START;
        ret->process = p;
        return 0;
}

static void ingest_observe(struct ingest *i, struct followed_thread *t, const struct event_books *b, uint64_t end,
                           struct ingested *ret) {
        struct books_check check = {.records = ((const struct event *)ret->record)->kind != EVENT_STATE};

        ret->thread = t;
        ret->process = t->process;
        books_observe(t, b, end, &ret->observation, &check);
        ret->observed = ret->observation.end > ret->observation.begin;
        i->counters.lost += check.lost;
        i->counters.lost_ns += ret->observation.lost_ns;
        i->counters.inconsistent += check.inconsistent;
}

static void thread_open_on_cpu(struct followed_thread *t, uint64_t since) {
        t->open = (struct thread_open){.state = THREAD_ON_CPU, .since = since, .reason = STATE_OTHER, .syscall = -1};
}

static int ingest_tick(struct ingest *i, const struct event_tick *e, struct ingested *ret) {
        static const enum state modes[] = {
                        [TICK_PYTHON] = STATE_PYTHON,
                        [TICK_NATIVE] = STATE_NATIVE,
                        [TICK_KERNEL] = STATE_KERNEL,
        };
        struct observation *o = &ret->observation;
        struct followed_thread *t;
        int r;

        r = ingest_thread_for(i, &e->event, &e->books, e->event.time, &t);
        if (r < 0)
                return r;
        o->tick = true;
        o->tick_state = modes[MIN(e->mode, ARRAY_SIZE(modes) - 1)];
        o->stack = e->stack;
        o->flags = e->event.flags;
        ingest_observe(i, t, &e->books, e->event.time, ret);
        thread_open_on_cpu(t, e->event.time);
        t->mode = o->tick_state;
        ret->kind = INGESTED_OBSERVATION;
        return 0;
}

static enum state state_of_reason(uint32_t reason) {
        static const enum state states[WAIT_REASON_MAX] = {[WAIT_RUNQ] = STATE_RUNQ, [WAIT_OTHER] = STATE_OTHER};

        return reason < WAIT_REASON_MAX ? states[reason] : STATE_OTHER;
}

static int ingest_wait(struct ingest *i, const struct event_wait *e, struct ingested *ret) {
        struct observation *o = &ret->observation;
        struct followed_thread *t;
        int r;

        r = ingest_thread_for(i, &e->event, &e->books, e->event.time, &t);
        if (r < 0)
                return r;
        o->wait = true;
        o->since = e->since;
        o->woken = e->woken;
        o->reason = state_of_reason(e->reason);
        o->weight = MAX(e->weight, 1U);
        o->stack = e->stack;
        o->flags = e->event.flags;
        /* A wait that was read from user space, because it began before us or was not walked, keeps that stack. */
        if (!o->stack && t->open.state != THREAD_ON_CPU && t->open.since == e->since && t->open.stack) {
                o->stack = t->open.stack;
                o->flags &= ~EVENT_STACK_SKIPPED;
        }
        ingest_observe(i, t, &e->books, e->event.time, ret);
        thread_open_on_cpu(t, e->event.time);
        ret->kind = INGESTED_OBSERVATION;
        return 0;
}

/* While switches are not looked at, how a wait ends may never be told: what has passed of it is booked as it goes. */
static bool ingest_still_waits(struct ingest *i, const struct event_state *e, struct followed_thread *t,
                               struct ingested *ret) {
        struct event_books books = t->books;
        struct observation *o = &ret->observation;

        if (!(e->event.flags & EVENT_RESTING) || e->state != THREAD_BLOCKED || t->open.state != THREAD_BLOCKED ||
            t->open.since != e->since || t->accounted < e->since || e->event.time <= t->accounted)
                return false;
        o->wait = true;
        o->since = t->accounted;
        o->woken = e->event.time;
        o->reason = t->open.reason;
        o->weight = 1;
        o->stack = t->open.stack;
        o->flags = t->open.stack ? 0 : EVENT_STACK_SKIPPED;
        books.blocked_ns += e->event.time - t->accounted;
        ingest_observe(i, t, &books, e->event.time, ret);
        ret->kind = INGESTED_STATE;
        return true;
}

static int ingest_state(struct ingest *i, const struct event_state *e, struct ingested *ret) {
        uint64_t end = e->state == THREAD_ON_CPU ? e->event.time : e->since, stack = e->stack;
        struct followed_thread *t;
        int r;

        r = ingest_thread_for(i, &e->event, &e->books, end, &t);
        if (r < 0)
                return r;
        roster_told(i->roster, t);
        if (e->event.flags & EVENT_UNSURE)
                return 0;
        if (e->books.seq == t->books.seq && ingest_still_waits(i, e, t, ret))
                return 0;
        /* The snapshot was taken beside the thread, without stopping it: one that is torn or late is not worth a
         * repair. */
        if (e->books.seq < t->books.seq || !books_agree(t, &e->books, end))
                return 0;
        if (e->books.seq > t->books.seq && e->event.time - end < SETTLED_NS)
                return 0; /* its last record may be on its way */
        if (!stack && e->state != THREAD_ON_CPU && t->open.state != THREAD_ON_CPU && t->open.since == e->since)
                stack = t->open.stack; /* read from user space at an earlier turn */
        ingest_observe(i, t, &e->books, end, ret);
        t->open = (struct thread_open){
                        .state = e->state,
                        .reason = state_of_reason(e->reason),
                        .since = e->state == THREAD_ON_CPU ? end : e->since,
                        .woken = e->state == THREAD_RUNNABLE ? e->since : e->woken,
                        .stack = stack,
                        .syscall = e->syscall,
        };
        t->thread_pointer = e->thread_pointer;
        memcpy(t->comm, e->comm, sizeof(t->comm) - 1);
        ret->kind = INGESTED_STATE;
        return 0;
}

static int ingest_thread_exit(struct ingest *i, const struct event_thread *e, struct ingested *ret) {
        struct followed_thread *t;
        int r;

        r = ingest_thread_for(i, &e->event, &e->books, e->event.time, &t);
        if (r < 0)
                return r;
        ingest_observe(i, t, &e->books, e->event.time, ret);
        t->ended = e->event.time;
        ret->kind = INGESTED_OBSERVATION;
        roster_end_thread(i->roster, t); /* its reference is in the queue until the caller takes it */
        return 0;
}

/* Its threads may still have something to say: they go first. */
static int ingest_process_exit(struct ingest *i, const struct event *e) {
        struct followed_process *p = roster_process_find(i->roster, e->pid);

        if (!p || p->scope != e->scope)
                return 0;
        p->ended = e->time;
        if (p->alive == 0)
                roster_end_process(i->roster, p);
        return 0;
}

static int ingest_sending(struct ingest *i, const struct event *e, enum ingested_kind kind, struct ingested *ret) {
        int r;

        r = ingest_process_for(i, e, &ret->process);
        if (r < 0)
                return r;
        ret->kind = kind;
        return 0;
}

static int ingest_dispatch(struct ingest *i, const struct event *e, struct ingested *ret) {
        switch (e->kind) {
        case EVENT_PROCESS_START:
                return ingest_process_start(i, (const struct event_process *)e, ret);
        case EVENT_PROCESS_EXIT:
                return ingest_process_exit(i, e);
        case EVENT_THREAD_START:
                return ingest_thread_start(i, (const struct event_thread *)e, ret);
        case EVENT_THREAD_EXIT:
                return ingest_thread_exit(i, (const struct event_thread *)e, ret);
        case EVENT_TICK:
                return ingest_tick(i, (const struct event_tick *)e, ret);
        case EVENT_WAIT:
                return ingest_wait(i, (const struct event_wait *)e, ret);
        case EVENT_STATE:
                return ingest_state(i, (const struct event_state *)e, ret);
        case EVENT_CODE:
                return ingest_sending(i, e, INGESTED_CODE, ret);
        default:
                return ingest_sending(i, e, INGESTED_STACK, ret);
        }
}

int ingest_record(struct ingest *i, const void *record, size_t size, struct ingested *ret) {
        static const size_t sizes[EVENT_KIND_MAX] = {
                        [EVENT_PROCESS_START] = sizeof(struct event_process),
                        [EVENT_PROCESS_EXIT] = sizeof(struct event),
                        [EVENT_THREAD_START] = sizeof(struct event_thread),
                        [EVENT_THREAD_EXIT] = sizeof(struct event_thread),
                        [EVENT_TICK] = sizeof(struct event_tick),
                        [EVENT_WAIT] = sizeof(struct event_wait),
                        [EVENT_STATE] = sizeof(struct event_state),
                        [EVENT_CODE] = sizeof(struct event_code),
                        [EVENT_STACK] = sizeof(struct event_stack),
        };
        const struct event *e = record;
        int r;

        *ret = (struct ingested){.record = record, .size = size};
        i->counters.records++;
        if (size < sizeof(*e) || e->kind >= EVENT_KIND_MAX || !sizes[e->kind] || size < sizes[e->kind] ||
            e->size > size) {
                i->counters.malformed++;
                return 0;
        }
        r = ingest_dispatch(i, e, ret);
        if (r == -ENOMEM)
                return r;
        if (r < 0) { /* a process that is gone, and whose start was lost */
                i->counters.orphans++;
                *ret = (struct ingested){};
        }
        return 0;
}
