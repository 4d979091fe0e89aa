/* SPDX-License-Identifier: Apache-2.0 */
/* pipes: two processes that hand a byte to and fro on one CPU, so that each hand-over is a switch between them. */
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

static void bounce(int from, int to) {
        char c;

        while (read(from, &c, 1) == 1 && write(to, &c, 1) == 1)
                ;
        exit(EXIT_FAILURE);
}

int main(void) {
        int there[2], back[2];
        cpu_set_t cpus;
        pid_t child;

        CPU_ZERO(&cpus);
        CPU_SET(sched_getcpu(), &cpus);
        if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0 || pipe(there) < 0 || pipe(back) < 0)
                return EXIT_FAILURE;
        child = fork();
        if (child < 0)
                return EXIT_FAILURE;
        if (child == 0) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                bounce(there[0], back[1]);
        }
        puts("ready");
        fflush(stdout);
        if (write(there[1], "x", 1) == 1)
                bounce(back[0], there[1]);
        return EXIT_FAILURE;
}
