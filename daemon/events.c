/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon_private.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "base/log.h"
#include "base/macro.h"
#include "proc/clock.h"

#define DRAIN_USEC (200 * 1000ULL)   /* how long a record may lie in the ring buffer; its fill level wakes us earlier */
#define MAPPINGS_USEC (10 * 1000ULL) /* least time between two readings of new mappings */
#define SECOND_USEC (1000 * 1000ULL)
#define SLACK_USEC (10 * 1000ULL)    /* by how much timers may be late, so that the kernel can bundle them */
#define SEED_NS (10 * NSEC_PER_MSEC) /* what is read of waiting threads' stacks in one turn of the loop */
#define PASS_NS (2 * NSEC_PER_SEC)
#define DUTY_USEC (400 * 1000ULL) /* one round of looking and resting, on average */

static uint64_t cpu_time_ns(void) {
        struct timespec ts = {};

        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
        return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

/* Nothing that a target, a file or a lack of memory brings about ends the daemon or one of its turns. */
static void events_ignore(int r, const char *what) {
        if (r < 0)
                log_warning_errno(r, "Cannot %s, ignoring: %m", what);
}

/* A wait that began while the accounting rested has no stack. At the end of a rest, now and then, those that still wait
 * are told of, and their stacks read. */
static void events_end_rest(struct daemon *d) {
        uint64_t now = clock_monotonic_ns();

        if (now - d->last_pass < PASS_NS)
                return;
        d->last_pass = now;
        events_ignore(daemon_pass(d), "see how threads stand");
}

/* Looks and rests in turn. The rounds differ in length, so that they do not beat with what they look at. */
static int events_on_duty(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        unsigned duty = governor_setting(&d->governor).duty;
        uint64_t round = DUTY_USEC / 2 + (uint64_t)random() % DUTY_USEC;
        int r;

        if (d->resting)
                events_end_rest(d);
        d->resting = duty < 100 && !d->resting;
        probe_rest(d->probe, d->resting);
        if (duty >= 100)
                return 0;
        r = sd_event_source_set_time_relative(source, round * (d->resting ? 100 - duty : duty) / 100);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int events_obey(struct daemon *d) {
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

/* The context switches of the machine so far, as /proc/stat counts them; 0: unknown. */
static uint64_t switches_so_far(const char *proc_root) {
        _cleanup_fclose_ FILE *f = NULL;
        char path[256], line[256];
        uint64_t n = 0;

        snprintf(path, sizeof(path), "%s/stat", proc_root);
        f = fopen(path, "re");
        while (f && fgets(line, sizeof(line), f))
                if (sscanf(line, "ctxt %" SCNu64, &n) == 1)
                        break;
        return n;
}

static int events_govern(struct daemon *d, uint64_t now) {
        uint64_t cpu = cpu_time_ns() + reader_cpu_ns(d->reader), switches = switches_so_far(d->proc_root);
        struct governor_use use = {
                        .cpu_ns = cpu - d->last_cpu_ns,
                        .switches = switches - d->last_switches,
                        .measured = d->measuring,
        };
        struct probe_stats stats;
        int r;

        r = probe_stats(d->probe, &stats);
        if (r < 0)
                return r;
        use.bpf_ns = report_bpf_ns(&d->last_stats, &stats);
        d->last_stats = stats;
        d->last_cpu_ns = cpu;
        d->last_switches = switches;
        r = governor_turn(&d->governor, now, &use, (unsigned)sysconf(_SC_NPROCESSORS_ONLN));
        d->measuring = governor_measures(&d->governor);
        probe_measure(d->probe, d->measuring);
        return r > 0 ? events_obey(d) : 0;
}

static int events_on_second(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        uint64_t now = clock_monotonic_ns();
        int r;

        events_ignore(probe_cover_cpus(d->probe), "cover every CPU");
        events_ignore(events_govern(d, now), "govern the cost");
        events_ignore(daemon_read_names(d), "read the names of threads");
        roster_describe(d->roster, now);
        events_ignore(discovery_turn(d->discovery, now), "look for processes that were missed");
        store_age(d->store, now);
        r = sd_event_source_set_time(source, usec + SECOND_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static int events_on_records(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct daemon *d = userdata;

        events_ignore(probe_read_records(d->probe), "read records");
        return 0;
}

static int events_on_drain(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;
        int r;

        events_ignore(probe_read_records(d->probe), "read records");
        r = sd_event_source_set_time_relative(source, DRAIN_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

/* One program start maps a dozen files: after a first look at once, they are read together a little later. */
static int events_on_mappings(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        struct daemon *d = userdata;
        int r;

        events_ignore(daemon_read_mappings(d), "read mappings");
        r = sd_event_source_set_enabled(source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        r = sd_event_source_set_time_relative(d->mappings_again, MAPPINGS_USEC);
        return r < 0 ? r : sd_event_source_set_enabled(d->mappings_again, SD_EVENT_ONESHOT);
}

static int events_on_mappings_again(sd_event_source *source, uint64_t usec, void *userdata) {
        struct daemon *d = userdata;

        events_ignore(daemon_read_mappings(d), "read mappings");
        return sd_event_source_set_enabled(d->mappings, SD_EVENT_ON);
}

static int events_on_seeding(sd_event_source *source, void *userdata) {
        struct daemon *d = userdata;

        return seed_turn(d->seed, SEED_NS) > 0 ? sd_event_source_set_enabled(source, SD_EVENT_ONESHOT) : 0;
}

static int events_on_reload(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        struct daemon *d = userdata;

        sd_notify(false, "RELOADING=1");
        if (config_reload(d->config) == 0) {
                log_level = d->config->log_level;
                store_set_memory_max(d->store, d->config->memory_max / 4 * 3);
                resolve_set_memory_max(d->resolve, d->config->memory_max / 4);
                governor_init(&d->governor, d->config->budget, d->config->rate);
                if (events_obey(d) < 0 || daemon_set_idle(d) < 0)
                        log_warning("The new configuration could not be put into effect whole");
                else
                        log_info("Configuration was read again");
        }
        sd_notify(false, "READY=1");
        return 0;
}

int events_start(struct daemon *d) {
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
            (r = sd_event_add_signal(d->event, NULL, SIGHUP, events_on_reload, d)) < 0 ||
            (r = sd_event_add_io(d->event, NULL, probe_records_fd(d->probe), EPOLLIN, events_on_records, d)) < 0 ||
            (r = sd_event_add_io(d->event, &d->mappings, probe_mappings_fd(d->probe), EPOLLIN, events_on_mappings, d)) <
                            0 ||
            (r = sd_event_add_time_relative(d->event, &d->mappings_again, CLOCK_MONOTONIC, MAPPINGS_USEC, 1000,
                                            events_on_mappings_again, d)) < 0 ||
            (r = sd_event_add_defer(d->event, &d->seeding, events_on_seeding, d)) < 0 ||
            (r = sd_event_add_time_relative(d->event, &d->duty, CLOCK_MONOTONIC, 0, 1, events_on_duty, d)) < 0 ||
            (r = sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, DRAIN_USEC, SLACK_USEC, events_on_drain,
                                            d)) < 0 ||
            (r = sd_event_add_time_relative(d->event, NULL, CLOCK_MONOTONIC, 0, SLACK_USEC, events_on_second, d)) < 0)
                return log_error_errno(r, "Cannot set up the event loop: %m");
        sd_event_set_watchdog(d->event, true);
        return 0;
}
