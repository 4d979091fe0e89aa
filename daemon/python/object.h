/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Single objects of another process: str, int, dict and instance attributes. For remote.c and names.c only.
 * Sources: Include/cpython/unicodeobject.h, Include/cpython/longintrepr.h, Objects/dictobject.c,
 * Include/internal/pycore_dict.h and pycore_object.h of CPython 3.6-3.15.
 */
#pragma once

#include "python/remote.h"

#define OBJECT_STRING_MAX 65536 /* characters; longer strings are cut */

int object_u64(const struct remote *r, uint64_t address, uint64_t *ret);

/* A str in UTF-8, the caller's to free(). */
int object_string(const struct remote *r, uint64_t object, char **ret);

/* 1 when it is an ASCII str equal to `text` (at most 63 bytes), 0 when it is not, -errno when it cannot be read. */
int object_string_equal(const struct remote *r, uint64_t object, const char *text);

/* An int from 0 to UINT64_MAX; -ERANGE for others. */
int object_long(const struct remote *r, uint64_t object, uint64_t *ret);

/* Called for every item; the walk ends early, and passes it on, when the result is not 0. */
typedef int object_item_fn(void *userdata, const struct remote *r, uint64_t key, uint64_t value);
int object_dict_each(const struct remote *r, uint64_t dict, object_item_fn *each, void *userdata);

/* The value under an ASCII key; -ENOENT when there is none. */
int object_dict_find(const struct remote *r, uint64_t dict, const char *key, uint64_t *ret);
int object_attribute(const struct remote *r, uint64_t object, const char *name, uint64_t *ret);
