/* SPDX-License-Identifier: Apache-2.0 */
#include "seed.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/macro.h"
#include "proc/clock.h"
#include "proc/file.h"
#include "python/offsets.h"

#define ITEMS_MAX 65536u
#define STATES_AT_ONCE 64u
#define WALK_NS (100 * NSEC_PER_MSEC)    /* a table's part, a walk or a code object; 0.1 ms is usual */
#define BLOCKED_NS NSEC_PER_SEC          /* by how much a process may hold us up, */
#define BLOCKED_SHARE 100u               /* and what part of the time that passes is forgiven */
#define NAMES_NS (1000 * NSEC_PER_MSEC)  /* the names of 3,000 threads take 0.1 s */
#define RUNNING_NS (500 * NSEC_PER_MSEC) /* altogether, the stacks of a process's running threads */

/* A process whose memory is read, and the table of its thread states. */
struct subject {
        struct followed_process *process; /* a reference */
        struct offsets_objects objects;
        struct remote remote;
        struct remote_states states;
        uint64_t listed; /* when the listing began; 0: not yet */
};

struct item {
        struct followed_thread *thread; /* a reference */
        uint64_t since, switches;
        uint64_t queued;
};

/* What is to be done of a process. */
struct job {
        struct subject subject;
        struct item *items; /* from `at` on */
        size_t at, n, room;
        UT_hash_handle hh; /* by process; in the order in which they came */
};

struct seed {
        struct reader *reader;
        const char *proc_root;
        struct resolve *resolve;
        struct job *jobs;
        size_t waiting;                         /* items of all jobs */
        const struct followed_process *reading; /* whose walk is on: its code objects are part of the job */
        struct subject running;                 /* process NULL: none */
        uint64_t running_until;
        uint64_t blocked_ns; /* of the reader, at the last look */
        struct seed_counters counters;
};

/* ---- the process that is read ---- */

static void subject_fini(struct subject *s) {
        remote_states_fini(&s->states);
        followed_process_unref(s->process);
        *s = (struct subject){};
}

/* `s` must stay where it is. Takes a reference. */
static int subject_init(struct subject *s, struct reader *reader, const struct followed_process *p) {
        struct target unused;

        *s = (struct subject){};
        if (p->ended)
                return -ESRCH;
        if (p->unreadable)
                return -EIO;
        if (!p->image || !p->runtime || offsets_for_version(p->image->number, &unused, &s->objects) < 0)
                return -ENOENT;
        s->process = followed_process_ref((struct followed_process *)p); /* const for who asks: the mark is ours */
        s->remote = (struct remote){
                        .read = reader_read,
                        .userdata = reader,
                        .target = &p->image->target,
                        .objects = &s->objects,
                        .runtime = p->runtime,
                        .code_type = p->code_type,
        };
        return 0;
}

static void subject_begin(struct seed *s, const struct subject *subject, uint64_t deadline) {
        reader_begin(s->reader, subject->process->pid, deadline);
}

/* After reads: 0, or what they ended with. A single page that is late shows who holds us up, many that come just in
 * time show it too. */
static int subject_check(struct seed *s, struct subject *subject) {
        struct followed_process *p = subject->process;
        uint64_t now = clock_monotonic_ns(), forgiven = (now - p->blocked_at) / BLOCKED_SHARE;
        uint64_t blocked = reader_blocked_ns(s->reader);
        int r = reader_error(s->reader);

        p->blocked_ns = p->blocked_ns > forgiven ? p->blocked_ns - forgiven : 0;
        p->blocked_ns += blocked - s->blocked_ns;
        p->blocked_at = now;
        s->blocked_ns = blocked;
        if (r == -ETIMEDOUT || p->blocked_ns > BLOCKED_NS)
                p->unreadable = true;
        return r;
}

static int subject_list(struct seed *s, struct subject *subject) {
        int r, q;

        r = remote_states_read(&subject->remote, &subject->states, STATES_AT_ONCE);
        q = subject_check(s, subject);
        return q < 0 ? q : r;
}

static void subject_relist(struct subject *subject, uint64_t now) {
        remote_states_fini(&subject->states);
        subject->listed = now;
}

/* 0 and the stack's hash, or -errno. */
static int subject_walk(struct seed *s, struct subject *subject, const struct followed_thread *t, uint64_t *ret) {
        const struct remote_state *state = remote_states_find(&subject->states, t->thread_pointer);
        struct event_frame frames[STACK_FRAMES_MAX];
        uint16_t flags = 0;
        uint64_t hash;
        int n, r;

        if (!t->thread_pointer || !state)
                return -ENOENT;
        n = remote_walk(&subject->remote, state, frames, STACK_FRAMES_MAX, &flags);
        r = subject_check(s, subject);
        if (r < 0)
                return r;
        if (n <= 0)
                return n < 0 ? n : -ENOENT;
        s->reading = subject->process;
        n = resolve_frames(s->resolve, subject->process, frames, (size_t)n, flags, &hash);
        s->reading = NULL;
        r = subject_check(s, subject); /* names may be missing then */
        if (n < 0 || r < 0)
                return n < 0 ? n : r;
        *ret = hash;
        return 0;
}

/* ---- the queue ---- */

static void item_fini(struct seed *s, struct item *i) {
        followed_thread_unref(i->thread);
        *i = (struct item){};
        s->waiting--;
}

static void job_free(struct seed *s, struct job *j) {
        HASH_DEL(s->jobs, j);
        while (j->at < j->n)
                item_fini(s, &j->items[j->at++]);
        free(j->items);
        subject_fini(&j->subject);
        free(j);
}

static int job_of(struct seed *s, struct followed_process *p, struct job **ret) {
        struct job *j;
        int r;

        HASH_FIND_PTR(s->jobs, &p, j);
        if (!j) {
                j = calloc(1, sizeof(*j));
                if (!j)
                        return -ENOMEM;
                r = subject_init(&j->subject, s->reader, p);
                if (r < 0) {
                        free(j);
                        return r;
                }
                HASH_ADD_PTR(s->jobs, subject.process, j);
        }
        *ret = j;
        return 0;
}

static int job_reserve(struct job *j) {
        struct item *items;
        size_t room;

        if (j->at > 0 && j->at >= j->n - j->at) {
                memmove(j->items, j->items + j->at, (j->n - j->at) * sizeof(*j->items));
                j->n -= j->at;
                j->at = 0;
        }
        if (j->n < j->room)
                return 0;
        room = j->room ? j->room * 2 : 16;
        items = reallocarray(j->items, room, sizeof(*items));
        if (!items)
                return -ENOMEM;
        j->items = items;
        j->room = room;
        return 0;
}

int seed_thread(struct seed *s, struct followed_thread *t, uint64_t switches) {
        struct job *j;
        int r;

        if (t->open.state == THREAD_ON_CPU || t->open.stack || t->seeded == t->open.since)
                return 0;
        if (s->waiting >= ITEMS_MAX) {
                s->counters.dropped++;
                return 0;
        }
        t->seeded = t->open.since;
        r = job_of(s, t->process, &j);
        if (r == -EIO)
                s->counters.unreadable++;
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        r = job_reserve(j);
        if (r < 0)
                return r;
        j->items[j->n++] = (struct item){
                        .thread = followed_thread_ref(t),
                        .since = t->open.since,
                        .switches = switches,
                        .queued = clock_monotonic_ns(),
        };
        s->waiting++;
        return 1;
}

/* How often the thread has left the CPU, by /proc/PID/task/TID/status; 0 when that cannot be read. */
static uint64_t thread_switches(const char *root, uint32_t pid, uint32_t tid) {
        char name[64], text[4096];
        uint64_t voluntary = 0, forced = 0;
        const char *at;

        snprintf(name, sizeof(name), "task/%u/status", tid);
        if (proc_read(root, pid, name, text, sizeof(text)) < 0)
                return 0;
        at = strstr(text, "\nvoluntary_ctxt_switches:");
        if (!at || sscanf(at, "\nvoluntary_ctxt_switches: %" SCNu64 "\nnonvoluntary_ctxt_switches: %" SCNu64,
                          &voluntary, &forced) != 2)
                return 0;
        return voluntary + forced;
}

/* Does the thread still wait, as far as we know, in the wait that was asked about? */
static bool item_stands(const struct item *i) {
        const struct followed_thread *t = i->thread;

        return !t->ended && t->open.state != THREAD_ON_CPU && t->open.since == i->since && !t->open.stack;
}

static void item_seed(struct seed *s, struct job *j, struct item *i) {
        struct followed_thread *t = i->thread;
        uint64_t hash;
        int r;

        r = subject_walk(s, &j->subject, t, &hash);
        if (r == -ETIME || r == -ETIMEDOUT)
                s->counters.unreadable++;
        if (r == -EBUSY && t->seeded == i->since)
                t->seeded = 0; /* no fault of its own: asked for again */
        if (r < 0 || !item_stands(i))
                return;
        if (thread_switches(s->proc_root, t->process->pid, t->tid) == i->switches)
                t->open.stack = hash;
}

/* The table is made before the first item that it is used for, and again for items that came after it was begun: a
 * thread may have run in between. So are all pages read. 1: there is more to list. */
static int job_list(struct seed *s, struct job *j) {
        struct subject *subject = &j->subject;

        if (!subject->listed || j->items[j->at].queued > subject->listed) {
                subject_relist(subject, clock_monotonic_ns());
                subject_begin(s, subject, subject->listed + WALK_NS);
        }
        return subject->states.complete ? 0 : subject_list(s, subject);
}

/* Nothing more can be had of the process. */
static bool job_over(struct seed *s, const struct job *j, int error) {
        if (j->subject.process->unreadable) {
                s->counters.unreadable += j->n - j->at;
                return true;
        }
        if (error == -EBUSY)
                for (size_t i = j->at; i < j->n; i++)
                        if (j->items[i].thread->seeded == j->items[i].since)
                                j->items[i].thread->seeded = 0;
        return j->at == j->n || j->subject.process->ended || (error < 0 && error != -ETIME);
}

/* Works on a job until `until`: true when it is done. */
static bool job_turn(struct seed *s, struct job *j, uint64_t until) {
        uint64_t now = clock_monotonic_ns();

        if (job_over(s, j, 0))
                return true;
        subject_begin(s, &j->subject, now + WALK_NS);
        while (j->at < j->n && (now = clock_monotonic_ns()) < until) {
                struct item *i = &j->items[j->at];
                int r;

                if (item_stands(i)) {
                        reader_extend(s->reader, now + WALK_NS);
                        r = job_list(s, j);
                        if (r < 0 && job_over(s, j, r))
                                return true;
                        if (r != 0)
                                continue;
                        item_seed(s, j, i);
                }
                j->at++;
                item_fini(s, i);
                if (job_over(s, j, 0))
                        return true;
        }
        return job_over(s, j, 0);
}

int seed_turn(struct seed *s, uint64_t budget_ns) {
        uint64_t until = clock_monotonic_ns() + budget_ns;
        struct job *j, *next;

        HASH_ITER (hh, s->jobs, j, next) {
                if (!job_turn(s, j, until))
                        return 1;
                job_free(s, j);
        }
        return 0;
}

void seed_process(struct seed *s, const struct followed_process *p, uint64_t budget_ns) {
        uint64_t now = clock_monotonic_ns();
        struct job *j;

        subject_fini(&s->running); /* read afresh for who looks now */
        HASH_FIND_PTR(s->jobs, &p, j);
        if (j && job_turn(s, j, now + budget_ns))
                job_free(s, j);
        s->running_until = clock_monotonic_ns() + RUNNING_NS;
}

void seed_process_done(struct seed *s) {
        subject_fini(&s->running);
}

/* ---- what is read at once ---- */

uint64_t seed_running(struct seed *s, const struct followed_thread *t) {
        struct subject *subject = &s->running;
        uint64_t hash;
        int r;

        if (subject->process != t->process) {
                subject_fini(subject);
                if (subject_init(subject, s->reader, t->process) < 0)
                        return 0;
        }
        subject_begin(s, subject, s->running_until);
        do
                r = subject->process->unreadable ? -EIO : subject_list(s, subject);
        while (r > 0);
        if (r < 0)
                return 0;
        return subject_walk(s, subject, t, &hash) < 0 ? 0 : hash;
}

int seed_fetch(void *userdata, const struct followed_process *p, uint64_t code, struct remote_code *ret) {
        struct remote_code fetched;
        struct seed *s = userdata;
        struct subject subject;
        int r, q;

        r = subject_init(&subject, s->reader, p);
        if (r < 0)
                return r;
        if (s->reading != p)
                subject_begin(s, &subject, clock_monotonic_ns() + WALK_NS);
        r = remote_code(&subject.remote, code, &fetched);
        q = subject_check(s, &subject);
        subject_fini(&subject);
        if (r < 0)
                return q < 0 ? q : r;
        *ret = fetched;
        return 0;
}

struct naming {
        struct followed_thread **threads; /* by thread pointer */
        size_t n;
};

static int naming_compare(const void *a, const void *b) {
        const struct followed_thread *const *x = a, *const *y = b;

        return (*x)->thread_pointer < (*y)->thread_pointer ? -1 : (*x)->thread_pointer > (*y)->thread_pointer;
}

static int naming_on_name(void *userdata, uint64_t thread_pointer, const char *name) {
        const struct followed_thread key = {.thread_pointer = thread_pointer}, *at = &key;
        struct naming *a = userdata;
        struct followed_thread **t;
        char *copy;

        if (a->n == 0)
                return 0;
        t = bsearch(&at, a->threads, a->n, sizeof(a->threads[0]), naming_compare);
        if (!t || ((*t)->name && strcmp((*t)->name, name) == 0))
                return 0;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        free((*t)->name);
        (*t)->name = copy;
        return 0;
}

static int naming_init(struct naming *a, const struct followed_process *p, struct followed_thread *threads) {
        struct followed_thread *t, *next;

        a->threads = calloc(HASH_COUNT(threads) + 1, sizeof(a->threads[0]));
        if (!a->threads)
                return -ENOMEM;
        HASH_ITER (hh, threads, t, next)
                if (t->process == p && t->thread_pointer)
                        a->threads[a->n++] = t;
        if (a->n > 0)
                qsort(a->threads, a->n, sizeof(a->threads[0]), naming_compare);
        return 0;
}

int seed_names(struct seed *s, const struct followed_process *p, struct followed_thread *threads) {
        _cleanup_free_ struct followed_thread **list = NULL;
        struct naming a = {};
        struct subject subject;
        int r, q;

        r = subject_init(&subject, s->reader, p);
        if (r < 0)
                return r;
        r = naming_init(&a, p, threads);
        list = a.threads;
        if (r >= 0) {
                subject_begin(s, &subject, clock_monotonic_ns() + NAMES_NS);
                r = remote_thread_names(&subject.remote, naming_on_name, &a);
                q = subject_check(s, &subject);
                r = q < 0 ? q : r;
        }
        subject_fini(&subject);
        return r;
}

/* ---- */

int seed_new(struct reader *reader, const char *proc_root, struct seed **ret) {
        struct seed *s = calloc(1, sizeof(*s));

        if (!s)
                return -ENOMEM;
        *s = (struct seed){.reader = reader, .proc_root = proc_root};
        *ret = s;
        return 0;
}

void seed_free(struct seed *s) {
        struct job *j, *next;

        if (!s)
                return;
        HASH_ITER (hh, s->jobs, j, next)
                job_free(s, j);
        subject_fini(&s->running);
        free(s);
}

void seed_set_resolve(struct seed *s, struct resolve *r) {
        s->resolve = r;
}

const struct seed_counters *seed_counters(const struct seed *s) {
        return &s->counters;
}
