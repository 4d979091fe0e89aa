/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Line tables of code objects, decoded. Pure. The oracle is co_lines() (3.10 and later) or dis.findlinestarts().
 * Sources: CPython Objects/lnotab_notes.txt (3.6-3.9), Objects/lnotab_notes.txt of 3.10 (PEP 626),
 * Objects/locations.md / InternalDocs/code_objects.md (3.11 and later, PEP 657).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The line of the instruction at byte offset `lasti`; `lasti` < 0 gives `firstlineno`. `version` is minor | major << 8.
 * Returns > 0 the line, 0 where the instruction has none, -EBADMSG when the table is malformed before it gets there.
 * Never reads outside of [table, table + size), always ends.
 */
int linetable_line(uint16_t version, const uint8_t *table, size_t size, int firstlineno, int lasti);

/* One run of instructions [start, end) with one line (0: none), as co_lines() yields them. */
struct linetable_range {
        uint32_t start, end;
        int32_t line;
};

/* Decodes the whole table. `ret_ranges` is the caller's to free(). A malformed tail is cut: *ret_n holds what was good
 * and the return value is -EBADMSG. -ENOMEM. 0. `code_size` in bytes ends the last range where the table does not. */
int linetable_decode(uint16_t version, const uint8_t *table, size_t size, int firstlineno, uint32_t code_size,
                     struct linetable_range **ret_ranges, size_t *ret_n);
