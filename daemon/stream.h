/* SPDX-License-Identifier: Apache-2.0 */
/* Answers that go on: `wall` of each elapsed second, one JSON object a line, until the client hangs up. */
#pragma once

#include <microhttpd.h>
#include <stdint.h>

#include "answer.h"
#include "peer.h"

#define STREAMS_MAX 32 /* of everybody together */

struct stream;

struct stream_table {
        struct stream *streams; /* a doubly linked list */
        unsigned n;
        bool stopping;
};

/* Takes over what *request owns. The first line is that of the second under way at `now`. -EUSERS: too many already;
 * -ENOMEM. The response is the caller's to destroy; the stream goes with its last reference. */
int stream_new(struct stream_table *t, struct MHD_Connection *connection, struct peer *peer,
               struct api_request *request, uint64_t now, struct MHD_Response **ret);

/* When the next lines are due: shortly after the next second of the history is complete. */
uint64_t stream_due(uint64_t now);

/* Makes the line of every stream whose client has read the one before; a slow one gets a longer window later. */
void stream_table_tick(struct stream_table *t, const struct answer_context *x);

/* Ends every stream, so that the server can be stopped; it must run once more to see them off. */
void stream_table_stop(struct stream_table *t);
