/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What is sent once: a stack by its hash, and before it each code object in it that was not met before, with its names
 * and its line table, so that a process that lived 50 ms still has them.
 *
 * A code address may come to mean another code object. So a stack is checked anew once a second, and at each use from
 * the moment that a thread was seen to reuse addresses; the hash that is reported then differs (struct stack_known,
 * alias).
 */
#pragma once

#define VERIFY_EVERY_NS 1000000000ULL

struct code_key {
        u64 scope;
        u64 code;
};

struct code_value {
        u64 fingerprint;
        u32 version;
        u32 reserved;
};

struct {
        __uint(type, BPF_MAP_TYPE_ARRAY);
        __uint(max_entries, STACK_SETS);
        __type(key, u32);
        __type(value, struct stack_set);
} stacks SEC(".maps"); /* no hash map: its look-up touches four cache lines that are cold at a tick, this one touches
                          one */

struct {
        __uint(type, BPF_MAP_TYPE_LRU_HASH);
        __uint(max_entries, 65536);
        __type(key, struct code_key);
        __type(value, struct code_value);
} codes SEC(".maps");

struct code_scratch {
        u64 alias;  /* of the stack that is being sent */
        u32 reused; /* a frame's code address has another code object behind it than before */
        u32 failed; /* a record found no room */
        u8 fields[TARGET_CODE_MAX + 8];
        struct event_code event;
        u8 data[3 * 512 + CODE_TABLE_MAX + 64]; /* the event's variable part, and room for a masked overshoot */
};

struct stack_scratch {
        struct event_stack event;
        struct event_frame frames[STACK_FRAMES_MAX];
};

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, u32);
        __type(value, struct code_scratch);
} code_scratches SEC(".maps");

struct {
        __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
        __uint(max_entries, 1);
        __type(key, u32);
        __type(value, struct stack_scratch);
} stack_scratches SEC(".maps");

struct sending {
        const struct target *target;
        const struct scratch *walked;
        struct code_scratch *code;
        struct stack_scratch *stack;
        u64 code_type;
};

static __always_inline u64 code_field(const struct code_scratch *c, u16 offset) {
        return *(const u64 *)(c->fields + (offset & 0xf8));
}

/* Appends a string's characters at data[*used]; says how many bytes and how wide they are. False when it is not whole.
 */
static __always_inline bool code_add_string(struct code_scratch *c, const struct target *target, u64 string, u32 max,
                                            u32 *used, u16 *ret_size, u8 *ret_kind) {
        u64 length = 0;
        u32 state = 0, kind, size, at = *used;
        bool whole = true;

        if (!string || read_user(&length, 8, string + target->unicode_length) ||
            read_user(&state, 4, string + target->unicode_state))
                return false;
        kind = (state >> (target->unicode_kind_shift & 31)) & 7;
        if (!(state >> (target->unicode_compact_bit & 31) & 1) || (kind != 1 && kind != 2 && kind != 4))
                return false;
        string += state >> (target->unicode_ascii_bit & 31) & 1 ? target->unicode_ascii_data
                                                                : target->unicode_compact_data;
        if (length > max / kind) {
                length = max / kind;
                whole = false;
        }
        size = length * kind;
        barrier_var(size);
        if (size > 511 || at > 1024)
                return false;
        if (read_user(c->data + at, size, string))
                return false;
        *used = at + size;
        *ret_size = size;
        *ret_kind = kind;
        return whole;
}

static __always_inline bool code_add_table(struct code_scratch *c, const struct target *target, u64 table, u32 *used,
                                           u32 *ret_size) {
        u64 size = 0;
        u32 at = *used;

        if (!table || read_user(&size, 8, table + target->bytes_size) || size > CODE_TABLE_MAX || at > 1536)
                return false;
        barrier_var(size);
        if (size > CODE_TABLE_MAX)
                return false;
        if (read_user(c->data + at, size, table + target->bytes_data))
                return false;
        *used = at + size;
        *ret_size = size;
        return true;
}

/* Sends the code object whose fields lie in c->fields. */
static __noinline int code_send(struct code_scratch *c, const struct target *target, const struct event *from, u64 code,
                                u64 fingerprint) {
        struct event_code *e;
        u32 used = 0, size;
        bool whole = true;

        if (!c || !target || !from)
                return -1;
        e = &c->event;
        *e = (struct event_code){
                        .event = *from,
                        .code = code,
                        .fingerprint = fingerprint,
                        .firstlineno = *(u32 *)(c->fields + (target->code_firstlineno & 0xfc)),
        };
        whole &= code_add_string(c, target, code_field(c, target->code_name), CODE_STRING_MAX, &used, &e->name_size,
                                 &e->name_kind);
        if (target->code_qualname != TARGET_NONE)
                whole &= code_add_string(c, target, code_field(c, target->code_qualname), CODE_STRING_MAX, &used,
                                         &e->qualname_size, &e->qualname_kind);
        whole &= code_add_string(c, target, code_field(c, target->code_filename), CODE_PATH_MAX, &used,
                                 &e->filename_size, &e->filename_kind);
        whole &= code_add_table(c, target, code_field(c, target->code_linetable), &used, &e->table_size);
        size = sizeof(*e) + used;
        e->event.kind = EVENT_CODE;
        e->event.size = size;
        e->event.flags = whole ? 0 : EVENT_CODE_INCOMPLETE;
        if (!whole)
                count(COUNTER_CODE_UNREADABLE);
        barrier_var(size);
        if (size > sizeof(*e) + sizeof(c->data))
                return -1;
        return bpf_ringbuf_output(&events, e, size, BPF_RB_NO_WAKEUP);
}

/* Compares the code object with what was sent, sends it when it is new; 0 and its version, or -1. */
static __always_inline int code_check(struct sending *s, u64 code, u32 *ret_version) {
        struct code_scratch *c = s->code;
        const struct target *target = s->target;
        struct code_key key = {.scope = s->stack->event.event.scope, .code = code};
        struct code_value value = {}, *known;
        u32 size = target->code_size;

        if (size > TARGET_CODE_MAX || read_user(c->fields, size, code)) {
                count(COUNTER_FRAME_UNREADABLE);
                return -1;
        }
        if (code_field(c, target->object_type) != s->code_type) {
                count(COUNTER_FRAME_TORN);
                return -1;
        }
        value.fingerprint = hash_mix(
                        hash_mix(hash_mix(code_field(c, target->code_name), code_field(c, target->code_filename)),
                                 code_field(c, target->code_linetable)),
                        *(u32 *)(c->fields + (target->code_firstlineno & 0xfc)));
        known = bpf_map_lookup_elem(&codes, &key);
        if (known && known->fingerprint == value.fingerprint) {
                *ret_version = known->version;
                return 0;
        }
        if (known) {
                value.version = known->version + 1;
                c->reused = 1;
                count(COUNTER_CODE_REUSED);
        }
        if (code_send(c, target, &s->stack->event.event, code, value.fingerprint)) {
                count(COUNTER_RING_FULL);
                c->failed = 1;
                return -1;
        }
        bpf_map_update_elem(&codes, &key, &value, BPF_ANY);
        *ret_version = value.version;
        return 0;
}

/* Byte offset of the instruction, as co_positions() counts. */
static __always_inline s32 code_lasti(const struct target *target, u64 code, u64 instr) {
        if (target->layout != TARGET_FRAME_OBJECT)
                return instr - (code + target->code_start);
        return target->version == 0x030a ? (s32)instr * 2 : (s32)instr;
}

static long sending_step(u32 i, struct sending *s) {
        const struct walk_frame *from;
        struct event_frame *to;
        u32 version = 0;

        if (i >= s->walked->walk.frames_n || i >= STACK_FRAMES_MAX)
                return 1;
        from = &s->walked->frames[i];
        to = &s->stack->frames[i];
        *to = (struct event_frame){};
        if (!from->code || code_check(s, from->code, &version))
                return s->code->failed ? 1 : 0;
        to->code = from->code;
        to->lasti = code_lasti(s->target, from->code, from->instr);
        to->version = version;
        if (version)
                s->code->alias = hash_mix(s->code->alias, (u64)i << 32 | version);
        return 0;
}

static __always_inline int stack_output(struct stack_scratch *s, const struct walk *w, u64 hash) {
        u32 size = w->frames_n;

        if (size > STACK_FRAMES_MAX)
                size = STACK_FRAMES_MAX;
        s->event.frames_n = size;
        size = sizeof(struct event_stack) + size * sizeof(struct event_frame);
        s->event.event.kind = EVENT_STACK;
        s->event.event.size = size;
        s->event.event.flags = w->flags;
        s->event.stack = hash;
        barrier_var(size);
        if (size > sizeof(struct stack_scratch))
                return -1;
        return bpf_ringbuf_output(&events, s, size, BPF_RB_NO_WAKEUP);
}

/* Two CPUs may write a way at a time: a mixture of both is told by its check. */
static __always_inline bool stack_is(const struct stack_known *k, u64 hash) {
        return k->hash == hash && k->check == hash_mix(hash, k->alias);
}

static __always_inline struct stack_known *stack_find(u64 hash) {
        u32 index = hash >> STACK_SET_SHIFT;
        struct stack_set *set = bpf_map_lookup_elem(&stacks, &index);

        if (!set)
                return NULL;
        if (stack_is(&set->ways[0], hash))
                return &set->ways[0];
        return stack_is(&set->ways[1], hash) ? &set->ways[1] : NULL;
}

static __always_inline void stack_keep(u64 hash, u64 alias, u64 now) {
        struct stack_known *k = stack_find(hash);
        u32 index = hash >> STACK_SET_SHIFT;
        struct stack_set *set;

        if (!k) {
                set = bpf_map_lookup_elem(&stacks, &index);
                if (!set)
                        return;
                k = set->ways[0].verified <= set->ways[1].verified ? &set->ways[0] : &set->ways[1];
        }
        k->verified = now;
        k->hash = hash;
        k->alias = alias;
        k->check = hash_mix(hash, alias);
}

/*
 * Makes the daemon know the stack that was walked. Returns the hash to report; 0 when the ring buffer was full.
 * `from` is the header of the record that will carry the hash. *reuses tells and learns that addresses are reused.
 */
static __always_inline u64 stack_send(struct walker *walker, const struct event *from, u64 code_type, u8 *reuses) {
        const struct walk *w = &walker->scratch->walk;
        u64 hash = w->hash;
        const struct stack_known *sent = stack_find(hash);
        struct sending s = {.target = walker->target, .walked = walker->scratch, .code_type = code_type};
        u64 alias;
        u32 zero = 0;
        bool known;

        if (sent && from->time - sent->verified < VERIFY_EVERY_NS && !*reuses)
                return sent->alias;
        s.code = bpf_map_lookup_elem(&code_scratches, &zero);
        s.stack = bpf_map_lookup_elem(&stack_scratches, &zero);
        if (!s.code || !s.stack)
                return 0;
        s.code->alias = hash;
        s.code->reused = 0;
        s.code->failed = 0;
        s.stack->event.event = *from;
        bpf_loop(STACK_FRAMES_MAX, sending_step, &s, 0);
        if (s.code->reused)
                *reuses = 1;
        if (s.code->failed)
                return 0;

        alias = s.code->alias;
        known = alias == hash ? sent && sent->alias == hash : stack_find(alias) != NULL;
        if (!known) {
                if (stack_output(s.stack, w, alias)) {
                        count(COUNTER_RING_FULL);
                        return 0;
                }
                if (alias != hash)
                        stack_keep(alias, alias, from->time);
        }
        stack_keep(hash, alias, from->time);
        return alias;
}
