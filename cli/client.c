/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "output.h"

#define BODY_MAX (UINT64_C(1) << 30)
#define TIMEOUT_S 120L

struct client {
        CURL *curl;
        char *socket;
};

/* Where an answer goes: errors and documents into `body`, a file's bytes to `fd`. */
struct sink {
        CURL *curl;
        struct buffer body;
        int fd;          /* -1: everything into body */
        int write_error; /* errno of a write to fd */
};

static void sink_fini(struct sink *s) {
        buffer_fini(&s->body);
}

int client_new(const char *socket, struct client **ret) {
        _cleanup_client_ struct client *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->curl = curl_easy_init();
        c->socket = strdup(socket);
        if (!c->curl || !c->socket)
                return -ENOMEM;
        *ret = TAKE_PTR(c);
        return 0;
}

void client_free(struct client *c) {
        if (!c)
                return;
        curl_easy_cleanup(c->curl);
        free(c->socket);
        free(c);
}

const char *client_socket(const struct client *c) {
        return c->socket;
}

static int write_all(int fd, const char *data, size_t size) {
        while (size > 0) {
                ssize_t n = write(fd, data, size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                data += n;
                size -= (size_t)n;
        }
        return 0;
}

static size_t on_data(char *data, size_t size, size_t n, void *user) {
        struct sink *s = user;
        long http = 0;
        int r;

        size *= n;
        curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &http);
        if (s->fd >= 0 && http == 200) {
                r = write_all(s->fd, data, size);
                if (r < 0) {
                        s->write_error = -r;
                        return 0;
                }
                return size;
        }
        if (size > BODY_MAX - s->body.size)
                return 0;
        buffer_add(&s->body, data, size);
        return s->body.failed ? 0 : size;
}

/* One request. The HTTP status is 0 when there was no answer; then ret_error is errno or 0 for what curl says. */
static CURLcode perform(struct client *c, const char *path, struct sink *sink, long *ret_http, long *ret_error) {
        _cleanup_buffer_ struct buffer url = {};
        CURLcode code;

        *ret_http = *ret_error = 0;
        buffer_printf(&url, "http://pyprofd%s", path);
        if (buffer_terminate(&url) < 0)
                return CURLE_OUT_OF_MEMORY;
        sink->curl = c->curl;
        curl_easy_reset(c->curl);
        curl_easy_setopt(c->curl, CURLOPT_URL, url.data);
        curl_easy_setopt(c->curl, CURLOPT_UNIX_SOCKET_PATH, c->socket);
        curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
        curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, TIMEOUT_S);
        curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_data);
        curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, sink);
        code = curl_easy_perform(c->curl);
        if (code == CURLE_OK)
                curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, ret_http);
        else
                curl_easy_getinfo(c->curl, CURLINFO_OS_ERRNO, ret_error);
        return code;
}

int client_probe(struct client *c) {
        _cleanup_(sink_fini) struct sink sink = {.fd = -1};
        long http, error;
        CURLcode code;

        code = perform(c, "/v1/status", &sink, &http, &error);
        if (code != CURLE_OK)
                return code == CURLE_COULDNT_CONNECT && error > 0 ? -(int)error : -EIO;
        return http == 200 ? 0 : -EIO;
}

static int say_unreachable(struct client *c, const char *what, CURLcode code, long error) {
        if (code != CURLE_COULDNT_CONNECT) {
                output_error(what, "%s: %s", c->socket, curl_easy_strerror(code));
                return STATUS_FAILED;
        }
        if (error == EACCES || error == EPERM) {
                output_error(what, "%s: %s", c->socket, strerror((int)error));
                output_hint("The daemon's socket is mode 0666; ask for the folder to be made accessible, or use "
                            "--socket.");
                return STATUS_NOT_PERMITTED;
        }
        output_error(what, "no daemon at %s: %s", c->socket, error ? strerror((int)error) : "cannot connect");
        output_hint("Start it as root with `pyprofd &`, or see `pyprofctl doctor`.");
        return STATUS_NO_DAEMON;
}

static int status_of_http(long http) {
        switch (http) {
        case 400:
        case 414:
                return STATUS_USAGE;
        case 401:
        case 403:
                return STATUS_NOT_PERMITTED;
        case 404:
                return STATUS_NO_MATCH;
        default:
                return STATUS_FAILED;
        }
}

static void say_hint(const char *code) {
        static const struct {
                const char *code, *hint;
        } hints[] = {
                        {"no-such-process", "`pyprofctl ps` lists the Python processes there are."},
                        {"not-python", "`pyprofctl ps` lists the Python processes there are."},
        };

        for (size_t i = 0; i < ARRAY_SIZE(hints); i++)
                if (code && strcmp(code, hints[i].code) == 0)
                        output_hint("%s", hints[i].hint);
}

static int say_refused(const char *what, long http, struct buffer *body) {
        _cleanup_json_ json_t *json = NULL;
        const char *code = NULL, *message = NULL;

        if (body->size > 0)
                json = json_loadb(body->data, body->size, 0, NULL);
        (void)json_unpack(json, "{s:{s?s,s?s}}", "error", "code", &code, "message", &message);
        if (message)
                output_error(what, "%s", message);
        else
                output_error(what, "the daemon answered with HTTP status %ld", http);
        say_hint(code);
        if (code && strcmp(code, "not-available") == 0)
                return STATUS_FAILED;
        return status_of_http(http);
}

static int parse_document(const char *what, struct buffer *body, json_t **ret) {
        _cleanup_json_ json_t *json = NULL;
        json_error_t error;
        json_int_t version;

        json = json_loadb(body->data ? body->data : "", body->size, 0, &error);
        if (!json) {
                output_error(what, "the daemon's answer is no JSON: %s", error.text);
                return STATUS_FAILED;
        }
        version = json_integer_value(json_object_get(json, "version"));
        if (version != 1) {
                output_error(what, "the daemon speaks version %" JSON_INTEGER_FORMAT " of the API, this is version 1",
                             version);
                output_hint("pyprofd and pyprofctl should come from the same release.");
                return STATUS_FAILED;
        }
        *ret = TAKE_PTR(json);
        return STATUS_DONE;
}

int client_get(struct client *c, const char *what, const char *path, struct buffer *ret_body, json_t **ret_json) {
        _cleanup_(sink_fini) struct sink sink = {.fd = -1};
        long http, error;
        CURLcode code;
        int r;

        code = perform(c, path, &sink, &http, &error);
        if (code != CURLE_OK)
                return say_unreachable(c, what, code, error);
        if (http != 200)
                return what ? say_refused(what, http, &sink.body) : status_of_http(http);
        if (buffer_terminate(&sink.body) < 0) {
                output_error(what, "out of memory");
                return STATUS_FAILED;
        }
        r = parse_document(what, &sink.body, ret_json);
        if (r != STATUS_DONE)
                return r;
        if (ret_body) {
                *ret_body = sink.body;
                sink.body = (struct buffer){};
        }
        return STATUS_DONE;
}

int client_download(struct client *c, const char *what, const char *path, int fd, const char *target) {
        _cleanup_(sink_fini) struct sink sink = {.fd = fd};
        long http, error;
        CURLcode code;

        code = perform(c, path, &sink, &http, &error);
        if (sink.write_error == EPIPE)
                return STATUS_DONE; /* the reader has had enough */
        if (sink.write_error) {
                output_error(what, "%s: %s", target, strerror(sink.write_error));
                return STATUS_FAILED;
        }
        if (code != CURLE_OK)
                return say_unreachable(c, what, code, error);
        return http == 200 ? STATUS_DONE : say_refused(what, http, &sink.body);
}

static bool has_query(const struct buffer *path) {
        return path->size > 0 && memchr(path->data, '?', path->size);
}

void client_add_query(struct buffer *path, const struct buffer *query) {
        if (query->failed)
                path->failed = true;
        if (query->size == 0)
                return;
        buffer_add(path, has_query(path) ? "&" : "?", 1);
        buffer_add(path, query->data + 1, query->size - 1); /* without its own `?` */
}

void client_add_argument(struct buffer *path, const char *name, const char *value) {
        bool first = !has_query(path);

        buffer_printf(path, "%c%s=", first ? '?' : '&', name);
        for (const unsigned char *p = (const unsigned char *)value; *p; p++)
                if ((*p >= '0' && *p <= '9') || (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
                    strchr("-_.~,", *p))
                        buffer_add(path, p, 1);
                else
                        buffer_printf(path, "%%%02X", *p);
}

static void add_escaped(struct buffer *b, const char *literal, const char *special) {
        for (const char *p = literal; *p; p++) {
                if (strchr(special, *p))
                        buffer_add_string(b, "\\");
                buffer_add(b, p, 1);
        }
}

void client_add_literal(struct buffer *path, const char *name, const char *before, const char *literal) {
        _cleanup_buffer_ struct buffer b = {};

        buffer_add_string(&b, before);
        add_escaped(&b, literal, "\\.[]{}()*+?^$|");
        buffer_add_string(&b, "$");
        if (buffer_terminate(&b) == 0)
                client_add_argument(path, name, b.data);
        else
                path->failed = true;
}

void client_add_glob(struct buffer *path, const char *name, const char *literal) {
        _cleanup_buffer_ struct buffer b = {};

        add_escaped(&b, literal, "\\*?[");
        if (buffer_terminate(&b) == 0)
                client_add_argument(path, name, b.data);
        else
                path->failed = true;
}
