/* SPDX-License-Identifier: Apache-2.0 */
#include "resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "idle.h"
#include "intern.h"
#include "known.h"
#include "python/linetable.h"

#define UNKNOWN_FRAME "[unknown: unreadable frame]"
#define UNKNOWN_CODE "[unknown: unreadable code]"
#define UNKNOWN_NAME "[unknown: lost name]"
#define UNKNOWN_STACK "[unknown: lost stack]"
#define NO_PYTHON "[no Python frame]" /* not unknown: there is none */

struct resolve {
        resolve_fetch_fn *fetch;
        void *userdata;
        uint64_t memory_max;

        struct idle *idle;
        struct intern *intern;
        struct known *known;
        struct stack *no_python, *unsampled;
        struct resolve_counters counters;
};

/* The location of a frame that stands for something else. */
static int location_pseudo(struct resolve *r, const char *name, bool unknown, struct location *ret) {
        struct function *f = intern_function(r->intern, name, "", 0, unknown);

        if (!f)
                return -ENOMEM;
        *ret = (struct location){.function = f};
        return 0;
}

/* A stack of a single pseudo frame; a placeholder for one that may come, or a stack like any other. */
static struct stack *stack_pseudo(struct resolve *r, const char *name, bool unknown, bool placeholder) {
        struct stack_content content = {.n = 1};

        content.locations = calloc(1, sizeof(content.locations[0]));
        if (!content.locations)
                return NULL;
        if (location_pseudo(r, name, unknown, &content.locations[0]) < 0) {
                free(content.locations);
                return NULL;
        }
        if (placeholder)
                return intern_placeholder(r->intern, &content);
        return intern_stack(r->intern, &content);
}

void resolve_set_memory_max(struct resolve *r, uint64_t memory_max) {
        r->memory_max = memory_max;
}

void resolve_free(struct resolve *r) {
        if (!r)
                return;
        stack_unref(r->no_python);
        stack_unref(r->unsampled);
        known_free(r->known);
        intern_free(r->intern);
        idle_free(r->idle);
        free(r);
}

int resolve_new(resolve_fetch_fn *fetch, void *userdata, uint64_t memory_max, struct resolve **ret) {
        struct resolve *r;
        size_t rules_n = 0;
        int q;

        r = calloc(1, sizeof(*r));
        if (!r)
                return -ENOMEM;
        *r = (struct resolve){.fetch = fetch, .userdata = userdata, .memory_max = memory_max};

        while (idle_default_rules[rules_n])
                rules_n++;
        q = idle_new(idle_default_rules, rules_n, &r->idle, NULL);
        if (q >= 0)
                q = intern_new(&r->intern);
        if (q >= 0)
                q = known_new(&r->known);
        if (q >= 0) {
                r->no_python = stack_pseudo(r, NO_PYTHON, false, false);
                r->unsampled = stack_pseudo(r, "[unsampled]", false, false);
                if (!r->no_python || !r->unsampled)
                        q = -ENOMEM;
        }
        if (q < 0) {
                resolve_free(r);
                return q;
        }
        *ret = r;
        return 0;
}

static void stack_judge(void *userdata, struct stack *s) {
        struct resolve *r = userdata;

        s->idle = idle_match(r->idle, s->locations, s->locations_n);
}

int resolve_set_idle(struct resolve *r, char **rules, size_t rules_n) {
        struct idle *idle;
        int q;

        q = idle_new((const char *const *)rules, rules_n, &idle, NULL);
        if (q < 0)
                return q;
        idle_free(r->idle);
        r->idle = idle;
        intern_each_stack(r->intern, stack_judge, r);
        return 0;
}

/* What is interned may be held by the history too, so forgetting here need not free it: the entries themselves are left
 * a quarter of the bound, else a history that holds much would have them all evicted again and again. */
static void resolve_evict(struct resolve *r) {
        while (known_bytes(r->known) + intern_bytes(r->intern) > r->memory_max &&
               known_bytes(r->known) > r->memory_max / 4 && known_evict(r->known))
                r->counters.evicted++;
}

/* ---- code objects ---- */

/* One of the strings behind a record: `*data` moves past it. */
static int code_string(const uint8_t **data, size_t *left, size_t size, unsigned kind, char **ret) {
        char *s;

        if (size > *left)
                return -EBADMSG;
        if (size == 0) {
                *ret = NULL;
                return 0;
        }
        if (kind != 1 && kind != 2 && kind != 4)
                return -EBADMSG;
        s = remote_utf8(*data, size / kind, kind);
        if (!s)
                return -ENOMEM;
        *data += size;
        *left -= size;
        *ret = s;
        return 0;
}

/* The strings and the table of a record, as if they had been fetched. */
static int code_parse(const struct event_code *e, size_t size, struct remote_code *ret) {
        _cleanup_free_ char *name = NULL, *qualname = NULL, *filename = NULL;
        const uint8_t *data = (const uint8_t *)(e + 1);
        size_t left = size - sizeof(*e);
        uint8_t *table;
        int q;

        q = code_string(&data, &left, e->name_size, e->name_kind, &name);
        if (q < 0)
                return q;
        q = code_string(&data, &left, e->qualname_size, e->qualname_kind, &qualname);
        if (q < 0)
                return q;
        q = code_string(&data, &left, e->filename_size, e->filename_kind, &filename);
        if (q < 0)
                return q;
        if (e->table_size > left)
                return -EBADMSG;

        table = malloc(e->table_size ?: 1);
        if (!table)
                return -ENOMEM;
        memcpy(table, data, e->table_size);
        *ret = (struct remote_code){
                        .name = qualname ? TAKE_PTR(qualname) : TAKE_PTR(name),
                        .filename = TAKE_PTR(filename),
                        .firstlineno = (int)e->firstlineno,
                        .table = table,
                        .table_size = e->table_size,
        };
        return 0;
}

static int generation_make(struct resolve *r, const struct remote_code *code, struct generation *ret) {
        struct generation g = {.firstlineno = code->firstlineno};

        g.function = intern_function(r->intern, code->name ?: UNKNOWN_CODE, code->filename ?: "", code->firstlineno,
                                     !code->name);
        if (g.function && code->table_size > 0)
                g.table = intern_table(r->intern, code->table, code->table_size);
        if (!g.function || (code->table_size > 0 && !g.table)) {
                generation_fini(&g);
                return -ENOMEM;
        }
        if (code->table_size == 0)
                r->counters.tables_bad++;
        *ret = g;
        return 0;
}

static int code_fetch(struct resolve *r, const struct followed_process *p, uint64_t address, struct remote_code *ret) {
        int q;

        if (!r->fetch)
                return -EOPNOTSUPP;
        q = r->fetch(r->userdata, p, address, ret);
        if (q < 0) {
                r->counters.codes_unreadable++;
                return q;
        }
        r->counters.codes_fetched++;
        return 0;
}

/* A record is the newest code of its address. The same fingerprint again, or a record for what was fetched meanwhile,
 * is the same code; another fingerprint means that the address was reused. */
static void code_update(struct known_code *c, struct generation *g, const struct event_code *e) {
        if (c->current.function && (c->current.fetched || c->current.fingerprint == e->fingerprint)) {
                g->version = c->current.version;
                g->time = c->current.time;
                generation_fini(&c->current);
        } else if (c->current.function) {
                g->version = c->current.version + 1;
                g->time = e->event.time;
                generation_fini(&c->previous);
                c->previous = c->current;
        }
        c->current = *g;
        c->current.fingerprint = e->fingerprint;
}

int resolve_code(struct resolve *r, struct followed_process *p, const struct event_code *e, size_t size) {
        _cleanup_(remote_code_fini) struct remote_code code = {};
        struct generation g;
        struct known_code *c;
        int q;

        if (size < sizeof(*e) || e->event.size < sizeof(*e) || e->event.size > size)
                return -EBADMSG;
        q = code_parse(e, e->event.size, &code);
        if (q < 0)
                return q;
        r->counters.codes++;

        if (e->event.flags & EVENT_CODE_INCOMPLETE) {
                struct remote_code whole = {};

                /* By now another code object may live there: the first line tells most of them apart. */
                if (code_fetch(r, p, e->code, &whole) >= 0) {
                        if (whole.firstlineno == code.firstlineno) {
                                remote_code_fini(&code);
                                code = whole;
                        } else
                                remote_code_fini(&whole);
                }
        }

        q = generation_make(r, &code, &g);
        if (q < 0)
                return q;
        c = known_add_code(r->known, p->scope, p->pid, e->code);
        if (!c) {
                generation_fini(&g);
                return -ENOMEM;
        }
        code_update(c, &g, e);
        resolve_evict(r);
        return 0;
}

/* ---- stacks ---- */

static int generation_line(struct resolve *r, const struct followed_process *p, const struct generation *g, int lasti) {
        int line;

        if (!g->table || !p->image)
                return g->firstlineno;
        line = linetable_line(p->image->number, g->table->data, g->table->size, g->firstlineno, lasti);
        if (line >= 0)
                return line;
        r->counters.tables_bad++;
        return g->firstlineno;
}

/* The code object whose record was lost or evicted. -ENOENT: it cannot be had. */
static int code_recover(struct resolve *r, const struct followed_process *p, const struct event_frame *frame,
                        struct known_code **ret) {
        _cleanup_(remote_code_fini) struct remote_code code = {};
        struct generation g;
        struct known_code *c;
        int q;

        q = code_fetch(r, p, frame->code, &code);
        if (q < 0)
                return -ENOENT;
        q = generation_make(r, &code, &g);
        if (q < 0)
                return q;
        c = known_add_code(r->known, p->scope, p->pid, frame->code);
        if (!c) {
                generation_fini(&g);
                return -ENOMEM;
        }
        g.fetched = true;
        g.version = frame->version;
        generation_fini(&c->current);
        c->current = g;
        *ret = c;
        return 0;
}

/* A stack is sent after the code objects that it was checked against, so the newest one is meant, but where another CPU
 * sent its own in between. The version alone does not tell: BPF counts from 0 again when it had to forget the address.
 */
static const struct generation *code_generation(const struct known_code *c, uint32_t version, uint64_t time) {
        if (c->previous.function && c->previous.version == version && time < c->current.time)
                return &c->previous;
        return &c->current;
}

static int location_make(struct resolve *r, const struct followed_process *p, const struct event_frame *frame,
                         uint64_t time, struct location *ret) {
        const struct generation *g;
        struct known_code *c;
        int q;

        if (frame->code == 0)
                return location_pseudo(r, UNKNOWN_FRAME, true, ret);

        c = known_find_code(r->known, p->scope, p->pid, frame->code);
        if (!c) {
                q = code_recover(r, p, frame, &c);
                if (q == -ENOENT) {
                        r->counters.codes_missing++;
                        return location_pseudo(r, UNKNOWN_NAME, true, ret);
                }
                if (q < 0)
                        return q;
        }
        g = code_generation(c, frame->version, time);
        *ret = (struct location){
                        .function = function_ref(g->function),
                        .line = generation_line(r, p, g, frame->lasti),
        };
        return 0;
}

static int content_make(struct resolve *r, const struct followed_process *p, const struct event_frame *frames, size_t n,
                        uint16_t flags, uint64_t time, struct stack_content *ret) {
        struct stack_content content = {
                        .truncated = flags & EVENT_STACK_TRUNCATED,
                        .incomplete = flags & EVENT_STACK_INCOMPLETE,
        };
        int q = 0;

        content.locations = calloc(n + 1, sizeof(content.locations[0])); /* one more for `[truncated]` */
        if (!content.locations)
                return -ENOMEM;
        for (size_t i = 0; i < n && q >= 0; i++) {
                q = location_make(r, p, &frames[i], time, &content.locations[content.n]);
                if (q < 0)
                        break;
                content.n++;
                if (frames[i].code == 0)
                        content.incomplete = true;
        }
        if (q >= 0 && (content.truncated || n == 0)) {
                if (n == 0)
                        content.incomplete = true;
                q = content.truncated ? location_pseudo(r, "[truncated]", false, &content.locations[content.n])
                                      : location_pseudo(r, UNKNOWN_FRAME, true, &content.locations[content.n]);
                if (q >= 0)
                        content.n++;
        }
        if (q < 0) {
                locations_free(content.locations, content.n);
                return q;
        }
        content.idle = idle_match(r->idle, content.locations, content.n);
        *ret = content;
        return 0;
}

/* The frames of a hash: fills the placeholder that was handed out for it, or adds, or replaces what BPF sends again. */
static int stack_learn(struct resolve *r, struct followed_process *p, uint64_t hash, struct stack_content *content) {
        struct known_stack *known = known_find_stack(r->known, p->scope, p->pid, hash);
        struct stack *s;

        if (known && !known->stack->resolved) {
                intern_fill(r->intern, known->stack, content);
                r->counters.stacks_late++;
                return 0;
        }
        s = intern_stack(r->intern, content);
        if (!s)
                return -ENOMEM;
        if (known) {
                stack_unref(known->stack);
                known->stack = s;
                return 0;
        }
        return known_add_stack(r->known, p->scope, p->pid, hash, s) ? 0 : -ENOMEM;
}

static int frames_learn(struct resolve *r, struct followed_process *p, uint64_t hash, const struct event_frame *frames,
                        size_t n, uint16_t flags, uint64_t time) {
        struct stack_content content;
        int q;

        q = content_make(r, p, frames, n, flags, time, &content);
        if (q < 0)
                return q;
        r->counters.stacks++;
        q = stack_learn(r, p, hash, &content);
        resolve_evict(r);
        return q;
}

int resolve_stack(struct resolve *r, struct followed_process *p, const struct event_stack *e, size_t size) {
        if (size < sizeof(*e) || e->event.size < sizeof(*e) || e->event.size > size)
                return -EBADMSG;
        if (e->frames_n > STACK_FRAMES_MAX || e->frames_n > (e->event.size - sizeof(*e)) / sizeof(e->frames[0]))
                return -EBADMSG;
        if (e->stack == 0)
                return -EBADMSG;
        return frames_learn(r, p, e->stack, e->frames, e->frames_n, e->event.flags, e->event.time);
}

int resolve_frames(struct resolve *r, struct followed_process *p, const struct event_frame *frames, size_t n,
                   uint16_t flags, uint64_t *ret_hash) {
        uint64_t hash;
        int q;

        if (n > STACK_FRAMES_MAX)
                return -EINVAL;
        hash = XXH3_64bits_withSeed(frames, n * sizeof(frames[0]), flags);
        if (hash == 0)
                hash = 1;
        q = frames_learn(r, p, hash, frames, n, flags, UINT64_MAX);
        if (q < 0)
                return q;
        *ret_hash = hash;
        return 0;
}

struct stack *resolve_lookup(struct resolve *r, struct followed_process *p, uint64_t hash, uint16_t flags,
                             bool *ret_missing) {
        struct known_stack *known;
        struct stack *s;

        if (hash == 0) {
                *ret_missing = false;
                return stack_ref(flags & EVENT_STACK_SKIPPED ? r->unsampled : r->no_python);
        }

        known = known_find_stack(r->known, p->scope, p->pid, hash);
        if (!known) {
                s = stack_pseudo(r, UNKNOWN_STACK, true, true);
                if (!s)
                        return NULL;
                known = known_add_stack(r->known, p->scope, p->pid, hash, s);
                if (!known)
                        return NULL;
                r->counters.stacks_missing++;
        }
        *ret_missing = !known->stack->resolved;
        s = stack_ref(known->stack);
        resolve_evict(r);
        return s;
}

void resolve_process_gone(struct resolve *r, const struct followed_process *p) {
        known_forget_process(r->known, p->scope, p->pid);
}

void resolve_counters(const struct resolve *r, struct resolve_counters *ret) {
        *ret = r->counters;
        ret->bytes = known_bytes(r->known) + intern_bytes(r->intern);
}
