/* SPDX-License-Identifier: Apache-2.0 */
#include "targets.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/macro.h"
#include "proc/clock.h"

#define SETTLED_NS NSEC_PER_SEC     /* processes that mapped a binary before its probe was there: told of within */
#define FRESH_NS (2 * NSEC_PER_SEC) /* a process may be on its way from mapping the binary to its start */
#define TIDY_NS (10 * NSEC_PER_SEC) /* a deleted file may have one more process */
#define GIVE_BACK_MAX 32            /* at a time: ending a probe waits for the kernel, ending many waits once */

struct place {
        struct image *image; /* a reference; NULL: free */
        uint64_t serial;
        uint64_t added;
        uint64_t used; /* when a process of it was met last */
        int fd;
        bool linked;    /* has a probe at its start */
        bool abandoned; /* its file is another one now */
};

struct targets {
        struct probe *probe;
        struct place places[TARGETS_MAX];
        uint64_t serial;
};

int targets_new(struct probe *probe, struct targets **ret) {
        struct targets *t = calloc(1, sizeof(*t));

        if (!t)
                return -ENOMEM;
        t->probe = probe;
        for (size_t i = 0; i < TARGETS_MAX; i++)
                t->places[i].fd = -1;
        *ret = t;
        return 0;
}

static void place_clear(struct place *p) {
        image_unref(p->image);
        closep(&p->fd);
        *p = (struct place){.fd = -1};
}

void targets_free(struct targets *t) {
        if (!t)
                return;
        for (size_t i = 0; i < TARGETS_MAX; i++)
                place_clear(&t->places[i]);
        free(t);
}

static const struct place *targets_place(const struct targets *t, struct target_ref ref) {
        const struct place *p = ref.index < TARGETS_MAX ? &t->places[ref.index] : NULL;

        return p && ref.serial && p->serial == ref.serial ? p : NULL;
}

bool targets_has(const struct targets *t, struct target_ref ref) {
        return targets_place(t, ref) != NULL;
}

int targets_fd(const struct targets *t, struct target_ref ref) {
        const struct place *p = targets_place(t, ref);

        return p ? p->fd : -1;
}

bool targets_finds(const struct targets *t, struct target_ref ref, uint64_t now) {
        const struct place *p = targets_place(t, ref);

        return p && p->linked && p->added + SETTLED_NS < now;
}

void targets_touch(struct targets *t, struct target_ref ref, uint64_t now) {
        struct place *p = (struct place *)targets_place(t, ref);

        if (p)
                p->used = now;
}

void targets_abandon(struct targets *t, struct target_ref ref) {
        struct place *p = (struct place *)targets_place(t, ref);

        if (p)
                p->abandoned = true;
}

const struct image *targets_image(const struct targets *t, uint32_t index) {
        return index < TARGETS_MAX ? t->places[index].image : NULL;
}

static bool place_is_deleted(const struct place *p) {
        struct stat st;

        return p->abandoned || (fstat(p->fd, &st) == 0 && st.st_nlink == 0);
}

static bool place_gives_way_before(const struct place *a, const struct place *b) {
        if (a->abandoned != b->abandoned)
                return a->abandoned;
        return a->used < b->used;
}

/* Sorts the place into those that give way first, of which there are at most GIVE_BACK_MAX. */
static void targets_rank(const struct targets *t, uint32_t indices[static GIVE_BACK_MAX], size_t *n, uint32_t index) {
        size_t at = *n;

        while (at > 0 && place_gives_way_before(&t->places[index], &t->places[indices[at - 1]]))
                at--;
        if (at >= GIVE_BACK_MAX)
                return;
        if (*n < GIVE_BACK_MAX)
                (*n)++;
        memmove(indices + at + 1, indices + at, (*n - at - 1) * sizeof(*indices));
        indices[at] = index;
}

static int targets_probe(struct targets *t, uint32_t index) {
        struct place *p = &t->places[index];
        int r;

        r = probe_add_target(t->probe, index, &p->image->target, &p->image->addresses, p->fd, p->image->probe_offset);
        if (r < 0)
                log_warning_errno(r, "Cannot probe the start of Python %s, its processes will be found late: %m",
                                  p->image->version);
        p->linked = r > 0;
        p->added = clock_monotonic_ns();
        return r;
}

/* Ends their probes, reads what these have told, and only then are the places free: an index that is still in a record
 * or in a process keeps its meaning. */
static int targets_give_back(struct targets *t, const uint32_t *indices, size_t n) {
        bool busy[TARGETS_MAX];
        int given = 0, r;

        probe_remove_targets(t->probe, indices, n);
        r = probe_read_all_records(t->probe);
        if (r < 0)
                log_debug_errno(r, "Cannot read all records before targets are given back: %m");
        r = probe_busy_targets(t->probe, busy);
        for (size_t i = 0; i < n; i++) {
                if (r < 0 || busy[indices[i]]) { /* started until its probe was gone */
                        targets_probe(t, indices[i]);
                        continue;
                }
                place_clear(&t->places[indices[i]]);
                given++;
        }
        return r < 0 ? r : given;
}

static int targets_reclaim(struct targets *t, uint64_t unused_since, bool only_deleted) {
        uint32_t indices[GIVE_BACK_MAX];
        bool busy[TARGETS_MAX];
        size_t n = 0;
        int r;

        r = probe_busy_targets(t->probe, busy);
        if (r < 0)
                return r;
        for (uint32_t i = 0; i < TARGETS_MAX; i++) {
                const struct place *p = &t->places[i];

                if (p->image && !busy[i] && p->used < unused_since && (!only_deleted || place_is_deleted(p)))
                        targets_rank(t, indices, &n, i);
        }
        return n > 0 ? targets_give_back(t, indices, n) : 0;
}

void targets_tidy(struct targets *t, uint64_t now) {
        int r;

        r = targets_reclaim(t, now > TIDY_NS ? now - TIDY_NS : 0, true);
        if (r < 0)
                log_debug_errno(r, "Cannot give back targets: %m");
}

static int targets_find_free(const struct targets *t) {
        for (int i = 0; i < TARGETS_MAX; i++)
                if (!t->places[i].image)
                        return i;
        return -E2BIG;
}

int targets_add(struct targets *t, struct image *image, int fd_taken, struct target_ref *ret) {
        _cleanup_close_ int fd = fd_taken;
        uint64_t now = clock_monotonic_ns();
        struct place *p;
        int index, r;

        index = targets_find_free(t);
        if (index < 0) {
                r = targets_reclaim(t, now > FRESH_NS ? now - FRESH_NS : 0, false);
                if (r < 0)
                        return r;
                index = targets_find_free(t);
                if (index < 0)
                        return index;
        }
        p = &t->places[index];
        *p = (struct place){
                        .image = image_ref(image),
                        .serial = ++t->serial,
                        .used = now,
                        .fd = TAKE_FD(fd),
        };
        targets_probe(t, (uint32_t)index);
        *ret = (struct target_ref){.index = (uint32_t)index, .serial = p->serial};
        return 0;
}
