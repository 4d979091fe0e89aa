/* SPDX-License-Identifier: Apache-2.0 */
/* SIGINT, SIGTERM and SIGHUP held back, so that what was begun is ended in order: a private daemon, a file half
 * written. */
#pragma once

#include <signal.h>
#include <stdint.h>

/* Blocks the three; *ret_before is for signals_release(). */
void signals_hold(sigset_t *ret_before);

/* A signal that came meanwhile and that nobody took acts now. */
void signals_release(const sigset_t *before);

/* Waits for one of the three, at most `ns`. Returns its number, 0 when the time is over. They must be held. */
int signals_wait(uint64_t ns);

/* Dies of `number`, as if it had never been held. */
void signals_die(int number);

/* In a child before exec: everything as at our own start. `before` is the mask of then. */
void signals_reset(const sigset_t *before);
