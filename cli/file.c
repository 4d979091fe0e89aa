/* SPDX-License-Identifier: Apache-2.0 */
#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

void file_fini(struct file *f) {
        if (f->fd >= 0 && f->fd != STDOUT_FILENO)
                close(f->fd);
        if (f->temporary)
                unlink(f->temporary);
        free(f->temporary);
        free(f->target);
        free(f->path);
        *f = FILE_NULL;
}

/* The mode a plain open() would have given it. */
static mode_t default_mode(void) {
        mode_t mask = umask(0);

        umask(mask);
        return 0666 & ~mask;
}

/* `old` is what it will replace, NULL: nothing. */
static int open_temporary(struct file *f, const struct stat *old) {
        const char *slash = strrchr(f->target, '/');
        int folder = slash ? (int)(slash - f->target) + 1 : 0;

        if (asprintf(&f->temporary, "%.*s.pyprofctl.XXXXXX", folder, f->target) < 0) {
                f->temporary = NULL;
                return -ENOMEM;
        }
        f->fd = mkostemp(f->temporary, O_CLOEXEC);
        if (f->fd < 0) {
                int error = errno;

                free(TAKE_PTR(f->temporary));
                return -error;
        }
        if (old && geteuid() == 0 && fchown(f->fd, old->st_uid, old->st_gid) < 0)
                return -errno;
        /* Set-id bits were for what the old one held. */
        if (fchmod(f->fd, old ? old->st_mode & 0777 : default_mode()) < 0)
                return -errno;
        return 0;
}

int file_open(const char *path, struct file *ret) {
        _cleanup_file_ struct file f = FILE_NULL;
        struct stat st;
        bool exists;
        int r;

        f.path = strdup(strcmp(path, "-") == 0 ? "stdout" : path);
        if (!f.path)
                return -ENOMEM;
        exists = stat(path, &st) == 0;
        if (strcmp(path, "-") == 0) {
                f.fd = STDOUT_FILENO;
        } else if (exists && !S_ISREG(st.st_mode)) {
                f.fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
                if (f.fd < 0)
                        return -errno;
        } else {
                /* One that may not be written must not be replaced either, though its folder would allow it. */
                if (exists && access(path, W_OK) < 0)
                        return -errno;
                f.target = exists ? realpath(path, NULL) : strdup(path);
                if (!f.target)
                        return -errno;
                r = open_temporary(&f, exists ? &st : NULL);
                if (r < 0)
                        return r;
        }
        *ret = f;
        f = FILE_NULL;
        return 0;
}

int file_commit(struct file *f) {
        if (!f->target)
                return 0;
        if (fsync(f->fd) < 0 || close(TAKE_FD(f->fd)) < 0 || rename(f->temporary, f->target) < 0)
                return -errno;
        free(TAKE_PTR(f->temporary));
        return 0;
}
