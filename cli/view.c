/* SPDX-License-Identifier: Apache-2.0 */
#include "view.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "rows.h"
#include "verb.h"

#define ROWS_MAX "1000"

static void level_fini(struct view_level *l) {
        buffer_fini(&l->query);
        free(l->by);
        free(l->title);
        free(l->function);
        free(l->file);
        *l = (struct view_level){};
}

const struct view_level *view_level(const struct view *v) {
        return v->levels + v->depth;
}

int view_init(struct view *v, struct session *s, const struct options *o) {
        const char *by = o->by ? o->by : o->scoped ? "function" : "process";

        *v = (struct view){
                        .session = s,
                        .options = o,
                        .sort = o->sort,
                        .idle = o->idle_shown,
                        .interval = o->has_duration ? o->duration : NSEC_PER_SEC,
        };
        v->levels[0].by = strdup(by);
        return v->levels[0].by ? 0 : -ENOMEM;
}

void view_fini(struct view *v) {
        for (size_t i = 0; i < VIEW_DEPTH_MAX; i++)
                level_fini(v->levels + i);
        json_decref(v->answer);
        v->answer = NULL;
}

static bool contains(const json_t *key, const char *filter) {
        const char *name;
        json_t *value;

        json_object_foreach ((json_t *)key, name, value) {
                char number[24];

                if (json_is_string(value) && strcasestr(json_string_value(value), filter))
                        return true;
                if (!json_is_integer(value) || strcmp(name, "started") == 0)
                        continue;
                snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
                if (strstr(number, filter))
                        return true;
        }
        return false;
}

static bool is_wanted(const struct view *v, const json_t *row) {
        const struct view_level *l = view_level(v);
        const json_t *key = json_object_get(row, "key");

        if (l->function &&
            (strcmp(rows_string(key, "function"), l->function) != 0 || strcmp(rows_string(key, "file"), l->file) != 0))
                return false;
        return !v->filter[0] || contains(key, v->filter);
}

/* Keeps the wanted rows, in the wanted direction. Of a function's lines all were asked for. */
static int arrange(const struct view *v, json_t *answer) {
        json_t *rows = json_object_get(answer, "rows");
        size_t n = json_array_size(rows);
        size_t most = view_level(v)->function && v->options->has_rows && v->options->rows > 0 ? v->options->rows : n;
        _cleanup_json_ json_t *kept = json_array();

        for (size_t i = 0; i < n && json_array_size(kept) < most; i++) {
                json_t *row = json_array_get(rows, i);

                if (is_wanted(v, row) && json_array_insert(kept, v->reverse ? 0 : json_array_size(kept), row) < 0)
                        return -ENOMEM;
        }
        return json_object_set_new(answer, "rows", TAKE_PTR(kept)) < 0 ? -ENOMEM : 0;
}

/* One argument of a query, its separator included: `&name=value`. */
struct argument {
        const char *text;
        size_t size, name_size;
};

static bool argument_next(const struct buffer *query, size_t *at, struct argument *ret) {
        const char *text, *end, *equal;
        size_t left = query->size - *at;

        if (left == 0)
                return false;
        text = query->data + *at;
        end = memchr(text + 1, '&', left - 1);
        ret->text = text;
        ret->size = end ? (size_t)(end - text) : left;
        equal = memchr(text, '=', ret->size);
        ret->name_size = (equal ? (size_t)(equal - text) : ret->size) - 1;
        *at += ret->size;
        return true;
}

static bool query_has(const struct buffer *query, const char *name, size_t size) {
        struct argument a;

        for (size_t at = 0; argument_next(query, &at, &a);)
                if (a.name_size == size && memcmp(a.text + 1, name, size) == 0)
                        return true;
        return false;
}

/*
 * Is what `a` selects settled by a narrower query? The same selector again would be an "or". A pid that was chosen is
 * the host's, which with a container's name beside it would be one inside the container as well.
 */
static bool is_settled(const struct argument *a, const struct buffer *narrower) {
        static const char *const with_pid[] = {"children", "container"};

        if (query_has(narrower, a->text + 1, a->name_size))
                return true;
        for (size_t i = 0; i < ARRAY_SIZE(with_pid) && query_has(narrower, "pid", 3); i++)
                if (strlen(with_pid[i]) == a->name_size && memcmp(a->text + 1, with_pid[i], a->name_size) == 0)
                        return true;
        return false;
}

/* Adds those of `wider` that `narrower` leaves open, then `narrower`. */
static void add_narrowed(struct buffer *path, const struct buffer *wider, const struct buffer *narrower) {
        struct argument a;

        path->failed = path->failed || wider->failed;
        for (size_t at = 0; argument_next(wider, &at, &a);)
                if (!is_settled(&a, narrower))
                        client_add_query(path, &(struct buffer){.data = (char *)a.text, .size = a.size});
        client_add_query(path, narrower);
}

static int make_path(const struct view *v, int64_t since, int64_t until, struct buffer *path) {
        const struct view_level *l = view_level(v);
        const struct options *o = v->options;
        char rows[16];

        buffer_add_string(path, "/v1/wall");
        add_narrowed(path, &o->selectors, &l->query);
        /* With -f the stacks are selected already, and a second pattern would add to them; is_wanted() does the rest.
         */
        if (l->function && !query_has(&o->selectors, "function", strlen("function")))
                client_add_literal(path, "function", "^", l->function);
        session_add_window(path, since, until);
        client_add_argument(path, "by", l->by);
        if (v->sort)
                client_add_argument(path, "sort", v->sort);
        if (v->idle != o->idle_shown)
                client_add_argument(path, "idle", v->idle ? "show" : "hide");
        snprintf(rows, sizeof(rows), "%u", o->rows);
        client_add_argument(path, "n", l->function ? "0" : o->has_rows ? rows : ROWS_MAX);
        return buffer_terminate(path);
}

int view_fetch(struct view *v, int64_t since, int64_t until, struct buffer *ret_body) {
        _cleanup_buffer_ struct buffer path = {};
        _cleanup_json_ json_t *answer = NULL;
        const char *what = v->session->what;
        int r;

        if (make_path(v, since, until, &path) < 0)
                return verb_say_oom(what);
        r = client_get(v->session->client, what, path.data, ret_body, &answer);
        if (r != STATUS_DONE)
                return r;
        if (arrange(v, answer) < 0)
                return verb_say_oom(what);
        json_decref(v->answer);
        v->answer = TAKE_PTR(answer);
        return STATUS_DONE;
}

static const char *level_below(const json_t *answer) {
        static const char *const ways[][2] = {
                        {"stack", NULL},       {"line", NULL},         {"function", "line"}, {"thread", "function"},
                        {"process", "thread"}, {"command", "process"}, {"unit", "process"},  {"container", "process"},
        };

        for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
                if (rows_by(answer, ways[i][0]))
                        return ways[i][1];
        return NULL;
}

static void add_number(struct buffer *query, const char *name, const json_t *key, const char *member) {
        const json_t *value = json_object_get(key, member);
        char number[24];

        if (!json_is_integer(value))
                return;
        snprintf(number, sizeof(number), "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        client_add_argument(query, name, number);
}

/* What a row's key says, as selectors; the function is told apart. */
static void add_key(struct buffer *query, const json_t *key) {
        const char *unit = rows_string(key, "unit"), *container = rows_string(key, "container"),
                   *command = rows_string(key, "command");
        bool process = json_object_get(key, "pid");

        add_number(query, "pid", key, "pid");
        add_number(query, "thread", key, "tid");
        if (*unit)
                client_add_glob(query, "unit", unit);
        if (*container && !process)
                client_add_argument(query, "container", container);
        if (*command && !process && !*rows_string(key, "function"))
                client_add_glob(query, "comm", command);
}

/* Narrows what was chosen above to the row. */
static int fill_level(struct view_level *l, const struct view_level *above, const json_t *key, const char *by) {
        const char *function = rows_string(key, "function");
        _cleanup_buffer_ struct buffer own = {}, title = {};

        add_key(&own, key);
        add_narrowed(&l->query, &above->query, &own);
        if (*function) {
                l->function = strdup(function);
                l->file = strdup(rows_string(key, "file"));
                buffer_add_string(&title, function);
        } else if (json_object_get(key, "tid"))
                buffer_printf(&title, "%" PRIu64 " %s", rows_number(key, "tid"), rows_string(key, "thread"));
        else if (json_object_get(key, "pid"))
                buffer_printf(&title, "%" PRIu64 " %s", rows_number(key, "pid"), rows_string(key, "command"));
        else
                buffer_printf(&title, "%s%s%s", rows_string(key, "unit"), rows_string(key, "container"),
                              rows_string(key, "command"));
        l->by = strdup(by);
        if (!l->by || (*function && (!l->function || !l->file)) || l->query.failed || buffer_terminate(&title) < 0)
                return -ENOMEM;
        l->title = TAKE_PTR(title.data);
        return 0;
}

bool view_enter(struct view *v, size_t index) {
        const json_t *row = json_array_get(json_object_get(v->answer, "rows"), index);
        const char *by = level_below(v->answer);
        struct view_level *l = v->levels + v->depth + 1;

        if (!row || !by || v->depth + 1 >= VIEW_DEPTH_MAX)
                return false;
        if (fill_level(l, view_level(v), json_object_get(row, "key"), by) < 0) {
                level_fini(l);
                return false;
        }
        v->depth++;
        v->filter[0] = '\0';
        return true;
}

/* At the top one can still look at the same selection less closely. */
static const char *level_above(const char *by) {
        static const char *const ways[][2] = {{"line", "function"}, {"function", "thread"}, {"thread", "process"}};

        for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
                if (strcmp(by, ways[i][0]) == 0)
                        return ways[i][1];
        return NULL;
}

bool view_leave(struct view *v) {
        const char *by;
        char *copy;

        v->filter[0] = '\0';
        if (v->depth > 0) {
                level_fini(v->levels + v->depth--);
                return true;
        }
        by = level_above(v->levels[0].by);
        copy = by ? strdup(by) : NULL;
        if (!copy)
                return false;
        free(v->levels[0].by);
        v->levels[0].by = copy;
        return true;
}
