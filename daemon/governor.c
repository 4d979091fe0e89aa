/* SPDX-License-Identifier: Apache-2.0 */
#include "governor.h"

#include <stdbool.h>
#include <stdio.h>

#include "base/macro.h"

#define CALM_SECONDS 10 /* below half the limit for so long: one step back */

/* Each step gives up more. Waits go first: how long one will be is not known when its stack must be walked, so threads
 * whose recent waits were short are walked with probability recent / walk_below. Accounting stays exact throughout. */
static const struct {
        uint64_t walk_below_ns;
        unsigned rate_percent;
} steps[] = {
        {0, 100},
        {100 * NSEC_PER_USEC, 100},
        {1 * NSEC_PER_MSEC, 100},
        {5 * NSEC_PER_MSEC, 100},
        {20 * NSEC_PER_MSEC, 100},
        {20 * NSEC_PER_MSEC, 50},
        {20 * NSEC_PER_MSEC, 25},
        {20 * NSEC_PER_MSEC, 10},
};

void governor_init(struct governor *g, double limit, unsigned rate_max) {
        *g = (struct governor){.limit = limit, .rate_max = rate_max};
}

static int governor_step(struct governor *g) {
        if (g->cost > g->limit) {
                g->calm = 0;
                if (g->step + 1 >= ARRAY_SIZE(steps))
                        return 0;
                g->step++;
                return 1;
        }
        if (g->cost * 2 > g->limit || g->step == 0) {
                g->calm = 0;
                return 0;
        }
        if (++g->calm < CALM_SECONDS)
                return 0;
        g->calm = 0;
        g->step--;
        return 1;
}

int governor_turn(struct governor *g, uint64_t now, uint64_t bpf_ns, uint64_t cpu_ns, unsigned capacity) {
        uint64_t elapsed = now - g->last_time, used = bpf_ns - g->last_bpf_ns + (cpu_ns - g->last_cpu_ns);
        bool first = !g->last_time;

        g->last_time = now;
        g->last_bpf_ns = bpf_ns;
        g->last_cpu_ns = cpu_ns;
        if (first || !elapsed || !capacity)
                return 0;
        g->cost = 100.0 * (double)used / (double)elapsed / capacity;
        return governor_step(g);
}

struct governor_setting governor_setting(const struct governor *g) {
        return (struct governor_setting){
                .walk_below_ns = steps[g->step].walk_below_ns,
                .rate = MAX(g->rate_max * steps[g->step].rate_percent / 100, 1U),
        };
}

void governor_describe(const struct governor *g, char *text, size_t size) {
        struct governor_setting s = governor_setting(g);

        if (s.walk_below_ns)
                snprintf(text, size, "%u Hz, waits below %llu us sampled", s.rate,
                         (unsigned long long)(s.walk_below_ns / NSEC_PER_USEC));
        else
                snprintf(text, size, "%u Hz, every wait", s.rate);
}
