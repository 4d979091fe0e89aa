/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's API, HTTP over a UNIX socket. What goes wrong is said on stderr, once, and becomes an exit status. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/buffer.h"
#include "base/macro.h"

#define CLIENT_SOCKET "/run/pyprofd/pyprofd.sock"

struct client;

/* 0, -ENOMEM. */
int client_new(const char *socket, struct client **ret);
void client_free(struct client *c);
DEFINE_CLEANUP(struct client *, client_free);

const char *client_socket(const struct client *c);

/* Does somebody answer? Says nothing. 0, or -errno of the connection: -ENOENT, -ECONNREFUSED, -EACCES, -EIO … */
int client_probe(struct client *c);

/* A document. Returns an exit status; on 0 the body as it came (if asked for) and its JSON, the caller's to release.
 * what NULL: a refusal is not said, only returned. */
int client_get(struct client *c, const char *what, const char *path, struct buffer *ret_body, json_t **ret_json);

/* A file, as it arrives, to fd. Returns an exit status; a failed write is reported as `what: target: why`. */
int client_download(struct client *c, const char *what, const char *path, int fd, const char *target);

/* Adds `&name=value` (`?` before the first), the value percent-encoded. */
void client_add_argument(struct buffer *path, const char *name, const char *value);
/* An extended regular expression: `before`, then what matches `literal` and no more to its end. */
void client_add_literal(struct buffer *path, const char *name, const char *before, const char *literal);
/* A glob that matches `literal` and no more. */
void client_add_glob(struct buffer *path, const char *name, const char *literal);
/* Adds arguments that were collected apart. */
void client_add_query(struct buffer *path, const struct buffer *query);

#define _cleanup_json_ _cleanup_(json_decrefp)
#define _cleanup_client_ _cleanup_(client_freep)
