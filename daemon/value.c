/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"

#define PATTERN_SIZE_MAX 256
#define PATTERN_DEPTH_MAX 8   /* groups in one another: regcomp() recurses */
#define PATTERN_BOUNDS_MAX 4  /* {m,n} in one pattern */
#define PATTERN_REPEAT_MAX 16 /* of one: regcomp() copies what is repeated that often */

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

/* Where the reading of a pattern is. */
struct pattern {
        const char *at;
        bool single[PATTERN_DEPTH_MAX + 1]; /* the group at this depth may not be repeated */
        unsigned depth, bounds;
        bool atom_single; /* nor may the last atom: it is or has a repetition, or may match nothing */
        bool branch_empty;
};

/* A bracket expression: nothing in it is an operator. `at` is behind its '['. */
static const char *pattern_bracket(struct pattern *p) {
        p->at += *p->at == '^';
        p->at += *p->at == ']';
        for (; *p->at && *p->at != ']'; p->at++) {
                if (p->at[0] != '[')
                        continue;
                if (p->at[1] == '.' || p->at[1] == '=')
                        return "collating elements are not supported";
                if (p->at[1] == ':') {
                        p->at = strstr(p->at + 2, ":]");
                        if (!p->at)
                                return "a class does not end";
                        p->at++;
                }
        }
        if (!*p->at)
                return "a bracket does not end";
        p->at++;
        return NULL;
}

/* The bounds of {m,n}; `at` is behind the '{'. */
static const char *pattern_bounds(struct pattern *p) {
        if (++p->bounds > PATTERN_BOUNDS_MAX)
                return "too many repetitions";
        while (isdigit((unsigned char)*p->at) || *p->at == ',') {
                char *end = (char *)p->at + 1;

                if (*p->at != ',' && strtoul(p->at, &end, 10) > PATTERN_REPEAT_MAX)
                        return "too many repetitions";
                p->at = end;
        }
        if (*p->at++ != '}')
                return "a repetition does not end";
        return NULL;
}

static const char *pattern_repeat(struct pattern *p, char c) {
        if (c != '?' && p->atom_single)
                return "repetitions of repetitions, or of what may be empty, are not supported";
        p->atom_single = p->single[p->depth] = true;
        return c == '{' ? pattern_bounds(p) : NULL;
}

static const char *pattern_close(struct pattern *p) {
        if (p->depth == 0)
                return "a group does not begin";
        p->atom_single = p->single[p->depth--] || p->branch_empty;
        p->single[p->depth] |= p->atom_single;
        p->branch_empty = false;
        return NULL;
}

/* What is one atom by itself. */
static const char *pattern_atom(struct pattern *p, char c) {
        bool nothing = c == '^' || c == '$';

        if (c == '\\' && *p->at) {
                if (isdigit((unsigned char)*p->at))
                        return "back references are not supported";
                nothing = strchr("bB<>`'", *p->at++); /* edges of words and of the text */
        }
        p->atom_single = nothing;
        p->single[p->depth] |= nothing;
        p->branch_empty = false;
        return c == '[' ? pattern_bracket(p) : NULL;
}

static const char *pattern_next(struct pattern *p) {
        char c = *p->at++;

        switch (c) {
        case '(':
                if (++p->depth > PATTERN_DEPTH_MAX)
                        return "too many groups in one another";
                p->single[p->depth] = false;
                p->branch_empty = p->atom_single = true;
                return NULL;
        case '|':
                p->single[p->depth] |= p->branch_empty;
                p->branch_empty = p->atom_single = true;
                return NULL;
        case ')':
                return pattern_close(p);
        case '*':
        case '+':
        case '?':
        case '{':
                return pattern_repeat(p, c);
        default:
                return pattern_atom(p, c);
        }
}

const char *value_pattern_refuse(const char *pattern) {
        struct pattern p = {.at = pattern};
        const char *why = NULL;

        if (strlen(pattern) > PATTERN_SIZE_MAX)
                return "it is longer than 256 bytes";
        while (!why && *p.at)
                why = pattern_next(&p);
        return why;
}
