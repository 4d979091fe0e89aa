/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"
#include "screen.h"
#include "session.h"
#include "signals.h"
#include "verb.h"
#include "view.h"
#include "when.h"

#define ROWS_ONCE 20
#define OBSERVED_NS (10 * NSEC_PER_SEC)

/* Observes one interval, which a private daemon needs more of, and prints. */
static int print_once(struct view *v, struct options *o, int *ret_signal) {
        _cleanup_buffer_ struct buffer body = {};
        struct session *s = v->session;
        struct output out;
        int r, number;

        number = signals_wait(o->has_duration || !s->private ? v->interval : OBSERVED_NS);
        if (number != 0 && number != SIGINT) {
                *ret_signal = number;
                return STATUS_FAILED;
        }
        r = view_fetch(v, s->begin, when_now(), &body);
        if (r != STATUS_DONE)
                return r;
        session_close(s);
        if (o->json)
                r = verb_print_json(s->what, &body);
        if (rows_nothing(v->answer))
                return r == STATUS_DONE ? verb_say_nothing(s->what) : r;
        if (o->json)
                return r;
        output_init(&out, stdout, o->color);
        if (rows_print(&out, v->answer, !o->idle_shown) < 0)
                return verb_say_oom(s->what);
        return output_finish(&out, s->what);
}

static int look(const char *what, struct options *o, int *ret_signal) {
        _cleanup_session_ struct session s = {};
        _cleanup_(view_fini) struct view v = {};
        bool once = o->once || o->json;
        int r;

        if (!once && (!isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))) {
                output_error(what, "stdin and stdout are no terminal");
                output_hint("`pyprofctl top --once` prints without one.");
                return STATUS_USAGE;
        }
        if (once && !o->has_rows) {
                o->rows = ROWS_ONCE;
                o->has_rows = true;
        }
        r = session_open_private(&s, what, o);
        if (r != STATUS_DONE)
                return r;
        if (view_init(&v, &s, o) < 0)
                return verb_say_oom(what);
        if (once)
                return print_once(&v, o, ret_signal);
        r = view_fetch(&v, s.begin - (int64_t)v.interval, s.begin,
                       NULL); /* what fails now is said before the screen is taken */
        if (r != STATUS_DONE)
                return r;
        r = screen_run(&v);
        if (r > 128)
                *ret_signal = r - 128;
        return r;
}

int verb_top(const char *what, struct options *o) {
        sigset_t before;
        int r, number = 0;

        signals_hold(&before);
        r = look(what, o, &number);
        if (number != 0)
                signals_die(number);
        signals_release(&before);
        return r;
}
