/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is at the other end of a connection, what it may see, and how much of the daemon it has used: connections and
 * work are limited per user, so that nobody can keep the daemon from its work or from others.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <uthash.h>

#include "base/macro.h"

#define PEER_CONNECTIONS_MAX 16 /* at a time, of one user who is neither root nor in the group */
#define PEER_STREAMS_MAX 4
#define PEER_ANSWER_BYTES_MAX (UINT64_C(64) << 20)
#define PEER_WORK_SHARE 5                     /* 1/5 of a CPU for each such user's questions, in the long run */
#define PEER_WORK_MAX_NS UINT64_C(2000000000) /* what may be used at once before that share is enforced */

/* One user; shared by its connections. */
struct peer {
        uint32_t uid;
        bool privileged; /* root or a member of the group: sees every process, is not limited */
        unsigned connections;
        unsigned streams;
        uint64_t answer_bytes; /* of answers that are still on their way */
        uint64_t work_ns;      /* used and not yet forgotten, at work_at */
        uint64_t work_at;
        UT_hash_handle hh;
};

struct peer_table {
        struct peer *peers; /* by uid and whether privileged */
        gid_t group;        /* (gid_t)-1: none */
};

void peer_table_fini(struct peer_table *t);

/* By name; a group that does not exist lets nobody in: -ESRCH, and the table has none. "" is 0 and none. */
int peer_table_set_group(struct peer_table *t, const char *name);

/* The peer of a connected UNIX socket, with one connection counted. -EUSERS: it has too many already. -ENOMEM, -errno.
 */
int peer_connect(struct peer_table *t, int fd, uint64_t now, struct peer **ret);
void peer_disconnect(struct peer_table *t, struct peer *p, uint64_t now);

/* Whether it may ask now: not as long as it has used more than its share, or leaves too much of its answers unread. */
bool peer_may_work(struct peer *p, uint64_t now);
void peer_worked(struct peer *p, uint64_t now, uint64_t ns);
