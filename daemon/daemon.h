/* SPDX-License-Identifier: Apache-2.0 */
/* Owns every stage and composes them: a record goes down the pipeline in daemon_on_record(), in order. */
#pragma once

#include "config.h"

struct daemon;

/* Borrows the configuration. What went wrong has been logged. */
int daemon_new(struct config *config, struct daemon **ret);
void daemon_free(struct daemon *d);

/* Until SIGTERM or SIGINT; the exit code, or -errno. */
int daemon_run(struct daemon *d);
