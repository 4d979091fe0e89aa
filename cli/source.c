/* SPDX-License-Identifier: Apache-2.0 */
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define SIZE_LIMIT (16 << 20)

void source_fini(struct source *s) {
        free(s->data);
        free(s->lines);
        *s = (struct source){};
}

static int read_whole(int fd, char **ret, size_t *ret_size) {
        _cleanup_free_ char *data = malloc(SIZE_LIMIT + 1);
        size_t size = 0;

        if (!data)
                return -ENOMEM;
        while (size < SIZE_LIMIT) {
                ssize_t n = read(fd, data + size, SIZE_LIMIT - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t)n;
        }
        data[size] = '\0';
        *ret = TAKE_PTR(data);
        *ret_size = size;
        return 0;
}

/* Lines end in \n, \r\n or \r; a NUL ends one too. */
static int split(struct source *s, size_t size) {
        size_t room = 1;

        for (size_t i = 0; i < size; i++)
                if (s->data[i] == '\n' || s->data[i] == '\r')
                        room++;
        s->lines = calloc(room, sizeof(*s->lines));
        if (!s->lines)
                return -ENOMEM;
        for (char *p = s->data, *end = s->data + size; p < end;) {
                size_t n = 0;

                while (p + n < end && p[n] != '\n' && p[n] != '\r')
                        n++;
                s->lines[s->n++] = p;
                if (p + n < end && p[n] == '\r' && p[n + 1] == '\n')
                        p[n++] = '\0';
                p[n] = '\0';
                p += n + 1;
        }
        return 0;
}

/* The name came from a process: it may be a FIFO, where open() would wait, or a device, where it would do something. */
static int open_regular(const char *path, struct stat *ret) {
        _cleanup_close_ int place = open(path, O_PATH | O_CLOEXEC);
        char name[32];
        int fd;

        if (place < 0)
                return -errno;
        if (fstat(place, ret) < 0)
                return -errno;
        if (!S_ISREG(ret->st_mode))
                return -EINVAL;
        snprintf(name, sizeof(name), "/proc/self/fd/%d", place);
        fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        return fd < 0 ? -errno : fd;
}

int source_read(const char *path, struct source *ret) {
        _cleanup_source_ struct source s = {};
        _cleanup_close_ int fd = -1;
        struct stat st;
        size_t size = 0;
        int r;

        fd = open_regular(path, &st);
        if (fd < 0)
                return fd;
        if (st.st_size > SIZE_LIMIT)
                return -EFBIG;
        s.changed = (int64_t)st.st_mtim.tv_sec * (int64_t)NSEC_PER_SEC + st.st_mtim.tv_nsec;
        r = read_whole(fd, &s.data, &size);
        if (r < 0)
                return r;
        r = split(&s, size);
        if (r < 0)
                return r;
        *ret = s;
        s = (struct source){};
        return 0;
}

const char *source_line(const struct source *s, size_t line) {
        return line >= 1 && line <= s->n ? s->lines[line - 1] : NULL;
}

static size_t indent(const char *line) {
        size_t n = 0;

        for (; *line == ' ' || *line == '\t'; line++)
                n = *line == '\t' ? (n / 8 + 1) * 8 : n + 1;
        return n;
}

/* Is this `def name(` or `async def name(`? */
static bool defines(const char *line, const char *name) {
        size_t n = strlen(name);

        line += strspn(line, " \t");
        if (strncmp(line, "async", 5) == 0)
                line += 5 + strspn(line + 5, " \t");
        if (strncmp(line, "def", 3) != 0)
                return false;
        line += 3 + strspn(line + 3, " \t");
        return strncmp(line, name, n) == 0 && strspn(line + n, " \t([") > 0;
}

static bool is_blank(const char *line) {
        line += strspn(line, " \t\f");
        return *line == '\0' || *line == '#';
}

void source_block(const struct source *s, const char *name, size_t low, size_t high, size_t *ret_first,
                  size_t *ret_last) {
        const char *dot = strrchr(name, '.'), *last_name = dot ? dot + 1 : name;
        size_t first = low, last = high, depth;

        if (strcmp(name, "<module>") == 0) {
                *ret_first = 1;
                *ret_last = s->n;
                return;
        }
        while (first > 1 && !(source_line(s, first) && defines(source_line(s, first), last_name)))
                first--;
        if (!source_line(s, first) || !defines(source_line(s, first), last_name)) {
                *ret_first = low; /* a lambda or a comprehension, or the file is another one by now */
                *ret_last = high;
                return;
        }
        depth = indent(source_line(s, first));
        for (size_t i = first + 1; i <= s->n; i++) {
                const char *line = source_line(s, i), *text = line + strspn(line, " \t");

                if (is_blank(line))
                        continue;
                if (i > high && indent(line) <= depth && *text != ')')
                        break;
                last = MAX(last, i);
        }
        *ret_first = first;
        *ret_last = last;
}
