/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench [NAME…]: what following costs. Run by root from the top of the tree, by `make bench`.
 * NAME is an interpreter of tests/setup/interpreters; without one, all of 3.11 and later.
 *
 * Times are noisy, so nothing fails here for being slow: each line is a median of slices in turn, and says whether it
 * meets its target. The exit status tells whether everything could be measured.
 */
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <sched.h>
#include <stdbool.h>
#include <string.h>

#include "base/macro.h"
#include "idle.h"
#include "meter.h"
#include "work.h"

#define INTERPRETERS "tests/setup/interpreters"
#define SLICES 15
#define WALK_MS 100
#define SWITCH_MS 100

#define WALK_TARGET 0.7
#define PYTHON_SWITCH_TARGET 200.0
#define OTHER_SWITCH_TARGET 100.0

struct bench {
        struct meter *meter;
        const char *built; /* where the programs lie that are not scripts */
};

static int compare(const void *a, const void *b) {
        double x = *(const double *)a, y = *(const double *)b;

        return (x > y) - (x < y);
}

static double median(double *values, size_t n) {
        qsort(values, n, sizeof(*values), compare);
        return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static const char *verdict(double value, double target) {
        return value <= target ? "target met" : "target missed";
}

static int walk_pair(const struct bench *b, const char *name, const char *label, unsigned depth, pid_t python,
                     pid_t spin) {
        double pythons[SLICES], kernels[SLICES], ratios[SLICES], ratio;
        struct meter_walks w;
        int r;

        r = meter_walks(b->meter, python, spin, WALK_MS, &w); /* has the stacks made known */
        for (size_t i = 0; r == 0 && i < SLICES; i++) {
                r = meter_walks(b->meter, python, spin, WALK_MS, &w);
                if (r < 0)
                        break;
                pythons[i] = w.python.ns - w.empty.ns;
                kernels[i] = w.kernel.ns - w.empty.ns;
                ratios[i] = pythons[i] / kernels[i];
        }
        if (r < 0)
                return r;
        if (w.python_frames < depth || w.kernel_frames < depth) {
                fprintf(stderr, "%s: %lu Python frames and %lu C frames seen of %u\n", name, w.python_frames,
                        w.kernel_frames, depth);
                return -EBADMSG;
        }
        ratio = median(ratios, SLICES);
        printf("%-24s %6u %9.0f %9.0f %7.2f  %s\n", label, depth, median(pythons, SLICES), median(kernels, SLICES),
               ratio, verdict(ratio, WALK_TARGET));
        fflush(stdout);
        return 0;
}

/* The same caches and the same neighbours for both. */
static int share_cpu(pid_t a, pid_t b) {
        cpu_set_t cpus;
        int cpu = sched_getcpu();

        if (cpu < 0)
                return -errno;
        CPU_ZERO(&cpus);
        CPU_SET((unsigned)cpu, &cpus);
        if (sched_setaffinity(a, sizeof(cpus), &cpus) < 0 || sched_setaffinity(b, sizeof(cpus), &cpus) < 0)
                return -errno;
        return 0;
}

static int walk_depth(const struct bench *b, const char *name, const char *label, unsigned depth) {
        _cleanup_work_ struct work python = {}, spin = {};
        char frames[16], path[PATH_MAX];
        int r;

        snprintf(frames, sizeof(frames), "%u", depth);
        snprintf(path, sizeof(path), "%s/fpspin", b->built);
        r = work_start((const char *const[]){INTERPRETERS, "run", name, "--", "tests/bench/spin.py", frames, NULL},
                       &python);
        if (r < 0)
                return r;
        r = work_start((const char *const[]){path, frames, NULL}, &spin);
        if (r < 0)
                return r;
        r = share_cpu(python.pid, spin.pid);
        if (r < 0)
                return r;
        r = meter_follow(b->meter, python.pid);
        if (r < 0)
                return r;
        r = walk_pair(b, name, label, depth, python.pid, spin.pid);
        meter_unfollow(b->meter, python.pid);
        return r;
}

static int walk_interpreter(const struct bench *b, const char *name, const char *version) {
        static const unsigned depths[] = {20, 60, 120};
        char label[128];

        snprintf(label, sizeof(label), "%s (%s)", name, version);
        for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
                int r = walk_depth(b, name, label, depths[i]);

                if (r < 0) {
                        fprintf(stderr, "%s, %u frames: %s\n", name, depths[i], strerror(-r));
                        return r;
                }
        }
        return 0;
}

static bool is_wanted(const char *name, int minor, char **names) {
        if (!*names)
                return minor >= 11;
        for (; *names; names++)
                if (strcmp(*names, name) == 0)
                        return true;
        return false;
}

static int bench_walks(const struct bench *b, char **names) {
        FILE *list = popen(INTERPRETERS " list", "r");
        char line[PATH_MAX], name[64], version[32];
        int failed = 0, measured = 0, minor;

        if (!list)
                return -errno;
        printf("One stack: Python, as the product walks it, and C by frame pointers, as the kernel does (ns, net)\n"
               "%-24s %6s %9s %9s %7s  at most %.2f\n",
               "interpreter", "frames", "Python", "C", "ratio", WALK_TARGET);
        while (fgets(line, sizeof(line), list)) {
                if (sscanf(line, "%63[^\t]\t%31[^\t]", name, version) != 2 || sscanf(version, "3.%d", &minor) != 1 ||
                    !is_wanted(name, minor, names))
                        continue;
                measured++;
                failed |= walk_interpreter(b, name, version) < 0;
        }
        return pclose(list) != 0 || failed || !measured ? -ENODATA : 0;
}

struct switches {
        double net;    /* ns of one that has a followed thread on a side; of any, when no thread is followed */
        double wakeup; /* net */
        double rate, followed, both;
};

/* `other`: what a switch costs that no followed thread takes part in. */
static int switch_slices(const struct bench *b, double other, struct switches *ret) {
        double nets[SLICES], wakeups[SLICES], rates[SLICES], followed[SLICES], both[SLICES];
        struct meter_switches s;
        int r;

        r = meter_switches(b->meter, SWITCH_MS, &s);
        if (r < 0)
                return r;
        for (size_t i = 0; i < SLICES; i++) {
                r = meter_switches(b->meter, SWITCH_MS, &s);
                if (r < 0)
                        return r;
                nets[i] = s.on_switch - s.empty;
                if (s.followed > 0)
                        nets[i] = (nets[i] - (1 - s.followed) * other) / s.followed;
                wakeups[i] = s.wakeup - s.empty;
                rates[i] = s.rate;
                followed[i] = s.followed;
                both[i] = s.both;
        }
        *ret = (struct switches){
                        .net = median(nets, SLICES),
                        .wakeup = median(wakeups, SLICES),
                        .rate = median(rates, SLICES),
                        .followed = median(followed, SLICES),
                        .both = median(both, SLICES),
        };
        return 0;
}

static void switch_print(const char *what, const struct switches *s, const char *outcome) {
        printf("%-44s %8.0f %10.0f %9.0f%% %8.0f%%  %s\n", what, s->net, s->rate, s->followed * 100, s->both * 100,
               outcome);
        fflush(stdout);
}

static int switch_python(const struct bench *b, const char *cpus, uint64_t walk_below, const char *what, double other,
                         double target) {
        _cleanup_work_ struct work queues = {};
        struct switches s;
        int r;

        r = work_start((const char *const[]){"/usr/bin/python3", "tests/bench/queues.py", cpus, NULL}, &queues);
        if (r < 0)
                return r;
        meter_set_walk_below(b->meter, walk_below);
        r = meter_follow(b->meter, queues.pid);
        if (r < 0)
                return r;
        r = switch_slices(b, other, &s);
        meter_unfollow(b->meter, queues.pid);
        if (r < 0)
                return r;
        switch_print(what, &s, target > 0 ? verdict(s.net, target) : "");
        if (walk_below)
                printf("%-44s %8.0f\n", "  and one wake-up", s.wakeup);
        return 0;
}

static int bench_switches(const struct bench *b) {
        _cleanup_work_ struct work pipes = {};
        char path[PATH_MAX];
        struct switches other;
        int r;

        printf("\nOne switch, accounted for (ns, net)\n%-44s %8s %10s %10s %9s  at most %.0f, %.0f\n", "", "ns",
               "a second", "of Python", "on both", PYTHON_SWITCH_TARGET, OTHER_SWITCH_TARGET);
        snprintf(path, sizeof(path), "%s/pipes", b->built);
        r = work_start((const char *const[]){path, NULL}, &pipes);
        if (r < 0)
                return r;
        r = switch_slices(b, 0, &other);
        if (r < 0)
                return r;
        work_stop(&pipes);
        switch_print("anything else", &other, verdict(other.net, OTHER_SWITCH_TARGET));

        /* A threshold beyond every wait: at most one in 1,024 is walked. */
        r = switch_python(b, "one", UINT64_MAX / 2, "Python, on one CPU", other.net, PYTHON_SWITCH_TARGET);
        if (r < 0)
                return r;
        r = switch_python(b, "any", UINT64_MAX / 2, "Python, on any CPU", other.net, PYTHON_SWITCH_TARGET);
        if (r < 0)
                return r;
        return switch_python(b, "one", 0, "Python, on one CPU, each wait walked", other.net, 0);
}

int main(int argc, char **argv) {
        _cleanup_(meter_freep) struct meter *meter = NULL;
        char self[PATH_MAX], daemon[PATH_MAX];
        struct bench b = {};
        bool failed;
        int r;

        if (strlen(argv[0]) >= sizeof(self))
                return EXIT_FAILURE;
        strcpy(self, argv[0]);
        b.built = dirname(self);
        snprintf(daemon, sizeof(daemon), "%s/../pyprofd", b.built);
        r = meter_new(&meter);
        if (r < 0) {
                fprintf(stderr, "Cannot load the BPF programs (root is needed): %s\n", strerror(-r));
                return EXIT_FAILURE;
        }
        b.meter = meter;
        failed = bench_walks(&b, argv + 1) < 0;
        r = bench_switches(&b);
        if (r < 0)
                fprintf(stderr, "Switches could not be measured: %s\n", strerror(-r));
        failed |= r < 0;
        meter_free(TAKE_PTR(meter));
        r = idle_bench(daemon);
        if (r < 0)
                fprintf(stderr, "Idle processes could not be measured: %s\n", strerror(-r));
        return failed || r < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
