/* SPDX-License-Identifier: Apache-2.0 */
/* A profile through every format; what is JSON is read back by a parser. */
#include <jansson.h>
#include <string.h>

#include "base/buffer.h"
#include "export/export.h"
#include "export/profile_json.h"

#define CHECK(x) check(x, #x, __LINE__)
#define OFFSET INT64_C(1790000000000000000)

static unsigned checks, failures;

static void check(bool ok, const char *what, int line) {
        checks++;
        if (ok)
                return;
        failures++;
        fprintf(stderr, "test_export.c:%i: %s\n", line, what);
}

static const struct profile_frame handler_stack[] = {
                {"<module>", "/srv/app.py", 90, FRAME_PYTHON},
                {"Server.handle", "/srv/a;b.py", 12, FRAME_PYTHON},
                {"inflate", "libz.so.1", 0, FRAME_NATIVE},
};
static const struct profile_frame main_stack[] = {
                {"<module>", "/srv/app.py", 90, FRAME_PYTHON},
                {"[unknown: lost name]", "", 0, FRAME_PYTHON},
                {"bad\xff\nname", "/srv/\xc3\xa9.py", 3, FRAME_PYTHON},
};

static struct profile_row row(uint32_t pid, uint32_t tid, const struct profile_frame *frames, enum state state,
                              uint64_t ns) {
        struct profile_row r = {
                        .pid = pid,
                        .tid = tid,
                        .started = 5,
                        .comm = "python3",
                        .command = "app.py",
                        .thread = "worker",
                        .frames = frames,
                        .frames_n = 3,
                        .state = (int)state,
                        .wall_ns = ns,
                        .cpu_ns = state_is_cpu(state) ? ns : 0,
                        .samples = 2,
        };

        r.own[state] = r.total[state] = ns;
        return r;
}

/* Two processes; the first has two threads with the same stack. */
static void profile_make(struct profile *p, struct profile_row rows[5]) {
        rows[0] = row(10, 10, handler_stack, STATE_PYTHON, 7000000);
        rows[1] = row(10, 11, handler_stack, STATE_NATIVE, 3000000);
        rows[2] = row(10, 11, handler_stack, STATE_RUNQ, 1500);
        rows[3] = row(20, 20, main_stack, STATE_OTHER, 2000000000);
        rows[4] = row(20, 20, main_stack, STATE_GIL, 400); /* less than a microsecond */
        *p = (struct profile){
                        .since = 1000000000,
                        .until = 3000000000,
                        .oldest = 500000000,
                        .by = BY_PROCESS | BY_THREAD | BY_STACK | BY_STATE,
                        .rows = rows,
                        .rows_n = 5,
                        .processes = 2,
                        .threads = 3,
                        .wall_ns = 2010001900,
                        .cpu_ns = 10000000,
                        .idle_ns = 12,
                        .samples = 10,
                        .loss = {.dropped_events = 4,
                                 .unresolved_frames = 1,
                                 .causes = {{"ring_full", 4}},
                                 .causes_n = 1},
        };
        p->states[STATE_PYTHON] = 7000000;
        p->states[STATE_OTHER] = 2000000000;
}

static json_t *written(const char *format, const struct profile *p) {
        const struct export_format *f = export_format_find(format);
        _cleanup_buffer_ struct buffer b = {};
        json_error_t error;
        json_t *value;

        if (!f || f->write(p, OFFSET, &b) < 0)
                abort();
        CHECK(b.size > 0 && b.data[b.size - 1] == '\n');
        value = json_loadb(b.data, b.size, JSON_REJECT_DUPLICATES, &error);
        if (!value) {
                fprintf(stderr, "%s: %s\n", format, error.text);
                abort();
        }
        return value;
}

static json_t *at(json_t *value, const char *key) {
        return json_object_get(value, key);
}

static bool text_is(json_t *value, const char *expected) {
        return json_is_string(value) && strcmp(json_string_value(value), expected) == 0;
}

static bool integer_is(json_t *value, json_int_t expected) {
        return json_is_integer(value) && json_integer_value(value) == expected;
}

static void test_table(void) {
        CHECK(export_format_find("collapsed") && export_format_find("speedscope") && export_format_find("json"));
        CHECK(!export_format_find("pprof") && !export_format_find(""));
        CHECK(strcmp(export_format_find("json")->content_type, "application/json") == 0);
}

static void test_collapsed(void) {
        static const char handler[] = "<module> (/srv/app.py:90);Server.handle (/srv/a,b.py:12);inflate (libz.so.1)";
        static const char rest[] =
                        "<module> (/srv/app.py:90);[unknown: lost name];bad\xff name (/srv/\xc3\xa9.py:3);[other]";
        char expected[1024];
        struct profile_row rows[5];
        struct profile p;

        profile_make(&p, rows);
        {
                _cleanup_buffer_ struct buffer b = {};

                /* The wait comes before its row's processor time only within one row. */
                snprintf(expected, sizeof(expected),
                         "app.py (10);%s 10000\napp.py (10);%s;[runq] 2\napp.py (20);%s 2000000\n", handler, handler,
                         rest);
                CHECK(export_format_find("collapsed")->write(&p, OFFSET, &b) == 0);
                CHECK(strcmp(b.data, expected) == 0);
        }
        {
                _cleanup_buffer_ struct buffer b = {};

                p.by = BY_STACK;
                p.rows_n = 1;
                rows[0].total[STATE_RUNQ] = 5000;
                snprintf(expected, sizeof(expected), "%s;[runq] 5\n%s 7000\n", handler, handler);
                CHECK(export_format_find("collapsed")->write(&p, OFFSET, &b) == 0);
                CHECK(strcmp(b.data, expected) == 0);
        }
        {
                _cleanup_buffer_ struct buffer b = {};

                p.rows_n = 0;
                CHECK(export_format_find("collapsed")->write(&p, OFFSET, &b) == 0 && b.size == 0);
        }
}

/* What the schema demands of a file with sampled profiles. */
static void speedscope_check(json_t *file, size_t profiles_n, json_int_t sum) {
        json_t *frames = at(at(file, "shared"), "frames"), *profiles = at(file, "profiles");
        json_t *value, *sample, *index;
        json_int_t total = 0;
        size_t i, j, k;

        CHECK(text_is(at(file, "$schema"), "https://www.speedscope.app/file-format-schema.json"));
        CHECK(json_is_array(frames) && json_array_size(profiles) == profiles_n);
        json_array_foreach (frames, i, value) {
                CHECK(json_is_string(at(value, "name")));
                CHECK(!at(value, "line") || json_integer_value(at(value, "line")) > 0);
        }
        json_array_foreach (profiles, i, value) {
                json_t *samples = at(value, "samples"), *weights = at(value, "weights");
                json_int_t weight = 0;

                CHECK(text_is(at(value, "type"), "sampled") && text_is(at(value, "unit"), "nanoseconds"));
                CHECK(json_is_string(at(value, "name")) && integer_is(at(value, "startValue"), 0));
                CHECK(json_is_array(samples) && json_array_size(samples) == json_array_size(weights));
                json_array_foreach (samples, j, sample) {
                        weight += json_integer_value(json_array_get(weights, j));
                        json_array_foreach (sample, k, index)
                                CHECK(json_is_integer(index) && json_integer_value(index) >= 0 &&
                                      (size_t)json_integer_value(index) < json_array_size(frames));
                }
                CHECK(integer_is(at(value, "endValue"), weight));
                total += weight;
        }
        CHECK(total == sum);
}

static void test_speedscope(void) {
        struct profile_row rows[5];
        struct profile p;
        json_t *file, *frames, *first;

        profile_make(&p, rows);
        file = written("speedscope", &p);
        speedscope_check(file, 3, 2010001900);
        frames = at(at(file, "shared"), "frames");
        CHECK(json_array_size(frames) == 8); /* 5 of the stacks, [runq], [other], [gil] */
        CHECK(text_is(at(json_array_get(frames, 1), "name"), "Server.handle"));
        CHECK(text_is(at(json_array_get(frames, 1), "file"), "/srv/a;b.py"));
        CHECK(integer_is(at(json_array_get(frames, 1), "line"), 12));
        first = json_array_get(at(file, "profiles"), 0);
        CHECK(text_is(at(first, "name"), "app.py (10) worker (10)"));
        CHECK(json_array_size(json_array_get(at(first, "samples"), 0)) == 3);
        CHECK(integer_is(json_array_get(json_array_get(at(first, "samples"), 0), 0), 0)); /* root first */
        json_decref(file);

        p.by = BY_STACK | BY_STATE;
        file = written("speedscope", &p);
        speedscope_check(file, 1, 2010001900);
        json_decref(file);
        p.rows_n = 0;
        file = written("speedscope", &p);
        speedscope_check(file, 1, 0);
        json_decref(file);
}

static void test_json(void) {
        struct profile_detail details[] = {{STATE_OTHER, "futex", 1999}, {STATE_OTHER, "other", 1}};
        struct profile_row rows[5];
        struct profile p;
        json_t *file, *r, *key, *frame;

        profile_make(&p, rows);
        rows[3].waits = (struct profile_waits){3, 10, 20, 30, 40};
        rows[3].details = details;
        rows[3].details_n = 2;
        file = written("json", &p);
        CHECK(integer_is(at(file, "version"), 1));
        CHECK(integer_is(at(file, "since"), OFFSET + 1000000000) && integer_is(at(file, "until"), OFFSET + 3000000000));
        CHECK(json_array_size(at(file, "by")) == 4 && text_is(json_array_get(at(file, "by"), 0), "process"));
        CHECK(json_array_size(at(file, "rows")) == 5);
        r = json_array_get(at(file, "rows"), 3);
        key = at(r, "key");
        CHECK(integer_is(at(key, "pid"), 20) && integer_is(at(key, "tid"), 20) && text_is(at(key, "state"), "other"));
        CHECK(integer_is(at(key, "started"), OFFSET + 5) && text_is(at(key, "thread"), "worker"));
        CHECK(text_is(at(key, "comm"), "python3") && text_is(at(key, "command"), "app.py"));
        CHECK(!at(key, "unit") && !at(key, "function") && !at(key, "since"));
        frame = json_array_get(at(key, "stack"), 2);
        CHECK(text_is(at(frame, "function"), "bad\xef\xbf\xbd\nname") &&
              text_is(at(frame, "file"), "/srv/\xc3\xa9.py"));
        CHECK(integer_is(at(frame, "line"), 3) && text_is(at(frame, "kind"), "python"));
        CHECK(integer_is(at(r, "wall_ns"), 2000000000) && integer_is(at(r, "cpu_ns"), 0));
        CHECK(integer_is(at(at(r, "own"), "other"), 2000000000) && json_object_size(at(r, "total")) == 1);
        CHECK(integer_is(at(at(r, "waits"), "count"), 3) && integer_is(at(at(r, "waits"), "max_ns"), 40));
        CHECK(integer_is(at(at(r, "waits"), "p50_ns"), 10) && integer_is(at(at(r, "waits"), "p99_ns"), 30));
        CHECK(json_array_size(at(r, "detail")) == 2);
        CHECK(text_is(at(json_array_get(at(r, "detail"), 0), "detail"), "futex"));
        CHECK(integer_is(at(json_array_get(at(r, "detail"), 0), "ns"), 1999));
        CHECK(integer_is(at(at(file, "totals"), "wall_ns"), 2010001900) &&
              integer_is(at(at(file, "totals"), "idle_ns"), 12));
        CHECK(integer_is(at(at(at(file, "totals"), "states"), "python"), 7000000));
        CHECK(integer_is(at(at(file, "loss"), "dropped_events"), 4));
        CHECK(integer_is(at(at(file, "loss"), "unresolved_frames"), 1));
        CHECK(integer_is(at(at(at(file, "loss"), "causes"), "ring_full"), 4));
        json_decref(file);
}

/* A key holds what `by` names and nothing else. */
static void test_keys(void) {
        static const struct {
                unsigned by;
                const char *keys[8];
        } cases[] = {
                        {BY_FUNCTION, {"function", "file", "line"}},
                        {BY_LINE, {"function", "file", "line"}},
                        {BY_PROCESS, {"pid", "started", "comm", "command"}},
                        {BY_THREAD, {"pid", "started", "comm", "command", "tid", "thread"}},
                        {BY_STACK, {"stack"}},
                        {BY_UNIT, {"unit"}},
                        {BY_CONTAINER, {"container"}},
                        {BY_COMMAND, {"command"}},
                        {BY_STATE, {"state"}},
                        {BY_PEER, {"peer"}},
                        {BY_WAKER, {"waker"}},
                        {BY_WINDOW, {"since"}},
        };
        struct profile_row rows[5];
        struct profile p;

        profile_make(&p, rows);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                json_t *file, *r;
                size_t n = 0;

                p.by = cases[i].by;
                file = profile_to_json(&p, OFFSET);
                r = json_array_get(at(file, "rows"), 0);
                for (; n < ARRAY_SIZE(cases[i].keys) && cases[i].keys[n]; n++)
                        check(at(at(r, "key"), cases[i].keys[n]), cases[i].keys[n], __LINE__);
                CHECK(json_object_size(at(r, "key")) == n);
                CHECK(!!at(r, "own") == !!(cases[i].by & BY_FRAMES));
                json_decref(file);
        }
}

static void test_text(void) {
        static const char *const pairs[][2] = {
                        {"plain", "plain"},
                        {"\xf0\x9f\x99\x80", "\xf0\x9f\x99\x80"},
                        {"\xff", "\xef\xbf\xbd"},
                        {"a\xc3", "a\xef\xbf\xbd"},
                        {"\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"}, /* a surrogate */
                        {"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},                 /* overlong */
                        {"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
                        {"\xff\xe2\x82\xac\xe2\x82", "\xef\xbf\xbd\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd"},
                        {"", ""},
                        {NULL, ""},
        };

        for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
                json_t *value = text_to_json(pairs[i][0]);

                check(text_is(value, pairs[i][1]), pairs[i][1], __LINE__);
                json_decref(value);
        }
}

int main(void) {
        test_table();
        test_collapsed();
        test_speedscope();
        test_json();
        test_keys();
        test_text();
        printf("%s export: %u checks, %u failed\n", failures ? "FAILED" : "ok", checks, failures);
        return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
