/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CONTRACT bpf -> daemon: the records of the ring buffer, their limits and the drop counters.
 *
 * Units: every time is CLOCK_MONOTONIC nanoseconds. Pids and tids are those of the initial pid namespace.
 * Order: records of one thread arrive in the order they were made. `seq` counts the records that carry books,
 * per thread; a gap means that records were lost, and the books say how much time they held.
 */
#pragma once

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

#define STACK_FRAMES_MAX 1024 /* Python frames in a stack before `[truncated]` */
#define CODE_STRING_MAX 256   /* bytes of a name that BPF copies */
#define CODE_PATH_MAX 384
#define CODE_TABLE_MAX 8192 /* bytes of a line table that BPF copies; user space fetches longer ones */
#define THREAD_COMM_MAX 16
#define PROCESS_ANCESTORS 8

enum event_kind {
        EVENT_NONE,
        EVENT_PROCESS_START, /* struct event_process: a Python process is followed from now on */
        EVENT_PROCESS_EXIT,  /* struct event: the last thread is gone, or exec replaced the image */
        EVENT_THREAD_START,  /* struct event_thread */
        EVENT_THREAD_EXIT,   /* struct event_thread */
        EVENT_TICK,          /* struct event_tick: a CPU-clock tick met the thread */
        EVENT_WAIT,          /* struct event_wait: the thread is back on a CPU */
        EVENT_STATE,         /* struct event_state: what the task iterator saw; not from the ring buffer */
        EVENT_CODE,          /* struct event_code: a code object met for the first time */
        EVENT_STACK,         /* struct event_stack: the frames of a stack hash met for the first time */
        EVENT_KIND_MAX,
};

/* Where a tick met the thread. */
enum tick_mode { TICK_PYTHON, TICK_NATIVE, TICK_KERNEL };

/* What a thread is doing now, coarsely: the books' own three states. */
enum thread_state { THREAD_ON_CPU, THREAD_RUNNABLE, THREAD_BLOCKED };

/* Why a wait waits; the daemon's states (daemon/state.h) from `runq` on, in that order. */
enum wait_reason { WAIT_RUNQ, WAIT_OTHER, WAIT_REASON_MAX };

struct event {
        __u32 size; /* of the whole record */
        __u16 kind;
        __u16 flags; /* EVENT_* below */
        __u64 time;
        __u64 scope; /* of the process: with the pid it is unique over pid reuse and exec */
        __u32 pid;
        __u32 tid;
};

/* Flags of event_tick, event_wait, event_state */
#define EVENT_STACK_NONE (1u << 0)       /* no Python frame: `stack` is 0 */
#define EVENT_STACK_TRUNCATED (1u << 1)  /* STACK_FRAMES_MAX met before the outermost frame */
#define EVENT_STACK_INCOMPLETE (1u << 2) /* a frame could not be read */
#define EVENT_STACK_SKIPPED (1u << 3)    /* not walked, to save cost */
#define EVENT_STACK_AMBIGUOUS (1u << 4)  /* several thread states claim the thread */
/* Flags of event_state */
#define EVENT_RESTING (1u << 6) /* switches are not looked at: how this wait ends may never be told */
#define EVENT_UNSURE (1u << 7)  /* it was switched while nobody looked: only that it lives is told */
/* Flags of event_code */
#define EVENT_CODE_INCOMPLETE (1u << 5) /* a string or table is cut or unreadable: fetch it from user space */

/* Cumulative since the thread is followed, at `time` of the record. cpu + runnable + blocked = time - start. */
struct event_books {
        __u64 cpu_ns;
        __u64 runnable_ns;
        __u64 blocked_ns;
        __u64 skipped_ns; /* the part of blocked_ns and runnable_ns that no record told of, on purpose */
        __u32 seq;
        __u32 reserved;
};

struct event_process {
        struct event event;
        __u64 runtime;
        __u64 start;                        /* of the process, CLOCK_MONOTONIC */
        __u32 ancestors[PROCESS_ANCESTORS]; /* pids: its parent, that one's parent, ... 0 ends them */
        __u32 target;
        __u32 reserved;
        __u64 parent_scope; /* forked from this one; 0: found or exec'd */
        __u32 uid;
        __u32 reserved2;
        char comm[THREAD_COMM_MAX];
};

struct event_thread {
        struct event event;
        struct event_books books;
        char comm[THREAD_COMM_MAX];
};

struct event_tick {
        struct event event;
        struct event_books books;
        __u64 stack;
        __u32 mode; /* enum tick_mode */
        __u32 reserved;
};

/* The thread was off-CPU in [since, time): blocked in [since, woken), runnable in [woken, time). */
struct event_wait {
        struct event event;
        struct event_books books;
        __u64 stack;
        __u64 since;
        __u64 woken;
        __u32 reason;  /* enum wait_reason */
        __u32 weight;  /* 1/p, p being the probability with which this wait was walked */
        __s32 syscall; /* number, or -1 outside any */
        __u32 reserved;
};

struct event_state {
        struct event event;
        struct event_books books; /* as if the thread had been switched at `time` */
        __u64 stack;
        __u64 since;
        __u64 woken;          /* 0: not yet */
        __u64 thread_pointer; /* fs_base: what PyThreadState.thread_id equals */
        __u64 switches;       /* nvcsw + nivcsw: unchanged means that it has not run */
        __u32 state;          /* enum thread_state */
        __u32 reason;
        __s32 syscall;
        __u32 reserved;
        char comm[THREAD_COMM_MAX];
};

/* Followed by name, qualname, filename (UTF-8 or Latin-1 or UCS-2/4 as `*_kind` says), then the line table. */
struct event_code {
        struct event event;
        __u64 code;        /* address of the code object */
        __u64 fingerprint; /* what is compared to find that the address was reused */
        __u32 firstlineno;
        __u32 table_size;    /* bytes that follow; with EVENT_CODE_INCOMPLETE it may be 0 */
        __u16 name_size;     /* bytes that follow */
        __u16 qualname_size; /* 0 before 3.11 */
        __u16 filename_size;
        __u8 name_kind; /* 1, 2 or 4 bytes a character; 1 is Latin-1, of which ASCII is a part */
        __u8 qualname_kind;
        __u8 filename_kind;
        __u8 reserved[7];
};

/* One Python frame. */
struct event_frame {
        __u64 code;    /* address of the code object; 0: a frame that could not be read */
        __s32 lasti;   /* byte offset of the instruction in the code; < 0: not started */
        __u32 version; /* of the code address: raised each time the address is reused */
};

struct event_stack {
        struct event event;
        __u64 stack; /* the hash */
        __u32 frames_n;
        __u32 reserved;
        struct event_frame frames[]; /* leaf first */
};

/* Counters that BPF keeps; each is a cause in `loss` or a number in `status`. */
enum event_count {
        COUNTER_RING_FULL,        /* a record found no room */
        COUNTER_NO_THREAD_STATE,  /* no thread state matches: a thread that never called into Python */
        COUNTER_AMBIGUOUS,        /* several match */
        COUNTER_FRAME_UNREADABLE, /* a frame could not be read */
        COUNTER_FRAME_TORN,       /* a frame's code is no code object */
        COUNTER_TRUNCATED,        /* STACK_FRAMES_MAX met */
        COUNTER_CODE_UNREADABLE,  /* a code object's fields could not be read */
        COUNTER_CODE_REUSED,      /* a code address with another code object behind it */
        COUNTER_STORAGE_FULL,     /* no task storage for a thread: it is not followed */
        COUNTER_SWITCH_UNSEEN,    /* the kernel did not tell of a switch to the thread */
        COUNTER_WALKS,            /* stacks walked */
        COUNTER_WALKS_SKIPPED,    /* waits not walked, to save cost */
        COUNTER_MAX,
};

_Static_assert(sizeof(struct event) == 32, "contract");
_Static_assert(sizeof(struct event_books) == 40, "contract");
_Static_assert(sizeof(struct event_process) == 32 + 88, "contract");
_Static_assert(sizeof(struct event_thread) == 72 + 16, "contract");
_Static_assert(sizeof(struct event_tick) == 72 + 16, "contract");
_Static_assert(sizeof(struct event_wait) == 72 + 40, "contract");
_Static_assert(sizeof(struct event_state) == 72 + 72, "contract");
_Static_assert(sizeof(struct event_code) == 32 + 40, "contract");
_Static_assert(sizeof(struct event_frame) == 16, "contract");
_Static_assert(sizeof(struct event_stack) == 32 + 16, "contract");
