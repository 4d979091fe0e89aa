/* SPDX-License-Identifier: Apache-2.0 */
#include "select.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

#include "base/index.h"
#include "base/macro.h"

static bool matches_pid(const struct profile_query *q, uint32_t pid) {
        for (size_t i = 0; i < q->pids_n; i++)
                if (q->pids[i] == pid)
                        return true;
        return false;
}

static bool matches_glob(char **globs, size_t n, const char *text) {
        for (size_t i = 0; i < n; i++)
                if (fnmatch(globs[i], text, 0) == 0)
                        return true;
        return false;
}

/* As systemctl has it, a unit without a type is a service. */
static bool matches_unit(const struct profile_query *q, const char *unit) {
        const char *dot = strrchr(unit, '.');
        _cleanup_free_ char *bare = NULL;

        if (matches_glob(q->units, q->units_n, unit))
                return true;
        if (!dot || strcmp(dot, ".service") != 0)
                return false;
        bare = strndup(unit, (size_t)(dot - unit));
        return bare && matches_glob(q->units, q->units_n, bare);
}

static bool matches_container(const struct profile_query *q, const char *container) {
        for (size_t i = 0; i < q->containers_n; i++)
                if (container[0] != '\0' && strncmp(container, q->containers[i], strlen(q->containers[i])) == 0)
                        return true;
        return false;
}

static const char *text(const char *s) {
        return s ? s : "";
}

/* All that is said of a process but its pid. */
static bool matches_process(const struct profile_query *q, const struct followed_process *p) {
        if (q->viewer != PROFILE_ANYONE && p->uid != q->viewer)
                return false;
        if (q->units_n > 0 && !matches_unit(q, text(p->unit)))
                return false;
        if (q->containers_n > 0 && !matches_container(q, text(p->container)))
                return false;
        return q->comms_n == 0 || matches_glob(q->comms, q->comms_n, p->comm) ||
               matches_glob(q->comms, q->comms_n, text(p->command));
}

static bool matches_thread(const struct profile_query *q, const struct followed_thread *t) {
        const char *name = t->name ? t->name : t->comm;
        char tid[16];

        if (q->threads_n == 0)
                return true;
        snprintf(tid, sizeof(tid), "%u", t->tid);
        for (size_t i = 0; i < q->threads_n; i++)
                if (strcmp(q->threads[i], tid) == 0 || strcmp(q->threads[i], name) == 0)
                        return true;
        return false;
}

/* A process of the history, in the order in which they started: a parent comes before its children. */
struct candidate {
        const struct followed_process *process;
        bool selected;
};

struct candidates {
        struct candidate *list;
        size_t n;
        struct index by_pid; /* those that are asked for, or descend from one */
};

static void candidates_fini(struct candidates *c) {
        index_fini(&c->by_pid);
        free(c->list);
}

static int candidate_compare(const void *a, const void *b) {
        const struct followed_process *x = ((const struct candidate *)a)->process;
        const struct followed_process *y = ((const struct candidate *)b)->process;

        if (x->started != y->started)
                return x->started < y->started ? -1 : 1;
        return (uintptr_t)x < (uintptr_t)y ? -1 : (uintptr_t)x > (uintptr_t)y;
}

static int candidates_init(struct candidates *c, const struct held *held) {
        size_t n = 0;

        c->list = calloc(held->threads_n ? held->threads_n : 1, sizeof(*c->list));
        if (!c->list)
                return -ENOMEM;
        for (uint32_t i = 0; i < held->threads_n; i++)
                c->list[i].process = held->threads[i]->thread->process;
        qsort(c->list, held->threads_n, sizeof(*c->list), candidate_compare);
        for (uint32_t i = 0; i < held->threads_n; i++)
                if (n == 0 || c->list[n - 1].process != c->list[i].process)
                        c->list[n++] = c->list[i];
        c->n = n;
        return 0;
}

/* The host's pid or, when containers are asked for, the one inside. */
static bool means_pid(const struct profile_query *q, const struct followed_process *p) {
        return matches_pid(q, p->pid) || (q->containers_n > 0 && matches_pid(q, p->namespace_pid));
}

bool select_process(const struct profile_query *q, const struct followed_process *p, const uint32_t *pids, size_t n) {
        bool by_pid = q->pids_n == 0 || means_pid(q, p);

        for (size_t i = 0; !by_pid && q->children && i < PROCESS_ANCESTORS && p->ancestors[i]; i++)
                for (size_t k = 0; !by_pid && k < n; k++)
                        by_pid = pids[k] == p->ancestors[i];
        return by_pid && matches_process(q, p);
}

/* A selected process of this pid that lived when `p` started: pids come again. */
static bool candidates_have(const struct candidates *c, uint32_t pid, const struct followed_process *p) {
        for (uint32_t at = 0, i; index_next(&c->by_pid, index_hash(&pid, sizeof(pid), 0), &at, &i);) {
                const struct followed_process *parent = c->list[i].process;

                if (parent->pid == pid && (parent->ended == 0 || parent->ended >= p->started))
                        return true;
        }
        return false;
}

static bool candidates_have_parent(const struct candidates *c, const struct profile_query *q,
                                   const struct followed_process *p) {
        for (size_t i = 0; i < PROCESS_ANCESTORS && p->ancestors[i]; i++) /* through those that are not Python, too */
                if (q->containers_n > 0 ? candidates_have(c, p->ancestors[i], p) : matches_pid(q, p->ancestors[i]))
                        return true; /* with containers the pids are those inside */
        return candidates_have(c, p->ppid, p);
}

static int candidates_select(struct candidates *c, const struct profile_query *q) {
        int r;

        for (size_t i = 0; i < c->n; i++) {
                const struct followed_process *p = c->list[i].process;
                bool by_pid = q->pids_n == 0 || means_pid(q, p) || (q->children && candidates_have_parent(c, q, p));

                c->list[i].selected = by_pid && matches_process(q, p);
                if (!by_pid || !q->children || q->pids_n == 0 ||
                    (q->containers_n > 0 && !matches_container(q, text(p->container))))
                        continue;
                r = index_add(&c->by_pid, index_hash(&p->pid, sizeof(p->pid), 0), (uint32_t)i);
                if (r < 0)
                        return r;
        }
        return 0;
}

int select_threads(const struct profile_query *q, const struct held *held, bool **ret) {
        _cleanup_(candidates_fini) struct candidates c = {};
        _cleanup_free_ bool *selected = NULL;
        int r;

        r = candidates_init(&c, held);
        if (r < 0)
                return r;
        r = candidates_select(&c, q);
        if (r < 0)
                return r;
        selected = calloc(held->threads_n ? held->threads_n : 1, sizeof(*selected));
        if (!selected)
                return -ENOMEM;
        for (uint32_t i = 0; i < held->threads_n; i++) {
                const struct followed_thread *t = held->threads[i]->thread;
                struct candidate key = {.process = t->process};
                const struct candidate *one = bsearch(&key, c.list, c.n, sizeof(key), candidate_compare);

                selected[i] = one && one->selected && matches_thread(q, t);
        }
        *ret = TAKE_PTR(selected);
        return 0;
}
