/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/macro.h"

#define OVERHEAD_RUNS 10000 /* that a rest must see for its average to be believed */

bool probe_cpu_is_online(int cpu) {
        char path[64];
        char c = '1'; /* a CPU that cannot go offline has no such file */
        _cleanup_fclose_ FILE *f = NULL;

        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d", cpu);
        if (access(path, F_OK) < 0)
                return false; /* possible, but not there */
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
        f = fopen(path, "re");
        if (f && fread(&c, 1, 1, f) != 1)
                return false;
        return c == '1';
}

/* What statistics count for a run that does nothing: the clock itself. The iterator's program can be run at will. */
void probe_calibrate(struct probe *p) {
        struct bpf_prog_info info = {};
        uint32_t size = sizeof(info);
        int fd = bpf_program__fd(p->skel->progs.on_nothing);

        for (int i = 0; i < 200; i++) {
                LIBBPF_OPTS(bpf_test_run_opts, opts);

                if (bpf_prog_test_run_opts(fd, &opts) < 0)
                        return;
        }
        if (bpf_obj_get_info_by_fd(fd, &info, &size) == 0 && info.run_cnt)
                p->overhead_ns = info.run_time_ns / info.run_cnt;
}

/* A program that rests does nothing: what statistics count for it then, under the load that there is, is the clock's
 * own cost, which no run on an idle machine tells (55 ns there, 75-90 ns under load). */
static void probe_learn_overhead(struct probe *p, bool begin) {
        struct bpf_prog_info info = {};
        uint32_t size = sizeof(info);

        if (bpf_obj_get_info_by_fd(bpf_program__fd(p->skel->progs.on_switch), &info, &size) < 0)
                return;
        if (!begin && info.run_cnt - p->rest_runs >= OVERHEAD_RUNS)
                p->overhead_ns = (info.run_time_ns - p->rest_ns) / (info.run_cnt - p->rest_runs);
        p->rest_runs = info.run_cnt;
        p->rest_ns = info.run_time_ns;
}

void probe_rest(struct probe *p, bool rest) {
        struct settings *s = &p->skel->bss->settings;

        if (s->resting == rest)
                return;
        if (rest)
                s->epoch++;
        else
                probe_learn_overhead(p, false);
        s->resting = rest;
        if (rest)
                probe_learn_overhead(p, true);
}

static int probe_counter(const struct probe *p, uint32_t counter, uint64_t *ret) {
        _cleanup_free_ uint64_t *values = calloc((size_t)libbpf_num_possible_cpus(), sizeof(*values));
        uint64_t sum = 0;

        if (!values)
                return -ENOMEM;
        if (bpf_map_lookup_elem(bpf_map__fd(p->skel->maps.counters), &counter, values) < 0)
                return -errno;
        for (int i = 0; i < libbpf_num_possible_cpus(); i++)
                sum += values[i];
        *ret = sum;
        return 0;
}

static _printf_(3, 4) struct probe_feature feature(const char *name, bool ok, const char *format, ...) {
        struct probe_feature f = {.name = name, .ok = ok};
        va_list ap;

        va_start(ap, format);
        vsnprintf(f.why, sizeof(f.why), format, ap);
        va_end(ap);
        return f;
}

void probe_features(const struct probe *p, struct probe_feature ret[PROBE_FEATURES]) {
        int ticks = 0, online = 0, starts = 0, targets = 0;

        for (int cpu = 0; cpu < p->cpus_n; cpu++) {
                ticks += p->ticks[cpu] != NULL;
                online += probe_cpu_is_online(cpu);
        }
        for (size_t i = 0; i < TARGETS_MAX; i++) {
                starts += p->starts[i].libbpf || p->starts[i].fd > 0;
                targets += p->targets[i];
        }
        ret[0] = feature("cpu-clock", ticks == online, "%u Hz on %d of %d CPUs", p->rate, ticks, online);
        ret[1] = feature("switches", p->skel->links.on_switch != NULL, "BTF tracepoints of the scheduler%s",
                         p->skel->bss->settings.resting ? ", resting now" : "");
        ret[2] = feature("starts", starts == targets, "%d of %d interpreter binaries have a probe at their start",
                         starts, targets);
        ret[3] = feature("mappings", p->mappings != NULL, "new binaries are found as they are mapped");
        ret[4] = feature("statistics", p->statistics,
                         p->statistics ? "the kernel counts what the programs take, some of the time"
                                       : "the cost of BPF is not known to the governor");
}

void probe_measure(struct probe *p, bool on) {
        if (on == (p->stats_fd >= 0))
                return;
        if (on)
                p->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
        else
                closep(&p->stats_fd);
        if (!on)
                p->stats_fd = -1;
}

int probe_stats(const struct probe *p, struct probe_stats *ret) {
        struct bpf_program *program;
        struct probe_stats stats = {.overhead_ns = p->overhead_ns, .mappings_lost = p->mappings_lost};

        bpf_object__for_each_program(program, p->skel->obj) {
                struct bpf_prog_info info = {};
                uint32_t size = sizeof(info);

                if (stats.programs_n >= ARRAY_SIZE(stats.programs) || program == p->skel->progs.on_nothing)
                        continue;
                if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) < 0)
                        return -errno;
                stats.programs[stats.programs_n++] = (struct probe_program){
                                .name = bpf_program__name(program),
                                .runs = info.run_cnt,
                                .ns = info.run_time_ns,
                };
        }
        for (uint32_t i = 0; i < COUNTER_MAX; i++) {
                int r = probe_counter(p, i, &stats.counters[i]);

                if (r < 0)
                        return r;
        }
        *ret = stats;
        return 0;
}
