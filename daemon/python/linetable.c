/* SPDX-License-Identifier: Apache-2.0 */
#include "python/linetable.h"

#include <errno.h>
#include <stdbool.h>

#include "base/macro.h"

#define LNOTAB_VERSION UINT16_C(0x0306) /* signed line deltas */
#define PEP626_VERSION UINT16_C(0x030a)
#define LOCATION_VERSION UINT16_C(0x030b) /* PEP 657; unchanged up to 3.15 */

#define PEP626_NO_LINE (-128)

/* Kinds of a location entry, bits 3-6 of its first byte. Those below are short forms: the line stays. */
enum location_kind {
        LOCATION_ONE_LINE = 10, /* 10, 11, 12: the line advances by 0, 1, 2 */
        LOCATION_NO_COLUMNS = 13,
        LOCATION_LONG = 14,
        LOCATION_NONE = 15,
};

/* Walks a table entry by entry. After a step, [start, end) have `line`. */
struct cursor {
        int (*step)(struct cursor *c); /* 1: an entry, possibly empty; 0: the end; -EBADMSG */
        const uint8_t *next, *stop;
        int64_t running; /* what line deltas count from */
        uint64_t start, end;
        int32_t line;
        bool finished;
};

/* Moves on by `bytes` of code. A line that is not positive is none: 3.11 and later give a module's first instruction
 * line 0, and compile() takes any number from a hand-made syntax tree. */
static int cursor_advance(struct cursor *c, uint64_t bytes, int64_t line) {
        if (line > INT32_MAX || line < INT32_MIN || c->end + bytes > UINT32_MAX)
                return -EBADMSG;

        c->start = c->end;
        c->end += bytes;
        c->line = (int32_t)MAX(line, 0);
        return 1;
}

/* 3.6-3.9: pairs (code bytes, line delta); the delta holds after the bytes. The last line has no end. */
static int lnotab_step(struct cursor *c) {
        size_t left = (size_t)(c->stop - c->next);
        int r;

        if (left == 1)
                return -EBADMSG;
        if (left == 0) {
                if (c->finished)
                        return 0;
                c->finished = true;
                return cursor_advance(c, UINT32_MAX - c->end, c->running);
        }

        r = cursor_advance(c, c->next[0], c->running);
        if (r < 0)
                return r;

        c->running += (int8_t)c->next[1];
        c->next += 2;
        return r;
}

/* 3.10: pairs (code bytes, line delta) too, but the delta holds for the bytes, and one value of it means no line. */
static int pep626_step(struct cursor *c) {
        size_t left = (size_t)(c->stop - c->next);
        int8_t delta;
        uint8_t bytes;

        if (left == 0)
                return 0;
        if (left == 1)
                return -EBADMSG;

        bytes = c->next[0];
        delta = (int8_t)c->next[1];
        c->next += 2;
        if (delta == PEP626_NO_LINE)
                return cursor_advance(c, bytes, 0);

        c->running += delta;
        return cursor_advance(c, bytes, c->running);
}

/* Reads a signed number at `p`: six bits a byte, least significant first, bit 6 says that more follow; the lowest bit
 * of the sum is the sign. CPython computes in 32 bits, so more than six bytes were not written by it. */
static int svarint_read(const uint8_t *p, const uint8_t *stop, int64_t *ret) {
        uint64_t value = 0;

        for (unsigned i = 0; i < 6 && p + i < stop; i++) {
                if (p[i] & 0x80)
                        return -EBADMSG;

                value |= (uint64_t)(p[i] & 0x3f) << (6 * i);
                if (!(p[i] & 0x40)) {
                        *ret = value & 1 ? -(int64_t)(value >> 1) : (int64_t)(value >> 1);
                        return 0;
                }
        }

        return -EBADMSG;
}

/* 3.11 and later: entries begin with a byte that has bit 7 set, and no other byte has it. */
static int location_step(struct cursor *c) {
        const uint8_t *first = c->next;
        unsigned kind;
        uint64_t bytes;
        int64_t delta = 0;
        int r;

        if (first == c->stop)
                return 0;
        if (!(*first & 0x80))
                return -EBADMSG;

        do
                c->next++;
        while (c->next < c->stop && !(*c->next & 0x80));

        kind = (*first >> 3) & 0xf;
        bytes = ((*first & 7) + UINT64_C(1)) * 2;
        if (kind == LOCATION_NONE)
                return cursor_advance(c, bytes, 0); /* the running line stays as it is */

        if (kind == LOCATION_NO_COLUMNS || kind == LOCATION_LONG) {
                r = svarint_read(first + 1, c->next, &delta);
                if (r < 0)
                        return r;
        } else if (kind >= LOCATION_ONE_LINE)
                delta = kind - LOCATION_ONE_LINE;

        c->running += delta;
        return cursor_advance(c, bytes, c->running);
}

static int cursor_init(struct cursor *ret, uint16_t version, const uint8_t *table, size_t size, int firstlineno) {
        if (version < LNOTAB_VERSION)
                return -EBADMSG;

        *ret = (struct cursor){
                        .step = lnotab_step,
                        .next = table,
                        .stop = size > 0 ? table + size : table,
                        .running = firstlineno,
        };
        if (version >= LOCATION_VERSION)
                ret->step = location_step;
        else if (version >= PEP626_VERSION)
                ret->step = pep626_step;
        return 0;
}

int linetable_line(uint16_t version, const uint8_t *table, size_t size, int firstlineno, int lasti) {
        struct cursor c;
        int r;

        r = cursor_init(&c, version, table, size, firstlineno);
        if (r < 0)
                return r;
        if (lasti < 0)
                return MAX(firstlineno, 0);

        while ((r = c.step(&c)) > 0)
                if (c.end > (uint64_t)lasti)
                        return c.line;

        return r;
}

struct ranges {
        struct linetable_range *items;
        size_t n, allocated;
};

/* Appends a run; a run that continues the last one with the same line only makes it longer. */
static int ranges_add(struct ranges *ranges, uint32_t start, uint32_t end, int32_t line) {
        struct linetable_range *last = ranges->n > 0 ? &ranges->items[ranges->n - 1] : NULL;

        if (last && last->line == line && last->end == start) {
                last->end = end;
                return 0;
        }

        if (ranges->n == ranges->allocated) {
                size_t allocated = MAX(ranges->allocated * 2, (size_t)16);
                struct linetable_range *items;

                items = reallocarray(ranges->items, allocated, sizeof(*items));
                if (!items)
                        return -ENOMEM;

                ranges->items = items;
                ranges->allocated = allocated;
        }

        ranges->items[ranges->n++] = (struct linetable_range){start, end, line};
        return 0;
}

int linetable_decode(uint16_t version, const uint8_t *table, size_t size, int firstlineno, uint32_t code_size,
                     struct linetable_range **ret_ranges, size_t *ret_n) {
        struct ranges ranges = {};
        struct cursor c;
        int r, q;

        r = cursor_init(&c, version, table, size, firstlineno);
        while (r >= 0 && (r = c.step(&c)) > 0) {
                if (c.start >= code_size)
                        break;
                if (c.start == c.end)
                        continue;

                q = ranges_add(&ranges, (uint32_t)c.start, (uint32_t)MIN(c.end, code_size), c.line);
                if (q < 0) {
                        free(ranges.items);
                        return q;
                }
        }

        *ret_ranges = ranges.items;
        *ret_n = ranges.n;
        return MIN(r, 0);
}
