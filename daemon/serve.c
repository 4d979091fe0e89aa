/* SPDX-License-Identifier: Apache-2.0 */
#include "serve.h"

#include <errno.h>
#include <microhttpd.h>
#include <string.h>
#include <sys/socket.h>

#include "answer.h"
#include "api.h"
#include "base/log.h"
#include "listen.h"
#include "peer.h"
#include "proc/clock.h"
#include "stream.h"

#define CONNECTIONS_MAX 256
#define CONNECTION_TIMEOUT_S 10u
#define REQUEST_BYTES_MAX (32 * 1024) /* line and headers of a request */
#define ARGUMENTS_MAX 512

struct serve {
        struct serve_source source;
        char *proc_root;
        struct listener listener;
        struct peer_table peers;
        struct stream_table streams;
        struct MHD_Daemon *http;
        sd_event_source *io, *timeout, *second;
        int64_t epoch_offset_ns;
};

/* What one call of the server needs to answer. */
struct serve_call {
        struct serve *serve;
        struct MHD_Connection *connection;
        struct peer *peer;
        const char *url;
        struct api_argument arguments[ARGUMENTS_MAX];
        size_t arguments_n;
        bool too_many;
};

/* An answer on its way; counted as long as the client has not read it. */
struct serve_body {
        struct peer *peer;
        struct buffer buffer;
};

static void body_free(void *userdata) {
        struct serve_body *b = userdata;

        b->peer->answer_bytes -= b->buffer.size;
        buffer_fini(&b->buffer);
        free(b);
}

static enum MHD_Result call_send(struct serve_call *call, unsigned status, const char *content_type,
                                 struct buffer *buffer) {
        struct serve_body *b = calloc(1, sizeof(*b));
        struct MHD_Response *response;
        enum MHD_Result r;

        if (!b)
                return MHD_NO;
        *b = (struct serve_body){call->peer, *buffer};
        *buffer = (struct buffer){};
        b->peer->answer_bytes += b->buffer.size;
        response = MHD_create_response_from_buffer_with_free_callback_cls(b->buffer.size, b->buffer.data, body_free, b);
        if (!response) {
                body_free(b);
                return MHD_NO;
        }
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
        if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
                MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, MHD_HTTP_METHOD_GET);
        if (status == MHD_HTTP_TOO_MANY_REQUESTS)
                MHD_add_response_header(response, MHD_HTTP_HEADER_RETRY_AFTER, "1");
        r = MHD_queue_response(call->connection, status, response);
        MHD_destroy_response(response);
        return r;
}

static enum MHD_Result call_refuse(struct serve_call *call, const struct api_error *e) {
        _cleanup_buffer_ struct buffer body = {};

        if (answer_error(e, &body) < 0)
                return MHD_NO;
        return call_send(call, e->status, "application/json", &body);
}

static enum MHD_Result call_refuse_errno(struct serve_call *call, int error, struct api_error *e) {
        if (error == -EUSERS)
                api_error_set(e, MHD_HTTP_TOO_MANY_REQUESTS, "too-many-requests", "too many streams are open");
        else if (error != -EINVAL && error != -ENOENT) {
                log_warning_errno(error, "cannot answer %s: %m", call->url);
                errno = -error;
                api_error_set(e, error == -ENOMEM ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_INTERNAL_SERVER_ERROR,
                              "failed", "pyprofd could not answer: %m");
        }
        return call_refuse(call, e);
}

/* Reading two clocks has a jitter, but a process must have the same `started` in every answer: only a clock that was
 * set, or has drifted for a while, changes what is told. */
static void serve_answer_context(struct serve *s, struct answer_context *ret) {
        int64_t offset = clock_epoch_offset_ns();

        if (llabs(offset - s->epoch_offset_ns) > (int64_t)NSEC_PER_MSEC)
                s->epoch_offset_ns = offset;
        *ret = (struct answer_context){
                        .source = &s->source,
                        .proc_root = s->proc_root,
                        .now = clock_monotonic_ns(),
                        .epoch_offset_ns = s->epoch_offset_ns,
        };
}

static enum MHD_Result call_stream(struct serve_call *call, struct api_request *request, uint64_t now) {
        struct MHD_Response *response;
        struct api_error e = {};
        enum MHD_Result q;
        int r;

        r = stream_new(&call->serve->streams, call->connection, call->peer, request, now, &response);
        if (r < 0)
                return call_refuse_errno(call, r, &e);
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/x-ndjson");
        q = MHD_queue_response(call->connection, MHD_HTTP_OK, response);
        MHD_destroy_response(response);
        return q;
}

static enum MHD_Result call_answer(struct serve_call *call) {
        _cleanup_api_request_ struct api_request request = {};
        _cleanup_buffer_ struct buffer body = {};
        struct api_error e = {.status = MHD_HTTP_BAD_REQUEST, .code = "bad-argument"};
        struct answer_context x;
        const char *content_type;
        int r;

        r = call->serve->source.sync(call->serve->source.userdata);
        if (r < 0)
                return call_refuse_errno(call, r, &e);
        serve_answer_context(call->serve, &x);
        r = api_parse(call->url, call->arguments, call->arguments_n, x.now, x.epoch_offset_ns,
                      call->peer->privileged ? PROFILE_ANYONE : call->peer->uid, &request, &e);
        if (r < 0)
                return call_refuse_errno(call, r, &e);
        r = answer_prepare(&x, &request, &e);
        if (r < 0)
                return call_refuse_errno(call, r, &e);
        if (request.endpoint == API_STREAM)
                return call_stream(call, &request, x.now);
        r = answer_request(&x, &request, &body, &content_type, &e);
        if (r < 0)
                return call_refuse_errno(call, r, &e);
        return call_send(call, MHD_HTTP_OK, content_type, &body);
}

static enum MHD_Result call_add_argument(void *userdata, enum MHD_ValueKind kind, const char *name, const char *value) {
        struct serve_call *call = userdata;

        if (call->arguments_n == ARGUMENTS_MAX) {
                call->too_many = true;
                return MHD_NO;
        }
        call->arguments[call->arguments_n++] = (struct api_argument){name, value};
        return MHD_YES;
}

/* Once for the headers, with *state NULL, then once more: only the second call may answer and keep the connection. */
static enum MHD_Result on_request(void *userdata, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *http_version, const char *upload, size_t *upload_size,
                                  void **state) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
        struct serve_call call = {.serve = userdata, .connection = connection, .url = url};
        uint64_t begun = clock_monotonic_ns(), now;
        struct api_error e = {};
        enum MHD_Result r;

        call.peer = info ? info->socket_context : NULL;
        if (!call.peer)
                return MHD_NO;
        if (strcmp(method, MHD_HTTP_METHOD_GET) != 0) {
                api_error_set(&e, MHD_HTTP_METHOD_NOT_ALLOWED, "bad-method", "only GET is understood");
                return call_refuse(&call, &e);
        }
        if (!*state) {
                *state = userdata;
                return MHD_YES;
        }
        if (*upload_size > 0) {
                *upload_size = 0;
                return MHD_YES;
        }
        if (!peer_may_work(call.peer, begun)) {
                api_error_set(&e, MHD_HTTP_TOO_MANY_REQUESTS, "too-many-requests", "user %u asks for too much",
                              call.peer->uid);
                return call_refuse(&call, &e);
        }
        MHD_get_connection_values(connection, MHD_GET_ARGUMENT_KIND, call_add_argument, &call);
        if (call.too_many) {
                api_error_set(&e, MHD_HTTP_BAD_REQUEST, "bad-argument", "more than %d arguments", ARGUMENTS_MAX);
                return call_refuse(&call, &e);
        }
        r = call_answer(&call);
        now = clock_monotonic_ns();
        peer_worked(call.peer, now, now - begun);
        return r;
}

/* The server has no way to refuse a connection it has accepted: it is answered here and then finds it closed. */
static void connection_refuse(int fd, int error) {
        static const char body[] =
                        "{\"error\":{\"code\":\"too-many-requests\",\"message\":\"too many connections\"}}\n";
        char text[256];
        int n = snprintf(text, sizeof(text),
                         "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
                         "Connection: close\r\n\r\n%s",
                         sizeof(body) - 1, body);

        if (error == -EUSERS)
                (void)!send(fd, text, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
        else
                log_warning_errno(error, "cannot tell who connects: %m");
        shutdown(fd, SHUT_RDWR);
}

static void on_connection(void *userdata, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        struct serve *s = userdata;
        struct peer *peer = NULL;
        int r;

        if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
                if (*context)
                        peer_disconnect(&s->peers, *context, clock_monotonic_ns());
                *context = NULL;
                return;
        }
        r = peer_connect(&s->peers, info->connect_fd, clock_monotonic_ns(), &peer);
        if (r < 0)
                connection_refuse(info->connect_fd, r);
        *context = peer;
}

static void on_log(void *userdata, const char *format, va_list ap) {
        char line[512];

        vsnprintf(line, sizeof(line), format, ap);
        line[strcspn(line, "\n")] = '\0';
        log_debug("HTTP: %s", line);
}

/* Lets the server work and asks it when it wants to be called again. */
static int serve_run(struct serve *s) {
        MHD_UNSIGNED_LONG_LONG ms;
        int r;

        if (MHD_run(s->http) != MHD_YES)
                return log_warning_errno(EIO, "HTTP: the server failed to run");
        if (MHD_get_timeout(s->http, &ms) != MHD_YES)
                return sd_event_source_set_enabled(s->timeout, SD_EVENT_OFF);
        r = sd_event_source_set_time(s->timeout, clock_monotonic_ns() / NSEC_PER_USEC + ms * 1000);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(s->timeout, SD_EVENT_ONESHOT);
}

static int on_io(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        (void)serve_run(userdata); /* a client's trouble is not the daemon's */
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        (void)serve_run(userdata);
        return 0;
}

static int on_second(sd_event_source *source, uint64_t usec, void *userdata) {
        struct serve *s = userdata;
        struct answer_context x;
        int r;

        if (s->streams.n > 0) {
                r = s->source.sync(s->source.userdata);
                if (r < 0)
                        log_warning_errno(r, "cannot bring the streams up to date: %m");
                serve_answer_context(s, &x);
                stream_table_tick(&s->streams, &x);
                (void)serve_run(s);
        }
        r = sd_event_source_set_time(source, stream_due(clock_monotonic_ns()) / NSEC_PER_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

void serve_free(struct serve *s) {
        if (!s)
                return;
        sd_event_source_disable_unref(s->io);
        sd_event_source_disable_unref(s->timeout);
        sd_event_source_disable_unref(s->second);
        if (s->http) {
                s->listener.fd = MHD_quiesce_daemon(s->http); /* ours again */
                stream_table_stop(&s->streams);
                MHD_run(s->http); /* suspended connections must be gone before the server is stopped */
                MHD_stop_daemon(s->http);
        }
        listener_fini(&s->listener);
        peer_table_fini(&s->peers);
        free(s->proc_root);
        free(s);
}

static int serve_start_http(struct serve *s) {
        s->http = MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG, 0, NULL, NULL,
                                   on_request, s, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL, MHD_OPTION_LISTEN_SOCKET,
                                   s->listener.fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
                                   MHD_OPTION_CONNECTION_TIMEOUT, CONNECTION_TIMEOUT_S,
                                   MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)REQUEST_BYTES_MAX,
                                   MHD_OPTION_NOTIFY_CONNECTION, on_connection, s, MHD_OPTION_END);
        if (!s->http)
                return log_error_errno(errno ? errno : EIO, "cannot start the HTTP server");
        s->listener.fd = -1; /* the server's until it is stopped */
        return 0;
}

static int serve_add_sources(struct serve *s, sd_event *event) {
        const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->http, MHD_DAEMON_INFO_EPOLL_FD);
        int r;

        if (!info)
                return -EIO;
        r = sd_event_add_io(event, &s->io, info->epoll_fd, EPOLLIN, on_io, s);
        if (r < 0)
                return r;
        r = sd_event_add_time(event, &s->timeout, CLOCK_MONOTONIC, 0, 1000, on_timeout, s);
        if (r < 0)
                return r;
        return sd_event_add_time(event, &s->second, CLOCK_MONOTONIC, stream_due(clock_monotonic_ns()) / NSEC_PER_USEC,
                                 1000, on_second, s);
}

static int serve_start(struct serve *s, sd_event *event, const struct serve_settings *settings) {
        int r;

        s->proc_root = strdup(settings->proc_root);
        if (!s->proc_root)
                return -ENOMEM;
        r = peer_table_set_group(&s->peers, settings->group);
        if (r < 0)
                log_info("there is no group '%s': root alone sees the processes of others", settings->group);
        r = listener_open(settings->socket, &s->listener);
        if (r < 0)
                return r;
        r = serve_start_http(s);
        if (r < 0)
                return r;
        r = serve_add_sources(s, event);
        if (r < 0)
                return log_error_errno(r, "cannot watch the HTTP server: %m");
        return 0;
}

int serve_new(sd_event *event, const struct serve_settings *settings, const struct serve_source *source,
              struct serve **ret) {
        struct serve *s = calloc(1, sizeof(*s));
        int r;

        if (!s)
                return -ENOMEM;
        s->listener = LISTENER_NULL;
        s->source = *source;
        r = serve_start(s, event, settings);
        if (r < 0) {
                serve_free(s);
                return r;
        }
        *ret = s;
        return 0;
}
