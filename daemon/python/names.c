/* SPDX-License-Identifier: Apache-2.0 */
/* Thread names: sys.modules["threading"]._active is a dictionary of ident to Thread, and Thread._name is the name. */
#include <errno.h>

#include "base/macro.h"
#include "python/object.h"
#include "python/remote.h"

#define INTERPRETERS_MAX 256
#define THREADS_MAX 4096
#define READS_MAX 200000 /* altogether; 5,000 modules and 1,000 threads take 40,000 */

struct names {
        remote_name_fn *each;
        void *userdata;
        unsigned left;
};

/* Each loop below is bounded, but one within another within a third would still be long. */
struct budget {
        const struct remote *remote;
        unsigned left;
};

static int budget_read(void *userdata, uint64_t address, void *data, size_t size) {
        struct budget *b = userdata;

        if (b->left == 0)
                return -EOVERFLOW;
        b->left--;
        return b->remote->read(b->remote->userdata, address, data, size);
}

static int names_item(void *userdata, const struct remote *r, uint64_t key, uint64_t value) {
        _cleanup_free_ char *text = NULL;
        struct names *n = userdata;
        uint64_t ident, name;
        int q;

        if (n->left-- == 0)
                return -EOVERFLOW;
        q = object_long(r, key, &ident);
        if (q >= 0)
                q = object_attribute(r, value, "_name", &name);
        if (q >= 0)
                q = object_string(r, name, &text);
        if (q == -EFAULT || q == -EBADMSG || q == -ENOENT || q == -ERANGE)
                return 0; /* this one changed while it was read; the others may be well */
        if (q < 0)
                return q;
        q = n->each(n->userdata, ident, text);
        return q < 0 ? q : 0;
}

static int names_of_interpreter(const struct remote *r, uint64_t interpreter, struct names *n) {
        uint64_t modules, threading, dict, active;
        int q;

        q = object_u64(r, interpreter + r->objects->interp_modules, &modules);
        if (q < 0)
                return q;
        if (modules == 0)
                return -ENOENT;
        q = object_dict_find(r, modules, "threading", &threading);
        if (q < 0)
                return q;
        q = object_u64(r, threading + r->objects->module_dict, &dict);
        if (q < 0)
                return q;
        q = object_dict_find(r, dict, "_active", &active);
        if (q < 0)
                return q;
        return object_dict_each(r, active, names_item, n);
}

int remote_thread_names(const struct remote *remote, remote_name_fn *each, void *userdata) {
        struct names n = {.each = each, .userdata = userdata, .left = THREADS_MAX};
        struct budget budget = {.remote = remote, .left = READS_MAX};
        struct remote bounded = *remote, *r = &bounded;
        uint64_t interpreter;
        int q, result = -ENOENT;

        bounded.read = budget_read;
        bounded.userdata = &budget;
        q = object_u64(r, r->runtime + r->target->runtime_interpreters_head, &interpreter);
        for (unsigned i = 0; q >= 0 && interpreter != 0 && i < INTERPRETERS_MAX; i++) {
                q = names_of_interpreter(r, interpreter, &n);
                if (q >= 0)
                        result = 0;
                else if (q != -ENOENT)
                        return q;
                q = object_u64(r, interpreter + r->target->interp_next, &interpreter);
        }
        return q < 0 ? q : result;
}
