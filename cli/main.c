/* SPDX-License-Identifier: Apache-2.0 */
#include <locale.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "verb.h"

#ifndef VERSION
#define VERSION "0.1"
#endif

static const struct verb verbs[] = {
                {"status", VERB_STATUS, "", 0, 0, verb_status, "is the daemon healthy, and what does it cost"},
                {"ps", VERB_PS, "", 0, 0, verb_ps, "the Python processes there are"},
                {"top", VERB_TOP, "", 0, 0, verb_top, "where the wall time goes right now, refreshed"},
                {"wall", VERB_WALL, "", 0, 0, verb_wall, "where the wall time went"},
                {"stats", VERB_STATS, "", 0, 0, verb_stats, "the same as pstats prints it"},
                {"lines", VERB_LINES, "FILE|FUNCTION", 1, 1, verb_lines, "source, annotated with its time"},
                {"dump", VERB_DUMP, "-p PID", 0, 0, verb_dump, "what every thread of a process does now"},
                {"record", VERB_RECORD, "-d SECONDS -F FORMAT -o FILE", 0, 0, verb_record,
                 "the next seconds, to a file"},
                {"export", VERB_EXPORT, "-F FORMAT -o FILE", 0, 0, verb_export, "the past, to a file"},
                {"run", VERB_RUN, "[-F FORMAT -o FILE] -- COMMAND...", 1, -1, verb_run,
                 "a command, profiled from start to end"},
                {"doctor", VERB_DOCTOR, "", 0, 0, verb_doctor, "what this machine can and cannot do"},
                {"flame", 0, "", 0, -1, NULL, NULL},
                {"diff", 0, "", 0, -1, NULL, NULL},
                {"tasks", 0, "", 0, -1, NULL, NULL},
                {"calls", 0, "", 0, -1, NULL, NULL},
                {"gc", 0, "", 0, -1, NULL, NULL},
                {"imports", 0, "", 0, -1, NULL, NULL},
};

int verb_print_json(const char *what, const struct buffer *body) {
        struct output o;

        output_init(&o, stdout, COLOR_NEVER);
        fwrite(body->data, 1, body->size, stdout);
        if (body->size == 0 || body->data[body->size - 1] != '\n')
                fputc('\n', stdout);
        return output_finish(&o, what);
}

int verb_say_nothing(const char *what) {
        output_error(what, "nothing matched");
        output_hint("`pyprofctl ps` lists the Python processes there are; --since reaches further back.");
        return STATUS_NO_MATCH;
}

int verb_say_oom(const char *what) {
        output_error(what, "out of memory");
        return STATUS_FAILED;
}

static int print_help(void) {
        struct output o;

        output_init(&o, stdout, COLOR_NEVER);
        puts("Usage: pyprofctl [OPTION...] COMMAND ...\n\n"
             "Where the wall time of every Python process on this machine goes.\n\nCommands:");
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
                if (verbs[i].run)
                        printf("  %-10s %s\n", verbs[i].name, verbs[i].summary);
        puts("\nOptions, before or after the command:");
        options_help(VERB_GLOBAL, stdout);
        puts("\n`pyprofctl COMMAND --help` lists what a command takes. See pyprofctl(1).");
        return output_finish(&o, NULL);
}

static int print_verb_help(const struct verb *v) {
        struct output o;

        output_init(&o, stdout, COLOR_NEVER);
        printf("Usage: pyprofctl %s [OPTION...]%s%s\n\n%s.\n\nOptions:\n", v->name, *v->arguments ? " " : "",
               v->arguments, v->summary);
        options_help(v->bit, stdout);
        return output_finish(&o, v->name);
}

static int print_version(void) {
        struct output o;

        output_init(&o, stdout, COLOR_NEVER);
        printf("pyprofctl %s\n", VERSION);
        return output_finish(&o, NULL);
}

static const struct verb *find_verb(const char *name) {
        for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
                if (strcmp(verbs[i].name, name) == 0)
                        return verbs + i;
        return NULL;
}

static int check_arguments(const struct verb *v, const struct options *o) {
        if (o->arguments_n < v->least) {
                output_error(v->name, "wants %s", v->arguments);
                return STATUS_USAGE;
        }
        if (v->most >= 0 && o->arguments_n > v->most) {
                output_error(v->name, "one argument too many: '%s'", o->arguments[v->most]);
                return STATUS_USAGE;
        }
        return STATUS_DONE;
}

/* argv[0] is the verb. */
static int run_verb(struct options *o, int argc, char **argv) {
        const struct verb *v = find_verb(argv[0]);
        int r;

        if (!v) {
                output_error(argv[0], "no such command");
                output_hint("`pyprofctl --help` lists those there are.");
                return STATUS_USAGE;
        }
        if (!v->run) {
                output_error(v->name, "not available in this version");
                return STATUS_FAILED;
        }
        if (options_parse(o, v->bit, v->name, argc, argv) < 0)
                return STATUS_USAGE;
        if (o->help)
                return print_verb_help(v);
        if (o->version)
                return print_version();
        r = check_arguments(v, o);
        return r == STATUS_DONE ? v->run(v->name, o) : r;
}

int main(int argc, char **argv) {
        _cleanup_options_ struct options o = {};
        int n;

        setlocale(LC_CTYPE, "");
        tzset();
        signal(SIGPIPE, SIG_IGN); /* a reader that goes away is seen at the write */
        if (options_parse(&o, VERB_GLOBAL, NULL, argc, argv) < 0)
                return STATUS_USAGE;
        if (o.help)
                return print_help();
        if (o.version)
                return print_version();
        if (o.arguments_n == 0) {
                output_error("usage", "no command given");
                output_hint("`pyprofctl --help` lists those there are.");
                return STATUS_USAGE;
        }
        if (strcmp(o.arguments[0], "help") == 0)
                return print_help();
        n = o.arguments_n;
        return run_verb(&o, n, o.arguments);
}
