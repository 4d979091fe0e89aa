/* SPDX-License-Identifier: Apache-2.0 */
#include "python/version.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/macro.h"

#define TEXT_MAX 24 /* of a version; "3.10.13rc1+" is long */

int version_from_hex(uint64_t hex, char *ret_text, size_t size, uint16_t *ret_number) {
        unsigned major = hex >> 24 & 0xff, minor = hex >> 16 & 0xff, micro = hex >> 8 & 0xff;
        unsigned level = hex >> 4 & 0xf, serial = hex & 0xf;
        static const char *const levels[16] = {[0xa] = "a", [0xb] = "b", [0xc] = "rc", [0xf] = ""};

        if (hex >> 32 != 0 || !levels[level] || !(major == 3 || (major == 2 && minor == 7)))
                return -EBADMSG;
        if (level == 0xf)
                snprintf(ret_text, size, "%u.%u.%u", major, minor, micro);
        else
                snprintf(ret_text, size, "%u.%u.%u%s%u", major, minor, micro, levels[level], serial);
        *ret_number = major << 8 | minor;
        return 0;
}

/* Reads at most three digits; NULL when there are none, or more. */
static const char *number_read(const char *at, unsigned *ret) {
        unsigned value = 0, n = 0;

        for (; isdigit((unsigned char)*at) && n < 4; at++, n++)
                value = value * 10 + (*at - '0');
        if (n == 0 || n > 3)
                return NULL;
        *ret = value;
        return at;
}

/* Whether `text`, which ends in a NUL, is X.Y.Z, perhaps with a release level and a plus sign after it. */
static bool version_parse(const char *text, unsigned *ret_major, unsigned *ret_minor) {
        unsigned micro, serial;
        const char *at;

        at = number_read(text, ret_major);
        if (!at || *at++ != '.')
                return false;
        at = number_read(at, ret_minor);
        if (!at || *at++ != '.')
                return false;
        at = number_read(at, &micro);
        if (!at)
                return false;
        if (*at == 'a' || *at == 'b' || *at == 'c' || *at == 'r') {
                at += at[0] == 'r' && at[1] == 'c' ? 2 : 1;
                at = number_read(at, &serial);
                if (!at)
                        return false;
        }
        if (*at == '+')
                at++;
        return *at == '\0';
}

/* The cache tag "cpython-310", a string of its own in every Python 3. */
static bool tag_present(const char *data, size_t size, unsigned major, unsigned minor) {
        char tag[32];

        snprintf(tag, sizeof(tag), "cpython-%u%u", major, minor);
        return memmem(data, size, tag, strlen(tag) + 1) != NULL;
}

/* Linkers store a string as the tail of a longer one where they can ("/opt/python/3.10.13"): `tail` allows for that. */
static const char *text_find(const char *base, const char *end, const char *start, bool tail, unsigned *ret_major,
                             unsigned *ret_minor) {
        for (const char *at = base; (at = memmem(at, end - at, start, strlen(start))); at++) {
                if (at > base && (tail ? isdigit((unsigned char)at[-1]) || at[-1] == '.' : at[-1] != '\0'))
                        continue;
                if (!memchr(at, '\0', MIN(end - at, TEXT_MAX)) || !version_parse(at, ret_major, ret_minor))
                        continue;
                if (*ret_minor <= 0xff && (*ret_major == 2 || tag_present(base, end - base, *ret_major, *ret_minor)))
                        return at;
        }
        return NULL;
}

int version_from_text(const void *data, size_t data_size, char *ret_text, size_t size, uint16_t *ret_number) {
        static const char *const starts[] = {"3.", "2.7."};
        const char *base = data, *end = base + data_size, *found = NULL;
        unsigned major, minor;

        for (size_t i = 0; !found && i < ARRAY_SIZE(starts); i++)
                for (int tail = 0; !found && tail <= 1; tail++)
                        found = text_find(base, end, starts[i], tail, &major, &minor);
        if (!found)
                return -ENOENT;
        snprintf(ret_text, size, "%s", found);
        *ret_number = major << 8 | minor;
        return 0;
}

bool version_is_early(const char *text) {
        return strpbrk(text, "ab") != NULL;
}
