/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "signals.h"
#include "verb.h"
#include "when.h"

/* Waits, then asks. SIGINT ends the waiting and nothing else; SIGTERM and SIGHUP: no file. */
static int observe(const char *what, struct options *o, struct file *f, int *ret_signal) {
        _cleanup_buffer_ struct buffer query = {};
        _cleanup_session_ struct session s = {};
        int r, number;

        r = session_open_private(&s, what, o);
        if (r == STATUS_DONE && !s.private) {
                _cleanup_json_ json_t *status = NULL;

                r = client_get(s.client, what, "/v1/status", NULL, &status); /* says now what would fail later */
        }
        if (r != STATUS_DONE)
                return r;
        number = signals_wait(o->duration);
        if (number != 0 && number != SIGINT) {
                *ret_signal = number;
                return STATUS_FAILED;
        }
        if (session_path(&query, "", o) < 0)
                return verb_say_oom(what);
        session_add_window(&query, s.begin, when_now());
        if (query.failed)
                return verb_say_oom(what);
        return capture_write(&s, o, &query, f);
}

int verb_record(const char *what, struct options *o) {
        _cleanup_file_ struct file f = FILE_NULL;
        sigset_t before;
        int r, number = 0;

        if (!o->has_duration) {
                output_error(what, "wants -d DURATION");
                return STATUS_USAGE;
        }
        r = capture_open(what, o, &f);
        if (r != STATUS_DONE)
                return r;
        signals_hold(&before);
        r = observe(what, o, &f, &number);
        file_fini(&f);
        if (number != 0)
                signals_die(number);
        signals_release(&before);
        return r;
}
