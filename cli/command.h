/* SPDX-License-Identifier: Apache-2.0 */
/* A command that is forked now and executed when it is told to, and whose signals are passed on. */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

struct command {
        pid_t pid;
        int gate;   /* writing a byte lets it go; closing it makes it end */
        int result; /* errno of its exec comes out of here, or nothing */
        sigset_t before;
};

/* 0, -errno. From then on the signals that are passed on are held. */
int command_fork(struct command *c, char **argv);

/* Lets it execute. 0; -errno of its exec, and it has been waited for. */
int command_start(struct command *c);

/* Waits for its end, passing on what signals come. Returns its exit status, 128+N by a signal, -errno. */
int command_wait(struct command *c);

/* Ends one that was not started; lets signals through again. */
void command_fini(struct command *c);
