/* SPDX-License-Identifier: Apache-2.0 */
#define HASH_NONFATAL_OOM 1 /* instead of exit(): what could not be added has hh.tbl == NULL */
#include "held.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

void held_fini(struct held *h) {
        for (struct held_thread *t = h->threads_by, *next; t; t = next) {
                next = t->hh.next;
                t->uses = 1;
                held_thread_put(h, t);
        }
        for (struct held_stack *s = h->stacks_by, *next; s; s = next) {
                next = s->hh.next;
                s->uses = 1;
                held_stack_put(h, s);
        }
        for (struct held_detail *d = h->details_by, *next; d; d = next) {
                next = d->hh.next;
                d->uses = 1;
                held_detail_put(h, d);
        }
        free(h->threads);
        free(h->stacks);
        *h = (struct held){};
}

static int array_reserve(void *array, uint32_t n, uint32_t *room) {
        void *grown;

        if (n < *room)
                return 0;
        grown = reallocarray(*(void **)array, *room ? *room * 2 : 64, sizeof(void *));
        if (!grown)
                return -ENOMEM;
        *(void **)array = grown;
        *room = *room ? *room * 2 : 64;
        return 0;
}

int held_thread_get(struct held *h, struct followed_thread *thread, struct held_thread **ret) {
        _cleanup_free_ struct held_thread *new = NULL;
        struct held_thread *t;
        int r;

        HASH_FIND_PTR(h->threads_by, &thread, t);
        if (t) {
                t->uses++;
                *ret = t;
                return 0;
        }
        r = array_reserve(&h->threads, h->threads_n, &h->threads_room);
        if (r < 0)
                return r;
        new = calloc(1, sizeof(*new));
        if (!new)
                return -ENOMEM;
        new->thread = thread;
        HASH_ADD_PTR(h->threads_by, thread, new);
        if (!new->hh.tbl)
                return -ENOMEM;
        followed_thread_ref(thread);
        new->uses = 1;
        new->index = h->threads_n;
        h->threads[h->threads_n++] = new;
        h->bytes += sizeof(*new) + sizeof(*thread) + sizeof(void *);
        *ret = TAKE_PTR(new);
        return 0;
}

void held_thread_put(struct held *h, struct held_thread *t) {
        if (!t || --t->uses > 0)
                return;
        HASH_DEL(h->threads_by, t);
        h->threads[t->index] = h->threads[--h->threads_n];
        h->threads[t->index]->index = t->index;
        h->bytes -= sizeof(*t) + sizeof(*t->thread) + sizeof(void *);
        followed_thread_unref(t->thread);
        free(t);
}

/* Frames may come after the stack was first met, so it is counted again now and then. */
static void held_stack_count(struct held *h, struct held_stack *s) {
        size_t bytes = sizeof(*s) + sizeof(void *) + sizeof(*s->stack) +
                       s->stack->locations_n * sizeof(struct location);

        h->bytes += bytes - s->bytes;
        s->bytes = bytes;
}

int held_stack_get(struct held *h, struct stack *stack, struct held_stack **ret) {
        _cleanup_free_ struct held_stack *new = NULL;
        struct held_stack *s = NULL;
        int r;

        if (stack)
                HASH_FIND_PTR(h->stacks_by, &stack, s);
        if (!stack || s) {
                if (s) {
                        s->uses++;
                        held_stack_count(h, s);
                }
                *ret = s;
                return 0;
        }
        r = array_reserve(&h->stacks, h->stacks_n, &h->stacks_room);
        if (r < 0)
                return r;
        new = calloc(1, sizeof(*new));
        if (!new)
                return -ENOMEM;
        new->stack = stack;
        HASH_ADD_PTR(h->stacks_by, stack, new);
        if (!new->hh.tbl)
                return -ENOMEM;
        stack_ref(stack);
        new->uses = 1;
        new->index = h->stacks_n;
        h->stacks[h->stacks_n++] = new;
        held_stack_count(h, new);
        *ret = TAKE_PTR(new);
        return 0;
}

void held_stack_put(struct held *h, struct held_stack *s) {
        if (!s || --s->uses > 0)
                return;
        HASH_DEL(h->stacks_by, s);
        h->stacks[s->index] = h->stacks[--h->stacks_n];
        h->stacks[s->index]->index = s->index;
        h->bytes -= s->bytes;
        stack_unref(s->stack);
        free(s);
}

int held_detail_get(struct held *h, const char *text, struct held_detail **ret) {
        _cleanup_free_ struct held_detail *new = NULL;
        size_t size = text ? strlen(text) : 0;
        struct held_detail *d = NULL;

        if (size > 0)
                HASH_FIND(hh, h->details_by, text, size, d);
        if (size == 0 || d) {
                if (d)
                        d->uses++;
                *ret = d;
                return 0;
        }
        new = calloc(1, sizeof(*new) + size + 1);
        if (!new)
                return -ENOMEM;
        memcpy(new->text, text, size);
        HASH_ADD_KEYPTR(hh, h->details_by, new->text, size, new);
        if (!new->hh.tbl)
                return -ENOMEM;
        new->uses = 1;
        h->bytes += sizeof(*new) + size + 1;
        *ret = TAKE_PTR(new);
        return 0;
}

void held_detail_put(struct held *h, struct held_detail *d) {
        if (!d || --d->uses > 0)
                return;
        HASH_DEL(h->details_by, d);
        h->bytes -= sizeof(*d) + strlen(d->text) + 1;
        free(d);
}
