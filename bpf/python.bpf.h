/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The walker: from a thread pointer to the frames of CPython 3.6 to 3.15, reading only.
 *
 * Thread state: Include/cpython/pystate.h; frames: Include/internal/pycore_frame.h (3.11-) and Include/frameobject.h;
 * the data stack: push_chunk() in Python/pystate.c. What lies where comes from struct target.
 *
 * Nothing read from the target is trusted: every loop is bounded, every pointer may be wild, and every offset that
 * enters an address in our own memory is masked to its array. All of this runs with interrupts off, on the CPU whose
 * scratch it is handed.
 */
#pragma once

#define WALK_BLOCK 4096            /* bytes of data stack read at a time */
#define WALK_SHIMS 1024            /* C-stack shims among the frames before giving up */
#define WALK_CHUNK_MIN (16 * 1024) /* DATA_STACK_CHUNK_SIZE: no chunk is smaller */
#define WALK_STATES_MAX 2048       /* thread states looked at in one search */

struct walk_frame {
        u64 code;
        u64 instr; /* prev_instr or instr_ptr, or f_lasti */
};

/*
 * What a walk knows of itself. It lies in the scratch area and not on the stack: the verifier follows each value of a
 * loop's state on the stack (976,000 instructions), and takes what comes from a map as unknown (a few thousand).
 */
struct walk {
        u64 frame; /* the next one to visit */
        u64 base;  /* where in the target block[] was copied from; 0: nothing is in it */
        u64 limit; /* largest offset in block[] where a whole frame was copied */
        u64 chunk; /* chunk of the data stack that frames are read from in blocks */
        u64 chunk_size;
        u64 hash;
        u32 frames_n;
        u32 flags; /* EVENT_STACK_* */
};

/* Finding the thread state: interpreters' lists, matched by thread_id. */
struct search {
        u64 thread_pointer;
        u64 interpreter;
        u64 tstate;
        u64 current; /* _PyRuntime.gilstate.tstate_current, 3.7-3.11: what `active` is there */
        u64 best;
        u32 best_rank;
        u32 matches;
        u32 interpreters;
        u32 reserved;
};

struct scratch {
        struct walk walk;
        struct search search;
        u8 tstate[TARGET_TSTATE_MAX + 8];
        u8 block[WALK_BLOCK + TARGET_FRAME_MAX];
        struct walk_frame frames[STACK_FRAMES_MAX];
};

/* What the loops' bodies are handed. */
struct walker {
        const struct target *target;
        struct scratch *scratch;
};

static __always_inline u64 hash_mix(u64 hash, u64 value) {
        hash = (hash ^ value) * 0x9e3779b97f4a7c15ULL; /* Fibonacci hashing: 2^64 / golden ratio */
        return hash ^ (hash >> 29);
}

static __always_inline int read_user(void *to, u32 size, u64 from) {
        return bpf_probe_read_user(to, size, (const void *)from);
}

static __always_inline u64 tstate_u64(const struct scratch *s, u16 offset) {
        return *(const u64 *)(s->tstate + (offset & 0x1f8));
}

static __always_inline int tstate_read(struct scratch *s, const struct target *target, u64 address) {
        u32 size = target->tstate_size;

        if (size > TARGET_TSTATE_MAX)
                return -1;
        return read_user(s->tstate, size, address);
}

static __always_inline bool tstate_active(const struct scratch *s, const struct target *target) {
        if (target->tstate_status == TARGET_NONE)
                return true;
        return *(const u32 *)(s->tstate + (target->tstate_status & 0x1fc)) & target->status_active;
}

static __always_inline void search_rank(const struct target *target, struct scratch *scratch) {
        struct search *s = &scratch->search;
        u32 rank = 1;

        if (tstate_u64(scratch, target->tstate_frame))
                rank = 2;
        if (target->tstate_status != TARGET_NONE ? tstate_active(scratch, target) : s->tstate == s->current)
                rank = 3;
        s->matches++;
        if (rank > s->best_rank) {
                s->best_rank = rank;
                s->best = s->tstate;
        }
}

static long search_step(u32 i, struct walker *walker) {
        const struct target *target = walker->target;
        struct scratch *scratch = walker->scratch;
        struct search *s = &scratch->search;

        if (!s->tstate) {
                if (!s->interpreter)
                        return 1;
                if (read_user(&s->tstate, 8, s->interpreter + target->interp_threads_head))
                        return 1;
                if (read_user(&s->interpreter, 8, s->interpreter + target->interp_next))
                        s->interpreter = 0;
                s->interpreters++;
                return 0;
        }
        if (tstate_read(scratch, target, s->tstate))
                return 1;
        if (tstate_u64(scratch, target->tstate_thread_id) == s->thread_pointer)
                search_rank(target, scratch);
        s->tstate = tstate_u64(scratch, target->tstate_next);
        return 0;
}

/* Leaves the choice in search.best, 0 when there is none. The caller reads it once more. */
static __always_inline void tstate_search(struct walker *walker, u64 runtime, u64 thread_pointer) {
        const struct target *target = walker->target;
        struct search *s = &walker->scratch->search;

        *s = (struct search){.thread_pointer = thread_pointer};
        if (read_user(&s->interpreter, 8, runtime + target->runtime_interpreters_head))
                return;
        if (target->runtime_tstate_current != TARGET_NONE)
                read_user(&s->current, 8, runtime + (s64)target->runtime_tstate_current);
        bpf_loop(WALK_STATES_MAX, search_step, walker, 0);
}

/* The bytes of the frame at walk.frame, in block[]; NULL when it cannot be read. */
static __always_inline u8 *walk_fill(const struct target *target, struct scratch *scratch) {
        struct walk *w = &scratch->walk;
        u64 frame = w->frame, size = target->frame_size, from = frame, length, below = frame - w->chunk;

        if (size > TARGET_FRAME_MAX)
                return NULL;
        if (w->chunk && below >= w->chunk_size) {
                /*
                 * Not in this chunk as far as is known: its header says how long it is and which one came before. A
                 * block that was clamped to the chunk begins with the header.
                 */
                u64 header[2] = {};

                if (w->base == w->chunk)
                        __builtin_memcpy(header, scratch->block, sizeof(header));
                if (w->base == w->chunk || read_user(header, sizeof(header), w->chunk) == 0) {
                        w->chunk_size = header[1];
                        if (below >= header[1] && header[0] && frame - header[0] < WALK_CHUNK_MIN) {
                                w->chunk = header[0];
                                w->chunk_size = WALK_CHUNK_MIN;
                        }
                }
                below = frame - w->chunk;
        }
        if (w->chunk && below < w->chunk_size) /* up to a block below, but never below the chunk */
                from = below > WALK_BLOCK - size ? frame - (WALK_BLOCK - size) : w->chunk;
        length = frame - from + size;
        if (length > WALK_BLOCK)
                return NULL;
        w->base = 0;
        if (read_user(scratch->block, length, from))
                return NULL;
        w->base = from;
        w->limit = frame - from;
        return scratch->block + ((frame - from) & (WALK_BLOCK - 1));
}

static __always_inline void walk_push(struct scratch *scratch, u64 code, u64 instr) {
        struct walk *w = &scratch->walk;
        u32 n = w->frames_n;

        if (n >= STACK_FRAMES_MAX) {
                w->flags |= EVENT_STACK_TRUNCATED;
                return;
        }
        scratch->frames[n].code = code;
        scratch->frames[n].instr = instr;
        w->hash = hash_mix(w->hash, code * 0xd6e8feb86659fd93ULL + instr); /* one step of the chain, not two */
        w->frames_n = n + 1;
}

static __always_inline long walk_unreadable(struct scratch *scratch) {
        scratch->walk.flags |= EVENT_STACK_INCOMPLETE;
        walk_push(scratch, 0, 0);
        return 1;
}

static __always_inline bool walk_ends(const struct walk *w) {
        return !w->frame || (w->flags & EVENT_STACK_TRUNCATED);
}

static long walk_step(u32 i, struct walker *walker) {
        const struct target *target = walker->target;
        struct scratch *scratch = walker->scratch;
        struct walk *w = &scratch->walk;
        u64 offset = w->frame - w->base;
        u8 *frame, owner = 0;

        /* Frames of 3.11 and later are neighbours on the data stack: most are in the block that was read already. */
        if (w->base && offset <= w->limit) {
                frame = scratch->block + (offset & (WALK_BLOCK - 1));
        } else {
                frame = walk_fill(target, scratch);
                if (!frame)
                        return walk_unreadable(scratch);
        }
        if (target->frame_owner != TARGET_NONE)
                owner = frame[target->frame_owner & 0x7f];
        w->frame = *(u64 *)(frame + (target->frame_previous & 0x78));
        if (!owner || owner < target->frame_owner_skip)
                walk_push(scratch, *(u64 *)(frame + (target->frame_code & 0x78)) & ~7ULL,
                          *(u64 *)(frame + (target->frame_instr & 0x78)));
        return walk_ends(w);
}

/* Heap frames of 3.6 to 3.10: one read each. f_lasti is an int that need not be aligned to eight. */
static long walk_step_heap(u32 i, struct walker *walker) {
        const struct target *target = walker->target;
        struct scratch *scratch = walker->scratch;
        struct walk *w = &scratch->walk;
        u8 *frame = scratch->block;
        u32 size = target->frame_size;

        if (size > TARGET_FRAME_MAX || read_user(frame, size, w->frame))
                return walk_unreadable(scratch);
        w->frame = *(u64 *)(frame + (target->frame_previous & 0x78));
        walk_push(scratch, *(u64 *)(frame + (target->frame_code & 0x78)),
                  *(u32 *)(frame + (target->frame_instr & 0x7c)));
        return walk_ends(w);
}

/* Walks from the thread state that lies in scratch->tstate; `seed` starts the hash. */
static __always_inline void walk_frames(struct walker *walker, u64 seed) {
        const struct target *target = walker->target;
        struct scratch *scratch = walker->scratch;
        struct walk *w = &scratch->walk;

        *w = (struct walk){.hash = seed, .frame = tstate_u64(scratch, target->tstate_frame)};
        if (target->layout == TARGET_CFRAME && w->frame &&
            read_user(&w->frame, 8, w->frame + target->cframe_current_frame)) {
                walk_unreadable(scratch);
                return;
        }
        if (!w->frame)
                return;
        if (target->layout == TARGET_FRAME_OBJECT) {
                bpf_loop(STACK_FRAMES_MAX + 1, walk_step_heap, walker, 0);
        } else {
                w->chunk = tstate_u64(scratch, target->tstate_datastack);
                w->chunk_size = WALK_CHUNK_MIN;
                bpf_loop(STACK_FRAMES_MAX + WALK_SHIMS, walk_step, walker, 0);
        }
        if (w->frame && !(w->flags & EVENT_STACK_INCOMPLETE))
                w->flags |= EVENT_STACK_TRUNCATED;
}
