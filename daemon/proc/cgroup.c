/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/cgroup.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/macro.h"
#include "base/utf8.h"
#include "proc/file.h"

#define CONTAINER_ID_SIZE 64

/* One component of a path: not terminated. */
struct component {
        const char *s;
        size_t n;
};

static bool component_next(const char **path, const char *end, struct component *ret) {
        while (*path < end && **path == '/')
                (*path)++;
        if (*path >= end)
                return false;
        ret->s = *path;
        while (*path < end && **path != '/')
                (*path)++;
        ret->n = (size_t)(*path - ret->s);
        return true;
}

static bool component_starts(struct component c, const char *prefix) {
        return c.n > strlen(prefix) && memcmp(c.s, prefix, strlen(prefix)) == 0;
}

static bool component_is(struct component c, const char *text) {
        return c.n == strlen(text) && memcmp(c.s, text, c.n) == 0;
}

static bool component_ends(struct component c, const char *suffix) {
        size_t n = strlen(suffix);

        return c.n > n && memcmp(c.s + c.n - n, suffix, n) == 0;
}

static void component_copy(char ret[static CGROUP_NAME_MAX], struct component c) {
        size_t n = MIN(c.n, (size_t)CGROUP_NAME_MAX - 1);

        memcpy(ret, c.s, n);
        ret[n] = '\0';
        utf8_clean(ret);
}

static struct component component_strip(struct component c, const char *prefix, const char *suffix) {
        if (component_starts(c, prefix)) {
                c.s += strlen(prefix);
                c.n -= strlen(prefix);
        }
        if (component_ends(c, suffix))
                c.n -= strlen(suffix);
        return c;
}

static bool component_is_unit(struct component c) {
        static const char *const suffixes[] = {".service", ".scope", ".socket", ".mount", ".swap"};

        for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++)
                if (component_ends(c, suffixes[i]))
                        return true;
        return false;
}

/*
 * A 64-digit id that ends the component: "docker-<id>.scope", "cri-containerd-<id>.scope", "crio-<id>.scope",
 * "libpod-<id>.scope", plain "<id>" below docker/ or kubepods/, "…slice:cri-containerd:<id>". conmon's own group is
 * named after the container it looks after, but is none.
 */
static bool component_container_id(struct component c, struct component *ret) {
        struct component id = component_strip(c, "", ".scope");
        size_t before;

        if (id.n < CONTAINER_ID_SIZE)
                return false;
        before = id.n - CONTAINER_ID_SIZE;
        for (size_t i = before; i < id.n; i++)
                if (!isxdigit((unsigned char)id.s[i]))
                        return false;
        if (before > 0 && id.s[before - 1] != '-' && id.s[before - 1] != ':')
                return false;
        if (before >= strlen("conmon-") && memcmp(id.s + before - strlen("conmon-"), "conmon-", strlen("conmon-")) == 0)
                return false;
        *ret = (struct component){id.s + before, CONTAINER_ID_SIZE};
        return true;
}

/* systemd writes bytes that a unit name cannot hold as \xHH. */
static void name_unescape(char *name) {
        char *to = name;

        for (const char *s = name; *s; s++) {
                unsigned byte;

                if (s[0] == '\\' && s[1] == 'x' && isxdigit((unsigned char)s[2]) && isxdigit((unsigned char)s[3]) &&
                    sscanf(s + 2, "%2x", &byte) == 1 && byte != 0) {
                        *to++ = (char)byte;
                        s += 3;
                } else
                        *to++ = *s;
        }
        *to = '\0';
        utf8_clean(name);
}

/* Names that lxc and systemd-nspawn give: "lxc/NAME", "lxc.payload.NAME", "lxc.payload/NAME",
 * "systemd-nspawn@NAME.service", "machine-NAME.scope". A virtual machine's scope (machine-qemu…) holds none. */
static bool component_container_name(struct component previous, struct component c, struct component *ret) {
        if (component_is(previous, "lxc") || component_is(previous, "lxc.payload"))
                *ret = c;
        else if (component_starts(c, "lxc.payload."))
                *ret = component_strip(c, "lxc.payload.", "");
        else if (component_starts(c, "systemd-nspawn@") && component_ends(c, ".service"))
                *ret = component_strip(c, "systemd-nspawn@", ".service");
        else if (component_starts(c, "machine-") && component_ends(c, ".scope") && !component_starts(c, "machine-qemu"))
                *ret = component_strip(c, "machine-", ".scope");
        else
                return false;
        return true;
}

static void path_container(const char *path, const char *end, struct cgroup_names *ret) {
        struct component c, previous = {"", 0}, found;

        while (component_next(&path, end, &c)) {
                if (component_container_id(c, &found))
                        component_copy(ret->container, found);
                else if (component_container_name(previous, c, &found)) {
                        component_copy(ret->container, found);
                        name_unescape(ret->container);
                }
                previous = c;
        }
}

static void path_unit(const char *path, const char *end, struct cgroup_names *ret) {
        struct component c;

        while (component_next(&path, end, &c)) {
                /* a leading underscore is systemd's escape for names that would clash with kernel files */
                if (c.n > 1 && c.s[0] == '_')
                        c = (struct component){c.s + 1, c.n - 1};
                if (component_is_unit(c))
                        component_copy(ret->unit, c);
        }
}

/* "hierarchy:controllers:path" lines. The unit is named by systemd's own v1 hierarchy and by v2, the container by any.
 */
void cgroup_parse(const char *text, struct cgroup_names *ret) {
        *ret = (struct cgroup_names){};

        while (*text) {
                const char *end = text + strcspn(text, "\n");
                const char *controllers = memchr(text, ':', (size_t)(end - text));
                const char *path = controllers ? memchr(controllers + 1, ':', (size_t)(end - controllers - 1)) : NULL;

                if (path) {
                        struct component c = {controllers + 1, (size_t)(path - controllers - 1)};

                        path++;
                        if (ret->unit[0] == '\0' && (c.n == 0 || component_is(c, "name=systemd")))
                                path_unit(path, end, ret);
                        if (ret->container[0] == '\0')
                                path_container(path, end, ret);
                }
                text = *end ? end + 1 : end;
        }
}

int cgroup_read(const char *root, uint32_t pid, struct cgroup_names *ret) {
        char text[16 * 1024];
        ssize_t n;

        n = proc_read(root, pid, "cgroup", text, sizeof(text));
        if (n < 0)
                return (int)n;
        cgroup_parse(text, ret);
        return 0;
}
