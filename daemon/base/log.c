/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int log_level = LOG_INFO;

static const char *const level_names[] = {
                [LOG_ERR] = "err",   [LOG_WARNING] = "warning", [LOG_NOTICE] = "notice",
                [LOG_INFO] = "info", [LOG_DEBUG] = "debug",
};

int log_level_from_string(const char *text, int *ret_level) {
        for (int i = LOG_ERR; i <= LOG_DEBUG; i++)
                if (strcmp(text, level_names[i]) == 0) {
                        *ret_level = i;
                        return 0;
                }
        return -EINVAL;
}

int log_full(int level, int error, const char *format, ...) {
        char line[1024];
        va_list ap;

        if (error < 0)
                error = -error;
        if (level > log_level)
                return -error;

        errno = error;
        va_start(ap, format);
        vsnprintf(line, sizeof(line), format, ap);
        va_end(ap);

        if (getenv("JOURNAL_STREAM"))
                fprintf(stderr, "<%d>%s\n", level, line);
        else
                fprintf(stderr, "pyprofd: %s\n", line);
        return -error;
}
