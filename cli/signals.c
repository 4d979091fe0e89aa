/* SPDX-License-Identifier: Apache-2.0 */
#include "signals.h"

#include <errno.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

#include "base/macro.h"

static const int held[] = {SIGINT, SIGTERM, SIGHUP};

static void fill(sigset_t *set) {
        sigemptyset(set);
        for (size_t i = 0; i < ARRAY_SIZE(held); i++)
                sigaddset(set, held[i]);
}

void signals_hold(sigset_t *ret_before) {
        sigset_t set;

        fill(&set);
        sigprocmask(SIG_BLOCK, &set, ret_before);
}

void signals_release(const sigset_t *before) {
        sigprocmask(SIG_SETMASK, before, NULL);
}

static uint64_t now(void) {
        struct timespec t;

        clock_gettime(CLOCK_MONOTONIC, &t);
        return (uint64_t)t.tv_sec * NSEC_PER_SEC + (uint64_t)t.tv_nsec;
}

int signals_wait(uint64_t ns) {
        uint64_t begin = now(), passed = 0;
        sigset_t set;

        fill(&set);
        for (;;) {
                uint64_t left = ns - passed;
                struct timespec t = {.tv_sec = (time_t)(left / NSEC_PER_SEC), .tv_nsec = (long)(left % NSEC_PER_SEC)};
                int number;

                number = sigtimedwait(&set, NULL, &t);
                if (number > 0)
                        return number;
                if (errno != EINTR)
                        return 0;
                passed = now() - begin; /* stopped and continued */
                if (passed >= ns)
                        return 0;
        }
}

void signals_die(int number) {
        sigset_t set;

        signal(number, SIG_DFL);
        sigemptyset(&set);
        sigaddset(&set, number);
        raise(number);
        sigprocmask(SIG_UNBLOCK, &set, NULL);
        _exit(128 + number);
}

void signals_reset(const sigset_t *before) {
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, before, NULL);
}
