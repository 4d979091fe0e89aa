/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"
#include "session.h"
#include "text.h"
#include "verb.h"

static void print_escaped(struct output *o, const char *before, struct buffer *text) {
        _cleanup_buffer_ struct buffer b = {};

        if (buffer_terminate(text) < 0)
                return;
        text_escape(&b, text->data);
        if (buffer_terminate(&b) == 0)
                fprintf(o->f, "%s%s\n", before, b.data);
}

static void print_thread(struct output *o, const json_t *thread) {
        const json_t *frames = json_object_get(thread, "frames"), *frame;
        _cleanup_buffer_ struct buffer head = {};
        size_t i;

        buffer_printf(&head, "Thread %llu (%s%s): \"%s\"", (unsigned long long)rows_number(thread, "tid"),
                      rows_string(thread, "state"), json_is_true(json_object_get(thread, "gil")) ? ", gil" : "",
                      rows_string(thread, "name"));
        if (o->style.color)
                fputs("\033[1m", o->f);
        print_escaped(o, "", &head);
        if (o->style.color)
                fputs("\033[0m", o->f);
        json_array_foreach (frames, i, frame) {
                _cleanup_buffer_ struct buffer b = {};

                rows_frame(&b, frame);
                print_escaped(o, "    ", &b);
        }
}

static void print_process(struct output *o, const json_t *answer) {
        const json_t *threads = json_object_get(answer, "threads"), *thread;
        size_t i;

        json_array_foreach (threads, i, thread) {
                if (i > 0)
                        fputc('\n', o->f);
                print_thread(o, thread);
        }
}

static int make_path(struct buffer *path, const struct options *o, const char *pid) {
        buffer_printf(path, "/v1/threads/%s", pid);
        if (o->native)
                client_add_argument(path, "native", o->native);
        return buffer_terminate(path);
}

static int dump_process(struct session *s, const struct options *o, const char *pid, struct buffer *ret_body,
                        json_t **ret_answer) {
        _cleanup_buffer_ struct buffer path = {};

        if (make_path(&path, o, pid) < 0)
                return verb_say_oom(s->what);
        return client_get(s->client, s->what, path.data, ret_body, ret_answer);
}

int verb_dump(const char *what, struct options *o) {
        _cleanup_session_ struct session s = {};
        int r, worst = STATUS_DONE;
        struct output out;

        if (o->pids_n == 0) {
                output_error(what, "wants -p PID");
                return STATUS_USAGE;
        }
        r = session_open_private(&s, what, o);
        if (r != STATUS_DONE)
                return r;
        output_init(&out, stdout, o->color);
        for (size_t i = 0; i < o->pids_n; i++) {
                _cleanup_buffer_ struct buffer body = {};
                _cleanup_json_ json_t *answer = NULL;

                r = dump_process(&s, o, o->pids[i], &body, &answer);
                if (r != STATUS_DONE) {
                        worst = r;
                        continue;
                }
                if (i + 1 == o->pids_n)
                        session_close(&s);
                if (o->json) {
                        r = verb_print_json(what, &body);
                        worst = r == STATUS_DONE ? worst : r;
                        continue;
                }
                if (!o->no_pager)
                        output_page(&out);
                if (o->pids_n > 1)
                        fprintf(out.f, "%sProcess %s\n", i ? "\n" : "", o->pids[i]);
                print_process(&out, answer);
        }
        r = output_finish(&out, what);
        return worst == STATUS_DONE ? r : worst;
}
