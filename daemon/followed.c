/* SPDX-License-Identifier: Apache-2.0 */
#include "followed.h"

#include <assert.h>
#include <stdlib.h>

struct followed_process *followed_process_ref(struct followed_process *p) {
        p->refs++;
        return p;
}

void followed_process_unref(struct followed_process *p) {
        if (!p)
                return;
        assert(p->refs > 0);
        if (--p->refs > 0)
                return;
        image_unref((struct image *)p->image);
        free(p->cmdline);
        free(p->command);
        free(p->executable);
        free(p->unit);
        free(p->container);
        free(p);
}

struct followed_thread *followed_thread_ref(struct followed_thread *t) {
        t->refs++;
        return t;
}

void followed_thread_unref(struct followed_thread *t) {
        if (!t)
                return;
        assert(t->refs > 0);
        if (--t->refs > 0)
                return;
        followed_process_unref(t->process);
        free(t->name);
        free(t);
}
