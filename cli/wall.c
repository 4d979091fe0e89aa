/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"
#include "session.h"
#include "verb.h"
#include "when.h"

#define OBSERVED_NS (10 * NSEC_PER_SEC)

static int make_path(struct buffer *path, const struct session *s, const struct options *o) {
        char rows[16];
        int r;

        r = session_path(path, "/v1/wall", o);
        if (r < 0)
                return r;
        client_add_argument(path, "by", o->by ? o->by : "function");
        if (o->sort)
                client_add_argument(path, "sort", o->sort);
        if (o->has_rows) {
                snprintf(rows, sizeof(rows), "%u", o->rows);
                client_add_argument(path, "n", rows);
        }
        if (s->private && !o->has_since && !o->has_until)
                session_add_window(path, s->begin, when_now());
        return buffer_terminate(path);
}

int verb_wall(const char *what, struct options *o) {
        _cleanup_buffer_ struct buffer path = {}, body = {};
        _cleanup_session_ struct session s = {};
        _cleanup_json_ json_t *answer = NULL;
        struct output out;
        int r;

        r = session_open_private(&s, what, o);
        if (r != STATUS_DONE)
                return r;
        session_observe(&s, o->has_duration ? o->duration : OBSERVED_NS);
        if (make_path(&path, &s, o) < 0)
                return verb_say_oom(what);
        r = client_get(s.client, what, path.data, &body, &answer);
        if (r != STATUS_DONE)
                return r;
        session_close(&s); /* a pager may stay open for long */
        session_warn_history(o, answer);
        if (o->json) {
                r = verb_print_json(what, &body);
                return r == STATUS_DONE && rows_nothing(answer) ? verb_say_nothing(what) : r;
        }
        if (rows_nothing(answer))
                return verb_say_nothing(what);
        output_init(&out, stdout, o->color);
        if (!o->no_pager)
                output_page(&out);
        if (rows_print(&out, answer, !o->idle_shown) < 0)
                return verb_say_oom(what);
        return output_finish(&out, what);
}
