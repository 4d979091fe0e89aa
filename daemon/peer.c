/* SPDX-License-Identifier: Apache-2.0 */
#include "peer.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>

#define GROUPS_MAX 65536 /* the kernel's NGROUPS_MAX */

struct peer_key {
        uint32_t uid;
        bool privileged;
} __attribute__((packed));

_Static_assert(offsetof(struct peer, uid) == 0 && offsetof(struct peer, privileged) == 4, "the key leads");

void peer_table_fini(struct peer_table *t) {
        struct peer *p = NULL, *next = NULL;

        HASH_ITER (hh, t->peers, p, next) {
                HASH_DEL(t->peers, p);
                free(p);
        }
}

int peer_table_set_group(struct peer_table *t, const char *name) {
        struct group *group;

        t->group = (gid_t)-1;
        if (name[0] == '\0')
                return 0;
        errno = 0;
        group = getgrnam(name);
        if (!group)
                return -ESRCH;
        t->group = group->gr_gid;
        return 0;
}

/* Supplementary groups as they were at connect(): SO_PEERGROUPS (4.13). */
static int peer_in_group(int fd, gid_t group) {
        _cleanup_free_ gid_t *groups = NULL;
        socklen_t size = 64 * sizeof(*groups);

        for (int i = 0; i < 2; i++) {
                gid_t *more = realloc(groups, size);

                if (!more)
                        return -ENOMEM;
                groups = more;
                if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &size) == 0) {
                        for (size_t k = 0; k < size / sizeof(*groups); k++)
                                if (groups[k] == group)
                                        return 1;
                        return 0;
                }
                if (errno != ERANGE || size > GROUPS_MAX * sizeof(*groups))
                        return -errno;
        }
        return -ERANGE;
}

/* 1, 0, -errno */
static int peer_is_privileged(const struct peer_table *t, int fd, const struct ucred *credentials) {
        if (credentials->uid == 0)
                return 1;
        if (t->group == (gid_t)-1)
                return 0;
        if (credentials->gid == t->group)
                return 1;
        return peer_in_group(fd, t->group);
}

/* Forgets what time has paid for. */
static void peer_settle(struct peer *p, uint64_t now) {
        uint64_t paid = now > p->work_at ? (now - p->work_at) / PEER_WORK_SHARE : 0;

        p->work_ns -= MIN(paid, p->work_ns);
        p->work_at = now;
}

/* Users without a connection are kept only while they owe. */
static void peer_table_tidy(struct peer_table *t, uint64_t now) {
        struct peer *p = NULL, *next = NULL;

        HASH_ITER (hh, t->peers, p, next) {
                if (p->connections > 0 || p->streams > 0 || p->answer_bytes > 0)
                        continue;
                peer_settle(p, now);
                if (p->work_ns > 0)
                        continue;
                HASH_DEL(t->peers, p);
                free(p);
        }
}

int peer_connect(struct peer_table *t, int fd, uint64_t now, struct peer **ret) {
        struct ucred credentials;
        socklen_t size = sizeof(credentials);
        struct peer_key key;
        struct peer *p;
        int r;

        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
                return -errno;
        r = peer_is_privileged(t, fd, &credentials);
        if (r < 0)
                return r;
        key = (struct peer_key){credentials.uid, r > 0};

        peer_table_tidy(t, now);
        HASH_FIND(hh, t->peers, &key, sizeof(key), p);
        if (!p) {
                p = calloc(1, sizeof(*p));
                if (!p)
                        return -ENOMEM;
                p->uid = key.uid;
                p->privileged = key.privileged;
                p->work_at = now;
                HASH_ADD(hh, t->peers, uid, sizeof(key), p);
        }
        if (!p->privileged && p->connections >= PEER_CONNECTIONS_MAX)
                return -EUSERS;
        p->connections++;
        *ret = p;
        return 0;
}

void peer_disconnect(struct peer_table *t, struct peer *p, uint64_t now) {
        p->connections--;
        peer_table_tidy(t, now);
}

bool peer_may_work(struct peer *p, uint64_t now) {
        if (p->privileged)
                return true;
        peer_settle(p, now);
        return p->work_ns <= PEER_WORK_MAX_NS && p->answer_bytes <= PEER_ANSWER_BYTES_MAX;
}

void peer_worked(struct peer *p, uint64_t now, uint64_t ns) {
        if (p->privileged)
                return;
        peer_settle(p, now);
        p->work_ns += ns;
}
