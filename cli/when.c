/* SPDX-License-Identifier: Apache-2.0 */
#include "when.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/macro.h"

#define SPAN_MINUTE (60 * NSEC_PER_SEC)
#define SPAN_HOUR (60 * SPAN_MINUTE)
#define SPAN_DAY (24 * SPAN_HOUR)

/* As systemd.time(7) has them: a month is 30.44 days, a year 365.25. */
static const struct {
        const char *name;
        uint64_t ns;
} units[] = {
                {"seconds", NSEC_PER_SEC},
                {"second", NSEC_PER_SEC},
                {"sec", NSEC_PER_SEC},
                {"s", NSEC_PER_SEC},
                {"minutes", SPAN_MINUTE},
                {"minute", SPAN_MINUTE},
                {"min", SPAN_MINUTE},
                {"m", SPAN_MINUTE},
                {"hours", SPAN_HOUR},
                {"hour", SPAN_HOUR},
                {"hr", SPAN_HOUR},
                {"h", SPAN_HOUR},
                {"days", SPAN_DAY},
                {"day", SPAN_DAY},
                {"d", SPAN_DAY},
                {"weeks", 7 * SPAN_DAY},
                {"week", 7 * SPAN_DAY},
                {"w", 7 * SPAN_DAY},
                {"months", 2630016 * NSEC_PER_SEC},
                {"month", 2630016 * NSEC_PER_SEC},
                {"M", 2630016 * NSEC_PER_SEC},
                {"years", 31557600 * NSEC_PER_SEC},
                {"year", 31557600 * NSEC_PER_SEC},
                {"y", 31557600 * NSEC_PER_SEC},
                {"msec", NSEC_PER_MSEC},
                {"ms", NSEC_PER_MSEC},
                {"usec", NSEC_PER_USEC},
                {"us", NSEC_PER_USEC},
                {"\xc2\xb5s", NSEC_PER_USEC},
                {"\xce\xbcs", NSEC_PER_USEC},
                {"nsec", 1},
                {"ns", 1},
};

int64_t when_now(void) {
        struct timespec t;

        clock_gettime(CLOCK_REALTIME, &t);
        return (int64_t)t.tv_sec * (int64_t)NSEC_PER_SEC + t.tv_nsec;
}

static const char *skip_spaces(const char *p) {
        while (*p == ' ' || *p == '\t')
                p++;
        return p;
}

/* Digits of a whole number; returns how many there were, at most `most` are taken. */
static size_t read_digits(const char **p, size_t most, uint64_t *ret) {
        uint64_t value = 0;
        size_t n = 0;

        for (; n < most && isdigit((unsigned char)(*p)[n]); n++)
                value = value * 10 + (uint64_t)((*p)[n] - '0');
        *p += n;
        *ret = value;
        return n;
}

/* The digits after a point, as a part of `unit`; more than nine say nothing. */
static uint64_t read_fraction(const char **p, uint64_t unit) {
        uint64_t value, scale = 1;
        size_t n = read_digits(p, 9, &value);

        for (size_t i = 0; i < n; i++)
                scale *= 10;
        while (isdigit((unsigned char)**p))
                (*p)++;
        return (uint64_t)((__uint128_t)value * unit / scale);
}

static int read_unit(const char **p, uint64_t *ret) {
        size_t n = 0;

        while ((*p)[n] && !isdigit((unsigned char)(*p)[n]) && !strchr(" \t.,", (*p)[n]))
                n++;
        if (n == 0) {
                *ret = NSEC_PER_SEC;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(units); i++)
                if (strlen(units[i].name) == n && strncmp(units[i].name, *p, n) == 0) {
                        *p += n;
                        *ret = units[i].ns;
                        return 0;
                }
        return -EINVAL;
}

static int read_component(const char **p, uint64_t *ret) {
        uint64_t whole, unit, part = 0;
        const char *fraction = NULL;
        size_t n;
        int r;

        n = read_digits(p, 18, &whole);
        if (isdigit((unsigned char)**p))
                return -ERANGE;
        if (**p == '.') {
                fraction = ++*p;
                while (isdigit((unsigned char)**p))
                        (*p)++;
        }
        if (n == 0 && (!fraction || fraction == *p))
                return -EINVAL;
        *p = skip_spaces(*p);
        r = read_unit(p, &unit);
        if (r < 0)
                return r;
        if (fraction)
                part = read_fraction(&fraction, unit);
        if (__builtin_mul_overflow(whole, unit, ret) || __builtin_add_overflow(*ret, part, ret))
                return -ERANGE;
        return 0;
}

int when_parse_span(const char *text, uint64_t *ret_ns) {
        const char *p = skip_spaces(text);
        uint64_t sum = 0, component;
        int r;

        if (!*p)
                return -EINVAL;
        while (*p) {
                r = read_component(&p, &component);
                if (r < 0)
                        return r;
                if (__builtin_add_overflow(sum, component, &sum))
                        return -ERANGE;
                p = skip_spaces(p);
        }
        *ret_ns = sum;
        return 0;
}

static int shift(int64_t now_ns, uint64_t span, bool back, int64_t *ret_ns) {
        int64_t result;

        if (span > INT64_MAX)
                return -ERANGE;
        if (back ? __builtin_sub_overflow(now_ns, (int64_t)span, &result)
                 : __builtin_add_overflow(now_ns, (int64_t)span, &result))
                return -ERANGE;
        if (result < 0)
                return -ERANGE;
        *ret_ns = result;
        return 0;
}

/* `-5min`, `+5min`, `5min ago`; -ENOENT when the text is none of them. */
static int parse_relative(const char *text, int64_t now_ns, int64_t *ret_ns) {
        size_t n = strlen(text);
        char span_text[128];
        uint64_t span;
        int r;

        if (*text == '-' || *text == '+') {
                r = when_parse_span(text + 1, &span);
                return r < 0 ? r : shift(now_ns, span, *text == '-', ret_ns);
        }
        if (n < 5 || n >= sizeof(span_text) || strcmp(text + n - 4, " ago") != 0)
                return -ENOENT;
        memcpy(span_text, text, n - 4);
        span_text[n - 4] = '\0';
        r = when_parse_span(span_text, &span);
        return r < 0 ? r : shift(now_ns, span, true, ret_ns);
}

static int parse_epoch(const char *p, int64_t *ret_ns) {
        uint64_t seconds, ns;

        if (read_digits(&p, 11, &seconds) == 0)
                return -EINVAL;
        if (__builtin_mul_overflow(seconds, NSEC_PER_SEC, &ns))
                return -ERANGE;
        if (*p == '.') {
                p++;
                if (!isdigit((unsigned char)*p))
                        return -EINVAL;
                ns += read_fraction(&p, NSEC_PER_SEC);
        }
        if (*p)
                return -EINVAL;
        if (ns > INT64_MAX)
                return -ERANGE;
        *ret_ns = (int64_t)ns;
        return 0;
}

/* Midnight of the day that lies `days` from now. */
static int day_start(int64_t now_ns, int days, int64_t *ret_ns) {
        time_t t = now_ns / (int64_t)NSEC_PER_SEC;
        struct tm tm;

        if (!localtime_r(&t, &tm))
                return -EINVAL;
        tm.tm_mday += days;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        tm.tm_isdst = -1;
        t = mktime(&tm);
        if (t < 0)
                return -ERANGE;
        *ret_ns = (int64_t)t * (int64_t)NSEC_PER_SEC;
        return 0;
}

static bool read_weekday(const char **p) {
        static const char *const days[] = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};

        for (size_t i = 0; i < ARRAY_SIZE(days); i++)
                if (strncasecmp(*p, days[i], 3) == 0) {
                        const char *q = *p + 3;

                        while (isalpha((unsigned char)*q))
                                q++;
                        if (*q != ' ')
                                return false;
                        *p = skip_spaces(q);
                        return true;
                }
        return false;
}

/* `YYYY-MM-DD`; 1 when there was one, 0 when the text is something else. */
static int read_date(const char **p, struct tm *tm) {
        const char *q = *p;
        uint64_t year, month, day;

        if (read_digits(&q, 4, &year) != 4 || *q != '-')
                return 0;
        q++;
        if (read_digits(&q, 2, &month) == 0 || *q != '-')
                return -EINVAL;
        q++;
        if (read_digits(&q, 2, &day) == 0)
                return -EINVAL;
        if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31)
                return -EINVAL;
        tm->tm_year = (int)year - 1900;
        tm->tm_mon = (int)month - 1;
        tm->tm_mday = (int)day;
        *p = q;
        return 1;
}

/* `HH:MM[:SS[.FRACTION]]`. */
static int read_clock(const char **p, struct tm *tm, uint64_t *ret_fraction) {
        uint64_t hour, minute, second = 0, fraction = 0;

        if (read_digits(p, 2, &hour) == 0 || **p != ':')
                return -EINVAL;
        (*p)++;
        if (read_digits(p, 2, &minute) != 2)
                return -EINVAL;
        if (**p == ':') {
                (*p)++;
                if (read_digits(p, 2, &second) != 2)
                        return -EINVAL;
                if (**p == '.') {
                        (*p)++;
                        if (!isdigit((unsigned char)**p))
                                return -EINVAL;
                        fraction = read_fraction(p, NSEC_PER_SEC);
                }
        }
        if (hour > 23 || minute > 59 || second > 59)
                return -EINVAL;
        tm->tm_hour = (int)hour;
        tm->tm_min = (int)minute;
        tm->tm_sec = (int)second;
        *ret_fraction = fraction;
        return 0;
}

/* What remains after date and clock says the zone. */
static int read_zone(const char *p, bool *ret_utc) {
        p = skip_spaces(p);
        if (!*p)
                *ret_utc = false;
        else if (strcasecmp(p, "UTC") == 0 || strcmp(p, "Z") == 0)
                *ret_utc = true;
        else
                return -EINVAL;
        return 0;
}

/* mktime() takes 31 February for 3 March; a person who wrote that made a mistake. */
static int finish_date(struct tm *tm, bool utc, uint64_t fraction, int64_t *ret_ns) {
        struct tm asked = *tm;
        time_t t;

        tm->tm_isdst = -1;
        t = utc ? timegm(tm) : mktime(tm);
        if (t < 0)
                return -ERANGE;
        if (tm->tm_mday != asked.tm_mday || tm->tm_mon != asked.tm_mon)
                return -EINVAL;
        if (t > INT64_MAX / (int64_t)NSEC_PER_SEC - 1)
                return -ERANGE;
        *ret_ns = (int64_t)t * (int64_t)NSEC_PER_SEC + (int64_t)fraction;
        return 0;
}

static int parse_calendar(const char *p, int64_t now_ns, int64_t *ret_ns) {
        time_t now = now_ns / (int64_t)NSEC_PER_SEC;
        bool dated, utc = false, ends_in_utc;
        uint64_t fraction = 0;
        struct tm tm;
        size_t n = strlen(p);
        int r;

        ends_in_utc = (n > 4 && strcasecmp(p + n - 4, " UTC") == 0) || (n > 1 && p[n - 1] == 'Z');
        if (!(ends_in_utc ? gmtime_r(&now, &tm) : localtime_r(&now, &tm)))
                return -EINVAL;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        (void)read_weekday(&p);
        r = read_date(&p, &tm);
        if (r < 0)
                return r;
        dated = r > 0;
        if (dated && (*p == ' ' || (*p == 'T' && isdigit((unsigned char)p[1]))))
                p = skip_spaces(p + 1);
        if (!dated || isdigit((unsigned char)*p)) {
                r = read_clock(&p, &tm, &fraction);
                if (r < 0)
                        return r;
        }
        r = read_zone(p, &utc);
        if (r < 0)
                return r;
        return finish_date(&tm, utc, fraction, ret_ns);
}

int when_parse(const char *text, int64_t now_ns, int64_t *ret_ns) {
        static const struct {
                const char *name;
                int days;
        } days[] = {{"today", 0}, {"yesterday", -1}, {"tomorrow", 1}};
        int r;

        text = skip_spaces(text);
        if (strcmp(text, "now") == 0) {
                *ret_ns = now_ns;
                return 0;
        }
        for (size_t i = 0; i < ARRAY_SIZE(days); i++)
                if (strcmp(text, days[i].name) == 0)
                        return day_start(now_ns, days[i].days, ret_ns);
        if (*text == '@')
                return parse_epoch(text + 1, ret_ns);
        r = parse_relative(text, now_ns, ret_ns);
        return r == -ENOENT ? parse_calendar(text, now_ns, ret_ns) : r;
}
