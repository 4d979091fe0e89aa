/* SPDX-License-Identifier: Apache-2.0 */
#include "roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "proc/cgroup.h"
#include "proc/process.h"

#define SETTLED_NS NSEC_PER_SEC           /* a process that has no thread after so long is gone */
#define DESCRIBE_NS (100 * NSEC_PER_MSEC) /* forked children that live shorter are not looked up in /proc */

struct roster {
        char *proc_root;
        struct followed_process *processes; /* by pid */
        struct followed_thread *threads;    /* by tid */
        struct followed_thread *gone_threads;
        struct followed_process *gone_processes;
        unsigned pass;
        uint64_t pass_begin;
        uint64_t missed_ends;
};

int roster_new(const char *proc_root, struct roster **ret) {
        struct roster *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        o->proc_root = strdup(proc_root);
        if (!o->proc_root) {
                free(o);
                return -ENOMEM;
        }
        *ret = o;
        return 0;
}

void roster_end_process(struct roster *o, struct followed_process *p) {
        HASH_DEL(o->processes, p);
        p->next = o->gone_processes;
        o->gone_processes = p;
}

void roster_end_thread(struct roster *o, struct followed_thread *t) {
        struct followed_process *p = t->process;

        if (!t->ended)
                t->ended = t->accounted;
        HASH_DEL(o->threads, t);
        t->next = o->gone_threads;
        o->gone_threads = t;
        if (--p->alive == 0 && p->ended)
                roster_end_process(o, p);
}

struct followed_thread *roster_take_gone_thread(struct roster *o) {
        struct followed_thread *t = o->gone_threads;

        if (t)
                o->gone_threads = t->next;
        return t;
}

struct followed_process *roster_take_gone_process(struct roster *o) {
        struct followed_process *p = o->gone_processes;

        if (p)
                o->gone_processes = p->next;
        return p;
}

/* It is over, whatever its threads were last known to do. */
static void roster_close_process(struct roster *o, struct followed_process *p, uint64_t when) {
        struct followed_thread *t, *next;

        p->ended = when;
        if (p->alive == 0) {
                roster_end_process(o, p);
                return;
        }
        HASH_ITER (hh, o->threads, t, next)
                if (t->process == p)
                        roster_end_thread(o, t);
}

struct followed_process *roster_processes(struct roster *o) {
        return o->processes;
}

struct followed_thread *roster_threads(struct roster *o) {
        return o->threads;
}

struct followed_process *roster_process_find(struct roster *o, uint32_t pid) {
        struct followed_process *p;

        HASH_FIND(hh, o->processes, &pid, sizeof(pid), p);
        return p;
}

struct followed_thread *roster_thread_find(struct roster *o, uint32_t tid) {
        struct followed_thread *t;

        HASH_FIND(hh, o->threads, &tid, sizeof(tid), t);
        return t;
}

static int replace(char **to, const char *text) {
        char *copy = strdup(text);

        if (!copy)
                return -ENOMEM;
        free(*to);
        *to = copy;
        return 0;
}

/* A forked child is what its parent is, until it says otherwise; /proc may be too late to ask. */
static int process_inherit(struct followed_process *p, const struct followed_process *parent) {
        p->namespace_pid = p->pid;
        if (replace(&p->cmdline, parent ? parent->cmdline : "") < 0 ||
            replace(&p->command, parent ? parent->command : p->comm) < 0 ||
            replace(&p->executable, parent ? parent->executable : "") < 0 ||
            replace(&p->unit, parent ? parent->unit : "") < 0 ||
            replace(&p->container, parent ? parent->container : "") < 0)
                return -ENOMEM;
        return 0;
}

static int process_describe(struct followed_process *p, const char *root) {
        _cleanup_process_info_ struct process_info info = {};
        struct cgroup_names names;
        int r;

        p->described = true;
        if (process_read(root, p->pid, &info) < 0)
                return 0; /* gone already: what BPF told is what there is */
        p->namespace_pid = info.namespace_pid;
        if (info.cmdline[0]) {
                free(p->cmdline);
                p->cmdline = TAKE_PTR(info.cmdline);
                free(p->command);
                p->command = TAKE_PTR(info.command);
                free(p->executable);
                p->executable = TAKE_PTR(info.executable);
        }
        if (cgroup_read(root, p->pid, &names) < 0)
                return 0;
        r = replace(&p->unit, names.unit);
        return r < 0 ? r : replace(&p->container, names.container);
}

int roster_add_process(struct roster *o, const struct event *e, uint64_t started, uint32_t uid, uint32_t ppid,
                       const char *comm, const struct followed_process *parent, struct followed_process **ret) {
        struct followed_process *p = roster_process_find(o, e->pid);
        int r;

        if (p) /* its exit was lost, or it was unprofiled until now */
                roster_close_process(o, p, started);
        p = calloc(1, sizeof(*p));
        if (!p)
                return -ENOMEM;
        p->refs = 1;
        p->pid = e->pid;
        p->scope = e->scope;
        p->started = started;
        p->uid = uid;
        p->ppid = p->ancestors[0] = ppid;
        p->profiled = true;
        memcpy(p->comm, comm, sizeof(p->comm) - 1);
        r = process_inherit(p, parent);
        if (r >= 0 && !parent)
                r = process_describe(p, o->proc_root);
        if (r < 0) {
                followed_process_unref(p);
                return r;
        }
        HASH_ADD(hh, o->processes, pid, sizeof(p->pid), p);
        *ret = p;
        return 0;
}

int roster_add_thread(struct roster *o, struct followed_process *p, const struct event *e, const struct event_books *b,
                      struct followed_thread **ret) {
        struct followed_thread *t = roster_thread_find(o, e->tid);

        if (t) { /* its exit was lost */
                o->missed_ends++;
                roster_end_thread(o, t);
        }
        t = calloc(1, sizeof(*t));
        if (!t)
                return -ENOMEM;
        t->refs = 1;
        t->process = followed_process_ref(p);
        p->alive++;
        t->pass = o->pass;
        t->tid = e->tid;
        t->books = *b;
        t->accounted = e->time;
        t->started = e->time;
        t->open = (struct thread_open){.state = THREAD_ON_CPU, .since = e->time, .reason = STATE_OTHER, .syscall = -1};
        HASH_ADD(hh, o->threads, tid, sizeof(t->tid), t);
        *ret = t;
        return 0;
}

int roster_add_unprofiled(struct roster *o, uint32_t pid, const struct image *image) {
        _cleanup_process_info_ struct process_info info = {};
        struct event e = {.pid = pid};
        struct followed_process *p;
        int r;

        if (roster_process_find(o, pid))
                return -EEXIST;
        r = process_read(o->proc_root, pid, &info);
        if (r < 0)
                return r;
        r = roster_add_process(o, &e, info.started, info.uid, info.ppid, info.comm, NULL, &p);
        if (r < 0)
                return r;
        p->profiled = false;
        p->image = image_ref((struct image *)image);
        snprintf(p->reason, sizeof(p->reason), "%s", image->reason);
        return 0;
}

void roster_forget_unprofiled(struct roster *o, struct followed_process *p) {
        if (!p->profiled)
                roster_close_process(o, p, p->started);
}

void roster_begin_pass(struct roster *o, uint64_t now) {
        o->pass++;
        o->pass_begin = now;
}

void roster_told(struct roster *o, struct followed_thread *t) {
        t->pass = o->pass;
}

void roster_end_pass(struct roster *o) {
        struct followed_process *p, *p_next;
        struct followed_thread *t, *t_next;

        HASH_ITER (hh, o->threads, t, t_next) {
                if (t->pass == o->pass || t->started >= o->pass_begin)
                        continue;
                o->missed_ends++;
                roster_end_thread(o, t);
        }
        HASH_ITER (hh, o->processes, p, p_next)
                if (p->profiled && p->alive == 0 && p->started + SETTLED_NS < o->pass_begin)
                        roster_close_process(o, p, o->pass_begin);
}

void roster_describe(struct roster *o, uint64_t now) {
        struct followed_process *p, *next;

        HASH_ITER (hh, o->processes, p, next)
                if (!p->described && p->started + DESCRIBE_NS < now)
                        process_describe(p, o->proc_root);
}

void roster_free(struct roster *o) {
        struct followed_process *p, *p_next;
        struct followed_thread *t, *t_next;

        if (!o)
                return;
        HASH_ITER (hh, o->processes, p, p_next)
                roster_close_process(o, p, p->started);
        HASH_ITER (hh, o->threads, t, t_next)
                roster_end_thread(o, t);
        while ((t = roster_take_gone_thread(o)))
                followed_thread_unref(t);
        while ((p = roster_take_gone_process(o)))
                followed_process_unref(p);
        free(o->proc_root);
        free(o);
}

uint64_t roster_missed_ends(const struct roster *o) {
        return o->missed_ends;
}
