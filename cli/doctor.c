/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "session.h"
#include "verb.h"

static void check_daemon(struct check *c, const struct options *o) {
        const char *socket = o->socket ? o->socket : CLIENT_SOCKET;
        _cleanup_client_ struct client *client = NULL;
        int r;

        *c = (struct check){.name = "daemon"};
        r = client_new(socket, &client);
        if (r == 0)
                r = client_probe(client);
        if (r == 0) {
                snprintf(c->what, sizeof(c->what), "answers at %s", socket);
                return;
        }
        c->verdict = CHECK_NOTE;
        snprintf(c->what, sizeof(c->what), "none at %s: %s", socket, strerror(-r));
        snprintf(c->remedy, sizeof(c->remedy),
                 "start it as root, `pyprofd &`; as root, `run`, `record`, `top`, `dump` and `wall` start one");
}

/* A daemon that answers runs, whatever may be missing here and now. */
static bool can_run(const struct check *checks, size_t n) {
        if (checks[n - 1].verdict == CHECK_OK)
                return true;
        for (size_t i = 0; i < n; i++)
                if (checks[i].verdict == CHECK_MISSING)
                        return false;
        return true;
}

static int print_json(const struct check *checks, size_t n) {
        static const char *const verdicts[] = {[CHECK_OK] = "ok", [CHECK_NOTE] = "note", [CHECK_MISSING] = "missing"};
        _cleanup_json_ json_t *document = NULL;
        json_t *list = json_array();

        for (size_t i = 0; i < n; i++)
                if (json_array_append_new(list, json_pack("{s:s, s:b, s:s, s:s, s:s}", "name", checks[i].name, "ok",
                                                          checks[i].verdict == CHECK_OK, "verdict",
                                                          verdicts[checks[i].verdict], "what", checks[i].what, "remedy",
                                                          checks[i].remedy)) < 0)
                        return -ENOMEM;
        document = json_pack("{s:i, s:b, s:o, s:{}}", "version", 1, "ok", can_run(checks, n), "checks", list, "loss");
        if (!document)
                return -ENOMEM;
        json_dumpf(document, stdout, JSON_COMPACT);
        fputc('\n', stdout);
        return 0;
}

static void print_text(struct output *o, const struct check *checks, size_t n) {
        static const char *const marks[] = {[CHECK_OK] = "ok", [CHECK_NOTE] = "note", [CHECK_MISSING] = "MISSING"};
        static const char *const colors[] = {
                        [CHECK_OK] = "\033[32m", [CHECK_NOTE] = "\033[33m", [CHECK_MISSING] = "\033[31m"};

        for (size_t i = 0; i < n; i++) {
                _cleanup_buffer_ struct buffer b = {};

                buffer_printf(&b, "%-7s %s: %s%s%s", marks[checks[i].verdict], checks[i].name, checks[i].what,
                              checks[i].remedy[0] ? "; remedy: " : "", checks[i].remedy);
                if (buffer_terminate(&b) < 0)
                        continue;
                if (o->style.color)
                        fputs(colors[checks[i].verdict], o->f);
                output_paragraph(o, b.data);
                if (o->style.color)
                        fputs("\033[0m", o->f);
        }
        output_paragraph(o, can_run(checks, n) ? "Everything that pyprofd needs is here."
                                               : "pyprofd cannot run here as it is: see MISSING.");
}

int verb_doctor(const char *what, struct options *o) {
        struct check checks[CHECKS_MAX + 1];
        size_t n = check_machine(checks);
        struct output out;
        int r;

        check_daemon(checks + n++, o);
        output_init(&out, stdout, o->color);
        if (o->json) {
                if (print_json(checks, n) < 0)
                        return verb_say_oom(what);
        } else
                print_text(&out, checks, n);
        r = output_finish(&out, what);
        return r == STATUS_DONE && !can_run(checks, n) ? STATUS_FAILED : r;
}
