/* SPDX-License-Identifier: Apache-2.0 */
/* The documents about what is now: the daemon itself, the processes, the threads of one. */
#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

#include "answer.h"
#include "config.h"
#include "export/profile_json.h"
#include "proc/file.h"
#include "select.h"

#define THREADS_BUDGET_NS (100 * NSEC_PER_MSEC) /* for reading a process: nothing else is done meanwhile */
#define THREADS_BUDGET_ANYONE_NS NSEC_PER_SEC

static inline void profile_freep(struct profile **p) {
        if (*p)
                profile_free(*p);
}

static uint64_t own_cpu_ns(void) {
        struct rusage u;

        if (getrusage(RUSAGE_SELF, &u) < 0)
                return 0;
        return (uint64_t)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * NSEC_PER_SEC +
               (uint64_t)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) * NSEC_PER_USEC;
}

static uint64_t own_rss_bytes(void) {
        char text[128];
        uint64_t pages;

        if (proc_read("/proc", (uint32_t)getpid(), "statm", text, sizeof(text)) < 0 ||
            sscanf(text, "%*u %lu", &pages) != 1)
                return 0;
        return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static json_t *features_to_json(const struct serve_status *s) {
        _cleanup_json_ json_t *features = json_object();

        for (size_t i = 0; features && i < s->features_n; i++) {
                const struct serve_feature *f = &s->features[i];

                if (json_take(features, f->name, json_pack("{s:b, s:o}", "ok", f->ok, "why", text_to_json(f->why))) < 0)
                        return NULL;
        }
        return TAKE_PTR(features);
}

static json_t *programs_to_json(const struct serve_status *s) {
        _cleanup_json_ json_t *programs = json_array();

        for (size_t i = 0; programs && i < s->programs_n; i++) {
                const struct serve_program *p = &s->programs[i];

                if (json_array_append_new(programs, json_pack("{s:o, s:I, s:I}", "name", text_to_json(p->name), "runs",
                                                              (json_int_t)p->runs, "ns", (json_int_t)p->ns)) < 0)
                        return NULL;
        }
        return TAKE_PTR(programs);
}

struct count_context {
        uint32_t viewer;
        uint64_t processes, threads;
};

static int count_one(void *arg, const struct followed_process *p, unsigned threads) {
        struct count_context *c = arg;

        if (p->profiled && answer_visible(p, c->viewer)) {
                c->processes++;
                c->threads += threads;
        }
        return 0;
}

int answer_status(const struct answer_context *x, const struct api_request *request, json_t **ret) {
        struct count_context count = {.viewer = request->query.viewer};
        struct serve_status s = {};
        struct utsname uname_;
        json_t *document;
        int r;

        r = x->source->status(x->source->userdata, &s);
        if (r < 0)
                return r;
        r = x->source->processes(x->source->userdata, count_one, &count);
        if (r < 0)
                return r;
        if (request->query.viewer != PROFILE_ANYONE) { /* they tell what others do */
                s.records = 0;
                s.programs_n = 0;
        }
        if (uname(&uname_) < 0)
                return -errno;
        document = json_pack("{s:i, s:{s:s, s:i, s:I, s:I, s:I}, s:{s:s, s:o}, s:{s:o, s:I}, s:{s:I, s:I}, s:{s:I, "
                             "s:I}, s:{s:f, s:f, s:o, s:i}, s:o}",
                             "version", 1, "daemon", "version", VERSION, "pid", (int)getpid(), "uptime_ns",
                             (json_int_t)s.uptime_ns, "cpu_ns", (json_int_t)own_cpu_ns(), "rss_bytes",
                             (json_int_t)own_rss_bytes(), "kernel", "release", uname_.release, "features",
                             features_to_json(&s), "bpf", "programs", programs_to_json(&s), "records",
                             (json_int_t)s.records, "followed", "processes", (json_int_t)count.processes, "threads",
                             (json_int_t)count.threads, "history", "oldest",
                             s.history_oldest ? (json_int_t)s.history_oldest + x->epoch_offset_ns : 0, "bytes",
                             (json_int_t)s.history_bytes, "budget", "limit", s.budget_limit, "cost", s.budget_cost,
                             "setting", text_to_json(s.budget_setting), "rate", (int)s.budget_rate, "loss",
                             answer_loss(x, request->query.viewer));
        if (!document)
                return -ENOMEM;
        *ret = document;
        return 0;
}

struct processes_context {
        const struct answer_context *answer;
        const struct profile_query *query;
        const struct profile *figures; /* of the last minute, rows sorted by pid */
        json_t *list;
        uint32_t *roots; /* whose descendants count */
        size_t roots_n;
};

static void processes_fini(struct processes_context *c) {
        free(c->roots);
}

static int compare_pids(const void *a, const void *b) {
        const struct profile_row *x = a, *y = b;

        if (x->pid != y->pid)
                return x->pid < y->pid ? -1 : 1;
        return x->started < y->started ? -1 : x->started > y->started;
}

/* Host pids of those that the question names, for their descendants. */
struct roots_context {
        const struct profile_query *query;
        uint32_t *pids;
        size_t n;
};

static int roots_add(void *arg, const struct followed_process *p, unsigned threads) {
        struct roots_context *c = arg;
        struct profile_query named = {
                        .viewer = PROFILE_ANYONE,
                        .pids = c->query->pids,
                        .pids_n = c->query->pids_n,
                        .containers = c->query->containers,
                        .containers_n = c->query->containers_n,
        };
        uint32_t *more;

        if (!select_process(&named, p, NULL, 0))
                return 0;
        more = reallocarray(c->pids, c->n + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        c->pids = more;
        c->pids[c->n++] = p->pid;
        return 0;
}

/* Without containers the pids are the host's, and need not be Python's. */
static int processes_roots(struct processes_context *c) {
        const struct profile_query *q = c->query;
        struct roots_context roots = {.query = q};
        int r;

        if (!q->children || q->pids_n == 0)
                return 0;
        if (q->containers_n > 0) {
                r = c->answer->source->processes(c->answer->source->userdata, roots_add, &roots);
                c->roots = roots.pids;
                c->roots_n = roots.n;
                return r;
        }
        c->roots = calloc(q->pids_n, sizeof(*c->roots));
        if (!c->roots)
                return -ENOMEM;
        c->roots_n = q->pids_n;
        memcpy(c->roots, q->pids, q->pids_n * sizeof(*c->roots));
        return 0;
}

static json_t *words_to_json(const char *words) {
        _cleanup_json_ json_t *list = json_array();

        while (list && *(words += strspn(words, " "))) {
                size_t n = strcspn(words, " ");

                if (json_array_append_new(list, json_stringn(words, n)) < 0)
                        return NULL;
                words += n;
        }
        return TAKE_PTR(list);
}

static int processes_add(void *arg, const struct followed_process *p, unsigned threads) {
        static const struct image no_image = {};
        static const struct profile_row no_row = {};
        struct processes_context *c = arg;
        const struct image *image = p->image ? p->image : &no_image;
        struct profile_row key = {.pid = p->pid, .started = p->started};
        const struct profile_row *row = NULL;

        if (!select_process(c->query, p, c->roots, c->roots_n))
                return 0;
        if (c->figures->rows_n > 0)
                row = bsearch(&key, c->figures->rows, c->figures->rows_n, sizeof(key), compare_pids);
        if (!row)
                row = &no_row;
        return json_array_append_new(c->list,
                                     json_pack("{s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:o, s:s, s:b, s:o, s:o, s:o, "
                                               "s:I, s:I, s:I, s:I, s:b, s:o}",
                                               "pid", (json_int_t)p->pid, "ppid", (json_int_t)p->ppid, "uid",
                                               (json_int_t)p->uid, "started",
                                               (json_int_t)p->started + c->answer->epoch_offset_ns, "comm",
                                               text_to_json(p->comm), "command", text_to_json(p->command), "cmdline",
                                               text_to_json(p->cmdline), "python", text_to_json(image->version),
                                               "executable", text_to_json(p->executable), "build",
                                               p->image ? image->shared ? "shared" : "static" : "", "free_threaded",
                                               image->free_threaded, "usdt", words_to_json(image->usdt), "unit",
                                               text_to_json(p->unit), "container", text_to_json(p->container),
                                               "threads", (json_int_t)threads, "wall_ns", (json_int_t)row->wall_ns,
                                               "cpu_ns", (json_int_t)row->cpu_ns, "idle_ns", (json_int_t)row->idle_ns,
                                               "profiled", p->profiled, "reason", text_to_json(p->reason))) < 0
                               ? -ENOMEM
                               : 0;
}

int answer_processes(const struct answer_context *x, struct api_request *request, json_t **ret) {
        _cleanup_(profile_freep) struct profile *figures = NULL;
        _cleanup_json_ json_t *list = json_array();
        _cleanup_(processes_fini) struct processes_context c = {.answer = x, .query = &request->query, .list = list};
        json_t *document;
        int r;

        if (!list)
                return -ENOMEM;
        r = profile_query(x->source->store, &request->query, x->now, &figures);
        if (r < 0)
                return r;
        if (figures->rows_n > 0)
                qsort(figures->rows, figures->rows_n, sizeof(*figures->rows), compare_pids);
        c.figures = figures;
        r = processes_roots(&c);
        if (r < 0)
                return r;
        r = x->source->processes(x->source->userdata, processes_add, &c);
        if (r < 0)
                return r;
        document = json_pack("{s:i, s:I, s:I, s:O, s:o}", "version", 1, "since",
                             (json_int_t)figures->since + x->epoch_offset_ns, "until",
                             (json_int_t)figures->until + x->epoch_offset_ns, "processes", list, "loss",
                             answer_loss(x, request->query.viewer));
        if (!document)
                return -ENOMEM;
        *ret = document;
        return 0;
}

static json_t *frame_to_json(const char *function, const char *file, int line) {
        struct profile_frame f = {.function = function, .file = file, .line = line, .kind = FRAME_PYTHON};

        return profile_frame_to_json(&f);
}

/* Leaf first. */
static json_t *stack_to_json(const struct stack *s) {
        _cleanup_json_ json_t *frames = json_array();

        for (uint32_t i = 0; frames && s && i < s->locations_n; i++) {
                const struct location *l = &s->locations[i];

                if (json_array_append_new(frames, frame_to_json(l->function->name, l->function->file,
                                                                l->line > 0 ? l->line : l->function->line)) < 0)
                        return NULL;
        }
        if (frames && s && s->truncated && json_array_append_new(frames, frame_to_json("[truncated]", "", 0)) < 0)
                return NULL;
        return TAKE_PTR(frames);
}

struct threads_context {
        uint32_t viewer;
        uint64_t cells;
        json_t *list;
        struct api_error *error;
};

static int threads_add(void *arg, const struct serve_thread *t) {
        struct threads_context *c = arg;
        int r;

        c->cells += ANSWER_ROW_CELLS + (t->stack ? t->stack->locations_n : 0);
        r = answer_check_size(c->cells, c->viewer, c->error);
        if (r < 0)
                return r;
        return json_array_append_new(c->list, json_pack("{s:I, s:o, s:s, s:o, s:b, s:o}", "tid", (json_int_t)t->tid,
                                                        "name", text_to_json(t->name), "state",
                                                        state_to_string(t->state), "detail", text_to_json(t->detail),
                                                        "gil", t->gil, "frames", stack_to_json(t->stack))) < 0
                               ? -ENOMEM
                               : 0;
}

int answer_threads(const struct answer_context *x, const struct api_request *request, json_t **ret,
                   struct api_error *ret_error) {
        uint32_t viewer = request->query.viewer;
        uint64_t budget_ns = viewer == PROFILE_ANYONE ? THREADS_BUDGET_ANYONE_NS : THREADS_BUDGET_NS;
        _cleanup_json_ json_t *list = json_array();
        struct threads_context c = {.viewer = viewer, .list = list, .error = ret_error};
        json_t *document;
        int r;

        if (!list)
                return -ENOMEM;
        r = answer_explain(x, NULL, viewer, request->pid, ret_error);
        if (r < 0)
                return r;
        r = x->source->threads(x->source->userdata, request->pid, budget_ns, threads_add, &c);
        if (r == -ESRCH)
                return api_error_set(ret_error, 404, "no-such-process", "there is no process %u", request->pid);
        if (r < 0)
                return r;
        document = json_pack("{s:i, s:I, s:O, s:o}", "version", 1, "pid", (json_int_t)request->pid, "threads", list,
                             "loss", answer_loss(x, viewer));
        if (!document)
                return -ENOMEM;
        *ret = document;
        return 0;
}
