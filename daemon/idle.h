/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which waits are waits for work to come. A rule is a chain of frames, leaf first, joined by ` < `. A frame is
 * `FUNCTION@FILE`, two globs: FUNCTION without a dot is compared with the last part of a qualified name, so that
 * `select` means `EpollSelector.select` too; FILE that starts neither with `*` nor with `/` may have any folders before
 * it. Without `@` every file fits. A rule that starts with `!` says that it is not idle. The first one that fits
 * decides.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "stack.h"

struct idle;

extern const char *const idle_default_rules[]; /* ended by NULL */

/* -EINVAL: a rule is malformed; *ret_bad (may be NULL) is its index. -ENOMEM. */
int idle_new(const char *const *rules, size_t rules_n, struct idle **ret, size_t *ret_bad);
void idle_free(struct idle *i); /* NULL is fine */

bool idle_match(const struct idle *i, const struct location *locations, size_t n);
