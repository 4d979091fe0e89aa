/* SPDX-License-Identifier: Apache-2.0 */
/* The mappings of a process, as /proc/PID/maps tells them. */
#pragma once

#include <stdint.h>

struct maps_entry {
        uint64_t start, end; /* [start, end) */
        uint64_t offset;     /* in the file */
        char perms[5];       /* "r-xp" */
        unsigned dev_major, dev_minor;
        uint64_t inode;   /* 0: no file */
        const char *path; /* as the kernel writes it, with " (deleted)"; "" if anonymous; lives for the call only */
};

typedef int maps_fn(void *userdata, const struct maps_entry *e);

/* Calls `each` for every mapping, in the order of addresses. What it returns other than 0 ends the walk and is passed
 * on. `root` is where proc is mounted. 0; -ESRCH: the process is gone; -EACCES, -EPERM; -E2BIG: an absurd number. */
int maps_each(const char *root, uint32_t pid, maps_fn *each, void *userdata);
