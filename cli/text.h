/* SPDX-License-Identifier: Apache-2.0 */
/* Words for people: strings made safe for a terminal, widths in columns, quantities with units. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/*
 * Names come from the processes that are looked at, and such a process may be somebody else's: control characters,
 * direction overrides and bytes that are no UTF-8 are added as \n, \x1b, \u202e and never as themselves.
 */
void text_escape(struct buffer *b, const char *s);

/* Columns that an escaped string takes. */
size_t text_width(const char *s);

/* The longest beginning of s that takes at most `width` columns: its bytes. */
size_t text_fit(const char *s, size_t width);

#define TEXT_UNITS_MAX 24 /* bytes for what the functions below write, NUL included; they return their buffer */

const char *text_duration(char s[static TEXT_UNITS_MAX], uint64_t ns);                  /* `1.25 s`, `31.0 min` */
const char *text_bytes(char s[static TEXT_UNITS_MAX], uint64_t bytes);                  /* `12.3 MiB` */
const char *text_percent(char s[static TEXT_UNITS_MAX], uint64_t part, uint64_t whole); /* `-` when whole is 0 */
