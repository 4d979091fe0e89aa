/* SPDX-License-Identifier: Apache-2.0 */
/* One line to stderr; under systemd with the level in front, so that the journal knows it. */
#pragma once

#include <syslog.h>

#include "base/macro.h"

extern int log_level; /* LOG_ERR … LOG_DEBUG; the one mutable file-scope variable */

/* Text to level; returns -EINVAL when it is none of err, warning, notice, info, debug. */
int log_level_from_string(const char *text, int *ret_level);

/* Returns -abs(error), so that a caller can write `return log_full(...)`. `%m` is that error's text. */
int log_full(int level, int error, const char *format, ...) _printf_(3, 4);

#define log_error_errno(error, ...) log_full(LOG_ERR, error, __VA_ARGS__)
#define log_warning_errno(error, ...) log_full(LOG_WARNING, error, __VA_ARGS__)
#define log_info_errno(error, ...) log_full(LOG_INFO, error, __VA_ARGS__)
#define log_debug_errno(error, ...) log_full(LOG_DEBUG, error, __VA_ARGS__)
#define log_error(...) log_full(LOG_ERR, 0, __VA_ARGS__)
#define log_warning(...) log_full(LOG_WARNING, 0, __VA_ARGS__)
#define log_notice(...) log_full(LOG_NOTICE, 0, __VA_ARGS__)
#define log_info(...) log_full(LOG_INFO, 0, __VA_ARGS__)
#define log_debug(...) log_full(LOG_DEBUG, 0, __VA_ARGS__)
