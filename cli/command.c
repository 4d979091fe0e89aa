/* SPDX-License-Identifier: Apache-2.0 */
#include "command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/macro.h"
#include "output.h"
#include "signals.h"

static const int passed[] = {
                SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGALRM, SIGCONT, SIGWINCH,
};

static void fill(sigset_t *set) {
        sigemptyset(set);
        sigaddset(set, SIGCHLD);
        for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
                sigaddset(set, passed[i]);
}

/* In the child: held at the gate until the profiler is there. */
static void child(struct command *c, int gate, int result, char **argv) {
        int error;
        char go = 0;

        signals_reset(&c->before);
        while (read(gate, &go, 1) < 0)
                if (errno != EINTR)
                        _exit(STATUS_RUN_FAILED);
        if (go != 'x')
                _exit(STATUS_RUN_FAILED);
        execvp(argv[0], argv);
        error = errno;
        if (write(result, &error, sizeof(error)) < 0)
                _exit(STATUS_RUN_FAILED);
        _exit(error == ENOENT ? STATUS_RUN_NOT_FOUND : STATUS_RUN_NOT_EXECUTABLE);
}

int command_fork(struct command *c, char **argv) {
        _cleanup_close_ int gate_out = -1, gate_in = -1, result_out = -1, result_in = -1;
        int gate[2], result[2];
        sigset_t set;

        *c = (struct command){.gate = -1, .result = -1};
        if (pipe2(gate, O_CLOEXEC) < 0)
                return -errno;
        gate_out = gate[0];
        gate_in = gate[1];
        if (pipe2(result, O_CLOEXEC) < 0)
                return -errno;
        result_out = result[0];
        result_in = result[1];

        fill(&set);
        sigprocmask(SIG_BLOCK, &set, &c->before);
        fflush(NULL);
        c->pid = fork();
        if (c->pid < 0) {
                int error = errno;

                c->pid = 0;
                signals_release(&c->before);
                return -error;
        }
        if (c->pid == 0) {
                close(gate_in); /* else it would never see that we are gone */
                child(c, gate_out, result_in, argv);
        }
        c->gate = TAKE_FD(gate_in);
        c->result = TAKE_FD(result_out);
        return 0;
}

static int reap(struct command *c, int *ret_status) {
        while (waitpid(c->pid, ret_status, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        c->pid = 0;
        return 0;
}

int command_start(struct command *c) {
        int error = 0, status;
        ssize_t n;

        if (write(c->gate, "x", 1) != 1)
                return -errno;
        do
                n = read(c->result, &error, sizeof(error));
        while (n < 0 && errno == EINTR);
        if (n != sizeof(error))
                return 0; /* closed by a successful exec */
        (void)reap(c, &status);
        return -error;
}

/* One that the terminal sent went to its whole foreground group, the command included. */
static bool must_pass(const siginfo_t *info) {
        return info->si_code != SI_KERNEL;
}

int command_wait(struct command *c) {
        sigset_t set;
        int status;

        fill(&set);
        for (;;) {
                siginfo_t info;
                pid_t pid;

                pid = waitpid(c->pid, &status, WNOHANG);
                if (pid < 0 && errno != EINTR)
                        return -errno;
                if (pid > 0)
                        break;
                if (sigwaitinfo(&set, &info) > 0 && info.si_signo != SIGCHLD && must_pass(&info))
                        kill(c->pid, info.si_signo);
        }
        c->pid = 0;
        return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void command_fini(struct command *c) {
        int status;

        if (c->gate >= 0)
                close(TAKE_FD(c->gate));
        if (c->result >= 0)
                close(TAKE_FD(c->result));
        if (c->pid > 0)
                (void)reap(c, &status);
}
