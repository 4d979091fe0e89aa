/* SPDX-License-Identifier: Apache-2.0 */
/* Which systemd unit and which container a process belongs to, from the names of its control groups. */
#pragma once

#include <stdint.h>

#define CGROUP_NAME_MAX 256 /* systemd's UNIT_NAME_MAX */

struct cgroup_names {
        char unit[CGROUP_NAME_MAX];      /* innermost systemd unit, user units too; "" if none */
        char container[CGROUP_NAME_MAX]; /* innermost container: id, or the name where lxc and nspawn have one; "" */
};

/* What /proc/PID/cgroup says, of cgroup v1, v2 or both. Names are cleaned to printable UTF-8. */
void cgroup_parse(const char *text, struct cgroup_names *ret);

/* 0, -ESRCH when the process is gone, -errno. */
int cgroup_read(const char *root, uint32_t pid, struct cgroup_names *ret);
