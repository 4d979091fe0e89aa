/* SPDX-License-Identifier: Apache-2.0 */
/* Links of BPF programs: those of uprobes that libbpf 1.1 does not know, and the end of many of them at once. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bpf_link;

/* libbpf's, or a bare descriptor where it has none. */
struct link {
        struct bpf_link *libbpf; /* NULL: none */
        int fd;                  /* 0: none. What a link is given is never 0, which is stdin. */
};

/* BPF_TRACE_UPROBE_MULTI of Linux 6.6, commit 89ae89f53d20: what a program must be loaded for, and attached as. The
 * end of such a link does not hold the kernel's event_mutex while it waits, so that many can wait at a time. */
#define LINK_UPROBE_MULTI 48
bool links_can_uprobe_multi(void);
int link_uprobe_multi(int program_fd, const char *path, uint64_t offset, uint64_t cookie, struct link *ret);

/* Empty ones in between are fine. All are gone when it returns: each waits for the kernel, and those that wait
 * together wait once. */
void links_destroy(struct link *links, size_t n);
