/* SPDX-License-Identifier: Apache-2.0 */
/* How long waits were, in buckets of 1/8 octave; only buckets that are not empty take room. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct histogram_bucket {
        uint32_t count; /* saturates */
        uint16_t bucket;
};

struct histogram {
        uint64_t count, max;
        uint16_t n, room;
        struct histogram_bucket buckets[]; /* ascending */
};

/* *h is NULL before the first wait, owned by the caller, freed with free(). 0, -ENOMEM with *h unchanged. */
int histogram_add(struct histogram **h, uint64_t ns, uint64_t times);
int histogram_merge(struct histogram **h, const struct histogram *from); /* `from` may be NULL */

uint64_t histogram_percentile(const struct histogram *h, unsigned percent); /* 0 without waits */
size_t histogram_bytes(const struct histogram *h);
