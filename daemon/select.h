/* SPDX-License-Identifier: Apache-2.0 */
/* Which threads a question is about. What it says of stacks and states is not looked at here. */
#pragma once

#include "held.h"
#include "profile.h"

/* One answer for each held thread, by its index. 0, -ENOMEM. *ret is the caller's to free(). */
int select_threads(const struct profile_query *q, const struct held *held, bool **ret);
