/* SPDX-License-Identifier: Apache-2.0 */
/* Records as BPF makes them, through resolve, to stacks of functions and lines. */
#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "intern.h"
#include "resolve.h"

#define CHECK(x) check(x, #x, __LINE__)

static unsigned checks, failures;

static void check(bool ok, const char *what, int line) {
        checks++;
        if (ok)
                return;
        failures++;
        fprintf(stderr, "test_resolve.c:%i: %s\n", line, what);
}

/* co_linetable of CPython 3.11 for a function on lines 3-8: offsets 0: 3, 2: 4, 12: 5, 46: 6, 84: 8. */
static const uint8_t table_311[] = {
                0x80, 0x00, 0xd8, 0x08, 0x09, 0x88, 0x41, 0x89, 0x05, 0x80, 0x41, 0xdd, 0x0d, 0x12,
                0x90, 0x31, 0x89, 0x58, 0x8c, 0x58, 0xf0, 0x00, 0x01, 0x05, 0x16, 0xf0, 0x00, 0x01,
                0x05, 0x16, 0x88, 0x01, 0xd8, 0x08, 0x09, 0x8d, 0x55, 0x90, 0x31, 0x89, 0x58, 0x8c,
                0x58, 0x89, 0x0d, 0x88, 0x01, 0x88, 0x01, 0xe0, 0x0b, 0x0c, 0x80, 0x48,
};
/* co_lnotab of CPython 3.9 for the same: 0: 4, 8: 5, 20: 6, 34: 8. */
static const uint8_t table_39[] = {0x00, 0x01, 0x08, 0x01, 0x0c, 0x01, 0x0e, 0x02};

struct fixture {
        struct resolve *resolve;
        struct image image, image_39;
        struct followed_process process, other;
        unsigned fetches;
        const char *fetch_name; /* NULL: the process is gone */
        int fetch_line;
};

static int fetch(void *userdata, const struct followed_process *p, uint64_t code, struct remote_code *ret) {
        struct fixture *f = userdata;

        f->fetches++;
        if (!f->fetch_name)
                return -ESRCH;
        *ret = (struct remote_code){
                        .name = strdup(f->fetch_name),
                        .filename = strdup("/srv/fetched.py"),
                        .firstlineno = f->fetch_line,
                        .table = malloc(sizeof(table_311)),
                        .table_size = sizeof(table_311),
        };
        memcpy(ret->table, table_311, sizeof(table_311));
        return 0;
}

static void fixture_init_bounded(struct fixture *f, uint64_t memory_max) {
        *f = (struct fixture){
                        .image.number = 0x030b,
                        .image_39.number = 0x0309,
                        .process = {.refs = 1, .pid = 100, .scope = 7},
                        .other = {.refs = 1, .pid = 101, .scope = 8},
        };
        f->process.image = f->other.image = &f->image;
        if (resolve_new(fetch, f, memory_max, &f->resolve) < 0)
                abort();
}

static void fixture_init(struct fixture *f) {
        fixture_init_bounded(f, 64 << 20);
}

static void fixture_fini(struct fixture *f) {
        resolve_free(f->resolve);
}

struct code_text {
        const void *name, *qualname, *filename;
        uint16_t name_size, qualname_size, filename_size;
        uint8_t name_kind, qualname_kind, filename_kind;
        const uint8_t *table;
        uint32_t table_size;
};

#define TEXT(n, q, file)                                                                                              \
        (struct code_text) {                                                                                          \
                .name = n, .name_size = sizeof(n) - 1, .name_kind = 1, .qualname = q, .qualname_size = sizeof(q) - 1, \
                .qualname_kind = 1, .filename = file, .filename_size = sizeof(file) - 1, .filename_kind = 1,          \
                .table = table_311, .table_size = sizeof(table_311),                                                  \
        }

/* The record in a block of exactly its size, so that a sanitizer sees a read past it. */
static struct event_code *code_record(uint64_t code, uint64_t fingerprint, struct code_text t, uint16_t flags) {
        size_t size = sizeof(struct event_code) + t.name_size + t.qualname_size + t.filename_size + t.table_size;
        struct event_code *e = calloc(1, size);
        uint8_t *data;

        if (!e)
                abort();
        *e = (struct event_code){
                        .event = {.size = size, .kind = EVENT_CODE, .flags = flags},
                        .code = code,
                        .fingerprint = fingerprint,
                        .firstlineno = 3,
                        .table_size = t.table_size,
                        .name_size = t.name_size,
                        .qualname_size = t.qualname_size,
                        .filename_size = t.filename_size,
                        .name_kind = t.name_kind,
                        .qualname_kind = t.qualname_kind,
                        .filename_kind = t.filename_kind,
        };
        data = mempcpy(e + 1, t.name ?: "", t.name_size);
        data = mempcpy(data, t.qualname ?: "", t.qualname_size);
        data = mempcpy(data, t.filename ?: "", t.filename_size);
        memcpy(data, t.table ?: (const uint8_t *)"", t.table_size);
        return e;
}

static int send_code(struct fixture *f, struct followed_process *p, uint64_t code, uint64_t fingerprint,
                     struct code_text t, uint16_t flags) {
        _cleanup_free_ struct event_code *e = code_record(code, fingerprint, t, flags);

        return resolve_code(f->resolve, p, e, e->event.size);
}

static int send_stack(struct fixture *f, struct followed_process *p, uint64_t hash, const struct event_frame *frames,
                      uint32_t n, uint16_t flags) {
        size_t size = sizeof(struct event_stack) + n * sizeof(*frames);
        _cleanup_free_ struct event_stack *e = calloc(1, size);

        if (!e)
                abort();
        e->event = (struct event){.size = size, .kind = EVENT_STACK, .flags = flags};
        e->stack = hash;
        e->frames_n = n;
        memcpy(e->frames, frames, n * sizeof(*frames));
        return resolve_stack(f->resolve, p, e, size);
}

static struct stack *lookup(struct fixture *f, struct followed_process *p, uint64_t hash, bool missing_expected) {
        bool missing = !missing_expected;
        struct stack *s = resolve_lookup(f->resolve, p, hash, 0, &missing);

        if (!s)
                abort();
        CHECK(missing == missing_expected);
        return s;
}

static bool location_is(const struct stack *s, uint32_t n, const char *name, const char *file, int line) {
        if (n >= s->locations_n)
                return false;
        return strcmp(s->locations[n].function->name, name) == 0 && strcmp(s->locations[n].function->file, file) == 0 &&
               s->locations[n].line == line;
}

static void test_names_and_lines(void) {
        static const struct event_frame frames[] = {{0x1000, 46, 0}, {0x2000, 2, 0}, {0x1000, -1, 0}};
        _cleanup_(fixture_fini) struct fixture f;
        struct resolve_counters counters;
        struct stack *s, *same;

        fixture_init(&f);
        CHECK(send_code(&f, &f.process, 0x1000, 1, TEXT("get", "Queue.get", "/srv/app.py"), 0) == 0);
        CHECK(send_code(&f, &f.process, 0x2000, 2, TEXT("main", "", "/srv/app.py"), 0) == 0);
        CHECK(send_stack(&f, &f.process, 77, frames, 3, 0) == 0);

        s = lookup(&f, &f.process, 77, false);
        CHECK(s->resolved && !s->truncated && !s->incomplete && !s->idle && s->unknown_n == 0);
        CHECK(s->locations_n == 3);
        CHECK(location_is(s, 0, "Queue.get", "/srv/app.py", 6));
        CHECK(location_is(s, 1, "main", "/srv/app.py", 4));
        CHECK(location_is(s, 2, "Queue.get", "/srv/app.py", 3));
        CHECK(s->locations[0].function->line == 3);
        CHECK(s->locations[0].function == s->locations[2].function);

        /* The same code in another process, at other addresses, is the same stack. */
        CHECK(send_code(&f, &f.other, 0x9000, 1, TEXT("get", "Queue.get", "/srv/app.py"), 0) == 0);
        CHECK(send_code(&f, &f.other, 0xa000, 2, TEXT("main", "", "/srv/app.py"), 0) == 0);
        CHECK(send_stack(&f, &f.other, 78, (struct event_frame[]){{0x9000, 46, 0}, {0xa000, 2, 0}, {0x9000, -1, 0}}, 3,
                         0) == 0);
        same = lookup(&f, &f.other, 78, false);
        CHECK(same == s);
        stack_unref(same);

        /* Hashes are a process's own. */
        same = lookup(&f, &f.other, 77, true);
        CHECK(same != s && !same->resolved);
        stack_unref(same);

        resolve_counters(f.resolve, &counters);
        CHECK(counters.codes == 4 && counters.stacks == 2 && counters.tables_bad == 0 && counters.stacks_missing == 1);
        CHECK(f.fetches == 0);

        /* What the history holds outlives resolve. */
        resolve_process_gone(f.resolve, &f.process);
        resolve_free(TAKE_PTR(f.resolve));
        CHECK(location_is(s, 0, "Queue.get", "/srv/app.py", 6));
        stack_unref(s);
}

static void test_older_python(void) {
        static const struct event_frame frames[] = {{0x1000, 20, 0}, {0x1000, 34, 0}};
        struct code_text text = TEXT("outer", "", "/srv/app.py");
        _cleanup_(fixture_fini) struct fixture f;
        struct stack *s;

        fixture_init(&f);
        text.table = table_39;
        text.table_size = sizeof(table_39);
        f.process.image = &f.image_39;
        CHECK(send_code(&f, &f.process, 0x1000, 1, text, 0) == 0);
        CHECK(send_stack(&f, &f.process, 1, frames, 2, 0) == 0);
        s = lookup(&f, &f.process, 1, false);
        CHECK(location_is(s, 0, "outer", "/srv/app.py", 6));
        CHECK(location_is(s, 1, "outer", "/srv/app.py", 8));
        stack_unref(s);

        /* Of an unknown version nothing is known but the first line. */
        f.process.image = NULL;
        CHECK(send_stack(&f, &f.process, 2, frames, 2, 0) == 0);
        s = lookup(&f, &f.process, 2, false);
        CHECK(location_is(s, 0, "outer", "/srv/app.py", 3));
        stack_unref(s);
}

static void test_string_kinds(void) {
        static const uint8_t ucs2[] = {0x16, 0x04, 0x38, 0x04}, ucs4[] = {0x40, 0xf6, 0x01, 0x00};
        struct code_text text = {
                        .name = ucs2,
                        .name_size = 4,
                        .name_kind = 2,
                        .filename = ucs4,
                        .filename_size = 4,
                        .filename_kind = 4,
        };
        _cleanup_(fixture_fini) struct fixture f;
        struct stack *s;

        fixture_init(&f);
        CHECK(send_code(&f, &f.process, 0x1000, 1, text, 0) == 0);
        CHECK(send_code(&f, &f.process, 0x2000, 1, TEXT("caf\xe9", "", "x.py"), 0) == 0);
        CHECK(send_stack(&f, &f.process, 1, (struct event_frame[]){{0x1000, 0, 0}, {0x2000, 0, 0}}, 2, 0) == 0);
        s = lookup(&f, &f.process, 1, false);
        CHECK(location_is(s, 0, "Жи", "\xf0\x9f\x99\x80", 3)); /* no table: the first line */
        CHECK(location_is(s, 1, "café", "x.py", 3));
        stack_unref(s);
        text.name_kind = 3;
        CHECK(send_code(&f, &f.process, 0x3000, 1, text, 0) == -EBADMSG);
}

static void test_placeholder(void) {
        static const struct event_frame frames[] = {{0x1000, 46, 0}};
        _cleanup_(fixture_fini) struct fixture f;
        struct resolve_counters counters;
        struct stack *early, *late;
        uint64_t id;

        fixture_init(&f);
        early = lookup(&f, &f.process, 5, true);
        id = early->id;
        CHECK(!early->resolved && early->unknown_n == 1 && location_is(early, 0, "[unknown: lost stack]", "", 0));
        late = lookup(&f, &f.process, 5, true);
        CHECK(late == early);
        stack_unref(late);

        CHECK(send_code(&f, &f.process, 0x1000, 1, TEXT("f", "", "f.py"), 0) == 0);
        CHECK(send_stack(&f, &f.process, 5, frames, 1, 0) == 0);
        late = lookup(&f, &f.process, 5, false);
        CHECK(late == early && early->resolved && early->id == id && early->unknown_n == 0);
        CHECK(location_is(early, 0, "f", "f.py", 6));
        stack_unref(late);

        /* Sent once more, and under another hash: still the one. */
        CHECK(send_stack(&f, &f.process, 5, frames, 1, 0) == 0);
        CHECK(send_stack(&f, &f.process, 6, frames, 1, 0) == 0);
        late = lookup(&f, &f.process, 6, false);
        CHECK(late == early);
        stack_unref(late);
        stack_unref(early);
        resolve_counters(f.resolve, &counters);
        CHECK(counters.stacks_missing == 1 && counters.stacks_late == 1);
}

static void test_no_frames(void) {
        _cleanup_(fixture_fini) struct fixture f;
        bool missing = true;
        struct stack *a, *b;

        fixture_init(&f);
        a = resolve_lookup(f.resolve, &f.process, 0, EVENT_STACK_NONE, &missing);
        b = resolve_lookup(f.resolve, &f.other, 0, EVENT_STACK_NONE, &missing);
        CHECK(a == b && !missing && a->resolved && location_is(a, 0, "[no Python frame]", "", 0));
        stack_unref(a);
        stack_unref(b);
        a = resolve_lookup(f.resolve, &f.process, 0, EVENT_STACK_SKIPPED, &missing);
        CHECK(location_is(a, 0, "[unsampled]", "", 0) && a->unknown_n == 0);
        stack_unref(a);
}

static void test_flags(void) {
        static const struct event_frame frames[] = {{0x1000, 46, 0}, {0, 0, 0}};
        _cleanup_(fixture_fini) struct fixture f;
        struct stack *s;

        fixture_init(&f);
        CHECK(send_code(&f, &f.process, 0x1000, 1, TEXT("f", "", "f.py"), 0) == 0);
        CHECK(send_stack(&f, &f.process, 1, frames, 1, EVENT_STACK_TRUNCATED) == 0);
        s = lookup(&f, &f.process, 1, false);
        CHECK(s->truncated && !s->incomplete && s->locations_n == 2 && s->unknown_n == 0);
        CHECK(location_is(s, 1, "[truncated]", "", 0));
        stack_unref(s);

        CHECK(send_stack(&f, &f.process, 2, frames, 2, EVENT_STACK_INCOMPLETE) == 0);
        s = lookup(&f, &f.process, 2, false);
        CHECK(!s->truncated && s->incomplete && s->locations_n == 2 && s->unknown_n == 1);
        CHECK(location_is(s, 1, "[unknown: unreadable frame]", "", 0) && s->locations[1].function->unknown);
        stack_unref(s);
}

static void test_fetch(void) {
        static const struct event_frame frames[] = {{0x1000, 46, 0}, {0x2000, 2, 0}};
        struct code_text cut = TEXT("a_very_lo", "", "/srv/app.py"), empty = {};
        _cleanup_(fixture_fini) struct fixture f;
        struct resolve_counters counters;
        struct stack *s;

        fixture_init(&f);
        f.fetch_name = "a_very_long_name";
        f.fetch_line = 3;
        CHECK(send_code(&f, &f.process, 0x1000, 1, cut, EVENT_CODE_INCOMPLETE) == 0);
        CHECK(f.fetches == 1);
        CHECK(send_stack(&f, &f.process, 1, frames, 2, 0) == 0); /* 0x2000 was never sent */
        CHECK(f.fetches == 2);
        s = lookup(&f, &f.process, 1, false);
        CHECK(location_is(s, 0, "a_very_long_name", "/srv/fetched.py", 6));
        CHECK(location_is(s, 1, "a_very_long_name", "/srv/fetched.py", 4));
        stack_unref(s);

        /* Another code object lives there by now: what BPF sent is better. */
        f.fetch_line = 9;
        CHECK(send_code(&f, &f.process, 0x3000, 1, cut, EVENT_CODE_INCOMPLETE) == 0);
        f.fetch_name = NULL;
        cut.table_size = 0;
        CHECK(send_code(&f, &f.process, 0x4000, 1, cut, EVENT_CODE_INCOMPLETE) == 0);
        CHECK(send_code(&f, &f.process, 0x5000, 1, empty, EVENT_CODE_INCOMPLETE) == 0);
        CHECK(send_stack(&f, &f.process, 2,
                         (struct event_frame[]){{0x3000, 46, 0}, {0x4000, 46, 0}, {0x5000, 0, 0}, {0x6000, 0, 0}}, 4,
                         0) == 0);
        s = lookup(&f, &f.process, 2, false);
        CHECK(location_is(s, 0, "a_very_lo", "/srv/app.py", 6));
        CHECK(location_is(s, 1, "a_very_lo", "/srv/app.py", 3));
        CHECK(location_is(s, 2, "[unknown: unreadable code]", "", 3));
        CHECK(location_is(s, 3, "[unknown: lost name]", "", 0));
        CHECK(s->unknown_n == 2);
        stack_unref(s);

        resolve_counters(f.resolve, &counters);
        CHECK(counters.codes_fetched == 3 && counters.codes_unreadable == 3);
        CHECK(counters.codes_missing == 1 && counters.tables_bad == 2);
}

static int send_code_at(struct fixture *f, uint64_t time, uint64_t fingerprint, const char *name) {
        struct code_text t = {.name = name,
                              .name_size = (uint16_t)strlen(name),
                              .name_kind = 1,
                              .table = table_311,
                              .table_size = sizeof(table_311)};
        _cleanup_free_ struct event_code *e = code_record(0x1000, fingerprint, t, 0);

        e->event.time = time;
        return resolve_code(f->resolve, &f->process, e, e->event.size);
}

/* The name that a frame of `version` gets in a stack walked at `time`. */
static void check_reused(struct fixture *f, uint64_t time, uint32_t version, const char *name) {
        union {
                struct event_stack stack;
                uint8_t bytes[sizeof(struct event_stack) + sizeof(struct event_frame)];
        } u = {.stack = {.event = {.size = sizeof(u), .time = time}, .stack = 99, .frames_n = 1}};
        struct stack *s;

        u.stack.frames[0] = (struct event_frame){0x1000, 2, version};
        CHECK(resolve_stack(f->resolve, &f->process, &u.stack, sizeof(u)) == 0);
        s = lookup(f, &f->process, 99, false);
        CHECK(location_is(s, 0, name, "", 4));
        stack_unref(s);
}

static void test_reuse(void) {
        _cleanup_(fixture_fini) struct fixture f;

        fixture_init(&f);
        CHECK(send_code_at(&f, 10, 1, "first") == 0);
        CHECK(send_code_at(&f, 15, 1, "first") == 0); /* once more: no other code object */
        check_reused(&f, 15, 0, "first");
        CHECK(send_code_at(&f, 20, 2, "second") == 0);
        check_reused(&f, 19, 0, "first"); /* overtaken by the other CPU's record */
        check_reused(&f, 20, 1, "second");
        check_reused(&f, 25, 0, "second"); /* BPF forgot the address and counts from 0 again */
        check_reused(&f, 25, 7, "second");
        CHECK(send_code_at(&f, 30, 3, "third") == 0);
        check_reused(&f, 29, 1, "second");
        check_reused(&f, 29, 0, "third"); /* two generations are kept */
        check_reused(&f, 30, 2, "third");
        CHECK(send_code_at(&f, 40, 3, "third") == 0);
        check_reused(&f, 39, 1, "third");
}

static void test_user_frames(void) {
        static const struct event_frame frames[] = {{0x1000, 84, 0}};
        _cleanup_(fixture_fini) struct fixture f;
        uint64_t hash = 0, again = 0, cut = 0;
        struct stack *s;

        fixture_init(&f);
        CHECK(send_code(&f, &f.process, 0x1000, 1, TEXT("old", "", "f.py"), 0) == 0);
        CHECK(resolve_frames(f.resolve, &f.process, frames, 1, 0, &hash) == 0 && hash != 0);
        CHECK(send_code(&f, &f.process, 0x1000, 2, TEXT("new", "", "f.py"), 0) == 0);
        CHECK(resolve_frames(f.resolve, &f.process, frames, 1, 0, &again) == 0 && again == hash);
        s = lookup(&f, &f.process, hash, false);
        CHECK(location_is(s, 0, "new", "f.py", 8)); /* what was read just now is the newest */
        stack_unref(s);
        CHECK(resolve_frames(f.resolve, &f.process, frames, 1, EVENT_STACK_TRUNCATED, &cut) == 0 && cut != hash);
}

/* Every size and count may lie. */
static void test_lies(void) {
        _cleanup_free_ struct event_code *e = code_record(0x1000, 1, TEXT("name", "", "file.py"), 0);
        _cleanup_(fixture_fini) struct fixture f;
        struct event_stack stack = {.event.size = sizeof(stack), .stack = 1};
        struct event_code bad;
        uint32_t size = e->event.size;

        fixture_init(&f);
        for (uint32_t cut = 0; cut < size; cut++) {
                struct event_code *copy = malloc(cut ?: 1);

                memcpy(copy, e, cut);
                CHECK(resolve_code(f.resolve, &f.process, copy, cut) == -EBADMSG);
                free(copy);
        }
        for (uint32_t claim = 0; claim < size; claim++) {
                e->event.size = claim;
                CHECK(resolve_code(f.resolve, &f.process, e, size) == -EBADMSG);
        }
        e->event.size = size;
        bad = *e;
        e->table_size = UINT32_MAX;
        CHECK(resolve_code(f.resolve, &f.process, e, size) == -EBADMSG);
        *e = bad;
        e->filename_size = UINT16_MAX;
        CHECK(resolve_code(f.resolve, &f.process, e, size) == -EBADMSG);
        *e = bad;
        CHECK(resolve_code(f.resolve, &f.process, e, size) == 0);

        stack.frames_n = 1;
        CHECK(resolve_stack(f.resolve, &f.process, &stack, sizeof(stack)) == -EBADMSG);
        stack.frames_n = UINT32_MAX;
        CHECK(resolve_stack(f.resolve, &f.process, &stack, sizeof(stack)) == -EBADMSG);
        stack.frames_n = 0;
        CHECK(resolve_stack(f.resolve, &f.process, &stack, sizeof(stack) - 1) == -EBADMSG);
        CHECK(resolve_stack(f.resolve, &f.process, &stack, sizeof(stack)) == 0);
        stack.stack = 0;
        CHECK(resolve_stack(f.resolve, &f.process, &stack, sizeof(stack)) == -EBADMSG);
}

static void test_bound(void) {
        _cleanup_(fixture_fini) struct fixture f;
        struct resolve_counters counters;
        const uint64_t max = 1 << 20;
        struct stack *s;

        fixture_init_bounded(&f, max);
        for (unsigned i = 1; i <= 20000; i++) {
                struct event_frame frame = {0x1000, (int)(i % 86) & ~1, 0};
                char name[16];
                struct code_text t = {
                                .name = name, .name_kind = 1, .table = table_311, .table_size = sizeof(table_311)};

                t.name_size = (uint16_t)snprintf(name, sizeof(name), "f%u", i);
                frame.code = 0x1000 + i * 16;
                if (send_code(&f, &f.process, frame.code, i, t, 0) < 0 ||
                    send_stack(&f, &f.process, i, &frame, 1, 0) < 0)
                        abort();
        }
        resolve_counters(f.resolve, &counters);
        CHECK(counters.evicted > 30000 && counters.bytes <= max);
        s = lookup(&f, &f.process, 20000, false);
        CHECK(location_is(s, 0, "f20000", "", s->locations[0].line));
        stack_unref(s);
        s = lookup(&f, &f.process, 1, true);
        stack_unref(s);
        resolve_process_gone(f.resolve, &f.process);
        resolve_counters(f.resolve, &counters);
        CHECK(counters.bytes < 4096);
        s = lookup(&f, &f.process, 20000, true);
        stack_unref(s);
}

static void test_idle(void) {
        static const struct event_frame frames[] = {{0x1000, 2, 0}, {0x2000, 2, 0}};
        char *rules[] = {(char *)"!select < *", (char *)"_run_once@base_events.py"};
        char *bad[] = {(char *)"select@ < x"};
        _cleanup_(fixture_fini) struct fixture f;
        struct stack *s;

        fixture_init(&f);
        CHECK(send_code(&f, &f.process, 0x1000, 1, TEXT("select", "EpollSelector.select", "/l/selectors.py"), 0) == 0);
        CHECK(send_code(&f, &f.process, 0x2000, 1, TEXT("_run_once", "", "/l/asyncio/base_events.py"), 0) == 0);
        CHECK(send_stack(&f, &f.process, 1, frames, 2, 0) == 0);
        s = lookup(&f, &f.process, 1, false);
        CHECK(s->idle);
        CHECK(resolve_set_idle(f.resolve, bad, 1) == -EINVAL);
        CHECK(s->idle);
        CHECK(resolve_set_idle(f.resolve, rules, 2) == 0);
        CHECK(!s->idle);
        stack_unref(s);
        CHECK(send_stack(&f, &f.process, 2, frames + 1, 1, 0) == 0);
        s = lookup(&f, &f.process, 2, false);
        CHECK(s->idle);
        stack_unref(s);
}

/* Equal tables of two processes are one. */
static void test_tables_shared(void) {
        struct intern *intern = NULL;
        struct table *a, *b, *c;

        CHECK(intern_new(&intern) == 0);
        a = intern_table(intern, table_311, sizeof(table_311));
        b = intern_table(intern, table_311, sizeof(table_311));
        c = intern_table(intern, table_311, sizeof(table_311) - 1);
        CHECK(a == b && a != c && a->refs == 2);
        table_unref(b);
        table_unref(a);
        a = intern_table(intern, table_311, sizeof(table_311));
        CHECK(a->refs == 1 && a->size == sizeof(table_311));
        table_unref(c);
        intern_free(intern);
        CHECK(memcmp(a->data, table_311, sizeof(table_311)) == 0);
        table_unref(a);
}

int main(void) {
        test_names_and_lines();
        test_older_python();
        test_string_kinds();
        test_placeholder();
        test_no_frames();
        test_flags();
        test_fetch();
        test_reuse();
        test_user_frames();
        test_lies();
        test_bound();
        test_idle();
        test_tables_shared();
        printf("%s resolve: %u checks, %u failed\n", failures ? "FAILED" : "ok", checks, failures);
        return failures ? EXIT_FAILURE : EXIT_SUCCESS;
}
