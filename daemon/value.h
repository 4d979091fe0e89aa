/* SPDX-License-Identifier: Apache-2.0 */
/* Single values as the arguments of the API write them. */
#pragma once

#include <stdint.h>

/* A whole decimal number from 0 to max, and nothing else. -EINVAL. */
int value_number(const char *s, uint64_t max, uint64_t *ret);

/* "now", "-SECONDS[s]" before now, "@SECONDS" or plain nanoseconds since the epoch, as CLOCK_MONOTONIC. What was before
 * boot is 0. -EINVAL. */
int value_instant(const char *s, uint64_t now, int64_t epoch_offset_ns, uint64_t *ret);

/* What is wrong with compiling or running this regular expression for somebody who may mean no good; NULL: nothing.
 * Back references take regexec() exponential time; repetitions of repetitions and deep groups take regcomp()
 * exponential time and memory, or the stack. */
const char *value_pattern_refuse(const char *pattern);
