/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

#define REPEAT_MAX 1000 /* what the {m,n} of a regular expression may multiply to: regcomp() copies that often */

int value_number(const char *s, uint64_t max, uint64_t *ret) {
        unsigned long long n;
        char *end;

        if (!isdigit((unsigned char)s[0]))
                return -EINVAL;
        errno = 0;
        n = strtoull(s, &end, 10);
        if (*end || errno || n > max)
                return -EINVAL;
        *ret = n;
        return 0;
}

/* "12" or "12.5" seconds in ns; digits past the ninth do not count. */
static int seconds_parse(const char *s, const char **ret_end, uint64_t *ret_ns) {
        uint64_t whole = 0, fraction = 0, unit = NSEC_PER_SEC;

        if (!isdigit((unsigned char)*s))
                return -EINVAL;
        for (; isdigit((unsigned char)*s); s++) {
                whole = whole * 10 + (uint64_t)(*s - '0');
                if (whole > INT64_MAX / NSEC_PER_SEC - 1)
                        return -ERANGE;
        }
        if (*s == '.')
                for (s++; isdigit((unsigned char)*s); s++) {
                        unit /= 10;
                        fraction += unit * (uint64_t)(*s - '0');
                }
        *ret_end = s;
        *ret_ns = whole * NSEC_PER_SEC + fraction;
        return 0;
}

int value_instant(const char *s, uint64_t now, int64_t epoch_offset_ns, uint64_t *ret) {
        const char *end;
        uint64_t ns;

        if (strcmp(s, "now") == 0) {
                *ret = now;
                return 0;
        }
        if (s[0] == '-') {
                if (seconds_parse(s + 1, &end, &ns) < 0 || (*end && strcmp(end, "s") != 0))
                        return -EINVAL;
                *ret = ns < now ? now - ns : 0;
                return 0;
        }
        if (s[0] == '@') {
                if (seconds_parse(s + 1, &end, &ns) < 0 || *end)
                        return -EINVAL;
        } else if (value_number(s, INT64_MAX, &ns) < 0)
                return -EINVAL;
        *ret = (int64_t)ns > epoch_offset_ns ? (uint64_t)((int64_t)ns - epoch_offset_ns) : 0;
        return 0;
}

const char *value_pattern_refuse(const char *pattern) {
        uint64_t repeat = 1;

        for (const char *s = pattern; *s; s++) {
                if (*s == '\\') {
                        if (isdigit((unsigned char)s[1]))
                                return "back references are not supported";
                        if (s[1])
                                s++;
                } else if (*s == '{') {
                        unsigned long low = strtoul(s + 1, NULL, 10), high = low;

                        if (s[1 + strspn(s + 1, "0123456789")] == ',')
                                high = strtoul(s + 2 + strspn(s + 1, "0123456789"), NULL, 10);
                        low = MAX(low, high);
                        if (low > REPEAT_MAX || (repeat *= MAX(low, 1UL)) > REPEAT_MAX)
                                return "too many repetitions";
                }
        }
        return NULL;
}
