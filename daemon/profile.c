/* SPDX-License-Identifier: Apache-2.0 */
#include "profile.h"

#include <errno.h>
#include <string.h>

#include "base/macro.h"
#include "group.h"

#define DETAILS_MAX 10

/* Whether the selection has time of a thread. */
enum met { MET_NONE, MET, MET_IDLE };

/* A question and all that lives while it is answered. */
struct question {
        const struct profile_query *query;
        struct tally tally;
        struct words words;
        struct frames frames;
        struct group group;
        struct arena *arena;
        uint8_t *met;            /* enum met, by thread */
        struct profile *profile; /* in the arena */
};

static void question_fini(struct question *a) {
        group_fini(&a->group);
        frames_fini(&a->frames);
        words_fini(&a->words);
        tally_fini(&a->tally);
        free(a->met);
        arena_free(a->arena);
}

static int question_init(struct question *a, struct store *s, const struct profile_query *q, uint64_t now) {
        bool lines = q->by & BY_LINE || (q->by & BY_STACK && !(q->by & BY_FUNCTION));
        int r;

        *a = (struct question){.query = q};
        a->arena = arena_new();
        if (!a->arena)
                return -ENOMEM;
        a->words.arena = a->arena;
        r = tally_init(&a->tally, s, q, now);
        if (r < 0)
                return r;
        a->met = calloc(s->held.threads_n + 1, sizeof(*a->met));
        if (!a->met)
                return -ENOMEM;
        r = frames_init(&a->frames, q, lines, &s->held, &a->words);
        if (r < 0)
                return r;
        return group_init(&a->group, q, &a->frames, &s->held);
}

/* The entry's stack; *ret is NULL when the question is not about this entry. */
static int question_stack(struct question *a, const struct tally_entry *e, const struct frames_stack **ret) {
        const struct frames_stack *s;
        int r;

        r = frames_get(&a->frames, e->stack, &s);
        if (r < 0)
                return r;
        *ret = s->selected && (a->query->idle != IDLE_ONLY || tally_entry_idle(e)) ? s : NULL;
        return 0;
}

static void question_total(struct question *a, const struct tally_entry *e, const struct frames_stack *s) {
        struct profile *p = a->profile;

        p->states[e->state] += e->ns;
        p->wall_ns += e->ns;
        p->samples += e->samples;
        if (state_is_cpu(e->state))
                p->cpu_ns += e->ns;
        if (tally_entry_idle(e))
                p->idle_ns += e->ns;
        if (!e->stack)
                return;
        p->loss.stacks += e->met;
        p->loss.truncated_stacks += s->truncated ? e->met : 0;
        p->loss.incomplete_stacks += s->incomplete ? e->met : 0;
        p->loss.unresolved_frames += s->unknown_n * e->met;
}

static int question_entry(void *userdata, const struct tally_entry *e) {
        struct question *a = userdata;
        const struct frames_stack *s;
        uint32_t thread = e->thread->index;
        int r;

        r = question_stack(a, e, &s);
        if (r < 0 || !s)
                return r;
        question_total(a, e, s);
        if (e->ns > 0 || e->samples > 0)
                a->met[thread] = MAX(a->met[thread], e->ns > 0 && tally_entry_idle(e) ? MET_IDLE : MET);
        return group_add(&a->group, e, s);
}

static int address_compare(const void *a, const void *b) {
        const void *const *x = a, *const *y = b;

        return (uintptr_t)*x < (uintptr_t)*y ? -1 : (uintptr_t)*x > (uintptr_t)*y;
}

static int question_count(struct question *a, const struct held *held) {
        _cleanup_free_ const void **processes = calloc(held->threads_n + 1, sizeof(*processes));
        struct profile *p = a->profile;

        if (!processes)
                return -ENOMEM;
        for (uint32_t i = 0; i < held->threads_n; i++) {
                if (a->met[i] == MET_NONE)
                        continue;
                processes[p->threads++] = held->threads[i]->thread->process;
                p->idle_threads += a->met[i] == MET_IDLE;
        }
        qsort(processes, p->threads, sizeof(*processes), address_compare);
        for (size_t i = 0; i < p->threads; i++)
                p->processes += i == 0 || processes[i] != processes[i - 1];
        return 0;
}

static uint64_t sum(const uint64_t *states, int from, int to) {
        uint64_t ns = 0;

        for (int i = from; i < to; i++)
                ns += states[i];
        return ns;
}

static uint64_t row_value(const struct profile_query *q, const struct profile_row *row) {
        switch (q->sort) {
        case SORT_DEFAULT:
        case SORT_OWN:
                return q->by & BY_FRAMES ? sum(row->own, 0, STATE_MAX) : row->wall_ns;
        case SORT_TOTAL:
        case SORT_WALL:
                return row->wall_ns;
        case SORT_CPU:
                return row->cpu_ns;
        case SORT_WAIT:
                return row->wall_ns - row->cpu_ns;
        default:
                return 0;
        }
}

/* A row on its way to its place. */
struct place {
        struct profile_row row;
        uint32_t group; /* where it comes from */
        uint64_t value;
};

static int compare_text(const char *a, const char *b) {
        return a && b ? strcmp(a, b) : !!a - !!b;
}

static int compare_number(uint64_t a, uint64_t b) {
        return a < b ? -1 : a > b;
}

static int compare_names(const struct profile_row *a, const struct profile_row *b) {
        int r;

        if ((r = compare_text(a->frame.function, b->frame.function)) ||
            (r = compare_text(a->frame.file, b->frame.file)) ||
            (r = compare_number((uint64_t)a->frame.line, (uint64_t)b->frame.line)) ||
            (r = compare_text(a->command, b->command)) || (r = compare_text(a->comm, b->comm)) ||
            (r = compare_number(a->pid, b->pid)) || (r = compare_number(a->started, b->started)) ||
            (r = compare_text(a->thread, b->thread)) || (r = compare_number(a->tid, b->tid)) ||
            (r = compare_text(a->unit, b->unit)) || (r = compare_text(a->container, b->container)) ||
            (r = compare_text(a->peer, b->peer)))
                return r;
        return compare_number(a->window, b->window);
}

static int compare_stacks(const struct profile_row *a, const struct profile_row *b) {
        int r;

        for (size_t i = 0; i < MIN(a->frames_n, b->frames_n); i++)
                if ((r = compare_text(a->frames[i].function, b->frames[i].function)) ||
                    (r = compare_text(a->frames[i].file, b->frames[i].file)) ||
                    (r = compare_number((uint64_t)a->frames[i].line, (uint64_t)b->frames[i].line)))
                        return r;
        return compare_number(a->frames_n, b->frames_n);
}

static int place_compare(const void *a, const void *b) {
        const struct place *x = a, *y = b;
        int r;

        if (x->value != y->value)
                return x->value > y->value ? -1 : 1;
        r = compare_names(&x->row, &y->row);
        if (r != 0)
                return r;
        r = compare_stacks(&x->row, &y->row);
        return r != 0 ? r : compare_number((uint64_t)x->row.state, (uint64_t)y->row.state);
}

static int row_set_key(struct question *a, const struct group_key *key, struct profile_row *row) {
        *row = (struct profile_row){
                        .pid = key->pid,
                        .tid = key->tid,
                        .started = key->started,
                        .comm = key->comm,
                        .command = key->command,
                        .thread = key->thread,
                        .unit = key->unit,
                        .container = key->container,
                        .peer = key->peer,
                        .waker = a->query->by & BY_WAKER ? "" : NULL,
                        .window = key->window,
                        .state = (int)key->state - 1,
        };
        if (key->frame)
                row->frame = a->frames.list[key->frame - 1];
        return key->stack ? frames_render(&a->frames, key->stack - 1, &row->frames, &row->frames_n) : 0;
}

static int row_set(struct question *a, const struct group_row *from, struct profile_row *row) {
        int r;

        r = row_set_key(a, &from->key, row);
        if (r < 0)
                return r;
        memcpy(row->own, from->own, sizeof(row->own));
        memcpy(row->total, from->total, sizeof(row->total));
        row->wall_ns = sum(from->total, 0, STATE_MAX);
        row->cpu_ns = sum(from->total, 0, STATE_UNSAMPLED + 1);
        row->idle_ns = from->idle_ns;
        row->samples = from->samples;
        if (from->waits)
                row->waits = (struct profile_waits){
                                .count = from->waits->count,
                                .max_ns = from->waits->max,
                                .p50_ns = histogram_percentile(from->waits, 50),
                                .p95_ns = histogram_percentile(from->waits, 95),
                                .p99_ns = histogram_percentile(from->waits, 99),
                };
        return 0;
}

static int detail_compare(const void *a, const void *b) {
        const struct group_detail *x = a, *y = b;

        if (x->row != y->row)
                return compare_number(x->row, y->row);
        if (x->ns != y->ns)
                return compare_number(y->ns, x->ns);
        if (x->state != y->state)
                return compare_number(x->state, y->state);
        return strcmp(x->detail->text, y->detail->text);
}

/* `d` are the n details of the row, largest first. */
static int row_set_details(struct question *a, struct profile_row *row, const struct group_detail *d, size_t n) {
        struct profile_detail *details = arena_alloc(a->arena, MIN(n, (size_t)DETAILS_MAX + 1) * sizeof(*details));

        if (!details)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                bool rest = i >= DETAILS_MAX;
                struct profile_detail *to = &details[rest ? DETAILS_MAX : i];

                to->ns += d[i].ns;
                to->state = rest ? STATE_OTHER : d[i].state;
                to->detail = rest ? "other" : words_get(&a->words, d[i].detail->text);
                if (!to->detail)
                        return -ENOMEM;
        }
        row->details = details;
        row->details_n = MIN(n, (size_t)DETAILS_MAX + 1);
        return 0;
}

static int question_details(struct question *a, const uint32_t *groups) {
        struct group *g = &a->group;
        _cleanup_free_ uint32_t *first = calloc((size_t)g->n + 2, sizeof(*first));
        int r;

        if (!first)
                return -ENOMEM;
        qsort(g->details, g->details_n, sizeof(*g->details), detail_compare);
        for (uint32_t i = 0; i < g->details_n; i++)
                first[g->details[i].row + 1]++;
        for (uint32_t i = 0; i < g->n; i++)
                first[i + 1] += first[i];
        for (size_t i = 0; i < a->profile->rows_n; i++) {
                uint32_t row = groups[i];

                if (first[row + 1] == first[row])
                        continue;
                r = row_set_details(a, &a->profile->rows[i], &g->details[first[row]], first[row + 1] - first[row]);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* The rows in order, cut to the limit. Those whose time is all hidden are none. */
static int question_rows(struct question *a) {
        struct group *g = &a->group;
        _cleanup_free_ struct place *places = calloc(g->n ? g->n : 1, sizeof(*places));
        _cleanup_free_ uint32_t *groups = calloc(g->n ? g->n : 1, sizeof(*groups));
        size_t n = 0;
        int r;

        if (!places || !groups)
                return -ENOMEM;
        for (uint32_t i = 0; i < g->n; i++) {
                struct place *p = &places[n];

                r = row_set(a, &g->rows[i], &p->row);
                if (r < 0)
                        return r;
                p->group = i;
                p->value = row_value(a->query, &p->row);
                n += p->row.wall_ns > 0 || p->row.samples > 0;
        }
        qsort(places, n, sizeof(*places), place_compare);
        if (a->query->limit > 0)
                n = MIN(n, a->query->limit);
        a->profile->rows = arena_alloc(a->arena, MAX(n, (size_t)1) * sizeof(*a->profile->rows));
        if (!a->profile->rows)
                return -ENOMEM;
        a->profile->rows_n = n;
        for (size_t i = 0; i < n; i++) {
                a->profile->rows[i] = places[i].row;
                groups[i] = places[i].group;
        }
        return a->group.details_n > 0 ? question_details(a, groups) : 0;
}

int profile_query(struct store *s, const struct profile_query *q, uint64_t now, struct profile **ret) {
        _cleanup_(question_fini) struct question a = {};
        int r;

        r = question_init(&a, s, q, now);
        if (r < 0)
                return r;
        a.profile = arena_alloc(a.arena, sizeof(*a.profile));
        if (!a.profile)
                return -ENOMEM;
        a.profile->since = a.tally.scan.range.since;
        a.profile->until = a.tally.scan.range.until;
        a.profile->oldest = a.tally.scan.range.oldest;
        a.profile->by = q->by;
        r = tally_run(&a.tally, question_entry, &a);
        if (r < 0)
                return r;
        r = question_count(&a, &s->held);
        if (r < 0)
                return r;
        r = question_rows(&a);
        if (r < 0)
                return r;
        a.profile->arena = TAKE_PTR(a.arena);
        *ret = a.profile;
        return 0;
}

void profile_free(struct profile *p) {
        if (p)
                arena_free(p->arena); /* p itself lies in it */
}
