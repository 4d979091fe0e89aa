/* SPDX-License-Identifier: Apache-2.0 */
#include "stream.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

#include "aggregate.h"
#include "base/log.h"
#include "proc/clock.h"

#define STREAM_DELAY_NS (20 * NSEC_PER_MSEC)

struct stream {
        struct stream_table *table;
        struct stream *prev, *next; /* utlist's names */
        struct MHD_Connection *connection;
        struct peer *peer;
        struct api_request request;
        uint64_t since; /* everything before has been told */
        struct buffer line;
        size_t sent;
        bool suspended;
        bool failed;
};

static void stream_free(void *userdata) {
        struct stream *s = userdata;

        DL_DELETE(s->table->streams, s);
        s->table->n--;
        s->peer->streams--;
        api_request_fini(&s->request);
        buffer_fini(&s->line);
        free(s);
}

/* The server asks for more to send. Without anything the connection rests until stream_table_tick() wakes it. */
static ssize_t stream_read(void *userdata, uint64_t position, char *data, size_t size) {
        struct stream *s = userdata;
        size_t n = MIN(s->line.size - s->sent, size);

        if (n > 0) {
                memcpy(data, s->line.data + s->sent, n);
                s->sent += n;
                return (ssize_t)n;
        }
        if (s->table->stopping || s->failed)
                return MHD_CONTENT_READER_END_OF_STREAM;
        s->suspended = true;
        MHD_suspend_connection(s->connection);
        return 0;
}

int stream_new(struct stream_table *t, struct MHD_Connection *connection, struct peer *peer,
               struct api_request *request, uint64_t now, struct MHD_Response **ret) {
        struct MHD_Response *response;
        struct stream *s;

        if (t->n >= STREAMS_MAX || (!peer->privileged && peer->streams >= PEER_STREAMS_MAX))
                return -EUSERS;
        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 * 1024, stream_read, s, stream_free);
        if (!response) {
                free(s);
                return -ENOMEM;
        }
        s->table = t;
        s->connection = connection;
        s->peer = peer;
        s->request = *request;
        *request = (struct api_request){};
        s->since = now / WINDOW_NS * WINDOW_NS;
        DL_APPEND(t->streams, s);
        t->n++;
        peer->streams++;
        *ret = response;
        return 0;
}

uint64_t stream_due(uint64_t now) {
        return (now / WINDOW_NS + 1) * WINDOW_NS + STREAM_DELAY_NS;
}

static void stream_wake(struct stream *s) {
        if (!s->suspended)
                return;
        s->suspended = false;
        MHD_resume_connection(s->connection);
}

static void stream_tick(struct stream *s, const struct answer_context *x) {
        uint64_t until = x->now / WINDOW_NS * WINDOW_NS, begun = clock_monotonic_ns(), now;
        int r;

        if (s->sent < s->line.size || s->failed || until <= s->since || !peer_may_work(s->peer, begun))
                return;
        s->line.size = s->sent = 0;
        s->request.query.since = s->since;
        s->request.query.until = until;
        r = answer_wall(x, &s->request.query, &s->line);
        if (r < 0) {
                log_warning_errno(r, "cannot go on with a stream: %m");
                s->line.size = 0;
                s->failed = true;
        }
        s->since = until;
        now = clock_monotonic_ns();
        peer_worked(s->peer, now, now - begun);
        stream_wake(s);
}

void stream_table_tick(struct stream_table *t, const struct answer_context *x) {
        struct stream *s, *next;

        DL_FOREACH_SAFE(t->streams, s, next)
        stream_tick(s, x);
}

void stream_table_stop(struct stream_table *t) {
        struct stream *s, *next;

        t->stopping = true;
        DL_FOREACH_SAFE(t->streams, s, next)
        stream_wake(s);
}
