/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"
#include "session.h"
#include "text.h"
#include "verb.h"

static const struct table_column columns[] = {
                {.title = "PID", .right = true, .keep = true},
                {.title = "PYTHON"},
                {.title = "BUILD"},
                {.title = "THREADS", .right = true},
                {.title = "UNIT"},
                {.title = "CPU%", .right = true},
                {.title = "WAIT%", .right = true},
                {.title = "COMMAND"},
};

/* A unit, else a container's short id. */
static void add_unit(struct table *t, const json_t *process) {
        const char *unit = rows_string(process, "unit"), *container = rows_string(process, "container");
        char s[13];

        if (!*unit && *container) {
                snprintf(s, sizeof(s), "%s", container);
                unit = s;
        }
        table_add(t, *unit ? unit : "-");
}

static void add_command(struct table *t, const json_t *process) {
        const char *command = rows_string(process, "cmdline"), *reason = rows_string(process, "reason");
        _cleanup_buffer_ struct buffer b = {};

        if (!json_is_true(json_object_get(process, "profiled")))
                buffer_printf(&b, "[not profiled: %s] ", *reason ? reason : "unknown");
        if (*command)
                buffer_add_string(&b, command);
        else
                buffer_printf(&b, "[%s]", rows_string(process, "comm"));
        table_add(t, buffer_terminate(&b) < 0 ? NULL : b.data);
}

/*
 * CPU% is of one CPU and WAIT% of one thread's time: wall is the sum over threads, and its share that was neither on a
 * CPU nor idle waited.
 */
static void add_process(struct table *t, const json_t *process, uint64_t window) {
        uint64_t wall = rows_number(process, "wall_ns"), cpu = rows_number(process, "cpu_ns");
        uint64_t idle = rows_number(process, "idle_ns"), waits = wall > cpu + idle ? wall - cpu - idle : 0;
        const char *python = rows_string(process, "python"), *build = rows_string(process, "build");
        char s[TEXT_UNITS_MAX];

        table_add_number(t, rows_number(process, "pid"));
        table_add(t, *python ? python : "-");
        table_add(t, json_is_true(json_object_get(process, "free_threaded")) ? "free-threaded" : *build ? build : "-");
        table_add_number(t, rows_number(process, "threads"));
        add_unit(t, process);
        table_add(t, text_percent(s, cpu, window));
        table_add(t, text_percent(s, waits, wall));
        add_command(t, process);
}

static int print_processes(struct output *o, const json_t *answer) {
        uint64_t since = rows_number(answer, "since"), until = rows_number(answer, "until");
        const json_t *processes = json_object_get(answer, "processes"), *process;
        _cleanup_table_ struct table t = {};
        size_t i;
        int r;

        r = table_init(&t, columns, ARRAY_SIZE(columns));
        if (r < 0)
                return r;
        json_array_foreach (processes, i, process) {
                uint64_t started = rows_number(process, "started"), from = MAX(since, started);

                add_process(&t, process, until > from ? until - from : 0);
        }
        return table_print(&t, o->f, &o->style);
}

int verb_ps(const char *what, struct options *o) {
        _cleanup_buffer_ struct buffer path = {}, body = {};
        _cleanup_session_ struct session s = {};
        _cleanup_json_ json_t *answer = NULL;
        struct output out;
        bool empty;
        int r;

        r = session_open(&s, what, o);
        if (r != STATUS_DONE)
                return r;
        if (session_path(&path, "/v1/processes", o) < 0 || buffer_terminate(&path) < 0)
                return verb_say_oom(what);
        r = client_get(s.client, what, path.data, &body, &answer);
        if (r != STATUS_DONE)
                return r;
        empty = json_array_size(json_object_get(answer, "processes")) == 0;
        if (o->json) {
                r = verb_print_json(what, &body);
        } else if (!empty) {
                output_init(&out, stdout, o->color);
                if (!o->no_pager)
                        output_page(&out);
                if (print_processes(&out, answer) < 0)
                        return verb_say_oom(what);
                r = output_finish(&out, what);
        }
        if (empty && r == STATUS_DONE) {
                output_error(what, "no Python process");
                return STATUS_NO_MATCH;
        }
        return r;
}
