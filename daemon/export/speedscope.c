/* SPDX-License-Identifier: Apache-2.0 */
/*
 * https://www.speedscope.app/file-format-schema.json: the frames once, then one `sampled` profile for each thread (or
 * process, or for all, as the rows tell them apart) with weights in nanoseconds.
 */
#define HASH_NONFATAL_OOM 1

#include <errno.h>
#include <string.h>
#include <uthash.h>

#include "export/formats.h"
#include "export/profile_json.h"

#define SCHEMA "https://www.speedscope.app/file-format-schema.json"

struct frame {
        char *key; /* owned: function, file, line and kind with separators no name has */
        json_int_t index;
        UT_hash_handle hh;
};

struct owner {
        uint32_t pid, tid;
        uint64_t started;
};

/* One of the file's profiles. */
struct part {
        struct owner owner;
        json_t *samples, *weights;
        char *name;
        uint64_t ns;
        UT_hash_handle hh;
};

struct speedscope {
        struct frame *frames;
        json_t *frames_json;
        struct part *parts;
};

static void part_free(struct part *part) {
        json_decref(part->samples);
        json_decref(part->weights);
        free(part->name);
        free(part);
}

static void speedscope_fini(struct speedscope *s) {
        struct frame *f, *f_next;
        struct part *part, *part_next;

        HASH_ITER (hh, s->frames, f, f_next) {
                HASH_DEL(s->frames, f);
                free(f->key);
                free(f);
        }
        HASH_ITER (hh, s->parts, part, part_next) {
                HASH_DEL(s->parts, part);
                part_free(part);
        }
        json_decref(s->frames_json);
}

static json_t *frame_to_json(const struct profile_frame *f) {
        json_auto_t *object = json_object();

        if (!object || json_take(object, "name", text_to_json(f->function)) < 0)
                return NULL;
        if (f->file && *f->file && json_take(object, "file", text_to_json(f->file)) < 0)
                return NULL;
        if (f->line > 0 && json_take(object, "line", json_integer(f->line)) < 0)
                return NULL;
        return TAKE_PTR(object);
}

static int frame_index(struct speedscope *s, const struct profile_frame *f, json_int_t *ret) {
        _cleanup_free_ char *key = NULL;
        struct frame *frame = NULL;
        int size;

        size = asprintf(&key, "%s\n%s\n%i\n%i", f->function ?: "", f->file ?: "", f->line, (int)f->kind);
        if (size < 0) {
                key = NULL;
                return -ENOMEM;
        }
        HASH_FIND(hh, s->frames, key, (size_t)size, frame);
        if (frame) {
                *ret = frame->index;
                return 0;
        }

        frame = calloc(1, sizeof(*frame));
        if (!frame)
                return -ENOMEM;
        frame->index = (json_int_t)json_array_size(s->frames_json);
        frame->key = TAKE_PTR(key);
        HASH_ADD_KEYPTR(hh, s->frames, frame->key, (size_t)size, frame);
        if (!frame->hh.tbl) {
                free(frame->key);
                free(frame);
                return -ENOMEM;
        }
        if (json_array_append_new(s->frames_json, frame_to_json(f)) < 0)
                return -ENOMEM;
        *ret = frame->index;
        return 0;
}

static char *part_name(const struct profile *p, const struct profile_row *row) {
        const char *command = row->command && *row->command ? row->command : row->comm ?: "";
        char *name = NULL;
        int r;

        if (p->by & BY_THREAD)
                r = asprintf(&name, "%s (%u) %s (%u)", command, row->pid, row->thread ?: "", row->tid);
        else if (p->by & BY_PROCESS)
                r = asprintf(&name, "%s (%u)", command, row->pid);
        else
                r = asprintf(&name, "pyprofd");
        return r < 0 ? NULL : name;
}

static struct part *part_get(struct speedscope *s, const struct profile *p, const struct profile_row *row) {
        struct part *part = NULL;
        struct owner owner;

        memset(&owner, 0, sizeof(owner));
        if (p->by & (BY_PROCESS | BY_THREAD)) {
                owner.pid = row->pid;
                owner.started = row->started;
        }
        if (p->by & BY_THREAD)
                owner.tid = row->tid;
        HASH_FIND(hh, s->parts, &owner, sizeof(owner), part);
        if (part)
                return part;

        part = calloc(1, sizeof(*part));
        if (!part)
                return NULL;
        part->owner = owner;
        part->samples = json_array();
        part->weights = json_array();
        part->name = part_name(p, row);
        if (part->samples && part->weights && part->name)
                HASH_ADD(hh, s->parts, owner, sizeof(part->owner), part);
        if (!part->hh.tbl) {
                part_free(part);
                return NULL;
        }
        return part;
}

/* One sample of the row's stack; a wait has its state as a last frame. */
static int part_add(struct speedscope *s, struct part *part, const struct profile_row *row, const char *state,
                    uint64_t ns) {
        json_auto_t *sample = json_array();
        json_int_t index;
        int r;

        if (!sample)
                return -ENOMEM;
        for (size_t i = 0; i < row->frames_n; i++) {
                r = frame_index(s, &row->frames[i], &index);
                if (r < 0)
                        return r;
                if (json_array_append_new(sample, json_integer(index)) < 0)
                        return -ENOMEM;
        }
        if (state) {
                char name[32];

                snprintf(name, sizeof(name), "[%s]", state);
                r = frame_index(s, &(struct profile_frame){.function = name}, &index);
                if (r < 0)
                        return r;
                if (json_array_append_new(sample, json_integer(index)) < 0)
                        return -ENOMEM;
        }
        if (json_array_append_new(part->samples, TAKE_PTR(sample)) < 0 ||
            json_array_append_new(part->weights, json_integer((json_int_t)ns)) < 0)
                return -ENOMEM;
        part->ns += ns;
        return 0;
}

static int row_add(struct speedscope *s, const struct profile *p, const struct profile_row *row) {
        struct part *part = part_get(s, p, row);
        uint64_t cpu_ns = 0;
        int r;

        if (!part)
                return -ENOMEM;
        for (int state = 0; state < STATE_MAX; state++) {
                if (state_is_cpu(state)) {
                        cpu_ns += row->total[state];
                        continue;
                }
                if (row->total[state] == 0)
                        continue;
                r = part_add(s, part, row, state_to_string(state), row->total[state]);
                if (r < 0)
                        return r;
        }
        if (cpu_ns == 0)
                return 0;
        return part_add(s, part, row, row->frames_n == 0 ? "unsampled" : NULL, cpu_ns);
}

static int part_to_json(const struct part *part, json_t *profiles) {
        json_auto_t *object = json_object();

        if (!object || json_take(object, "type", json_string("sampled")) < 0 ||
            json_take(object, "name", text_to_json(part->name)) < 0 ||
            json_take(object, "unit", json_string("nanoseconds")) < 0 ||
            json_take(object, "startValue", json_integer(0)) < 0 ||
            json_take(object, "endValue", json_integer((json_int_t)part->ns)) < 0 ||
            json_take(object, "samples", json_incref(part->samples)) < 0 ||
            json_take(object, "weights", json_incref(part->weights)) < 0 ||
            json_array_append_new(profiles, TAKE_PTR(object)) < 0)
                return -ENOMEM;
        return 0;
}

static json_t *speedscope_to_json(struct speedscope *s) {
        json_auto_t *object = json_object(), *shared = json_object(), *profiles = json_array();
        struct part *part, *next;

        if (!object || !shared || !profiles)
                return NULL;
        HASH_ITER (hh, s->parts, part, next)
                if (part_to_json(part, profiles) < 0)
                        return NULL;
        if (json_take(object, "$schema", json_string(SCHEMA)) < 0 ||
            json_take(shared, "frames", json_incref(s->frames_json)) < 0 ||
            json_take(object, "shared", TAKE_PTR(shared)) < 0 ||
            json_take(object, "profiles", TAKE_PTR(profiles)) < 0 ||
            json_take(object, "name", json_string("pyprofd")) < 0 ||
            json_take(object, "activeProfileIndex", json_integer(0)) < 0 ||
            json_take(object, "exporter", json_string("pyprofd")) < 0)
                return NULL;
        return TAKE_PTR(object);
}

int speedscope_write(const struct profile *p, int64_t epoch_offset_ns, struct buffer *b) {
        _cleanup_(speedscope_fini) struct speedscope s = {};
        json_auto_t *value = NULL;
        int r;

        s.frames_json = json_array();
        if (!s.frames_json)
                return -ENOMEM;
        /* A file without any profile does not load: a selection without rows has one empty profile. */
        if (p->rows_n == 0 && !part_get(&s, p, &(struct profile_row){}))
                return -ENOMEM;
        for (size_t i = 0; i < p->rows_n; i++) {
                r = row_add(&s, p, &p->rows[i]);
                if (r < 0)
                        return r;
        }
        value = speedscope_to_json(&s);
        if (!value)
                return -ENOMEM;
        return json_write_value(value, b);
}
