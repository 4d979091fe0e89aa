/* SPDX-License-Identifier: Apache-2.0 */
#include "base/utf8.h"

#include <stddef.h>
#include <stdint.h>

/* Bytes of the well-formed character at s, or 0. Overlong forms, surrogates and what lies past U+10FFFF are not. */
static size_t character_size(const unsigned char *s) {
        static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
        size_t n = s[0] < 0x80 ? 1 : s[0] < 0xc0 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf8 ? 4 : 0;
        uint32_t c;

        if (n <= 1)
                return n;
        c = s[0] & (0xffu >> (n + 1));
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80) /* the final NUL is none either */
                        return 0;
                c = c << 6 | (s[i] & 0x3f);
        }
        if (c < lowest[n] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
                return 0;
        return c >= 0x80 && c < 0xa0 ? 0 : n; /* C1 controls */
}

void utf8_clean(char *s) {
        unsigned char *p = (unsigned char *)s;

        while (*p) {
                size_t n = character_size(p);

                if (n == 0 || (n == 1 && (*p < 0x20 || *p == 0x7f))) {
                        *p++ = '?';
                        continue;
                }
                p += n;
        }
}
