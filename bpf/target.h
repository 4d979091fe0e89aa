/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * CONTRACT daemon -> bpf: what user space tells the programs. Map values and settings; data, never calls.
 *
 * A *target* is one interpreter binary (by build); `struct target` holds where its structures keep what.
 * A *process* is one followed pid that runs such a binary; `struct process` says where in its memory.
 * Field meanings and names follow CPython's own structures; daemon/python/offsets.c fills them per version.
 */
#pragma once

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/* How a thread state reaches its frames. */
enum target_layout {
        TARGET_FRAME_OBJECT,  /* 3.6-3.10: tstate->frame, heap PyFrameObject, f_back */
        TARGET_CFRAME,        /* 3.11, 3.12: tstate->cframe->current_frame, _PyInterpreterFrame */
        TARGET_CURRENT_FRAME, /* 3.13 and later: tstate->current_frame */
};

/* Offsets in bytes from the start of the structure named. TARGET_NONE: this version has no such field. */
#define TARGET_NONE 0xffff
#define TARGETS_MAX 256     /* interpreter binaries known at a time */
#define PROCESSES_MAX 16384 /* followed processes at a time */

struct target {
        __u16 version; /* minor | major << 8: 0x030b is 3.11 */
        __u16 layout;  /* enum target_layout */

        /* _PyRuntimeState; 3.6 has none, there the base is the variable interp_head itself */
        __u16 runtime_interpreters_head;
        __s32 runtime_tstate_current; /* gilstate.tstate_current, 3.7-3.11; 3.6: the variable _PyThreadState_Current */

        /* PyInterpreterState */
        __u16 interp_next;
        __u16 interp_threads_head;

        /* PyThreadState */
        __u16 tstate_next;
        __u16 tstate_interp;
        __u16 tstate_thread_id;
        __u16 tstate_frame;     /* frame (-3.10), cframe (3.11, 3.12) or current_frame (3.13-) */
        __u16 tstate_status;    /* _status bit field, 3.12 and later */
        __u16 tstate_datastack; /* datastack_chunk, 3.11 and later */
        __u32 status_active;    /* mask of _status.active in the 32-bit word at tstate_status */

        __u16 cframe_current_frame;

        /* PyFrameObject or _PyInterpreterFrame */
        __u16 frame_code;
        __u16 frame_previous;   /* f_back or previous */
        __u16 frame_instr;      /* f_lasti (int), prev_instr or instr_ptr */
        __u16 frame_owner;      /* char owner, 3.12 and later; 3.11 has is_entry and no shim frames */
        __u16 frame_size;       /* bytes to read to have all of the fields above; a multiple of 8 */
        __u16 frame_owner_skip; /* frames with owner >= this are not Python code (C-stack shims) */

        /* PyCodeObject */
        __u16 code_name;
        __u16 code_qualname; /* 3.11 and later */
        __u16 code_filename;
        __u16 code_firstlineno;
        __u16 code_linetable; /* co_lnotab (-3.9), co_linetable (3.10-) */
        __u16 code_start;     /* co_code_adaptive, 3.11 and later: instr - (code + code_start) is the byte offset */
        __u16 code_size;      /* bytes to read to have all of the fields above; a multiple of 8 */

        /* PyObject, PyASCIIObject and PyCompactUnicodeObject, PyBytesObject */
        __u16 object_type;
        __u16 unicode_length;
        __u16 unicode_state;
        __u16 unicode_ascii_data;   /* sizeof(PyASCIIObject) */
        __u16 unicode_compact_data; /* sizeof(PyCompactUnicodeObject) */
        __u16 bytes_size;
        __u16 bytes_data;
        __u8 unicode_kind_shift; /* position of the 3-bit kind in the 32-bit state */
        __u8 unicode_compact_bit;
        __u8 unicode_ascii_bit;
        __u8 reserved[3];
        __u16 tstate_size; /* bytes to read to have all of the fields of the thread state above; a multiple of 8 */
        __u16 code_fields; /* first of the fields of the code object above: what a fingerprint is made of */
};

#define TARGET_TSTATE_MAX 504 /* most bytes of a thread state, a frame and a code object that BPF reads */
#define TARGET_FRAME_MAX 128
#define TARGET_CODE_MAX 248

/* Value of the map `processes`, keyed by tgid. */
struct process {
        __u64 scope;      /* tells pid reuse and exec apart; 0 until BPF has filled it in */
        __u64 runtime;    /* address of _PyRuntime (3.7-) or interp_head (3.6) */
        __u64 code_type;  /* address of PyCode_Type: what ob_type of a code object must be */
        __u64 text_start; /* the interpreter's own image, executable mapping: [start, end) */
        __u64 text_end;
        __u32 target; /* index into the map `targets` */
        __u32 reserved;
};

/* Value of the map `images`, keyed by target index: where things lie in the file's address space, so that the
 * start-up probe, whose own address is known both in the file and in memory, can place a process without a race. */
struct target_image {
        __u64 probe; /* virtual address of PyImport_ImportFrozenModule in the file */
        __u64 runtime;
        __u64 code_type;
        __u64 text_start;
        __u64 text_end;
};

/* A stack that was sent. The map `stacks` is an array of sets of two, a cache line each; the hash chooses the set. */
#define STACK_SETS 32768
#define STACK_SET_SHIFT (64 - 15)

struct stack_known {
        __u64 hash;     /* 0: none */
        __u64 alias;    /* the hash that is reported: the walker's own, unless addresses in it were reused */
        __u64 verified; /* when its code objects were last compared */
        __u64 check;    /* of hash and alias */
};

struct stack_set {
        struct stack_known ways[2];
};

/* The governor's settings, set while running. */
struct settings {
        __u64 walk_below_ns; /* threads whose recent waits are shorter than this are walked less often; 0: always */
        __u32 resting;       /* 1: switches are not looked at; the kernel's own totals bridge the gap */
        __u32 epoch;         /* raised each time the accounting rests */
};
