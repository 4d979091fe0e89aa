/* SPDX-License-Identifier: Apache-2.0 */
/* fpspin DEPTH: spins in a stack of DEPTH frames that all have frame pointers, main() among them. */
#include <stdio.h>
#include <stdlib.h>

static volatile unsigned long turns;
static volatile int ended; /* never set: a function that cannot return would not keep its frames */

static __attribute__((noinline)) int down(int frames) {
        int r;

        if (frames <= 1) {
                while (!ended)
                        turns++;
                return 0;
        }
        r = down(frames - 1);
        turns += (unsigned long)r; /* after the call: it must not become a jump */
        return r + 1;
}

int main(int argc, char **argv) {
        puts("ready");
        fflush(stdout);
        return down(argc > 1 ? atoi(argv[1]) - 1 : 1);
}
