/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <uthash.h>

#include "base/log.h"
#include "base/macro.h"
#include "proc/clock.h"
#include "proc/maps.h"
#include "proc/process.h"

#define FILES_MAX 65536       /* known files at a time; then all but the interpreters are forgotten */
#define PENDING_MAX 16384     /* processes found and not yet taken in */
#define PROBE_NS NSEC_PER_SEC /* processes that mapped an interpreter before its probe was there are told of within */
#define NO_TARGET UINT32_MAX

struct file_key {
        uint32_t major, minor;
        uint64_t inode;
};

struct file {
        struct file_key key;
        struct image *image; /* owned; NULL: holds no Python */
        uint32_t target;     /* NO_TARGET: not followed */
        uint64_t added;      /* when its probe was there */
        int fd;              /* of an interpreter; -1 */
        UT_hash_handle hh;
};

struct discovery {
        const char *proc_root;
        struct probe *probe;
        struct ingest *ingest;
        struct file *files;
        struct file *targets[TARGETS_MAX]; /* borrowed from files */
        uint32_t targets_n;
        uint32_t pending[PENDING_MAX]; /* pids */
        size_t pending_n;
        struct discovery_counters counters;
};

int discovery_new(const char *proc_root, struct probe *probe, struct ingest *ingest, struct discovery **ret) {
        struct discovery *d = calloc(1, sizeof(*d));

        if (!d)
                return -ENOMEM;
        d->proc_root = proc_root;
        d->probe = probe;
        d->ingest = ingest;
        *ret = d;
        return 0;
}

static void file_free(struct file *f) {
        free(f->image);
        closep(&f->fd);
        free(f);
}

void discovery_free(struct discovery *d) {
        struct file *f, *next;

        if (!d)
                return;
        HASH_ITER (hh, d->files, f, next) {
                HASH_DEL(d->files, f);
                file_free(f);
        }
        free(d);
}

const struct image *discovery_image(const struct discovery *d, uint32_t target) {
        return target < d->targets_n ? d->targets[target]->image : NULL;
}

const struct discovery_counters *discovery_counters(const struct discovery *d) {
        return &d->counters;
}

/* Files that hold no Python are remembered to be passed over quickly; any number of them may come by. */
static void discovery_forget_files(struct discovery *d) {
        struct file *f, *next;

        HASH_ITER (hh, d->files, f, next) {
                if (!f->image) {
                        HASH_DEL(d->files, f);
                        file_free(f);
                }
        }
}

static struct file *discovery_find(struct discovery *d, const struct file_key *key) {
        struct file *f;

        HASH_FIND(hh, d->files, key, sizeof(*key), f);
        return f;
}

/* Gives the image a target of its own and a probe at its start. */
static void discovery_add_target(struct discovery *d, struct file *f, int fd) {
        const struct image *image = f->image;
        int r;

        if (!image->supported)
                return;
        if (d->targets_n >= TARGETS_MAX) {
                f->image->supported = false;
                snprintf(f->image->reason, sizeof(f->image->reason), "more than %d interpreter binaries", TARGETS_MAX);
                return;
        }
        r = probe_add_target(d->probe, d->targets_n, &image->target, &image->addresses, fd, image->probe_offset);
        if (r < 0)
                log_warning_errno(r, "Cannot probe the start of Python %s, its processes will be found late: %m",
                                  image->version);
        f->target = d->targets_n;
        d->targets[d->targets_n++] = f;
        f->added = clock_monotonic_ns();
        d->counters.targets++;
}

/* Takes over `fd`. */
static struct file *discovery_add_file(struct discovery *d, const struct file_key *key, int fd_taken) {
        _cleanup_close_ int fd = fd_taken;
        _cleanup_free_ struct image *image = calloc(1, sizeof(*image));
        struct file *f = calloc(1, sizeof(*f));
        int r;

        if (!image || !f) {
                free(f);
                return NULL;
        }
        if (HASH_COUNT(d->files) >= FILES_MAX)
                discovery_forget_files(d);
        f->key = *key;
        f->target = NO_TARGET;
        f->fd = -1;
        d->counters.files++;
        r = image_read(fd, image);
        if (r < 0)
                d->counters.unreadable++;
        else if (image->python) {
                f->image = TAKE_PTR(image);
                discovery_add_target(d, f, fd);
                f->fd = TAKE_FD(fd);
        }
        HASH_ADD(hh, d->files, key, sizeof(f->key), f);
        return f;
}

/* Where a process has a file mapped. */
struct mapped {
        uint32_t pid;
        struct file_key key;
        uint64_t start, end, offset;
        const char *path;
};

/* Through the mapping itself, which works for deleted files and other mount namespaces; else through the process's
 * root. */
static int mapped_open(const struct discovery *d, const struct mapped *m) {
        char path[PATH_MAX];
        struct stat st;
        int fd;

        snprintf(path, sizeof(path), "%s/%u/map_files/%lx-%lx", d->proc_root, m->pid, m->start, m->end);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd >= 0)
                return fd;
        snprintf(path, sizeof(path), "%s/%u/root%s", d->proc_root, m->pid, m->path);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0 && (errno == ENOENT || errno == ESRCH)) /* the process is gone; the file may be the host's */
                fd = open(m->path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != m->key.inode) {
                close(fd);
                return -ESTALE;
        }
        return fd;
}

static struct file *discovery_file(struct discovery *d, const struct mapped *m, bool *ret_new) {
        struct file *f = discovery_find(d, &m->key);
        int fd;

        *ret_new = false;
        if (f)
                return f;
        fd = mapped_open(d, m);
        if (fd < 0) {
                d->counters.unreadable++;
                return NULL;
        }
        *ret_new = true;
        return discovery_add_file(d, &m->key, fd);
}

/* Has the process followed from the next discovery_adopt() on. 1: it will be. */
static int discovery_take(struct discovery *d, const struct file *f, const struct mapped *m) {
        const struct target_image *a = &f->image->addresses;
        struct process p = {.target = f->target};
        uint64_t bias;
        int r;

        if (!f->image->supported) {
                r = ingest_add_unprofiled(d->ingest, m->pid, f->image);
                return r == -ENOMEM ? r : 0;
        }
        r = image_bias(f->fd, m->start, m->offset, &bias);
        if (r < 0) {
                d->counters.unreadable++;
                return 0;
        }
        p.runtime = a->runtime + bias;
        p.code_type = a->code_type + bias;
        p.text_start = a->text_start + bias;
        p.text_end = a->text_end + bias;
        if (d->pending_n >= PENDING_MAX)
                return 1;
        r = probe_add_process(d->probe, m->pid, &p);
        if (r < 0) /* -EEXIST: the probe at its start was faster */
                return 0;
        d->pending[d->pending_n++] = m->pid;
        return 1;
}

int discovery_mapping(struct discovery *d, const struct probe_mapping *m) {
        struct mapped mapped = {
                        .pid = m->pid,
                        .key = {.major = m->dev_major, .minor = m->dev_minor, .inode = m->inode},
                        .start = m->start,
                        .end = m->end,
                        .offset = m->offset,
                        .path = m->path,
        };
        struct file *f;
        bool new;

        f = discovery_file(d, &mapped, &new);
        if (!f || !f->image)
                return 0;
        if (f->image->supported && f->added + PROBE_NS < clock_monotonic_ns()) /* the probe at its start finds it */
                return 0;
        if (new)
                d->counters.late++;
        return discovery_take(d, f, &mapped);
}

struct scan_arguments {
        struct discovery *discovery;
        uint32_t pid;
};

static int discovery_on_map(void *userdata, const struct maps_entry *e) {
        struct scan_arguments *a = userdata;
        struct mapped m = {
                        .pid = a->pid,
                        .key = {.major = e->dev_major, .minor = e->dev_minor, .inode = e->inode},
                        .start = e->start,
                        .end = e->end,
                        .offset = e->offset,
                        .path = e->path,
        };
        struct file *f;
        bool new;

        if (e->perms[2] != 'x' || !e->inode)
                return 0;
        f = discovery_file(a->discovery, &m, &new);
        if (!f || !f->image)
                return 0;
        return discovery_take(a->discovery, f, &m);
}

static int discovery_on_process(void *userdata, uint32_t pid) {
        struct scan_arguments a = {.discovery = userdata, .pid = pid};
        int r;

        if (ingest_process_find(a.discovery->ingest, pid))
                return 0;
        r = maps_each(a.discovery->proc_root, pid, discovery_on_map, &a);
        return r == -ENOMEM ? r : 0;
}

int discovery_scan(struct discovery *d) {
        return process_each(d->proc_root, discovery_on_process, d);
}

static void discovery_prime_path(struct discovery *d, const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        struct file_key key = {};
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return;
        key.major = major(st.st_dev);
        key.minor = minor(st.st_dev);
        key.inode = st.st_ino;
        if (!discovery_find(d, &key))
                discovery_add_file(d, &key, TAKE_FD(fd));
}

void discovery_prime(struct discovery *d) {
        static const char *const patterns[] = {
                        "/usr/bin/python3.*[0-9]",           "/usr/local/bin/python3.*[0-9]",
                        "/usr/lib/*/libpython3.*.so.1*",     "/usr/lib64/libpython3.*.so.1*",
                        "/usr/local/lib/libpython3.*.so.1*",
        };

        for (size_t i = 0; i < ARRAY_SIZE(patterns); i++) {
                glob_t found;

                if (glob(patterns[i], GLOB_NOSORT, NULL, &found) == 0)
                        for (size_t j = 0; j < found.gl_pathc; j++)
                                discovery_prime_path(d, found.gl_pathv[j]);
                globfree(&found);
        }
}

int discovery_adopt(struct discovery *d) {
        int r;

        if (!d->pending_n)
                return 0;
        r = probe_iterate(d->probe);
        for (size_t i = 0; i < d->pending_n; i++)
                probe_check_process(d->probe, d->pending[i]);
        d->pending_n = 0;
        return r;
}
