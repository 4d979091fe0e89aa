/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "rows.h"
#include "session.h"
#include "source.h"
#include "text.h"
#include "verb.h"

#define STATES_MAX 16
#define TAB 8

static const char *const states[STATES_MAX] = {
                "python", "native", "kernel", "unsampled", "runq",  "gil",   "lock",    "net",
                "disk",   "pipe",   "poll",   "sleep",     "child", "fault", "stopped", "other",
};

/* What is printed under one heading: a file, or one function of it. */
struct section {
        const char *file, *function; /* borrowed from the answer; function NULL: the whole file */
        const json_t *rows;
        uint64_t whole_ns; /* what % is of */
        struct source source;
        bool states[STATES_MAX];
};

static bool is_file(const char *name) {
        size_t n = strlen(name);

        return strchr(name, '/') || (n > 3 && strcmp(name + n - 3, ".py") == 0);
}

/* As it was typed, and as it is reached from here: code objects have either. */
static void add_file(struct buffer *path, const char *name) {
        _cleanup_free_ char *full = realpath(name, NULL);

        while (strncmp(name, "./", 2) == 0)
                name += 2;
        client_add_argument(path, "file", name);
        if (full && strcmp(full, name) != 0)
                client_add_argument(path, "file", full);
}

static bool in_section(const struct section *s, const json_t *row) {
        return strcmp(rows_string(row, "file"), s->file) == 0 &&
               (!s->function || strcmp(rows_string(row, "function"), s->function) == 0);
}

static void find_states(struct section *s) {
        const json_t *row;
        size_t i;

        json_array_foreach (s->rows, i, row) {
                if (!in_section(s, row))
                        continue;
                for (size_t k = 0; k < STATES_MAX; k++)
                        if (rows_number(json_object_get(row, "states"), states[k]) > 0)
                                s->states[k] = true;
        }
}

static int make_table(const struct section *s, struct table *ret) {
        struct table_column columns[6 + STATES_MAX];
        size_t n = 0;

        columns[n++] = (struct table_column){.title = "Line #", .right = true, .keep = true};
        columns[n++] = (struct table_column){.title = "Hits", .right = true};
        columns[n++] = (struct table_column){.title = "Wall", .right = true};
        columns[n++] = (struct table_column){.title = "CPU", .right = true};
        columns[n++] = (struct table_column){.title = "% Wall", .right = true};
        for (size_t i = 0; i < STATES_MAX; i++)
                if (s->states[i])
                        columns[n++] = (struct table_column){.title = states[i], .right = true};
        columns[n++] = (struct table_column){.title = "Line Contents"};
        return table_init(ret, columns, n);
}

static void add_text(struct table *t, const char *text) {
        _cleanup_buffer_ struct buffer b = {};
        size_t column = 0;

        for (; text && *text; text++) {
                if (*text != '\t') {
                        buffer_add(&b, text, 1);
                        column++;
                        continue;
                }
                do
                        buffer_add(&b, " ", 1);
                while (++column % TAB);
        }
        table_add(t, buffer_terminate(&b) < 0 ? NULL : b.data);
}

/* Sums of the rows of a line: several functions may share one. */
struct figures {
        bool any;
        uint64_t hits, wall, cpu, states[STATES_MAX];
};

static struct figures sum_line(const struct section *s, uint64_t line) {
        struct figures f = {};
        const json_t *row;
        size_t i;

        json_array_foreach (s->rows, i, row) {
                if (rows_number(row, "line") != line || !in_section(s, row))
                        continue;
                f.any = true;
                f.hits += rows_number(row, "hits");
                f.wall += rows_number(row, "wall_ns");
                f.cpu += rows_number(row, "cpu_ns");
                for (size_t k = 0; k < STATES_MAX; k++)
                        f.states[k] += rows_number(json_object_get(row, "states"), states[k]);
        }
        return f;
}

static void add_line(struct table *t, const struct section *s, uint64_t line, const char *text) {
        struct figures f = sum_line(s, line);
        char percent[TEXT_UNITS_MAX];

        table_add_number(t, line);
        if (f.any) {
                table_add_number(t, f.hits);
                table_add_duration(t, f.wall);
                table_add_duration(t, f.cpu);
                table_add(t, text_percent(percent, f.wall, s->whole_ns));
        } else {
                for (int i = 0; i < 4; i++)
                        table_add(t, NULL);
        }
        for (size_t k = 0; k < STATES_MAX; k++)
                if (s->states[k])
                        f.any ? table_add_duration(t, f.states[k]) : table_add(t, NULL);
        add_text(t, text);
}

/* The lowest line of the section that is above `after`, 0: none. */
static uint64_t next_line(const struct section *s, uint64_t after) {
        uint64_t found = 0;
        const json_t *row;
        size_t i;

        json_array_foreach (s->rows, i, row) {
                uint64_t line = rows_number(row, "line");

                if (line > after && (found == 0 || line < found) && in_section(s, row))
                        found = line;
        }
        return found;
}

static uint64_t last_line(const struct section *s) {
        uint64_t found = 0;
        const json_t *row;
        size_t i;

        json_array_foreach (s->rows, i, row) {
                if (in_section(s, row))
                        found = MAX(found, rows_number(row, "line"));
        }
        return found;
}

static void fill_table(struct table *t, const struct section *s) {
        size_t first = 1, last = s->source.n, low = next_line(s, 0), high = last_line(s);

        if (s->source.n > 0 && s->function)
                source_block(&s->source, s->function, low, high, &first, &last);
        if (s->source.n > 0)
                for (size_t i = first; i <= MIN(last, s->source.n); i++)
                        add_line(t, s, i, source_line(&s->source, i));
        else
                last = 0;
        /* Without text, or past its end: what was measured all the same. */
        for (uint64_t line = next_line(s, MIN(last, s->source.n)); line > 0; line = next_line(s, line))
                add_line(t, s, line, NULL);
}

static void warn_newer(const char *what, const struct section *s, const json_t *answer) {
        const json_t *processes = json_object_get(answer, "processes"), *process;
        size_t i;

        json_array_foreach (processes, i, process) {
                if ((int64_t)rows_number(process, "started") < s->source.changed) {
                        output_error(what, "%s: newer than process %llu, its lines may be others", s->file,
                                     (unsigned long long)rows_number(process, "pid"));
                        return;
                }
        }
}

static void read_source(const char *what, struct section *s, const char *typed, const json_t *answer) {
        int r;

        r = source_read(s->file, &s->source);
        if (r == -ENOENT && *s->file != '/' && is_file(typed))
                r = source_read(typed, &s->source); /* a relative name, and the process may be elsewhere */
        if (r < 0)
                output_error(what, "%s: %s; lines without their text", s->file, strerror(-r));
        else
                warn_newer(what, s, answer);
}

static int print_section(struct output *o, struct section *s) {
        _cleanup_buffer_ struct buffer head = {};
        _cleanup_table_ struct table t = {};
        char wall[TEXT_UNITS_MAX];
        int r;

        find_states(s);
        r = make_table(s, &t);
        if (r < 0)
                return r;
        fill_table(&t, s);
        buffer_printf(&head, "%s%s%s, wall %s", s->file, s->function ? ": " : "", s->function ? s->function : "",
                      text_duration(wall, s->whole_ns));
        if (buffer_terminate(&head) < 0)
                return -ENOMEM;
        output_heading(o, head.data);
        fputc('\n', o->f);
        return table_print(&t, o->f, &o->style);
}

/* Whether an earlier row began the same section. */
static bool seen_before(const json_t *rows, size_t index, bool by_file) {
        const json_t *row = json_array_get(rows, index);

        for (size_t i = 0; i < index; i++) {
                const json_t *other = json_array_get(rows, i);

                if (strcmp(rows_string(other, "file"), rows_string(row, "file")) == 0 &&
                    (by_file || strcmp(rows_string(other, "function"), rows_string(row, "function")) == 0))
                        return true;
        }
        return false;
}

static int print_sections(const char *what, struct output *o, const json_t *answer, const char *typed) {
        const json_t *rows = json_object_get(answer, "rows"), *row;
        bool by_file = is_file(typed);
        size_t i, n = 0;
        int r;

        json_array_foreach (rows, i, row) {
                _cleanup_(source_fini) struct source source = {};
                struct section s = {
                                .file = rows_string(row, "file"),
                                .function = by_file ? NULL : rows_string(row, "function"),
                                .rows = rows,
                                .whole_ns = rows_number(json_object_get(answer, "totals"), "wall_ns"),
                };

                if (seen_before(rows, i, by_file))
                        continue;
                read_source(what, &s, typed, answer);
                source = s.source;
                if (n++ > 0)
                        fputc('\n', o->f);
                r = print_section(o, &s);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* `--json` has the source, too: the daemon does not read it. */
static int print_json(const char *what, json_t *answer) {
        json_t *rows = json_object_get(answer, "rows"), *row;
        _cleanup_source_ struct source source = {};
        const char *file = NULL;
        struct output o;
        size_t i;

        json_array_foreach (rows, i, row) {
                const char *text;
                json_t *value;

                if (!file || strcmp(file, rows_string(row, "file")) != 0) {
                        file = rows_string(row, "file");
                        source_fini(&source);
                        (void)source_read(file, &source);
                }
                text = source_line(&source, rows_number(row, "line"));
                value = text ? json_string(text) : NULL; /* NULL: no UTF-8 */
                if (json_object_set_new(row, "text", value ? value : json_null()) < 0)
                        return verb_say_oom(what);
        }
        output_init(&o, stdout, COLOR_NEVER);
        json_dumpf(answer, stdout, JSON_COMPACT);
        fputc('\n', stdout);
        return output_finish(&o, what);
}

int verb_lines(const char *what, struct options *o) {
        _cleanup_session_ struct session s = {};
        _cleanup_buffer_ struct buffer path = {};
        _cleanup_json_ json_t *answer = NULL;
        const char *name = o->arguments[0];
        struct output out;
        int r;

        r = session_open(&s, what, o);
        if (r != STATUS_DONE)
                return r;
        if (session_path(&path, "/v1/lines", o) < 0)
                return verb_say_oom(what);
        if (is_file(name))
                add_file(&path, name);
        else
                client_add_literal(&path, "function", "(^|[.])", name); /* whole, or the end of a qualified name */
        if (buffer_terminate(&path) < 0)
                return verb_say_oom(what);
        r = client_get(s.client, what, path.data, NULL, &answer);
        if (r != STATUS_DONE)
                return r;
        session_warn_history(o, answer);
        if (o->json)
                r = print_json(what, answer);
        if (json_array_size(json_object_get(answer, "rows")) == 0)
                return verb_say_nothing(what);
        if (o->json)
                return r;
        output_init(&out, stdout, o->color);
        if (!o->no_pager)
                output_page(&out);
        if (print_sections(what, &out, answer, name) < 0)
                return verb_say_oom(what);
        return output_finish(&out, what);
}
