/* SPDX-License-Identifier: Apache-2.0 */
/* The writers behind the table of export.h, one file each. 0, -ENOMEM. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "base/buffer.h"
#include "profile.h"

int collapsed_write(const struct profile *p, int64_t epoch_offset_ns, struct buffer *b);
int speedscope_write(const struct profile *p, int64_t epoch_offset_ns, struct buffer *b);
int json_write(const struct profile *p, int64_t epoch_offset_ns, struct buffer *b);

/* One line of JSON. */
int json_write_value(const json_t *value, struct buffer *b);
