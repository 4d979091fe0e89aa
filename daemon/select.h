/* SPDX-License-Identifier: Apache-2.0 */
/* Which threads a question is about. What it says of stacks and states is not looked at here. */
#pragma once

#include "held.h"
#include "profile.h"

/* One answer for each held thread, by its index. 0, -ENOMEM. *ret is the caller's to free(). */
int select_threads(const struct profile_query *q, const struct held *held, bool **ret);

/* Whether the question is about a process, by all that it says of processes. `pids` are the host's in place of the
 * question's, for its descendants. */
bool select_process(const struct profile_query *q, const struct followed_process *p, const uint32_t *pids, size_t n);
