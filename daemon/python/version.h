/* SPDX-License-Identifier: Apache-2.0 */
/* CPython's version numbers, in the forms in which a binary holds them. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* From PY_VERSION_HEX (Include/patchlevel.h). -EBADMSG when it is none of Python 2.7 or 3; then nothing is written. */
int version_from_hex(uint64_t hex, char *ret_text, size_t size, uint16_t *ret_number);

/*
 * From constant data: the NUL-terminated PY_VERSION of 2.7 to 3.10. Other libraries' versions look alike (SQLite's is
 * 3.x.y too), so for Python 3 the cache tag "cpython-3X" must be there as well. -ENOENT when none is found.
 */
int version_from_text(const void *data, size_t data_size, char *ret_text, size_t size, uint16_t *ret_number);

/* Alphas and betas, whose structures still change. */
bool version_is_early(const char *text);
