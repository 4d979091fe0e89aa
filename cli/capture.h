/* SPDX-License-Identifier: Apache-2.0 */
/* A window of profile into a file: what record, export and run share. */
#pragma once

#include "file.h"
#include "session.h"

/* -F and -o make sense together, and the file can be written. Exit statuses. */
int capture_open(const char *what, const struct options *o, struct file *ret);

/* Asks for the export that `query` (selectors and window, from `?` on) selects, and commits the file. Exit statuses. */
int capture_write(struct session *s, const struct options *o, const struct buffer *query, struct file *f);
