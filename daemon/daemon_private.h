/* SPDX-License-Identifier: Apache-2.0 */
/* The daemon's inside, for the three files it is written in: daemon.c, events.c and source.c. */
#pragma once

#include <stdbool.h>
#include <systemd/sd-event.h>

#include "daemon.h"
#include "discovery.h"
#include "governor.h"
#include "ingest.h"
#include "probe.h"
#include "reader.h"
#include "report.h"
#include "roster.h"
#include "resolve.h"
#include "seed.h"
#include "serve.h"
#include "store.h"

struct daemon {
        struct config *config;
        char *proc_root;
        sd_event *event;
        struct probe *probe;
        struct roster *roster;
        struct ingest *ingest;
        struct discovery *discovery;
        struct resolve *resolve;
        struct store *store;
        struct reader *reader;
        struct seed *seed;
        struct governor governor;
        struct report report;
        struct serve *serve;
        struct serve_source source;
        sd_event_source *mappings; /* paused between two readings */
        sd_event_source *mappings_again;
        sd_event_source *seeding; /* runs while the seed's queue holds something */
        sd_event_source *duty;    /* runs while the governor lets the accounting rest */
        bool resting;
        struct probe_stats last_stats; /* at the governor's last turn */
        uint64_t last_cpu_ns;
        uint64_t last_switches;
        uint64_t last_pass;               /* at the end of a rest */
        bool measuring;                   /* since that turn */
        bool mappings_found;              /* processes wait to be taken in */
        bool names_stale;                 /* threads have come whose names are not known */
        unsigned test_drop, test_dropped; /* PYPROFD_TEST_DROP: every Nth record with books is thrown away */
};

/* daemon.c: a read of new mappings, of everything there is to know up to now, of threads' names; the rules of idle */
int daemon_read_mappings(struct daemon *d);
int daemon_sync(void *userdata);
int daemon_pass(struct daemon *d);
int daemon_read_names(struct daemon *d);
int daemon_read_process_names(struct daemon *d, const struct followed_process *p);
int daemon_set_idle(struct daemon *d);

/* events.c: what wakes the daemon */
int events_start(struct daemon *d);

/* source.c: what serve asks for */
int source_start(struct daemon *d);
