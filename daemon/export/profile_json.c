/* SPDX-License-Identifier: Apache-2.0 */
#include "export/profile_json.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

static const struct {
        unsigned by;
        const char *name;
} by_names[] = {
                {BY_PROCESS, "process"}, {BY_THREAD, "thread"}, {BY_FUNCTION, "function"},   {BY_LINE, "line"},
                {BY_STACK, "stack"},     {BY_UNIT, "unit"},     {BY_CONTAINER, "container"}, {BY_COMMAND, "command"},
                {BY_STATE, "state"},     {BY_PEER, "peer"},     {BY_WAKER, "waker"},         {BY_WINDOW, "window"},
};

int json_take(json_t *object, const char *key, json_t *value) {
        return json_object_set_new(object, key, value) < 0 ? -ENOMEM : 0;
}

static int take_integer(json_t *object, const char *key, uint64_t value) {
        return json_take(object, key, json_integer((json_int_t)value));
}

static int take_text(json_t *object, const char *key, const char *text) {
        return json_take(object, key, text_to_json(text));
}

static int take_instant(json_t *object, const char *key, uint64_t monotonic, int64_t epoch_offset_ns) {
        return json_take(object, key, json_integer((json_int_t)monotonic + epoch_offset_ns));
}

/* Length of the UTF-8 sequence at `s` (no overlong forms, no surrogates), 0 when there is none. */
static size_t utf8_sequence(const unsigned char *s) {
        unsigned char low = 0x80, high = 0xbf;
        size_t n;

        if (s[0] < 0x80)
                return 1;
        if (s[0] >= 0xc2 && s[0] <= 0xdf)
                n = 2;
        else if ((s[0] & 0xf0) == 0xe0)
                n = 3;
        else if (s[0] >= 0xf0 && s[0] <= 0xf4)
                n = 4;
        else
                return 0;

        if (s[0] == 0xe0)
                low = 0xa0;
        else if (s[0] == 0xed)
                high = 0x9f;
        else if (s[0] == 0xf0)
                low = 0x90;
        else if (s[0] == 0xf4)
                high = 0x8f;
        if (s[1] < low || s[1] > high)
                return 0;
        for (size_t i = 2; i < n; i++)
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
        return n;
}

json_t *text_to_json(const char *text) {
        static const char replacement[] = "\xef\xbf\xbd";
        _cleanup_free_ char *clean = NULL;
        json_t *j;
        char *out;

        if (!text)
                text = "";
        j = json_string(text);
        if (j)
                return j;

        clean = malloc(strlen(text) * (sizeof(replacement) - 1) + 1);
        if (!clean)
                return NULL;
        out = clean;
        while (*text) {
                size_t n = utf8_sequence((const unsigned char *)text);

                if (n > 0) {
                        out = mempcpy(out, text, n);
                        text += n;
                } else {
                        out = mempcpy(out, replacement, sizeof(replacement) - 1);
                        text++;
                }
        }
        *out = '\0';
        return json_string(clean);
}

json_t *profile_by_to_json(unsigned by) {
        json_auto_t *array = json_array();

        if (!array)
                return NULL;
        for (size_t i = 0; i < ARRAY_SIZE(by_names); i++)
                if ((by & by_names[i].by) && json_array_append_new(array, json_string(by_names[i].name)) < 0)
                        return NULL;
        return TAKE_PTR(array);
}

json_t *profile_states_to_json(const uint64_t states[STATE_MAX]) {
        json_auto_t *object = json_object();

        if (!object)
                return NULL;
        for (int i = 0; i < STATE_MAX; i++)
                if (states[i] > 0 && take_integer(object, state_to_string(i), states[i]) < 0)
                        return NULL;
        return TAKE_PTR(object);
}

static int frame_fill(json_t *object, const struct profile_frame *f) {
        int r;

        r = take_text(object, "function", f->function);
        if (r < 0)
                return r;
        r = take_text(object, "file", f->file);
        if (r < 0)
                return r;
        return json_take(object, "line", json_integer(f->line));
}

json_t *profile_frame_to_json(const struct profile_frame *f) {
        static const char *const kinds[] = {
                        [FRAME_PYTHON] = "python",
                        [FRAME_NATIVE] = "native",
                        [FRAME_KERNEL] = "kernel",
        };
        json_auto_t *object = json_object();

        if (!object || frame_fill(object, f) < 0 || take_text(object, "kind", kinds[f->kind]) < 0)
                return NULL;
        return TAKE_PTR(object);
}

json_t *profile_waits_to_json(const struct profile_waits *w) {
        json_auto_t *object = json_object();

        if (!object || take_integer(object, "count", w->count) < 0 || take_integer(object, "p50_ns", w->p50_ns) < 0 ||
            take_integer(object, "p95_ns", w->p95_ns) < 0 || take_integer(object, "p99_ns", w->p99_ns) < 0 ||
            take_integer(object, "max_ns", w->max_ns) < 0)
                return NULL;
        return TAKE_PTR(object);
}

json_t *profile_loss_to_json(const struct profile_loss *l) {
        json_auto_t *object = json_object(), *causes = json_object();

        if (!object || !causes)
                return NULL;
        for (size_t i = 0; i < l->causes_n && i < ARRAY_SIZE(l->causes); i++)
                if (take_integer(causes, l->causes[i].cause, l->causes[i].n) < 0)
                        return NULL;
        if (take_integer(object, "dropped_events", l->dropped_events) < 0 ||
            take_integer(object, "stacks", l->stacks) < 0 ||
            take_integer(object, "truncated_stacks", l->truncated_stacks) < 0 ||
            take_integer(object, "incomplete_stacks", l->incomplete_stacks) < 0 ||
            take_integer(object, "unresolved_frames", l->unresolved_frames) < 0 ||
            json_take(object, "causes", TAKE_PTR(causes)) < 0)
                return NULL;
        return TAKE_PTR(object);
}

static json_t *stack_to_json(const struct profile_frame *frames, size_t n) {
        json_auto_t *array = json_array();

        if (!array)
                return NULL;
        for (size_t i = 0; i < n; i++)
                if (json_array_append_new(array, profile_frame_to_json(&frames[i])) < 0)
                        return NULL;
        return TAKE_PTR(array);
}

/* What says whose time it is. A thread is named together with its process: tids alone tell a person little. */
static int key_owner(json_t *key, unsigned by, const struct profile_row *row, int64_t epoch_offset_ns) {
        int r = 0;

        if (by & (BY_PROCESS | BY_THREAD)) {
                r = take_integer(key, "pid", row->pid);
                if (r >= 0)
                        r = take_instant(key, "started", row->started, epoch_offset_ns);
                if (r >= 0)
                        r = take_text(key, "comm", row->comm);
        }
        if (r >= 0 && (by & (BY_PROCESS | BY_THREAD | BY_COMMAND)))
                r = take_text(key, "command", row->command);
        if (r >= 0 && (by & BY_THREAD)) {
                r = take_integer(key, "tid", row->tid);
                if (r >= 0)
                        r = take_text(key, "thread", row->thread);
        }
        if (r >= 0 && (by & BY_UNIT))
                r = take_text(key, "unit", row->unit);
        if (r >= 0 && (by & BY_CONTAINER))
                r = take_text(key, "container", row->container);
        return r;
}

static json_t *row_key(unsigned by, const struct profile_row *row, int64_t epoch_offset_ns) {
        json_auto_t *key = json_object();

        if (!key || key_owner(key, by, row, epoch_offset_ns) < 0)
                return NULL;
        if ((by & (BY_FUNCTION | BY_LINE)) && frame_fill(key, &row->frame) < 0)
                return NULL;
        if ((by & BY_STACK) && json_take(key, "stack", stack_to_json(row->frames, row->frames_n)) < 0)
                return NULL;
        if ((by & BY_STATE) && row->state >= 0 && row->state < STATE_MAX &&
            take_text(key, "state", state_to_string(row->state)) < 0)
                return NULL;
        if ((by & BY_PEER) && take_text(key, "peer", row->peer) < 0)
                return NULL;
        if ((by & BY_WAKER) && take_text(key, "waker", row->waker) < 0)
                return NULL;
        if ((by & BY_WINDOW) && take_instant(key, "since", row->window, epoch_offset_ns) < 0)
                return NULL;
        return TAKE_PTR(key);
}

static json_t *details_to_json(const struct profile_detail *details, size_t n) {
        json_auto_t *array = json_array();

        if (!array)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                json_auto_t *object = json_object();

                if (!object || take_text(object, "state", state_to_string(details[i].state)) < 0 ||
                    take_text(object, "detail", details[i].detail) < 0 ||
                    take_integer(object, "ns", details[i].ns) < 0 || json_array_append_new(array, TAKE_PTR(object)) < 0)
                        return NULL;
        }
        return TAKE_PTR(array);
}

static json_t *row_to_json(unsigned by, const struct profile_row *row, int64_t epoch_offset_ns) {
        json_auto_t *object = json_object();

        if (!object || json_take(object, "key", row_key(by, row, epoch_offset_ns)) < 0 ||
            take_integer(object, "wall_ns", row->wall_ns) < 0 || take_integer(object, "cpu_ns", row->cpu_ns) < 0 ||
            take_integer(object, "idle_ns", row->idle_ns) < 0 || take_integer(object, "samples", row->samples) < 0)
                return NULL;
        if ((by & BY_FRAMES) && json_take(object, "own", profile_states_to_json(row->own)) < 0)
                return NULL;
        if (json_take(object, "total", profile_states_to_json(row->total)) < 0 ||
            json_take(object, "waits", profile_waits_to_json(&row->waits)) < 0 ||
            json_take(object, "detail", details_to_json(row->details, row->details_n)) < 0)
                return NULL;
        return TAKE_PTR(object);
}

static json_t *rows_to_json(const struct profile *p, int64_t epoch_offset_ns) {
        json_auto_t *array = json_array();

        if (!array)
                return NULL;
        for (size_t i = 0; i < p->rows_n; i++)
                if (json_array_append_new(array, row_to_json(p->by, &p->rows[i], epoch_offset_ns)) < 0)
                        return NULL;
        return TAKE_PTR(array);
}

static json_t *totals_to_json(const struct profile *p) {
        json_auto_t *object = json_object();

        if (!object || take_integer(object, "wall_ns", p->wall_ns) < 0 ||
            take_integer(object, "cpu_ns", p->cpu_ns) < 0 || take_integer(object, "idle_ns", p->idle_ns) < 0 ||
            take_integer(object, "samples", p->samples) < 0 || take_integer(object, "processes", p->processes) < 0 ||
            take_integer(object, "threads", p->threads) < 0 ||
            take_integer(object, "idle_threads", p->idle_threads) < 0 ||
            json_take(object, "states", profile_states_to_json(p->states)) < 0)
                return NULL;
        return TAKE_PTR(object);
}

json_t *profile_to_json(const struct profile *p, int64_t epoch_offset_ns) {
        json_auto_t *object = json_object();

        if (!object || take_integer(object, "version", 1) < 0 ||
            take_instant(object, "since", p->since, epoch_offset_ns) < 0 ||
            take_instant(object, "until", p->until, epoch_offset_ns) < 0 ||
            take_instant(object, "oldest", p->oldest, epoch_offset_ns) < 0 ||
            json_take(object, "by", profile_by_to_json(p->by)) < 0 ||
            json_take(object, "rows", rows_to_json(p, epoch_offset_ns)) < 0 ||
            json_take(object, "totals", totals_to_json(p)) < 0 ||
            json_take(object, "loss", profile_loss_to_json(&p->loss)) < 0)
                return NULL;
        return TAKE_PTR(object);
}
