/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The product's own programs, and beside them what their cost is compared with. */
#include "pyprofd.bpf.c"

#define BENCH_FRAMES_MAX 128 /* the kernel's own limit is 127: kernel.perf_event_max_stack */

struct bench_stack {
        u64 addresses[BENCH_FRAMES_MAX];
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, u32);
        __type(value, struct bench_stack);
} bench_stacks SEC(".maps");

__u64 bench_python_frames = 0; /* of the last walk */
__u64 bench_kernel_frames = 0;
__u64 bench_switches[3] = {}; /* by how many of the two tasks are followed */

SEC("perf_event")
int bench_empty(struct bpf_perf_event_data *ctx) {
        return 0;
}

SEC("perf_event")
int bench_kernel_walk(struct bpf_perf_event_data *ctx) {
        u32 zero = 0;
        struct bench_stack *s = bpf_map_lookup_elem(&bench_stacks, &zero);
        long size;

        if (!s)
                return 0;
        size = bpf_get_stack(ctx, s, sizeof(*s), BPF_F_USER_STACK);
        bench_kernel_frames = size < 0 ? 0 : size / sizeof(u64);
        return 0;
}

/* What on_tick does for a stack; its record is the same with and without one. */
SEC("perf_event")
int bench_python_walk(struct bpf_perf_event_data *ctx) {
        struct task_struct *task = bpf_get_current_task_btf();
        struct thread *t = bpf_task_storage_get(&threads, task, NULL, 0);
        struct scratch *s;
        struct event from;
        u32 zero = 0;

        if (!t)
                return 0;
        from = (struct event){.time = bpf_ktime_get_ns(), .scope = t->scope, .pid = task->tgid, .tid = task->pid};
        thread_walk(t, &from, BPF_CORE_READ(task, thread.fsbase), true);
        s = bpf_map_lookup_elem(&scratches, &zero);
        if (s)
                bench_python_frames = s->walk.frames_n;
        return 0;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(bench_switch_empty, bool preempt, struct task_struct *prev, struct task_struct *next) {
        return 0;
}

/* Attached last, so that the look-ups find nothing that on_switch had to bring into the cache. */
SEC("tp_btf/sched_switch")
int BPF_PROG(bench_switch_count, bool preempt, struct task_struct *prev, struct task_struct *next) {
        u32 followed = !!bpf_task_storage_get(&threads, prev, NULL, 0) +
                       !!bpf_task_storage_get(&threads, next, NULL, 0);

        if (followed < 3)
                __sync_fetch_and_add(&bench_switches[followed], 1);
        return 0;
}
