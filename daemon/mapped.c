/* SPDX-License-Identifier: Apache-2.0 */
#include "mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "base/macro.h"
#include "proc/maps.h"

/* A descriptor that only names a file becomes one to read from. The file has been looked at: no device is opened, no
 * FIFO waited for. */
static int reopen(int named) {
        char path[64];
        int fd;

        snprintf(path, sizeof(path), "/proc/self/fd/%d", named);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
        return fd < 0 ? -errno : fd;
}

static bool is_mapped(const struct stat *st, const struct mapped *m) {
        if (!S_ISREG(st->st_mode) || st->st_ino != m->inode)
                return false;
        /* Subvolumes of btrfs and layers of overlayfs have devices of their own, which have no driver: major 0. */
        return (major(st->st_dev) == m->major && minor(st->st_dev) == m->minor) || major(st->st_dev) == 0;
}

static int mapped_on_map(void *userdata, const struct maps_entry *e) {
        const struct mapped *m = userdata;

        if (e->start != m->start)
                return 0;
        return e->end == m->end && e->offset == m->offset && e->inode == m->inode && e->dev_major == m->major &&
               e->dev_minor == m->minor;
}

/* Through the mapping itself: works for deleted files and in other mount namespaces. A file that overlayfs has copied
 * up has another inode number in stat() than in its mappings: there the mapping is asked again. */
static int mapped_open_mapping(const char *proc_root, const struct mapped *m) {
        _cleanup_close_ int named = -1;
        char path[PATH_MAX];
        struct stat st;

        snprintf(path, sizeof(path), "%s/%u/map_files/%lx-%lx", proc_root, m->pid, m->start, m->end);
        named = open(path, O_PATH | O_CLOEXEC);
        if (named < 0)
                return -errno;
        if (fstat(named, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -ESTALE;
        if (!is_mapped(&st, m) && maps_each(proc_root, m->pid, mapped_on_map, (void *)m) <= 0)
                return -ESTALE;
        return reopen(named);
}

/* By its path below that root, links included, but never out of there. */
static int mapped_open_below(const char *root_path, const struct mapped *m) {
        struct open_how how = {.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
                               .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
        _cleanup_close_ int root = open(root_path, O_PATH | O_DIRECTORY | O_CLOEXEC), named = -1;
        struct stat st;

        if (root < 0)
                return -errno;
        named = (int)syscall(SYS_openat2, root, m->path, &how, sizeof(how));
        if (named < 0 || fstat(named, &st) < 0)
                return -errno;
        return is_mapped(&st, m) ? reopen(named) : -ESTALE;
}

int mapped_open(const char *proc_root, const struct mapped *m) {
        char root[PATH_MAX];
        int fd;

        fd = mapped_open_mapping(proc_root, m);
        if (fd >= 0)
                return fd;
        snprintf(root, sizeof(root), "%s/%u/root", proc_root, m->pid);
        fd = mapped_open_below(root, m);
        /* The process is gone, or a zombie, which has no root; the file may be the host's, or ours. */
        if (fd == -ENOENT || fd == -ESRCH || fd == -EACCES) {
                snprintf(root, sizeof(root), "%s/1/root", proc_root);
                fd = mapped_open_below(root, m);
        }
        if (fd == -EACCES)
                fd = mapped_open_below("/", m);
        return fd;
}

int mapped_open_path(const char *path) {
        _cleanup_close_ int named = open(path, O_PATH | O_CLOEXEC);
        struct stat st;

        if (named < 0 || fstat(named, &st) < 0)
                return -errno;
        return S_ISREG(st.st_mode) ? reopen(named) : -ESTALE;
}

int mapped_identify(int fd, struct mapped_identity *ret) {
        struct mapped_identity id = {};
        long generation = 0; /* that is what the request's number says; file systems write an int */
        struct stat st;

        if (fstat(fd, &st) < 0)
                return -errno;
        id.size = (uint64_t)st.st_size;
        id.modified = st.st_mtim.tv_sec * (int64_t)NSEC_PER_SEC + st.st_mtim.tv_nsec;
        if (ioctl(fd, FS_IOC_GETVERSION, &generation) == 0) {
                id.generation_known = true;
                id.generation = (uint32_t)generation;
        }
        *ret = id;
        return 0;
}

bool mapped_identity_equal(const struct mapped_identity *a, const struct mapped_identity *b) {
        if (a->generation_known && b->generation_known && a->generation != b->generation)
                return false;
        return a->size == b->size && a->modified == b->modified;
}
