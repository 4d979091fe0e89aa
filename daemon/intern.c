/* SPDX-License-Identifier: Apache-2.0 */
/* uthash ends the program when memory is short, unless told otherwise. */
#define HASH_NONFATAL_OOM 1

#include "intern.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

/* The keys in the tables are hashes of the content: a find is compared before it is believed, equal keys may coexist.
 */
struct intern {
        struct function *functions;
        struct table *tables;
        struct stack *stacks;
        uint64_t ids;
        uint64_t bytes;
};

int intern_new(struct intern **ret) {
        struct intern *i = calloc(1, sizeof(*i));

        if (!i)
                return -ENOMEM;
        *ret = i;
        return 0;
}

void intern_free(struct intern *i) {
        struct function *f, *f_next;
        struct table *t, *t_next;
        struct stack *s, *s_next;

        if (!i)
                return;
        HASH_ITER (hh, i->functions, f, f_next) {
                HASH_DEL(i->functions, f);
                f->intern = NULL;
        }
        HASH_ITER (hh, i->tables, t, t_next) {
                HASH_DEL(i->tables, t);
                t->intern = NULL;
        }
        HASH_ITER (hh, i->stacks, s, s_next) {
                HASH_DEL(i->stacks, s);
                s->intern = NULL;
        }
        free(i);
}

uint64_t intern_bytes(const struct intern *i) {
        return i->bytes;
}

static uint64_t function_bytes(const struct function *f) {
        return sizeof(*f) + strlen(f->name) + strlen(f->file) + 2;
}

static bool function_equal(const struct function *f, const char *name, const char *file, int line, bool unknown) {
        return f->line == line && f->unknown == unknown && strcmp(f->name, name) == 0 && strcmp(f->file, file) == 0;
}

struct function *intern_function(struct intern *i, const char *name, const char *file, int line, bool unknown) {
        struct function *f = NULL;
        uint64_t key;

        key = XXH3_64bits_withSeed(name, strlen(name), ((uint64_t)(uint32_t)line << 1) | unknown);
        key = XXH3_64bits_withSeed(file, strlen(file), key);
        HASH_FIND(hh, i->functions, &key, sizeof(key), f);
        if (f && function_equal(f, name, file, line, unknown))
                return function_ref(f);

        f = calloc(1, sizeof(*f));
        if (!f)
                return NULL;
        *f = (struct function){.refs = 1, .line = line, .unknown = unknown, .key = key};
        f->name = strdup(name);
        f->file = strdup(file);
        if (!f->name || !f->file) {
                function_unref(f);
                return NULL;
        }
        HASH_ADD(hh, i->functions, key, sizeof(f->key), f);
        if (!f->hh.tbl) {
                function_unref(f);
                return NULL;
        }
        f->intern = i;
        i->bytes += function_bytes(f);
        return f;
}

void intern_remove_function(struct intern *i, struct function *f) {
        HASH_DEL(i->functions, f);
        i->bytes -= function_bytes(f);
        f->intern = NULL;
}

struct table *intern_table(struct intern *i, const uint8_t *data, size_t size) {
        struct table *t = NULL;
        uint64_t key = XXH3_64bits(data, size);

        HASH_FIND(hh, i->tables, &key, sizeof(key), t);
        if (t && t->size == size && memcmp(t->data, data, size) == 0) {
                t->refs++;
                return t;
        }

        t = calloc(1, sizeof(*t) + size);
        if (!t)
                return NULL;
        t->refs = 1;
        t->key = key;
        t->size = size;
        memcpy(t->data, data, size);
        HASH_ADD(hh, i->tables, key, sizeof(t->key), t);
        if (!t->hh.tbl) {
                free(t);
                return NULL;
        }
        t->intern = i;
        i->bytes += sizeof(*t) + size;
        return t;
}

void table_unref(struct table *t) {
        if (!t)
                return;
        assert(t->refs > 0);
        if (--t->refs > 0)
                return;
        if (t->intern) {
                HASH_DEL(t->intern->tables, t);
                t->intern->bytes -= sizeof(*t) + t->size;
        }
        free(t);
}

static uint64_t stack_bytes(const struct stack *s) {
        return sizeof(*s) + s->locations_n * sizeof(s->locations[0]);
}

static uint64_t content_key(const struct stack_content *content) {
        uint64_t key = (content->truncated ? 1 : 0) | (content->incomplete ? 2 : 0);

        for (uint32_t n = 0; n < content->n; n++) {
                uint64_t pair[] = {(uintptr_t)content->locations[n].function, (uint32_t)content->locations[n].line};

                key = XXH3_64bits_withSeed(pair, sizeof(pair), key);
        }
        return key;
}

static bool content_equal(const struct stack *s, const struct stack_content *content) {
        if (s->locations_n != content->n || s->truncated != content->truncated || s->incomplete != content->incomplete)
                return false;
        for (uint32_t n = 0; n < content->n; n++)
                if (s->locations[n].function != content->locations[n].function ||
                    s->locations[n].line != content->locations[n].line)
                        return false;
        return true;
}

static void stack_set(struct stack *s, struct stack_content *content) {
        locations_free(s->locations, s->locations_n);
        s->locations = TAKE_PTR(content->locations);
        s->locations_n = content->n;
        s->truncated = content->truncated;
        s->incomplete = content->incomplete;
        s->idle = content->idle;
        s->unknown_n = 0;
        for (uint32_t n = 0; n < s->locations_n; n++)
                if (s->locations[n].function->unknown)
                        s->unknown_n++;
}

static void stack_register(struct intern *i, struct stack *s, uint64_t key) {
        s->key = key;
        HASH_ADD(hh, i->stacks, key, sizeof(s->key), s);
        if (!s->hh.tbl)
                return; /* it works, only that it is not found by its equals */
        s->intern = i;
        i->bytes += stack_bytes(s);
}

struct stack *intern_placeholder(struct intern *i, struct stack_content *content) {
        struct stack *s = calloc(1, sizeof(*s));

        if (!s) {
                locations_free(TAKE_PTR(content->locations), content->n);
                return NULL;
        }
        s->refs = 1;
        s->id = ++i->ids;
        stack_set(s, content);
        return s;
}

void intern_fill(struct intern *i, struct stack *placeholder, struct stack_content *content) {
        uint64_t key = content_key(content);

        assert(!placeholder->resolved && !placeholder->intern);
        stack_set(placeholder, content);
        placeholder->resolved = true;
        stack_register(i, placeholder, key);
}

struct stack *intern_stack(struct intern *i, struct stack_content *content) {
        uint64_t key = content_key(content);
        struct stack *s = NULL;

        HASH_FIND(hh, i->stacks, &key, sizeof(key), s);
        if (s && content_equal(s, content)) {
                locations_free(TAKE_PTR(content->locations), content->n);
                return stack_ref(s);
        }
        s = intern_placeholder(i, content);
        if (!s)
                return NULL;
        s->resolved = true;
        stack_register(i, s, key);
        return s;
}

void intern_remove_stack(struct intern *i, struct stack *s) {
        HASH_DEL(i->stacks, s);
        i->bytes -= stack_bytes(s);
        s->intern = NULL;
}

void intern_each_stack(struct intern *i, void (*each)(void *userdata, struct stack *s), void *userdata) {
        struct stack *s, *next;

        HASH_ITER (hh, i->stacks, s, next) {
                each(userdata, s);
        }
}
