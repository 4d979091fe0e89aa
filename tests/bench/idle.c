/* SPDX-License-Identifier: Apache-2.0 */
#include "idle.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "base/macro.h"
#include "work.h"

#define IDLE_N 200
#define SETTLE_S 5
#define MEASURE_S 20
#define RSS_TARGET_MIB 64.0
#define CPU_TARGET 0.1 /* percent of one CPU: below that it cannot be told from none */

struct use {
        double cpu; /* percent of one CPU */
        double rss_mib;
};

static void pause_s(unsigned s) {
        struct timespec ts = {.tv_sec = s};

        nanosleep(&ts, NULL);
}

/* On-CPU nanoseconds of all threads: the kernel's own accounts, not in steps of a clock tick. */
static int cpu_read(pid_t pid, uint64_t *ret_ns) {
        char path[64 + sizeof(((struct dirent *)NULL)->d_name)];
        uint64_t sum = 0, ns;
        struct dirent *e;
        DIR *tasks;

        snprintf(path, sizeof(path), "/proc/%d/task", pid);
        tasks = opendir(path);
        if (!tasks)
                return -errno;
        while ((e = readdir(tasks))) {
                _cleanup_fclose_ FILE *f = NULL;

                if (e->d_name[0] == '.')
                        continue;
                snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", pid, e->d_name);
                f = fopen(path, "re");
                if (f && fscanf(f, "%" SCNu64, &ns) == 1)
                        sum += ns;
        }
        closedir(tasks);
        *ret_ns = sum;
        return 0;
}

static int rss_read(pid_t pid, double *ret_mib) {
        _cleanup_fclose_ FILE *f = NULL;
        char path[64], line[256];
        unsigned long kib;

        snprintf(path, sizeof(path), "/proc/%d/status", pid);
        f = fopen(path, "re");
        if (!f)
                return -errno;
        while (fgets(line, sizeof(line), f))
                if (sscanf(line, "VmRSS: %lu", &kib) == 1) {
                        *ret_mib = (double)kib / 1024;
                        return 0;
                }
        return -ENODATA;
}

static int use_measure(pid_t pid, struct use *ret) {
        struct use u = {};
        uint64_t before, after;
        int r;

        pause_s(SETTLE_S);
        if (waitpid(pid, NULL, WNOHANG) != 0)
                return -ESRCH;
        r = cpu_read(pid, &before);
        if (r < 0)
                return r;
        pause_s(MEASURE_S);
        r = cpu_read(pid, &after);
        if (r < 0)
                return r;
        r = rss_read(pid, &u.rss_mib);
        if (r < 0)
                return r;
        u.cpu = 100.0 * (double)(after - before) / (MEASURE_S * 1e9);
        *ret = u;
        return 0;
}

static void use_print(const char *what, const struct use *u) {
        printf("%-32s CPU %6.3f %%, RSS %5.1f MiB\n", what, u->cpu, u->rss_mib);
        fflush(stdout);
}

static int idle_measure(pid_t daemon) {
        struct work works[IDLE_N] = {};
        struct use without, with;
        int r;

        r = use_measure(daemon, &without);
        if (r < 0)
                return r;
        use_print("without them", &without);
        for (size_t i = 0; r == 0 && i < IDLE_N; i++)
                r = work_start((const char *const[]){"/usr/bin/python3", "-I", "-S", "tests/bench/idle.py", NULL},
                               &works[i]);
        if (r == 0)
                r = use_measure(daemon, &with);
        for (size_t i = 0; i < IDLE_N; i++)
                work_stop(&works[i]);
        if (r < 0)
                return r;
        use_print("with them", &with);
        printf("%-32s CPU %+6.3f %%, at most %.1f: %s\n", "difference", with.cpu - without.cpu, CPU_TARGET,
               with.cpu - without.cpu <= CPU_TARGET ? "target met" : "target missed");
        printf("%-32s RSS %5.1f MiB, under %.0f: %s\n", "in all", with.rss_mib, RSS_TARGET_MIB,
               with.rss_mib < RSS_TARGET_MIB ? "target met" : "target missed");
        return 0;
}

static void folder_remove(const char *path) {
        pid_t pid = fork();

        if (pid == 0) {
                execlp("rm", "rm", "-rf", "--", path, NULL);
                _exit(127);
        }
        if (pid > 0)
                waitpid(pid, NULL, 0);
}

int idle_bench(const char *path) {
        _cleanup_work_ struct work daemon = {};
        char folder[] = "/tmp/pyprofd-bench-XXXXXX", socket[64], state[64];
        int r;

        if (!mkdtemp(folder))
                return -errno;
        snprintf(socket, sizeof(socket), "%s/socket", folder);
        snprintf(state, sizeof(state), "%s/state", folder);
        printf("\nThe daemon, and %d Pythons that only wait (of one CPU, over %d s; others on this machine count "
               "too)\n",
               IDLE_N, MEASURE_S);
        r = mkdir(state, 0700) < 0 ? -errno : 0;
        if (r == 0)
                r = work_spawn((const char *const[]){path, "--config", "/dev/null", "--socket", socket, "--state-dir",
                                                     state, "--log-level", "err", NULL},
                               &daemon);
        if (r == 0)
                r = idle_measure(daemon.pid);
        work_stop(&daemon);
        folder_remove(folder);
        return r;
}
