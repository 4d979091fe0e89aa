/* SPDX-License-Identifier: Apache-2.0 */
#include "answer.h"

#include <errno.h>
#include <string.h>

#include "export/export.h"
#include "export/profile_json.h"
#include "proc/process.h"
#include "select.h"

#define CELLS_MAX_ANYONE 2000000 /* of one answer, for root and the group */
#define CELLS_MAX 200000         /* for others */

static inline void profile_freep(struct profile **p) {
        if (*p)
                profile_free(*p);
}
#define _cleanup_profile_ _cleanup_(profile_freep)

static int dump_chunk(const char *data, size_t size, void *userdata) {
        buffer_add(userdata, data, size);
        return 0;
}

/* Takes the reference. */
static int body_write(json_t *document, struct buffer *body) {
        _cleanup_json_ json_t *owned = document;

        if (!owned)
                return -ENOMEM;
        if (json_dump_callback(owned, dump_chunk, body, JSON_COMPACT) < 0)
                return -ENOMEM;
        buffer_add(body, "\n", 1);
        return buffer_terminate(body);
}

int answer_error(const struct api_error *e, struct buffer *body) {
        return body_write(json_pack("{s:{s:s, s:o}}", "error", "code", e->code, "message", text_to_json(e->message)),
                          body);
}

int answer_check_size(uint64_t cells, uint32_t viewer, struct api_error *ret_error) {
        if (cells <= (viewer == PROFILE_ANYONE ? CELLS_MAX_ANYONE : CELLS_MAX))
                return 0;
        return api_error_set(ret_error, 413, "too-large",
                             "the answer would be too large: select less (pid, unit, function, a shorter time) or ask "
                             "for fewer rows (n)");
}

static int profile_check_size(const struct profile *p, uint32_t viewer, struct api_error *ret_error) {
        uint64_t cells = (uint64_t)p->rows_n * ANSWER_ROW_CELLS;

        for (size_t i = 0; i < p->rows_n; i++)
                cells += p->rows[i].frames_n + p->rows[i].details_n;
        return answer_check_size(cells, viewer, ret_error);
}

json_t *answer_loss(const struct answer_context *x, uint32_t viewer) {
        struct profile_loss loss = {};

        if (viewer == PROFILE_ANYONE && x->source->loss(x->source->userdata, &loss) < 0)
                return NULL;
        return profile_loss_to_json(&loss);
}

struct find_context {
        const struct profile_query *query;
        const struct followed_process *found;
};

static int find_one(void *arg, const struct followed_process *p, unsigned threads) {
        struct find_context *f = arg;

        if (!select_process(f->query, p, NULL, 0))
                return 0;
        f->found = p;
        return 1;
}

int answer_explain(const struct answer_context *x, const struct profile_query *q, uint32_t viewer, uint32_t pid,
                   struct api_error *ret_error) {
        _cleanup_process_info_ struct process_info info = {};
        struct profile_query one = {.viewer = viewer, .pids = &pid, .pids_n = 1};
        struct find_context f = {.query = &one};
        int r;

        if (q) {
                one.containers = q->containers;
                one.containers_n = q->containers_n;
        }
        r = x->source->processes(x->source->userdata, find_one, &f);
        if (r < 0)
                return r;
        if (f.found && f.found->profiled)
                return 0;
        if (f.found)
                return api_error_set(ret_error, 404, "not-profiled", "process %u is not profiled: %s", pid,
                                     f.found->reason);
        if (one.containers_n > 0)
                return api_error_set(ret_error, 404, "no-such-process", "there is no Python process %u in it", pid);
        r = process_read(x->proc_root, pid, &info);
        if (r == 0 && (viewer == PROFILE_ANYONE || info.uid == viewer))
                return api_error_set(ret_error, 404, "not-python", "process %u (%s) is not Python", pid, info.comm);
        return api_error_set(ret_error, 404, "no-such-process", "there is no process %u", pid);
}

int answer_prepare(const struct answer_context *x, struct api_request *request, struct api_error *ret_error) {
        const struct profile_query *q = &request->query;
        int r;

        if (request->endpoint != API_STREAM)
                return 0; /* history may still tell of those that are gone */
        for (size_t i = 0; i < q->pids_n; i++) {
                r = answer_explain(x, q, q->viewer, q->pids[i], ret_error);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Nothing met a selection by pid: says why, if it is the pid. */
static int profile_check(const struct answer_context *x, const struct profile_query *q, const struct profile *p,
                         struct api_error *ret_error) {
        int r = 0;

        if (p->threads > 0)
                return 0;
        for (size_t i = 0; i < q->pids_n; i++) {
                r = answer_explain(x, q, q->viewer, q->pids[i], ret_error);
                if (r == 0)
                        return 0;
        }
        return r;
}

static int query_run(const struct answer_context *x, const struct profile_query *q, struct profile **ret) {
        _cleanup_profile_ struct profile *p = NULL;
        int r;

        r = profile_query(x->source->store, q, x->now, &p);
        if (r < 0)
                return r;
        if (q->viewer == PROFILE_ANYONE) { /* what the machine lost is not for everybody */
                r = x->source->loss(x->source->userdata, &p->loss);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(p);
        return 0;
}

int answer_wall(const struct answer_context *x, const struct profile_query *query, struct buffer *body) {
        _cleanup_profile_ struct profile *p = NULL;
        struct api_error e = {};
        int r;

        r = query_run(x, query, &p);
        if (r < 0)
                return r;
        if (profile_check_size(p, query->viewer, &e) < 0)
                return answer_error(&e, body);
        return body_write(profile_to_json(p, x->epoch_offset_ns), body);
}

static bool file_matches(const char *file, const char *suffix) {
        size_t n = strlen(file), k = strlen(suffix);

        return n >= k && strcmp(file + n - k, suffix) == 0 && (n == k || suffix[0] == '/' || file[n - k - 1] == '/');
}

/* The stacks that contain what was asked for have other lines too: only those of the files and functions named count.
 */
static bool line_wanted(const struct profile_query *q, const struct profile_frame *f) {
        bool wanted = q->files_n == 0;

        for (size_t i = 0; i < q->files_n && !wanted; i++)
                wanted = file_matches(f->file, q->files[i]);
        if (!wanted || q->functions_n == 0 || q->files_n > 0)
                return wanted;
        for (size_t i = 0; i < q->functions_n; i++)
                if (regexec(&q->functions[i], f->function, 0, NULL, 0) == 0)
                        return true;
        return false;
}

static json_t *lines_rows(const struct profile_query *q, const struct profile *p) {
        _cleanup_json_ json_t *rows = json_array();
        size_t n = 0;

        for (size_t i = 0; rows && i < p->rows_n; i++) {
                const struct profile_row *row = &p->rows[i];

                if (!line_wanted(q, &row->frame))
                        continue;
                if (q->limit > 0 && n++ == q->limit)
                        break;
                if (json_array_append_new(rows,
                                          json_pack("{s:o, s:o, s:i, s:I, s:I, s:I, s:I, s:o, s:o}", "file",
                                                    text_to_json(row->frame.file), "function",
                                                    text_to_json(row->frame.function), "line", row->frame.line, "hits",
                                                    (json_int_t)row->samples, "wall_ns", (json_int_t)row->wall_ns,
                                                    "cpu_ns", (json_int_t)row->cpu_ns, "idle_ns",
                                                    (json_int_t)row->idle_ns, "own", profile_states_to_json(row->own),
                                                    "states", profile_states_to_json(row->total))) < 0)
                        return NULL;
        }
        return TAKE_PTR(rows);
}

/* Which processes ran it and since when: whoever shows the source compares that with the file's age. */
static json_t *lines_processes(const struct answer_context *x, const struct profile_query *q) {
        struct profile_query by_process = *q; /* borrows the lists */
        _cleanup_profile_ struct profile *p = NULL;
        _cleanup_json_ json_t *processes = json_array();

        by_process.by = BY_PROCESS;
        by_process.limit = 0;
        if (!processes || profile_query(x->source->store, &by_process, x->now, &p) < 0)
                return NULL;
        for (size_t i = 0; i < p->rows_n; i++)
                if (json_array_append_new(processes,
                                          json_pack("{s:I, s:I}", "pid", (json_int_t)p->rows[i].pid, "started",
                                                    (json_int_t)p->rows[i].started + x->epoch_offset_ns)) < 0)
                        return NULL;
        return TAKE_PTR(processes);
}

static json_t *lines_to_json(const struct answer_context *x, const struct profile_query *q, const struct profile *p) {
        return json_pack("{s:i, s:I, s:I, s:o, s:o, s:{s:I, s:I, s:I, s:o}, s:o}", "version", 1, "since",
                         (json_int_t)p->since + x->epoch_offset_ns, "until", (json_int_t)p->until + x->epoch_offset_ns,
                         "rows", lines_rows(q, p), "processes", lines_processes(x, q), "totals", "wall_ns",
                         (json_int_t)p->wall_ns, "cpu_ns", (json_int_t)p->cpu_ns, "idle_ns", (json_int_t)p->idle_ns,
                         "states", profile_states_to_json(p->states), "loss", profile_loss_to_json(&p->loss));
}

static int answer_export(const struct answer_context *x, const char *name, const struct profile *p, struct buffer *body,
                         const char **ret_content_type) {
        const struct export_format *format = export_format_find(name);
        int r;

        r = format->write(p, x->epoch_offset_ns, body);
        if (r < 0)
                return r;
        *ret_content_type = format->content_type;
        return buffer_terminate(body);
}

static int answer_profile(const struct answer_context *x, struct api_request *request, struct buffer *body,
                          const char **ret_content_type, struct api_error *ret_error) {
        struct profile_query q = request->query; /* borrows the lists */
        _cleanup_profile_ struct profile *p = NULL;
        json_t *document = NULL;
        int r;

        if (request->endpoint == API_EXPORT && !export_format_find(request->format))
                return api_error_set(ret_error, 400, "bad-argument", "format: there is no '%.64s'", request->format);
        if (request->endpoint == API_LINES || request->endpoint == API_STATS)
                q.limit = 0; /* rows are chosen below */
        r = query_run(x, &q, &p);
        if (r < 0)
                return r;
        r = profile_check(x, &q, p, ret_error);
        if (r < 0)
                return r;
        r = profile_check_size(p, q.viewer, ret_error);
        if (r < 0)
                return r;
        switch (request->endpoint) {
        case API_EXPORT:
                return answer_export(x, request->format, p, body, ret_content_type);
        case API_LINES:
                document = lines_to_json(x, &request->query, p);
                break;
        case API_STATS:
                r = answer_stats(x, request, p, &document, ret_error);
                if (r < 0)
                        return r;
                break;
        default:
                document = profile_to_json(p, x->epoch_offset_ns);
        }
        return body_write(document, body);
}

int answer_request(const struct answer_context *x, struct api_request *request, struct buffer *body,
                   const char **ret_content_type, struct api_error *ret_error) {
        json_t *document = NULL;
        int r;

        *ret_content_type = "application/json";
        switch (request->endpoint) {
        case API_STATUS:
                r = answer_status(x, request, &document);
                break;
        case API_PROCESSES:
                r = answer_processes(x, request, &document);
                break;
        case API_THREADS:
                r = answer_threads(x, request, &document, ret_error);
                break;
        default:
                return answer_profile(x, request, body, ret_content_type, ret_error);
        }
        if (r < 0)
                return r;
        return body_write(document, body);
}
