/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "rows.h"
#include "session.h"
#include "text.h"
#include "verb.h"
#include "when.h"

/* `name: text`, wrapped. */
static void print_line(struct output *o, const char *name, struct buffer *text) {
        _cleanup_buffer_ struct buffer b = {};

        if (buffer_terminate(text) < 0)
                return;
        buffer_printf(&b, "%s: %s", name, text->data);
        if (buffer_terminate(&b) == 0)
                output_paragraph(o, b.data);
}

static void print_daemon(struct output *o, const json_t *answer) {
        const json_t *daemon = json_object_get(answer, "daemon"), *kernel = json_object_get(answer, "kernel");
        char up[TEXT_UNITS_MAX], cpu[TEXT_UNITS_MAX], rss[TEXT_UNITS_MAX];
        _cleanup_buffer_ struct buffer b = {};

        buffer_printf(&b, "version %s, pid %" PRIu64 ", up %s, CPU %s, memory %s, kernel %s",
                      rows_string(daemon, "version"), rows_number(daemon, "pid"),
                      text_duration(up, rows_number(daemon, "uptime_ns")),
                      text_duration(cpu, rows_number(daemon, "cpu_ns")),
                      text_bytes(rss, rows_number(daemon, "rss_bytes")), rows_string(kernel, "release"));
        print_line(o, "daemon", &b);
}

static void print_followed(struct output *o, const json_t *answer) {
        const json_t *followed = json_object_get(answer, "followed"), *history = json_object_get(answer, "history");
        uint64_t oldest = rows_number(history, "oldest"), now = (uint64_t)when_now();
        char span[TEXT_UNITS_MAX], bytes[TEXT_UNITS_MAX];
        _cleanup_buffer_ struct buffer b = {}, c = {};

        buffer_printf(&b, "%" PRIu64 " processes, %" PRIu64 " threads", rows_number(followed, "processes"),
                      rows_number(followed, "threads"));
        print_line(o, "followed", &b);
        if (oldest > 0)
                buffer_printf(&c, "the last %s, ", text_duration(span, now > oldest ? now - oldest : 0));
        buffer_printf(&c, "%s", text_bytes(bytes, rows_number(history, "bytes")));
        print_line(o, "history", &c);
}

static void print_budget(struct output *o, const json_t *answer) {
        const json_t *budget = json_object_get(answer, "budget"), *setting = json_object_get(budget, "setting");
        _cleanup_buffer_ struct buffer b = {};

        buffer_printf(&b, "%.2f%% of the machine's CPU used, limit %.2f%%",
                      json_number_value(json_object_get(budget, "cost")),
                      json_number_value(json_object_get(budget, "limit")));
        if (json_is_string(setting) && *json_string_value(setting))
                buffer_printf(&b, ", %s", json_string_value(setting));
        print_line(o, "budget", &b);
}

static void print_loss(struct output *o, const json_t *answer) {
        uint64_t records = rows_number(json_object_get(answer, "bpf"), "records");
        _cleanup_buffer_ struct buffer b = {}, c = {};

        if (records > 0) {
                buffer_printf(&b, "%" PRIu64, records);
                print_line(o, "events", &b);
        }
        rows_loss(&c, json_object_get(answer, "loss"), SIZE_MAX - 1);
        print_line(o, "loss", &c);
}

static void print_features(struct output *o, const json_t *answer) {
        json_t *features = json_object_get(json_object_get(answer, "kernel"), "features"), *feature;
        const char *name;

        json_object_foreach (features, name, feature) {
                bool ok = json_is_true(json_object_get(feature, "ok"));
                const char *why = rows_string(feature, "why");
                _cleanup_buffer_ struct buffer b = {};

                buffer_printf(&b, "%s%s%s", ok ? "used" : "missing", *why ? ": " : "", why);
                print_line(o, name, &b);
        }
}

static int print_programs(struct output *o, const json_t *answer) {
        static const struct table_column columns[] = {
                        {.title = "RUNS", .right = true},
                        {.title = "TIME", .right = true},
                        {.title = "EACH", .right = true, .keep = true},
                        {.title = "BPF PROGRAM"},
        };
        const json_t *programs = json_object_get(json_object_get(answer, "bpf"), "programs"), *program;
        _cleanup_table_ struct table t = {};
        size_t i;
        int r;

        if (json_array_size(programs) == 0)
                return 0;
        r = table_init(&t, columns, ARRAY_SIZE(columns));
        if (r < 0)
                return r;
        json_array_foreach (programs, i, program) {
                uint64_t runs = rows_number(program, "runs"), ns = rows_number(program, "ns");

                table_add_number(&t, runs);
                table_add_duration(&t, ns);
                table_add_duration(&t, runs ? ns / runs : 0);
                table_add(&t, rows_string(program, "name"));
        }
        fputc('\n', o->f);
        return table_print(&t, o->f, &o->style);
}

int verb_status(const char *what, struct options *o) {
        _cleanup_session_ struct session s = {};
        _cleanup_json_ json_t *answer = NULL;
        _cleanup_buffer_ struct buffer body = {};
        struct output out;
        int r;

        r = session_open(&s, what, o);
        if (r != STATUS_DONE)
                return r;
        r = client_get(s.client, what, "/v1/status", &body, &answer);
        if (r != STATUS_DONE)
                return r;
        if (o->json)
                return verb_print_json(what, &body);
        output_init(&out, stdout, o->color);
        if (!o->no_pager)
                output_page(&out);
        print_daemon(&out, answer);
        print_followed(&out, answer);
        print_budget(&out, answer);
        print_loss(&out, answer);
        fputc('\n', out.f);
        print_features(&out, answer);
        if (print_programs(&out, answer) < 0)
                return verb_say_oom(what);
        return output_finish(&out, what);
}
