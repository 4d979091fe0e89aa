/* SPDX-License-Identifier: Apache-2.0 */
#include "profile_stats.h"
#include "rows.h"
#include "session.h"
#include "verb.h"

static int make_path(struct buffer *path, const struct options *o) {
        char rows[16];
        int r;

        r = session_path(path, "/v1/stats", o);
        if (r < 0)
                return r;
        if (o->sort)
                client_add_argument(path, "sort", o->sort);
        if (o->clock)
                client_add_argument(path, "clock", o->clock);
        if (!o->callers && !o->callees && !o->json)
                client_add_argument(path, "edges", "0");
        if (o->has_rows) {
                snprintf(rows, sizeof(rows), "%u", o->rows);
                client_add_argument(path, "n", rows);
        }
        return buffer_terminate(path);
}

int verb_stats(const char *what, struct options *o) {
        _cleanup_buffer_ struct buffer path = {}, body = {};
        _cleanup_session_ struct session s = {};
        _cleanup_json_ json_t *answer = NULL;
        struct output out;
        int r;

        r = session_open(&s, what, o);
        if (r != STATUS_DONE)
                return r;
        if (make_path(&path, o) < 0)
                return verb_say_oom(what);
        r = client_get(s.client, what, path.data, &body, &answer);
        if (r != STATUS_DONE)
                return r;
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
        if (profile_stats_print(&out, answer, o->sort, o->callers, o->callees) < 0)
                return verb_say_oom(what);
        return output_finish(&out, what);
}
