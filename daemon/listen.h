/* SPDX-License-Identifier: Apache-2.0 */
/* The UNIX socket the daemon listens on: made here, or handed over by systemd. One daemon a socket. */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/macro.h"

struct listener {
        int fd;      /* listening; whoever takes it sets it to -1 */
        int lock_fd; /* PATH.lock, held as long as the listener lives; -1 under socket activation */
        char *path;
        char *lock_path;
        dev_t device; /* of the socket file, so that only our own is removed */
        ino_t inode;
};

#define LISTENER_NULL                   \
        (struct listener) {             \
                .fd = -1, .lock_fd = -1 \
        }

/*
 * Makes PATH (mode 0666; its folder is made if it is missing, a file left by a daemon that died is replaced), or takes
 * what systemd passed (sd_listen_fds(3)). 0; -EADDRINUSE: another daemon listens there; -errno. Logs what is wrong.
 */
int listener_open(const char *path, struct listener *ret);
void listener_fini(struct listener *l); /* removes the socket and the lock */
