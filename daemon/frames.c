/* SPDX-License-Identifier: Apache-2.0 */
#include "frames.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"

int frames_init(struct frames *f, const struct profile_query *q, bool lines, const struct held *held, struct words *w) {
        *f = (struct frames){.query = q, .arena = w->arena, .words = w, .lines = lines};
        f->stacks_n = held->stacks_n + 1;
        f->stacks = calloc(f->stacks_n, sizeof(*f->stacks));
        return f->stacks ? 0 : -ENOMEM;
}

void frames_fini(struct frames *f) {
        free(f->list);
        free(f->marks);
        free(f->functions);
        free(f->functions_frames);
        free(f->stacks);
        free(f->contents);
        index_fini(&f->by_content);
        index_fini(&f->by_function);
        index_fini(&f->by_stack);
        *f = (struct frames){};
}

/* A file that ends in what is asked for, from the start of a path component on. */
static bool file_matches(const struct profile_query *q, const char *file) {
        size_t size = strlen(file);

        for (size_t i = 0; i < q->files_n; i++) {
                const char *suffix = q->files[i];
                size_t n = strlen(suffix);

                if (n == 0 || n > size || strcmp(file + size - n, suffix) != 0)
                        continue;
                if (n == size || suffix[0] == '/' || file[size - n - 1] == '/')
                        return true;
        }
        return false;
}

static bool function_matches(const struct profile_query *q, const char *name) {
        for (size_t i = 0; i < q->functions_n; i++)
                if (regexec(&q->functions[i], name, 0, NULL, 0) == 0)
                        return true;
        return false;
}

static int frames_reserve(struct frames *f) {
        uint32_t room = f->room ? f->room * 2 : 256;
        struct profile_frame *list;
        struct frame_mark *marks;

        if (f->n < f->room)
                return 0;
        list = reallocarray(f->list, room, sizeof(*list));
        if (!list)
                return -ENOMEM;
        f->list = list;
        marks = reallocarray(f->marks, room, sizeof(*marks));
        if (!marks)
                return -ENOMEM;
        f->marks = marks;
        f->room = room;
        return 0;
}

static int frames_intern(struct frames *f, const char *name, const char *file, int line, uint32_t *ret) {
        const char *function = words_get(f->words, name ? name : ""), *path = words_get(f->words, file ? file : "");
        uintptr_t key[] = {(uintptr_t)function, (uintptr_t)path, (uintptr_t)line};
        uint32_t hash;
        int r;

        if (!function || !path)
                return -ENOMEM;
        hash = index_hash(key, sizeof(key), 0);
        for (uint32_t at = 0, i; index_next(&f->by_content, hash, &at, &i);)
                if (f->list[i].function == function && f->list[i].file == path && f->list[i].line == line) {
                        *ret = i;
                        return 0;
                }
        r = frames_reserve(f);
        if (r < 0)
                return r;
        r = index_add(&f->by_content, hash, f->n);
        if (r < 0)
                return r;
        f->list[f->n] = (struct profile_frame){.function = function, .file = path, .line = line, .kind = FRAME_PYTHON};
        f->marks[f->n] = (struct frame_mark){.function_matches = function_matches(f->query, function),
                                             .file_matches = file_matches(f->query, path)};
        *ret = f->n++;
        return 0;
}

static int functions_reserve(struct frames *f) {
        uint32_t room = f->functions_room ? f->functions_room * 2 : 256;
        void *grown;

        if (f->functions_n < f->functions_room)
                return 0;
        grown = reallocarray(f->functions, room, sizeof(*f->functions));
        if (!grown)
                return -ENOMEM;
        f->functions = grown;
        grown = reallocarray(f->functions_frames, room, sizeof(*f->functions_frames));
        if (!grown)
                return -ENOMEM;
        f->functions_frames = grown;
        f->functions_room = room;
        return 0;
}

/* The frame of a location; remembered by address, as comparing the content of every frame would cost most of a query.
 */
static int frames_location(struct frames *f, const struct location *l, uint32_t *ret) {
        int line = f->lines ? l->line : l->function->line;
        uintptr_t key[] = {(uintptr_t)l->function, (uintptr_t)line};
        uint32_t hash = index_hash(key, sizeof(key), 0), frame;
        int r;

        for (uint32_t at = 0, i; index_next(&f->by_function, hash, &at, &i);)
                if (f->functions[i] == l->function && f->functions_frames[i].line == line) {
                        *ret = f->functions_frames[i].frame;
                        return 0;
                }
        r = frames_intern(f, l->function->name, l->function->file, line, &frame);
        if (r < 0)
                return r;
        r = functions_reserve(f);
        if (r < 0)
                return r;
        r = index_add(&f->by_function, hash, f->functions_n);
        if (r < 0)
                return r;
        f->functions[f->functions_n] = l->function;
        f->functions_frames[f->functions_n].line = line;
        f->functions_frames[f->functions_n++].frame = frame;
        *ret = frame;
        return 0;
}

static int stack_fill(struct frames *f, const struct stack *stack, struct frames_stack *s) {
        int r;

        s->n = stack && stack->locations_n > 0 ? stack->locations_n : 1;
        s->list = arena_alloc(f->arena, s->n * sizeof(*s->list));
        s->unique = arena_alloc(f->arena, s->n * sizeof(*s->unique));
        if (!s->list || !s->unique)
                return -ENOMEM;
        if (!stack)
                return frames_intern(f, "[unsampled]", "", 0, &s->list[0]);
        s->truncated = stack->truncated;
        s->incomplete = stack->incomplete;
        s->unknown_n = stack->unknown_n;
        if (stack->locations_n == 0) {
                s->incomplete |= !stack->resolved;
                s->unknown_n = !stack->resolved;
                return frames_intern(f, stack->resolved ? "[no Python frame]" : "[unknown: lost stack]", "", 0,
                                     &s->list[0]);
        }
        for (uint32_t i = 0; i < stack->locations_n; i++) {
                r = frames_location(f, &stack->locations[i], &s->list[i]);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void stack_unique(struct frames *f, uint32_t serial, struct frames_stack *s) {
        bool function = f->query->functions_n == 0, file = f->query->files_n == 0;

        for (uint32_t i = 0; i < s->n; i++) {
                struct frame_mark *mark = &f->marks[s->list[i]];

                if (mark->stack == serial)
                        continue;
                mark->stack = serial;
                s->unique[s->unique_n++] = s->list[i];
                function |= mark->function_matches;
                file |= mark->file_matches;
        }
        s->selected = function && file;
}

/* Stacks that show the same frames are one. */
static int stack_content(struct frames *f, struct frames_stack *s) {
        uint32_t hash = index_hash(s->list, s->n * sizeof(*s->list), s->truncated);
        int r;

        for (uint32_t at = 0, i; index_next(&f->by_stack, hash, &at, &i);) {
                const struct frames_content *c = &f->contents[i];

                if (c->n == s->n && c->truncated == s->truncated &&
                    memcmp(c->list, s->list, s->n * sizeof(*s->list)) == 0) {
                        s->content = i;
                        return 0;
                }
        }
        if (f->contents_n == f->contents_room) {
                uint32_t room = f->contents_room ? f->contents_room * 2 : 64;
                struct frames_content *contents = reallocarray(f->contents, room, sizeof(*contents));

                if (!contents)
                        return -ENOMEM;
                f->contents = contents;
                f->contents_room = room;
        }
        r = index_add(&f->by_stack, hash, f->contents_n);
        if (r < 0)
                return r;
        s->content = f->contents_n;
        f->contents[f->contents_n++] = (struct frames_content){.list = s->list, .n = s->n, .truncated = s->truncated};
        return 0;
}

int frames_get(struct frames *f, const struct held_stack *stack, const struct frames_stack **ret) {
        uint32_t i = stack ? stack->index + 1 : 0;
        struct frames_stack *s = &f->stacks[i];
        int r;

        *ret = s;
        if (s->ready)
                return 0;
        r = stack_fill(f, stack ? stack->stack : NULL, s);
        if (r < 0)
                return r;
        stack_unique(f, i + 1, s);
        if (f->query->by & BY_STACK) {
                r = stack_content(f, s);
                if (r < 0)
                        return r;
        }
        s->ready = true;
        return 0;
}

int frames_render(struct frames *f, uint32_t content, const struct profile_frame **ret, size_t *ret_n) {
        struct frames_content *c = &f->contents[content];
        struct profile_frame *frames;
        size_t n = 0;

        if (!c->rendered) {
                frames = arena_alloc(f->arena, (c->n + c->truncated) * sizeof(*frames));
                if (!frames)
                        return -ENOMEM;
                if (c->truncated)
                        frames[n++] = (struct profile_frame){
                                        .function = "[truncated]", .file = "", .kind = FRAME_PYTHON};
                for (uint32_t i = c->n; i > 0; i--)
                        frames[n++] = f->list[c->list[i - 1]];
                c->rendered = frames;
                c->rendered_n = n;
        }
        *ret = c->rendered;
        *ret_n = c->rendered_n;
        return 0;
}
