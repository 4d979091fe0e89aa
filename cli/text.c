/* SPDX-License-Identifier: Apache-2.0 */
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "base/macro.h"

/* One character of UTF-8; 0 when the bytes are none (overlong forms and surrogates included), else its length. */
static size_t decode(const char *s, uint32_t *ret) {
        const unsigned char *p = (const unsigned char *)s;
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        uint32_t c = p[0];
        size_t n;

        if (c < 0x80)
                n = 1;
        else if ((c & 0xe0) == 0xc0)
                n = 2;
        else if ((c & 0xf0) == 0xe0)
                n = 3;
        else if ((c & 0xf8) == 0xf0)
                n = 4;
        else
                return 0;
        if (n > 1)
                c &= 0x7fu >> n;
        for (size_t i = 1; i < n; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        *ret = c;
        return n;
}

/* What a terminal obeys or shows in another order than it is: C0, DEL, C1, marks and overrides of direction. */
static bool is_unsafe(uint32_t c) {
        return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c || (c >= 0x200b && c <= 0x200f) ||
               (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0xfeff ||
               (c >= 0xfff0 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

static void escape_one(struct buffer *b, uint32_t c) {
        if (c == '\n')
                buffer_add_string(b, "\\n");
        else if (c == '\t')
                buffer_add_string(b, "\\t");
        else if (c == '\r')
                buffer_add_string(b, "\\r");
        else if (c < 0x100)
                buffer_printf(b, "\\x%02x", c);
        else if (c < 0x10000)
                buffer_printf(b, "\\u%04x", c);
        else
                buffer_printf(b, "\\U%08x", c);
}

void text_escape(struct buffer *b, const char *s) {
        while (*s) {
                uint32_t c;
                size_t n = decode(s, &c);

                if (n == 0) {
                        escape_one(b, (unsigned char)*s);
                        s++;
                        continue;
                }
                if (is_unsafe(c))
                        escape_one(b, c);
                else
                        buffer_add(b, s, n);
                s += n;
        }
}

static size_t char_width(uint32_t c) {
        int w;

        if (c < 0x80)
                return 1;
        w = wcwidth((wchar_t)c);
        return w < 0 ? 1 : (size_t)w; /* the C locale knows no width */
}

size_t text_width(const char *s) {
        size_t width = 0;

        while (*s) {
                uint32_t c;
                size_t n = decode(s, &c);

                width += n ? char_width(c) : 1;
                s += n ? n : 1;
        }
        return width;
}

size_t text_fit(const char *s, size_t width) {
        const char *p = s;

        while (*p) {
                uint32_t c;
                size_t n = decode(p, &c), w = n ? char_width(c) : 1;

                if (w > width)
                        break;
                width -= w;
                p += n ? n : 1;
        }
        return (size_t)(p - s);
}

/* Three digits that mean something. */
static void print_digits(char *s, size_t size, double value, const char *unit) {
        int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;

        snprintf(s, size, "%.*f %s", decimals, value, unit);
}

const char *text_duration(char s[static TEXT_UNITS_MAX], uint64_t ns) {
        static const struct {
                double unit, limit;
                const char *name;
        } units[] = {
                        {1e3, 999.5e3, "us"},  {1e6, 999.5e6, "ms"},    {1e9, 99.95e9, "s"},
                        {60e9, 5997e9, "min"}, {3600e9, 359820e9, "h"},
        };
        double value = (double)ns;

        if (ns < 1000) {
                snprintf(s, TEXT_UNITS_MAX, "%u ns", (unsigned)ns);
                return s;
        }
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
                if (value < units[i].limit) {
                        print_digits(s, TEXT_UNITS_MAX, value / units[i].unit, units[i].name);
                        return s;
                }
        print_digits(s, TEXT_UNITS_MAX, value / 86400e9, "d");
        return s;
}

const char *text_bytes(char s[static TEXT_UNITS_MAX], uint64_t bytes) {
        static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        double value = (double)bytes / 1024;
        size_t i = 0;

        if (bytes < 1024) {
                snprintf(s, TEXT_UNITS_MAX, "%u B", (unsigned)bytes);
                return s;
        }
        while (value >= 999.5 && i + 1 < ARRAY_SIZE(units)) {
                value /= 1024;
                i++;
        }
        print_digits(s, TEXT_UNITS_MAX, value, units[i]);
        return s;
}

const char *text_percent(char s[static TEXT_UNITS_MAX], uint64_t part, uint64_t whole) {
        if (whole == 0)
                snprintf(s, TEXT_UNITS_MAX, "-");
        else
                snprintf(s, TEXT_UNITS_MAX, "%.1f%%", 100.0 * (double)part / (double)whole);
        return s;
}
