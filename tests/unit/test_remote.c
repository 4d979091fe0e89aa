/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Walks tests/workload/parked.py from outside under every interpreter and compares stacks, lines and names with what
 * the interpreter says of itself. Then lies about the memory, to see that every walk ends and stays in its bounds.
 * Arguments: names of interpreters; none: all of them. Runs from the root of the source tree.
 */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>
#include <sys/uio.h>

#include "base/macro.h"
#include "interpreter.h"
#include "python/linetable.h"
#include "python/offsets.h"
#include "python/remote.h"

#define LIES 300

struct test {
        const struct interpreter *interpreter;
        struct interpreter_process process;
        struct remote remote;
        struct offsets_objects objects;
        struct image image;
        unsigned threads, frames, names, names_wrong, differences;
        json_t *expected; /* ident as text -> name */
};

/* userdata is (void *)(uintptr_t)pid. */
static int read_pid(void *userdata, uint64_t address, void *data, size_t size) {
        struct iovec local = {.iov_base = data, .iov_len = size};
        struct iovec remote = {.iov_base = (void *)(uintptr_t)address, .iov_len = size};
        ssize_t n;

        n = process_vm_readv((pid_t)(uintptr_t)userdata, &local, 1, &remote, 1, 0);
        if (n < 0)
                return -errno;
        return (size_t)n == size ? 0 : -EFAULT;
}

/* Lists in parts, so that it is seen to go on where it stopped, then walks the one. */
static int walk(const struct remote *r, uint64_t ident, struct event_frame *frames, size_t max, uint16_t *ret_flags) {
        _cleanup_(remote_states_fini) struct remote_states states = {};
        const struct remote_state *state;
        int q;

        do
                q = remote_states_read(r, &states, 3);
        while (q > 0);
        if (q < 0)
                return q;
        state = remote_states_find(&states, ident);
        return state ? remote_walk(r, state, frames, max, ret_flags) : -ENOENT;
}

static void differ(struct test *t, const char *what, const char *expected, const char *found) {
        if (t->differences++ < 10)
                printf("%s: %s is \"%s\", not \"%s\"\n", t->interpreter->name, what, found, expected);
}

static void frame_compare(struct test *t, json_t *expected, const struct event_frame *frame) {
        _cleanup_(remote_code_fini) struct remote_code code = {};
        const char *function, *file;
        int r, line, found;

        t->frames++;
        if (json_unpack(expected, "[ssi]", &function, &file, &line) < 0) {
                differ(t, "the report", "[function, file, line]", "something else");
                return;
        }
        r = remote_code(&t->remote, frame->code, &code);
        if (r < 0) {
                differ(t, "a code object", function, strerror(-r));
                return;
        }
        if (strcmp(code.name, function) != 0)
                differ(t, "function", function, code.name);
        if (strcmp(code.filename, file) != 0)
                differ(t, "file", file, code.filename);
        found = linetable_line(t->image.number, code.table, code.table_size, code.firstlineno, frame->lasti);
        if (found != line) {
                char text[2][300];

                snprintf(text[0], sizeof(text[0]), "%s:%d", function, line);
                snprintf(text[1], sizeof(text[1]), "%s:%d (lasti %d)", code.name, found, frame->lasti);
                differ(t, "line", text[0], text[1]);
        }
}

static void thread_compare(struct test *t, uint64_t ident, json_t *stack) {
        struct event_frame frames[STACK_FRAMES_MAX];
        char text[2][32];
        uint16_t flags = 0;
        int n;

        t->threads++;
        n = walk(&t->remote, ident, frames, ARRAY_SIZE(frames), &flags);
        if (n < 0 || flags != 0 || (size_t)n != json_array_size(stack)) {
                snprintf(text[0], sizeof(text[0]), "%zu frames", json_array_size(stack));
                snprintf(text[1], sizeof(text[1]), "%d frames, flags %x", n, flags);
                differ(t, "a stack", text[0], text[1]);
                return;
        }
        for (int i = 0; i < n; i++)
                frame_compare(t, json_array_get(stack, i), frames + i);
        /* A limit cuts at the root and says so. */
        if (walk(&t->remote, ident, frames, 1, &flags) != 1 || !(flags & EVENT_STACK_TRUNCATED))
                differ(t, "a walk of one frame", "truncated", "not");
}

static int name_compare(void *userdata, uint64_t thread_pointer, const char *name) {
        struct test *t = userdata;
        const char *expected;
        char key[32];

        snprintf(key, sizeof(key), "%" PRIu64, thread_pointer);
        expected = json_string_value(json_object_get(t->expected, key));
        t->names++;
        if (!expected || strcmp(expected, name) != 0)
                differ(t, "a thread's name", expected ?: "(no such thread)", name);
        return 0;
}

/* Every thread was started before the report, so names and stacks are all there. */
static int report_read(struct test *t) {
        _cleanup_free_ char *line = NULL;
        size_t room = 0;

        while (getline(&line, &room, t->process.out) > 0) {
                json_t *thread, *stack;
                json_int_t ident;
                const char *name;
                char key[32];

                if (strcmp(line, "ready\n") == 0)
                        return 0;
                thread = json_loads(line, 0, NULL);
                if (!thread || json_unpack(thread, "{sIssso}", "ident", &ident, "name", &name, "stack", &stack) < 0) {
                        json_decref(thread);
                        return -EBADMSG;
                }
                snprintf(key, sizeof(key), "%" JSON_INTEGER_FORMAT, ident);
                json_object_set_new(t->expected, key, json_string(name));
                if (json_is_array(stack))
                        thread_compare(t, ident, stack);
                json_decref(thread);
        }
        return -EPIPE;
}

static int remote_open(struct test *t) {
        uint64_t bias;
        char path[512];
        int r;

        r = interpreter_image(t->process.pid, &t->image, &bias, path, sizeof(path));
        if (r < 0)
                return r;
        if (!t->image.supported || strcmp(t->image.version, t->interpreter->version) != 0)
                differ(t, path, t->interpreter->version, t->image.supported ? t->image.version : t->image.reason);
        if (t->image.shared != (strcmp(t->interpreter->kind, "shared") == 0))
                differ(t, path, t->interpreter->kind, t->image.shared ? "shared" : "static");
        r = offsets_for_version(t->image.number, &(struct target){}, &t->objects);
        if (r < 0)
                return r;
        t->remote = (struct remote){
                        .read = read_pid,
                        .userdata = (void *)(uintptr_t)t->process.pid,
                        .target = &t->image.target,
                        .objects = &t->objects,
                        .runtime = bias + t->image.addresses.runtime,
                        .code_type = bias + t->image.addresses.code_type,
        };
        return 0;
}

struct liar {
        pid_t pid;
        uint64_t seed, reads;
};

static uint64_t liar_next(struct liar *l) {
        l->seed = l->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return l->seed >> 33;
}

/* One read in 32 is damaged: a wild word, an address nearby, or all ones; or it fails. */
static int liar_read(void *userdata, uint64_t address, void *data, size_t size) {
        static const uint64_t values[] = {UINT64_MAX, 0, INT64_MAX, 0x10000, UINT32_MAX};
        struct liar *l = userdata;
        int r;

        l->reads++;
        r = read_pid((void *)(uintptr_t)l->pid, address, data, size);
        if (r < 0 || liar_next(l) % 32 != 0)
                return r;
        if (liar_next(l) % 8 == 0)
                return -EFAULT;
        for (size_t at = liar_next(l) % size & ~7ull; at + 8 <= size; at += 64) {
                uint64_t word = liar_next(l) % 2 ? values[liar_next(l) % ARRAY_SIZE(values)]
                                                 : address + liar_next(l) % 64;

                memcpy((char *)data + at, &word, sizeof(word));
        }
        return 0;
}

static int name_longest(void *userdata, uint64_t thread_pointer, const char *name) {
        size_t *longest = userdata;

        *longest = MAX(*longest, strlen(name));
        return 0;
}

static void lies(struct test *t) {
        struct liar liar = {.pid = t->process.pid, .seed = t->image.number};
        struct event_frame frames[STACK_FRAMES_MAX];
        struct remote remote = t->remote;
        uint64_t most = 0;
        size_t longest = 0;
        const char *key;
        json_t *value;
        uint16_t flags;
        int n;

        remote.read = liar_read;
        remote.userdata = &liar;
        for (unsigned i = 0; i < LIES / 30; i++)
                json_object_foreach (t->expected, key, value) {
                        liar.reads = 0;
                        n = walk(&remote, strtoull(key, NULL, 10), frames, ARRAY_SIZE(frames), &flags);
                        for (int k = 0; k < n; k++) {
                                _cleanup_(remote_code_fini) struct remote_code code = {};

                                if (remote_code(&remote, frames[k].code, &code) >= 0 && code.table_size > 1u << 20)
                                        differ(t, "a line table", "at most 1 MiB", "longer");
                        }
                        most = MAX(most, liar.reads);
                }
        for (unsigned i = 0; i < LIES; i++) {
                liar.reads = 0;
                (void)remote_thread_names(&remote, name_longest, &longest);
                most = MAX(most, liar.reads);
        }
        if (most > 200000 || longest > 4 * 65536)
                differ(t, "a walk through lies", "bounded", "not");
}

static int interpreter_test(const struct interpreter *i) {
        struct test t = {.interpreter = i};
        int r;

        r = interpreter_start(i, "tests/workload/parked.py", &t.process);
        if (r < 0)
                return r;
        t.expected = json_object();
        /* The report comes when all threads wait; its first line says that the image is mapped. */
        r = ungetc(getc(t.process.out), t.process.out) == EOF ? -EPIPE : remote_open(&t);
        if (r >= 0)
                r = report_read(&t);
        if (r >= 0)
                r = remote_thread_names(&t.remote, name_compare, &t);
        if (r >= 0 && t.names != json_object_size(t.expected))
                differ(&t, "the number of names", "that of threads", "another");
        if (r >= 0)
                lies(&t);
        if (r >= 0 && walk(&t.remote, 1, &(struct event_frame){}, 1, &(uint16_t){0}) != -ENOENT)
                differ(&t, "a thread that is not there", "-ENOENT", "found");
        if (r >= 0 && (t.threads < 30 || t.frames < 240))
                differ(&t, "the workload", "30 threads", "fewer");
        json_decref(t.expected);
        interpreter_stop(&t.process);
        if (r >= 0 && walk(&t.remote, 1, &(struct event_frame){}, 1, &(uint16_t){0}) != -ESRCH)
                differ(&t, "a process that is gone", "-ESRCH", "something else");
        printf("%-12s %-8s %s: %u threads, %u frames, %u names, %u differences%s%s\n", i->name, t.image.version,
               i->kind, t.threads, t.frames, t.names, t.differences, r < 0 ? ": " : "", r < 0 ? strerror(-r) : "");
        return r < 0 || t.differences > 0 ? -EIO : 0;
}

static bool utf8_test(const void *data, size_t n, unsigned kind, const char *expected) {
        _cleanup_free_ char *text = remote_utf8(data, n, kind);

        if (text && strcmp(text, expected) == 0)
                return true;
        printf("remote_utf8: \"%s\", not \"%s\"\n", text ?: "(none)", expected);
        return false;
}

int main(int argc, char **argv) {
        struct interpreter list[INTERPRETERS_MAX];
        unsigned passed = 0, failed = 0;
        int n;

        failed += !utf8_test("a\xe9\n\x7f\x80", 5, 1, "a\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
        failed += !utf8_test((uint16_t[]){0x540d, 0xd800, 0x7ff}, 3, 2, "\xe5\x90\x8d\xef\xbf\xbd\xdf\xbf");
        failed += !utf8_test((uint32_t[]){0x1f40d, 0x110000}, 2, 4, "\xf0\x9f\x90\x8d\xef\xbf\xbd");
        failed += !utf8_test("", 0, 1, "");
        n = interpreters_list(list, ARRAY_SIZE(list));
        if (n < 0) {
                fprintf(stderr, "tests/setup/interpreters list: %s\n", strerror(-n));
                return EXIT_FAILURE;
        }
        for (int i = 0; i < n; i++) {
                bool wanted = argc == 1;

                for (int k = 1; k < argc; k++)
                        wanted |= strcmp(argv[k], list[i].name) == 0;
                if (wanted && interpreter_test(list + i) < 0)
                        failed++;
                else if (wanted)
                        passed++;
        }
        printf("%u passed, %u failed\n", passed, failed);
        return failed > 0 || passed == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
