/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file behind an executable mapping: opened so that whoever made the mapping cannot have another one opened, and
 * recognised when its inode number comes to mean another file.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Where a process has a file mapped. */
struct mapped {
        uint32_t pid;
        uint32_t major, minor; /* as the kernel tells of mappings; stat() may differ (overlayfs, btrfs) */
        uint64_t inode;
        bool generation_known;
        uint32_t generation; /* of the inode number: another one is another file */
        uint64_t start, end, offset;
        const char *path; /* as the process sees it */
};

/* Tells a file from another one, or from what it was, when its inode number is the same. */
struct mapped_identity {
        bool generation_known;
        uint32_t generation;
        uint64_t size;
        int64_t modified; /* ns */
};

/* A descriptor to read from, which is the caller's; -ESTALE: what is there now is another file or no regular one. */
int mapped_open(const char *proc_root, const struct mapped *m);

/* A regular file by its path, the same way. */
int mapped_open_path(const char *path);

int mapped_identify(int fd, struct mapped_identity *ret);
/* Whether both are the same file, unchanged, as far as can be told. */
bool mapped_identity_equal(const struct mapped_identity *a, const struct mapped_identity *b);
