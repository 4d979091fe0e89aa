/* SPDX-License-Identifier: Apache-2.0 */
#include "proc/maps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#include "base/macro.h"
#include "proc/file.h"

#define MAPS_MAX (1u << 20) /* vm.max_map_count is 65530 unless raised */

/* "start-end perms offset major:minor inode   path" */
static bool maps_parse(char *line, struct maps_entry *ret) {
        struct maps_entry e = {};
        int path = 0;

        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &e.start, &e.end, e.perms,
                   &e.offset, &e.dev_major, &e.dev_minor, &e.inode, &path) < 7 ||
            path == 0)
                return false;
        e.path = line + path;
        line[path + (int)strcspn(line + path, "\n")] = '\0';
        *ret = e;
        return true;
}

int maps_each(const char *root, uint32_t pid, maps_fn *each, void *userdata) {
        _cleanup_fclose_ FILE *f = NULL;
        _cleanup_free_ char *line = NULL;
        char path[PROC_PATH_MAX];
        size_t room = 0;
        int r;

        r = proc_path(path, root, pid, "maps");
        if (r < 0)
                return r;
        f = fopen(path, "re");
        if (!f)
                return proc_error(errno);
        for (unsigned n = 0; n < MAPS_MAX; n++) {
                struct maps_entry e;

                errno = 0;
                if (getline(&line, &room, f) < 0)
                        return errno > 0 ? proc_error(errno) : 0;
                if (!maps_parse(line, &e))
                        continue;
                r = each(userdata, &e);
                if (r != 0)
                        return r;
        }
        return -E2BIG;
}
