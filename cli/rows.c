/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "text.h"

#define STATES_MAX 16

/* In the order of columns. */
static const struct {
        const char *name, *title;
} states[STATES_MAX] = {
                {"python", "PYTHON"}, {"native", "NATIVE"}, {"kernel", "KERNEL"},   {"unsampled", "UNSAMPLED"},
                {"runq", "RUNQ"},     {"gil", "GIL"},       {"lock", "LOCK"},       {"net", "NET"},
                {"disk", "DISK"},     {"pipe", "PIPE"},     {"poll", "POLL"},       {"sleep", "SLEEP"},
                {"child", "CHILD"},   {"fault", "FAULT"},   {"stopped", "STOPPED"}, {"other", "OTHER"},
};

/* The members of a row's key that are shown, in their order. */
static const struct {
        const char *by, *member, *title;
        bool right, number;
} keys[] = {
                {"window", "since", "SINCE", false, false},
                {"unit", "unit", "UNIT", false, false},
                {"container", "container", "CONTAINER", false, false},
                {"process", "pid", "PID", true, true},
                {"thread", "pid", "PID", true, true},
                {"thread", "tid", "TID", true, true},
                {"state", "state", "STATE", false, false},
                {"peer", "peer", "PEER", false, false},
                {"waker", "waker", "WAKER", false, false},
                {"thread", "thread", "THREAD", false, false},
                {"process", "command", "COMMAND", false, false},
                {"command", "command", "COMMAND", false, false},
                {"function", "function", "FUNCTION", false, false},
                {"line", "function", "LINE", false, false},
                {"stack", "stack", "STACK", false, false},
};

/* What a table of these rows shows. */
struct shape {
        bool own; /* OWN TOTAL CPU, else WALL CPU */
        bool cpu;
        bool states[STATES_MAX];
        size_t keys[ARRAY_SIZE(keys)], keys_n; /* indexes into keys */
};

bool rows_by(const json_t *answer, const char *key) {
        const json_t *by = json_object_get(answer, "by"), *item;
        size_t i;

        json_array_foreach (by, i, item) {
                const char *s = json_string_value(item);

                if (s && strcmp(s, key) == 0)
                        return true;
        }
        return false;
}

bool rows_nothing(const json_t *answer) {
        const json_t *totals = json_object_get(answer, "totals");

        return json_array_size(json_object_get(answer, "rows")) == 0 && rows_number(totals, "wall_ns") == 0 &&
               rows_number(totals, "idle_ns") == 0;
}

static void add_time(struct buffer *b, uint64_t ns, const char *format) {
        time_t t = (time_t)(ns / NSEC_PER_SEC);
        char s[64];
        struct tm tm;

        if (localtime_r(&t, &tm) && strftime(s, sizeof(s), format, &tm) > 0)
                buffer_add_string(b, s);
}

static bool same_day(uint64_t a, uint64_t b) {
        time_t s = (time_t)(a / NSEC_PER_SEC), t = (time_t)(b / NSEC_PER_SEC);
        struct tm x, y;

        return localtime_r(&s, &x) && localtime_r(&t, &y) && x.tm_yday == y.tm_yday && x.tm_year == y.tm_year;
}

static void add_duration(struct buffer *b, const char *before, uint64_t ns) {
        char s[TEXT_UNITS_MAX];

        buffer_printf(b, "%s%s", before, text_duration(s, ns));
}

static void add_count(struct buffer *b, const char *before, uint64_t n, const char *one, const char *many) {
        buffer_printf(b, "%s%" PRIu64 " %s", before, n, n == 1 ? one : many);
}

/* The largest cause that is smaller than `below`, or as large and later by name than `after`. */
static const char *next_cause(json_t *causes, json_int_t below, const char *after, json_int_t *ret) {
        const char *found = NULL, *name;
        json_int_t best = 0;
        json_t *value;

        json_object_foreach (causes, name, value) {
                json_int_t n = json_integer_value(value);

                if (n <= 0 || n > below || (n == below && after && strcmp(name, after) <= 0))
                        continue;
                if (!found || n > best || (n == best && strcmp(name, found) < 0)) {
                        found = name;
                        best = n;
                }
        }
        *ret = best;
        return found;
}

static void add_causes(struct buffer *b, json_t *causes, size_t most) {
        json_int_t n = INT64_MAX;
        const char *cause = NULL;

        for (size_t i = 0; i <= most; i++) {
                cause = next_cause(causes, n, cause, &n);
                if (!cause) {
                        buffer_add_string(b, i > 0 ? ")" : "");
                        return;
                }
                buffer_add_string(b, i == 0 ? " (" : ", ");
                if (i < most)
                        buffer_printf(b, "%s %" JSON_INTEGER_FORMAT, cause, n);
        }
        buffer_add_string(b, "...)");
}

void rows_loss(struct buffer *b, const json_t *loss, size_t causes) {
        static const struct {
                const char *name, *one, *many;
        } kinds[] = {
                        {"dropped_events", "dropped event", "dropped events"},
                        {"truncated_stacks", "truncated stack", "truncated stacks"},
                        {"incomplete_stacks", "incomplete stack", "incomplete stacks"},
                        {"unresolved_frames", "unresolved frame", "unresolved frames"},
        };
        size_t before = b->size;

        for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
                if (rows_number(loss, kinds[i].name) > 0)
                        add_count(b, b->size > before ? ", " : "", rows_number(loss, kinds[i].name), kinds[i].one,
                                  kinds[i].many);
        if (b->size == before)
                buffer_add_string(b, "none");
        add_causes(b, json_object_get(loss, "causes"), causes);
}

/* Members that a daemon may give beside the totals. */
static bool find_count(const json_t *answer, const char *name, uint64_t *ret) {
        const json_t *totals = json_object_get(answer, "totals"), *n = json_object_get(totals, name);

        if (!json_is_integer(n))
                n = json_object_get(answer, name);
        if (!json_is_integer(n) || json_integer_value(n) < 0)
                return false;
        *ret = (uint64_t)json_integer_value(n);
        return true;
}

void rows_heading(struct buffer *b, const json_t *answer) {
        uint64_t since = rows_number(answer, "since"), until = rows_number(answer, "until"), n;
        const json_t *totals = json_object_get(answer, "totals");

        add_time(b, since, "%F %T");
        buffer_add_string(b, " - ");
        add_time(b, until, same_day(since, until) ? "%T" : "%F %T");
        add_duration(b, " (", until > since ? until - since : 0);
        buffer_add_string(b, ")");
        if (find_count(answer, "processes", &n))
                add_count(b, ", ", n, "process", "processes");
        if (find_count(answer, "threads", &n))
                add_count(b, ", ", n, "thread", "threads");
        add_duration(b, ", wall ", rows_number(totals, "wall_ns"));
        add_duration(b, ", CPU ", rows_number(totals, "cpu_ns"));
        add_duration(b, ", idle ", rows_number(totals, "idle_ns"));
        buffer_add_string(b, ", loss ");
        rows_loss(b, json_object_get(answer, "loss"), 2);
}

void rows_idle_note(struct buffer *b, const json_t *answer) {
        uint64_t idle = rows_number(json_object_get(answer, "totals"), "idle_ns"), n;

        if (idle == 0 || !(rows_by(answer, "function") || rows_by(answer, "line") || rows_by(answer, "stack")))
                return;
        add_duration(b, "idle: ", idle);
        if (find_count(answer, "idle_threads", &n))
                add_count(b, " in ", n, "thread", "threads");
        buffer_add_string(b, " (--idle show)");
}

static void add_place(struct buffer *b, const json_t *frame) {
        const char *file = rows_string(frame, "file");
        uint64_t line = rows_number(frame, "line");

        if (!*file)
                return;
        if (line > 0)
                buffer_printf(b, " (%s:%" PRIu64 ")", file, line);
        else
                buffer_printf(b, " (%s)", file);
}

void rows_frame(struct buffer *b, const json_t *frame) {
        const char *function = rows_string(frame, "function");

        buffer_add_string(b, *function ? function : "[unknown]");
        add_place(b, frame);
}

/* A row's own states, or all of its states where there is no own. */
static const json_t *row_states(const json_t *row, bool own) {
        return json_object_get(row, own ? "own" : "total");
}

static uint64_t row_own(const json_t *row) {
        const json_t *own = json_object_get(row, "own");
        uint64_t sum = 0;

        for (size_t i = 0; i < STATES_MAX; i++)
                sum += rows_number(own, states[i].name);
        return sum;
}

static void shape_make(const json_t *answer, struct shape *ret) {
        const json_t *rows = json_object_get(answer, "rows"), *row;
        struct shape s = {};
        size_t k;

        s.own = rows_by(answer, "function") || rows_by(answer, "line") || rows_by(answer, "stack");
        json_array_foreach (rows, k, row) {
                s.cpu = s.cpu || rows_number(row, "cpu_ns") > 0;
                for (size_t i = 0; i < STATES_MAX; i++)
                        if (rows_number(row_states(row, s.own), states[i].name) > 0)
                                s.states[i] = true;
        }
        for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
                bool repeated = false;

                for (size_t j = 0; j < s.keys_n; j++)
                        repeated = repeated || strcmp(keys[s.keys[j]].member, keys[i].member) == 0;
                if (!repeated && rows_by(answer, keys[i].by))
                        s.keys[s.keys_n++] = i;
        }
        *ret = s;
}

static int shape_table(const struct shape *s, struct table *ret) {
        struct table_column columns[3 + STATES_MAX + ARRAY_SIZE(keys)];
        size_t n = 0;

        columns[n++] = (struct table_column){.title = s->own ? "OWN" : "WALL", .right = true, .keep = true};
        if (s->own)
                columns[n++] = (struct table_column){.title = "TOTAL", .right = true};
        if (s->cpu)
                columns[n++] = (struct table_column){.title = "CPU", .right = true};
        for (size_t i = 0; i < STATES_MAX; i++)
                if (s->states[i])
                        columns[n++] = (struct table_column){.title = states[i].title, .right = true};
        for (size_t i = 0; i < s->keys_n; i++)
                columns[n++] = (struct table_column){
                                .title = keys[s->keys[i]].title,
                                .right = keys[s->keys[i]].right,
                                .keep = true,
                };
        return table_init(ret, columns, n);
}

/* The leaf-most frame in the row itself, the others below it: frame `i` of `n` from the leaf. */
static void add_stack_frame(struct table *t, const json_t *stack, size_t i) {
        _cleanup_buffer_ struct buffer b = {};
        size_t n = json_array_size(stack);

        if (n == 0)
                return table_add(t, "[no stack]");
        if (i > 0)
                buffer_add_string(&b, "  ");
        rows_frame(&b, json_array_get(stack, n - 1 - i));
        table_add(t, buffer_terminate(&b) < 0 ? NULL : b.data);
}

static void add_key(struct table *t, const json_t *key, size_t index) {
        const char *member = keys[index].member, *value = rows_string(key, member);
        _cleanup_buffer_ struct buffer b = {};

        if (keys[index].number)
                return table_add_number(t, rows_number(key, member));
        if (strcmp(member, "stack") == 0)
                return add_stack_frame(t, json_object_get(key, member), 0);
        if (strcmp(member, "function") == 0)
                rows_frame(&b, key);
        else if (strcmp(member, "since") == 0)
                add_time(&b, rows_number(key, member), "%F %T");
        else if (*value)
                buffer_add_string(&b, value);
        else
                buffer_add_string(&b, strcmp(member, "command") == 0 ? rows_string(key, "comm") : "-");
        table_add(t, buffer_terminate(&b) < 0 ? NULL : b.data);
}

static void add_row(struct table *t, const struct shape *s, const json_t *row) {
        const json_t *key = json_object_get(row, "key"), *stack = json_object_get(key, "stack");

        if (s->own)
                table_add_duration(t, row_own(row));
        table_add_duration(t, rows_number(row, "wall_ns"));
        if (s->cpu)
                table_add_duration(t, rows_number(row, "cpu_ns"));
        for (size_t i = 0; i < STATES_MAX; i++)
                if (s->states[i])
                        table_add_duration(t, rows_number(row_states(row, s->own), states[i].name));
        for (size_t i = 0; i < s->keys_n; i++)
                add_key(t, key, s->keys[i]);
        for (size_t i = 1; i < json_array_size(stack); i++) {
                for (size_t k = 0; k + 1 < t->columns_n; k++)
                        table_add(t, NULL);
                add_stack_frame(t, stack, i);
        }
}

int rows_table(const json_t *answer, bool (*wanted)(const json_t *row, void *user), void *user, struct table *ret) {
        const json_t *rows = json_object_get(answer, "rows"), *row;
        _cleanup_table_ struct table t = {};
        struct shape s;
        size_t i;
        int r;

        shape_make(answer, &s);
        r = shape_table(&s, &t);
        if (r < 0)
                return r;
        json_array_foreach (rows, i, row) {
                if (!wanted || wanted(row, user))
                        add_row(&t, &s, row);
        }
        if (t.failed)
                return -ENOMEM;
        *ret = t;
        t = (struct table){};
        return 0;
}

int rows_print(struct output *o, const json_t *answer, bool idle_hidden) {
        _cleanup_buffer_ struct buffer heading = {}, note = {};
        _cleanup_table_ struct table t = {};
        int r;

        rows_heading(&heading, answer);
        if (idle_hidden)
                rows_idle_note(&note, answer);
        r = rows_table(answer, NULL, NULL, &t);
        if (r < 0)
                return r;
        if (buffer_terminate(&heading) < 0 || buffer_terminate(&note) < 0)
                return -ENOMEM;
        output_paragraph(o, heading.data);
        if (note.size > 0)
                output_paragraph(o, note.data);
        if (t.cells_n == 0)
                return 0;
        fputc('\n', o->f);
        return table_print(&t, o->f, &o->style);
}
