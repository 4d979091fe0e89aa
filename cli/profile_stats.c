/* SPDX-License-Identifier: Apache-2.0 */
#include "profile_stats.h"

#include <errno.h>
#include <string.h>

#include "rows.h"
#include "text.h"

static const struct table_column columns[] = {
                {.title = "ncalls", .right = true},  {.title = "tottime", .right = true, .keep = true},
                {.title = "percall", .right = true}, {.title = "cumtime", .right = true},
                {.title = "percall", .right = true}, {.title = "filename:lineno(function)", .tail = true},
};

/* How pstats words its keys. */
static const char *order_name(const char *key) {
        static const struct {
                const char *key, *name;
        } names[] = {
                        {"calls", "call count"},
                        {"ncalls", "call count"},
                        {"cumtime", "cumulative time"},
                        {"cumulative", "cumulative time"},
                        {"file", "file name"},
                        {"filename", "file name"},
                        {"module", "file name"},
                        {"line", "line number"},
                        {"name", "function name"},
                        {"nfl", "name/file/line"},
                        {"pcalls", "primitive call count"},
                        {"stdname", "standard name"},
        };

        for (size_t i = 0; key && i < ARRAY_SIZE(names); i++)
                if (strcmp(names[i].key, key) == 0)
                        return names[i].name;
        return "internal time";
}

static void add_seconds(struct table *t, uint64_t ns) {
        char s[32];

        snprintf(s, sizeof(s), "%.3f", (double)ns / 1e9);
        table_add(t, s);
}

/* Calls, and a time divided by them: only where calls were counted. */
static void add_calls(struct table *t, const json_t *row) {
        const json_t *n = json_object_get(row, "ncalls");

        if (json_is_integer(n))
                table_add_number(t, (uint64_t)json_integer_value(n));
        else
                table_add(t, "-");
}

static void add_per_call(struct table *t, const json_t *row, uint64_t ns) {
        uint64_t n = rows_number(row, "ncalls");

        if (n > 0)
                add_seconds(t, ns / n);
        else
                table_add(t, "-");
}

static void add_name(struct table *t, const char *before, const json_t *row) {
        const char *file = rows_string(row, "file");
        _cleanup_buffer_ struct buffer b = {};

        buffer_add_string(&b, before);
        if (*file)
                buffer_printf(&b, "%s:%llu(%s)", file, (unsigned long long)rows_number(row, "line"),
                              rows_string(row, "function"));
        else
                buffer_printf(&b, "{%s}", rows_string(row, "function"));
        table_add(t, buffer_terminate(&b) < 0 ? NULL : b.data);
}

static void add_row(struct table *t, const json_t *row) {
        add_calls(t, row);
        add_seconds(t, rows_number(row, "tottime_ns"));
        add_per_call(t, row, rows_number(row, "tottime_ns"));
        add_seconds(t, rows_number(row, "cumtime_ns"));
        add_per_call(t, row, rows_number(row, "cumtime_ns"));
        add_name(t, "", row);
}

static void add_others(struct table *t, const json_t *others, const char *arrow) {
        const json_t *other;
        size_t i;

        json_array_foreach (others, i, other) {
                add_calls(t, other);
                table_add(t, NULL);
                table_add(t, NULL);
                add_seconds(t, rows_number(other, "cumtime_ns"));
                add_per_call(t, other, rows_number(other, "cumtime_ns"));
                add_name(t, arrow, other);
        }
}

int profile_stats_print(struct output *o, const json_t *answer, const char *sort, bool callers, bool callees) {
        const json_t *totals = json_object_get(answer, "totals"), *rows = json_object_get(answer, "rows"), *row;
        bool cpu = strcmp(rows_string(answer, "clock"), "cpu") == 0;
        uint64_t ns = rows_number(totals, cpu ? "cpu_ns" : "wall_ns"), idle = rows_number(totals, "idle_ns");
        _cleanup_buffer_ struct buffer loss = {};
        _cleanup_table_ struct table t = {};
        size_t i;
        int r;

        r = table_init(&t, columns, ARRAY_SIZE(columns));
        if (r < 0)
                return r;
        json_array_foreach (rows, i, row) {
                add_row(&t, row);
                if (callers)
                        add_others(&t, json_object_get(row, "callers"), "  <- ");
                if (callees)
                        add_others(&t, json_object_get(row, "callees"), "  -> ");
        }
        buffer_printf(&loss, "%zu function%s in %.3f %s seconds, %.3f idle, loss ", json_array_size(rows),
                      json_array_size(rows) == 1 ? "" : "s", (double)ns / 1e9, cpu ? "CPU" : "thread",
                      (double)idle / 1e9);
        rows_loss(&loss, json_object_get(answer, "loss"), 2);
        if (buffer_terminate(&loss) < 0)
                return -ENOMEM;
        output_paragraph(o, loss.data);
        fprintf(o->f, "\nOrdered by: %s\n\n", order_name(sort));
        return table_print(&t, o->f, &o->style);
}
