/* SPDX-License-Identifier: Apache-2.0 */
/* /proc readers against the real /proc, of this process and of its children; control group names against what is met.
 */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "base/utf8.h"
#include "proc/cgroup.h"
#include "proc/clock.h"
#include "proc/maps.h"
#include "proc/process.h"

#define ID "3f4a6e1b9c0d2e5f7a8b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f708192a3b4c5"
#define ID2 "aaaa6e1b9c0d2e5f7a8b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5e6f708192a3bbbb"

static void test_cgroup(void) {
        static const struct {
                const char *text, *unit, *container;
        } cases[] = {
                        {"0::/system.slice/cron.service\n", "cron.service", ""},
                        {"0::/\n", "", ""},
                        {"", "", ""},
                        {"0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope", ""},
                        {"0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-gunicorn.service\n",
                         "app-gunicorn.service", ""},
                        {"0::/system.slice/system-getty.slice/getty@tty1.service\n", "getty@tty1.service", ""},
                        {"0::/system.slice/foo.service/supervised\n", "foo.service", ""},
                        {"0::/system.slice/_cpu.service\n", "cpu.service", ""},
                        {"0::/system.slice/docker-" ID ".scope\n", "docker-" ID ".scope", ID},
                        {"0::/docker/" ID "\n", "", ID},
                        {"0::/system.slice/docker-" ID ".scope/system.slice/app.service\n", "app.service", ID},
                        {"0::/docker/" ID "/kubelet.slice/kubelet-kubepods.slice/cri-containerd-" ID2 ".scope\n",
                         "cri-containerd-" ID2 ".scope", ID2},
                        {"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1234_5678.slice/crio-" ID
                         ".scope\n",
                         "crio-" ID ".scope", ID},
                        {"0::/kubepods.slice/kubepods-pod12.slice/crio-conmon-" ID ".scope\n",
                         "crio-conmon-" ID ".scope", ""},
                        {"0::/kubepods/besteffort/pod0d1e7c1a-5d2b-4c1c-9b1a-2f3e4d5c6b7a/" ID "\n", "", ID},
                        {"0::/system.slice/containerd.service/kubepods-burstable-pod12.slice:cri-containerd:" ID "\n",
                         "containerd.service", ID},
                        {"0::/machine.slice/libpod-" ID ".scope/container\n", "libpod-" ID ".scope", ID},
                        {"0::/machine.slice/libpod-conmon-" ID ".scope\n", "libpod-conmon-" ID ".scope", ""},
                        {"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope\n",
                         "libpod-" ID ".scope", ID},
                        {"0::/../../docker-" ID ".scope\n", "docker-" ID ".scope", ID},
                        {"0::/lxc/web1/system.slice/nginx.service\n", "nginx.service", "web1"},
                        {"0::/lxc.payload.web2/init.scope\n", "init.scope", "web2"},
                        {"0::/lxc.payload/web3\n", "", "web3"},
                        {"0::/lxc.monitor.web2\n", "", ""},
                        {"0::/machine.slice/systemd-nspawn@deb.service/payload/system.slice/app.service\n",
                         "app.service", "deb"},
                        {"0::/machine.slice/machine-deb\\x2d12.scope/payload\n", "machine-deb\\x2d12.scope", "deb-12"},
                        {"0::/machine.slice/machine-qemu\\x2d1\\x2dvm.scope\n", "machine-qemu\\x2d1\\x2dvm.scope", ""},
                        /* v1, and hybrid: the name of the unit comes from systemd's hierarchy, not from a controller's
                         */
                        {"12:pids:/system.slice/wrong.service\n1:name=systemd:/system.slice/right.service\n",
                         "right.service", ""},
                        {"11:cpu,cpuacct:/system.slice\n1:name=systemd:/system.slice/a.service\n0::/system.slice/"
                         "a.service\n",
                         "a.service", ""},
                        {"9:name=systemd:/docker/" ID "\n8:pids:/docker/" ID "\n", "", ID},
                        {"3:memory:/docker/" ID "\n0::/\n", "", ID},
                        {"no colon\n:\n::\n0:\n0::/system.slice/b.service\n", "b.service", ""},
                        {"0::/system.slice/b\x1b[31m\xff.service", "b?[31m?.service", ""},
                        {"0::/" ID "f\n", "", ""}, /* 65 digits */
        };

        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct cgroup_names names;

                cgroup_parse(cases[i].text, &names);
                if (strcmp(names.unit, cases[i].unit) != 0 || strcmp(names.container, cases[i].container) != 0)
                        fprintf(stderr, "%s: unit '%s', container '%s'\n", cases[i].text, names.unit, names.container);
                assert(strcmp(names.unit, cases[i].unit) == 0);
                assert(strcmp(names.container, cases[i].container) == 0);
        }
}

static void test_cgroup_long(void) {
        struct cgroup_names names;
        char text[2048] = "0::/";

        memset(text + 4, 'x', 1000);
        strcpy(text + 1004, ".service\n");
        cgroup_parse(text, &names);
        assert(strlen(names.unit) == CGROUP_NAME_MAX - 1);
        assert(cgroup_read("/proc", (uint32_t)getpid(), &names) == 0);
        assert(cgroup_read("/proc", 0x7fffffff, &names) == -ESRCH);
}

static void check_command(const char *const *words, const char *want) {
        char text[512];
        size_t n = 0;
        char *got;

        for (; *words; words++) {
                strcpy(text + n, *words);
                n += strlen(*words) + 1;
        }
        got = process_command(text, n, "comm");
        if (strcmp(got, want) != 0)
                fprintf(stderr, "got '%s', want '%s'\n", got, want);
        assert(strcmp(got, want) == 0);
        free(got);
}

#define WORDS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void test_command(void) {
        check_command(WORDS("python3"), "comm");
        check_command(WORDS("python3", "script.py", "-m", "x"), "script.py");
        check_command(WORDS("/usr/bin/python3.11", "-u", "/srv/app/run.py"), "run.py");
        check_command(WORDS("python3", "-m", "http.server", "80"), "http.server");
        check_command(WORDS("python3", "-Bum", "pkg.mod"), "pkg.mod");
        check_command(WORDS("python3", "-mpkg"), "pkg");
        check_command(WORDS("python3", "-c", "print(1)"), "-c");
        check_command(WORDS("python3", "-uc", "print(1)"), "-c");
        check_command(WORDS("python3", "-W", "ignore", "-X", "dev", "a.py"), "a.py");
        check_command(WORDS("python3", "-Wignore", "-Xdev", "a.py"), "a.py");
        check_command(WORDS("python3", "-uW", "ignore", "a.py"), "a.py");
        check_command(WORDS("python3", "--check-hash-based-pycs", "always", "a.py"), "a.py");
        check_command(WORDS("python3", "-"), "comm");
        check_command(WORDS("python3", "-m"), "comm");
        check_command(WORDS("python3", "-W"), "comm");
        check_command(WORDS("python3", ""), "comm");
        check_command(WORDS("/usr/bin/python3", "/usr/bin/gunicorn", "app:wsgi"), "gunicorn");
        check_command(WORDS("gunicorn: worker [app]"), "comm");
        check_command(WORDS("python: worker 3"), "comm");
        check_command(WORDS("uwsgi", "--ini", "x.ini"), "comm");
        {
                _cleanup_free_ char *cut = process_command("python3\0a.py", 12, "c"); /* no NUL at its end */

                assert(strcmp(cut, "c") == 0);
        }
}

static int find_text(void *userdata, const struct maps_entry *e) {
        uint64_t at = (uint64_t)(uintptr_t)test_command;

        if (at < e->start || at >= e->end)
                return 0;
        assert(e->perms[2] == 'x' && e->inode > 0);
        assert(strstr(e->path, "test_proc"));
        *(bool *)userdata = true;
        return 7;
}

static int count_map(void *userdata, const struct maps_entry *e) {
        assert(e->start < e->end);
        (*(unsigned *)userdata)++;
        return 0;
}

static void test_maps(void) {
        bool found = false;
        unsigned n = 0;

        assert(maps_each("/proc", (uint32_t)getpid(), find_text, &found) == 7);
        assert(found);
        assert(maps_each("/proc", (uint32_t)getpid(), count_map, &n) == 0);
        assert(n > 5);
        assert(maps_each("/proc", 0x7fffffff, count_map, &n) == -ESRCH);
        assert(maps_each("/nowhere", (uint32_t)getpid(), count_map, &n) == -ESRCH);
}

static void *named_thread(void *userdata) {
        int *pipes = userdata;
        char c;

        prctl(PR_SET_NAME, "a) 1 2 (\n");
        assert(write(pipes[1], "x", 1) == 1);
        assert(read(pipes[2], &c, 1) >= 0);
        return NULL;
}

static void test_threads(void) {
        _cleanup_free_ uint32_t *tids = NULL;
        char comm[PROCESS_COMM_MAX], c;
        int to[2], from[2], pipes[3];
        bool found = false;
        pthread_t thread;
        size_t n;

        assert(pipe(to) == 0 && pipe(from) == 0);
        pipes[1] = from[1];
        pipes[2] = to[0];
        assert(pthread_create(&thread, NULL, named_thread, pipes) == 0);
        assert(read(from[0], &c, 1) == 1);
        assert(process_threads("/proc", (uint32_t)getpid(), &tids, &n) == 0);
        assert(n >= 2);
        for (size_t i = 0; i < n; i++)
                if (tids[i] != (uint32_t)getpid() &&
                    process_thread_comm("/proc", (uint32_t)getpid(), tids[i], comm) == 0)
                        found = found || strncmp(comm, "a) 1 2 (", 8) == 0;
        assert(found);
        assert(process_thread_comm("/proc", (uint32_t)getpid(), 0x7fffffff, comm) == -ESRCH);
        assert(write(to[1], "x", 1) == 1);
        pthread_join(thread, NULL);
}

/* A child with a name that is hard to parse, then a zombie, then gone. */
static void test_process(void) {
        _cleanup_process_info_ struct process_info p = {}, zombie = {};
        uint64_t before = clock_monotonic_ns(), after;
        _cleanup_free_ uint32_t *tids = NULL;
        int ready[2];
        char c;
        size_t n;
        pid_t pid;

        assert(pipe(ready) == 0);
        pid = fork();
        assert(pid >= 0);
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                prctl(PR_SET_NAME, "x) S 7 (\xff");
                if (write(ready[1], "x", 1) == 1)
                        for (;;)
                                pause();
                _exit(1);
        }
        assert(read(ready[0], &c, 1) == 1);
        after = clock_monotonic_ns();
        assert(process_read("/proc", (uint32_t)pid, &p) == 0);
        assert(p.pid == (uint32_t)pid && p.ppid == (uint32_t)getpid() && p.uid == getuid());
        assert(p.namespace_pid > 0);
        assert(strcmp(p.comm, "x) S 7 (?") == 0);
        assert(strcmp(p.command, p.comm) == 0);
        assert(strstr(p.cmdline, "test_proc") && strstr(p.executable, "test_proc"));
        assert(p.started + 30 * NSEC_PER_MSEC > before && p.started < after + 30 * NSEC_PER_MSEC);

        kill(pid, SIGKILL);
        assert(waitid(P_PID, (id_t)pid, NULL, WEXITED | WNOWAIT) == 0);
        assert(process_read("/proc", (uint32_t)pid, &zombie) == 0);
        assert(zombie.cmdline[0] == '\0');
        assert(waitpid(pid, NULL, 0) == pid);
        assert(process_read("/proc", (uint32_t)pid, &zombie) == -ESRCH);
        assert(process_threads("/proc", (uint32_t)pid, &tids, &n) == -ESRCH);
}

/* Children that come and go while they are read: nothing but success or -ESRCH. */
static void test_vanishing(void) {
        for (int i = 0; i < 200; i++) {
                pid_t pid = fork();

                assert(pid >= 0);
                if (pid == 0)
                        _exit(0);
                for (int k = 0; k < 3; k++) {
                        _cleanup_process_info_ struct process_info p = {};
                        struct cgroup_names names;
                        unsigned n = 0;
                        int r;

                        r = process_read("/proc", (uint32_t)pid, &p);
                        assert(r == 0 || r == -ESRCH);
                        r = maps_each("/proc", (uint32_t)pid, count_map, &n);
                        assert(r == 0 || r == -ESRCH);
                        r = cgroup_read("/proc", (uint32_t)pid, &names);
                        assert(r == 0 || r == -ESRCH);
                        if (k == 1)
                                assert(waitpid(pid, NULL, 0) == pid);
                }
        }
}

static int find_self(void *userdata, uint32_t pid) {
        return pid == (uint32_t)getpid() ? 42 : 0;
}

static void test_clock(void) {
        int64_t off = (int64_t)time(NULL) * (int64_t)NSEC_PER_SEC - (int64_t)clock_monotonic_ns() -
                      clock_epoch_offset_ns();

        assert(off <= (int64_t)(10 * NSEC_PER_MSEC) && off >= -(int64_t)(NSEC_PER_SEC + 100 * NSEC_PER_MSEC));
        assert(clock_boottime_offset_ns() < (int64_t)NSEC_PER_MSEC);
}

static void test_utf8(void) {
        char text[] = "a\x01\xc3\xa9\xed\xa0\x80\xf0\x9f\x90\x8d\xc0\xaf\xf8\x7f\xe2\x82";

        utf8_clean(text);
        assert(strcmp(text, "a?\xc3\xa9???\xf0\x9f\x90\x8d??????") == 0 || !fprintf(stderr, "%s\n", text));
}

int main(void) {
        test_cgroup();
        test_cgroup_long();
        test_command();
        test_maps();
        test_threads();
        test_process();
        test_vanishing();
        assert(process_each("/proc", find_self, NULL) == 42);
        test_clock();
        test_utf8();
        puts("proc: ok");
        return 0;
}
