/* SPDX-License-Identifier: Apache-2.0 */
/* What the stages count, brought together: health for `status`, and everything lost, by cause, for `loss`. */
#pragma once

#include "discovery.h"
#include "governor.h"
#include "ingest.h"
#include "probe.h"
#include "resolve.h"
#include "roster.h"
#include "serve.h"
#include "store.h"

/* Borrowed. */
struct report_stages {
        struct probe *probe;
        struct roster *roster;
        struct ingest *ingest;
        struct discovery *discovery;
        struct resolve *resolve;
        struct store *store;
        const struct governor *governor;
};

/* Holds what a status points to. Zero is a valid one. */
struct report {
        uint64_t started;
        struct probe_stats stats;
        struct serve_program programs[16];
        struct probe_feature probed[PROBE_FEATURES];
        struct serve_feature features[PROBE_FEATURES];
        char setting[96];
};

/* What BPF really used between two readings: statistics count the clock's own cost with every run, it is taken off. */
uint64_t report_bpf_ns(const struct probe_stats *before, const struct probe_stats *now);

int report_status(struct report *r, const struct report_stages *s, struct serve_status *ret);
int report_loss(const struct report_stages *s, struct profile_loss *loss);
