/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Functions and stacks, interned: equal ones exist once, whatever process they were seen in. Emitted by resolve, kept
 * alive by the history through references, freed with the last one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

struct intern;

struct function {
        unsigned refs;
        char *name; /* qualified where the interpreter has it; `[unknown: reason]` for a frame that was not resolved */
        char *file;
        int line; /* first line */
        bool unknown;

        struct intern *intern; /* where equal ones are found; NULL: nowhere */
        uint64_t key;
        UT_hash_handle hh;
};

struct location {
        struct function *function; /* a reference */
        int line;                  /* executed line; 0: the instruction has none */
};

struct stack {
        unsigned refs;
        uint64_t id;        /* unique among all stacks ever, never reused */
        bool resolved;      /* false: only its hash is known yet; the frames may come later */
        bool idle;          /* a wait with this stack is a wait for work to come */
        bool truncated;     /* locations end before the outermost frame */
        bool incomplete;    /* a frame could not be read */
        uint32_t unknown_n; /* locations whose function is unknown */
        uint32_t locations_n;
        struct location *locations; /* leaf first; replaced once, when the frames come */

        struct intern *intern; /* where equal ones are found; NULL: nowhere */
        uint64_t key;
        UT_hash_handle hh;
};

struct function *function_ref(struct function *f);
void function_unref(struct function *f);                     /* NULL is fine */
void locations_free(struct location *locations, uint32_t n); /* with the references; NULL is fine */
struct stack *stack_ref(struct stack *s);
void stack_unref(struct stack *s); /* NULL is fine */
