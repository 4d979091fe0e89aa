/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon_private.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>

#include "aggregate.h"
#include "base/log.h"
#include "base/macro.h"
#include "idle.h"
#include "proc/clock.h"
#include "seed.h"

static int daemon_emit(void *userdata, const struct slice *slice) {
        struct daemon *d = userdata;

        return store_add(d->store, slice);
}

static int daemon_observe(struct daemon *d, const struct ingested *in) {
        const struct observation *o = &in->observation;
        struct stack *stack = NULL;
        bool missing = false;
        int r;

        if (!in->observed)
                return 0;
        if (o->tick || o->wait) {
                stack = resolve_lookup(d->resolve, in->process, o->stack, o->flags, &missing);
                if (!stack)
                        return -ENOMEM;
                if (missing)
                        probe_forget_stack(d->probe, o->stack);
        }
        r = aggregate_observation(o, stack, daemon_emit, d);
        stack_unref(stack);
        return r;
}

/* What has ended leaves the pipeline, stage by stage. */
static int daemon_let_go(struct daemon *d) {
        struct followed_process *p;
        struct followed_thread *t;
        int r = 0;

        while ((t = roster_take_gone_thread(d->roster))) {
                if (r >= 0)
                        r = aggregate_thread_exit(t, daemon_emit, d);
                store_thread_gone(d->store, t);
                followed_thread_unref(t);
        }
        while ((p = roster_take_gone_process(d->roster))) {
                resolve_process_gone(d->resolve, p);
                followed_process_unref(p);
        }
        return r;
}

static int daemon_thread_state(struct daemon *d, const struct ingested *in) {
        const struct event_state *e = in->record;

        if (seed_thread(d->seed, in->thread, e->switches) > 0 && d->seeding)
                sd_event_source_set_enabled(d->seeding, SD_EVENT_ONESHOT);
        return daemon_observe(d, in);
}

static bool daemon_drops(struct daemon *d, const void *data, size_t size) {
        const struct event *e = data;

        if (!d->test_drop || size < sizeof(*e) || (e->kind != EVENT_TICK && e->kind != EVENT_WAIT))
                return false;
        return ++d->test_dropped % d->test_drop == 0;
}

/* The pipeline. */
static int daemon_on_record(void *userdata, const void *data, size_t size) {
        struct daemon *d = userdata;
        struct ingested in;
        int r;

        if (daemon_drops(d, data, size))
                return 0;
        r = ingest_record(d->ingest, data, size, &in);
        if (r < 0)
                return r;
        switch (in.kind) {
        case INGESTED_THREAD_START:
                d->names_stale = true;
                r = store_thread(d->store, in.thread);
                break;
        case INGESTED_OBSERVATION:
                r = daemon_observe(d, &in);
                break;
        case INGESTED_STATE:
                r = daemon_thread_state(d, &in);
                break;
        case INGESTED_CODE:
                r = resolve_code(d->resolve, in.process, data, size);
                break;
        case INGESTED_STACK:
                r = resolve_stack(d->resolve, in.process, data, size);
                break;
        default:
                break;
        }
        if (r == -EBADMSG) /* counted where it was found */
                r = 0;
        return r < 0 ? r : daemon_let_go(d);
}

static int daemon_on_mapping(void *userdata, const struct probe_mapping *m) {
        struct daemon *d = userdata;
        int r;

        r = discovery_mapping(d->discovery, m);
        if (r > 0)
                d->mappings_found = true;
        return r < 0 ? r : 0;
}

static struct stack *daemon_lookup(void *userdata, struct followed_process *p, uint64_t hash) {
        struct daemon *d = userdata;
        bool missing;

        return resolve_lookup(d->resolve, p, hash, hash ? 0 : EVENT_STACK_SKIPPED, &missing);
}

static const struct image *daemon_image(void *userdata, uint32_t target) {
        struct daemon *d = userdata;

        return discovery_image(d->discovery, target);
}

int daemon_read_mappings(struct daemon *d) {
        int r;

        r = probe_read_mappings(d->probe);
        if (r < 0 || !d->mappings_found)
                return r;
        d->mappings_found = false;
        return discovery_adopt(d->discovery);
}

/* How every thread stands now. One that the iterator does not tell of has ended, and its record, which was made before,
 * is in the ring buffer, or was lost. */
int daemon_pass(struct daemon *d) {
        int r;

        roster_begin_pass(d->roster, clock_monotonic_ns());
        r = probe_iterate(d->probe);
        if (r < 0)
                return r;
        r = probe_read_all_records(d->probe);
        if (r < 0)
                return r;
        roster_end_pass(d->roster);
        return daemon_let_go(d);
}

/* Everything there is to know, up to now: before a question is answered. */
int daemon_sync(void *userdata) {
        struct daemon *d = userdata;
        int r;

        r = daemon_read_mappings(d);
        if (r < 0)
                return r;
        roster_describe(d->roster, clock_monotonic_ns());
        r = probe_read_all_records(d->probe);
        return r < 0 ? r : daemon_pass(d);
}

int daemon_read_process_names(struct daemon *d, const struct followed_process *p) {
        int r = seed_names(d->seed, p, roster_threads(d->roster));

        return r == -ENOMEM ? r : 0; /* without threading, or torn: the kernel's names stand in */
}

/* Threads get their names when they have run for a moment: threading enters them before their target is called. */
int daemon_read_names(struct daemon *d) {
        struct followed_process *p, *p_next;
        struct followed_thread *t, *t_next;
        int r;

        if (!d->names_stale)
                return 0;
        d->names_stale = false;
        r = daemon_pass(d); /* tells the thread pointers */
        if (r < 0)
                return r;
        HASH_ITER (hh, roster_threads(d->roster), t, t_next)
                t->process->unnamed |= !t->name;
        HASH_ITER (hh, roster_processes(d->roster), p, p_next) {
                if (!p->unnamed)
                        continue;
                p->unnamed = false;
                r = daemon_read_process_names(d, p);
                if (r < 0)
                        return r;
        }
        return 0;
}

int daemon_set_idle(struct daemon *d) {
        const struct config *c = d->config;
        _cleanup_free_ char **rules = NULL;
        size_t shipped = 0, n = 0;

        while (!c->idle_reset && idle_default_rules[shipped])
                shipped++;
        rules = calloc(c->idle_n + shipped + 1, sizeof(*rules));
        if (!rules)
                return -ENOMEM;
        for (size_t i = 0; i < c->idle_n; i++)
                rules[n++] = c->idle[i];
        for (size_t i = 0; i < shipped; i++)
                rules[n++] = (char *)idle_default_rules[i];
        return resolve_set_idle(d->resolve, rules, n);
}

static int daemon_start_stages(struct daemon *d) {
        struct probe_failure failure = {};
        int r;

        r = roster_new(d->proc_root, &d->roster);
        if (r < 0)
                return r;
        r = ingest_new(d->proc_root, d->roster, daemon_image, d, &d->ingest);
        if (r < 0)
                return r;
        r = store_new(d->config->memory_max / 4 * 3, &d->store);
        if (r < 0)
                return r;
        store_set_lookup(d->store, daemon_lookup, d);
        r = seed_new(d->reader, d->proc_root, &d->seed);
        if (r < 0)
                return r;
        r = resolve_new(seed_fetch, d->seed, d->config->memory_max / 4, &d->resolve);
        if (r < 0)
                return r;
        seed_set_resolve(d->seed, d->resolve);
        r = daemon_set_idle(d);
        if (r < 0)
                return r;
        r = probe_new(d->config->rate, daemon_on_record, daemon_on_mapping, d, &failure, &d->probe);
        if (r < 0) {
                log_error("%s", failure.what);
                if (failure.hint[0])
                        log_error("hint: %s; pyprofctl doctor says more", failure.hint);
                return r;
        }
        r = discovery_new(d->proc_root, d->probe, d->roster, &d->discovery);
        if (r < 0)
                return r;
        discovery_prime(d->discovery);
        r = discovery_scan(d->discovery);
        if (r < 0)
                return log_error_errno(r, "Cannot look for Python processes: %m");
        governor_init(&d->governor, d->config->budget, d->config->rate);
        return discovery_adopt(d->discovery);
}

DEFINE_CLEANUP(struct daemon *, daemon_free)

int daemon_new(struct config *config, struct daemon **ret) {
        _cleanup_(daemon_freep) struct daemon *d = calloc(1, sizeof(*d));
        const char *drop = getenv("PYPROFD_TEST_DROP");
        int r;

        if (!d)
                return log_error_errno(-ENOMEM, "Cannot start: %m");
        if (drop)
                log_warning("PYPROFD_TEST_DROP is set: events are dropped on purpose");
        d->config = config;
        d->proc_root = strdup(config->proc_root); /* the configuration may be read again */
        if (!d->proc_root)
                return log_error_errno(-ENOMEM, "Cannot start: %m");
        d->report.started = clock_monotonic_ns();
        d->test_drop = drop ? (unsigned)atoi(drop) : 0;
        r = reader_new(&d->reader); /* before there is anything to inherit */
        if (r < 0)
                return log_error_errno(r, "Cannot start the reader: %m");
        r = sd_event_new(&d->event);
        if (r < 0)
                return log_error_errno(r, "Cannot make an event loop: %m");
        r = daemon_start_stages(d);
        if (r < 0)
                return r;
        r = events_start(d);
        if (r < 0)
                return r;
        r = source_start(d);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(d);
        return 0;
}

void daemon_free(struct daemon *d) {
        if (!d)
                return;
        serve_free(d->serve);
        sd_event_source_unref(d->mappings);
        sd_event_source_unref(d->mappings_again);
        sd_event_source_unref(d->duty);
        sd_event_source_unref(d->seeding);
        sd_event_unref(d->event);
        probe_free(d->probe);
        discovery_free(d->discovery);
        store_free(d->store);
        seed_free(d->seed);
        resolve_free(d->resolve);
        ingest_free(d->ingest);
        roster_free(d->roster);
        reader_free(d->reader);
        free(d->proc_root);
        free(d);
}

int daemon_run(struct daemon *d) {
        int r;

        sd_notify(false, "READY=1\nSTATUS=Profiling");
        r = sd_event_loop(d->event);
        if (r < 0)
                log_error_errno(r, "The event loop failed: %m");
        sd_notify(false, "STOPPING=1");
        return r;
}
