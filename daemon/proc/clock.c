/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/clock.h"

#include <time.h>

#include "base/macro.h"

static uint64_t clock_ns(clockid_t clock) {
        struct timespec ts = {};

        clock_gettime(clock, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic_ns(void) {
        return clock_ns(CLOCK_MONOTONIC);
}

/* Two clocks cannot be read at once: of a few tries the one that was interrupted least tells best. */
static int64_t clock_offset_ns(clockid_t from, clockid_t to) {
        uint64_t best = UINT64_MAX;
        int64_t offset = 0;

        for (int i = 0; i < 3; i++) {
                uint64_t before = clock_ns(from), other = clock_ns(to), after = clock_ns(from);

                if (after - before >= best)
                        continue;
                best = after - before;
                offset = (int64_t)(other - (before + best / 2));
        }
        return offset;
}

int64_t clock_epoch_offset_ns(void) {
        return clock_offset_ns(CLOCK_MONOTONIC, CLOCK_REALTIME);
}

int64_t clock_boottime_offset_ns(void) {
        return clock_offset_ns(CLOCK_BOOTTIME, CLOCK_MONOTONIC);
}
