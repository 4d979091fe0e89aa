/* SPDX-License-Identifier: Apache-2.0 */
#include "table.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/buffer.h"
#include "base/macro.h"
#include "text.h"

#define GAP 2
#define LAST_LEAST 10 /* columns that the last column is worth losing others for */

/* How a table is printed into a width: which columns, how wide. */
struct layout {
        size_t *widths; /* owned; 0 with shown == false */
        bool *shown;    /* owned */
};

static void layout_fini(struct layout *l) {
        free(l->widths);
        free(l->shown);
}

int table_init(struct table *t, const struct table_column *columns, size_t n) {
        struct table_column *copy;

        copy = calloc(n ? n : 1, sizeof(*copy));
        if (!copy)
                return -ENOMEM;
        memcpy(copy, columns, n * sizeof(*copy));
        *t = (struct table){.columns = copy, .columns_n = n};
        return 0;
}

void table_fini(struct table *t) {
        for (size_t i = 0; i < t->cells_n; i++)
                free(t->cells[i]);
        free(t->cells);
        free(t->columns);
        *t = (struct table){};
}

static int grow(struct table *t) {
        size_t room = t->cells_room ? t->cells_room * 2 : 64;
        char **cells;

        if (t->cells_n < t->cells_room)
                return 0;
        cells = reallocarray(t->cells, room, sizeof(*cells));
        if (!cells)
                return -ENOMEM;
        t->cells = cells;
        t->cells_room = room;
        return 0;
}

void table_add(struct table *t, const char *text) {
        _cleanup_buffer_ struct buffer b = {};

        text_escape(&b, text ? text : "");
        if (t->failed || buffer_terminate(&b) < 0 || grow(t) < 0) {
                t->failed = true;
                return;
        }
        t->cells[t->cells_n++] = TAKE_PTR(b.data);
}

void table_add_duration(struct table *t, uint64_t ns) {
        char s[TEXT_UNITS_MAX];

        table_add(t, ns ? text_duration(s, ns) : "-");
}

void table_add_number(struct table *t, uint64_t n) {
        char s[24];

        snprintf(s, sizeof(s), "%" PRIu64, n);
        table_add(t, s);
}

static size_t used_width(const struct layout *l, size_t n) {
        size_t used = 0;

        for (size_t i = 0; i < n; i++)
                if (l->shown[i])
                        used += l->widths[i] + GAP;
        return used;
}

/* Leaves columns out, those one can do without first and from the right, until the last one has room. */
static void drop_columns(const struct table *t, struct layout *l, size_t width) {
        size_t last = t->columns_n - 1, least = MIN(l->widths[last], (size_t)LAST_LEAST);

        for (int keep = 0; keep < 2; keep++)
                for (size_t i = last; i-- > 0;) {
                        if (used_width(l, last) + least <= width)
                                return;
                        if (t->columns[i].keep == (keep == 1) &&
                            (keep == 0 || i > 0 || l->widths[i] + GAP + least > width))
                                l->shown[i] = false;
                }
}

static int layout_make(const struct table *t, size_t width, struct layout *ret) {
        _cleanup_(layout_fini) struct layout l = {};
        size_t n = t->columns_n, last = n - 1, used;

        l.widths = calloc(n, sizeof(*l.widths));
        l.shown = calloc(n, sizeof(*l.shown));
        if (!l.widths || !l.shown)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                l.shown[i] = true;
                l.widths[i] = text_width(t->columns[i].title);
        }
        for (size_t i = 0; i < t->cells_n; i++)
                l.widths[i % n] = MAX(l.widths[i % n], text_width(t->cells[i]));
        if (width) {
                drop_columns(t, &l, width);
                used = used_width(&l, last);
                if (used + l.widths[last] > width)
                        l.widths[last] = width > used ? width - used : 1;
        }
        *ret = l;
        l = (struct layout){};
        return 0;
}

static void pad(FILE *f, size_t n) {
        while (n-- > 0)
                fputc(' ', f);
}

/* The end of a text that takes at most `width` columns. */
static const char *find_tail(const char *text, size_t width) {
        while (text_width(text) > width) {
                size_t n = text_fit(text, 1);

                text += n ? n : MAX(text_fit(text, 2), (size_t)1);
        }
        return text;
}

static void print_cut(FILE *f, const char *text, size_t width, bool tail, bool utf8) {
        size_t taken = utf8 ? 1 : width > 3 ? 2 : 0, left = width > taken ? width - taken : 0;
        const char *ellipsis = utf8 ? "\xe2\x80\xa6" : taken ? ".." : "";

        if (tail)
                fprintf(f, "%s%s", ellipsis, find_tail(text, left));
        else
                fprintf(f, "%.*s%s", (int)text_fit(text, left), text, ellipsis);
}

/* A cell, cut to `width`, padded unless it ends the line. */
static void print_cell(FILE *f, const char *text, size_t width, const struct table_column *c, bool ends_line,
                       bool utf8) {
        size_t has = text_width(text);

        if (has > width)
                return print_cut(f, text, width, c->tail, utf8);
        if (c->right)
                pad(f, width - has);
        fputs(text, f);
        if (!c->right && !ends_line)
                pad(f, width - has);
}

static void print_line(const struct table *t, const struct layout *l, FILE *f, char *const *cells,
                       const struct table_style *style) {
        size_t last = t->columns_n - 1;

        for (size_t i = 0; i < t->columns_n; i++) {
                if (!l->shown[i])
                        continue;
                print_cell(f, cells ? cells[i] : t->columns[i].title, l->widths[i], t->columns + i, i == last,
                           style->utf8);
                if (i < last)
                        pad(f, GAP);
        }
}

int table_print(const struct table *t, FILE *f, const struct table_style *style) {
        _cleanup_(layout_fini) struct layout l = {};
        int r;

        if (t->failed)
                return -ENOMEM;
        if (t->columns_n == 0)
                return 0;
        r = layout_make(t, style->width, &l);
        if (r < 0)
                return r;
        if (style->color)
                fputs("\033[1m", f);
        print_line(t, &l, f, NULL, style);
        fputs(style->color ? "\033[0m\n" : "\n", f);
        for (size_t i = 0; i + t->columns_n <= t->cells_n; i += t->columns_n) {
                print_line(t, &l, f, t->cells + i, style);
                fputc('\n', f);
        }
        return 0;
}
