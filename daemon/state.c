/* SPDX-License-Identifier: Apache-2.0 */
#include "state.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

static const char *const state_names[] = {
                [STATE_PYTHON] = "python",       [STATE_NATIVE] = "native", [STATE_KERNEL] = "kernel",
                [STATE_UNSAMPLED] = "unsampled", [STATE_RUNQ] = "runq",     [STATE_GIL] = "gil",
                [STATE_LOCK] = "lock",           [STATE_NET] = "net",       [STATE_DISK] = "disk",
                [STATE_PIPE] = "pipe",           [STATE_POLL] = "poll",     [STATE_SLEEP] = "sleep",
                [STATE_CHILD] = "child",         [STATE_FAULT] = "fault",   [STATE_STOPPED] = "stopped",
                [STATE_OTHER] = "other",
};
_Static_assert(ARRAY_SIZE(state_names) == STATE_MAX, "a state without a name");

const char *state_to_string(enum state state) {
        return (unsigned)state < STATE_MAX ? state_names[state] : "";
}

int state_from_string(const char *name) {
        for (int i = 0; i < STATE_MAX; i++)
                if (strcmp(state_names[i], name) == 0)
                        return i;
        return -EINVAL;
}
