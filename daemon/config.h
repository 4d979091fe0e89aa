/* SPDX-License-Identifier: Apache-2.0 */
/* What the daemon was told: defaults, then the file, then its drop-ins in the order of their names, then the command
 * line. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

/* The Makefile says these. */
#ifndef VERSION
#define VERSION "0.1.0"
#endif
#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

#define CONFIG_FILE SYSCONFDIR "/pyprofd.conf"

struct config {
        char *socket;
        char *state_dir;
        char *proc_root;     /* where proc, as the host's pid namespace has it, is mounted */
        char *group;         /* whose members see every process; "" for none */
        unsigned rate;       /* ticks per second and CPU */
        uint64_t memory_max; /* bytes of history */
        double budget;       /* percent of the machine's CPU capacity */
        int log_level;
        char **idle; /* rules of the files in their order; the shipped ones (idle.h) stand behind them */
        size_t idle_n;
        bool idle_reset; /* an empty `idle =` was met: the shipped ones do not count */

        /* How it was loaded, for config_reload() */
        int argc;
        char **argv; /* borrowed */
        char *file;  /* --config; NULL: CONFIG_FILE, which need not exist */
};

void config_fini(struct config *c);
#define _cleanup_config_ _cleanup_(config_fini)

/* 0: *ret is config_fini()'s; argv must outlive it. 1: --help or --version was answered on stdout, *ret is untouched.
 * -EINVAL: wrong usage or a bad value; another -errno: the file cannot be read. What is wrong has been logged. */
int config_load(int argc, char **argv, struct config *ret);

/* Reads the files again, the command line stays on top. On failure *c is as it was, and why has been logged. */
int config_reload(struct config *c);
