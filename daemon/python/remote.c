/* SPDX-License-Identifier: Apache-2.0 */
#include "python/remote.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/macro.h"
#include "python/object.h"

#define INTERPRETERS_MAX 256
#define STATES_MAX 16384              /* thread states of one process */
#define SHIMS_MAX 1024                /* frames of C among those of Python */
#define TABLE_MAX (1u << 20)          /* bytes of a line table */
#define REFERENCE_MASK (~UINT64_C(7)) /* _PyStackRef keeps tags in the low bits, 3.14 */

/* The bytes of a structure that were copied to `data`: none outside of it is ever asked for. */
static uint64_t field(const uint8_t *data, size_t size, uint16_t offset) {
        uint64_t value = 0;

        if (offset + sizeof(value) <= size)
                memcpy(&value, data + offset, sizeof(value));
        return value;
}

static uint32_t field32(const uint8_t *data, size_t size, uint16_t offset) {
        uint32_t value = 0;

        if (offset + sizeof(value) <= size)
                memcpy(&value, data + offset, sizeof(value));
        return value;
}

static bool target_plausible(const struct target *t) {
        return t->tstate_size <= TARGET_TSTATE_MAX && t->frame_size <= TARGET_FRAME_MAX &&
               t->code_size <= TARGET_CODE_MAX;
}

static unsigned state_rank(const struct remote_states *s, const struct target *t, uint64_t address,
                           const uint8_t *state) {
        size_t size = t->tstate_size;

        if (t->tstate_status != TARGET_NONE ? (field32(state, size, t->tstate_status) & t->status_active) != 0
                                            : address == s->current)
                return 3;
        return field(state, size, t->tstate_frame) ? 2 : 1;
}

static int states_add(struct remote_states *s, const struct target *t, uint64_t address, const uint8_t *state) {
        if (s->n == s->room) {
                size_t room = s->room ? s->room * 2 : 64;
                struct remote_state *list = reallocarray(s->list, room, sizeof(*list));

                if (!list)
                        return -ENOMEM;
                s->list = list;
                s->room = room;
        }
        s->list[s->n++] = (struct remote_state){
                        .thread_pointer = field(state, t->tstate_size, t->tstate_thread_id),
                        .address = address,
                        .rank = state_rank(s, t, address, state),
        };
        return 0;
}

static int state_compare(const void *a, const void *b) {
        const struct remote_state *x = a, *y = b;

        if (x->thread_pointer != y->thread_pointer)
                return x->thread_pointer < y->thread_pointer ? -1 : 1;
        return (int)y->rank - (int)x->rank;
}

/* One for each thread pointer, of the highest rank. */
static void states_finish(struct remote_states *s) {
        size_t n = 0;

        if (s->n > 0)
                qsort(s->list, s->n, sizeof(s->list[0]), state_compare);
        for (size_t i = 0; i < s->n; i++) {
                if (n == 0 || s->list[i].thread_pointer != s->list[n - 1].thread_pointer)
                        s->list[n++] = s->list[i];
                else if (s->list[i].rank == s->list[n - 1].rank)
                        s->list[n - 1].ambiguous = true;
        }
        s->n = n;
        s->complete = true;
}

void remote_states_fini(struct remote_states *s) {
        free(s->list);
        *s = (struct remote_states){};
}

static int states_begin(const struct remote *r, struct remote_states *s) {
        const struct target *t = r->target;
        int q;

        if (!target_plausible(t))
                return -EINVAL;
        q = object_u64(r, r->runtime + t->runtime_interpreters_head, &s->interpreter);
        if (q < 0)
                return q;
        if (t->runtime_tstate_current != TARGET_NONE)
                (void)object_u64(r, r->runtime + (uint64_t)(int64_t)t->runtime_tstate_current, &s->current);
        if (s->interpreter != 0) {
                q = object_u64(r, s->interpreter + t->interp_threads_head, &s->next);
                if (q < 0)
                        return q;
        }
        s->begun = true;
        return 0;
}

static int states_next_interpreter(const struct remote *r, struct remote_states *s) {
        const struct target *t = r->target;
        uint64_t interpreter, next = 0;
        int q;

        q = object_u64(r, s->interpreter + t->interp_next, &interpreter);
        if (q >= 0 && interpreter != 0)
                q = object_u64(r, interpreter + t->interp_threads_head, &next);
        if (q < 0)
                return q;
        s->interpreter = ++s->interpreters < INTERPRETERS_MAX ? interpreter : 0;
        s->next = next;
        return 0;
}

static int states_step(const struct remote *r, struct remote_states *s) {
        uint8_t state[TARGET_TSTATE_MAX];
        const struct target *t = r->target;
        int q;

        if (s->next == 0 || s->n >= STATES_MAX)
                return states_next_interpreter(r, s);
        q = r->read(r->userdata, s->next, state, t->tstate_size);
        if (q < 0)
                return q;
        q = states_add(s, t, s->next, state);
        if (q < 0)
                return q;
        s->next = field(state, t->tstate_size, t->tstate_next);
        return 0;
}

int remote_states_read(const struct remote *r, struct remote_states *s, unsigned steps) {
        int q = 0;

        if (s->complete)
                return 0;
        if (!s->begun)
                q = states_begin(r, s);
        for (; q >= 0 && s->interpreter != 0; steps--) {
                if (steps == 0)
                        return 1;
                q = states_step(r, s);
        }
        if (q < 0 && (q != -EFAULT || s->n == 0))
                return q;
        states_finish(s); /* of a list that is torn, what came before the tear is good */
        return 0;
}

const struct remote_state *remote_states_find(const struct remote_states *s, uint64_t thread_pointer) {
        size_t low = 0, high = s->complete ? s->n : 0;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (s->list[middle].thread_pointer < thread_pointer)
                        low = middle + 1;
                else
                        high = middle;
        }
        return s->complete && low < s->n && s->list[low].thread_pointer == thread_pointer ? &s->list[low] : NULL;
}

/* The byte offset in the code: f_lasti counts bytes up to 3.9 and code units in 3.10; later ones point. */
static int32_t frame_lasti(const struct target *t, uint64_t code, const uint8_t *frame) {
        int64_t at;

        if (t->layout == TARGET_FRAME_OBJECT)
                at = (int64_t)(int32_t)field32(frame, t->frame_size, t->frame_instr) * (t->version == 0x030a ? 2 : 1);
        else
                at = (int64_t)(field(frame, t->frame_size, t->frame_instr) - (code + t->code_start));
        return at < 0 || at > INT32_MAX ? -1 : (int32_t)at;
}

static bool code_is(const struct remote *r, uint64_t code) {
        uint64_t type;

        return code != 0 && object_u64(r, code + r->target->object_type, &type) >= 0 &&
               (r->code_type == 0 || type == r->code_type);
}

/* 1: a frame was stored; 0: it was a shim. *frame becomes the one below. */
static int frame_visit(const struct remote *r, uint64_t *frame, struct event_frame *ret) {
        uint8_t data[TARGET_FRAME_MAX] = {};
        const struct target *t = r->target;
        uint64_t code;
        int q;

        q = r->read(r->userdata, *frame, data, t->frame_size);
        if (q < 0)
                return q;
        *frame = field(data, t->frame_size, t->frame_previous);
        if (t->frame_owner < t->frame_size && data[t->frame_owner] >= t->frame_owner_skip)
                return 0;
        code = field(data, t->frame_size, t->frame_code) & REFERENCE_MASK;
        *ret = (struct event_frame){.lasti = -1};
        if (code_is(r, code)) {
                ret->code = code;
                ret->lasti = frame_lasti(t, code, data);
        }
        return 1;
}

/* Where the frames of a thread state begin, as it is now: it may be another thread's by now, or none. */
static int state_frame(const struct remote *r, const struct remote_state *state, uint64_t *ret) {
        uint8_t data[TARGET_TSTATE_MAX];
        const struct target *t = r->target;
        uint64_t frame;
        int q;

        q = r->read(r->userdata, state->address, data, t->tstate_size);
        if (q < 0)
                return q;
        if (field(data, t->tstate_size, t->tstate_thread_id) != state->thread_pointer)
                return -ENOENT;
        frame = field(data, t->tstate_size, t->tstate_frame);
        if (t->layout == TARGET_CFRAME && frame != 0) {
                q = object_u64(r, frame + t->cframe_current_frame, &frame);
                if (q < 0)
                        return q;
        }
        *ret = frame;
        return 0;
}

int remote_walk(const struct remote *r, const struct remote_state *state, struct event_frame *ret_frames, size_t max,
                uint16_t *ret_flags) {
        size_t n = 0, steps = MIN(max, STACK_FRAMES_MAX) + SHIMS_MAX;
        uint16_t flags = state->ambiguous ? EVENT_STACK_AMBIGUOUS : 0;
        uint64_t frame;
        int q;

        if (!target_plausible(r->target))
                return -EINVAL;
        max = MIN(max, STACK_FRAMES_MAX);
        q = state_frame(r, state, &frame);
        if (q < 0)
                return q;
        for (; frame != 0 && n < max && steps > 0; steps--) {
                q = frame_visit(r, &frame, ret_frames + n);
                if (q == -EFAULT) {
                        ret_frames[n++] = (struct event_frame){.lasti = -1};
                        flags |= EVENT_STACK_INCOMPLETE;
                        frame = 0;
                } else if (q < 0)
                        return q;
                else if (q > 0 && ret_frames[n++].code == 0)
                        flags |= EVENT_STACK_INCOMPLETE;
        }
        if (frame != 0)
                flags |= EVENT_STACK_TRUNCATED;
        if (n == 0)
                flags |= EVENT_STACK_NONE;
        *ret_flags = flags;
        return n;
}

void remote_code_fini(struct remote_code *c) {
        free(c->name);
        free(c->filename);
        free(c->table);
        *c = (struct remote_code){};
}

static int code_table(const struct remote *r, uint64_t bytes, struct remote_code *c) {
        uint64_t size;
        int q;

        q = object_u64(r, bytes + r->target->bytes_size, &size);
        if (q < 0)
                return q;
        if (size > INT64_MAX)
                return -EBADMSG;
        size = MIN(size, TABLE_MAX);
        c->table = malloc(size + 1);
        if (!c->table)
                return -ENOMEM;
        c->table_size = size;
        return size > 0 ? r->read(r->userdata, bytes + r->target->bytes_data, c->table, size) : 0;
}

int remote_code(const struct remote *r, uint64_t code, struct remote_code *ret) {
        _cleanup_(remote_code_fini) struct remote_code c = {};
        const struct target *t = r->target;
        uint8_t data[TARGET_CODE_MAX];
        uint64_t name = 0;
        int q;

        if (!target_plausible(t))
                return -EINVAL;
        q = r->read(r->userdata, code, data, t->code_size);
        if (q < 0)
                return q;
        if (r->code_type != 0 && field(data, t->code_size, t->object_type) != r->code_type)
                return -EBADMSG;
        c.firstlineno = (int32_t)field32(data, t->code_size, t->code_firstlineno);
        if (t->code_qualname != TARGET_NONE)
                name = field(data, t->code_size, t->code_qualname);
        q = object_string(r, name ?: field(data, t->code_size, t->code_name), &c.name);
        if (q < 0)
                return q;
        q = object_string(r, field(data, t->code_size, t->code_filename), &c.filename);
        if (q < 0)
                return q;
        q = code_table(r, field(data, t->code_size, t->code_linetable), &c);
        if (q < 0)
                return q;
        *ret = c;
        c = (struct remote_code){};
        return 0;
}

static uint32_t character(const uint8_t *data, size_t i, unsigned kind) {
        uint32_t value = 0;

        memcpy(&value, data + i * kind, kind); /* little endian, as all targets are */
        return value;
}

static bool character_shown(uint32_t c) {
        return c >= 0x20 && !(c >= 0x7f && c < 0xa0) && !(c >= 0xd800 && c < 0xe000) && c <= 0x10ffff;
}

static char *utf8_put(char *at, uint32_t c) {
        unsigned bytes = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};

        for (unsigned i = bytes; i-- > 1; c >>= 6)
                at[i] = 0x80 | (c & 0x3f);
        at[0] = marks[bytes] | c;
        return at + bytes;
}

char *remote_utf8(const void *data, size_t characters, unsigned kind) {
        char *text, *at;

        if (kind != 1 && kind != 2 && kind != 4)
                characters = 0;
        if (characters > (SIZE_MAX - 1) / 4)
                return NULL;
        text = at = malloc(characters * 4 + 1);
        if (!text)
                return NULL;
        for (size_t i = 0; i < characters; i++) {
                uint32_t c = character(data, i, kind);

                at = utf8_put(at, character_shown(c) ? c : 0xfffd);
        }
        *at = '\0';
        return text;
}
