/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "capture.h"
#include "command.h"
#include "profile_stats.h"
#include "rows.h"
#include "session.h"
#include "signals.h"
#include "verb.h"
#include "when.h"

#define ROWS 20

/* The question: the command and its children, from its start to its end. */
#define RUN_RATE 499 /* Hz: a command may be short, and its machine is there for it */

struct run {
        struct buffer query; /* from `?` on */
        struct file file;
};

static void run_fini(struct run *x) {
        buffer_fini(&x->query);
        file_fini(&x->file);
}

static int ask(struct session *s, const struct run *x, const struct options *o, const char *what, const char *resource,
               json_t **ret) {
        _cleanup_buffer_ struct buffer path = {};
        char rows[16];

        buffer_add_string(&path, resource);
        client_add_query(&path, &x->query);
        client_add_query(&path, &o->selectors);
        snprintf(rows, sizeof(rows), "%u", o->has_rows ? o->rows : ROWS);
        client_add_argument(&path, "n", rows);
        if (strcmp(resource, "/v1/wall") == 0)
                client_add_argument(&path, "by", "function");
        else
                client_add_argument(&path, "edges", "0");
        if (buffer_terminate(&path) < 0)
                return verb_say_oom(s->what);
        return client_get(s->client, what, path.data, NULL, ret);
}

/* To stderr: stdout is the command's. */
static int report(struct session *s, const struct run *x, const struct options *o) {
        _cleanup_json_ json_t *wall = NULL, *stats = NULL;
        struct output out;
        int r;

        r = ask(s, x, o, NULL, "/v1/wall", &wall);
        if (r != STATUS_DONE && r != STATUS_NO_MATCH)
                return ask(s, x, o, s->what, "/v1/wall", &wall);
        if (r == STATUS_NO_MATCH || rows_nothing(wall)) {
                output_error(s->what, "the command ran no Python that could be profiled");
                return STATUS_NO_MATCH;
        }
        r = ask(s, x, o, s->what, "/v1/stats", &stats);
        if (r != STATUS_DONE)
                return r;
        if (o->json) {
                json_dumpf(wall, stderr, JSON_COMPACT);
                fputc('\n', stderr);
                json_dumpf(stats, stderr, JSON_COMPACT);
                fputc('\n', stderr);
                return STATUS_DONE;
        }
        output_init(&out, stderr, o->color);
        fputc('\n', stderr);
        if (rows_print(&out, wall, !o->idle_shown) < 0)
                return verb_say_oom(s->what);
        fputc('\n', stderr);
        if (profile_stats_print(&out, stats, NULL, false, false) < 0)
                return verb_say_oom(s->what);
        return STATUS_DONE;
}

static int finish(struct session *s, struct run *x, const struct options *o, pid_t pid, int64_t since) {
        char text[16];
        int r, written = STATUS_DONE;

        snprintf(text, sizeof(text), "%d", (int)pid);
        client_add_argument(&x->query, "pid", text);
        client_add_argument(&x->query, "children", "1");
        session_add_window(&x->query, since, when_now());
        if (x->query.failed)
                return verb_say_oom(s->what);
        r = report(s, x, o);
        if (o->file && r == STATUS_DONE)
                written = capture_write(s, o, &x->query, &x->file);
        return r == STATUS_DONE || r == STATUS_NO_MATCH ? written : r;
}

static int say_exec(const char *what, const char *name, int error) {
        output_error(what, "%s: %s", name, strerror(error));
        return error == ENOENT ? STATUS_RUN_NOT_FOUND : STATUS_RUN_NOT_EXECUTABLE;
}

/* Returns the exit status of the command, or ours where it could not be run or its profile not be written. */
static int execute(struct session *s, struct run *x, const struct options *o, struct command *c) {
        int64_t since = when_now();
        pid_t pid = c->pid;
        int r, status;

        r = command_start(c);
        if (r < 0)
                return say_exec(s->what, o->arguments[0], -r);
        status = command_wait(c);
        if (status < 0) {
                output_error(s->what, "%s: %s", o->arguments[0], strerror(-status));
                return STATUS_RUN_FAILED;
        }
        r = finish(s, x, o, pid, since);
        return r == STATUS_DONE || status != 0 ? status : STATUS_RUN_FAILED;
}

int verb_run(const char *what, struct options *o) {
        _cleanup_(run_fini) struct run x = {.file = FILE_NULL};
        _cleanup_session_ struct session s = {};
        struct command c;
        int r;

        if (o->format && !o->file) {
                output_error(what, "-F wants -o FILE");
                return STATUS_USAGE;
        }
        if (o->file) {
                r = capture_open(what, o, &x.file);
                if (r != STATUS_DONE)
                        return r == STATUS_USAGE ? r : STATUS_RUN_FAILED;
        }
        r = command_fork(&c, o->arguments);
        if (r < 0) {
                output_error(what, "%s", strerror(-r));
                return STATUS_RUN_FAILED;
        }
        o->private_rate = RUN_RATE;
        r = session_open_private(&s, what, o);
        if (r == STATUS_DONE) {
                _cleanup_json_ json_t *status = NULL;

                r = client_get(s.client, what, "/v1/status", NULL, &status);
        }
        r = r == STATUS_DONE ? execute(&s, &x, o, &c) : STATUS_RUN_FAILED;
        session_close(&s);
        command_fini(&c);
        signals_release(&c.before);
        return r;
}
