/* SPDX-License-Identifier: Apache-2.0 */
/* Where text for people goes: the terminal's width and colours, the pager, and errors on stderr. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "base/macro.h"
#include "table.h"

/* Exit statuses, as in pyprofctl(1). */
enum status {
        STATUS_DONE,
        STATUS_FAILED,
        STATUS_USAGE,
        STATUS_NO_DAEMON,
        STATUS_NOT_PERMITTED,
        STATUS_NO_MATCH,
        STATUS_RUN_FAILED = 125,
        STATUS_RUN_NOT_EXECUTABLE = 126,
        STATUS_RUN_NOT_FOUND = 127,
};

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

struct output {
        FILE *f; /* borrowed */
        struct table_style style;
        pid_t pager; /* 0: none */
};

void output_init(struct output *o, FILE *f, enum color color);

/* Puts a pager behind stdout where journalctl would: stdout is a terminal and $PYPROF_PAGER, $PAGER do not say `cat`.
 */
void output_page(struct output *o);

/* Flushes, waits for the pager. A reader that went away is no error; a full disk is. Returns an exit status. */
int output_finish(struct output *o, const char *what);

/* Words, wrapped at the width; escaped. */
void output_paragraph(struct output *o, const char *text);
void output_heading(struct output *o, const char *text); /* the same, bold */

/* `pyprofctl: what: why` and a hint below it. */
void output_error(const char *what, const char *format, ...) _printf_(2, 3);
void output_hint(const char *format, ...) _printf_(1, 2);
