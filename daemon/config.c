/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <glob.h>
#include <ini.h>
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "idle.h"

#define MEMORY_MIN (UINT64_C(8) << 20)
#define IDLE_RULES_MAX 1024

/* Takes the value in; -EINVAL with what it should have been in *ret_want. */
typedef int config_set_fn(struct config *c, const char *value, const char **ret_want);

static int set_string(char **field, const char *value) {
        char *s = strdup(value);

        if (!s)
                return -ENOMEM;
        free(*field);
        *field = s;
        return 0;
}

static int set_path(char **field, const char *value, const char **ret_want) {
        if (value[0] == '\0') {
                *ret_want = "a path";
                return -EINVAL;
        }
        return set_string(field, value);
}

static int set_config(struct config *c, const char *value, const char **ret_want) {
        return set_path(&c->file, value, ret_want);
}

static int set_socket(struct config *c, const char *value, const char **ret_want) {
        if (strlen(value) >= 108 - strlen(".lock")) { /* sockaddr_un.sun_path */
                *ret_want = "a path of at most 102 bytes";
                return -EINVAL;
        }
        return set_path(&c->socket, value, ret_want);
}

static int set_state_dir(struct config *c, const char *value, const char **ret_want) {
        return set_path(&c->state_dir, value, ret_want);
}

static int set_proc_root(struct config *c, const char *value, const char **ret_want) {
        if (strlen(value) > 128) {
                *ret_want = "a path of at most 128 bytes";
                return -EINVAL;
        }
        return set_path(&c->proc_root, value, ret_want);
}

static int set_group(struct config *c, const char *value, const char **ret_want) {
        return set_string(&c->group, value);
}

static int set_rate(struct config *c, const char *value, const char **ret_want) {
        char *end;
        long n;

        errno = 0;
        n = strtol(value, &end, 10);
        if (end == value || *end || errno || n < 1 || n > 999) {
                *ret_want = "a whole number of Hz from 1 to 999";
                return -EINVAL;
        }
        c->rate = (unsigned)n;
        return 0;
}

static int set_memory_max(struct config *c, const char *value, const char **ret_want) {
        static const char units[] = "KMGT";
        unsigned shift = 0;
        unsigned long long n;
        char *end;

        *ret_want = "a size of at least 8M, such as 256M or 1G";
        if (value[0] < '0' || value[0] > '9')
                return -EINVAL;
        errno = 0;
        n = strtoull(value, &end, 10);
        if (errno)
                return -EINVAL;
        if (*end && strchr(units, *end)) {
                shift = 10 * (unsigned)(strchr(units, *end) - units + 1);
                end++;
        }
        if (*end || n > UINT64_MAX >> shift || n << shift < MEMORY_MIN)
                return -EINVAL;
        c->memory_max = n << shift;
        return 0;
}

static int set_budget(struct config *c, const char *value, const char **ret_want) {
        char *end;
        double n;

        n = strtod(value, &end);
        if (end != value && *end == '%')
                end++;
        if (end == value || *end || !isfinite(n) || n <= 0 || n > 100) {
                *ret_want = "a percentage above 0, up to 100";
                return -EINVAL;
        }
        c->budget = n;
        return 0;
}

static int set_log_level(struct config *c, const char *value, const char **ret_want) {
        int r = log_level_from_string(value, &c->log_level);

        if (r < 0)
                *ret_want = "one of err, warning, notice, info, debug";
        return r;
}

static void config_clear_idle(struct config *c) {
        for (size_t i = 0; i < c->idle_n; i++)
                free(c->idle[i]);
        free(c->idle);
        c->idle = NULL;
        c->idle_n = 0;
}

static int set_idle(struct config *c, const char *value, const char **ret_want) {
        struct idle *idle;
        char **more;
        int r;

        if (value[0] == '\0') {
                config_clear_idle(c);
                c->idle_reset = true;
                return 0;
        }
        *ret_want = c->idle_n >= IDLE_RULES_MAX ? "no more than 1024 rules" : "FUNCTION@FILE < FUNCTION@FILE …";
        if (c->idle_n >= IDLE_RULES_MAX)
                return -EINVAL;
        r = idle_new(&value, 1, &idle, NULL);
        if (r < 0)
                return r;
        idle_free(idle);
        more = reallocarray(c->idle, c->idle_n + 1, sizeof(*c->idle));
        if (!more)
                return -ENOMEM;
        c->idle = more;
        c->idle[c->idle_n] = strdup(value);
        if (!c->idle[c->idle_n])
                return -ENOMEM;
        c->idle_n++;
        return 0;
}

enum config_place { ON_COMMAND_LINE = 1, IN_FILE = 2, ANYWHERE = 3 };

static const struct config_option {
        const char *name;
        const char *argument; /* NULL: takes none */
        enum config_place place;
        config_set_fn *set; /* NULL: answered at once */
        const char *help;
} config_options[] = {
                {"config", "FILE", ON_COMMAND_LINE, set_config, "read FILE instead of " CONFIG_FILE},
                {"socket", "PATH", ANYWHERE, set_socket, "answer on this UNIX socket (/run/pyprofd/pyprofd.sock)"},
                {"state-dir", "DIR", ANYWHERE, set_state_dir,
                 "reserved for what will outlive the daemon (/var/lib/pyprofd)"},
                {"rate", "HZ", ANYWHERE, set_rate, "look at each CPU HZ times a second, 1 to 999 (99)"},
                {"memory-max", "SIZE", ANYWHERE, set_memory_max, "hold at most SIZE of history, with K, M or G (256M)"},
                {"budget", "PERCENT", ANYWHERE, set_budget, "cost at most PERCENT of the machine's CPU capacity (1)"},
                {"log-level", "LEVEL", ANYWHERE, set_log_level, "err, warning, notice, info or debug (info)"},
                {"version", NULL, ON_COMMAND_LINE, NULL, "print the version and exit"},
                {"help", NULL, ON_COMMAND_LINE, NULL, "print this help and exit"},
                {"group", "NAME", IN_FILE, set_group, NULL},
                {"proc-root", "DIR", IN_FILE, set_proc_root, NULL},
                {"idle", "RULE", IN_FILE, set_idle, NULL},
};

static void config_help(void) {
        printf("pyprofd [OPTION…]\n\nProfiles every Python process of this machine.\n\n");
        for (size_t i = 0; i < ARRAY_SIZE(config_options); i++) {
                const struct config_option *o = &config_options[i];
                char left[64];

                if (!(o->place & ON_COMMAND_LINE))
                        continue;
                snprintf(left, sizeof(left), "--%s%s%s", o->name, o->argument ? " " : "",
                         o->argument ? o->argument : "");
                printf("  %-22s %s\n", left, o->help);
        }
        printf("\nEvery option but the first and the last two is a key of " CONFIG_FILE " too, see pyprofd.conf(5).\n");
}

void config_fini(struct config *c) {
        free(c->socket);
        free(c->state_dir);
        free(c->proc_root);
        free(c->group);
        free(c->file);
        config_clear_idle(c);
        *c = (struct config){};
}

static int config_defaults(struct config *c) {
        int r;

        c->rate = 99;
        c->memory_max = UINT64_C(256) << 20;
        c->budget = 1;
        c->log_level = LOG_INFO;
        r = set_string(&c->socket, "/run/pyprofd/pyprofd.sock");
        if (r < 0)
                return r;
        r = set_string(&c->state_dir, "/var/lib/pyprofd");
        if (r < 0)
                return r;
        r = set_string(&c->proc_root, "/proc");
        if (r < 0)
                return r;
        return set_string(&c->group, "pyprof");
}

/* Where inih is in a file: it calls back without a line number, so that the reader it is given counts them. */
struct config_reader {
        struct config *config;
        const char *path;
        FILE *file;
        int line;
        int error_line; /* of the first error that was logged; 0: none */
        int error;
};

static void reader_fail(struct config_reader *reader, int error) {
        if (reader->error_line == 0)
                reader->error_line = reader->line;
        reader->error = error;
}

static char *reader_line(char *s, int size, void *userdata) {
        struct config_reader *reader = userdata;
        size_t n;

        if (!fgets(s, size, reader->file))
                return NULL;
        reader->line++;
        n = strlen(s);
        if (n + 1 == (size_t)size && s[n - 1] != '\n' && !feof(reader->file)) {
                log_error("%s:%d: the line is longer than %d bytes", reader->path, reader->line, size - 2);
                reader_fail(reader, -EINVAL);
                for (int c = fgetc(reader->file); c != EOF && c != '\n';)
                        c = fgetc(reader->file);
        }
        return s;
}

/* inih wants 1 for success. */
static int reader_key(void *userdata, const char *section, const char *name, const char *value) {
        struct config_reader *reader = userdata;
        const char *want = NULL;
        int r;

        if (strcmp(section, "pyprofd") != 0) {
                log_error("%s:%d: %s%s%s: keys belong into the section [pyprofd]", reader->path, reader->line,
                          section[0] ? "[" : "", section[0] ? section : name, section[0] ? "]" : "");
                reader_fail(reader, -EINVAL);
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(config_options); i++) {
                const struct config_option *o = &config_options[i];

                if (!(o->place & IN_FILE) || strcmp(o->name, name) != 0)
                        continue;
                r = o->set(reader->config, value, &want);
                if (r >= 0)
                        return 1;
                if (r == -EINVAL)
                        log_error("%s:%d: %s: '%s': want %s", reader->path, reader->line, name, value, want);
                else
                        log_error_errno(r, "%s:%d: %s: %m", reader->path, reader->line, name);
                reader_fail(reader, r);
                return 0;
        }
        log_error("%s:%d: there is no key '%s'", reader->path, reader->line, name);
        reader_fail(reader, -EINVAL);
        return 0;
}

static int config_read_file(struct config *c, const char *path, bool optional) {
        _cleanup_fclose_ FILE *f = fopen(path, "re");
        struct config_reader reader = {.config = c, .path = path, .file = f};
        int r;

        if (!f && errno == ENOENT && optional)
                return 0;
        if (!f)
                return log_error_errno(errno, "%s: cannot read the configuration: %m", path);
        errno = 0;
        r = ini_parse_stream(reader_line, &reader, reader_key, &reader);
        if (ferror(f))
                return log_error_errno(errno ? errno : EIO, "%s: cannot read the configuration: %m", path);
        if (r > 0 && (reader.error_line == 0 || r < reader.error_line)) {
                log_error("%s:%d: neither a section nor KEY = VALUE", path, r);
                return -EINVAL;
        }
        return r == 0 ? reader.error : r < 0 ? -ENOMEM : reader.error;
}

static void globfreep(glob_t *g) {
        globfree(g);
}

/* glob(3) sorts. */
static int config_read_drop_ins(struct config *c, const char *file) {
        _cleanup_(globfreep) glob_t g = {};
        _cleanup_free_ char *pattern = NULL;
        int r;

        if (asprintf(&pattern, "%s.d/*.conf", file) < 0)
                return TAKE_PTR(pattern), -ENOMEM;
        r = glob(pattern, GLOB_NOESCAPE, NULL, &g);
        if (r == GLOB_NOMATCH)
                return 0;
        if (r != 0)
                return log_error_errno(r == GLOB_NOSPACE ? ENOMEM : EIO, "%s: cannot list: %m", pattern);
        for (size_t i = 0; i < g.gl_pathc; i++) {
                r = config_read_file(c, g.gl_pathv[i], /* optional= */ true);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* Applies what the command line says to *c, or with `file_only` just --config. 1: the answer was printed. */
static int config_read_command_line(struct config *c, int argc, char **argv, bool file_only) {
        struct option options[ARRAY_SIZE(config_options) + 1] = {};
        size_t n = 0;
        int which;

        for (size_t i = 0; i < ARRAY_SIZE(config_options); i++)
                if (config_options[i].place & ON_COMMAND_LINE)
                        options[n++] = (struct option){config_options[i].name,
                                                       config_options[i].argument ? required_argument : no_argument,
                                                       NULL, (int)i + 1};
        optind = 0; /* starts getopt anew, GNU's own way */
        opterr = file_only;
        while ((which = getopt_long(argc, argv, "", options, NULL)) > 0) {
                const struct config_option *o;
                const char *want = NULL;
                int r;

                if (which == '?')
                        return -EINVAL;
                o = &config_options[which - 1];
                if (!o->set) {
                        if (strcmp(o->name, "help") == 0)
                                config_help();
                        else
                                printf("pyprofd %s\n", VERSION);
                        return 1;
                }
                if (file_only && o->set != set_config)
                        continue;
                r = o->set(c, optarg, &want);
                if (r == -EINVAL)
                        return log_error_errno(r, "--%s: '%s': want %s", o->name, optarg, want);
                if (r < 0)
                        return log_error_errno(r, "--%s: %m", o->name);
        }
        if (optind < argc)
                return log_error_errno(EINVAL, "'%s': pyprofd takes options only, see --help", argv[optind]);
        return 0;
}

int config_load(int argc, char **argv, struct config *ret) {
        _cleanup_config_ struct config c = {.argc = argc, .argv = argv};
        const char *file;
        int r;

        r = config_defaults(&c);
        if (r < 0)
                return log_error_errno(r, "cannot read the configuration: %m");
        r = config_read_command_line(&c, argc, argv, /* file_only= */ true);
        if (r != 0)
                return r;
        file = c.file ? c.file : CONFIG_FILE;
        r = config_read_file(&c, file, /* optional= */ !c.file);
        if (r < 0)
                return r;
        r = config_read_drop_ins(&c, file);
        if (r < 0)
                return r;
        r = config_read_command_line(&c, argc, argv, /* file_only= */ false);
        if (r < 0)
                return r;
        *ret = c;
        c = (struct config){};
        return 0;
}

int config_reload(struct config *c) {
        struct config fresh;
        int r;

        r = config_load(c->argc, c->argv, &fresh);
        if (r != 0)
                return r;
        config_fini(c);
        *c = fresh;
        return 0;
}
