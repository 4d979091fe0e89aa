/* SPDX-License-Identifier: Apache-2.0 */
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>

#include "base/log.h"

void listener_fini(struct listener *l) {
        struct stat st;

        if (l->fd >= 0)
                close(l->fd);
        if (l->path && l->inode && stat(l->path, &st) == 0 && st.st_dev == l->device && st.st_ino == l->inode)
                unlink(l->path);
        if (l->lock_fd >= 0) {
                unlink(l->lock_path);
                close(l->lock_fd);
        }
        free(l->path);
        free(l->lock_path);
        *l = LISTENER_NULL;
}

/* Makes every folder above `path`. */
static int make_folders(const char *path) {
        char folder[PATH_MAX];

        if (strlen(path) >= sizeof(folder))
                return -ENAMETOOLONG;
        for (const char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
                memcpy(folder, path, (size_t)(slash - path));
                folder[slash - path] = '\0';
                if (mkdir(folder, 0755) < 0 && errno != EEXIST)
                        return -errno;
        }
        return 0;
}

/* Who unlinks a lock file may leave another one holding the lock of a file without a name: check that it is still
 * there. */
static int lock_open(const char *path, int *ret_fd) {
        for (int i = 0; i < 100; i++) {
                _cleanup_close_ int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                struct stat held, named;

                if (fd < 0)
                        return -errno;
                if (flock(fd, LOCK_EX | LOCK_NB) < 0)
                        return errno == EWOULDBLOCK ? -EADDRINUSE : -errno;
                if (fstat(fd, &held) == 0 && stat(path, &named) == 0 && held.st_ino == named.st_ino &&
                    held.st_dev == named.st_dev) {
                        *ret_fd = TAKE_FD(fd);
                        return 0;
                }
        }
        return -EAGAIN;
}

/* Whether somebody answers; a socket file that nobody listens on is removed. */
static int path_claim(const char *path, const struct sockaddr_un *address) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat st;

        if (fd < 0)
                return -errno;
        if (lstat(path, &st) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (!S_ISSOCK(st.st_mode))
                return -ENOTSOCK;
        if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
                return -EADDRINUSE;
        if (errno != ECONNREFUSED)
                return -errno;
        return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

static int path_listen(const char *path, struct listener *l) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        struct stat st;
        int r;

        if (strlen(path) >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        strcpy(address.sun_path, path);
        r = path_claim(path, &address);
        if (r < 0)
                return r;
        l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (l->fd < 0)
                return -errno;
        if (bind(l->fd, (struct sockaddr *)&address, sizeof(address)) < 0)
                return -errno;
        if (stat(path, &st) < 0)
                return -errno;
        l->device = st.st_dev;
        l->inode = st.st_ino;
        if (chmod(path, 0666) < 0) /* SO_PEERCRED decides who sees what */
                return -errno;
        return listen(l->fd, SOMAXCONN) < 0 ? -errno : 0;
}

static int listener_activated(struct listener *l) {
        int n = sd_listen_fds(/* unset_environment= */ 1);

        if (n <= 0)
                return n;
        if (n > 1 || sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0)
                return log_error_errno(EINVAL, "systemd passed something else than one listening UNIX stream socket");
        l->fd = SD_LISTEN_FDS_START;
        if (fcntl(l->fd, F_SETFL, O_NONBLOCK) < 0)
                return log_error_errno(errno, "cannot use the socket that systemd passed: %m");
        return 1;
}

static int listener_make(struct listener *l, const char *path) {
        int r;

        l->path = strdup(path);
        if (!l->path || asprintf(&l->lock_path, "%s.lock", path) < 0) {
                l->lock_path = NULL; /* undefined after a failure */
                return log_error_errno(ENOMEM, "cannot listen on %s: %m", path);
        }
        r = make_folders(path);
        if (r < 0)
                return log_error_errno(r, "cannot make the folder of %s: %m", path);
        r = lock_open(l->lock_path, &l->lock_fd);
        if (r >= 0)
                r = path_listen(path, l);
        if (r == -EADDRINUSE)
                return log_error_errno(r, "another pyprofd is listening on %s", path);
        if (r < 0)
                return log_error_errno(r, "cannot listen on %s: %m", path);
        return 0;
}

int listener_open(const char *path, struct listener *ret) {
        _cleanup_(listener_fini) struct listener l = LISTENER_NULL;
        int r;

        r = listener_activated(&l);
        if (r == 0)
                r = listener_make(&l, path);
        if (r < 0)
                return r;
        *ret = l;
        l = LISTENER_NULL;
        return 0;
}
