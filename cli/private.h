/* SPDX-License-Identifier: Apache-2.0 */
/* A daemon of our own, for as long as a command lasts, where none runs. */
#pragma once

#include "base/macro.h"
#include "client.h"

struct private;

/*
 * Starts one and waits until it answers; says so on stderr. rate 0: its default. SIGINT, SIGTERM and SIGHUP are held
 * until private_stop(). Returns an exit status.
 */
int private_start(const char *what, unsigned rate, struct private **ret);

/* Ends it, removes what it left, lets the signals through. NULL is fine. */
void private_stop(struct private *p);
DEFINE_CLEANUP(struct private *, private_stop);

const char *private_socket(const struct private *p);
