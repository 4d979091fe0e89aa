/* SPDX-License-Identifier: Apache-2.0 */
#include "api.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "value.h"

#define VALUES_MAX 256     /* of one selector */
#define VALUE_SIZE_MAX 512 /* bytes */
#define FUNCTIONS_MAX 8    /* patterns: each is run on every name */
#define ROWS_DEFAULT 20
#define SINCE_DEFAULT_NS (60 * NSEC_PER_SEC)

struct api_context {
        struct api_request *request;
        struct api_error *error;
        const char *name; /* of the argument */
        uint64_t now;
        int64_t epoch_offset_ns;
        bool since_given;
};

void api_request_fini(struct api_request *r) {
        struct profile_query *q = &r->query;
        struct {
                char **list;
                size_t n;
        } lists[] = {
                        {q->units, q->units_n},     {q->containers, q->containers_n}, {q->comms, q->comms_n},
                        {q->threads, q->threads_n}, {q->files, q->files_n},
        };

        for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
                for (size_t k = 0; k < lists[i].n; k++)
                        free(lists[i].list[k]);
                free(lists[i].list);
        }
        for (size_t i = 0; i < q->functions_n; i++)
                regfree(&q->functions[i]);
        free(q->functions);
        free(q->pids);
        free(r->sort_name);
        free(r->format);
        *r = (struct api_request){};
}

int api_error_set(struct api_error *e, unsigned status, const char *code, const char *format, ...) {
        va_list ap;

        e->status = status;
        e->code = code;
        va_start(ap, format);
        vsnprintf(e->message, sizeof(e->message), format, ap);
        va_end(ap);
        return status == 404 ? -ENOENT : -EINVAL;
}

static int bad_value(struct api_context *x, const char *value, const char *want) {
        return api_error_set(x->error, 400, "bad-argument", "%s: '%.128s': want %s", x->name, value, want);
}

/* One more of `size` bytes at the end of *list; NULL when there is no memory. */
static void *list_grow(void *list, size_t *n, size_t size) {
        void **p = list, *more = reallocarray(*p, *n + 1, size);

        if (!more)
                return NULL;
        *p = more;
        return (char *)more + (*n)++ * size;
}

static int list_check(struct api_context *x, size_t n, const char *value) {
        if (n >= VALUES_MAX)
                return bad_value(x, value, "at most 256 of them");
        return 0;
}

static int add_string(struct api_context *x, char ***list, size_t *n, const char *value) {
        char **slot;
        int r;

        r = list_check(x, *n, value);
        if (r < 0)
                return r;
        if (value[0] == '\0')
                return bad_value(x, value, "something");
        slot = list_grow(list, n, sizeof(*slot));
        if (!slot)
                return -ENOMEM;
        *slot = strdup(value); /* the list's, and with it the request's, even if it is NULL */
        return *slot ? 0 : -ENOMEM;
}

static int instant_parse(struct api_context *x, const char *value, uint64_t *ret) {
        if (value_instant(value, x->now, x->epoch_offset_ns, ret) < 0)
                return bad_value(x, value, "nanoseconds since the epoch, @SECONDS, -SECONDS or now");
        return 0;
}

static int parse_since(struct api_context *x, const char *value) {
        x->since_given = true;
        return instant_parse(x, value, &x->request->query.since);
}

static int parse_until(struct api_context *x, const char *value) {
        x->request->until_given = true;
        return instant_parse(x, value, &x->request->query.until);
}

static int parse_pid(struct api_context *x, const char *value) {
        struct profile_query *q = &x->request->query;
        uint32_t *slot;
        uint64_t pid;
        int r;

        r = list_check(x, q->pids_n, value);
        if (r < 0)
                return r;
        if (value_number(value, INT32_MAX, &pid) < 0 || pid == 0)
                return bad_value(x, value, "a process id");
        slot = list_grow(&q->pids, &q->pids_n, sizeof(*slot));
        if (!slot)
                return -ENOMEM;
        *slot = (uint32_t)pid;
        return 0;
}

static int flag_parse(struct api_context *x, const char *value, bool *ret) {
        if (strcmp(value, "1") == 0 || strcmp(value, "yes") == 0 || strcmp(value, "true") == 0 || value[0] == '\0')
                *ret = true;
        else if (strcmp(value, "0") == 0 || strcmp(value, "no") == 0 || strcmp(value, "false") == 0)
                *ret = false;
        else
                return bad_value(x, value, "0 or 1");
        return 0;
}

static int parse_children(struct api_context *x, const char *value) {
        return flag_parse(x, value, &x->request->query.children);
}

static int parse_edges(struct api_context *x, const char *value) {
        bool edges;
        int r;

        r = flag_parse(x, value, &edges);
        if (r < 0)
                return r;
        x->request->no_edges = !edges;
        return 0;
}

static int parse_unit(struct api_context *x, const char *value) {
        return add_string(x, &x->request->query.units, &x->request->query.units_n, value);
}

static int parse_container(struct api_context *x, const char *value) {
        return add_string(x, &x->request->query.containers, &x->request->query.containers_n, value);
}

static int parse_comm(struct api_context *x, const char *value) {
        return add_string(x, &x->request->query.comms, &x->request->query.comms_n, value);
}

static int parse_thread(struct api_context *x, const char *value) {
        return add_string(x, &x->request->query.threads, &x->request->query.threads_n, value);
}

static int parse_file(struct api_context *x, const char *value) {
        return add_string(x, &x->request->query.files, &x->request->query.files_n, value);
}

static int parse_function(struct api_context *x, const char *value) {
        struct profile_query *q = &x->request->query;
        const char *why = value_pattern_refuse(value);
        char text[128];
        regex_t *slot, regex;
        int r;

        if (q->functions_n >= FUNCTIONS_MAX)
                return bad_value(x, value, "at most 8 of them");
        if (!why) {
                r = regcomp(&regex, value, REG_EXTENDED | REG_NOSUB);
                if (r == REG_ESPACE)
                        return -ENOMEM;
                if (r != 0) {
                        regerror(r, &regex, text, sizeof(text));
                        why = text;
                }
        }
        if (why)
                return api_error_set(x->error, 400, "bad-argument", "function: '%.128s' is no regular expression: %s",
                                     value, why);
        slot = list_grow(&q->functions, &q->functions_n, sizeof(*slot));
        if (!slot) {
                regfree(&regex);
                return -ENOMEM;
        }
        *slot = regex;
        return 0;
}

/* Calls `each` for every word of a comma list. */
static int words_parse(struct api_context *x, const char *value, int (*each)(struct api_context *x, const char *word)) {
        _cleanup_free_ char *copy = strdup(value);
        char *rest = copy, *word;

        if (!copy)
                return -ENOMEM;
        while ((word = strsep(&rest, ","))) {
                int r = each(x, word);

                if (r < 0)
                        return r;
        }
        return 0;
}

static int parse_state_word(struct api_context *x, const char *word) {
        uint32_t cpu = 0;
        int state;

        for (int i = 0; i < STATE_MAX; i++)
                if (state_is_cpu((enum state)i))
                        cpu |= UINT32_C(1) << i;
        if (strcmp(word, "cpu") == 0)
                x->request->query.states |= cpu;
        else if (strcmp(word, "wait") == 0)
                x->request->query.states |= ((UINT32_C(1) << STATE_MAX) - 1) & ~cpu;
        else {
                state = state_from_string(word);
                if (state < 0)
                        return bad_value(x, word, "a state, cpu or wait");
                x->request->query.states |= UINT32_C(1) << state;
        }
        return 0;
}

static int parse_state(struct api_context *x, const char *value) {
        return words_parse(x, value, parse_state_word);
}

struct word {
        const char *name;
        int value;
};

static int word_find(const struct word *words, const char *name) {
        for (; words->name; words++)
                if (strcmp(words->name, name) == 0)
                        return words->value;
        return -ENOENT;
}

static int parse_by_word(struct api_context *x, const char *word) {
        static const struct word words[] = {
                        {"process", BY_PROCESS},
                        {"thread", BY_THREAD},
                        {"function", BY_FUNCTION},
                        {"line", BY_LINE},
                        {"stack", BY_STACK},
                        {"unit", BY_UNIT},
                        {"container", BY_CONTAINER},
                        {"command", BY_COMMAND},
                        {"state", BY_STATE},
                        {"peer", BY_PEER},
                        {"waker", BY_WAKER},
                        {"window", BY_WINDOW},
                        {},
        };
        int by = word_find(words, word);

        if (by < 0)
                return bad_value(x, word,
                                 "process, thread, function, line, stack, unit, container, command, state, peer, waker "
                                 "or window");
        x->request->query.by |= (unsigned)by;
        return 0;
}

static int parse_by(struct api_context *x, const char *value) {
        int r;

        r = words_parse(x, value, parse_by_word);
        if (r < 0)
                return r;
        if (__builtin_popcount(x->request->query.by & BY_FRAMES) > 1)
                return bad_value(x, value, "one of function, line and stack");
        return 0;
}

static int parse_idle(struct api_context *x, const char *value) {
        static const struct word words[] = {{"hide", IDLE_HIDE}, {"show", IDLE_SHOW}, {"only", IDLE_ONLY}, {}};
        int idle = word_find(words, value);

        if (idle < 0)
                return bad_value(x, value, "hide, show or only");
        x->request->query.idle = (enum profile_idle)idle;
        return 0;
}

static int parse_native(struct api_context *x, const char *value) {
        static const struct word words[] = {{"off", NATIVE_OFF}, {"leaf", NATIVE_LEAF}, {"full", NATIVE_FULL}, {}};
        int native = word_find(words, value);

        if (native < 0)
                return bad_value(x, value, "off, leaf or full");
        x->request->native = (enum api_native)native;
        return 0;
}

static int parse_clock(struct api_context *x, const char *value) {
        static const struct word words[] = {{"wall", 0}, {"cpu", 1}, {}};
        int clock = word_find(words, value);

        if (clock < 0)
                return bad_value(x, value, "wall or cpu");
        x->request->clock_cpu = clock == 1;
        return 0;
}

static int parse_stats_sort(struct api_context *x, const char *value) {
        static const struct word words[] = {
                        {"calls", 0},    {"ncalls", 0},  {"cumtime", 0}, {"cumulative", 0}, {"file", 0},
                        {"filename", 0}, {"line", 0},    {"module", 0},  {"name", 0},       {"nfl", 0},
                        {"pcalls", 0},   {"stdname", 0}, {"time", 0},    {"tottime", 0},    {},
        };
        char *s;

        if (word_find(words, value) < 0)
                return bad_value(x, value, "a sort key of pstats");
        s = strdup(value);
        if (!s)
                return -ENOMEM;
        free(x->request->sort_name);
        x->request->sort_name = s;
        return 0;
}

static int parse_sort(struct api_context *x, const char *value) {
        static const struct word words[] = {
                        {"own", SORT_OWN},
                        {"total", SORT_TOTAL},
                        {"wall", SORT_WALL},
                        {"cpu", SORT_CPU},
                        {"wait", SORT_WAIT},
                        {"name", SORT_NAME},
                        {},
        };
        int sort;

        if (x->request->endpoint == API_STATS)
                return parse_stats_sort(x, value);
        sort = word_find(words, value);
        if (sort < 0)
                return bad_value(x, value, "own, total, wall, cpu, wait or name");
        x->request->query.sort = (enum profile_sort)sort;
        return 0;
}

static int parse_n(struct api_context *x, const char *value) {
        uint64_t n;

        if (value_number(value, UINT32_MAX, &n) < 0)
                return bad_value(x, value, "a number of rows, 0 for all");
        x->request->query.limit = (size_t)n;
        return 0;
}

static int parse_format(struct api_context *x, const char *value) {
        char *s = strdup(value);

        if (!s)
                return -ENOMEM;
        free(x->request->format);
        x->request->format = s;
        return 0;
}

static int parse_over(struct api_context *x, const char *value) {
        return api_error_set(x->error, 400, "not-available", "over: selecting single waits is not available yet");
}

#define ON(endpoint) (1u << (endpoint))
#define ON_PROFILES (ON(API_WALL) | ON(API_STACKS) | ON(API_LINES) | ON(API_STATS) | ON(API_EXPORT) | ON(API_STREAM))

static const struct api_rule {
        const char *name;
        unsigned endpoints;
        int (*parse)(struct api_context *x, const char *value);
} api_rules[] = {
                {"pid", ON_PROFILES | ON(API_PROCESSES), parse_pid},
                {"children", ON_PROFILES | ON(API_PROCESSES), parse_children},
                {"unit", ON_PROFILES | ON(API_PROCESSES), parse_unit},
                {"container", ON_PROFILES | ON(API_PROCESSES), parse_container},
                {"comm", ON_PROFILES | ON(API_PROCESSES), parse_comm},
                {"thread", ON_PROFILES, parse_thread},
                {"function", ON_PROFILES, parse_function},
                {"file", ON(API_LINES), parse_file},
                {"state", ON_PROFILES, parse_state},
                {"over", ON_PROFILES, parse_over},
                {"since", ON_PROFILES & ~ON(API_STREAM), parse_since},
                {"until", ON_PROFILES & ~ON(API_STREAM), parse_until},
                {"by", ON(API_WALL) | ON(API_EXPORT) | ON(API_STREAM), parse_by},
                {"idle", ON_PROFILES, parse_idle},
                {"native", ON_PROFILES | ON(API_THREADS), parse_native},
                {"sort", ON_PROFILES & ~(ON(API_EXPORT) | ON(API_LINES)), parse_sort},
                {"n", ON_PROFILES & ~ON(API_EXPORT), parse_n},
                {"clock", ON(API_STATS), parse_clock},
                {"edges", ON(API_STATS), parse_edges},
                {"format", ON(API_EXPORT), parse_format},
};

static const char *const api_paths[API_ENDPOINT_MAX] = {
                [API_STATUS] = "/v1/status",   [API_PROCESSES] = "/v1/processes", [API_WALL] = "/v1/wall",
                [API_STACKS] = "/v1/stacks",   [API_LINES] = "/v1/lines",         [API_STATS] = "/v1/stats",
                [API_THREADS] = "/v1/threads", [API_EXPORT] = "/v1/export",       [API_STREAM] = "/v1/stream",
};

static int path_parse(const char *path, struct api_request *request, struct api_error *error) {
        size_t n = strlen(api_paths[API_THREADS]);
        uint64_t pid;

        if (strncmp(path, api_paths[API_THREADS], n) == 0 && path[n] == '/') {
                if (value_number(path + n + 1, INT32_MAX, &pid) < 0 || pid == 0)
                        return api_error_set(error, 400, "bad-argument", "'%.64s' is not a process id", path + n + 1);
                request->endpoint = API_THREADS;
                request->pid = (uint32_t)pid;
                return 0;
        }
        for (int i = 0; i < API_ENDPOINT_MAX; i++)
                if (i != API_THREADS && strcmp(path, api_paths[i]) == 0) {
                        request->endpoint = (enum api_endpoint)i;
                        return 0;
                }
        return api_error_set(error, 404, "no-such-resource", "there is no %.128s", path);
}

static int argument_parse(struct api_context *x, const struct api_argument *a) {
        const char *value = a->value ? a->value : "";

        x->name = a->name;
        if (strlen(value) > VALUE_SIZE_MAX)
                return api_error_set(x->error, 400, "bad-argument", "%.64s: the value is longer than %d bytes", a->name,
                                     VALUE_SIZE_MAX);
        for (size_t i = 0; i < ARRAY_SIZE(api_rules); i++)
                if (strcmp(api_rules[i].name, a->name) == 0) {
                        if (api_rules[i].endpoints & ON(x->request->endpoint))
                                return api_rules[i].parse(x, value);
                        break;
                }
        return api_error_set(x->error, 400, "bad-argument", "%s takes no argument '%.64s'",
                             api_paths[x->request->endpoint], a->name);
}

static void request_defaults(struct api_request *request, uint32_t viewer, uint64_t now) {
        struct profile_query *q = &request->query;

        q->viewer = viewer;
        q->until = now;
        if (request->endpoint == API_WALL || request->endpoint == API_STACKS || request->endpoint == API_STREAM)
                q->limit = ROWS_DEFAULT;
        if (request->endpoint == API_EXPORT)
                q->idle = IDLE_SHOW;
}

/* What the endpoint itself says about the rows, and what only makes sense once every argument is known. */
static int request_finish(struct api_context *x) {
        struct api_request *request = x->request;
        struct profile_query *q = &request->query;

        q->until = MIN(q->until, x->now);
        if (!x->since_given)
                q->since = q->until > SINCE_DEFAULT_NS ? q->until - SINCE_DEFAULT_NS : 0;
        if (q->since >= q->until)
                return api_error_set(x->error, 400, "bad-argument", "since: the window would begin %s",
                                     q->since >= x->now ? "in the future" : "at or after its end");
        switch (request->endpoint) {
        case API_STACKS:
                q->by = BY_STACK;
                break;
        case API_LINES:
                if (q->files_n == 0 && q->functions_n == 0)
                        return api_error_set(x->error, 400, "bad-argument", "/v1/lines wants file= or function=");
                q->by = BY_LINE;
                break;
        case API_STATS:
                q->by = BY_FUNCTION;
                break;
        case API_PROCESSES:
                q->by = BY_PROCESS;
                q->idle = IDLE_SHOW;
                break;
        case API_EXPORT:
                q->by |= BY_STACK | BY_STATE;
                if (q->by & (BY_FUNCTION | BY_LINE))
                        return api_error_set(x->error, 400, "bad-argument", "by: an export is by stack");
                if (!request->format)
                        return api_error_set(x->error, 400, "bad-argument", "/v1/export wants format=");
                break;
        default:
                if (q->by == 0)
                        q->by = BY_FUNCTION;
        }
        return 0;
}

int api_parse(const char *path, const struct api_argument *arguments, size_t n, uint64_t now, int64_t epoch_offset_ns,
              uint32_t viewer, struct api_request *ret, struct api_error *ret_error) {
        _cleanup_api_request_ struct api_request request = {};
        struct api_context x = {
                        .request = &request,
                        .error = ret_error,
                        .now = now,
                        .epoch_offset_ns = epoch_offset_ns,
        };
        int r;

        r = path_parse(path, &request, ret_error);
        if (r < 0)
                return r;
        request_defaults(&request, viewer, now);
        for (size_t i = 0; i < n; i++) {
                r = argument_parse(&x, &arguments[i]);
                if (r < 0)
                        return r;
        }
        r = request_finish(&x);
        if (r < 0)
                return r;
        *ret = request;
        request = (struct api_request){};
        return 0;
}
