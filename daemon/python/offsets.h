/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where each CPython version keeps what: the table is generated from debug information by tests/tools, never typed in
 * (python/offsets.inc), and for 3.13 and later overlaid with what the interpreter says of itself (_Py_DebugOffsets).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "target.h"

/* Offsets user space alone needs: thread names are read from threading's own dictionary. */
struct offsets_objects {
        uint16_t interp_modules; /* sys.modules: interp->modules or interp->imports.modules */
        uint16_t module_dict;    /* PyModuleObject.md_dict */
        uint16_t type_flags, type_dictoffset, type_name, type_basicsize;
        uint16_t dict_used, dict_keys, dict_values;
        uint16_t keys_size, keys_log2_size, keys_kind, keys_nentries, keys_entries;
        uint16_t type_cached_keys; /* PyHeapTypeObject.ht_cached_keys */
        uint16_t values_values;    /* PyDictValues.values; 0 before 3.11 */
        uint16_t values_valid;     /* PyDictValues.valid, 3.13 and later: inline values may be given up */
        uint16_t long_size;        /* ob_size or lv_tag */
        uint16_t long_digits;
        uint32_t runtime_size; /* sizeof(_PyRuntimeState) behind the table, where runtime_tstate_current is known */
};

/* -ENOENT when the version (minor | major << 8) fits no table. Outputs are complete on 0. */
int offsets_for_version(uint16_t version, struct target *ret_target, struct offsets_objects *ret_objects);

/*
 * Overlays both with the _Py_DebugOffsets (3.13 and later) of which `size` bytes were read from an interpreter of their
 * version: where it disagrees with the table, it is right. Returns 1 when the build is free-threaded, -ENOENT when the
 * version describes nothing, -EBADMSG when it is no description or not a plausible one; then nothing is changed.
 */
int offsets_overlay(struct target *target, struct offsets_objects *objects, const void *description, size_t size);

#define OFFSETS_DESCRIPTION_SIZE 2048 /* at least what offsets_overlay() looks at, in every version */
