/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compares the line table decoder with an interpreter's own word, instruction by instruction: stdin is what
 * linetable_dump.py writes, in the byte order of x86-64. Every table is then also damaged, at the end of a heap block
 * of its own, so that a sanitizer build sees any read past it.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/macro.h"
#include "python/linetable.h"

#define SHOWN_MAX 10
#define TRAILER UINT32_MAX
#define TABLE_MAX (UINT32_C(64) << 20)

struct code {
        int32_t firstlineno;
        uint32_t table_size, code_size, n_runs;
        uint8_t *table;
        struct linetable_range *runs;
};

struct test {
        uint16_t version;
        uint64_t codes, instructions, damaged, differences;
        uint64_t seed;
};

static void code_fini(struct code *c) {
        free(c->table);
        free(c->runs);
}

static int read_full(void *data, size_t size) {
        return fread(data, 1, size, stdin) == size ? 0 : -EIO;
}

/* 1: a code object; 0: the trailer, then ret->n_runs is the number of code objects there should have been. */
static int code_read(struct code *ret) {
        uint32_t head[4];
        int r;

        r = read_full(head, sizeof(head));
        if (r < 0)
                return r;

        *ret = (struct code){
                        .firstlineno = (int32_t)head[0],
                        .table_size = head[1],
                        .code_size = head[2],
                        .n_runs = head[3],
        };
        if (ret->table_size == TRAILER)
                return 0;
        if (ret->table_size > TABLE_MAX || ret->n_runs > TABLE_MAX)
                return -EBADMSG;

        ret->table = malloc(MAX(ret->table_size, 1U));
        ret->runs = calloc(MAX(ret->n_runs, 1U), sizeof(*ret->runs));
        if (!ret->table || !ret->runs)
                return -ENOMEM;

        r = read_full(ret->table, ret->table_size);
        if (r < 0)
                return r;

        r = read_full(ret->runs, ret->n_runs * sizeof(*ret->runs));
        if (r < 0)
                return r;

        return 1;
}

static void differ(struct test *t, const struct code *c, uint32_t offset, const char *what, int expected, int got) {
        if (t->differences++ < SHOWN_MAX)
                fprintf(stderr, "code object %" PRIu64 " (line %" PRIi32 "), offset %" PRIu32 ": %s gives %d, not %d\n",
                        t->codes, c->firstlineno, offset, what, got, expected);
}

/* What `runs` say of `offset`; *i is the run to begin with and only moves on. */
static int32_t runs_line(const struct linetable_range *runs, size_t n, size_t *i, uint32_t offset) {
        while (*i < n && runs[*i].end <= offset)
                (*i)++;
        return *i < n && runs[*i].start <= offset ? runs[*i].line : 0;
}

static void test_code(struct test *t, const struct code *c) {
        _cleanup_free_ struct linetable_range *ranges = NULL;
        size_t n = 0, oracle = 0, decoded = 0;
        int r;

        r = linetable_decode(t->version, c->table, c->table_size, c->firstlineno, c->code_size, &ranges, &n);
        if (r < 0)
                differ(t, c, 0, "linetable_decode()", 0, r);
        if (n > 0 && ranges[n - 1].end > c->code_size)
                differ(t, c, c->code_size, "last range", (int)c->code_size, (int)ranges[n - 1].end);

        for (uint32_t offset = 0; offset < c->code_size; offset += 2) {
                int32_t expected = runs_line(c->runs, c->n_runs, &oracle, offset);
                int line = linetable_line(t->version, c->table, c->table_size, c->firstlineno, (int)offset);
                int ranged = runs_line(ranges, n, &decoded, offset);

                t->instructions++;
                if (line != expected)
                        differ(t, c, offset, "linetable_line()", expected, line);
                if (ranged != expected)
                        differ(t, c, offset, "linetable_decode()", expected, ranged);
        }

        if (linetable_line(t->version, c->table, c->table_size, c->firstlineno, -1) != c->firstlineno)
                differ(t, c, 0, "lasti -1", c->firstlineno, -1);
}

/* xorshift64*; a fixed seed makes a failure repeatable. */
static uint64_t test_random(struct test *t) {
        t->seed ^= t->seed >> 12;
        t->seed ^= t->seed << 25;
        t->seed ^= t->seed >> 27;
        return t->seed * UINT64_C(0x2545f4914f6cdd1d);
}

/* Ranges are ascending, not empty and within the code, whatever the table holds. */
static void check_damaged(struct test *t, const struct code *c, uint16_t version, const uint8_t *table, size_t size) {
        _cleanup_free_ struct linetable_range *ranges = NULL;
        uint32_t end = 0;
        size_t n = 0;
        int r, line;

        r = linetable_decode(version, table, size, c->firstlineno, c->code_size, &ranges, &n);
        if (r != 0 && r != -EBADMSG)
                differ(t, c, 0, "damaged linetable_decode()", -EBADMSG, r);

        for (size_t i = 0; i < n; i++) {
                if (ranges[i].start < end || ranges[i].start >= ranges[i].end || ranges[i].end > c->code_size ||
                    ranges[i].line < 0)
                        differ(t, c, ranges[i].start, "damaged range", (int)end, (int)ranges[i].end);
                end = ranges[i].end;

                line = linetable_line(version, table, size, c->firstlineno, (int)ranges[i].start);
                if (line != ranges[i].line)
                        differ(t, c, ranges[i].start, "damaged linetable_line()", ranges[i].line, line);
        }

        line = linetable_line(version, table, size, c->firstlineno, INT32_MAX);
        if (line < 0 && line != -EBADMSG)
                differ(t, c, INT32_MAX, "damaged linetable_line()", -EBADMSG, line);
        t->damaged++;
}

/* The table cut at a random place, then with some bytes overwritten, then all noise; read as each of the formats. */
static int test_damaged(struct test *t, const struct code *c) {
        static const uint16_t versions[] = {0x0209, 0x0306, 0x030a, 0x030b};
        size_t size = c->table_size > 0 ? test_random(t) % (c->table_size + 1) : test_random(t) % 64;
        uint16_t version = versions[test_random(t) % ARRAY_SIZE(versions)];
        _cleanup_free_ uint8_t *table = NULL;

        table = malloc(MAX(size, (size_t)1));
        if (!table)
                return -ENOMEM;

        memcpy(table, c->table, MIN(size, (size_t)c->table_size));
        for (size_t i = c->table_size; i < size; i++)
                table[i] = (uint8_t)test_random(t);
        check_damaged(t, c, t->version, size > 0 ? table : NULL, size);

        for (size_t i = 0; i < size; i += 1 + test_random(t) % 16)
                table[i] = (uint8_t)test_random(t);
        check_damaged(t, c, t->version, table, size);

        for (size_t i = 0; i < size; i++)
                table[i] = (uint8_t)test_random(t);
        check_damaged(t, c, version, table, size);
        return 0;
}

static int test_stream(struct test *t) {
        char magic[8];
        uint32_t version;
        int r;

        r = read_full(magic, sizeof(magic));
        if (r < 0)
                return r;
        r = read_full(&version, sizeof(version));
        if (r < 0)
                return r;
        if (memcmp(magic, "LINETAB1", sizeof(magic)) != 0)
                return -EBADMSG;
        t->version = (uint16_t)version;

        for (;;) {
                _cleanup_(code_fini) struct code c = {};

                r = code_read(&c);
                if (r < 0)
                        return r;
                if (r == 0)
                        return c.n_runs == t->codes && t->codes > 0 ? 0 : -ENODATA;

                t->codes++;
                test_code(t, &c);
                r = test_damaged(t, &c);
                if (r < 0)
                        return r;
        }
}

int main(void) {
        struct test t = {.seed = UINT64_C(0x9e3779b97f4a7c15)};
        int r;

        static_assert(sizeof(struct linetable_range) == 12, "runs are read as they are on the wire");

        r = test_stream(&t);
        printf("%" PRIu64 " code objects, %" PRIu64 " instructions, %" PRIu64 " damaged tables, %" PRIu64
               " differences\n",
               t.codes, t.instructions, t.damaged, t.differences);
        if (r < 0) {
                fprintf(stderr, "the dump cannot be read to its end: %s\n", strerror(-r));
                return EXIT_FAILURE;
        }

        return t.differences == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
