/* SPDX-License-Identifier: Apache-2.0 */
#include "stack.h"

#include <assert.h>
#include <stdlib.h>

#include "intern.h"

struct function *function_ref(struct function *f) {
        f->refs++;
        return f;
}

void function_unref(struct function *f) {
        if (!f)
                return;
        assert(f->refs > 0);
        if (--f->refs > 0)
                return;
        if (f->intern)
                intern_remove_function(f->intern, f);
        free(f->name);
        free(f->file);
        free(f);
}

void locations_free(struct location *locations, uint32_t n) {
        if (!locations)
                return;
        for (uint32_t i = 0; i < n; i++)
                function_unref(locations[i].function);
        free(locations);
}

struct stack *stack_ref(struct stack *s) {
        s->refs++;
        return s;
}

void stack_unref(struct stack *s) {
        if (!s)
                return;
        assert(s->refs > 0);
        if (--s->refs > 0)
                return;
        if (s->intern)
                intern_remove_stack(s->intern, s);
        locations_free(s->locations, s->locations_n);
        free(s);
}
