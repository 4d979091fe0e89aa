/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "base/macro.h"

#define BTF_PATH "/sys/kernel/btf/vmlinux"
#define RELEASE(a, b) ((a) << 8 | (b))
#define NEEDED RELEASE(5, 17) /* bpf_loop() */

/* Numbers of linux/capability.h; CAP_PERFMON and CAP_BPF are newer (5.8) than some headers. */
enum { CAP_SYS_ADMIN_ = 21, CAP_PERFMON_ = 38, CAP_BPF_ = 39 };

static void set(struct check *c, enum verdict verdict, const char *format, ...) _printf_(3, 4);

static void set(struct check *c, enum verdict verdict, const char *format, ...) {
        va_list args;

        c->verdict = verdict;
        va_start(args, format);
        vsnprintf(c->what, sizeof(c->what), format, args);
        va_end(args);
}

static void remedy(struct check *c, const char *text) {
        snprintf(c->remedy, sizeof(c->remedy), "%s", text);
}

/* The first line of a small file; -errno. */
static int read_line(const char *path, char *line, size_t size) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");

        if (!f)
                return -errno;
        if (!fgets(line, (int)size, f))
                return -EIO;
        line[strcspn(line, "\n")] = '\0';
        return 0;
}

static unsigned kernel_release(void) {
        struct utsname u;
        unsigned major = 0, minor = 0;

        if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
                return 0;
        return RELEASE(major, minor);
}

static uint64_t capabilities(void) {
        _cleanup_fclose_ FILE *f = fopen("/proc/self/status", "re");
        uint64_t set_ = 0;
        char line[256];

        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "CapEff: %" SCNx64, &set_) == 1)
                        break;
        return set_;
}

static bool has(uint64_t set_, int capability) {
        return set_ >> capability & 1;
}

static void check_capabilities(struct check *c) {
        static const struct {
                int number;
                const char *name;
        } wanted[] = {{CAP_BPF_, "CAP_BPF"}, {CAP_PERFMON_, "CAP_PERFMON"}, {CAP_SYS_ADMIN_, "CAP_SYS_ADMIN"}};
        uint64_t set_ = capabilities();
        char missing[96] = "";

        for (size_t i = 0; i < ARRAY_SIZE(wanted); i++)
                if (!has(set_, wanted[i].number)) {
                        strcat(missing, " ");
                        strcat(missing, wanted[i].name);
                }
        if (!missing[0])
                return set(c, CHECK_OK, "CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN are there");
        set(c, CHECK_MISSING, "%smissing:%s", geteuid() == 0 ? "" : "not root, ", missing);
        remedy(c, geteuid() == 0 ? "grant them to this container; uprobes need CAP_SYS_ADMIN" : "run pyprofd as root");
}

static void check_kernel(struct check *c) {
        struct utsname u;

        if (uname(&u) < 0)
                return set(c, CHECK_MISSING, "uname: %s", strerror(errno));
        if (strcmp(u.machine, "x86_64") != 0) {
                set(c, CHECK_MISSING, "Linux %s on %s", u.release, u.machine);
                return remedy(c, "only x86-64 is supported");
        }
        if (kernel_release() >= NEEDED)
                return set(c, CHECK_OK, "Linux %s", u.release);
        set(c, CHECK_MISSING, "Linux %s is too old", u.release);
        remedy(c, "5.17 or later is needed");
}

static void check_btf(struct check *c) {
        if (access(BTF_PATH, R_OK) == 0)
                return set(c, CHECK_OK, "%s can be read", BTF_PATH);
        set(c, CHECK_MISSING, "%s: %s", BTF_PATH, strerror(errno));
        remedy(c, errno == ENOENT ? "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, and mount /sys" : "run as root");
}

static void check_lockdown(struct check *c) {
        char line[128];

        if (read_line("/sys/kernel/security/lockdown", line, sizeof(line)) < 0)
                return set(c, CHECK_OK, "not in this kernel, or securityfs is not mounted");
        if (!strstr(line, "[confidentiality]"))
                return set(c, CHECK_OK, "%s", line);
        set(c, CHECK_MISSING, "%s keeps BPF from reading memory", line);
        remedy(c, "boot with lockdown=integrity or without lockdown");
}

/* `return 0` as a raw tracepoint program: the least that CAP_BPF and CAP_PERFMON are asked for. */
static void check_bpf(struct check *c) {
        struct bpf_insn program[] = {
                        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = 0},
                        {.code = BPF_JMP | BPF_EXIT},
        };
        union bpf_attr attr = {
                        .prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT,
                        .insns = (uintptr_t)program,
                        .insn_cnt = ARRAY_SIZE(program),
                        .license = (uintptr_t) "GPL",
        };
        _cleanup_close_ int fd = (int)syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));

        if (fd >= 0)
                return set(c, CHECK_OK, "a program can be loaded");
        set(c, CHECK_MISSING, "bpf(): %s", strerror(errno));
        if (errno == ENOSYS)
                remedy(c, "boot a kernel built with CONFIG_BPF_SYSCALL=y");
        else if (geteuid() == 0)
                remedy(c, "a seccomp filter or missing capabilities: in a container, allow bpf and grant CAP_BPF, "
                          "CAP_PERFMON");
        else
                remedy(c, "run as root");
}

static void check_perf(struct check *c) {
        struct perf_event_attr attr = {
                        .type = PERF_TYPE_SOFTWARE,
                        .size = sizeof(attr),
                        .config = PERF_COUNT_SW_CPU_CLOCK,
                        .sample_period = NSEC_PER_SEC,
                        .disabled = 1,
        };
        _cleanup_close_ int fd = (int)syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
        int error = errno;
        char level[32];

        if (read_line("/proc/sys/kernel/perf_event_paranoid", level, sizeof(level)) < 0)
                snprintf(level, sizeof(level), "unknown");
        if (fd >= 0)
                return set(c, CHECK_OK, "the CPU clock can be opened (perf_event_paranoid is %s)", level);
        set(c, CHECK_MISSING, "perf_event_open(): %s (perf_event_paranoid is %s)", strerror(error), level);
        if (error == EACCES || error == EPERM)
                remedy(c, "CAP_SYS_ADMIN, or CAP_PERFMON and `sysctl kernel.perf_event_paranoid=2`; a seccomp filter "
                          "may forbid it too");
        else
                remedy(c, "a kernel built with CONFIG_PERF_EVENTS=y is needed");
}

static void check_uprobes(struct check *c) {
        char line[32];

        if (read_line("/sys/bus/event_source/devices/uprobe/type", line, sizeof(line)) < 0) {
                set(c, CHECK_MISSING, "no uprobe event source");
                return remedy(c, "boot a kernel built with CONFIG_UPROBE_EVENTS=y, and mount /sys");
        }
        if (has(capabilities(), CAP_SYS_ADMIN_))
                return set(c, CHECK_OK, "they can be set");
        set(c, CHECK_MISSING, "in the kernel, but need CAP_SYS_ADMIN");
        remedy(c, "run as root");
}

/* Before 5.11 maps are charged to RLIMIT_MEMLOCK, later to the cgroup. */
static void check_memlock(struct check *c) {
        struct rlimit limit;

        if (kernel_release() >= RELEASE(5, 11))
                return set(c, CHECK_OK, "not counted by this kernel");
        if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0)
                return set(c, CHECK_NOTE, "getrlimit(): %s", strerror(errno));
        if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max >= (UINT64_C(256) << 20))
                return set(c, CHECK_OK, "enough");
        set(c, CHECK_MISSING, "at most %llu bytes of maps", (unsigned long long)limit.rlim_max);
        remedy(c, "`ulimit -l unlimited`");
}

/* The kernel speaks of pids as the initial namespace numbers them. */
static void check_namespace(struct check *c) {
        char link[64];
        ssize_t n = readlink("/proc/self/ns/pid", link, sizeof(link) - 1);

        if (n < 0)
                return set(c, CHECK_NOTE, "/proc/self/ns/pid: %s", strerror(errno));
        link[n] = '\0';
        if (strcmp(link, "pid:[4026531836]") == 0) /* PROC_PID_INIT_INO */
                return set(c, CHECK_OK, "the host's");
        set(c, CHECK_NOTE, "a container's: pids here are not the host's");
        remedy(c, "run with the host's pid namespace (`--pid=host`), or with its /proc mounted");
}

static void check_loops(struct check *c) {
        if (kernel_release() >= NEEDED)
                return set(c, CHECK_OK, "bpf_loop() is there");
        set(c, CHECK_MISSING, "no bpf_loop() before 5.17");
        remedy(c, "boot a kernel of 5.17 or later");
}

static void check_task_storage(struct check *c) {
        if (kernel_release() >= RELEASE(5, 11))
                return set(c, CHECK_OK, "programs that trace have it");
        set(c, CHECK_MISSING, "programs that trace have none before 5.11");
        remedy(c, "boot a kernel of 5.17 or later");
}

size_t check_machine(struct check checks[static CHECKS_MAX]) {
        static const struct {
                const char *name;
                void (*look)(struct check *c);
        } all[] = {
                        {"privileges", check_capabilities},
                        {"kernel", check_kernel},
                        {"BTF", check_btf},
                        {"lockdown", check_lockdown},
                        {"bpf", check_bpf},
                        {"CPU clock", check_perf},
                        {"uprobes", check_uprobes},
                        {"locked memory", check_memlock},
                        {"pid namespace", check_namespace},
                        {"loops", check_loops},
                        {"task storage", check_task_storage},
        };

        for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
                checks[i] = (struct check){.name = all[i].name};
                all[i].look(checks + i);
        }
        return ARRAY_SIZE(all);
}
