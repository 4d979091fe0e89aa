/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>
#include <time.h>

#include "aggregate.h"
#include "base/log.h"
#include "base/macro.h"
#include "discovery.h"
#include "governor.h"
#include "idle.h"
#include "ingest.h"
#include "probe.h"
#include "proc/clock.h"
#include "report.h"
#include "resolve.h"
#include "seed.h"
#include "serve.h"
#include "store.h"

#define DRAIN_USEC (200 * 1000ULL)   /* how long a record may lie in the ring buffer; its fill level wakes us earlier */
#define MAPPINGS_USEC (10 * 1000ULL) /* least time between two readings of new mappings */
#define SECOND_USEC (1000 * 1000ULL)
#define SLACK_USEC (10 * 1000ULL) /* by how much timers may be late, so that the kernel can bundle them */
#define DUTY_USEC (400 * 1000ULL) /* one round of looking and resting, on average */

struct daemon {
        struct config *config;
        sd_event *event;
        struct probe *probe;
        struct ingest *ingest;
        struct discovery *discovery;
        struct resolve *resolve;
        struct store *store;
        struct governor governor;
        struct report report;
        struct serve *serve;
        struct serve_source source;
        sd_event_source *mappings; /* paused between two readings */
        sd_event_source *mappings_again;
        sd_event_source *duty; /* runs while the governor lets the accounting rest */
        bool resting;
        struct probe_stats last_stats; /* at the governor's last turn */
        uint64_t last_cpu_ns;
        bool mappings_found;              /* processes wait to be taken in */
        bool names_stale;                 /* threads have come whose names are not known */
        unsigned test_drop, test_dropped; /* PYPROFD_TEST_DROP: every Nth record with books is thrown away */
};

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

static int daemon_thread_gone(struct daemon *d, const struct ingested *in) {
        int r;

        r = daemon_observe(d, in);
        if (r < 0)
                return r;
        r = aggregate_thread_exit(in->thread, daemon_emit, d);
        store_thread_gone(d->store, in->thread);
        return r;
}

static int daemon_thread_state(struct daemon *d, const struct ingested *in) {
        const struct event_state *e = in->record;

        seed_thread(d->resolve, d->config->proc_root, in->thread, e->switches);
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
        case INGESTED_THREAD_GONE:
                r = daemon_thread_gone(d, &in);
                break;
        case INGESTED_PROCESS_GONE:
                resolve_process_gone(d->resolve, in.process);
                break;
        default:
                break;
        }
        ingest_done(d->ingest, &in);
        return r == -EBADMSG ? 0 : r; /* counted where it was found */
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

static int daemon_read_mappings(struct daemon *d) {
        int r;

        r = probe_read_mappings(d->probe);
        if (r < 0 || !d->mappings_found)
                return r;
        d->mappings_found = false;
        return discovery_adopt(d->discovery);
}

/* Everything there is to know, up to now: before a question is answered. */
static int daemon_sync(void *userdata) {
        struct daemon *d = userdata;
        int r;

        r = daemon_read_mappings(d);
        if (r < 0)
                return r;
        r = probe_read_records(d->probe);
        return r < 0 ? r : probe_iterate(d->probe);
}

static struct followed_thread *daemon_find_thread(void *userdata, const struct followed_process *p, uint64_t pointer) {
        struct daemon *d = userdata;
        struct followed_thread *t, *next;

        HASH_ITER (hh, ingest_threads(d->ingest), t, next) {
                if (t->process == p && t->thread_pointer == pointer)
                        return t;
        }
        return NULL;
}

/* Threads get their names when they have run for a moment: threading enters them before their target is called. */
static int daemon_read_names(struct daemon *d) {
        struct followed_process *p, *p_next;
        struct followed_thread *t, *t_next;
        int r;

        if (!d->names_stale)
                return 0;
        d->names_stale = false;
        r = probe_iterate(d->probe); /* tells the thread pointers */
        if (r < 0)
                return r;
        HASH_ITER (hh, ingest_threads(d->ingest), t, t_next)
                t->process->unnamed |= !t->name;
        HASH_ITER (hh, ingest_processes(d->ingest), p, p_next) {
                if (!p->unnamed)
                        continue;
                p->unnamed = false;
                r = seed_names(p, daemon_find_thread, d);
                if (r == -ENOMEM)
                        return r;
        }
        return 0;
}

static uint64_t cpu_time_ns(void) {
        struct timespec ts = {};

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Looks and rests in turn. The rounds differ in length, so that they do not beat with what they look at. */
static int daemon_on_duty(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        unsigned duty = governor_setting(&d->governor).duty;
        uint64_t round = DUTY_USEC / 2 + (uint64_t)random() % DUTY_USEC;
        int r;

        d->resting = duty < 100 && !d->resting;
        probe_rest(d->probe, d->resting);
        if (duty >= 100)
                return 0;
        r = sd_event_source_set_time_relative(source, round * (d->resting ? 100 - duty : duty) / 100);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int daemon_obey(struct daemon *d) {
        struct governor_setting setting = governor_setting(&d->governor);
        int r;

        probe_set_walk_below(d->probe, setting.walk_below_ns);
        if (setting.rate != probe_rate(d->probe)) {
                r = probe_set_rate(d->probe, setting.rate);
                if (r < 0)
                        return r;
        }
        if ((setting.duty < 100) == d->resting)
                return 0;
        r = sd_event_source_set_time_relative(d->duty, 0);
        return r < 0 ? r : sd_event_source_set_enabled(d->duty, SD_EVENT_ONESHOT);
}

static int daemon_govern(struct daemon *d, uint64_t now) {
        uint64_t cpu = cpu_time_ns(), used;
        struct probe_stats stats;
        int r;

        r = probe_stats(d->probe, &stats);
        if (r < 0)
                return r;
        used = report_bpf_ns(&d->last_stats, &stats) + cpu - d->last_cpu_ns;
        d->last_stats = stats;
        d->last_cpu_ns = cpu;
        r = governor_turn(&d->governor, now, used, (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
        return r > 0 ? daemon_obey(d) : 0;
}

static int daemon_on_second(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        uint64_t now = clock_monotonic_ns();
        int r;

        r = probe_cover_cpus(d->probe);
        if (r < 0)
                log_warning_errno(r, "Cannot cover every CPU, ignoring: %m");
        r = daemon_govern(d, now);
        if (r < 0)
                log_warning_errno(r, "Cannot govern the cost, ignoring: %m");
        r = daemon_read_names(d);
        if (r < 0)
                return r;
        ingest_sweep_unprofiled(d->ingest);
        store_age(d->store, now);
        r = sd_event_source_set_time(source, usec + SECOND_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int daemon_on_records(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct daemon *d = userdata;

        return probe_read_records(d->probe);
}

static int daemon_on_drain(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        int r;

        r = probe_read_records(d->probe);
        if (r < 0)
                return r;
        r = sd_event_source_set_time_relative(source, DRAIN_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* One program start maps a dozen files: after a first look at once, they are read together a little later. */
static int daemon_on_mappings(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct daemon *d = userdata;
        int r;

        r = daemon_read_mappings(d);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_source_set_time_relative(d->mappings_again, MAPPINGS_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(d->mappings_again, SD_EVENT_ONESHOT);
}

static int daemon_on_mappings_again(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        int r;

        r = daemon_read_mappings(d);
        return r < 0 ? r : sd_event_source_set_enabled(d->mappings, SD_EVENT_ON);
}

static int daemon_set_idle(struct daemon *d) {
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

static int daemon_on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct daemon *d = userdata;

        sd_notify(false, "RELOADING=1");
        if (config_reload(d->config) == 0) {
                log_level = d->config->log_level;
                governor_init(&d->governor, d->config->budget, d->config->rate);
                if (daemon_obey(d) < 0 || daemon_set_idle(d) < 0)
                        log_warning("The new configuration could not be put into effect whole");
                else
                        log_info("Configuration was read again");
        }
        sd_notify(false, "READY=1");
        return 0;
}

static int source_processes(void *userdata, serve_process_fn *each, void *arg) {
        struct daemon *d = userdata;
        struct followed_process *p, *p_next;
        struct followed_thread *t, *t_next;
        int r;

        HASH_ITER (hh, ingest_processes(d->ingest), p, p_next)
                p->threads_n = 0;
        HASH_ITER (hh, ingest_threads(d->ingest), t, t_next)
                t->process->threads_n++;
        HASH_ITER (hh, ingest_processes(d->ingest), p, p_next) {
                r = each(arg, p, p->threads_n);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int source_thread(struct daemon *d, struct followed_thread *t, serve_thread_fn *each, void *arg) {
        struct serve_thread answer = {.tid = t->tid, .name = t->name ?: t->comm};
        struct stack *stack;
        uint64_t hash = t->open.state == THREAD_ON_CPU ? seed_running(d->resolve, t) : t->open.stack;
        bool missing;
        int r;

        answer.state = t->open.state == THREAD_ON_CPU     ? t->mode
                       : t->open.state == THREAD_RUNNABLE ? STATE_RUNQ
                                                          : t->open.reason;
        stack = resolve_lookup(d->resolve, t->process, hash, 0, &missing);
        if (!stack)
                return -ENOMEM;
        answer.stack = hash ? stack : NULL;
        r = each(arg, &answer);
        stack_unref(stack);
        return r;
}

static int source_threads(void *userdata, uint32_t pid, serve_thread_fn *each, void *arg) {
        struct daemon *d = userdata;
        struct followed_process *p = ingest_process_find(d->ingest, pid);
        struct followed_thread *t, *next;
        int r;

        if (!p)
                return -ESRCH;
        r = seed_names(p, daemon_find_thread, d);
        if (r == -ENOMEM)
                return r;
        HASH_ITER (hh, ingest_threads(d->ingest), t, next) {
                if (t->process != p)
                        continue;
                r = source_thread(d, t, each, arg);
                if (r != 0)
                        return r;
        }
        return 0;
}

static struct report_stages daemon_stages(struct daemon *d) {
        return (struct report_stages){
                        .probe = d->probe,
                        .ingest = d->ingest,
                        .discovery = d->discovery,
                        .resolve = d->resolve,
                        .store = d->store,
                        .governor = &d->governor,
        };
}

static int source_status(void *userdata, struct serve_status *ret) {
        struct daemon *d = userdata;
        struct report_stages stages = daemon_stages(d);

        return report_status(&d->report, &stages, ret);
}

static int source_loss(void *userdata, struct profile_loss *loss) {
        struct daemon *d = userdata;
        struct report_stages stages = daemon_stages(d);

        return report_loss(&stages, loss);
}

static int daemon_start_stages(struct daemon *d) {
        struct probe_failure failure = {};
        int r;

        r = ingest_new(d->config->proc_root, daemon_image, d, &d->ingest);
        if (r < 0)
                return r;
        r = store_new(d->config->memory_max, &d->store);
        if (r < 0)
                return r;
        store_set_lookup(d->store, daemon_lookup, d);
        r = resolve_new(seed_fetch, d, d->config->memory_max / 4, &d->resolve);
        if (r < 0)
                return r;
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
        r = discovery_new(d->config->proc_root, d->probe, d->ingest, &d->discovery);
        if (r < 0)
                return r;
        discovery_prime(d->discovery);
        r = discovery_scan(d->discovery);
        if (r < 0)
                return log_error_errno(r, "Cannot look for Python processes: %m");
        governor_init(&d->governor, d->config->budget, d->config->rate);
        return discovery_adopt(d->discovery);
}

static int daemon_start_events(struct daemon *d) {
        sigset_t signals;
        int r;

        sigemptyset(&signals);
        sigaddset(&signals, SIGTERM);
        sigaddset(&signals, SIGINT);
        sigaddset(&signals, SIGHUP);
        sigprocmask(SIG_BLOCK, &signals, NULL);
        signal(SIGPIPE, SIG_IGN);

        if ((r = sd_event_add_signal(d->event, NULL, SIGTERM, NULL, NULL)) < 0 ||
            (r = sd_event_add_signal(d->event, NULL, SIGINT, NULL, NULL)) < 0 ||
            (r = sd_event_add_signal(d->event, NULL, SIGHUP, daemon_on_reload, d)) < 0 ||
            (r = sd_event_add_io(d->event, NULL, probe_records_fd(d->probe), EPOLLIN, daemon_on_records, d)) < 0 ||
            (r = sd_event_add_io(d->event, &d->mappings, probe_mappings_fd(d->probe), EPOLLIN, daemon_on_mappings, d)) <
                            0 ||
            (r = sd_event_add_time_relative(d->event, &d->mappings_again, CLOCK_MONOTONIC, MAPPINGS_USEC, 1000,
                                            daemon_on_mappings_again, d)) < 0 ||
            (r = sd_event_add_time_relative(d->event, &d->duty, CLOCK_MONOTONIC, 0, 1, daemon_on_duty, d)) < 0 ||
            (r = sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, DRAIN_USEC, SLACK_USEC, daemon_on_drain,
                                            d)) < 0 ||
            (r = sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, 0, SLACK_USEC, daemon_on_second, d)) < 0)
                return log_error_errno(r, "Cannot set up the event loop: %m");
        sd_event_set_watchdog(d->event, true);
        return 0;
}

static int daemon_start_serving(struct daemon *d) {
        struct serve_settings settings = {
                        .socket = d->config->socket,
                        .group = d->config->group,
                        .proc_root = d->config->proc_root,
        };

        d->source = (struct serve_source){
                        .store = d->store,
                        .userdata = d,
                        .sync = daemon_sync,
                        .processes = source_processes,
                        .threads = source_threads,
                        .status = source_status,
                        .loss = source_loss,
        };
        return serve_new(d->event, &settings, &d->source, &d->serve);
}

DEFINE_CLEANUP(struct daemon *, daemon_free)

int daemon_new(struct config *config, struct daemon **ret) {
        _cleanup_(daemon_freep) struct daemon *d = calloc(1, sizeof(*d));
        const char *drop = getenv("PYPROFD_TEST_DROP");
        int r;

        if (!d)
                return log_error_errno(-ENOMEM, "Cannot start: %m");
        d->config = config;
        d->report.started = clock_monotonic_ns();
        d->test_drop = drop ? (unsigned)atoi(drop) : 0;
        r = sd_event_new(&d->event);
        if (r < 0)
                return log_error_errno(r, "Cannot make an event loop: %m");
        r = daemon_start_stages(d);
        if (r < 0)
                return r;
        r = daemon_start_events(d);
        if (r < 0)
                return r;
        r = daemon_start_serving(d);
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
        sd_event_unref(d->event);
        probe_free(d->probe);
        discovery_free(d->discovery);
        store_free(d->store);
        resolve_free(d->resolve);
        ingest_free(d->ingest);
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
