/* SPDX-License-Identifier: Apache-2.0 */
/* The clocks: monotonic inside, Unix time only where someone looks. */
#pragma once

#include <stdint.h>

uint64_t clock_monotonic_ns(void);

/* What makes CLOCK_MONOTONIC Unix time now, in nanoseconds: changes when the clock is set. */
int64_t clock_epoch_offset_ns(void);

/* What makes CLOCK_BOOTTIME CLOCK_MONOTONIC now: minus the time spent suspended since boot. */
int64_t clock_boottime_offset_ns(void);
