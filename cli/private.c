/* SPDX-License-Identifier: Apache-2.0 */
#include "private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "output.h"
#include "signals.h"

#define START_DEADLINE_MS 10000
#define STOP_DEADLINE_MS 5000
#define STEP_MS 20
#define STDERR_MAX 65536

struct private {
        pid_t pid;       /* 0: not running */
        char folder[64]; /* 0700; empty: none */
        char socket[96];
        int errors; /* memory file that its stderr goes to */
        sigset_t before;
        bool holds;
};

const char *private_socket(const struct private *p) {
        return p->socket;
}

/* The daemon that belongs to this program: beside it, else where packages put it. */
static void find_daemon(char path[static PATH_MAX]) {
        static const char *const beside[] = {"pyprofd", "../sbin/pyprofd", "../libexec/pyprofd"};
        static const char *const installed[] = {"/usr/libexec/pyprofd", "/usr/sbin/pyprofd", "/usr/local/sbin/pyprofd"};
        char self[PATH_MAX];
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        char *slash;

        if (n > 0) {
                self[n] = '\0';
                slash = strrchr(self, '/');
                for (size_t i = 0; slash && i < ARRAY_SIZE(beside); i++) {
                        n = snprintf(path, PATH_MAX, "%.*s/%s", (int)(slash - self), self, beside[i]);
                        if (n < PATH_MAX && access(path, X_OK) == 0)
                                return;
                }
        }
        for (size_t i = 0; i < ARRAY_SIZE(installed); i++)
                if (access(installed[i], X_OK) == 0) {
                        snprintf(path, PATH_MAX, "%s", installed[i]);
                        return;
                }
        snprintf(path, PATH_MAX, "pyprofd"); /* $PATH */
}

static int make_folder(struct private *p) {
        static const char *const templates[] = {"/run/pyprofctl.XXXXXX", "/tmp/pyprofctl.XXXXXX"};

        for (size_t i = 0; i < ARRAY_SIZE(templates); i++) {
                snprintf(p->folder, sizeof(p->folder), "%s", templates[i]);
                if (mkdtemp(p->folder)) {
                        snprintf(p->socket, sizeof(p->socket), "%s/pyprofd.sock", p->folder);
                        return 0;
                }
        }
        p->folder[0] = '\0';
        return -errno;
}

static void exec_daemon(const struct private *p, const char *path, unsigned rate, pid_t parent) {
        char rate_text[16];
        const char *argv[] = {path,      "--socket",    p->socket, "--state-dir",
                              p->folder, "--log-level", "warning", rate ? "--rate" : NULL,
                              rate_text, NULL};
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);

        snprintf(rate_text, sizeof(rate_text), "%u", rate);
        setsid(); /* Ctrl-C is for us, and we end it when we are done */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != parent)
                _exit(STATUS_FAILED);
        if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
            dup2(p->errors, STDERR_FILENO) < 0)
                _exit(STATUS_FAILED);
        /* A service manager that started us waits for us, not for it. */
        unsetenv("NOTIFY_SOCKET");
        unsetenv("LISTEN_FDS");
        unsetenv("LISTEN_PID");
        signals_reset(&p->before);
        execvp(path, (char *const *)argv);
        dprintf(STDERR_FILENO, "%s: %s\n", path, strerror(errno));
        _exit(STATUS_RUN_NOT_FOUND);
}

/* What it said on stderr, line by line: it is ours to pass on. */
static void print_errors(struct private *p) {
        _cleanup_free_ char *text = malloc(STDERR_MAX + 1);
        char *save = NULL;
        ssize_t n;

        if (!text)
                return;
        n = pread(p->errors, text, STDERR_MAX, 0);
        if (n <= 0)
                return;
        text[n] = '\0';
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
                output_hint("%s", line);
}

static int wait_ready(const char *what, struct private *p) {
        _cleanup_client_ struct client *client = NULL;
        int number, wstatus;

        if (client_new(p->socket, &client) < 0) {
                output_error(what, "out of memory");
                return STATUS_FAILED;
        }
        for (int waited = 0; waited < START_DEADLINE_MS; waited += STEP_MS) {
                if (client_probe(client) == 0)
                        return STATUS_DONE;
                if (waitpid(p->pid, &wstatus, WNOHANG) == p->pid) {
                        p->pid = 0;
                        output_error(what, "no daemon runs, and a private one could not be started:");
                        print_errors(p);
                        output_hint("`pyprofctl doctor` says what is missing.");
                        return STATUS_NO_DAEMON;
                }
                number = signals_wait(STEP_MS * NSEC_PER_MSEC);
                if (number > 0) {
                        private_stop(p);
                        signals_die(number);
                }
        }
        output_error(what, "no daemon runs, and the private one did not answer within %d s", START_DEADLINE_MS / 1000);
        print_errors(p);
        return STATUS_NO_DAEMON;
}

static int launch(const char *what, struct private *p, unsigned rate) {
        char path[PATH_MAX];
        pid_t pid, parent = getpid();
        int r;

        find_daemon(path);
        r = make_folder(p);
        if (r < 0) {
                output_error(what, "cannot make a folder for a private daemon: %s", strerror(-r));
                return STATUS_FAILED;
        }
        p->errors = memfd_create("pyprofd-stderr", MFD_CLOEXEC);
        if (p->errors < 0) {
                output_error(what, "cannot start a private daemon: %s", strerror(errno));
                return STATUS_FAILED;
        }
        signals_hold(&p->before);
        p->holds = true;
        fflush(NULL);
        pid = fork();
        if (pid < 0) {
                output_error(what, "cannot start a private daemon: %s", strerror(errno));
                return STATUS_FAILED;
        }
        if (pid == 0)
                exec_daemon(p, path, rate, parent);
        p->pid = pid;
        return STATUS_DONE;
}

int private_start(const char *what, unsigned rate, struct private **ret) {
        _cleanup_(private_stopp) struct private *p = calloc(1, sizeof(*p));
        int r;

        if (!p) {
                output_error(what, "out of memory");
                return STATUS_FAILED;
        }
        p->errors = -1;
        r = launch(what, p, rate);
        if (r != STATUS_DONE)
                return r;
        r = wait_ready(what, p);
        if (r != STATUS_DONE)
                return r;
        output_error(what, "no daemon runs; a private one observes until this ends");
        *ret = TAKE_PTR(p);
        return STATUS_DONE;
}

static void reap(struct private *p) {
        int wstatus = 0;

        kill(p->pid, SIGTERM);
        for (int waited = 0; waited < STOP_DEADLINE_MS; waited += STEP_MS) {
                if (waitpid(p->pid, &wstatus, WNOHANG) != 0)
                        goto done;
                usleep(STEP_MS * 1000);
        }
        kill(p->pid, SIGKILL);
        waitpid(p->pid, &wstatus, 0);
done:
        p->pid = 0;
        if (wstatus != 0) {
                output_error(NULL, "the private daemon did not end in order:");
                print_errors(p);
        }
}

static void remove_folder(const struct private *p) {
        DIR *d = opendir(p->folder);
        struct dirent *e;

        while (d && (e = readdir(d)))
                if (e->d_type != DT_DIR)
                        unlinkat(dirfd(d), e->d_name, 0);
        if (d)
                closedir(d);
        if (rmdir(p->folder) < 0 && errno != ENOENT)
                output_error(NULL, "%s: %s", p->folder, strerror(errno));
}

void private_stop(struct private *p) {
        if (!p)
                return;
        if (p->pid > 0)
                reap(p);
        if (p->folder[0])
                remove_folder(p);
        if (p->errors >= 0)
                close(p->errors);
        if (p->holds)
                signals_release(&p->before);
        free(p);
}
