/* SPDX-License-Identifier: Apache-2.0 */
#include "governor.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/macro.h"

#define CALM_SECONDS 4 /* below half the limit for so long: one step back; below a tenth: two */

#define SETTLED_TURNS 3
#define MEASURE_TURNS 10
#define SWITCHES_FEW 2000.0 /* a second: a change below is none */

/*
 * Each step gives up more. Waits go first: how long one will be is not known when its stack must be walked, so threads
 * whose recent waits were short are walked with probability recent / walk_below. Then ticks. Where even the accounting
 * of every switch is too much, it rests for a part of the time: the kernel's own totals bridge the gap, so that on-CPU,
 * runnable and blocked time stay exact throughout.
 */
static const struct {
        uint64_t walk_below_ns;
        unsigned rate_percent;
        unsigned duty;
} steps[] = {
                {0, 100, 100},
                {1 * NSEC_PER_MSEC, 100, 100},
                {20 * NSEC_PER_MSEC, 100, 100},
                {20 * NSEC_PER_MSEC, 50, 100},
                {20 * NSEC_PER_MSEC, 50, 50},
                {20 * NSEC_PER_MSEC, 50, 25},
                {20 * NSEC_PER_MSEC, 50, 12},
                {20 * NSEC_PER_MSEC, 50, 6},
                {20 * NSEC_PER_MSEC, 25, 3},
};

void governor_init(struct governor *g, double limit, unsigned rate_max) {
        *g = (struct governor){.limit = limit, .rate_max = rate_max};
}

static int governor_step(struct governor *g) {
        if (g->cost > g->limit) {
                g->calm = 0;
                if (g->step + 1 >= ARRAY_SIZE(steps))
                        return 0;
                g->step += g->cost > 4 * g->limit && g->step + 2 < ARRAY_SIZE(steps) ? 2 : 1;
                return 1;
        }
        if (g->cost * 2 > g->limit || g->step == 0) {
                g->calm = 0;
                return 0;
        }
        if (++g->calm < CALM_SECONDS)
                return 0;
        g->calm = 0;
        g->step -= g->cost * 10 < g->limit && g->step > 1 ? 2 : 1;
        return 1;
}

int governor_turn(struct governor *g, uint64_t now, const struct governor_use *u, unsigned capacity) {
        uint64_t elapsed = now - g->last;
        double switches = (double)u->switches * NSEC_PER_SEC / (double)MAX(elapsed, UINT64_C(1)), bpf_ns;
        bool first = !g->last;
        int r;

        g->last = now;
        if (first || !elapsed || !capacity)
                return 0;
        g->settled++;
        if (switches > g->switches * 1.5 + SWITCHES_FEW)
                g->settled = 0;
        g->switches = switches;
        if (u->measured)
                g->per_switch = (double)u->bpf_ns / (double)MAX(u->switches, UINT64_C(1));
        bpf_ns = u->measured ? (double)u->bpf_ns : g->per_switch * (double)u->switches;
        g->cost = (g->cost + 100.0 * ((double)u->cpu_ns + bpf_ns) / (double)elapsed / capacity) / 2;
        r = governor_step(g);
        if (r > 0)
                g->settled = 0;
        return r;
}

bool governor_measures(const struct governor *g) {
        return g->settled < SETTLED_TURNS || g->settled % MEASURE_TURNS == 0 || g->cost > g->limit;
}

struct governor_setting governor_setting(const struct governor *g) {
        return (struct governor_setting){
                        .walk_below_ns = steps[g->step].walk_below_ns,
                        .rate = MAX(g->rate_max * steps[g->step].rate_percent / 100, 1U),
                        .duty = steps[g->step].duty,
        };
}

void governor_describe(const struct governor *g, char *text, size_t size) {
        struct governor_setting s = governor_setting(g);
        int n;

        n = snprintf(text, size, "%u Hz, ", s.rate);
        if (!s.walk_below_ns)
                n += snprintf(text + n, size - (size_t)n, "every wait");
        else
                n += snprintf(text + n, size - (size_t)n, "waits below %llu ms sampled",
                              (unsigned long long)(s.walk_below_ns / NSEC_PER_MSEC));
        if (s.duty < 100)
                snprintf(text + n, size - (size_t)n, ", switches looked at %u %% of the time", s.duty);
}
