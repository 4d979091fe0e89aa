/* SPDX-License-Identifier: Apache-2.0 */
#include "work.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

void work_stop(struct work *w) {
        if (w->pid <= 0)
                return;
        kill(-w->pid, SIGKILL);
        kill(w->pid, SIGKILL);
        waitpid(w->pid, NULL, 0);
        w->pid = 0;
}

static int work_fork(const char *const *argv, int out, struct work *ret) {
        pid_t parent = getpid(), pid;

        fflush(stdout);
        pid = fork();
        if (pid < 0)
                return -errno;
        if (pid == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (getppid() != parent || setpgid(0, 0) < 0 || (out >= 0 && dup2(out, STDOUT_FILENO) < 0))
                        _exit(127);
                execvp(argv[0], (char *const *)argv);
                _exit(127);
        }
        ret->pid = pid;
        return 0;
}

int work_spawn(const char *const *argv, struct work *ret) {
        return work_fork(argv, -1, ret);
}

int work_start(const char *const *argv, struct work *ret) {
        _cleanup_close_ int from = -1, to = -1;
        _cleanup_work_ struct work w = {};
        char word[7] = "";
        size_t have = 0;
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return -errno;
        from = fds[0];
        to = fds[1];
        r = work_fork(argv, to, &w);
        if (r < 0)
                return r;
        closep(&to);
        to = -1;
        while (have < 6) {
                ssize_t n = read(from, word + have, 6 - have);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return -ENOENT;
                have += (size_t)n;
        }
        if (strcmp(word, "ready\n") != 0)
                return -ENOENT;
        *ret = w;
        w.pid = 0;
        return 0;
}
