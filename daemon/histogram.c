/* SPDX-License-Identifier: Apache-2.0 */
#include "histogram.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

#define SUB_BITS 3 /* 2^3 buckets an octave */

static uint16_t bucket_of(uint64_t ns) {
        int octave;

        if (ns < 1 << SUB_BITS)
                return (uint16_t)ns;
        octave = 63 - __builtin_clzll(ns);
        return (uint16_t)(((octave - SUB_BITS + 1) << SUB_BITS) |
                          ((ns >> (octave - SUB_BITS)) & ((1 << SUB_BITS) - 1)));
}

/* The middle of a bucket. */
static uint64_t bucket_value(uint16_t bucket) {
        int shift = (bucket >> SUB_BITS) - 1;
        uint64_t base = bucket & ((1 << SUB_BITS) - 1);

        if (shift < 0)
                return base;
        base = (base | 1 << SUB_BITS) << shift;
        return base + ((UINT64_C(1) << shift) >> 1);
}

/* Makes room for `more` buckets. */
static int histogram_reserve(struct histogram **h, uint16_t more) {
        uint16_t n = *h ? (*h)->n : 0, room = *h ? (*h)->room : 0;
        struct histogram *grown;

        if (more <= room - n)
                return 0;
        room = (uint16_t)MAX(n + more, room + room / 2);
        grown = realloc(*h, sizeof(*grown) + room * sizeof(grown->buckets[0]));
        if (!grown)
                return -ENOMEM;
        if (!*h)
                *grown = (struct histogram){};
        grown->room = room;
        *h = grown;
        return 0;
}

static uint16_t histogram_find(const struct histogram *h, uint16_t bucket) {
        uint16_t low = 0, high = h->n;

        while (low < high) {
                uint16_t middle = (uint16_t)((low + high) / 2);

                if (h->buckets[middle].bucket < bucket)
                        low = (uint16_t)(middle + 1);
                else
                        high = middle;
        }
        return low;
}

static uint32_t count_add(uint32_t count, uint64_t more) {
        return more > UINT32_MAX - count ? UINT32_MAX : count + (uint32_t)more;
}

/* Room for one more bucket must be there. */
static void histogram_put(struct histogram *h, uint16_t bucket, uint64_t times) {
        uint16_t i = histogram_find(h, bucket);

        if (i == h->n || h->buckets[i].bucket != bucket) {
                memmove(&h->buckets[i + 1], &h->buckets[i], (size_t)(h->n - i) * sizeof(h->buckets[0]));
                h->buckets[i] = (struct histogram_bucket){.bucket = bucket};
                h->n++;
        }
        h->buckets[i].count = count_add(h->buckets[i].count, times);
}

int histogram_add(struct histogram **h, uint64_t ns, uint64_t times) {
        int r;

        r = histogram_reserve(h, 1);
        if (r < 0)
                return r;
        histogram_put(*h, bucket_of(ns), times);
        (*h)->count += times;
        (*h)->max = MAX((*h)->max, ns);
        return 0;
}

int histogram_merge(struct histogram **h, const struct histogram *from) {
        uint16_t new = 0;
        int r;

        if (!from)
                return 0;
        for (uint16_t i = 0; i < from->n; i++) {
                uint16_t at = *h ? histogram_find(*h, from->buckets[i].bucket) : 0;

                new += !*h || at == (*h)->n || (*h)->buckets[at].bucket != from->buckets[i].bucket;
        }
        r = histogram_reserve(h, new);
        if (r < 0)
                return r;
        if (!*h)
                return 0;
        for (uint16_t i = 0; i < from->n; i++)
                histogram_put(*h, from->buckets[i].bucket, from->buckets[i].count);
        (*h)->count += from->count;
        (*h)->max = MAX((*h)->max, from->max);
        return 0;
}

uint64_t histogram_percentile(const struct histogram *h, unsigned percent) {
        uint64_t all = 0, rank, seen = 0;

        if (!h)
                return 0;
        for (uint16_t i = 0; i < h->n; i++)
                all += h->buckets[i].count;
        rank = (all * percent + 99) / 100;
        for (uint16_t i = 0; i < h->n; i++) {
                seen += h->buckets[i].count;
                if (seen >= rank)
                        return MIN(bucket_value(h->buckets[i].bucket), h->max);
        }
        return h->max;
}

size_t histogram_bytes(const struct histogram *h) {
        return h ? sizeof(*h) + h->room * sizeof(h->buckets[0]) : 0;
}
