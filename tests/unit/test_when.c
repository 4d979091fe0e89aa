/* SPDX-License-Identifier: Apache-2.0 */
/* Instants and spans as people write them. Local times are tested in a zone whose rules are written here. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/macro.h"
#include "when.h"

/* Sunday 2026-11-22 03:12:00 UTC */
#define NOW (INT64_C(1795317120) * 1000000000)
#define SECOND INT64_C(1000000000)

static const struct {
        const char *text;
        int64_t want; /* ns; below 0: the error */
} instants[] = {
                {"now", NOW},
                {" now", NOW},
                {"-5min", NOW - 300 * SECOND},
                {"- 5min", NOW - 300 * SECOND},
                {"+1h 30min", NOW + 5400 * SECOND},
                {"-1h30m", NOW - 5400 * SECOND},
                {"90s ago", NOW - 90 * SECOND},
                {"-0.5", NOW - SECOND / 2},
                {"-1w", NOW - 7 * 86400 * SECOND},
                {"@1790000000", 1790000000 * SECOND},
                {"@1790000000.5", 1790000000 * SECOND + SECOND / 2},
                {"@0", 0},
                {"@1.123456789123", SECOND + 123456789},
                {"2026-11-22 03:12:00 UTC", NOW},
                {"2026-11-22T03:12:00Z", NOW},
                {"Sun 2026-11-22 03:12:00 UTC", NOW},
                {"Sunday 2026-11-22 03:12 UTC", NOW},
                {"2026-11-22 03:12:00.25 UTC", NOW + SECOND / 4},
                {"03:12 UTC", NOW},
                /* the zone is two hours east of UTC */
                {"2026-11-22 05:12:00", NOW},
                {"05:12", NOW},
                {"05:12:30", NOW + 30 * SECOND},
                {"today", NOW - (5 * 3600 + 12 * 60) * SECOND},
                {"2026-11-22", NOW - (5 * 3600 + 12 * 60) * SECOND},
                {"yesterday", NOW - (29 * 3600 + 12 * 60) * SECOND},
                {"tomorrow", NOW + (19 * 3600 - 12 * 60) * SECOND},
                {"2024-02-29 00:00 UTC", 1709164800 * SECOND},
                {"", -EINVAL},
                {"soon", -EINVAL},
                {"5min", -EINVAL},
                {"-", -EINVAL},
                {"-5parsecs", -EINVAL},
                {"@", -EINVAL},
                {"@1x", -EINVAL},
                {"@1.", -EINVAL},
                {"@99999999999", -ERANGE},
                {"2026-02-31", -EINVAL},
                {"2025-02-29", -EINVAL},
                {"2026-13-01", -EINVAL},
                {"2026-11-22 24:00", -EINVAL},
                {"2026-11-22 03:60", -EINVAL},
                {"2026-11-22 03:12 CET", -EINVAL},
                {"2026-11-22 03:12:00 UTC x", -EINVAL},
                {"1969-12-31", -EINVAL},
                {"3:1", -EINVAL},
                {"-999999999999999999s", -ERANGE},
                {"-9999999999999999999s", -ERANGE},
                {"-100y", -ERANGE},
};

static const struct {
        const char *text;
        int64_t want;
} spans[] = {
                {"10", 10 * SECOND},
                {"1.5s", 3 * SECOND / 2},
                {".5s", SECOND / 2},
                {"50ms", 50000000},
                {"7us", 7000},
                {"7 \xc2\xb5s", 7000},
                {"3ns", 3},
                {"1h 30min", 5400 * SECOND},
                {"1d12h", 129600 * SECOND},
                {"1y", 31557600 * SECOND},
                {"0", 0},
                {"", -EINVAL},
                {" ", -EINVAL},
                {"s", -EINVAL},
                {".", -EINVAL},
                {"-1s", -EINVAL},
                {"1,5s", -EINVAL},
                {"5 fortnights", -EINVAL},
                {"999999999999999999h", -ERANGE},
                {"600y", -ERANGE},
};

static unsigned compare(const char *kind, const char *text, int r, int64_t got, int64_t want) {
        if (r < 0)
                got = r;
        if (got == want)
                return 0;
        printf("%s '%s': %" PRId64 " in place of %" PRId64 "\n", kind, text, got, want);
        return 1;
}

int main(void) {
        unsigned failed = 0;

        setenv("TZ", "TEST-2", 1);
        tzset();
        for (size_t i = 0; i < ARRAY_SIZE(instants); i++) {
                int64_t got = -1;
                int r = when_parse(instants[i].text, NOW, &got);

                failed += compare("instant", instants[i].text, r, got, instants[i].want);
        }
        for (size_t i = 0; i < ARRAY_SIZE(spans); i++) {
                uint64_t got = 0;
                int r = when_parse_span(spans[i].text, &got);

                failed += compare("span", spans[i].text, r, (int64_t)got, spans[i].want);
        }
        printf("%zu instants, %zu spans, %u wrong\n", ARRAY_SIZE(instants), ARRAY_SIZE(spans), failed);
        return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
