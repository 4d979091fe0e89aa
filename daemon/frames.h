/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stacks that a question meets, in its own terms: frames by content, so that equal ones are one row wherever they
 * come from, each stack worked out once.
 */
#pragma once

#include "base/words.h"
#include "held.h"
#include "profile.h"

#define FRAME_NONE UINT32_MAX

/* What one stack is, as ids of frames. */
struct frames_stack {
        bool ready;
        bool selected;    /* -f and files */
        uint32_t n;       /* frames, leaf first */
        uint32_t *list;   /* as the question was: functions, or executed lines */
        uint32_t *unique; /* of list, each once */
        uint32_t unique_n;
        uint32_t content;   /* id of the stack as a whole; only by stack */
        uint32_t unknown_n; /* frames without a name */
        bool truncated, incomplete;
};

struct frames {
        const struct profile_query *query;
        struct arena *arena;
        struct words *words;
        bool lines; /* frames are told apart by the executed line */

        struct profile_frame *list;
        struct frame_mark {
                uint32_t stack; /* the last one that has it, + 1 */
                bool function_matches, file_matches;
        } * marks;
        uint32_t n, room;
        struct index by_content, by_function;
        const struct function **functions; /* of by_function, with the line */
        struct {
                int line;
                uint32_t frame;
        } * functions_frames;
        uint32_t functions_n, functions_room;

        struct frames_stack *stacks; /* by index + 1; 0 is the NULL stack */
        uint32_t stacks_n;

        struct frames_content {
                const uint32_t *list;
                uint32_t n;
                bool truncated;
                const struct profile_frame *rendered; /* root first */
                size_t rendered_n;
        } * contents;
        uint32_t contents_n, contents_room;
        struct index by_stack;
};

/* `lines`: frames are executed lines, else functions with their first line. 0, -ENOMEM. */
int frames_init(struct frames *f, const struct profile_query *q, bool lines, const struct held *held, struct words *w);
void frames_fini(struct frames *f);

int frames_get(struct frames *f, const struct held_stack *stack, const struct frames_stack **ret);

/* The frames of a whole stack, root first, as a row shows them. */
int frames_render(struct frames *f, uint32_t content, const struct profile_frame **ret, size_t *ret_n);
