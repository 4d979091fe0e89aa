/* SPDX-License-Identifier: Apache-2.0 */
/* What `top` looks at: a stack of levels from process down to line, and the rows of the present one. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "option.h"
#include "session.h"

#define VIEW_DEPTH_MAX 8

struct view_level {
        char *by;
        struct buffer query;   /* what was chosen above, from `?` on */
        char *title;           /* the row that was entered; NULL at the start */
        char *function, *file; /* lines of this function alone */
};

struct view {
        struct session *session;
        const struct options *options;
        struct view_level levels[VIEW_DEPTH_MAX];
        size_t depth;     /* the present level */
        const char *sort; /* NULL: the daemon's default */
        bool reverse, idle, paused;
        char filter[64];
        uint64_t interval; /* ns */
        json_t *answer;    /* with the rows that are shown, in their order; owned */
};

/* 0, -ENOMEM. */
int view_init(struct view *v, struct session *s, const struct options *o);
void view_fini(struct view *v);

/* Asks for [since, until). An exit status; on failure the rows stay. */
int view_fetch(struct view *v, int64_t since, int64_t until, struct buffer *ret_body);

/* Into row `index`, and back. False: there is no such way. */
bool view_enter(struct view *v, size_t index);
bool view_leave(struct view *v);

const struct view_level *view_level(const struct view *v);
