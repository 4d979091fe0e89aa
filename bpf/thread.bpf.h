/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What happens to a followed thread: it starts, runs, waits, is met by a tick, ends. Here books and walker meet. */
#pragma once

#define PF_EXITING 0x00000004 /* include/linux/sched.h */
#define WATERMARK_EVERY 64    /* waits of a thread between two looks at how full the ring buffer is */

/* The daemon reads by timer; it is woken where it might be too late. A forced wake-up costs 3 us, none 40 ns. */
static __always_inline u64 ring_wakeup(void) {
        return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) > ring_watermark ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, u32);
        __type(value, struct scratch);
} scratches SEC(".maps");

/* Leaves the state of the thread in scratch->tstate. False when it has none. */
static __always_inline bool thread_find_state(struct walker *walker, struct thread *t, u64 thread_pointer, u64 now) {
        struct search *search = &walker->scratch->search;

        t->searched = now;
        tstate_search(walker, t->runtime, thread_pointer);
        t->several = search->interpreters > 1 || search->matches > 1;
        t->tstate = search->best;
        if (search->matches > 1 && search->best_rank < 3) {
                t->stack_flags |= EVENT_STACK_AMBIGUOUS;
                count(COUNTER_AMBIGUOUS);
        }
        if (t->tstate && tstate_read(walker->scratch, walker->target, t->tstate) == 0) {
                t->miss = 0;
                return true;
        }
        t->miss = t->miss ? t->miss * 2 : MISS_FIRST_NS;
        if (t->miss > MISS_LAST_NS)
                t->miss = MISS_LAST_NS;
        count(COUNTER_NO_THREAD_STATE);
        return false;
}

/* 3.7 to 3.11 say which state holds the GIL, and nothing else. Is it another one of this thread's? */
static __always_inline bool thread_is_current(const struct thread *t, const struct walker *walker, u64 thread_pointer) {
        const struct target *target = walker->target;
        u64 current = 0, id = 0;

        if (target->runtime_tstate_current == TARGET_NONE ||
            read_user(&current, 8, t->runtime + (s64)target->runtime_tstate_current) || !current ||
            current == t->tstate)
                return true;
        return read_user(&id, 8, current + target->tstate_thread_id) || id != thread_pointer;
}

static __always_inline bool thread_state_holds(const struct thread *t, const struct walker *walker, u64 thread_pointer,
                                               bool running) {
        const struct target *target = walker->target;
        const struct scratch *s = walker->scratch;

        if (tstate_u64(s, target->tstate_thread_id) != thread_pointer)
                return false;
        /* Up to 3.10 a thread state has its maker's id until its thread first runs: then it has no frame. */
        if (target->layout == TARGET_FRAME_OBJECT && !tstate_u64(s, target->tstate_frame))
                return false;
        if (target->tstate_status == TARGET_NONE)
                return !(t->several || running) || thread_is_current(t, walker, thread_pointer);
        return (t->several || running) ? tstate_active(s, target) : true;
}

/*
 * Walks the stack of the current task and makes the daemon know it. Returns its hash, 0 for none; the flags go to
 * t->stack_flags. `running`: the thread was met on the CPU, so a state that is not active deserves a search.
 * A global function: the verifier looks at it once, for all who call it.
 */
__weak u64 thread_walk(struct thread *t, const struct event *from, u64 thread_pointer, bool running) {
        struct walker walker = {};
        u32 zero = 0, index;
        u64 hash;
        u16 flags;

        if (!t || !from)
                return 0;
        t->stack_flags = EVENT_STACK_NONE;
        index = t->target;
        walker.target = bpf_map_lookup_elem(&targets, &index);
        walker.scratch = bpf_map_lookup_elem(&scratches, &zero);
        if (!walker.target || !walker.scratch)
                return 0;
        if (!t->tstate || tstate_read(walker.scratch, walker.target, t->tstate) ||
            !thread_state_holds(t, &walker, thread_pointer, running)) {
                if (t->miss && !running && from->time - t->searched < t->miss)
                        return 0;
                if (!thread_find_state(&walker, t, thread_pointer, from->time))
                        return 0;
        }
        walk_frames(&walker, t->scope);
        count(COUNTER_WALKS);
        if (!walker.scratch->walk.frames_n) {
                /* No frame, or a state that was freed and is not in use yet: the thread may have another one by now. */
                if (from->time - t->searched < (running ? MISS_FIRST_NS : MISS_LAST_NS) ||
                    !thread_find_state(&walker, t, thread_pointer, from->time))
                        return 0;
                walk_frames(&walker, t->scope);
                if (!walker.scratch->walk.frames_n)
                        return 0;
        }
        flags = walker.scratch->walk.flags;
        if (flags & EVENT_STACK_INCOMPLETE)
                count(COUNTER_FRAME_UNREADABLE);
        if (flags & EVENT_STACK_TRUNCATED)
                count(COUNTER_TRUNCATED);
        hash = stack_send(&walker, from, t->code_type, &t->reuses);
        t->stack_flags = flags | (t->stack_flags & EVENT_STACK_AMBIGUOUS) | (hash ? 0 : EVENT_STACK_INCOMPLETE);
        return hash;
}

/* Was the task that is leaving the CPU ready to run on? A pending signal leaves a stale state before 6.13. */
static __always_inline bool task_runs(struct task_struct *task, u64 state) {
        if (!switch_has_state)
                state = task->__state;
        return state == 0;
}

static __always_inline s32 task_syscall(struct task_struct *task) {
        struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(task);

        return regs->orig_ax;
}

/* Tells of a wait that ended at `now`: t's books are up to it. A short one whose stack was not walked is left out. */
static __always_inline void thread_tell_wait(struct thread *t, const struct task_struct *task, u64 since, u64 woken,
                                             u64 now) {
        u64 length = now - since;
        struct event_wait *e;

        if ((t->stack_flags & EVENT_STACK_SKIPPED) && length < LONG_WAIT_NS) {
                t->skipped += length;
                return;
        }
        t->seq++;
        e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
        if (!e) {
                count(COUNTER_RING_FULL);
                return;
        }
        event_init(&e->event, EVENT_WAIT, sizeof(*e), t, now, task->tgid);
        e->event.flags = t->stack_flags;
        books_fill(&e->books, t, now);
        e->stack = t->stack;
        e->since = since;
        e->woken = woken;
        e->reason = t->reason;
        e->weight = length >= LONG_WAIT_NS ? 1 : t->weight; /* every long wait is told of: it stands for itself */
        e->syscall = t->syscall;
        e->reserved = 0;
        bpf_ringbuf_submit(e, t->seq % WATERMARK_EVERY ? BPF_RB_NO_WAKEUP : ring_wakeup());
}

/*
 * Books the time from t->since to now by the kernel's totals. They are exact where the thread is off the CPU, or leaves
 * it: update_curr() and sched_info_arrive() have run. `expected`: as for thread_is_stale(). Where the thread was not
 * switched out since, it is one wait that ended unseen, and its length is known all the same; else which waits there
 * were is not known, and the off-CPU part is skipped.
 */
static __always_inline void thread_bridge(struct thread *t, const struct task_struct *task, u64 now, u32 expected) {
        u64 since = t->since, left = now - since, cpu = task->se.sum_exec_runtime - t->exec;
        u64 delay = task->sched_info.run_delay - t->delay;

        if (t->state == THREAD_ON_CPU)
                delay = delay > t->arrival ? delay - t->arrival : 0;
        if (cpu > left)
                cpu = left;
        left -= cpu;
        if (delay > left)
                delay = left;
        t->runnable += delay;
        t->blocked += left - delay;
        if (t->state != THREAD_ON_CPU && task_switches(task) == t->switches + expected)
                thread_tell_wait(t, task, since, since + left - delay, since + left);
        else
                t->skipped += left;
        t->cpu += cpu;
        t->since = now;
        thread_snapshot(t, task);
}

/*
 * A thread is on the CPU that no switch brought there: it was being taken in at that moment, or the kernel did not tell
 * (seen on 6.18 some ten times in 27,000 switches of dying threads; its own trace lacks them too).
 */
static __always_inline void thread_unseen(struct thread *t, const struct task_struct *task, u64 now, u32 expected) {
        if (t->epoch == settings.epoch)
                count(COUNTER_SWITCH_UNSEEN);
        thread_bridge(t, task, now, expected);
        t->state = THREAD_ON_CPU;
}

/*
 * When the thread left the CPU, by the kernel's own clock of it: __schedule() reads that first, and finds the next
 * thread before its tracepoint (newidle balancing); a wake-up that preempts has it reuse the clock of the wake-up
 * (rq_clock_skip_update() in wakeup_preempt()). So a thread is never charged more than CLOCK_THREAD_CPUTIME_ID says.
 * Not before what a tick has told already.
 */
static __always_inline u64 thread_left(const struct thread *t, const struct task_struct *task, u64 now) {
        u64 ran = now - t->since, exec = task->se.sum_exec_runtime - t->exec, left;

        if (exec >= ran)
                return now;
        left = t->since + exec;
        return left > t->told ? left : t->told;
}

static __always_inline void thread_switch_out(struct thread *t, struct task_struct *task, bool runs, u64 now) {
        struct event from;

        if (now < t->since) /* it was taken in from another CPU a moment ago */
                now = t->since;
        if (thread_is_stale(t, task, true, 1))
                thread_bridge(t, task, now, 1);
        else if (t->state == THREAD_ON_CPU)
                t->cpu += (now = thread_left(t, task, now)) - t->since;
        else
                thread_unseen(t, task, now, 1);
        thread_snapshot(t, task);
        t->since = now;
        t->woken = runs ? now : 0;
        t->state = runs ? THREAD_RUNNABLE : THREAD_BLOCKED;
        t->reason = runs ? WAIT_RUNQ : WAIT_OTHER;
        t->syscall = task_syscall(task);
        t->stack = 0;
        t->stack_flags = EVENT_STACK_SKIPPED;
        if (!thread_walks(t)) {
                count(COUNTER_WALKS_SKIPPED);
                return;
        }
        event_init(&from, 0, 0, t, now, task->tgid);
        t->stack = thread_walk(t, &from, task->thread.fsbase, false);
}

static __always_inline void thread_switch_in(struct thread *t, struct task_struct *task, u64 now) {
        u64 since = t->since, woken, length;

        if (now < since)
                now = since;
        length = now - since;
        if (t->state == THREAD_ON_CPU || thread_is_stale(t, task, false, 0))
                return; /* its next switch-out sets it right */
        woken = thread_close_wait(t, now);
        t->arrival = now - woken;
        t->since = now;
        t->state = THREAD_ON_CPU;
        t->recent = t->recent - (t->recent >> 3) + (length >> 3);
        thread_tell_wait(t, task, since, woken, now);
}

static __always_inline u32 thread_mode(const struct thread *t, const bpf_user_pt_regs_t *regs) {
        u64 ip = regs->ip,
            cs = *(const volatile u64 *)&regs->cs; /* u16 since FRED; the context allows whole words only */

        if ((cs & 3) != 3)
                return TICK_KERNEL;
        return ip >= t->text_start && ip < t->text_end ? TICK_PYTHON : TICK_NATIVE;
}

static __always_inline void thread_tick(struct thread *t, struct task_struct *task, const bpf_user_pt_regs_t *regs,
                                        u64 wakeup) {
        struct event from;
        struct event_tick *e;
        u64 now = bpf_ktime_get_ns(), stack;

        if (settings.resting || thread_is_stale(t, task, true, 0) || now < t->since)
                return;
        if (t->state != THREAD_ON_CPU)
                thread_unseen(t, task, now, 0);
        event_init(&from, 0, 0, t, now, task->tgid);
        stack = thread_walk(t, &from, task->thread.fsbase, true);
        t->seq++;
        e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
        if (!e) {
                count(COUNTER_RING_FULL);
                return;
        }
        t->told = now;
        event_init(&e->event, EVENT_TICK, sizeof(*e), t, now, task->tgid);
        e->event.flags = t->stack_flags;
        books_fill(&e->books, t, now);
        e->stack = stack;
        e->mode = thread_mode(t, regs);
        e->reserved = 0;
        bpf_ringbuf_submit(e, wakeup);
}

static __always_inline void thread_record(const struct thread *t, struct task_struct *task, u16 kind, u64 now) {
        struct event_thread *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

        if (!e) {
                count(COUNTER_RING_FULL);
                return;
        }
        event_init(&e->event, kind, sizeof(*e), t, now, task->tgid);
        e->books = (struct event_books){};
        if (kind == EVENT_THREAD_EXIT) /* at its start they are zero, though it may run on by now */
                books_fill(&e->books, t, now);
        bpf_probe_read_kernel(e->comm, sizeof(e->comm), task->comm);
        bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
}

/* Whose process it is; root's where it has the rights of several. */
static __always_inline u32 process_uid(struct task_struct *task) {
        u32 uid = BPF_CORE_READ(task, cred, uid.val);

        return uid == BPF_CORE_READ(task, cred, euid.val) && uid == BPF_CORE_READ(task, cred, suid.val) ? uid : 0;
}

static __always_inline void process_ancestors(struct task_struct *task, u32 ancestors[PROCESS_ANCESTORS]) {
#pragma unroll
        for (int i = 0; i < PROCESS_ANCESTORS; i++) {
                task = BPF_CORE_READ(task, real_parent);
                ancestors[i] = BPF_CORE_READ(task, tgid);
        }
}

static __always_inline void process_record(const struct thread *t, struct task_struct *task, u16 kind, u64 now,
                                           u64 parent_scope) {
        struct event_process *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

        if (!e) {
                count(COUNTER_RING_FULL);
                return;
        }
        event_init(&e->event, kind, sizeof(*e), t, now, task->tgid);
        e->runtime = t->runtime;
        e->start = BPF_CORE_READ(task, group_leader, start_time);
        process_ancestors(task, e->ancestors);
        e->target = t->target;
        e->parent_scope = parent_scope;
        e->uid = process_uid(task);
        e->reserved = e->reserved2 = 0;
        bpf_probe_read_kernel(e->comm, sizeof(e->comm), task->comm);
        /* Its command line may not be there for long; a forked child has its parent's. */
        bpf_ringbuf_submit(e, parent_scope ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP);
}

/* Tells apart what the pid alone does not: another process with the same pid, another image in the same process. */
static __always_inline u64 process_scope(struct task_struct *task) {
        u64 start = BPF_CORE_READ(task, group_leader, start_boottime);

        return hash_mix(hash_mix(start, task->tgid), BPF_CORE_READ(task, self_exec_id)) | 1;
}

/*
 * Follows a thread from now on, and tells of it; with `process`, of the process first. Told before its storage is
 * there: from then on its switches make records, and the start-up probe can be preempted.
 */
static __always_inline struct thread *thread_new(struct task_struct *task, const struct process *p, u64 now, u8 state,
                                                 bool process, u64 parent_scope) {
        struct thread new = {
                        .scope = p->scope,
                        .runtime = p->runtime,
                        .code_type = p->code_type,
                        .text_start = p->text_start,
                        .text_end = p->text_end,
                        .target = p->target,
                        .tid = task->pid,
                        .since = now,
                        .state = state,
                        .weight = 1,
                        .reason = state == THREAD_RUNNABLE ? WAIT_RUNQ : WAIT_OTHER,
                        .syscall = state == THREAD_BLOCKED ? task_syscall(task) : -1,
                        .stack_flags = EVENT_STACK_SKIPPED,
                        .recent = LONG_WAIT_NS,
        };
        struct thread *t;

        thread_snapshot(&new, task);
        if (process)
                process_record(&new, task, EVENT_PROCESS_START, now, parent_scope);
        thread_record(&new, task, EVENT_THREAD_START, now);
        t = bpf_task_storage_get(&threads, task, &new, BPF_LOCAL_STORAGE_GET_F_CREATE);
        if (!t) {
                count(COUNTER_STORAGE_FULL);
                return NULL;
        }
        if (t->scope != new.scope)
                *t = new;
        return t;
}

static __always_inline void thread_fork(const struct thread *from, struct task_struct *parent,
                                        struct task_struct *child) {
        u64 now = bpf_ktime_get_ns();
        struct process p = {
                        .scope = from->scope,
                        .runtime = from->runtime,
                        .code_type = from->code_type,
                        .text_start = from->text_start,
                        .text_end = from->text_end,
                        .target = from->target,
        };
        struct thread *t;
        u32 pid = child->tgid;
        bool process = pid != (u32)parent->tgid;

        if (process) {
                p.scope = process_scope(child);
                if (bpf_map_update_elem(&processes, &pid, &p, BPF_ANY)) {
                        count(COUNTER_STORAGE_FULL);
                        return;
                }
        }
        t = thread_new(child, &p, now, THREAD_RUNNABLE, process, from->scope);
        if (!t) {
                if (process)
                        bpf_map_delete_elem(&processes, &pid);
                return;
        }
        t->tstate = process ? from->tstate : 0; /* fork() copies the forking thread with its thread pointer */
}

static __always_inline void thread_end(struct thread *t, struct task_struct *task, bool last) {
        u64 now = bpf_ktime_get_ns();
        u32 pid = task->tgid;

        if (thread_is_stale(t, task, true, 0) || t->state != THREAD_ON_CPU)
                thread_unseen(t, task, now, 0);
        t->seq++;
        thread_record(t, task, EVENT_THREAD_EXIT, now);
        /* Threads that end together all see that none lives: one of them says so. */
        if (last && bpf_map_delete_elem(&processes, &pid) == 0) {
                struct event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

                if (e) {
                        event_init(e, EVENT_PROCESS_EXIT, sizeof(*e), t, now, pid);
                        bpf_ringbuf_submit(e, BPF_RB_NO_WAKEUP);
                } else {
                        count(COUNTER_RING_FULL);
                }
        }
        bpf_task_storage_delete(&threads, task);
}

static __always_inline void process_start(u32 index, u64 ip) {
        struct task_struct *task = bpf_get_current_task_btf();
        const struct target_image *image = bpf_map_lookup_elem(&images, &index);
        u64 now = bpf_ktime_get_ns(), bias;
        u32 pid = task->tgid;
        struct process p = {.scope = process_scope(task)}, *known = bpf_map_lookup_elem(&processes, &pid);

        /* It fires again for subinterpreters. What another process has left behind gives way. */
        if (!image || (known && (!known->scope || known->scope == p.scope)))
                return;
        bias = ip - image->probe;
        p.runtime = image->runtime + bias;
        p.code_type = image->code_type + bias;
        p.text_start = image->text_start + bias;
        p.text_end = image->text_end + bias;
        p.target = index;
        if (bpf_map_update_elem(&processes, &pid, &p, BPF_ANY)) {
                count(COUNTER_STORAGE_FULL);
                return;
        }
        if (!thread_new(task, &p, now, THREAD_ON_CPU, true, 0))
                bpf_map_delete_elem(&processes, &pid);
}

static __always_inline u8 task_state(struct task_struct *task) {
        if (task->__state == 0)
                return BPF_CORE_READ(task, on_cpu) ? THREAD_ON_CPU : THREAD_RUNNABLE;
        return THREAD_BLOCKED;
}

/* Takes in a thread of a process that was there before us. */
static __always_inline struct thread *thread_adopt(struct task_struct *task, struct process *p, u64 now) {
        bool first = !p->scope;
        u32 pid = task->tgid;
        struct thread *t;

        if (task->exit_state || (task->flags & PF_EXITING))
                return NULL;
        if (first) {
                p->scope = process_scope(task);
        } else if (p->scope != process_scope(task)) { /* exec came between, or the pid came again */
                bpf_map_delete_elem(&processes, &pid);
                return NULL;
        }
        t = thread_new(task, p, now, task_state(task), first, 0);
        if (t && (task->flags & PF_EXITING)) { /* its exit may have passed by */
                bpf_task_storage_delete(&threads, task);
                return NULL;
        }
        return t;
}

static __always_inline void thread_tell(struct task_struct *task, struct seq_file *seq) {
        u32 pid = task->tgid;
        struct process *p = bpf_map_lookup_elem(&processes, &pid);
        struct event_state e = {};
        struct thread *t;
        bool on_cpu;
        u16 flags = 0;
        u64 now;

        if (!p)
                return;
        now = bpf_ktime_get_ns();
        t = bpf_task_storage_get(&threads, task, NULL, 0);
        if (!t)
                t = thread_adopt(task, p, now);
        if (!t)
                return;
        on_cpu = task->on_cpu;
        if (thread_is_stale(t, task, on_cpu, 0)) {
                if (on_cpu || !settings.resting) {
                        flags = EVENT_UNSURE; /* its next switch-out sets it right */
                } else {
                        thread_bridge(t, task, now, 0);
                        t->state = task_state(task);
                        t->woken = 0;
                        t->stack = 0;
                        t->stack_flags = EVENT_STACK_SKIPPED;
                }
        }
        event_init(&e.event, EVENT_STATE, sizeof(e), t, now, pid);
        e.state = t->state;
        e.since = t->since;
        e.woken = t->woken;
        e.reason = t->reason;
        e.syscall = t->syscall;
        e.stack = t->stack;
        e.event.flags = t->stack_flags | flags | (settings.resting ? EVENT_RESTING : 0);
        books_fill(&e.books, t, now);
        e.thread_pointer = task->thread.fsbase;
        e.switches = task->nvcsw + task->nivcsw;
        bpf_probe_read_kernel(e.comm, sizeof(e.comm), task->comm);
        bpf_seq_write(seq, &e, sizeof(e));
}
