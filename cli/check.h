/* SPDX-License-Identifier: Apache-2.0 */
/* What `doctor` looks at on this machine. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum verdict { CHECK_OK, CHECK_NOTE, CHECK_MISSING }; /* a note does not keep the daemon from running */

struct check {
        const char *name;
        enum verdict verdict;
        char what[192];
        char remedy[192]; /* empty: none needed */
};

#define CHECKS_MAX 16

/* Fills at most CHECKS_MAX, returns how many. */
size_t check_machine(struct check checks[static CHECKS_MAX]);
