/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles as files. A profile by stack goes in (rows of BY_STACK | BY_STATE, maybe BY_PROCESS | BY_THREAD), bytes come
 * out. */
#pragma once

#include "base/buffer.h"
#include "profile.h"

struct export_format {
        const char *name; /* as `-F` says it */
        const char *content_type;
        int (*write)(const struct profile *p, int64_t epoch_offset_ns, struct buffer *b); /* 0, -ENOMEM */
};

/* The formats there are, ended by one without a name. epoch_offset_ns: what makes CLOCK_MONOTONIC Unix time. */
extern const struct export_format export_formats[];
const struct export_format *export_format_find(const char *name);
