/* SPDX-License-Identifier: Apache-2.0 */
/* A file that is written whole or not at all: what was there before stays until its successor is complete. */
#pragma once

#include <stdbool.h>

#include "base/macro.h"

struct file {
        int fd;
        char *path;      /* as errors name it */
        char *target;    /* what is replaced, links followed; NULL: written in place (stdout, a device, a pipe) */
        char *temporary; /* beside it; NULL: none, or renamed already */
};

#define FILE_NULL        \
        (struct file) {  \
                .fd = -1 \
        }

/* "-" is stdout. 0, -errno. */
int file_open(const char *path, struct file *ret);
/* 0, -errno; then the file is as it was. */
int file_commit(struct file *f);
/* Drops what was not committed. */
void file_fini(struct file *f);
#define _cleanup_file_ _cleanup_(file_fini)
