/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <string.h>

#include "rows.h"
#include "verb.h"

#define FORMAT_DEFAULT "collapsed"

int capture_open(const char *what, const struct options *o, struct file *ret) {
        static const char *const formats[] = {"collapsed", "speedscope", "json"};
        bool known = !o->format;
        int r;

        for (size_t i = 0; !known && i < ARRAY_SIZE(formats); i++)
                known = strcmp(formats[i], o->format) == 0;
        if (!known) {
                output_error(what, "-F: '%s' is none of collapsed, speedscope, json", o->format);
                return STATUS_USAGE;
        }
        if (!o->file) {
                output_error(what, "wants -o FILE; -o - is stdout");
                return STATUS_USAGE;
        }
        r = file_open(o->file, ret);
        if (r < 0) {
                output_error(what, "%s: %s", o->file, strerror(-r));
                return STATUS_FAILED;
        }
        return STATUS_DONE;
}

/* An empty export is a valid file and no answer: whether anything matches is asked first. */
static int check_matches(struct session *s, const struct options *o, const struct buffer *query) {
        _cleanup_buffer_ struct buffer path = {};
        _cleanup_json_ json_t *answer = NULL;
        int r;

        buffer_add_string(&path, "/v1/wall");
        client_add_query(&path, query);
        client_add_argument(&path, "by", "command");
        client_add_argument(&path, "n", "1");
        if (buffer_terminate(&path) < 0)
                return verb_say_oom(s->what);
        r = client_get(s->client, s->what, path.data, NULL, &answer);
        if (r != STATUS_DONE)
                return r;
        session_warn_history(o, answer);
        return rows_nothing(answer) ? verb_say_nothing(s->what) : STATUS_DONE;
}

int capture_write(struct session *s, const struct options *o, const struct buffer *query, struct file *f) {
        _cleanup_buffer_ struct buffer path = {};
        int r;

        r = check_matches(s, o, query);
        if (r != STATUS_DONE)
                return r;
        buffer_add_string(&path, "/v1/export");
        client_add_query(&path, query);
        client_add_argument(&path, "format", o->format ? o->format : FORMAT_DEFAULT);
        if (buffer_terminate(&path) < 0)
                return verb_say_oom(s->what);
        r = client_download(s->client, s->what, path.data, f->fd, f->path);
        if (r != STATUS_DONE)
                return r;
        r = file_commit(f);
        if (r < 0) {
                output_error(s->what, "%s: %s", f->path, strerror(-r));
                return STATUS_FAILED;
        }
        return STATUS_DONE;
}
