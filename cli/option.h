/* SPDX-License-Identifier: Apache-2.0 */
/* The command line: one table of all options, which verbs take which, and what they were set to. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buffer.h"
#include "output.h"

enum verb_bit {
        VERB_STATUS = 1 << 0,
        VERB_PS = 1 << 1,
        VERB_WALL = 1 << 2,
        VERB_TOP = 1 << 3,
        VERB_STATS = 1 << 4,
        VERB_LINES = 1 << 5,
        VERB_DUMP = 1 << 6,
        VERB_RUN = 1 << 7,
        VERB_RECORD = 1 << 8,
        VERB_EXPORT = 1 << 9,
        VERB_DOCTOR = 1 << 10,
        VERB_GLOBAL = 1 << 11, /* what stands before the verb */
};

/* Borrowed strings are argv's. */
struct options {
        const char *socket; /* NULL: the default one, and a private daemon where that is missing */
        bool json, no_pager;
        enum color color;
        bool help, version;

        struct buffer selectors; /* `&pid=1&idle=show…`: those that go to the daemon as they are. Owned */
        const char **pids;       /* owned array; numbers, checked */
        size_t pids_n;
        bool scoped;     /* by process, unit or container */
        bool idle_shown; /* --idle show or only */
        bool has_since, has_until;
        int64_t since, until; /* Unix epoch, ns */

        const char *by, *sort, *clock, *native, *format, *file;
        bool has_rows, has_duration;
        unsigned rows;
        uint64_t duration;     /* ns */
        unsigned rate;         /* Hz; 0: not said */
        unsigned private_rate; /* Hz of a private daemon where none was said; 0: its own default */
        bool once, callers, callees;

        char **arguments; /* what is left of argv */
        int arguments_n;
};

void options_fini(struct options *o);

/*
 * Reads argv[1] … for `verb` into o, which must be zero or hold the global options already. `what` names the verb in
 * errors. At VERB_GLOBAL it stops at the first word that is no option. 0, or -EINVAL after having said why.
 */
int options_parse(struct options *o, enum verb_bit verb, const char *what, int argc, char **argv);

/* The options of a verb, one a line. */
void options_help(enum verb_bit verb, FILE *f);

#define _cleanup_options_ _cleanup_(options_fini)
