/* SPDX-License-Identifier: Apache-2.0 */
#include "probe_private.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/log.h"
#include "base/macro.h"

#define RECORDS_MAX 16384 /* records read in one turn of the event loop, at most */
#define READS_MAX 16
#define RING_BYTES (8 * 1024 * 1024) /* for up to eight CPUs */
#define MAPPING_PAGES 16             /* per CPU, for records of new mappings */

DEFINE_CLEANUP(struct probe *, probe_free)

static int probe_print(enum libbpf_print_level level, const char *format, va_list ap) {
        char line[1024];

        if (log_level < LOG_DEBUG)
                return 0;
        vsnprintf(line, sizeof(line), format, ap);
        line[strcspn(line, "\n")] = '\0';
        log_debug("libbpf: %s", line);
        return 0;
}

static int probe_fail(struct probe_failure *ret, int r, const char *what, const char *hint) {
        snprintf(ret->what, sizeof(ret->what), "%s: %s", what, strerror(-r));
        snprintf(ret->hint, sizeof(ret->hint), "%s", hint);
        return r;
}

static int probe_on_ring(void *ctx, void *data, size_t size) {
        struct probe *p = ctx;
        int r;

        r = p->on_record(p->userdata, data, size);
        if (r < 0)
                return r;
        return ++p->records_read % RECORDS_MAX ? 0 : -EAGAIN;
}

/* PERF_RECORD_MMAP2 of perf_event_open(2). The kernel ends the path with a NUL within the record. */
struct mmap2_record {
        struct perf_event_header header;
        uint32_t pid, tid;
        uint64_t start, length, offset;
        uint32_t major, minor;
        uint64_t inode, inode_generation;
        uint32_t protection, flags;
        char path[];
};

static enum bpf_perf_event_ret probe_on_mapping(void *ctx, int cpu, struct perf_event_header *header) {
        struct probe *p = ctx;
        const struct mmap2_record *r = (const struct mmap2_record *)header;
        struct probe_mapping m;

        if (header->type == PERF_RECORD_LOST) {
                const struct {
                        struct perf_event_header header;
                        uint64_t id, lost;
                } *lost = (const void *)header;

                p->mappings_lost += lost->lost;
                p->mapping_gaps++;
                return LIBBPF_PERF_EVENT_CONT;
        }
        if (header->type != PERF_RECORD_MMAP2 || header->size <= sizeof(*r) || (r->pid == 0) || !r->inode)
                return LIBBPF_PERF_EVENT_CONT;
        m = (struct probe_mapping){
                        .pid = r->pid,
                        .dev_major = r->major,
                        .dev_minor = r->minor,
                        .inode = r->inode,
                        .inode_generation = r->inode_generation,
                        .start = r->start,
                        .end = r->start + r->length,
                        .offset = r->offset,
                        .path = r->path,
        };
        return p->on_mapping(p->userdata, &m) < 0 ? LIBBPF_PERF_EVENT_ERROR : LIBBPF_PERF_EVENT_CONT;
}

static int probe_open_tick(unsigned rate, int cpu) {
        struct perf_event_attr attr = {
                        .size = sizeof(attr),
                        .type = PERF_TYPE_SOFTWARE,
                        .config = PERF_COUNT_SW_CPU_CLOCK,
                        .sample_period = NSEC_PER_SEC / rate, /* of time: what the kernel makes of a frequency, too */
        };
        int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);

        return fd < 0 ? -errno : fd;
}

static int probe_attach_tick(struct probe *p, int cpu) {
        _cleanup_close_ int fd = probe_open_tick(p->rate, cpu);

        if (fd < 0)
                return fd;
        p->ticks[cpu] = bpf_program__attach_perf_event(p->skel->progs.on_tick, fd);
        if (!p->ticks[cpu])
                return -errno;
        p->tick_fds[cpu] = TAKE_FD(fd);
        return 0;
}

/* On every CPU that is online now. Where it was watched before, nothing is missed in between; some is told twice. The
 * old one takes the new one's events out of the map as it goes, which no program reads. */
static int probe_watch_mappings(struct probe *p) {
        struct perf_event_attr attr = {
                        .size = sizeof(attr),
                        .type = PERF_TYPE_SOFTWARE,
                        .config = PERF_COUNT_SW_DUMMY,
                        .mmap = 1,
                        .mmap2 = 1,
                        .use_clockid = 1,
                        .clockid = CLOCK_MONOTONIC,
                        .watermark = 1,
                        .wakeup_watermark = 1,
                        .sample_period = 1,
                        .sample_type = 0,
        };
        struct perf_buffer_raw_opts opts = {.sz = sizeof(opts)};
        struct epoll_event wanted = {.events = EPOLLIN};
        struct perf_buffer *fresh, *old = p->mappings;

        fresh = perf_buffer__new_raw(bpf_map__fd(p->skel->maps.mappings), MAPPING_PAGES, &attr, probe_on_mapping, p,
                                     &opts);
        if (!fresh)
                return -errno;
        if (epoll_ctl(p->mappings_fd, EPOLL_CTL_ADD, perf_buffer__epoll_fd(fresh), &wanted) < 0) {
                int r = -errno;

                perf_buffer__free(fresh);
                return r;
        }
        p->mappings = fresh;
        if (old) {
                perf_buffer__poll(old, 0);
                perf_buffer__free(old);
                p->mapping_gaps++; /* those that were made on a CPU before it was watched */
        }
        return 0;
}

int probe_cover_cpus(struct probe *p) {
        _cleanup_fclose_ FILE *f = fopen("/sys/devices/system/cpu/online", "re");
        char online[sizeof(p->online)] = "";
        bool came = false;

        if (f && fgets(online, sizeof(online), f) && strcmp(online, p->online) == 0)
                return 0;
        memcpy(p->online, online, sizeof(online));
        for (int cpu = 0; cpu < p->cpus_n; cpu++) {
                bool present = probe_cpu_is_online(cpu);
                int r;

                if (present && !p->ticks[cpu]) {
                        r = probe_attach_tick(p, cpu);
                        if (r < 0 && r != -ENODEV)
                                return r;
                        came = true;
                } else if (!present && p->ticks[cpu]) {
                        bpf_link__destroy(p->ticks[cpu]); /* an event does not come back with its CPU */
                        p->ticks[cpu] = NULL;
                }
        }
        return came && p->mappings ? probe_watch_mappings(p) : 0;
}

static int probe_attach(struct probe *p, struct probe_failure *ret_failure) {
        struct pyprofd_bpf *s = p->skel;
        int r;

        s->links.on_fork = bpf_program__attach(s->progs.on_fork);
        s->links.on_exec = s->links.on_fork ? bpf_program__attach(s->progs.on_exec) : NULL;
        s->links.on_exit = s->links.on_exec ? bpf_program__attach(s->progs.on_exit) : NULL;
        s->links.on_wakeup = s->links.on_exit ? bpf_program__attach(s->progs.on_wakeup) : NULL;
        s->links.on_switch = s->links.on_wakeup ? bpf_program__attach(s->progs.on_switch) : NULL;
        p->task_iter = s->links.on_switch ? bpf_program__attach_iter(s->progs.on_task, NULL) : NULL;
        if (!p->task_iter)
                return probe_fail(ret_failure, -errno, "Cannot attach to the scheduler's tracepoints",
                                  "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, are needed");

        r = probe_cover_cpus(p);
        if (r < 0)
                return probe_fail(ret_failure, r, "Cannot open CPU-clock events",
                                  "CAP_PERFMON, and kernel.perf_event_paranoid of at most 2 or CAP_SYS_ADMIN, are "
                                  "needed");

        p->mappings_fd = epoll_create1(EPOLL_CLOEXEC);
        r = p->mappings_fd < 0 ? -errno : probe_watch_mappings(p);
        if (r < 0)
                return probe_fail(ret_failure, r, "Cannot watch for new executable mappings", "CAP_PERFMON is needed");
        return 0;
}

static int probe_load(struct probe *p, struct probe_failure *ret_failure) {
        uint32_t ring = RING_BYTES;
        int r;

        libbpf_set_print(probe_print);
        if (access("/sys/kernel/btf/vmlinux", R_OK) < 0)
                return probe_fail(ret_failure, -errno, "The kernel has no BTF (/sys/kernel/btf/vmlinux)",
                                  "a kernel with CONFIG_DEBUG_INFO_BTF=y is needed");
        p->skel = pyprofd_bpf__open();
        if (!p->skel)
                return probe_fail(ret_failure, -errno, "Cannot open the BPF object", "the build is damaged");
        for (int cpus = 8; cpus < p->cpus_n && ring < 8 * RING_BYTES; cpus *= 2)
                ring *= 2;
        bpf_map__set_max_entries(p->skel->maps.events, ring);
        p->skel->rodata->ring_watermark = ring / 4;
        p->uprobe_multi = links_can_uprobe_multi();
        if (p->uprobe_multi)
                bpf_program__set_expected_attach_type(p->skel->progs.on_start, LINK_UPROBE_MULTI);
        r = pyprofd_bpf__load(p->skel);
        if (r < 0)
                return probe_fail(ret_failure, r, "Cannot load the BPF programs",
                                  r == -EPERM || r == -EACCES
                                                  ? "run as root, or with CAP_BPF and CAP_PERFMON"
                                                  : "run with --log-level debug to see what the kernel says");
        p->ring = ring_buffer__new(bpf_map__fd(p->skel->maps.events), probe_on_ring, p, NULL);
        if (!p->ring)
                return probe_fail(ret_failure, -errno, "Cannot map the ring buffer", "");
        probe_measure(p, true);
        p->statistics = p->stats_fd >= 0; /* else the governor sees the daemon's own cost alone */
        probe_calibrate(p);
        return 0;
}

/* Each target takes three descriptors; the usual limit of 1024 would be met. */
static void probe_raise_files(void) {
        struct rlimit limit;

        if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == limit.rlim_max)
                return;
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
                log_debug_errno(-errno, "Cannot raise the number of open files: %m");
}

int probe_new(unsigned rate, probe_record_fn *on_record, probe_mapping_fn *on_mapping, void *userdata,
              struct probe_failure *ret_failure, struct probe **ret) {
        _cleanup_(probe_freep) struct probe *p = calloc(1, sizeof(*p));
        int r;

        if (!p)
                return probe_fail(ret_failure, -ENOMEM, "Cannot start", "");
        p->rate = rate;
        p->on_record = on_record;
        p->on_mapping = on_mapping;
        p->userdata = userdata;
        p->stats_fd = p->mappings_fd = -1;
        probe_raise_files();
        p->cpus_n = MIN(libbpf_num_possible_cpus(), CPUS_MAX);
        r = probe_load(p, ret_failure);
        if (r < 0)
                return r;
        r = probe_attach(p, ret_failure);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(p);
        return 0;
}

static void link_take(struct bpf_link **from, struct link *links, size_t *n) {
        if (*from)
                links[(*n)++] = (struct link){.libbpf = *from};
        *from = NULL;
}

static void probe_detach(struct probe *p) {
        struct link links[CPUS_MAX + TARGETS_MAX + 6];
        size_t n = 0;

        for (int i = 0; i < p->cpus_n; i++)
                link_take(&p->ticks[i], links, &n);
        for (size_t i = 0; i < TARGETS_MAX; i++)
                links[n++] = p->starts[i];
        link_take(&p->task_iter, links, &n);
        if (p->skel) {
                link_take(&p->skel->links.on_fork, links, &n);
                link_take(&p->skel->links.on_exec, links, &n);
                link_take(&p->skel->links.on_exit, links, &n);
                link_take(&p->skel->links.on_wakeup, links, &n);
                link_take(&p->skel->links.on_switch, links, &n);
        }
        links_destroy(links, n);
}

void probe_free(struct probe *p) {
        if (!p)
                return;
        probe_detach(p);
        perf_buffer__free(p->mappings);
        ring_buffer__free(p->ring);
        pyprofd_bpf__destroy(p->skel);
        closep(&p->mappings_fd);
        closep(&p->stats_fd);
        free(p);
}

int probe_records_fd(const struct probe *p) {
        return ring_buffer__epoll_fd(p->ring);
}

int probe_mappings_fd(const struct probe *p) {
        return p->mappings_fd;
}

int probe_read_records(struct probe *p) {
        int r = ring_buffer__consume(p->ring);

        return r < 0 && r != -EAGAIN ? r : 0;
}

int probe_read_all_records(struct probe *p) {
        int r = -EAGAIN;

        for (int i = 0; i < READS_MAX && r == -EAGAIN; i++)
                r = ring_buffer__consume(p->ring);
        return r < 0 && r != -EAGAIN ? r : 0;
}

int probe_read_mappings(struct probe *p) {
        int r = perf_buffer__poll(p->mappings,
                                  0); /* and not _consume(): that one stops at the first CPU that is offline */

        return r < 0 && r != -EINTR ? r : 0;
}

uint64_t probe_mapping_gaps(const struct probe *p) {
        return p->mapping_gaps;
}

int probe_add_target(struct probe *p, uint32_t index, const struct target *t, const struct target_image *image, int fd,
                     uint64_t probe_offset) {
        LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = index);
        char path[64];
        int r;

        if (index >= TARGETS_MAX)
                return -E2BIG;
        if (bpf_map_update_elem(bpf_map__fd(p->skel->maps.targets), &index, t, BPF_ANY) < 0 ||
            bpf_map_update_elem(bpf_map__fd(p->skel->maps.images), &index, image, BPF_ANY) < 0)
                return -errno;
        p->targets[index] = true;
        if (!probe_offset)
                return 0;
        /* Through the descriptor: the file may lie in a container, be replaced or deleted. The inode is what counts. */
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        if (p->uprobe_multi) {
                r = link_uprobe_multi(bpf_program__fd(p->skel->progs.on_start), path, probe_offset, index,
                                      &p->starts[index]);
                return r < 0 ? r : 1;
        }
        p->starts[index].libbpf =
                        bpf_program__attach_uprobe_opts(p->skel->progs.on_start, -1, path, probe_offset, &opts);
        return p->starts[index].libbpf ? 1 : -errno;
}

void probe_remove_targets(struct probe *p, const uint32_t *indices, size_t n) {
        struct link links[TARGETS_MAX];

        n = MIN(n, ARRAY_SIZE(links));
        for (size_t i = 0; i < n; i++) {
                links[i] = p->starts[indices[i]];
                p->starts[indices[i]] = (struct link){};
                p->targets[indices[i]] = false;
        }
        links_destroy(links, n);
}

int probe_busy_targets(const struct probe *p, bool ret_busy[static TARGETS_MAX]) {
        _cleanup_free_ struct process *processes = calloc(PROCESSES_MAX, sizeof(*processes));
        _cleanup_free_ uint32_t *pids = calloc(PROCESSES_MAX, sizeof(*pids));
        uint32_t n = PROCESSES_MAX, position;

        if (!processes || !pids)
                return -ENOMEM;
        /* There is room for all of them, so one call does. */
        if (bpf_map_lookup_batch(bpf_map__fd(p->skel->maps.processes), NULL, &position, pids, processes, &n, NULL) <
                            0 &&
            errno != ENOENT)
                return -errno;
        memset(ret_busy, 0, TARGETS_MAX * sizeof(*ret_busy));
        for (uint32_t i = 0; i < n; i++)
                if (processes[i].target < TARGETS_MAX)
                        ret_busy[processes[i].target] = true;
        return 0;
}

int probe_add_process(struct probe *p, uint32_t pid, const struct process *process) {
        return bpf_map_update_elem(bpf_map__fd(p->skel->maps.processes), &pid, process, BPF_NOEXIST) < 0 ? -errno : 0;
}

void probe_check_process(struct probe *p, uint32_t pid) {
        int fd = bpf_map__fd(p->skel->maps.processes);
        struct process process;

        if (bpf_map_lookup_elem(fd, &pid, &process) == 0 && process.scope == 0)
                bpf_map_delete_elem(fd, &pid);
}

int probe_iterate(struct probe *p) {
        _cleanup_close_ int fd = bpf_iter_create(bpf_link__fd(p->task_iter));
        struct event_state states[128];
        size_t have = 0;
        int r;

        if (fd < 0)
                return -errno;
        for (;;) {
                ssize_t n = read(fd, (char *)states + have, sizeof(states) - have);
                size_t whole;

                if (n < 0 && (errno == EINTR || errno == EAGAIN))
                        continue;
                if (n <= 0)
                        return n < 0 ? -errno : 0;
                have += (size_t)n;
                whole = have / sizeof(states[0]);
                r = probe_read_records(p); /* what a state was built on has been sent before it */
                if (r < 0)
                        return r;
                for (size_t i = 0; i < whole; i++) {
                        r = p->on_record(p->userdata, &states[i], sizeof(states[i]));
                        if (r < 0)
                                return r;
                }
                have -= whole * sizeof(states[0]);
                memmove(states, states + whole, have);
        }
}

void probe_forget_stack(struct probe *p, uint64_t hash) {
        int fd = bpf_map__fd(p->skel->maps.stacks);
        uint32_t index = (uint32_t)(hash >> STACK_SET_SHIFT);
        struct stack_set set;

        if (bpf_map_lookup_elem(fd, &index, &set) < 0)
                return;
        for (size_t i = 0; i < ARRAY_SIZE(set.ways); i++)
                if (set.ways[i].hash == hash)
                        set.ways[i] = (struct stack_known){};
        bpf_map_update_elem(fd, &index, &set, BPF_ANY);
}

int probe_set_rate(struct probe *p, unsigned rate) {
        uint64_t period = NSEC_PER_SEC / rate;

        for (int cpu = 0; cpu < p->cpus_n; cpu++)
                if (p->ticks[cpu] && ioctl(p->tick_fds[cpu], PERF_EVENT_IOC_PERIOD, &period) < 0)
                        return -errno;
        p->rate = rate;
        return 0;
}

unsigned probe_rate(const struct probe *p) {
        return p->rate;
}

void probe_set_walk_below(struct probe *p, uint64_t ns) {
        p->skel->bss->settings.walk_below_ns = ns;
}
