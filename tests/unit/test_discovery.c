/* SPDX-License-Identifier: Apache-2.0 */
/* Which file is opened for a mapping, while whoever made the mapping tries to have another one opened. */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/macro.h"
#include "mapped.h"
#include "proc/maps.h"

struct bed {
        char folder[64], file[96], secret[96], path[96];
        struct mapped mapped;
};

static void write_file(const char *path, const char *text) {
        int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

        assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
        close(fd);
}

static int on_map(void *userdata, const struct maps_entry *e) {
        struct bed *b = userdata;

        if (strcmp(e->path, b->file) != 0)
                return 0;
        b->mapped = (struct mapped){
                        .pid = (uint32_t)getpid(),
                        .major = e->dev_major,
                        .minor = e->dev_minor,
                        .inode = e->inode,
                        .start = e->start,
                        .end = e->end,
                        .offset = e->offset,
                        .path = b->file,
        };
        return 1;
}

static void *bed_map(struct bed *b) {
        int fd = open(b->file, O_RDONLY | O_CLOEXEC);
        void *at = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);

        assert(fd >= 0 && at != MAP_FAILED);
        close(fd);
        assert(maps_each("/proc", (uint32_t)getpid(), on_map, b) == 1);
        return at;
}

static bool opens(const struct mapped *m, const char *text) {
        _cleanup_close_ int fd = mapped_open("/proc", m);
        char found[64] = "";

        return fd >= 0 && read(fd, found, sizeof(found) - 1) >= 0 && strcmp(found, text) == 0;
}

static void test_open(struct bed *b) {
        struct mapped m = b->mapped;

        assert(opens(&m, "program"));
        m.inode++;
        assert(mapped_open("/proc", &m) == -ESTALE);
        m = b->mapped;
        m.end = m.start; /* no such mapping: by its path */
        assert(opens(&m, "program"));
        snprintf(b->path, sizeof(b->path), "%s/link/file", b->folder);
        m.path = b->path; /* through a link on the way */
        assert(opens(&m, "program"));
        m.pid = INT32_MAX; /* nobody's */
        m.path = "/nowhere";
        assert(mapped_open("/proc", &m) < 0);
}

static void test_replaced(struct bed *b, void *at) {
        struct mapped m = b->mapped;
        struct stat st;

        assert(rename(b->file, b->path) == 0 && symlink(b->secret, b->file) == 0);
        munmap(at, 4096);
        assert(mapped_open("/proc", &m) == -ESTALE);
        assert(unlink(b->file) == 0 && mkfifo(b->file, 0600) == 0 && stat(b->file, &st) == 0);
        m.inode = st.st_ino;
        m.major = major(st.st_dev);
        m.minor = minor(st.st_dev);
        assert(mapped_open("/proc", &m) == -ESTALE); /* and does not wait for a writer */
        assert(mapped_open_path(b->file) == -ESTALE);
        assert(mapped_open_path("/dev/null") == -ESTALE);
}

static void test_identity(const char *path) {
        const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
        struct mapped_identity was, is;
        _cleanup_close_ int fd = mapped_open_path(path);

        assert(fd >= 0 && mapped_identify(fd, &was) == 0 && mapped_identify(fd, &is) == 0);
        assert(mapped_identity_equal(&was, &is));
        write_file(path, "more");
        assert(mapped_identify(fd, &is) == 0 && !mapped_identity_equal(&was, &is));
        was = is;
        assert(utimensat(AT_FDCWD, path, times, 0) == 0);
        assert(mapped_identify(fd, &is) == 0 && !mapped_identity_equal(&was, &is));
        was = is;
        was.generation_known = is.generation_known = true;
        was.generation = is.generation + 1;
        assert(!mapped_identity_equal(&was, &is));
        was.generation_known = false; /* not known is no difference */
        assert(mapped_identity_equal(&was, &is));
}

int main(void) {
        struct bed b = {.folder = "/tmp/test_discovery.XXXXXX"};
        char link[96];
        void *at;

        assert(mkdtemp(b.folder));
        snprintf(b.file, sizeof(b.file), "%s/file", b.folder);
        snprintf(b.secret, sizeof(b.secret), "%s/secret", b.folder);
        snprintf(link, sizeof(link), "%s/link", b.folder);
        write_file(b.file, "program");
        write_file(b.secret, "secret");
        assert(symlink(b.folder, link) == 0);

        at = bed_map(&b);
        test_open(&b);
        snprintf(b.path, sizeof(b.path), "%s/moved", b.folder);
        test_replaced(&b, at);
        test_identity(b.secret);

        unlink(b.path);
        unlink(b.file);
        unlink(b.secret);
        unlink(link);
        rmdir(b.folder);
        return 0;
}
