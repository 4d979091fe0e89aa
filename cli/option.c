/* SPDX-License-Identifier: Apache-2.0 */
#include "option.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <regex.h>
#include <string.h>

#include "client.h"
#include "when.h"

#define SELECTING (VERB_WALL | VERB_TOP | VERB_STATS | VERB_LINES | VERB_RECORD | VERB_EXPORT)
#define PLACING (SELECTING | VERB_PS)
#define PAST (VERB_WALL | VERB_STATS | VERB_LINES | VERB_EXPORT)
#define EVERY (~0u)
#define OPTIONS_MAX 64

enum key {
        KEY_CHILDREN = 256,
        KEY_OVER,
        KEY_IDLE,
        KEY_NATIVE,
        KEY_BY,
        KEY_SORT,
        KEY_ONCE,
        KEY_CALLERS,
        KEY_CALLEES,
        KEY_CLOCK,
        KEY_SOCKET,
        KEY_JSON,
        KEY_NO_PAGER,
        KEY_COLOR,
        KEY_VERSION,
};

static const struct row {
        int key; /* the letter, or one of enum key */
        const char *name;
        const char *argument; /* NULL: takes none */
        unsigned verbs;
        const char *help;
} rows[] = {
                {'p', "pid", "PID", PLACING | VERB_DUMP, "this process; again for more"},
                {KEY_CHILDREN, "children", NULL, PLACING, "with -p: its descendants too"},
                {'u', "unit", "GLOB", PLACING, "processes of this systemd unit"},
                {'c', "container", "ID|NAME", PLACING, "processes of this container; -p is then a pid inside it"},
                {'C', "comm", "GLOB", PLACING, "processes of this name, or running this script or module"},
                {'t', "thread", "TID|NAME", SELECTING, "this thread"},
                {'f', "function", "REGEX", SELECTING, "stacks that contain a function that matches"},
                {'s', "state", "STATE,...", SELECTING,
                 "time in these states; also cpu, wait; in this version waits are runq or other"},
                {KEY_OVER, "over", "DURATION", SELECTING,
                 "single waits longer than that; not available in this version"},
                {'S', "since", "TIME", PAST, "from then on: -5min, 10:30, yesterday, @1790000000 (default -1min)"},
                {'U', "until", "TIME", PAST, "until then (default now)"},
                {KEY_IDLE, "idle", "hide|show|only", SELECTING | VERB_RUN, "waits for work to come (default hide)"},
                {KEY_NATIVE, "native", "off|leaf|full", SELECTING | VERB_DUMP | VERB_RUN,
                 "frames that are not Python's; leaf and full not available in this version"},
                {KEY_BY, "by", "KEY,...", VERB_WALL | VERB_TOP,
                 "a row for each process thread function line stack unit container command state window; peer and "
                 "waker not available in this version"},
                {KEY_SORT, "sort", "KEY", VERB_WALL | VERB_TOP, "own, total, wall, cpu, wait or name"},
                {KEY_SORT, "sort", "KEY", VERB_STATS,
                 "calls, cumulative, filename, line, name, nfl, pcalls, stdname, time, or a column's name"},
                {KEY_CALLERS, "callers", NULL, VERB_STATS, "with who called each function"},
                {KEY_CALLEES, "callees", NULL, VERB_STATS, "with what each function called"},
                {KEY_CLOCK, "clock", "wall|cpu", VERB_STATS, "which time (default wall)"},
                {'n', "rows", "N", VERB_WALL | VERB_TOP | VERB_STATS | VERB_RUN, "so many rows (default 20); 0 is all"},
                {'d', "duration", "DURATION", VERB_WALL, "what a private daemon observes (default 10s)"},
                {'d', "interval", "DURATION", VERB_TOP, "time between two looks (default 1s)"},
                {'d', "duration", "DURATION", VERB_RECORD, "how long"},
                {KEY_ONCE, "once", NULL, VERB_TOP, "observe one interval, print it, end"},
                {'r', "rate", "HZ", VERB_RECORD | VERB_RUN, "samples per second and CPU, by a private daemon"},
                {'F', "format", "FORMAT", VERB_RECORD | VERB_EXPORT | VERB_RUN, "collapsed, speedscope or json"},
                {'o', "output", "FILE", VERB_RECORD | VERB_EXPORT | VERB_RUN, "where to; - is stdout"},
                {KEY_SOCKET, "socket", "PATH", EVERY, "the daemon's socket (default " CLIENT_SOCKET ")"},
                {KEY_JSON, "json", NULL, EVERY, "print the daemon's answer as it came"},
                {KEY_NO_PAGER, "no-pager", NULL, EVERY, "no pager"},
                {KEY_COLOR, "color", "auto|always|never", EVERY, "colours (default auto)"},
                {'h', "help", NULL, EVERY, "this text"},
                {KEY_VERSION, "version", NULL, EVERY, "the version"},
};

void options_fini(struct options *o) {
        buffer_fini(&o->selectors);
        free(o->pids);
        *o = (struct options){};
}

static const struct row *row_find(int key, unsigned verb) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (rows[i].key == key && (rows[i].verbs & verb))
                        return rows + i;
        return NULL;
}

static int parse_unsigned(const char *text, unsigned long most, unsigned long *ret) {
        unsigned long n;
        char *end;

        if (*text < '0' || *text > '9')
                return -EINVAL;
        errno = 0;
        n = strtoul(text, &end, 10);
        if (errno || *end || n > most)
                return -EINVAL;
        *ret = n;
        return 0;
}

static int wrong(const char *what, const struct row *row, const char *value, const char *why) {
        output_error(what, "--%s: '%s' is %s", row->name, value, why);
        return -EINVAL;
}

/* `value` must be one of row->argument's words. */
static int check_word(const char *what, const struct row *row, const char *value) {
        const char *p = row->argument;
        size_t size = strlen(value);

        while (*p) {
                size_t n = strcspn(p, "|");

                if (n == size && strncmp(p, value, n) == 0)
                        return 0;
                p += n + (p[n] == '|');
        }
        output_error(what, "--%s: '%s' is none of %s", row->name, value, row->argument);
        return -EINVAL;
}

static int add_pid(struct options *o, const char *what, const struct row *row, const char *value) {
        const char **pids;
        unsigned long n;

        if (parse_unsigned(value, INT32_MAX, &n) < 0 || n == 0)
                return wrong(what, row, value, "no process id");
        pids = reallocarray(o->pids, o->pids_n + 1, sizeof(*pids));
        if (!pids) {
                output_error(what, "out of memory");
                return -EINVAL;
        }
        o->pids = pids;
        o->pids[o->pids_n++] = value;
        client_add_argument(&o->selectors, "pid", value);
        return 0;
}

static int check_regex(const char *what, const struct row *row, const char *value) {
        regex_t regex;
        char why[128];
        int r;

        r = regcomp(&regex, value, REG_EXTENDED | REG_NOSUB);
        if (r == 0) {
                regfree(&regex);
                return 0;
        }
        regerror(r, &regex, why, sizeof(why));
        output_error(what, "--%s: '%s': %s", row->name, value, why);
        return -EINVAL;
}

static int check_states(const char *what, const struct row *row, const char *value) {
        static const char *const states[] = {"cpu",  "wait",  "python", "native", "kernel",  "unsampled",
                                             "runq", "gil",   "lock",   "net",    "disk",    "pipe",
                                             "poll", "sleep", "child",  "fault",  "stopped", "other"};

        for (const char *p = value;; p++) {
                size_t n = strcspn(p, ","), i;

                for (i = 0; i < ARRAY_SIZE(states); i++)
                        if (strlen(states[i]) == n && strncmp(states[i], p, n) == 0)
                                break;
                if (i == ARRAY_SIZE(states))
                        return wrong(what, row, value, "no list of states");
                p += n;
                if (!*p)
                        return 0;
        }
}

static int set_span(const char *what, const struct row *row, const char *value, uint64_t *ret) {
        if (when_parse_span(value, ret) < 0 || *ret == 0 || *ret > INT64_MAX)
                return wrong(what, row, value, "no duration, as 10s or 1min 30s are");
        return 0;
}

static int set_time(const char *what, const struct row *row, const char *value, bool *ret_has, int64_t *ret) {
        if (when_parse(value, when_now(), ret) < 0)
                return wrong(what, row, value, "no time, as -5min or 10:30 are");
        *ret_has = true;
        return 0;
}

/* What selects time, and goes to the daemon as an argument of the same name. */
static int set_selector(struct options *o, const char *what, const struct row *row, const char *value) {
        int r = 0;

        switch (row->key) {
        case 'p':
                o->scoped = true;
                return add_pid(o, what, row, value);
        case 'u':
        case 'c':
                o->scoped = true;
                break;
        case 'f':
                r = check_regex(what, row, value);
                break;
        case 's':
                r = check_states(what, row, value);
                break;
        case KEY_IDLE:
                o->idle_shown = strcmp(value, "hide") != 0;
                r = check_word(what, row, value);
                break;
        case KEY_NATIVE:
                o->native = value;
                r = check_word(what, row, value);
                break;
        case KEY_OVER: {
                char ns[24];
                uint64_t span;

                r = set_span(what, row, value, &span);
                if (r < 0)
                        return r;
                snprintf(ns, sizeof(ns), "%" PRIu64, span);
                client_add_argument(&o->selectors, row->name, ns);
                return 0;
        }
        }
        if (r < 0)
                return r;
        client_add_argument(&o->selectors, row->name, value ? value : "1");
        return 0;
}

static int set_number(struct options *o, const char *what, const struct row *row, const char *value) {
        unsigned long n;

        if (row->key == 'r') {
                if (parse_unsigned(value, 999, &n) < 0 || n == 0)
                        return wrong(what, row, value, "no rate from 1 to 999");
                o->rate = (unsigned)n;
                return 0;
        }
        if (parse_unsigned(value, 1000000, &n) < 0)
                return wrong(what, row, value, "no number of rows");
        o->rows = (unsigned)n;
        o->has_rows = true;
        return 0;
}

static int set_color(struct options *o, const char *what, const struct row *row, const char *value) {
        int r = check_word(what, row, value);

        if (r < 0)
                return r;
        o->color = value[1] == 'u' ? COLOR_AUTO : value[1] == 'l' ? COLOR_ALWAYS : COLOR_NEVER;
        return 0;
}

static int set(struct options *o, const char *what, const struct row *row, const char *value) {
        switch (row->key) {
        case 'S':
                return set_time(what, row, value, &o->has_since, &o->since);
        case 'U':
                return set_time(what, row, value, &o->has_until, &o->until);
        case 'd':
                o->has_duration = true;
                return set_span(what, row, value, &o->duration);
        case 'n':
        case 'r':
                return set_number(o, what, row, value);
        case KEY_CLOCK:
                o->clock = value;
                return check_word(what, row, value);
        case KEY_COLOR:
                return set_color(o, what, row, value);
        case KEY_BY:
                o->by = value;
                return 0;
        case KEY_SORT:
                o->sort = value;
                return 0;
        case 'F':
                o->format = value;
                return 0;
        case 'o':
                o->file = value;
                return 0;
        case KEY_SOCKET:
                o->socket = value;
                return 0;
        case KEY_ONCE:
                o->once = true;
                return 0;
        case KEY_CALLERS:
                o->callers = true;
                return 0;
        case KEY_CALLEES:
                o->callees = true;
                return 0;
        case KEY_JSON:
                o->json = true;
                return 0;
        case KEY_NO_PAGER:
                o->no_pager = true;
                return 0;
        case 'h':
                o->help = true;
                return 0;
        case KEY_VERSION:
                o->version = true;
                return 0;
        default:
                return set_selector(o, what, row, value);
        }
}

/* What getopt_long() wants, for one verb. A leading ':' tells a missing value from an unknown option. */
static void fill(unsigned verb, char letters[static 3 * OPTIONS_MAX], struct option longs[static OPTIONS_MAX]) {
        bool stops = verb & (VERB_GLOBAL | VERB_RUN);
        size_t n = 0;
        char *p = letters;

        if (stops)
                *p++ = '+';
        *p++ = ':';
        for (size_t i = 0; i < ARRAY_SIZE(rows) && n + 1 < OPTIONS_MAX; i++) {
                if (!(rows[i].verbs & verb))
                        continue;
                longs[n++] = (struct option){rows[i].name, rows[i].argument ? required_argument : no_argument, NULL,
                                             rows[i].key};
                if (rows[i].key < 256) {
                        *p++ = (char)rows[i].key;
                        if (rows[i].argument)
                                *p++ = ':';
                }
        }
        *p = '\0';
        longs[n] = (struct option){};
}

static int say_unknown(const char *what, int key, char **argv) {
        const char *word = argv[optind - 1];

        if (key == ':')
                output_error(what, "option '%s' wants a value", word);
        else if (optopt && optopt < 256 && strncmp(word, "--", 2) != 0)
                output_error(what ? what : "usage", "no option -%c", optopt);
        else
                output_error(what ? what : "usage", "no option '%s'", word);
        if (what)
                output_hint("`pyprofctl %s --help` lists those there are.", what);
        else
                output_hint("`pyprofctl --help` lists those there are.");
        return -EINVAL;
}

static int check_together(const struct options *o, const char *what) {
        if (o->has_since && o->has_until && o->since >= o->until) {
                output_error(what, "--since is not before --until");
                return -EINVAL;
        }
        return 0;
}

int options_parse(struct options *o, enum verb_bit verb, const char *what, int argc, char **argv) {
        char letters[3 * OPTIONS_MAX];
        struct option longs[OPTIONS_MAX];
        int key, r;

        static_assert(ARRAY_SIZE(rows) < OPTIONS_MAX, "fill() has room for every row");
        fill(verb, letters, longs);
        opterr = 0;
        optind = 0; /* glibc: start afresh */
        while ((key = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
                const struct row *row = key == '?' || key == ':' ? NULL : row_find(key, verb);

                if (!row)
                        return say_unknown(what, key, argv);
                r = set(o, what, row, optarg);
                if (r < 0)
                        return r;
        }
        o->arguments = argv + optind;
        o->arguments_n = argc - optind;
        return check_together(o, what);
}

void options_help(enum verb_bit verb, FILE *f) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
                char left[64];

                if (!(rows[i].verbs & verb))
                        continue;
                if (rows[i].key < 256)
                        snprintf(left, sizeof(left), "-%c, --%s", rows[i].key, rows[i].name);
                else
                        snprintf(left, sizeof(left), "    --%s", rows[i].name);
                if (rows[i].argument) {
                        size_t n = strlen(left);

                        snprintf(left + n, sizeof(left) - n, " %s", rows[i].argument);
                }
                fprintf(f, "  %-30s %s\n", left, rows[i].help);
        }
}
