/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of probe, for the two files it is written in: probe.c (what is in the kernel) and probe_stats.c (what it
 * costs). */
#pragma once

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "links.h"
#include "probe.h"
#include "pyprofd.skel.h"

#define CPUS_MAX 4096

struct probe {
        struct pyprofd_bpf *skel;
        struct ring_buffer *ring;
        struct perf_buffer *mappings;
        struct bpf_link *task_iter;
        struct link starts[TARGETS_MAX];
        bool uprobe_multi;
        bool targets[TARGETS_MAX]; /* in use */
        struct bpf_link *ticks[CPUS_MAX];
        int tick_fds[CPUS_MAX]; /* owned by the links; for PERF_EVENT_IOC_PERIOD */
        int cpus_n;             /* possible ones */
        char online[256];       /* as the kernel lists them: a change means that one came or went */
        int stats_fd;           /* open while the kernel counts */
        bool statistics;        /* it can */
        unsigned rate;
        uint64_t records_read;
        uint64_t overhead_ns;
        uint64_t rest_runs, rest_ns; /* statistics of on_switch when the rest began */
        int mappings_fd;             /* an epoll that stays where `mappings` is made anew */
        uint64_t mappings_lost;
        uint64_t mapping_gaps;

        probe_record_fn *on_record;
        probe_mapping_fn *on_mapping;
        void *userdata;
};

bool probe_cpu_is_online(int cpu);

/* What statistics count for a run that does nothing. */
void probe_calibrate(struct probe *p);
