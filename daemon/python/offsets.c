/* SPDX-License-Identifier: Apache-2.0 */
#include "python/offsets.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "base/macro.h"

/* One word of _Py_DebugOffsets: where it is in there, and which field of the row it is about. */
struct described {
        uint16_t position;
        uint16_t field;
};

struct row {
        struct target target;
        struct offsets_objects objects;
        uint16_t debug_free_threaded; /* position of _Py_DebugOffsets.free_threaded; 0 before 3.13 */
        struct described described[40];
};

static const struct row rows[] = {
#include "python/offsets.inc"
};

#define CODE_START_MAX 1024 /* sizeof(PyCodeObject) is about 210 */

static const struct row *row_find(uint16_t version) {
        for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
                if (rows[i].target.version == version)
                        return rows + i;
        return NULL;
}

int offsets_for_version(uint16_t version, struct target *ret_target, struct offsets_objects *ret_objects) {
        const struct row *row = row_find(version);

        if (!row)
                return -ENOENT;
        *ret_target = row->target;
        *ret_objects = row->objects;
        return 0;
}

static unsigned end_max(unsigned end, uint16_t offset, unsigned size) {
        return MAX(end, offset == TARGET_NONE ? 0 : offset + size);
}

/* The sizes of the reads follow from the offsets; they must fit the buffers of those who read. */
static int spans_update(struct target *t) {
        unsigned tstate = 0, frame = 0, code = 0, first;

        tstate = end_max(tstate, t->tstate_next, 8);
        tstate = end_max(tstate, t->tstate_interp, 8);
        tstate = end_max(tstate, t->tstate_thread_id, 8);
        tstate = end_max(tstate, t->tstate_frame, 8);
        tstate = end_max(tstate, t->tstate_status, 4);
        tstate = end_max(tstate, t->tstate_datastack, 8);
        frame = end_max(frame, t->frame_code, 8);
        frame = end_max(frame, t->frame_previous, 8);
        frame = end_max(frame, t->frame_instr, 8);
        frame = end_max(frame, t->frame_owner, 1);
        code = end_max(code, t->code_name, 8);
        code = end_max(code, t->code_qualname, 8);
        code = end_max(code, t->code_filename, 8);
        code = end_max(code, t->code_firstlineno, 4);
        code = end_max(code, t->code_linetable, 8);
        first = MIN(MIN(t->code_name, t->code_qualname), MIN(t->code_filename, t->code_firstlineno));
        first = MIN(first, t->code_linetable) & ~7u;
        tstate = (tstate + 7) & ~7u;
        frame = (frame + 7) & ~7u;
        code = (code + 7) & ~7u;
        if (tstate > TARGET_TSTATE_MAX || frame > TARGET_FRAME_MAX || code > TARGET_CODE_MAX ||
            t->code_start > CODE_START_MAX)
                return -EBADMSG;
        t->tstate_size = tstate;
        t->frame_size = frame;
        t->code_size = code;
        t->code_fields = first;
        return 0;
}

int offsets_overlay(struct target *target, struct offsets_objects *objects, const void *description, size_t size) {
        const struct row *row = row_find(target->version);
        struct row changed = {.target = *target, .objects = *objects};
        const uint8_t *bytes = description;
        uint64_t word;
        int r;

        if (!row || row->debug_free_threaded == 0)
                return -ENOENT;
        if (row->debug_free_threaded + sizeof(word) > size || memcmp(bytes, "xdebugpy", 8) != 0)
                return -EBADMSG;
        memcpy(&word, bytes + row->debug_free_threaded, sizeof(word));
        if (word != 0)
                return 1;
        for (size_t i = 0; i < ARRAY_SIZE(row->described) && row->described[i].position != 0; i++) {
                const struct described *d = row->described + i;

                if (d->position + sizeof(word) > size)
                        return -EBADMSG;
                memcpy(&word, bytes + d->position, sizeof(word));
                if (word >= TARGET_NONE)
                        return -EBADMSG;
                *(uint16_t *)((uint8_t *)&changed + d->field) = word;
        }
        r = spans_update(&changed.target);
        if (r < 0)
                return r;
        *target = changed.target;
        *objects = changed.objects;
        return 0;
}
