/* SPDX-License-Identifier: Apache-2.0 */
#include "links.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "base/macro.h"

#define THREADS_MAX 32
#define STACK_SIZE (128 * 1024)

/* The part of union bpf_attr that BPF_LINK_CREATE reads for uprobes: headers before 6.6 lack it. */
struct uprobe_multi_attr {
        uint32_t program_fd, target_fd, attach_type, flags;
        uint64_t path, offsets, ref_ctr_offsets, cookies;
        uint32_t count, uprobe_flags, pid, reserved;
};

int link_uprobe_multi(int program_fd, const char *path, uint64_t offset, uint64_t cookie, struct link *ret) {
        struct uprobe_multi_attr attr = {
                        .program_fd = (uint32_t)program_fd,
                        .attach_type = LINK_UPROBE_MULTI,
                        .path = (uintptr_t)path,
                        .offsets = (uintptr_t)&offset,
                        .cookies = (uintptr_t)&cookie,
                        .count = 1,
        };
        int fd = (int)syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));

        if (fd < 0)
                return -errno;
        if (fd == 0) { /* whoever started us has closed stdin */
                fd = fcntl(0, F_DUPFD_CLOEXEC, 3);
                close(0);
                if (fd < 0)
                        return -errno;
        }
        *ret = (struct link){.fd = fd};
        return 0;
}

/* A folder cannot be probed: a kernel that knows the type says so, others know no such type. */
bool links_can_uprobe_multi(void) {
        const struct bpf_insn instructions[] = {
                        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0},
                        {.code = BPF_JMP | BPF_EXIT},
        };
        LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = (enum bpf_attach_type)LINK_UPROBE_MULTI);
        _cleanup_close_ int fd =
                        bpf_prog_load(BPF_PROG_TYPE_KPROBE, NULL, "GPL", instructions, ARRAY_SIZE(instructions), &opts);
        struct link unused;

        return fd >= 0 && link_uprobe_multi(fd, "/", 0, 0, &unused) == -EBADF;
}

struct destruction {
        struct link *links;
        size_t n;
        atomic_size_t next;
};

static void *links_work(void *userdata) {
        struct destruction *d = userdata;
        size_t i;

        while ((i = atomic_fetch_add(&d->next, 1)) < d->n) {
                bpf_link__destroy(d->links[i].libbpf);
                if (d->links[i].fd > 0)
                        close(d->links[i].fd);
                d->links[i] = (struct link){};
        }
        return NULL;
}

void links_destroy(struct link *links, size_t n) {
        struct destruction d = {.links = links, .n = n};
        pthread_t threads[THREADS_MAX];
        pthread_attr_t attr;
        size_t wanted = MIN(n, (size_t)THREADS_MAX), started = 0;

        pthread_attr_init(&attr);
        pthread_attr_setstacksize(&attr, STACK_SIZE);
        while (started + 1 < wanted && pthread_create(&threads[started], &attr, links_work, &d) == 0)
                started++;
        pthread_attr_destroy(&attr);
        links_work(&d); /* alone, if no thread could be had */
        while (started > 0)
                pthread_join(threads[--started], NULL);
}
