/* SPDX-License-Identifier: Apache-2.0 */
/* What pyprofctl can be told to do. Each verb is a file of its own and returns an exit status. */
#pragma once

#include "option.h"

struct verb {
        const char *name;
        enum verb_bit bit;
        const char *arguments;                           /* for the usage line */
        int least, most;                                 /* how many arguments; most -1: any number */
        int (*run)(const char *what, struct options *o); /* NULL: a reserved name */
        const char *summary;
};

int verb_status(const char *what, struct options *o);
int verb_ps(const char *what, struct options *o);
int verb_wall(const char *what, struct options *o);
int verb_top(const char *what, struct options *o);
int verb_stats(const char *what, struct options *o);
int verb_lines(const char *what, struct options *o);
int verb_dump(const char *what, struct options *o);
int verb_run(const char *what, struct options *o);
int verb_record(const char *what, struct options *o);
int verb_export(const char *what, struct options *o);
int verb_doctor(const char *what, struct options *o);

/* The body as it came, to stdout. */
int verb_print_json(const char *what, const struct buffer *body);

/* Says that nothing matched; STATUS_NO_MATCH. */
int verb_say_nothing(const char *what);

/* Says that there is no memory; STATUS_FAILED. */
int verb_say_oom(const char *what);
