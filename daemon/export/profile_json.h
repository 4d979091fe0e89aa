/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A profile as the JSON of the API, version 1: what the API answers and what `export -F json` writes.
 * Every function returns a new reference, NULL when out of memory. epoch_offset_ns makes CLOCK_MONOTONIC Unix time.
 */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "profile.h"

json_t *profile_to_json(const struct profile *p, int64_t epoch_offset_ns);

/* The parts, for documents of another shape. */
json_t *profile_by_to_json(unsigned by);
json_t *profile_states_to_json(const uint64_t states[STATE_MAX]); /* states with 0 ns are left out */
json_t *profile_frame_to_json(const struct profile_frame *f);     /* with its kind */
json_t *profile_waits_to_json(const struct profile_waits *w);
json_t *profile_loss_to_json(const struct profile_loss *l);

/* A string of a process's making: bytes that are not UTF-8 become U+FFFD. NULL is "". */
json_t *text_to_json(const char *text);

/* Sets `key` to `value`, whose reference is taken in any case. A value of NULL is a failed allocation: -ENOMEM. */
int json_take(json_t *object, const char *key, json_t *value);
