/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The books of one thread: on-CPU, runnable and blocked nanoseconds, exactly, from the scheduler's own transitions.
 *
 * They live with the task (task storage), never in a per-CPU map: a thread wakes on another CPU than it went to sleep
 * on. Kernel: __schedule() in kernel/sched/core.c calls trace_sched_switch() with the run-queue lock held and prev's
 * memory still mapped; ttwu_do_wakeup() calls trace_sched_wakeup().
 */
#pragma once

#define LONG_WAIT_NS 10000000ULL /* a wait this long is told of even when its stack was not walked */
#define MISS_FIRST_NS 1000000ULL /* after a search for a thread state that found none */
#define MISS_LAST_NS 128000000ULL

struct thread {
        u64 scope;
        u64 runtime;
        u64 code_type;
        u64 text_start, text_end;
        u32 target;
        u32 seq;
        u32 tid; /* task->pid changes when a thread that does not lead execs */
        u32 reserved1;

        u64 since; /* when the present state began */
        u64 cpu, runnable, blocked, skipped;
        u64 woken;  /* of a blocked thread, 0: not yet */
        u8 state;   /* enum thread_state */
        u8 reason;  /* enum wait_reason */
        u8 reuses;  /* its code addresses have been seen reused */
        u8 several; /* several interpreters: a cached thread state must be the active one */
        u16 stack_flags;
        u16 reserved;
        s32 syscall;
        u32 weight;
        u64 stack; /* of the present wait */

        u64 tstate; /* address of its PyThreadState, 0: not found */
        u64 searched;
        u64 miss;   /* how long to wait before the next search */
        u64 recent; /* moving average of its waits, ns */

        /* The kernel's own totals at its last switch-out that was looked at: what bridges a rest. */
        u64 exec;     /* se.sum_exec_runtime */
        u64 delay;    /* sched_info.run_delay */
        u64 arrival;  /* how long it was runnable before its last switch-in, which `delay` does not hold yet */
        u64 switches; /* nvcsw + nivcsw */
        u64 told;     /* when a tick last told how its books stand */
        u32 epoch;    /* settings.epoch then */
        u32 reserved2;
};

struct {
        __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
        __uint(map_flags, BPF_F_NO_PREALLOC);
        __type(key, int);
        __type(value, struct thread);
} threads SEC(".maps");

static __always_inline void event_init(struct event *e, u16 kind, u32 size, const struct thread *t, u64 now, u32 pid) {
        e->size = size;
        e->kind = kind;
        e->flags = 0;
        e->time = now;
        e->scope = t->scope;
        e->pid = pid;
        e->tid = t->tid;
}

/* The books as they stand at `now`, the present state included when it is on-CPU. */
static __always_inline void books_fill(struct event_books *b, const struct thread *t, u64 now) {
        b->cpu_ns = t->cpu;
        if (t->state == THREAD_ON_CPU)
                b->cpu_ns += now - t->since;
        b->runnable_ns = t->runnable;
        b->blocked_ns = t->blocked;
        b->skipped_ns = t->skipped;
        b->seq = t->seq;
        b->reserved = 0;
}

/* Closes an off-CPU stretch. Returns when it became runnable. */
static __always_inline u64 thread_close_wait(struct thread *t, u64 now) {
        u64 woken = t->woken;

        if (now < t->since) /* it was taken in from another CPU a moment ago */
                now = t->since;
        if (t->state == THREAD_RUNNABLE)
                woken = t->since;
        else if (woken < t->since || woken > now)
                woken = now; /* no wake-up was seen */
        t->blocked += woken - t->since;
        t->runnable += now - woken;
        return woken;
}

/* How many waits one walked wait stands for: all of a thread that waits long, few of one that switches without end. */
static __always_inline u32 thread_weight(const struct thread *t) {
        u64 below = settings.walk_below_ns, weight;

        if (t->recent >= below)
                return 1;
        weight = below / (t->recent | 1);
        return weight > 1024 ? 1024 : weight;
}

static __always_inline bool thread_walks(struct thread *t) {
        u32 weight = thread_weight(t);

        t->weight = weight;
        return weight == 1 || bpf_get_prandom_u32() <= 0xffffffffU / weight;
}

static __always_inline u64 task_switches(const struct task_struct *task) {
        return task->nvcsw + task->nivcsw;
}

/*
 * Has the thread been switched since its books were last touched, while the accounting rested? `expected`: how often it
 * has been switched out since its last switch-out that was looked at, if nothing was missed.
 * __schedule() raises the count before trace_sched_switch().
 */
static __always_inline bool thread_is_stale(struct thread *t, const struct task_struct *task, bool on_cpu,
                                            u32 expected) {
        if (t->epoch == settings.epoch)
                return false;
        if ((t->state == THREAD_ON_CPU) != on_cpu || task_switches(task) != t->switches + expected)
                return true;
        t->epoch = settings.epoch - settings.resting;
        return false;
}

static __always_inline void thread_snapshot(struct thread *t, const struct task_struct *task) {
        t->exec = task->se.sum_exec_runtime;
        t->delay = task->sched_info.run_delay;
        t->switches = task_switches(task);
        t->epoch = settings.epoch - settings.resting; /* what comes while it rests is not seen */
        t->arrival = 0;
}
