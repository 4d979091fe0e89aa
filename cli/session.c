/* SPDX-License-Identifier: Apache-2.0 */
#include "session.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "signals.h"
#include "text.h"
#include "when.h"

/* Stored windows are this long or longer, and bounds are rounded outward to them. */
#define WINDOW_NS INT64_C(1000000000)

static int connect_to(struct session *s, const char *socket) {
        client_free(TAKE_PTR(s->client));
        if (client_new(socket, &s->client) < 0) {
                output_error(s->what, "out of memory");
                return STATUS_FAILED;
        }
        s->begin = when_now();
        return STATUS_DONE;
}

int session_open(struct session *s, const char *what, const struct options *o) {
        s->what = what;
        return connect_to(s, o->socket ? o->socket : CLIENT_SOCKET);
}

static int say_no_daemon(const char *what) {
        output_error(what, "no daemon at %s, and only root can start a private one", CLIENT_SOCKET);
        output_hint("Start it as root with `pyprofd &`, or run `sudo pyprofctl %s`.", what);
        return STATUS_NO_DAEMON;
}

/* -r is about the ticks of the whole machine: a daemon that others ask too keeps its own rate. */
static int check_rate(struct session *s, const struct options *o) {
        _cleanup_json_ json_t *status = NULL;
        json_int_t rate;
        int r;

        if (o->rate == 0)
                return STATUS_DONE;
        r = client_get(s->client, s->what, "/v1/status", NULL, &status);
        if (r != STATUS_DONE)
                return r;
        rate = json_integer_value(json_object_get(json_object_get(status, "budget"), "rate"));
        if (rate == o->rate)
                return STATUS_DONE;
        if (rate > 0)
                output_error(s->what, "-r %u: a daemon runs and samples at %" JSON_INTEGER_FORMAT " Hz", o->rate, rate);
        else
                output_error(s->what, "-r %u: a daemon runs and samples at its own rate", o->rate);
        output_hint("Leave -r out, start the daemon with --rate, or stop it: then a private one takes -r.");
        return STATUS_FAILED;
}

int session_open_private(struct session *s, const char *what, const struct options *o) {
        int r;

        r = session_open(s, what, o);
        if (r != STATUS_DONE)
                return r;
        r = client_probe(s->client);
        if (r == 0)
                return check_rate(s, o);
        if (o->socket || (r != -ENOENT && r != -ECONNREFUSED))
                return STATUS_DONE; /* the request itself will say what is wrong */
        if (geteuid() != 0)
                return say_no_daemon(what);
        r = private_start(what, o->rate ? o->rate : o->private_rate, &s->private);
        if (r != STATUS_DONE)
                return r;
        return connect_to(s, private_socket(s->private));
}

void session_close(struct session *s) {
        client_free(TAKE_PTR(s->client));
        private_stop(TAKE_PTR(s->private));
}

void session_add_window(struct buffer *b, int64_t since, int64_t until) {
        char s[24];

        snprintf(s, sizeof(s), "%" PRId64, since);
        client_add_argument(b, "since", s);
        snprintf(s, sizeof(s), "%" PRId64, until);
        client_add_argument(b, "until", s);
}

int session_path(struct buffer *b, const char *path, const struct options *o) {
        char s[24];

        buffer_add_string(b, path);
        client_add_query(b, &o->selectors);
        if (o->has_since) {
                snprintf(s, sizeof(s), "%" PRId64, o->since);
                client_add_argument(b, "since", s);
        }
        if (o->has_until) {
                snprintf(s, sizeof(s), "%" PRId64, o->until);
                client_add_argument(b, "until", s);
        }
        return b->failed ? -ENOMEM : 0;
}

void session_observe(struct session *s, uint64_t ns) {
        int number;

        if (!s->private)
                return;
        number = signals_wait(ns);
        if (number == 0 || number == SIGINT)
                return;
        session_close(s);
        signals_die(number);
}

void session_warn_history(const struct options *o, const json_t *answer) {
        json_int_t since = json_integer_value(json_object_get(answer, "since"));
        time_t t = (time_t)(since / (json_int_t)NSEC_PER_SEC);
        char when[64], span[TEXT_UNITS_MAX];
        int64_t now = when_now();
        struct tm tm;

        if (!o->has_since || since < o->since + WINDOW_NS || !localtime_r(&t, &tm))
                return;
        strftime(when, sizeof(when), "%F %T", &tm);
        text_duration(span, now > since ? (uint64_t)(now - since) : 0);
        output_hint("pyprofctl: history begins at %s, %s ago; what is before that is not held", when, span);
}
