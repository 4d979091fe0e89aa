/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an ELF file says about the CPython inside it. Pure: reads one descriptor, needs no root, trusts nothing in it.
 * Knows 2.7, PyPy, debug and free-threaded builds well enough to say why they are not profiled.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macro.h"
#include "target.h"

struct image {
        unsigned refs;    /* image_ref(); 0: not counted, part of something else */
        char version[24]; /* "3.11.2"; for an unsupported one what is known, "" if nothing */
        uint16_t number;  /* minor | major << 8 */
        bool python;      /* some Python interpreter lives in this image */
        bool supported;
        bool shared; /* the interpreter is a shared object (libpython) and no executable */
        bool free_threaded;
        bool debug;
        char reason[96]; /* why it is not supported, one clause: "free-threaded build" */
        uint64_t lowest; /* lowest p_vaddr of the PT_LOAD segments, page aligned: what the load bias is counted from */
        uint64_t probe_offset;         /* FILE offset of PyImport_ImportFrozenModule, for the uprobe; 0: none */
        uint64_t debug_offsets;        /* virtual address of _PyRuntime when it holds _Py_DebugOffsets; else 0 */
        struct target_image addresses; /* virtual addresses in the file */
        struct target target;          /* offsets, complete when supported */
        char usdt[512];                /* space separated names of the `python` provider's USDT notes */
};

/*
 * Reads the image behind `fd` (an ELF file, opened for reading; stays the caller's). A file that is no ELF or holds no
 * Python is an answer: 0 with ret->python false. -errno when it cannot be read; a malformed one is -EBADMSG.
 * Sources: ELF gABI; symbol names and structures of CPython 3.6-3.15.
 */
int image_read(int fd, struct image *ret);

/* For images that were calloc()ed, with refs set to 1. NULL is fine. */
struct image *image_ref(struct image *i);
void image_unref(struct image *i);

/* Load bias of `image` for a mapping of its file: address of the mapping, its file offset. The first PT_LOAD that holds
 * the offset gives it. Returns -ENOENT when no segment does. */
int image_bias(int fd, uint64_t map_start, uint64_t map_offset, uint64_t *ret_bias);
