/* SPDX-License-Identifier: Apache-2.0 */
/* For unit tests: the interpreters of `tests/setup/interpreters list`, and the one that a process runs. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "python/image.h"

#define INTERPRETERS_MAX 32

struct interpreter {
        char name[64], version[24], kind[16], command[512];
};

/* The number of them, or -errno. Runs from the root of the source tree. */
int interpreters_list(struct interpreter *ret, size_t max);

/* Starts `interpreter` on a script, with pipes to its standard input and output. */
struct interpreter_process {
        pid_t pid;
        int in;
        FILE *out;
};
int interpreter_start(const struct interpreter *i, const char *script, struct interpreter_process *ret);
void interpreter_stop(struct interpreter_process *p);

/* Finds the image with a Python in it among the mappings of `pid`: 0 or -ENOENT. */
int interpreter_image(pid_t pid, struct image *ret_image, uint64_t *ret_bias, char *ret_path, size_t path_size);
