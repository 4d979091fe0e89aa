/* SPDX-License-Identifier: Apache-2.0 */
#include "discovery.h"

#include <errno.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <uthash.h>

#include "base/log.h"
#include "base/macro.h"
#include "mapped.h"
#include "proc/clock.h"
#include "proc/file.h"
#include "proc/maps.h"
#include "proc/process.h"
#include "targets.h"

#define FILES_MAX 65536               /* known files at a time; then all but the interpreters are forgotten */
#define PENDING_MAX 16384             /* processes found and not yet taken in */
#define PASSES_MAX 8                  /* of a scan, while each finds children that were born during the one before */
#define CHECK_NS NSEC_PER_SEC         /* a file may be written to without any sign but its time */
#define RESCAN_NS (10 * NSEC_PER_SEC) /* least time between two scans for what was missed */
#define TIDY_NS (10 * NSEC_PER_SEC)
#define SWEEP_NS (3 * NSEC_PER_SEC) /* of processes that are not profiled, which BPF tells nothing of */
#define CHILDREN_MAX 65536
#define UNPROFILED_MAX 1024 /* files with interpreters that are not profiled */

struct file_key {
        uint32_t major, minor;
        uint64_t inode;
};

struct file {
        struct file_key key;
        struct mapped_identity identity;
        uint64_t checked;    /* when it was last found to be what it was */
        struct image *image; /* a reference; NULL: holds no Python */
        struct target_ref target;
        bool crowded; /* there was no place for it: tried again */
        UT_hash_handle hh;
};

struct discovery {
        const char *proc_root;
        struct probe *probe;
        struct roster *roster;
        struct targets *targets;
        struct file *files;
        uint32_t pending[PENDING_MAX]; /* pids */
        size_t pending_n;
        uint64_t gaps;    /* of the records of mappings, that have been made up for */
        uint64_t scanned; /* files that were looked at since are known well enough for a scan */
        uint64_t rescanned, swept, tidied;
        struct discovery_counters counters;
};

int discovery_new(const char *proc_root, struct probe *probe, struct roster *roster, struct discovery **ret) {
        _cleanup_free_ struct discovery *d = calloc(1, sizeof(*d));
        int r;

        if (!d)
                return -ENOMEM;
        r = targets_new(probe, &d->targets);
        if (r < 0)
                return r;
        d->proc_root = proc_root;
        d->probe = probe;
        d->roster = roster;
        *ret = TAKE_PTR(d);
        return 0;
}

static void file_free(struct file *f) {
        image_unref(f->image);
        free(f);
}

static void discovery_forget_file(struct discovery *d, struct file *f) {
        targets_abandon(d->targets, f->target);
        HASH_DEL(d->files, f);
        file_free(f);
}

void discovery_free(struct discovery *d) {
        struct file *f, *next;

        if (!d)
                return;
        HASH_ITER (hh, d->files, f, next)
                discovery_forget_file(d, f);
        targets_free(d->targets);
        free(d);
}

const struct image *discovery_image(const struct discovery *d, uint32_t target) {
        return targets_image(d->targets, target);
}

const struct discovery_counters *discovery_counters(const struct discovery *d) {
        return &d->counters;
}

/* Files that are not followed are remembered to be passed over quickly; any number of them may come by. */
static void discovery_forget_files(struct discovery *d) {
        struct file *f, *next;

        HASH_ITER (hh, d->files, f, next)
                if (!targets_has(d->targets, f->target))
                        discovery_forget_file(d, f);
}

static struct file *discovery_find(struct discovery *d, const struct file_key *key) {
        struct file *f;

        HASH_FIND(hh, d->files, key, sizeof(*key), f);
        return f;
}

/* Gives the image a target of its own and a probe at its start. Takes over `fd`. */
static int discovery_add_target(struct discovery *d, struct file *f, int fd) {
        struct image *image = f->image;
        int r;

        r = targets_add(d->targets, image, fd, &f->target);
        if (r == 0) {
                d->counters.targets++;
                return 0;
        }
        if (r != -E2BIG)
                return r;
        f->crowded = true;
        image->supported = false;
        snprintf(image->reason, sizeof(image->reason), "more than %d interpreter binaries", TARGETS_MAX);
        return 0;
}

/* Takes over `fd`. */
static int discovery_add_file(struct discovery *d, const struct file_key *key, const struct mapped_identity *identity,
                              int fd_taken, struct file **ret) {
        _cleanup_close_ int fd = fd_taken;
        struct file *f = calloc(1, sizeof(*f));
        int r;

        if (f)
                f->image = calloc(1, sizeof(*f->image));
        if (!f || !f->image) {
                free(f);
                return -ENOMEM;
        }
        f->key = *key;
        f->identity = *identity;
        f->checked = clock_monotonic_ns();
        d->counters.files++;
        r = image_read(fd, f->image);
        f->image->refs = 1;
        if (r < 0)
                d->counters.unreadable++;
        if (r < 0 || !f->image->python) {
                image_unref(f->image);
                f->image = NULL;
        } else if (f->image->supported) {
                r = discovery_add_target(d, f, TAKE_FD(fd));
                if (r < 0) {
                        file_free(f);
                        return r;
                }
        }
        if (HASH_COUNT(d->files) >= FILES_MAX)
                discovery_forget_files(d);
        HASH_ADD(hh, d->files, key, sizeof(f->key), f);
        *ret = f;
        return 0;
}

/* Whether the file is still what is known of it, without looking: not an inode number that is used again, no place
 * given to another one since, and looked at after `since`. */
static bool discovery_trusts(const struct discovery *d, const struct file *f, const struct mapped *m, uint64_t since) {
        if (f->checked < since || (m->generation_known && !f->identity.generation_known))
                return false;
        if (m->generation_known && m->generation != f->identity.generation)
                return false;
        return !f->image || !f->image->supported || targets_has(d->targets, f->target);
}

/* Looks at the file. `known`, if any, is what was there. */
static struct file *discovery_look(struct discovery *d, const struct mapped *m, struct file *known, bool *ret_new) {
        const struct file_key key = {.major = m->major, .minor = m->minor, .inode = m->inode};
        _cleanup_close_ int fd = mapped_open(d->proc_root, m);
        struct mapped_identity identity;

        if (fd < 0 || mapped_identify(fd, &identity) < 0) {
                d->counters.unreadable += !known; /* a process that is gone: the next one's is looked at */
                return NULL;
        }
        if (m->generation_known) {
                identity.generation_known = true;
                identity.generation = m->generation;
        }
        if (known && !known->crowded && mapped_identity_equal(&known->identity, &identity) &&
            (!known->image || !known->image->supported || targets_has(d->targets, known->target))) {
                known->identity = identity;
                known->checked = clock_monotonic_ns();
                return known;
        }
        if (known)
                discovery_forget_file(d, known);
        *ret_new = true;
        return discovery_add_file(d, &key, &identity, TAKE_FD(fd), &known) < 0 ? NULL : known;
}

/* What is known of the file, from a look after `since`. */
static struct file *discovery_file(struct discovery *d, const struct mapped *m, uint64_t since, bool *ret_new) {
        const struct file_key key = {.major = m->major, .minor = m->minor, .inode = m->inode};
        struct file *f = discovery_find(d, &key);

        *ret_new = false;
        return f && discovery_trusts(d, f, m, since) ? f : discovery_look(d, m, f, ret_new);
}

/* Has the process followed from the next discovery_adopt() on. 1: it will be. */
static int discovery_take(struct discovery *d, const struct file *f, const struct mapped *m) {
        const struct target_image *a = &f->image->addresses;
        struct process p = {.target = f->target.index};
        uint64_t bias;
        int r;

        if (!f->image->supported) {
                r = roster_add_unprofiled(d->roster, m->pid, f->image);
                return r == -ENOMEM ? r : 0;
        }
        r = image_bias(targets_fd(d->targets, f->target), m->start, m->offset, &bias);
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

/* It has mapped a Python that is not profiled, so whatever it was, profiled or not, is over. */
static void discovery_settle(struct discovery *d, uint32_t pid) {
        struct followed_process *p;

        probe_read_all_records(d->probe); /* its exec may not have been read yet */
        p = roster_process_find(d->roster, pid);
        if (p)
                roster_forget_unprofiled(d->roster, p);
}

int discovery_mapping(struct discovery *d, const struct probe_mapping *m) {
        const struct mapped mapped = {
                        .pid = m->pid,
                        .major = m->dev_major,
                        .minor = m->dev_minor,
                        .inode = m->inode,
                        .generation_known = true,
                        .generation = (uint32_t)m->inode_generation,
                        .start = m->start,
                        .end = m->end,
                        .offset = m->offset,
                        .path = m->path,
        };
        uint64_t now = clock_monotonic_ns();
        struct file *f;
        bool new;

        f = discovery_file(d, &mapped, now > CHECK_NS ? now - CHECK_NS : 0, &new);
        if (!f || !f->image)
                return 0;
        targets_touch(d->targets, f->target, now);
        if (f->image->supported && targets_finds(d->targets, f->target, now))
                return 0;
        if (!f->image->supported)
                discovery_settle(d, m->pid);
        else if (new)
                d->counters.late++;
        return discovery_take(d, f, &mapped);
}

struct scan {
        struct discovery *discovery;
        uint32_t pid;
};

static int discovery_on_map(void *userdata, const struct maps_entry *e) {
        const struct scan *s = userdata;
        struct discovery *d = s->discovery;
        const struct mapped m = {
                        .pid = s->pid,
                        .major = e->dev_major,
                        .minor = e->dev_minor,
                        .inode = e->inode,
                        .start = e->start,
                        .end = e->end,
                        .offset = e->offset,
                        .path = e->path,
        };
        struct file *f;
        bool new;

        if (e->perms[2] != 'x' || !e->inode)
                return 0;
        f = discovery_file(d, &m, d->scanned, &new);
        if (!f || !f->image)
                return 0;
        targets_touch(d->targets, f->target, d->scanned);
        return discovery_take(d, f, &m) < 0 ? -ENOMEM : 0;
}

static int discovery_on_process(void *userdata, uint32_t pid) {
        struct scan s = {.discovery = userdata, .pid = pid};
        int r;

        if (roster_process_find(s.discovery->roster, pid))
                return 0;
        r = maps_each(s.discovery->proc_root, pid, discovery_on_map, &s);
        return r == -ENOMEM ? r : 0;
}

int discovery_scan(struct discovery *d) {
        bool found = true;
        int r;

        d->gaps = probe_mapping_gaps(d->probe);
        d->scanned = clock_monotonic_ns();
        /* A child that is born between being passed by and its parent being taken in: the next pass finds it. */
        for (int i = 0; i < PASSES_MAX && found; i++) {
                r = process_each(d->proc_root, discovery_on_process, d);
                if (r < 0)
                        return r;
                found = d->pending_n > 0;
                r = discovery_adopt(d);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void discovery_prime_path(struct discovery *d, const char *path) {
        _cleanup_close_ int fd = mapped_open_path(path);
        struct mapped_identity identity;
        struct file_key key = {};
        struct file *unused;
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0 || mapped_identify(fd, &identity) < 0)
                return;
        key.major = major(st.st_dev);
        key.minor = minor(st.st_dev);
        key.inode = st.st_ino;
        if (!discovery_find(d, &key))
                discovery_add_file(d, &key, &identity, TAKE_FD(fd), &unused);
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

/* Forked children of a process that is not profiled; what is mapped from then on is told of. */
static int discovery_sweep_children(struct discovery *d, uint32_t pid) {
        _cleanup_free_ uint32_t *tids = NULL;
        size_t tids_n;

        if (process_threads(d->proc_root, pid, &tids, &tids_n) < 0)
                return 0;
        for (size_t i = 0; i < tids_n; i++) {
                _cleanup_fclose_ FILE *f = NULL;
                char path[PROC_PATH_MAX], name[64];
                unsigned child;

                snprintf(name, sizeof(name), "task/%u/children", tids[i]);
                if (proc_path(path, d->proc_root, pid, name) < 0)
                        continue;
                f = fopen(path, "re");
                for (unsigned n = 0; f && n < CHILDREN_MAX && fscanf(f, "%u", &child) == 1; n++) {
                        int r = discovery_on_process(d, child);

                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* The pids of those that are not profiled. Looking at one may end others. */
static int discovery_unprofiled(const struct discovery *d, uint32_t **ret, size_t *ret_n) {
        struct followed_process *p, *next;
        uint32_t *pids;
        size_t n = 0;

        HASH_ITER (hh, roster_processes(d->roster), p, next)
                n += !p->profiled;
        pids = calloc(n + 1, sizeof(*pids));
        if (!pids)
                return -ENOMEM;
        n = 0;
        HASH_ITER (hh, roster_processes(d->roster), p, next)
                if (!p->profiled)
                        pids[n++] = p->pid;
        *ret = pids;
        *ret_n = n;
        return 0;
}

/* BPF tells nothing of them: neither that they end, nor that they become another program, nor of their children. */
static int discovery_sweep(struct discovery *d) {
        _cleanup_free_ uint32_t *pids = NULL;
        size_t n;
        int r;

        r = discovery_unprofiled(d, &pids, &n);
        for (size_t i = 0; r >= 0 && i < n; i++) {
                struct followed_process *p = roster_process_find(d->roster, pids[i]);

                if (!p || p->profiled)
                        continue;
                if (process_is(d->proc_root, p->pid, p->started, p->executable)) {
                        r = discovery_sweep_children(d, pids[i]);
                } else {
                        roster_forget_unprofiled(d->roster, p);
                        r = discovery_on_process(d, pids[i]);
                }
        }
        return r;
}

/* Files whose targets were given back, and the like: an interpreter that comes again is looked at again. */
static void discovery_tidy(struct discovery *d, uint64_t now) {
        struct file *f, *next;
        size_t unprofiled = 0;

        targets_tidy(d->targets, now);
        HASH_ITER (hh, d->files, f, next) {
                if (!f->image || targets_has(d->targets, f->target))
                        continue;
                if (f->image->supported || ++unprofiled > UNPROFILED_MAX)
                        discovery_forget_file(d, f);
        }
}

int discovery_turn(struct discovery *d, uint64_t now) {
        int r;

        if (now - d->tidied >= TIDY_NS) {
                d->tidied = now;
                discovery_tidy(d, now);
        }
        if (now - d->swept >= SWEEP_NS) {
                d->swept = d->scanned = now;
                r = discovery_sweep(d);
                if (r < 0)
                        return r;
        }
        if (d->gaps != probe_mapping_gaps(d->probe) && now - d->rescanned >= RESCAN_NS) {
                d->rescanned = now;
                d->counters.rescans++;
                r = discovery_scan(d);
                if (r < 0)
                        return r;
        }
        return discovery_adopt(d);
}
