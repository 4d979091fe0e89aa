/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the memory of other processes without being held by them. A read faults in the target's pages, and a page of
 * userfaultfd or FUSE may never come: so a helper process reads, and is killed and replaced when it does not answer.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct reader;

/* Starts the helper: to be called early, while the process is small and holds little. */
int reader_new(struct reader **ret);
void reader_free(struct reader *r);

/* A job: what is read until the next one begins comes from `pid`, is read after this call, and page by page but once
 * (a small cache). Reads after `deadline` (CLOCK_MONOTONIC, ns; UINT64_MAX: none) fail. */
void reader_begin(struct reader *r, uint32_t pid, uint64_t deadline);

/* The same job with another deadline: goes on where the last one ended it, and keeps what was read. */
void reader_extend(struct reader *r, uint64_t deadline);

/* remote_read_fn; userdata is the reader. -EFAULT, -ESRCH, -EPERM: as process_vm_readv(2). The others end the job, all
 * further reads of it fail: -ETIMEDOUT: a page did not come in READER_NS; -ETIME: the deadline; -EBUSY: no helper. */
#define READER_NS UINT64_C(50000000)
int reader_read(void *userdata, uint64_t address, void *data, size_t size);

/* What ended the job; 0: it goes on. */
int reader_error(const struct reader *r);

/* For how long altogether reads waited for pages, as opposed to a CPU. */
uint64_t reader_blocked_ns(const struct reader *r);

/* CPU time that helpers have used. */
uint64_t reader_cpu_ns(const struct reader *r);
