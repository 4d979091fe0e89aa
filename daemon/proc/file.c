/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/file.h"

#include <errno.h>
#include <fcntl.h>

#include "base/macro.h"

int proc_path(char path[static PROC_PATH_MAX], const char *root, uint32_t pid, const char *name) {
        int n = snprintf(path, PROC_PATH_MAX, "%s/%u/%s", root, pid, name);

        return n < 0 || n >= PROC_PATH_MAX ? -ENAMETOOLONG : 0;
}

int proc_error(int error) {
        return error == ENOENT ? -ESRCH : -error;
}

ssize_t proc_read(const char *root, uint32_t pid, const char *name, char *data, size_t size) {
        _cleanup_close_ int fd = -1;
        char path[PROC_PATH_MAX];
        size_t done = 0;
        int r;

        r = proc_path(path, root, pid, name);
        if (r < 0)
                return r;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return proc_error(errno);
        while (done < size - 1) {
                ssize_t n = read(fd, data + done, size - 1 - done);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                done += (size_t)n;
        }
        data[done] = '\0';
        return (ssize_t)done;
}
