/* SPDX-License-Identifier: Apache-2.0 */
/* The states of pyprofctl(1): where every nanosecond of a thread's wall time goes, in exactly one of them. */
#pragma once

#include <stdbool.h>

enum state {
        STATE_PYTHON,
        STATE_NATIVE,
        STATE_KERNEL,
        STATE_UNSAMPLED,
        STATE_RUNQ,
        STATE_GIL,
        STATE_LOCK,
        STATE_NET,
        STATE_DISK,
        STATE_PIPE,
        STATE_POLL,
        STATE_SLEEP,
        STATE_CHILD,
        STATE_FAULT,
        STATE_STOPPED,
        STATE_OTHER,
        STATE_MAX,
};

const char *state_to_string(enum state state);
int state_from_string(const char *name); /* enum state or -EINVAL */

static inline bool state_is_cpu(enum state state) {
        return state <= STATE_UNSAMPLED;
}
