/* SPDX-License-Identifier: Apache-2.0 */
#include "meter.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "event.h"
#include "proc/maps.h"
#include "python/image.h"
#include "target.h"

#include "walk.skel.h"

#define RATE 999 /* Hz: no divisor of the scheduler's tick */
#define RUNS_MIN 20
#define SLICES_MAX 20

struct meter {
        struct walk_bpf *skel;
        struct ring_buffer *ring;
        struct bpf_link *task_iter;
        int stats_fd;
        uint32_t targets_n;
};

struct run {
        uint64_t n, ns;
};

static int meter_on_record(void *userdata, void *data, size_t size) {
        return 0;
}

int meter_new(struct meter **ret) {
        _cleanup_(meter_freep) struct meter *m = calloc(1, sizeof(*m));

        if (!m)
                return -ENOMEM;
        m->stats_fd = -1;
        m->skel = walk_bpf__open_and_load();
        if (!m->skel)
                return -errno;
        m->ring = ring_buffer__new(bpf_map__fd(m->skel->maps.events), meter_on_record, m, NULL);
        m->task_iter = bpf_program__attach_iter(m->skel->progs.on_task, NULL);
        m->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
        if (!m->ring || !m->task_iter || m->stats_fd < 0)
                return -errno;
        *ret = TAKE_PTR(m);
        return 0;
}

void meter_free(struct meter *m) {
        if (!m)
                return;
        bpf_link__destroy(m->task_iter);
        ring_buffer__free(m->ring);
        walk_bpf__destroy(m->skel);
        closep(&m->stats_fd);
        free(m);
}

struct search {
        pid_t pid;
        struct image image;
        uint64_t bias;
};

static int meter_on_map(void *userdata, const struct maps_entry *e) {
        struct search *s = userdata;
        _cleanup_close_ int fd = -1;
        char path[96];

        if (e->perms[2] != 'x' || !e->inode)
                return 0;
        snprintf(path, sizeof(path), "/proc/%d/map_files/%lx-%lx", s->pid, e->start, e->end);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (image_read(fd, &s->image) < 0 || !s->image.supported)
                return 0;
        return image_bias(fd, e->start, e->offset, &s->bias) < 0 ? 0 : 1;
}

/* Reading the iterator makes it take in the threads of new processes. */
static int meter_iterate(struct meter *m) {
        _cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(m->task_iter));
        char buffer[16384];
        ssize_t n;

        if (fd < 0)
                return -errno;
        do
                n = read(fd, buffer, sizeof(buffer));
        while (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)));
        return n < 0 ? -errno : 0;
}

int meter_follow(struct meter *m, pid_t pid) {
        struct search s = {.pid = pid};
        const struct target_image *a = &s.image.addresses;
        struct process p = {.target = m->targets_n};
        uint32_t key = (uint32_t)pid;
        int r;

        r = maps_each("/proc", key, meter_on_map, &s);
        if (r < 0)
                return r;
        if (r == 0 || m->targets_n >= TARGETS_MAX)
                return -ENOENT;
        p.runtime = a->runtime + s.bias;
        p.code_type = a->code_type + s.bias;
        p.text_start = a->text_start + s.bias;
        p.text_end = a->text_end + s.bias;
        if (bpf_map_update_elem(bpf_map__fd(m->skel->maps.targets), &m->targets_n, &s.image.target, BPF_ANY) < 0 ||
            bpf_map_update_elem(bpf_map__fd(m->skel->maps.processes), &key, &p, BPF_ANY) < 0)
                return -errno;
        m->targets_n++;
        return meter_iterate(m);
}

void meter_unfollow(struct meter *m, pid_t pid) {
        bpf_map_delete_elem(bpf_map__fd(m->skel->maps.processes), &pid);
}

void meter_set_walk_below(struct meter *m, uint64_t ns) {
        m->skel->bss->settings.walk_below_ns = ns;
}

static int meter_read(const struct bpf_program *program, struct run *ret) {
        struct bpf_prog_info info = {};
        uint32_t size = sizeof(info);

        if (bpf_obj_get_info_by_fd(bpf_program__fd(program), &info, &size) < 0)
                return -errno;
        *ret = (struct run){.n = info.run_cnt, .ns = info.run_time_ns};
        return 0;
}

/* What the runs since `before` took on average; -ENODATA when there were none. */
static int meter_mean(const struct bpf_program *program, const struct run *before, uint64_t *ret_n, double *ret_ns) {
        struct run now;
        int r = meter_read(program, &now);

        if (r < 0)
                return r;
        if (now.n == before->n)
                return -ENODATA;
        *ret_n = now.n - before->n;
        *ret_ns = (double)(now.ns - before->ns) / (double)*ret_n;
        return 0;
}

static void meter_sleep(struct meter *m, unsigned ms) {
        for (unsigned i = 0; i < ms; i += 10) {
                struct timespec ts = {.tv_nsec = 10 * (long)NSEC_PER_MSEC};

                nanosleep(&ts, NULL);
                ring_buffer__consume(m->ring);
        }
}

static void link_freep(struct bpf_link **l) {
        bpf_link__destroy(*l);
}
#define _cleanup_link_ _cleanup_(link_freep)

static int meter_tick(const struct bpf_program *program, pid_t pid, struct bpf_link **ret) {
        struct perf_event_attr attr = {
                        .size = sizeof(attr),
                        .type = PERF_TYPE_SOFTWARE,
                        .config = PERF_COUNT_SW_CPU_CLOCK,
                        .freq = 1,
                        .sample_freq = RATE,
        };
        int fd = (int)syscall(SYS_perf_event_open, &attr, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);

        if (fd < 0)
                return -errno;
        *ret = bpf_program__attach_perf_event(program, fd);
        if (*ret)
                return 0;
        close(fd);
        return -errno;
}

/* Runs the program on ticks of one process for `ms`, while the process runs. */
static int meter_slice(struct meter *m, const struct bpf_program *program, pid_t pid, unsigned ms,
                       struct meter_runs *ret) {
        _cleanup_link_ struct bpf_link *link = NULL;
        struct run before;
        int r;

        r = meter_read(program, &before);
        if (r < 0)
                return r;
        if (kill(pid, SIGCONT) < 0)
                return -errno;
        r = meter_tick(program, pid, &link);
        for (unsigned i = 0; r == 0 && i < SLICES_MAX; i++) { /* other processes may have the CPU for that long */
                meter_sleep(m, ms);
                r = meter_mean(program, &before, &ret->n, &ret->ns);
                if (r == 0 && ret->n >= RUNS_MIN)
                        break;
                if (r == -ENODATA && i + 1 < SLICES_MAX)
                        r = 0;
        }
        if (kill(pid, SIGSTOP) < 0)
                return -errno;
        return r;
}

int meter_walks(struct meter *m, pid_t python, pid_t spin, unsigned ms, struct meter_walks *ret) {
        struct meter_walks w = {};
        int r;

        r = meter_slice(m, m->skel->progs.bench_python_walk, python, ms, &w.python);
        if (r < 0)
                return r;
        r = meter_slice(m, m->skel->progs.bench_kernel_walk, spin, ms, &w.kernel);
        if (r < 0)
                return r;
        r = meter_slice(m, m->skel->progs.bench_empty, spin, ms / 2, &w.empty);
        if (r < 0)
                return r;
        w.python_frames = m->skel->bss->bench_python_frames;
        w.kernel_frames = m->skel->bss->bench_kernel_frames;
        *ret = w;
        return 0;
}

int meter_switches(struct meter *m, unsigned ms, struct meter_switches *ret) {
        const struct bpf_program *empty = m->skel->progs.bench_switch_empty, *on_switch = m->skel->progs.on_switch;
        const struct bpf_program *on_wakeup = m->skel->progs.on_wakeup;
        _cleanup_link_ struct bpf_link *wakeups = NULL, *switches = NULL, *nothing = NULL, *counts = NULL;
        volatile uint64_t *kinds = (volatile uint64_t *)m->skel->bss->bench_switches;
        struct run was_empty = {}, was_switch, was_wakeup;
        struct meter_switches s = {};
        uint64_t n, all;
        int r;

        wakeups = bpf_program__attach(on_wakeup);
        switches = bpf_program__attach(on_switch);
        nothing = bpf_program__attach(empty);
        counts = bpf_program__attach(m->skel->progs.bench_switch_count);
        if (!wakeups || !switches || !nothing || !counts)
                return -errno;
        meter_sleep(m, 20);
        memset((void *)kinds, 0, sizeof(m->skel->bss->bench_switches));
        if (meter_read(empty, &was_empty) < 0 || meter_read(on_switch, &was_switch) < 0 ||
            meter_read(on_wakeup, &was_wakeup) < 0)
                return -EIO;
        meter_sleep(m, ms);
        all = kinds[0] + kinds[1] + kinds[2];
        r = meter_mean(empty, &was_empty, &n, &s.empty);
        if (r < 0)
                return r;
        r = meter_mean(on_wakeup, &was_wakeup, &n, &s.wakeup);
        if (r < 0)
                return r;
        r = meter_mean(on_switch, &was_switch, &n, &s.on_switch);
        if (r < 0)
                return r;
        s.rate = (double)n * 1000 / ms;
        s.followed = all ? (double)(kinds[1] + kinds[2]) / (double)all : 0;
        s.both = all ? (double)kinds[2] / (double)all : 0;
        *ret = s;
        return 0;
}
