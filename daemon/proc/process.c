/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/process.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "proc/clock.h"
#include "proc/file.h"

#define CMDLINE_MAX 4096
#define THREADS_MAX 65536

static inline void closedirp(DIR **d) {
        if (*d)
                closedir(*d);
}
#define _cleanup_closedir_ _cleanup_(closedirp)

void process_info_fini(struct process_info *p) {
        free(p->cmdline);
        free(p->command);
        free(p->executable);
        *p = (struct process_info){};
}

/* Field 2 of stat, in brackets, may hold anything, brackets too: the last one closes it. */
static int process_read_stat(const char *root, struct process_info *p) {
        char text[1024], *open, *close;
        uint64_t ticks;
        int64_t started;
        ssize_t n;

        n = proc_read(root, p->pid, "stat", text, sizeof(text));
        if (n < 0)
                return (int)n;
        open = strchr(text, '(');
        close = strrchr(text, ')');
        if (!open || !close || close < open)
                return -EBADMSG;
        *close = '\0';
        snprintf(p->comm, sizeof(p->comm), "%s", open + 1);
        utf8_clean(p->comm);
        if (sscanf(close + 1,
                   " %*c %" SCNu32 " %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %" SCNu64,
                   &p->ppid, &ticks) != 2)
                return -EBADMSG;
        started = (int64_t)(ticks * (NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK))) + clock_boottime_offset_ns();
        p->started = started > 0 ? (uint64_t)started : 0;
        return 0;
}

static int process_read_status(const char *root, struct process_info *p) {
        char text[8192], *at;
        uint32_t uids[3];
        ssize_t n;

        n = proc_read(root, p->pid, "status", text, sizeof(text));
        if (n < 0)
                return (int)n;
        at = strstr(text, "\nUid:");
        if (!at || sscanf(at + 5, "%" SCNu32 " %" SCNu32 " %" SCNu32, &uids[0], &uids[1], &uids[2]) != 3)
                return -EBADMSG;
        p->uid = uids[0] == uids[1] && uids[1] == uids[2] ? uids[0] : 0;

        p->namespace_pid = p->pid;
        at = strstr(text, "\nNSpid:"); /* 4.1; outermost first */
        if (at) {
                at += 7;
                at[strcspn(at, "\n")] = '\0';
                at = strrchr(at, '\t');
                if (at && sscanf(at, "%" SCNu32, &p->namespace_pid) != 1)
                        p->namespace_pid = p->pid;
        }
        return 0;
}

/* The word behind `word`, or NULL. */
static const char *word_next(const char *words, size_t size, const char *word) {
        const char *end = memchr(word, '\0', (size_t)(words + size - word));

        return end && end + 1 < words + size ? end + 1 : NULL;
}

/* "python", "python3.11", "pypy3"; not a title that the program gave itself ("python: worker 3"). */
static bool name_is_python(const char *name) {
        return (strncmp(name, "python", 6) == 0 || strncmp(name, "pypy", 4) == 0) && !strpbrk(name, " :");
}

static const char *base_name(const char *path) {
        const char *slash = strrchr(path, '/');

        return slash && slash[1] ? slash + 1 : path;
}

/*
 * Walks the interpreter's options as `python --help` has them: single letters may be joined (-Bu), -W, -X and
 * --check-hash-based-pycs take a value, -c and -m end the options with theirs. *ret_module says that what is returned
 * is a module. NULL: no program, so it is interactive or reads stdin.
 */
static const char *find_program(const char *words, size_t size, bool *ret_module) {
        const char *word = words;

        *ret_module = false;
        while ((word = word_next(words, size, word))) {
                if (word[0] != '-')
                        return word;
                if (word[1] == '\0')
                        return NULL; /* "-": stdin */
                if (word[1] == '-') {
                        if (word[2] == '\0')
                                return word_next(words, size, word);
                        if (strcmp(word, "--check-hash-based-pycs") == 0)
                                word = word_next(words, size, word);
                        if (!word)
                                return NULL;
                        continue;
                }
                for (const char *option = word + 1; *option; option++) {
                        if (*option == 'c')
                                return "-c";
                        if (*option == 'm') {
                                *ret_module = true;
                                return option[1] ? option + 1 : word_next(words, size, word);
                        }
                        if (*option == 'W' || *option == 'X') {
                                if (!option[1])
                                        word = word_next(words, size, word);
                                break;
                        }
                }
                if (!word)
                        return NULL;
        }
        return NULL;
}

char *process_command(const char *words, size_t size, const char *comm) {
        const char *program;
        bool module;
        char *s;

        if (size == 0 || words[size - 1] != '\0' || !name_is_python(base_name(words)))
                return strdup(comm);
        program = find_program(words, size, &module);
        if (!program || *program == '\0')
                return strdup(comm);
        s = strdup(module ? program : base_name(program));
        if (s)
                utf8_clean(s);
        return s;
}

static int process_read_cmdline(const char *root, struct process_info *p) {
        char words[CMDLINE_MAX + 1];
        ssize_t n;

        n = proc_read(root, p->pid, "cmdline", words, sizeof(words));
        if (n < 0)
                return (int)n;
        if (n == CMDLINE_MAX)
                words[n - 1] = '\0';
        p->command = process_command(words, (size_t)n, p->comm);
        if (!p->command)
                return -ENOMEM;
        while (n > 0 && words[n - 1] == '\0')
                n--;
        for (ssize_t i = 0; i < n; i++)
                if (words[i] == '\0' || words[i] == '\n' || words[i] == '\t')
                        words[i] = ' ';
        words[n] = '\0';
        utf8_clean(words);
        p->cmdline = strdup(words);
        return p->cmdline ? 0 : -ENOMEM;
}

/* A kernel thread has none, another user's may be hidden: "" is an answer. */
static int process_read_executable(const char *root, struct process_info *p) {
        char path[PROC_PATH_MAX], target[PATH_MAX];
        ssize_t n;
        int r;

        r = proc_path(path, root, p->pid, "exe");
        if (r < 0)
                return r;
        n = readlink(path, target, sizeof(target) - 1);
        target[MAX(n, 0)] = '\0';
        utf8_clean(target);
        p->executable = strdup(target);
        return p->executable ? 0 : -ENOMEM;
}

int process_read(const char *root, uint32_t pid, struct process_info *ret) {
        _cleanup_process_info_ struct process_info p = {.pid = pid};
        int r;

        r = process_read_stat(root, &p);
        if (r < 0)
                return r;
        r = process_read_status(root, &p);
        if (r < 0)
                return r;
        r = process_read_cmdline(root, &p);
        if (r < 0)
                return r;
        r = process_read_executable(root, &p);
        if (r < 0)
                return r;
        *ret = p;
        p = (struct process_info){};
        return 0;
}

bool process_is(const char *root, uint32_t pid, uint64_t started, const char *executable) {
        _cleanup_process_info_ struct process_info p = {.pid = pid};
        uint64_t tick = NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);

        if (process_read_stat(root, &p) < 0 || process_read_executable(root, &p) < 0)
                return false;
        return p.started < started + tick && started < p.started + tick && strcmp(p.executable, executable) == 0;
}

/* A directory entry that is a process or thread id; 0 if it is something else. */
static uint32_t entry_id(const struct dirent *e) {
        char *end;
        unsigned long id;

        if (e->d_name[0] < '1' || e->d_name[0] > '9')
                return 0;
        errno = 0;
        id = strtoul(e->d_name, &end, 10);
        return *end || errno || id > INT32_MAX ? 0 : (uint32_t)id;
}

int process_threads(const char *root, uint32_t pid, uint32_t **ret_tids, size_t *ret_n) {
        _cleanup_closedir_ DIR *d = NULL;
        _cleanup_free_ uint32_t *tids = NULL;
        char path[PROC_PATH_MAX];
        size_t n = 0, room = 0;
        struct dirent *e;
        int r;

        r = proc_path(path, root, pid, "task");
        if (r < 0)
                return r;
        d = opendir(path);
        if (!d)
                return proc_error(errno);
        while ((errno = 0, e = readdir(d))) {
                uint32_t tid = entry_id(e);

                if (tid == 0)
                        continue;
                if (n == THREADS_MAX)
                        return -E2BIG;
                if (n == room) {
                        uint32_t *more = reallocarray(tids, room ? room * 2 : 16, sizeof(*tids));

                        if (!more)
                                return -ENOMEM;
                        tids = more;
                        room = room ? room * 2 : 16;
                }
                tids[n++] = tid;
        }
        if (n == 0)
                return errno > 0 ? proc_error(errno) : -ESRCH;
        *ret_tids = TAKE_PTR(tids);
        *ret_n = n;
        return 0;
}

int process_thread_comm(const char *root, uint32_t pid, uint32_t tid, char ret_comm[static PROCESS_COMM_MAX]) {
        char name[64], text[64];
        ssize_t n;

        snprintf(name, sizeof(name), "task/%" PRIu32 "/comm", tid);
        n = proc_read(root, pid, name, text, sizeof(text));
        if (n < 0)
                return (int)n;
        text[strcspn(text, "\n")] = '\0';
        snprintf(ret_comm, PROCESS_COMM_MAX, "%.15s", text);
        utf8_clean(ret_comm);
        return 0;
}

int process_each(const char *root, process_fn *each, void *userdata) {
        _cleanup_closedir_ DIR *d = opendir(root);
        struct dirent *e;

        if (!d)
                return -errno;
        while ((errno = 0, e = readdir(d))) {
                uint32_t pid = entry_id(e);
                int r = pid > 0 ? each(userdata, pid) : 0;

                if (r != 0)
                        return r;
        }
        return -errno;
}
