/* SPDX-License-Identifier: Apache-2.0 */
/* A conversation with a daemon: the one that runs, or a private one. */
#pragma once

#include "client.h"
#include "option.h"
#include "private.h"

struct session {
        const char *what; /* the verb, for errors */
        struct client *client;
        struct private *private; /* NULL: a daemon was running */
        int64_t begin;           /* Unix ns; when the session was there */
};

/* Exit statuses. The daemon must run. */
int session_open(struct session *s, const char *what, const struct options *o);
/* Where no daemon runs, root gets a private one; rate as in -r, 0 if it was not said. */
int session_open_private(struct session *s, const char *what, const struct options *o);
void session_close(struct session *s);

/* `path` with the selectors and the window of the command line. 0, -ENOMEM. */
int session_path(struct buffer *b, const char *path, const struct options *o);
void session_add_window(struct buffer *b, int64_t since, int64_t until);

/* With a private daemon: lets it observe for `ns`. SIGINT ends that early, the others end the program. */
void session_observe(struct session *s, uint64_t ns);

/* Says on stderr how much history there is when more was asked for. */
void session_warn_history(const struct options *o, const json_t *answer);

#define _cleanup_session_ _cleanup_(session_close)
