/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Knobs, maps, programs. The helpers are in the headers, in the order in which they build on each other. */
#include "vmlinux.h"
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "event.h"
#include "target.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Knobs: set before loading. */
const volatile __u64 ring_watermark = 2 * 1024 * 1024; /* bytes unread at which the daemon is woken */
const volatile bool switch_has_state = true; /* sched_switch tells prev_state: Linux 5.18, commit fa2c3254d7cf */

/* Set while running. */
struct settings settings = {};

struct {
        __uint(type, BPF_MAP_TYPE_RINGBUF);
        __uint(max_entries, 8 * 1024 * 1024);
} events SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, TARGETS_MAX);
        __type(key, u32);
        __type(value, struct target);
} targets SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, TARGETS_MAX);
        __type(key, u32);
        __type(value, struct target_image);
} images SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_HASH);
        __uint(max_entries, PROCESSES_MAX);
        __type(key, u32);
        __type(value, struct process);
} processes SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
        __type(key, u32);
        __type(value, u32);
} mappings SEC(".maps"); /* no program writes to it: it is where libbpf keeps the events that tell of new mappings */

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, COUNTER_MAX);
        __type(key, u32);
        __type(value, u64);
} counters SEC(".maps");

static __always_inline void count(enum event_count counter) {
        u32 key = counter;
        u64 *value = bpf_map_lookup_elem(&counters, &key);

        if (value)
                (*value)++; /* a preemptible program may lose one to a tick; the common ones cannot be interrupted */
}

#include "python.bpf.h"
#include "code.bpf.h"
#include "sched.bpf.h"
#include "thread.bpf.h"

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, bool preempt, struct task_struct *prev, struct task_struct *next) {
        struct thread *out, *in;
        u64 now = 0;

        if (settings.resting)
                return 0;
        out = bpf_task_storage_get(&threads, prev, NULL, 0);
        in = bpf_task_storage_get(&threads, next, NULL, 0);
        if (out) {
                now = bpf_ktime_get_ns();
                thread_switch_out(out, prev, preempt || task_runs(prev, switch_has_state ? ctx[3] : 0), now);
        }
        if (in)
                thread_switch_in(in, next, now ?: bpf_ktime_get_ns());
        return 0;
}

static __always_inline int thread_wake(struct task_struct *task) {
        struct thread *t = settings.resting ? NULL : bpf_task_storage_get(&threads, task, NULL, 0);

        if (t && t->state == THREAD_BLOCKED)
                t->woken = bpf_ktime_get_ns();
        return 0;
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(on_wakeup, struct task_struct *task) {
        return thread_wake(task);
}

SEC("perf_event")
int on_tick(struct bpf_perf_event_data *ctx) {
        struct task_struct *task = bpf_get_current_task_btf();
        struct thread *t = bpf_task_storage_get(&threads, task, NULL, 0);

        if (t)
                thread_tick(t, task, &ctx->regs, ring_wakeup());
        return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct *parent, struct task_struct *child) {
        struct thread *from = bpf_task_storage_get(&threads, parent, NULL, 0);

        if (from)
                thread_fork(from, parent, child);
        return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, pid_t old_tid) {
        struct thread *t = bpf_task_storage_get(&threads, task, NULL, 0);

        if (t)
                thread_end(t, task, true);
        return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task) {
        struct thread *t = bpf_task_storage_get(&threads, task, NULL, 0);

        if (t)
                thread_end(t, task, task->signal->live.counter == 0);
        return 0;
}

/* The first Python instruction is near: PyImport_ImportFrozenModule loads importlib's bootstrap, in every version. */
SEC("uprobe")
int on_start(struct pt_regs *ctx) {
        process_start((u32)bpf_get_attach_cookie(ctx), PT_REGS_IP(ctx));
        return 0;
}

/* Every task there is: takes in those of followed processes that are not known yet, and tells how each one stands. */
SEC("iter/task")
int on_task(struct bpf_iter__task *ctx) {
        struct task_struct *task = ctx->task;

        if (task)
                thread_tell(task, ctx->meta->seq);
        return 0;
}

/* Never attached, run by request: what it costs is what BPF statistics add to every run. */
SEC("raw_tp/sched_switch")
int on_nothing(void *ctx) {
        return 0;
}
