/* SPDX-License-Identifier: Apache-2.0 */
/* What reaches a terminal: escaped, in human units, within its width. */
#include <locale.h>
#include <stdio.h>
#include <string.h>

#include "base/buffer.h"
#include "base/macro.h"
#include "output.h"
#include "table.h"
#include "text.h"

static unsigned failed;

static void want_text(const char *what, const char *got, const char *want) {
        if (strcmp(got, want) == 0)
                return;
        printf("%s: '%s' in place of '%s'\n", what, got, want);
        failed++;
}

static void test_escape(void) {
        static const struct {
                const char *text, *want;
        } cases[] = {
                        {"plain (a.py:3)", "plain (a.py:3)"},
                        {"\033[2J\033]0;x\007", "\\x1b[2J\\x1b]0;x\\x07"},
                        {"a\nb\tc\rd", "a\\nb\\tc\\rd"},
                        {"\x7f", "\\x7f"},
                        {"\xc2\x9b"
                         "31m",
                         "\\x9b31m"}, /* C1 CSI */
                        {"\xe2\x80\xae"
                         "x",
                         "\\u202ex"},                /* right-to-left override */
                        {"\xe2\x81\xa6", "\\u2066"}, /* isolate */
                        {"\xef\xbb\xbf", "\\ufeff"},
                        {"\xf3\xa0\x81\x81", "\\U000e0041"}, /* tag */
                        {"gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f"},
                        {"\xe6\xbc\xa2", "\xe6\xbc\xa2"},
                        {"\xff\xc3", "\\xff\\xc3"},
                        {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong */
                        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
                        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* past U+10FFFF */
                        {"\xe2\x82", "\\xe2\\x82"},                   /* cut */
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                _cleanup_buffer_ struct buffer b = {};

                text_escape(&b, cases[i].text);
                want_text("escape", buffer_terminate(&b) == 0 ? b.data : "no memory", cases[i].want);
        }
}

static void test_units(void) {
        static const struct {
                uint64_t value;
                const char *want;
        } durations[] =
                        {
                                        {0, "0 ns"},
                                        {999, "999 ns"},
                                        {1000, "1.00 us"},
                                        {12345, "12.3 us"},
                                        {999499, "999 us"},
                                        {999500, "1.00 ms"},
                                        {450000000, "450 ms"},
                                        {9995000000, "10.0 s"},
                                        {1250000000, "1.25 s"},
                                        {99900000000, "99.9 s"},
                                        {99960000000, "1.67 min"},
                                        {UINT64_C(1860) * 1000000000, "31.0 min"},
                                        {UINT64_C(7200) * 1000000000, "2.00 h"},
                                        {UINT64_C(864000) * 1000000000, "10.0 d"},
                                        {UINT64_MAX, "213504 d"},
                        },
          sizes[] = {
                          {0, "0 B"},
                          {1023, "1023 B"},
                          {1024, "1.00 KiB"},
                          {12897485, "12.3 MiB"},
                          {1048575, "1.00 MiB"},
                          {UINT64_MAX, "16.0 EiB"},
          };
        char s[TEXT_UNITS_MAX];

        for (size_t i = 0; i < ARRAY_SIZE(durations); i++)
                want_text("duration", text_duration(s, durations[i].value), durations[i].want);
        for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
                want_text("bytes", text_bytes(s, sizes[i].value), sizes[i].want);
        want_text("percent", text_percent(s, 1, 3), "33.3%");
        want_text("percent", text_percent(s, 1, 0), "-");
}

static void fill(struct table *t) {
        table_add_duration(t, 12300000000);
        table_add_duration(t, 0);
        table_add(t, "1234");
        table_add(t, "function_of_some_length (/some/where/a.py:3)");
        table_add_duration(t, 5);
        table_add_duration(t, 1000);
        table_add(t, "7");
        table_add(t, "\033[1m\xe6\xbc\xa2\xe5\xad\x97");
}

/* The table at a width; owned. */
static char *print_table(size_t width, bool utf8, bool tail) {
        const struct table_column columns[] = {
                        {.title = "OWN", .right = true, .keep = true},
                        {.title = "CPU", .right = true},
                        {.title = "PID", .right = true, .keep = true},
                        {.title = "FUNCTION", .tail = tail},
        };
        struct table_style style = {.width = width, .utf8 = utf8};
        _cleanup_table_ struct table t = {};
        char *text = NULL;
        size_t size;
        FILE *f;

        if (table_init(&t, columns, ARRAY_SIZE(columns)) < 0)
                return NULL;
        fill(&t);
        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        if (table_print(&t, f, &style) < 0)
                failed++;
        fclose(f);
        return text;
}

static void test_table(void) {
        _cleanup_free_ char *wide = print_table(0, true, false), *narrow = print_table(20, true, false),
                            *ascii = print_table(24, false, false), *tail = print_table(24, true, true);

        want_text("wide", wide,
                  "   OWN      CPU   PID  FUNCTION\n"
                  "12.3 s        -  1234  function_of_some_length (/some/where/a.py:3)\n"
                  "  5 ns  1.00 us     7  \\x1b[1m\xe6\xbc\xa2\xe5\xad\x97\n");
        want_text("narrow", narrow,
                  "   OWN  FUNCTION\n"
                  "12.3 s  function_of\xe2\x80\xa6\n"
                  "  5 ns  \\x1b[1m\xe6\xbc\xa2\xe5\xad\x97\n");
        want_text("ascii", ascii,
                  "   OWN   PID  FUNCTION\n"
                  "12.3 s  1234  function..\n"
                  "  5 ns     7  \\x1b[1m..\n");
        want_text("tail", tail,
                  "   OWN   PID  FUNCTION\n"
                  "12.3 s  1234  \xe2\x80\xa6"
                  "e/a.py:3)\n"
                  "  5 ns     7  \xe2\x80\xa6"
                  "1b[1m\xe6\xbc\xa2\xe5\xad\x97\n");
}

/* No line of any width is wider than that, as long as there is room for a row at all. */
static void test_widths(void) {
        for (size_t width = 9; width < 100; width++) {
                _cleanup_free_ char *text = print_table(width, true, width % 2);
                char *save = NULL;

                for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                        if (text_width(line) > width) {
                                printf("width %zu: '%s'\n", width, line);
                                failed++;
                        }
        }
}

static void test_paragraph(void) {
        char *text = NULL;
        struct output o = {.style.width = 20};
        size_t size;

        o.f = open_memstream(&text, &size);
        if (!o.f) {
                failed++;
                return;
        }
        output_paragraph(&o, "one two three four five six a\033b seven");
        fclose(o.f);
        want_text("paragraph", text, "one two three four\nfive six a\\x1bb\nseven\n");
        free(text);
}

int main(void) {
        setlocale(LC_CTYPE, "C.UTF-8");
        test_escape();
        test_units();
        test_table();
        test_widths();
        test_paragraph();
        printf("%u wrong\n", failed);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
