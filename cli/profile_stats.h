/* SPDX-License-Identifier: Apache-2.0 */
/* `stats`' document as pstats prints it. */
#pragma once

#include <jansson.h>

#include "option.h"
#include "output.h"

/* 0, -ENOMEM. `sort` is the key that was asked for; NULL: the default. */
int profile_stats_print(struct output *o, const json_t *answer, const char *sort, bool callers, bool callees);
