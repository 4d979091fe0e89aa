/* SPDX-License-Identifier: Apache-2.0 */
/* pstats' table from a profile by function. Calls are not counted here, so `ncalls` is null. */
#include <errno.h>
#include <string.h>

#include "answer.h"
#include "export/profile_json.h"

struct stats_row {
        const struct profile_frame *frame;
        uint64_t tottime_ns, cumtime_ns;
};

static int compare_numbers(uint64_t a, uint64_t b) {
        return a < b ? -1 : a > b;
}

static int compare_frames(const struct profile_frame *a, const struct profile_frame *b) {
        int c = strcmp(a->file, b->file);

        c = c ? c : compare_numbers((uint64_t)a->line, (uint64_t)b->line);
        return c ? c : strcmp(a->function, b->function);
}

static int by_name(const void *a, const void *b) {
        const struct stats_row *x = a, *y = b;
        int c = strcmp(x->frame->function, y->frame->function);

        return c ? c : compare_frames(x->frame, y->frame);
}

static int by_file(const void *a, const void *b) {
        return compare_frames(((const struct stats_row *)a)->frame, ((const struct stats_row *)b)->frame);
}

static int by_tottime(const void *a, const void *b) {
        const struct stats_row *x = a, *y = b;
        int c = compare_numbers(y->tottime_ns, x->tottime_ns);

        return c ? c : by_name(a, b);
}

static int by_cumtime(const void *a, const void *b) {
        const struct stats_row *x = a, *y = b;
        int c = compare_numbers(y->cumtime_ns, x->cumtime_ns);

        return c ? c : by_name(a, b);
}

static int by_line(const void *a, const void *b) {
        const struct stats_row *x = a, *y = b;
        int c = compare_numbers((uint64_t)x->frame->line, (uint64_t)y->frame->line);

        return c ? c : by_name(a, b);
}

static void stats_sort(struct stats_row *rows, size_t n, const char *key) {
        static const struct {
                const char *key;
                int (*compare)(const void *a, const void *b);
        } orders[] = {
                        {"cumtime", by_cumtime}, {"cumulative", by_cumtime}, {"file", by_file},
                        {"filename", by_file},   {"module", by_file},        {"line", by_line},
                        {"name", by_name},       {"nfl", by_name},           {"stdname", by_file},
        };
        int (*compare)(const void *a, const void *b) = by_tottime; /* of calls, none of which are counted, too */

        for (size_t i = 0; key && i < ARRAY_SIZE(orders); i++)
                if (strcmp(orders[i].key, key) == 0)
                        compare = orders[i].compare;
        if (n > 0)
                qsort(rows, n, sizeof(*rows), compare);
}

static uint64_t states_sum(const uint64_t states[STATE_MAX], bool cpu_only) {
        uint64_t ns = 0;

        for (int i = 0; i < STATE_MAX; i++)
                if (!cpu_only || state_is_cpu((enum state)i))
                        ns += states[i];
        return ns;
}

static int edge_by_callee(const void *a, const void *b) {
        const struct profile_edge *x = a, *y = b;
        int c = compare_frames(&x->callee, &y->callee);

        return c ? c : compare_frames(&x->caller, &y->caller);
}

static int edge_by_caller(const void *a, const void *b) {
        const struct profile_edge *x = a, *y = b;
        int c = compare_frames(&x->caller, &y->caller);

        return c ? c : compare_frames(&x->callee, &y->callee);
}

/* The other ends of the edges of `frame`; `edges` are sorted by that end. */
static json_t *edges_of(const struct profile_edge *edges, size_t n, const struct profile_frame *frame, bool callers,
                        bool cpu_only) {
        _cleanup_json_ json_t *list = json_array();
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;

                if (compare_frames(callers ? &edges[middle].callee : &edges[middle].caller, frame) < 0)
                        low = middle + 1;
                else
                        high = middle;
        }
        for (; list && low < n && compare_frames(callers ? &edges[low].callee : &edges[low].caller, frame) == 0;
             low++) {
                const struct profile_frame *other = callers ? &edges[low].caller : &edges[low].callee;
                uint64_t ns = cpu_only ? edges[low].cpu_ns : edges[low].wall_ns;

                if (json_array_append_new(list,
                                          json_pack("{s:o, s:o, s:i, s:n, s:I}", "function",
                                                    text_to_json(other->function), "file", text_to_json(other->file),
                                                    "line", other->line, "ncalls", "cumtime_ns", (json_int_t)ns)) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

static json_t *row_to_json(const struct stats_row *row) {
        return json_pack("{s:o, s:o, s:i, s:n, s:I, s:I}", "function", text_to_json(row->frame->function), "file",
                         text_to_json(row->frame->file), "line", row->frame->line, "ncalls", "tottime_ns",
                         (json_int_t)row->tottime_ns, "cumtime_ns", (json_int_t)row->cumtime_ns);
}

static int rows_add_edges(json_t *list, const struct stats_row *rows, const struct profile_edge *edges, size_t edges_n,
                          bool callers, bool cpu_only) {
        json_t *row;
        size_t i;

        json_array_foreach (list, i, row) {
                int r = json_take(row, callers ? "callers" : "callees",
                                  edges_of(edges, edges_n, rows[i].frame, callers, cpu_only));

                if (r < 0)
                        return r;
        }
        return 0;
}

static int stats_rows(const struct answer_context *x, const struct api_request *request, const struct profile *p,
                      json_t **ret, struct api_error *ret_error) {
        _cleanup_free_ struct stats_row *rows = calloc(p->rows_n + 1, sizeof(*rows));
        _cleanup_free_ struct profile_edge *edges = NULL;
        _cleanup_json_ json_t *list = json_array();
        size_t edges_n = 0, limit = request->query.limit;
        int r;

        if (!rows || !list)
                return -ENOMEM;
        for (size_t i = 0; i < p->rows_n; i++)
                rows[i] = (struct stats_row){&p->rows[i].frame, states_sum(p->rows[i].own, request->clock_cpu),
                                             states_sum(p->rows[i].total, request->clock_cpu)};
        stats_sort(rows, p->rows_n, request->sort_name);
        for (size_t i = 0; i < p->rows_n && (limit == 0 || i < limit); i++)
                if (json_array_append_new(list, row_to_json(&rows[i])) < 0)
                        return -ENOMEM;
        if (!request->no_edges) {
                r = profile_edges(x->source->store, &request->query, x->now, &edges, &edges_n);
                if (r < 0)
                        return r;
                r = answer_check_size(((uint64_t)p->rows_n + edges_n) * ANSWER_ROW_CELLS, request->query.viewer,
                                      ret_error);
                if (r < 0)
                        return r;
                if (edges_n > 0)
                        qsort(edges, edges_n, sizeof(*edges), edge_by_callee);
                r = rows_add_edges(list, rows, edges, edges_n, /* callers= */ true, request->clock_cpu);
                if (r < 0)
                        return r;
                if (edges_n > 0)
                        qsort(edges, edges_n, sizeof(*edges), edge_by_caller);
                r = rows_add_edges(list, rows, edges, edges_n, /* callers= */ false, request->clock_cpu);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(list);
        return 0;
}

int answer_stats(const struct answer_context *x, const struct api_request *request, const struct profile *p,
                 json_t **ret, struct api_error *ret_error) {
        json_t *rows = NULL, *document;
        int r;

        r = stats_rows(x, request, p, &rows, ret_error);
        if (r < 0)
                return r;
        document = json_pack("{s:i, s:I, s:I, s:s, s:o, s:{s:I, s:I, s:I, s:o}, s:o}", "version", 1, "since",
                             (json_int_t)p->since + x->epoch_offset_ns, "until",
                             (json_int_t)p->until + x->epoch_offset_ns, "clock", request->clock_cpu ? "cpu" : "wall",
                             "rows", rows, "totals", "wall_ns", (json_int_t)p->wall_ns, "cpu_ns", (json_int_t)p->cpu_ns,
                             "idle_ns", (json_int_t)p->idle_ns, "states", profile_states_to_json(p->states), "loss",
                             profile_loss_to_json(&p->loss));
        if (!document)
                return -ENOMEM;
        *ret = document;
        return 0;
}
