/* SPDX-License-Identifier: Apache-2.0 */
/* A child that is measured: started, waited for until it says "ready", and killed with its handle. */
#pragma once

#include "base/macro.h"

struct work {
        pid_t pid;
};

void work_stop(struct work *w);
#define _cleanup_work_ _cleanup_(work_stop)

/* Starts what argv names, a path or a name on PATH. -ENOENT: it ended without having said that it is ready. */
int work_start(const char *const *argv, struct work *ret);

/* The same without waiting, its output goes to ours. */
int work_spawn(const char *const *argv, struct work *ret);
