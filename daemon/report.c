/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "base/macro.h"
#include "proc/clock.h"

uint64_t report_bpf_ns(const struct probe_stats *before, const struct probe_stats *now) {
        uint64_t sum = 0;

        for (size_t i = 0; i < MIN(before->programs_n, now->programs_n); i++) {
                uint64_t ns = now->programs[i].ns - before->programs[i].ns;
                uint64_t clock = (now->programs[i].runs - before->programs[i].runs) * now->overhead_ns;

                sum += ns > clock ? ns - clock : 0;
        }
        return sum;
}

int report_status(struct report *r, const struct report_stages *s, struct serve_status *ret) {
        struct store_counters store;
        int e;

        e = probe_stats(s->probe, &r->stats);
        if (e < 0)
                return e;
        for (size_t i = 0; i < r->stats.programs_n; i++)
                r->programs[i] = (struct serve_program){
                                .name = r->stats.programs[i].name,
                                .runs = r->stats.programs[i].runs,
                                .ns = r->stats.programs[i].ns,
                };
        probe_features(s->probe, r->probed);
        for (size_t i = 0; i < PROBE_FEATURES; i++)
                r->features[i] = (struct serve_feature){
                                .name = r->probed[i].name,
                                .ok = r->probed[i].ok,
                                .why = r->probed[i].why,
                };
        governor_describe(s->governor, r->setting, sizeof(r->setting));
        store_counters(s->store, &store);
        *ret = (struct serve_status){
                        .uptime_ns = clock_monotonic_ns() - r->started,
                        .features = r->features,
                        .features_n = PROBE_FEATURES,
                        .programs = r->programs,
                        .programs_n = r->stats.programs_n,
                        .records = ingest_counters(s->ingest)->records,
                        .history_oldest = store.oldest,
                        .history_bytes = store.bytes,
                        .budget_limit = s->governor->limit,
                        .budget_cost = s->governor->cost,
                        .budget_setting = r->setting,
                        .budget_rate = probe_rate(s->probe),
        };
        return 0;
}

static void loss_add(struct profile_loss *loss, const char *cause, uint64_t n) {
        if (n && loss->causes_n < ARRAY_SIZE(loss->causes)) {
                loss->causes[loss->causes_n].cause = cause;
                loss->causes[loss->causes_n++].n = n;
        }
}

int report_loss(const struct report_stages *s, struct profile_loss *loss) {
        static const char *const causes[COUNTER_MAX] = {
                        [COUNTER_RING_FULL] = "ring buffer full",
                        [COUNTER_AMBIGUOUS] = "several thread states match",
                        [COUNTER_FRAME_UNREADABLE] = "frame unreadable",
                        [COUNTER_FRAME_TORN] = "frame torn",
                        [COUNTER_TRUNCATED] = "stack truncated",
                        [COUNTER_STORAGE_FULL] = "no room to follow",
                        [COUNTER_SWITCH_UNSEEN] = "switches the kernel did not tell of",
        };
        const struct ingest_counters *ingest = ingest_counters(s->ingest);
        const struct discovery_counters *discovery = discovery_counters(s->discovery);
        struct resolve_counters resolve;
        struct store_counters store;
        struct probe_stats stats;
        int r;

        r = probe_stats(s->probe, &stats);
        if (r < 0)
                return r;
        resolve_counters(s->resolve, &resolve);
        store_counters(s->store, &store);
        loss->dropped_events += stats.counters[COUNTER_RING_FULL] + ingest->lost;
        for (size_t i = 0; i < COUNTER_MAX; i++)
                if (causes[i])
                        loss_add(loss, causes[i], stats.counters[i]);
        loss_add(loss, "lost records", ingest->lost);
        loss_add(loss, "malformed records", ingest->malformed);
        loss_add(loss, "inconsistent records", ingest->inconsistent);
        loss_add(loss, "records of unknown processes", ingest->orphans);
        loss_add(loss, "ends not told of", roster_missed_ends(s->roster));
        loss_add(loss, "processes found late", discovery->late);
        loss_add(loss, "files unreadable", discovery->unreadable);
        loss_add(loss, "mappings lost", stats.mappings_lost);
        loss_add(loss, "code objects unreadable", resolve.codes_unreadable);
        loss_add(loss, "code objects missing", resolve.codes_missing);
        loss_add(loss, "line tables bad", resolve.tables_bad);
        loss_add(loss, "stacks missing", resolve.stacks_missing);
        loss_add(loss, "windows dropped", store.dropped_windows);
        return 0;
}
