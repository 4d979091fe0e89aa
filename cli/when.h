/* SPDX-License-Identifier: Apache-2.0 */
/* Instants and spans as people write them: the forms of systemd.time(7) that a profile has a use for. */
#pragma once

#include <stdint.h>

/*
 * `now`, `today`, `yesterday`, `tomorrow`, `@SECONDS[.FRACTION]`, `-SPAN`, `+SPAN`, `SPAN ago`,
 * `[WEEKDAY] [YYYY-MM-DD] [HH:MM[:SS[.FRACTION]]] [UTC]`. now_ns and *ret_ns are nanoseconds since the Unix epoch;
 * dates without `UTC` are local. 0, -EINVAL, -ERANGE.
 */
int when_parse(const char *text, int64_t now_ns, int64_t *ret_ns);

/* `10`, `1.5s`, `1h 30min`, `50ms`: a number without a unit is seconds. 0, -EINVAL, -ERANGE. */
int when_parse_span(const char *text, uint64_t *ret_ns);

/* CLOCK_REALTIME in nanoseconds. */
int64_t when_now(void);
