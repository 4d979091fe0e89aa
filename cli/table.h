/* SPDX-License-Identifier: Apache-2.0 */
/* Rows and columns that fit the width they are given. Every cell is escaped when it is added. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct table_column {
        const char *title; /* borrowed */
        bool right;        /* numbers */
        bool keep;         /* what a row cannot be told by without: dropped last */
        bool tail;         /* of a cell that is too long the end is shown */
};

struct table {
        struct table_column *columns; /* owned */
        size_t columns_n;
        char **cells; /* owned; row by row */
        size_t cells_n, cells_room;
        bool failed;
};

/* Copies the columns. The last one takes what width the others leave and is cut with `…` where it must be. */
int table_init(struct table *t, const struct table_column *columns, size_t n);
void table_fini(struct table *t);

/* Cells are added from left to right, row after row; NULL is an empty one. */
void table_add(struct table *t, const char *text);
void table_add_duration(struct table *t, uint64_t ns); /* 0 is `-` */
void table_add_number(struct table *t, uint64_t n);

struct table_style {
        size_t width; /* columns of the terminal; 0: as wide as it is */
        bool color;
        bool utf8;
};

/* Columns without `keep` are left out from the right until the last column has room. 0, -ENOMEM. */
int table_print(const struct table *t, FILE *f, const struct table_style *style);

#define _cleanup_table_ _cleanup_(table_fini)
