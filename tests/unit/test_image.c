/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What image_read() says of every interpreter, of files that are none, and of damaged and doctored copies.
 * Arguments: FILE or FILE=VERSION, whose images are printed; none: the interpreters of tests/setup/interpreters.
 * Runs from the root of the source tree.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "base/macro.h"
#include "interpreter.h"
#include "python/offsets.h"

#define FLIPS 200
#define CUTS 40

struct test {
        const char *name;
        unsigned failures;
        uint64_t seed;
};

static void check(struct test *t, bool good, const char *what, const char *found) {
        if (good)
                return;
        t->failures++;
        printf("%s: %s: found \"%s\"\n", t->name, what, found);
}

static uint64_t test_random(struct test *t) {
        t->seed = t->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return t->seed >> 33;
}

static void image_print(const char *name, const struct image *m, double ms) {
        const struct target_image *a = &m->addresses;

        printf("%s: python %d %s%s%s%s%s, lowest %#" PRIx64 ", probe %#llx at %#" PRIx64 ", runtime %#llx, code type "
               "%#llx, text %#llx-%#llx, described %d, usdt \"%s\", %.2f ms\n",
               name, m->python, m->version, m->shared ? " shared" : "", m->supported ? " supported" : " unsupported",
               m->reason[0] ? ": " : "", m->reason, m->lowest, a->probe, m->probe_offset, a->runtime, a->code_type,
               a->text_start, a->text_end, m->debug_offsets != 0, m->usdt, ms);
}

static int image_open(const char *path, struct image *ret) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : image_read(fd, ret);
}

/* A copy in memory, which may be damaged. */
static int copy_open(const char *path) {
        _cleanup_close_ int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("image", MFD_CLOEXEC);
        char data[65536];
        ssize_t n;

        if (from < 0 || to < 0)
                return -errno;
        while ((n = read(from, data, sizeof(data))) > 0)
                if (write(to, data, n) != n)
                        return -EIO;
        return n < 0 ? -errno : TAKE_FD(to);
}

static off_t copy_size(int fd) {
        struct stat st;

        return fstat(fd, &st) < 0 ? 0 : st.st_size;
}

/* Bits and words all over the file, most of them where the headers, the symbols and the descriptions are. */
static void damage_test(struct test *t, int fd, const struct image *m) {
        off_t size = copy_size(fd);
        const off_t places[] = {0, size - 2560, 0x200, m->probe_offset, m->addresses.runtime - m->lowest, size / 2};

        for (unsigned i = 0; i < FLIPS; i++) {
                off_t place = places[test_random(t) % ARRAY_SIZE(places)] + (off_t)(test_random(t) % 2560);
                uint64_t good, bad;
                struct image other;
                int r;

                if (i % 8 == 7)
                        place = test_random(t) % size;
                if (i < 64)
                        place = i; /* each byte of the ELF header */
                if (place < 0 || pread(fd, &good, sizeof(good), place) != sizeof(good))
                        continue;
                bad = i % 3 == 0 ? good ^ UINT64_C(1) << test_random(t) % 64 : i % 3 == 1 ? ~good : UINT64_C(1) << 62;
                if (pwrite(fd, &bad, sizeof(bad), place) != sizeof(bad))
                        return;
                r = image_read(fd, &other);
                check(t, r <= 0, "a damaged file", "a positive result");
                if (r == 0 && other.supported)
                        check(t,
                              other.target.frame_size <= TARGET_FRAME_MAX &&
                                              other.target.tstate_size <= TARGET_TSTATE_MAX &&
                                              other.target.code_size <= TARGET_CODE_MAX,
                              "a damaged file", "sizes out of bounds");
                (void)image_bias(fd, 0x400000, 0x1000, &(uint64_t){0});
                if (pwrite(fd, &good, sizeof(good), place) != sizeof(good))
                        return;
        }
}

static void cut_test(struct test *t, int fd) {
        off_t size = copy_size(fd);

        for (unsigned i = CUTS; i-- > 0;) {
                struct image other;

                if (ftruncate(fd, i < 20 ? 1 << i : size / CUTS * i) < 0)
                        return;
                if (image_read(fd, &other) == 0 && i < 6)
                        check(t, !other.python, "a file of 32 bytes or fewer", other.version);
        }
        check(t, image_read(fd, &(struct image){}) != 0 || copy_size(fd) == 1, "a file of one byte", "more");
}

static off_t text_find(int fd, const char *text, size_t size) {
        off_t all = copy_size(fd), found = -1;
        char *data = mmap(NULL, all, PROT_READ, MAP_SHARED, fd, 0), *at;

        if (data == MAP_FAILED)
                return -1;
        at = memmem(data, all, text, size);
        if (at)
                found = at - data;
        munmap(data, all);
        return found;
}

/* Replaces every `from` by `to`, both `size` bytes long, and sees what the image says then; puts all back. */
static void doctor_test(struct test *t, int fd, const char *from, const char *to, size_t size, const char *expected) {
        struct image m = {};
        off_t at[8];
        size_t n = 0;

        while (n < ARRAY_SIZE(at) && (at[n] = text_find(fd, from, size)) >= 0)
                if (pwrite(fd, to, size, at[n++]) < 0)
                        return;
        check(t, n > 0, "text to doctor", "none");
        check(t, image_read(fd, &m) == 0 && m.supported == (expected[0] == '\0') && strcmp(m.reason, expected) == 0,
              expected, m.reason);
        while (n-- > 0)
                if (pwrite(fd, from, size, at[n]) < 0)
                        return;
}

/* The description that the file holds, with one word changed. */
static void described_test(struct test *t, int fd, const struct image *m) {
        static const struct {
                unsigned at;
                uint64_t word;
                const char *reason;
        } cases[] = {
                        {8, 0x031000f0, "no offsets for 3.16"},
                        {8, (uint64_t)-1, ""}, /* the constant Py_Version stands in */
                        {8, 0x030d00a1, "pre-release 3.13.0a1"},
                        {16, 1, "free-threaded build"},
                        {64, 0x10000, "implausible _Py_DebugOffsets"},
                        {0, 0, "implausible _Py_DebugOffsets"},
        };
        uint8_t description[OFFSETS_DESCRIPTION_SIZE];
        off_t base = 0;

        for (off_t at = 0; base == 0 && at < copy_size(fd) - 16; at += 16) {
                uint64_t words[2];

                if (pread(fd, words, sizeof(words), at) == sizeof(words) && memcmp(words, "xdebugpy", 8) == 0 &&
                    words[1] >> 16 == m->number)
                        base = at;
        }
        if (base == 0 || pread(fd, description, sizeof(description), base) != sizeof(description)) {
                check(t, false, "_Py_DebugOffsets", "none");
                return;
        }
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct image other = {};

                if (pwrite(fd, &cases[i].word, 8, base + cases[i].at) != 8)
                        return;
                check(t, image_read(fd, &other) == 0 && strcmp(other.reason, cases[i].reason) == 0, cases[i].reason,
                      other.reason);
                if (pwrite(fd, description + cases[i].at, 8, base + cases[i].at) != 8)
                        return;
        }
}

static void copies_test(struct test *t, const char *path, const struct image *m) {
        _cleanup_close_ int fd = copy_open(path);
        struct image other;

        if (fd < 0) {
                check(t, false, "a copy", strerror(-fd));
                return;
        }
        damage_test(t, fd, m);
        doctor_test(t, fd, "\0PyCode_Type", "\0PyCode_Typo", 13, "no symbol PyCode_Type");
        doctor_test(t, fd, "\0PyUnicode_AsWideChar", "\0_Py_NegativeRefcount", 22, "debug build");
        if (m->usdt[0])
                doctor_test(t, fd, "python\0gc__done", "python\0\0c__done", 16, ""); /* a probe without a name */
        if (m->debug_offsets)
                described_test(t, fd, m);
        check(t, image_read(fd, &other) == 0 && memcmp(&other, m, sizeof(other)) == 0, "the copy put back", "changed");
        cut_test(t, fd);
}

static void supported_check(struct test *t, const struct image *m, const char *version, const char *kind) {
        check(t, m->python && m->supported, "supported", m->reason);
        check(t, strcmp(m->version, version) == 0, version, m->version);
        check(t, m->shared == (strcmp(kind, "shared") == 0), kind, m->shared ? "shared" : "static");
        check(t, m->probe_offset != 0 && m->addresses.runtime != 0 && m->addresses.code_type != 0, "symbols", "none");
        check(t, m->addresses.probe >= m->addresses.text_start && m->addresses.probe < m->addresses.text_end,
              "the probe", "outside of the text");
        check(t, m->target.version == m->number && m->target.frame_size > 0, "offsets", "none");
        check(t, (m->debug_offsets != 0) == (m->number >= 0x030d), "_Py_DebugOffsets", "not where it should be");
}

static void interpreter_test(struct test *t, const struct interpreter *i) {
        struct interpreter_process p = {};
        char path[512], full[600];
        struct timespec a, b;
        struct image m = {};
        uint64_t bias;
        int r;

        r = interpreter_start(i, "tests/workload/parked.py", &p);
        if (r < 0 || getc(p.out) == EOF || interpreter_image(p.pid, &m, &bias, path, sizeof(path)) < 0) {
                check(t, false, "an interpreter", "it does not start");
                interpreter_stop(&p);
                return;
        }
        snprintf(full, sizeof(full), "/proc/%d/root%s", p.pid, path);
        clock_gettime(CLOCK_MONOTONIC, &a);
        r = image_open(full, &m);
        clock_gettime(CLOCK_MONOTONIC, &b);
        check(t, r == 0, "a file that can be read", strerror(-r));
        image_print(t->name, &m, (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6);
        supported_check(t, &m, i->version, i->kind);
        copies_test(t, full, &m);
        interpreter_stop(&p);
}

/* Files without a Python, and the test itself, which has the names in its data but no such symbol. */
static void others_test(struct test *t) {
        static const char *const paths[] = {"/bin/sh", "/etc/passwd", "/dev/null", "/proc/self/exe",
                                            "/lib/x86_64-linux-gnu/libc.so.6"};
        struct image m;

        for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
                int r = image_open(paths[i], &m);

                check(t, r == 0 && !m.python && !m.supported, paths[i], r < 0 ? strerror(-r) : "a Python");
        }
        check(t, image_open("/", &m) < 0, "a directory", "no error");
}

static int files_print(int argc, char **argv) {
        int failed = 0;

        for (int i = 1; i < argc; i++) {
                char *version = strchr(argv[i], '=');
                struct image m = {};
                int r;

                if (version)
                        *version++ = '\0';
                r = image_open(argv[i], &m);
                if (r < 0)
                        printf("%s: %s\n", argv[i], strerror(-r));
                else
                        image_print(argv[i], &m, 0);
                failed |= r < 0 || (version && strcmp(version, m.version) != 0);
        }
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
        struct interpreter list[INTERPRETERS_MAX];
        unsigned passed = 0, failed = 0;
        int n;

        if (argc > 1)
                return files_print(argc, argv);
        n = interpreters_list(list, ARRAY_SIZE(list));
        if (n < 0) {
                fprintf(stderr, "tests/setup/interpreters list: %s\n", strerror(-n));
                return EXIT_FAILURE;
        }
        for (int i = 0; i <= n; i++) {
                struct test t = {.name = i < n ? list[i].name : "others", .seed = i};

                if (i < n)
                        interpreter_test(&t, list + i);
                else
                        others_test(&t);
                passed += t.failures == 0;
                failed += t.failures > 0;
        }
        printf("%u passed, %u failed\n", passed, failed);
        return failed > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
