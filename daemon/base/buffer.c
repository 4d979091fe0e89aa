/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buffer.h"

#include <stdarg.h>
#include <string.h>

void buffer_fini(struct buffer *b) {
        free(b->data);
        *b = (struct buffer){};
}

static bool buffer_reserve(struct buffer *b, size_t more) {
        size_t room = b->room ? b->room : 256;
        char *data;

        if (b->failed)
                return false;
        if (more <= b->room - b->size)
                return true;
        while (room - b->size < more)
                room *= 2;
        data = realloc(b->data, room);
        if (!data) {
                b->failed = true;
                return false;
        }
        b->data = data;
        b->room = room;
        return true;
}

void buffer_add(struct buffer *b, const void *data, size_t size) {
        if (size == 0 || !buffer_reserve(b, size))
                return;
        memcpy(b->data + b->size, data, size);
        b->size += size;
}

void buffer_add_string(struct buffer *b, const char *s) {
        buffer_add(b, s, strlen(s));
}

void buffer_printf(struct buffer *b, const char *format, ...) {
        va_list ap, again;
        int n;

        va_start(ap, format);
        va_copy(again, ap);
        n = vsnprintf(NULL, 0, format, ap);
        va_end(ap);
        if (n >= 0 && buffer_reserve(b, (size_t)n + 1)) {
                vsnprintf(b->data + b->size, (size_t)n + 1, format, again);
                b->size += (size_t)n;
        }
        va_end(again);
}

int buffer_terminate(struct buffer *b) {
        if (!buffer_reserve(b, 1))
                return -ENOMEM;
        b->data[b->size] = '\0';
        return 0;
}
