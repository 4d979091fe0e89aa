/* SPDX-License-Identifier: Apache-2.0 */
/* The profile as `wall --json` has it. */
#include <errno.h>

#include "export/formats.h"
#include "export/profile_json.h"

static int json_chunk(const char *data, size_t size, void *userdata) {
        struct buffer *b = userdata;

        buffer_add(b, data, size);
        return b->failed ? -1 : 0;
}

int json_write_value(const json_t *value, struct buffer *b) {
        if (json_dump_callback(value, json_chunk, b, JSON_COMPACT) < 0)
                return -ENOMEM;
        buffer_add_string(b, "\n");
        return buffer_terminate(b);
}

int json_write(const struct profile *p, int64_t epoch_offset_ns, struct buffer *b) {
        json_auto_t *value = profile_to_json(p, epoch_offset_ns);

        if (!value)
                return -ENOMEM;
        return json_write_value(value, b);
}
