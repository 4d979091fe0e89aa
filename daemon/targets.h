/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter binaries that are followed: their places in the kernel's maps, the probes where they start, and who
 * gives way when there are no places left.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "probe.h"
#include "python/image.h"

struct targets;

/* One place at one time: stays what it is when the place is given to another binary. */
struct target_ref {
        uint32_t index;
        uint64_t serial; /* 0: none */
};

/* `probe` is borrowed. */
int targets_new(struct probe *probe, struct targets **ret);
void targets_free(struct targets *t); /* NULL is fine */

/* Takes over `fd`, of the binary's file, in any case. -E2BIG: each place has a live process or is fresh. */
int targets_add(struct targets *t, struct image *image, int fd, struct target_ref *ret);

bool targets_has(const struct targets *t, struct target_ref ref);
int targets_fd(const struct targets *t, struct target_ref ref);
/* Its processes are found by the probe at their start, and need not be looked for. */
bool targets_finds(const struct targets *t, struct target_ref ref, uint64_t now);
/* A process of it was met. */
void targets_touch(struct targets *t, struct target_ref ref, uint64_t now);
/* Its file is another one now: first to give way. */
void targets_abandon(struct targets *t, struct target_ref ref);

/* Gives back the places of deleted and abandoned files that no process runs any more. */
void targets_tidy(struct targets *t, uint64_t now);

/* Borrowed; NULL: unknown. */
const struct image *targets_image(const struct targets *t, uint32_t index);
