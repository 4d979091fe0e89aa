/* SPDX-License-Identifier: Apache-2.0 */
/* The documents of the API, each from its question. A body is complete JSON with a newline behind it. */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "api.h"
#include "base/buffer.h"
#include "serve.h"

struct answer_context {
        const struct serve_source *source;
        const char *proc_root;
        uint64_t now;            /* CLOCK_MONOTONIC */
        int64_t epoch_offset_ns; /* makes it Unix time */
};

/* Fills *body and *ret_content_type. 0; -ENOENT or -EINVAL with *ret_error filled; another -errno: the daemon failed.
 */
int answer_request(const struct answer_context *x, struct api_request *request, struct buffer *body,
                   const char **ret_content_type, struct api_error *ret_error);

/* Tells, for a stream, of pids that cannot match because there is no such process, or none of the viewer's, or no
 * Python. */
int answer_prepare(const struct answer_context *x, struct api_request *request, struct api_error *ret_error);

/* `wall` of the query as one line; for the stream. */
int answer_wall(const struct answer_context *x, const struct profile_query *query, struct buffer *body);

int answer_error(const struct api_error *e, struct buffer *body);

/* Between the files of answer*.c: each returns the document in *ret, a new reference. */
int answer_status(const struct answer_context *x, const struct api_request *request, json_t **ret);
int answer_processes(const struct answer_context *x, struct api_request *request, json_t **ret);
int answer_threads(const struct answer_context *x, const struct api_request *request, json_t **ret,
                   struct api_error *ret_error);
int answer_stats(const struct answer_context *x, const struct api_request *request, const struct profile *p,
                 json_t **ret, struct api_error *ret_error);

/* What was lost since the start, for documents that are not made of a profile. It is the whole machine's, so that
 * others than root and the group are told nothing. */
json_t *answer_loss(const struct answer_context *x, uint32_t viewer);

/* A cell is a frame or a fraction of a row: its JSON takes some hundred bytes until it is written. -EINVAL with
 * *ret_error filled: more than one answer may have. */
#define ANSWER_ROW_CELLS 4
int answer_check_size(uint64_t cells, uint32_t viewer, struct api_error *ret_error);

static inline bool answer_visible(const struct followed_process *p, uint32_t viewer) {
        return viewer == PROFILE_ANYONE || p->uid == viewer;
}

/* Why nothing is known of `pid`, which is meant inside the containers of `q` if it has any (NULL: it has none): there
 * is none, or none that the viewer may know of, or it is no Python, or one that is not profiled. -ENOENT with
 * *ret_error filled; 0: it lives, is visible and profiled. */
int answer_explain(const struct answer_context *x, const struct profile_query *q, uint32_t viewer, uint32_t pid,
                   struct api_error *ret_error);

#define _cleanup_json_ _cleanup_(json_decrefp)
