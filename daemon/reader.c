/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two processes beside the daemon. The worker answers on a socket, one read at a time; the keeper, its parent, starts
 * it, and another one when it dies or when the daemon says (SIGUSR1) that it hangs. Both were forked early and hold
 * nothing but the socket: forking the grown daemon anew would copy its memory bit by bit as it is written to.
 */
#include "reader.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "base/macro.h"
#include "proc/clock.h"

#define PAGE 4096u
#define PAGES 256u
#define PATIENCE 20u            /* times READER_NS, for a worker that the scheduler keeps from running */
#define RESTART_NS NSEC_PER_SEC /* least time between two starts of the keeper */
#define WORKERS_MAX 16u         /* a kill may have to wait too: some reads of FUSE pages cannot be interrupted */

struct request {
        uint64_t number; /* 1 and up */
        uint64_t address;
        uint32_t pid;
        uint32_t size; /* at most PAGE */
};

struct reply {
        uint64_t number; /* of the request; 0: a worker has come */
        uint64_t cpu_ns; /* the worker's, altogether */
        uint64_t blocked_ns;
        int32_t error; /* -errno */
        uint32_t pid;  /* the worker's */
        uint8_t data[PAGE];
};

#define REPLY_HEAD offsetof(struct reply, data)

struct page {
        uint64_t address, generation; /* 0: empty */
        uint8_t data[PAGE];
};

struct reader {
        int fd;
        pid_t keeper, worker; /* worker 0: none has come yet */
        uint64_t started;
        bool absent; /* the worker was waited for in vain: not waited for again */

        uint32_t pid;
        uint64_t deadline, number, generation;
        int error;
        uint64_t cpu_ns, cpu_ns_before; /* of this worker, of those before */
        uint64_t blocked_ns;

        struct reply reply;
        struct page pages[PAGES];
};

/* ---- the processes beside the daemon: only async-signal-safe calls ---- */

static int worker_read(const struct request *q, uint8_t *data) {
        struct iovec local = {.iov_base = data, .iov_len = MIN(q->size, PAGE)};
        struct iovec remote = {.iov_base = (void *)(uintptr_t)q->address, .iov_len = MIN(q->size, PAGE)};
        ssize_t n;

        n = process_vm_readv((pid_t)q->pid, &local, 1, &remote, 1, 0);
        if (n < 0)
                return -errno;
        return (size_t)n == local.iov_len ? 0 : -EFAULT;
}

static uint64_t worker_cpu_ns(void) {
        struct timespec ts = {};

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Who is kept from running has not given up the CPU by itself: only who waits has. */
static void worker_answer(const struct request *request, struct reply *ret) {
        struct rusage before = {}, after = {};
        uint64_t begin = clock_monotonic_ns();

        getrusage(RUSAGE_SELF, &before);
        ret->error = worker_read(request, ret->data);
        getrusage(RUSAGE_SELF, &after);
        ret->blocked_ns = after.ru_nvcsw != before.ru_nvcsw ? clock_monotonic_ns() - begin : 0;
        ret->cpu_ns = worker_cpu_ns();
        ret->number = request->number;
}

static void worker_run(int fd, pid_t keeper) {
        struct reply reply = {.pid = (uint32_t)getpid()};
        struct request request;
        size_t size = 0;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != keeper)
                _exit(0);
        for (;;) {
                if (send(fd, &reply, REPLY_HEAD + size, MSG_NOSIGNAL) < 0)
                        _exit(0);
                if (recv(fd, &request, sizeof(request), 0) != sizeof(request))
                        _exit(0);
                worker_answer(&request, &reply);
                size = reply.error < 0 ? 0 : MIN(request.size, PAGE);
        }
}

static pid_t worker_start(int fd) {
        pid_t keeper = getpid(), pid;

        pid = fork();
        if (pid == 0)
                worker_run(fd, keeper);
        return pid;
}

/* A worker that ends by itself has lost the daemon. */
static void keeper_reap(pid_t *worker, unsigned *workers) {
        int status;
        pid_t pid;

        while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
                if (pid == *worker)
                        *worker = 0;
                if (*workers > 0)
                        --*workers;
                if (WIFEXITED(status))
                        _exit(0);
        }
}

static void keeper_run(int fd, pid_t daemon) {
        const struct timespec again = {.tv_sec = 1};
        unsigned workers = 0;
        pid_t worker = 0;
        sigset_t signals;

        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != daemon)
                _exit(0);
        prctl(PR_SET_NAME, "pyprofd-reader");
        if ((fd > 0 && close_range(0, (unsigned)fd - 1, 0) < 0) || close_range((unsigned)fd + 1, ~0U, 0) < 0)
                _exit(1);
        /* A terminal and systemd signal the whole group: the daemon decides when to end, and these end with it. */
        signal(SIGCHLD, SIG_DFL);
        sigfillset(&signals);
        sigprocmask(SIG_SETMASK, &signals, NULL);
        sigemptyset(&signals);
        sigaddset(&signals, SIGCHLD);
        sigaddset(&signals, SIGUSR1);
        for (;;) {
                if (worker <= 0 && workers < WORKERS_MAX) {
                        worker = worker_start(fd);
                        if (worker > 0)
                                workers++;
                }
                if (sigtimedwait(&signals, NULL, worker > 0 ? NULL : &again) == SIGUSR1 && worker > 0) {
                        kill(worker, SIGKILL);
                        worker = 0;
                }
                keeper_reap(&worker, &workers);
        }
}

/* ---- the daemon's side ---- */

static void reader_stop(struct reader *r) {
        if (r->keeper > 0) {
                kill(r->keeper, SIGKILL); /* reads no foreign memory: ends at once */
                waitpid(r->keeper, NULL, 0);
        }
        if (r->fd >= 0)
                close(r->fd);
        r->fd = -1;
        r->keeper = r->worker = 0;
        r->cpu_ns_before += r->cpu_ns;
        r->cpu_ns = 0;
}

static int reader_start(struct reader *r) {
        pid_t daemon = getpid(), pid;
        int fds[2];

        reader_stop(r);
        r->started = clock_monotonic_ns();
        r->absent = false;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return -errno;
        pid = fork();
        if (pid == 0)
                keeper_run(fds[1], daemon);
        close(fds[1]);
        if (pid < 0) {
                close(fds[0]);
                return -EAGAIN;
        }
        r->fd = fds[0];
        r->keeper = pid;
        return 0;
}

int reader_new(struct reader **ret) {
        struct reader *r = calloc(1, sizeof(*r));
        int q;

        if (!r)
                return -ENOMEM;
        r->fd = -1;
        r->error = -EBUSY; /* no job yet */
        q = reader_start(r);
        if (q < 0) {
                reader_free(r);
                return q;
        }
        *ret = r;
        return 0;
}

void reader_free(struct reader *r) {
        if (!r)
                return;
        reader_stop(r);
        free(r);
}

void reader_begin(struct reader *r, uint32_t pid, uint64_t deadline) {
        r->pid = pid;
        r->deadline = deadline;
        r->error = 0;
        r->generation++;
}

void reader_extend(struct reader *r, uint64_t deadline) {
        r->deadline = deadline;
        if (r->error == -ETIME)
                r->error = 0;
}

int reader_error(const struct reader *r) {
        return r->error;
}

uint64_t reader_blocked_ns(const struct reader *r) {
        return r->blocked_ns;
}

uint64_t reader_cpu_ns(const struct reader *r) {
        return r->cpu_ns_before + r->cpu_ns;
}

/* One message: its size in r->reply, 0 when none came until `until`, -EPIPE when nobody is there to send any. */
static ssize_t reader_receive(struct reader *r, uint64_t until) {
        struct pollfd p = {.fd = r->fd, .events = POLLIN};

        for (;;) {
                uint64_t now = clock_monotonic_ns(), left = until > now ? until - now : 0;
                struct timespec ts = {.tv_sec = (time_t)(left / NSEC_PER_SEC), .tv_nsec = (long)(left % NSEC_PER_SEC)};
                ssize_t n = recv(r->fd, &r->reply, sizeof(r->reply), MSG_DONTWAIT);

                if (n >= (ssize_t)REPLY_HEAD)
                        return n;
                if (n >= 0 || (errno != EAGAIN && errno != EINTR))
                        return -EPIPE;
                if (left == 0)
                        return 0;
                (void)ppoll(&p, 1, &ts, NULL);
        }
}

static void reader_greet(struct reader *r) {
        r->cpu_ns_before += r->cpu_ns;
        r->cpu_ns = 0;
        r->worker = (pid_t)r->reply.pid;
        r->absent = false;
}

/* After the keeper is gone, which nobody does but a person or the kernel short of memory. */
static int reader_revive(struct reader *r) {
        if (r->keeper > 0 && waitpid(r->keeper, NULL, WNOHANG) == r->keeper)
                r->keeper = 0;
        if ((r->fd >= 0 && r->keeper > 0) || clock_monotonic_ns() - r->started < RESTART_NS)
                return -EBUSY;
        return reader_start(r) < 0 ? -EBUSY : 0;
}

/* Until there is a worker. */
static int reader_ready(struct reader *r) {
        uint64_t until = clock_monotonic_ns() + READER_NS;

        if (r->worker > 0)
                return 0;
        if ((r->fd < 0 || r->absent) && reader_revive(r) < 0 && r->fd < 0)
                return -EBUSY;
        while (r->worker == 0) {
                ssize_t n = reader_receive(r, r->absent ? 0 : until);

                if (n < 0) {
                        reader_stop(r);
                        return -EBUSY;
                }
                if (n == 0) {
                        r->absent = true;
                        return -EBUSY;
                }
                if (r->reply.number == 0)
                        reader_greet(r);
        }
        return 0;
}

/* On a busy machine, or one that throttles us, the worker may be late without being held by anything. */
static bool worker_runnable(pid_t worker) {
        char path[64], text[256], *end;
        _cleanup_fclose_ FILE *f = NULL;

        snprintf(path, sizeof(path), "/proc/%d/stat", worker);
        f = fopen(path, "re");
        if (!f || !fgets(text, sizeof(text), f))
                return false;
        end = strrchr(text, ')');
        return end && end[1] == ' ' && end[2] == 'R';
}

static int reader_overrun(struct reader *r) {
        kill(r->keeper, SIGUSR1);
        r->worker = 0;
        return -ETIMEDOUT;
}

static int reader_answer(struct reader *r, const struct request *q) {
        bool runnable = true;

        for (unsigned rounds = 0;;) {
                uint64_t until = runnable ? clock_monotonic_ns() + READER_NS : 0;
                ssize_t n = reader_receive(r, until);

                if (n < 0) {
                        reader_stop(r);
                        return -EBUSY;
                }
                if (n == 0) {
                        /* Once more after the look: it may have answered in between. By rounds, not by the clock,
                         * which jumps when the whole machine is paused. */
                        if (!runnable || ++rounds == PATIENCE)
                                return reader_overrun(r);
                        runnable = worker_runnable(r->worker);
                        continue;
                }
                if (r->reply.number == 0) { /* the one that was asked died, by no fault of the target's */
                        reader_greet(r);
                        return -EBUSY;
                }
                if (r->reply.number != q->number)
                        continue;
                r->cpu_ns = r->reply.cpu_ns;
                r->blocked_ns += MIN(r->reply.blocked_ns, PATIENCE * READER_NS);
                if (r->reply.error < 0)
                        return r->reply.error;
                return (size_t)n == REPLY_HEAD + q->size ? 0 : -EIO;
        }
}

static int reader_page(struct reader *r, uint64_t address, struct page **ret) {
        struct page *page = &r->pages[(address / PAGE * UINT64_C(0x9e3779b97f4a7c15)) >> 56];
        struct request q = {.number = ++r->number, .address = address, .pid = r->pid, .size = PAGE};
        int e;

        _Static_assert(PAGES == 1u << 8, "what the hash above yields");
        if (page->generation == r->generation && page->address == address) {
                *ret = page;
                return 0;
        }
        if (clock_monotonic_ns() >= r->deadline)
                return -ETIME;
        e = reader_ready(r);
        if (e < 0)
                return e;
        if (send(r->fd, &q, sizeof(q), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(q)) {
                reader_stop(r);
                return -EBUSY;
        }
        e = reader_answer(r, &q);
        if (e < 0)
                return e;
        memcpy(page->data, r->reply.data, PAGE);
        page->address = address;
        page->generation = r->generation;
        *ret = page;
        return 0;
}

int reader_read(void *userdata, uint64_t address, void *data, size_t size) {
        struct reader *r = userdata;
        uint64_t end;

        if (r->error < 0)
                return r->error;
        if (__builtin_add_overflow(address, size, &end))
                return -EFAULT;
        for (uint8_t *to = data; address < end;) {
                uint64_t at = address % PAGE;
                size_t n = MIN(PAGE - at, end - address);
                struct page *page;
                int e;

                e = reader_page(r, address - at, &page);
                if (e == -ETIMEDOUT || e == -ETIME || e == -EBUSY)
                        r->error = e;
                if (e < 0)
                        return e;
                memcpy(to, page->data + at, n);
                to += n;
                address += n;
        }
        return 0;
}
