/* SPDX-License-Identifier: Apache-2.0 */
#include "seed.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/macro.h"
#include "proc/file.h"
#include "python/offsets.h"

static int seed_remote(const struct followed_process *p, struct offsets_objects *objects, struct remote *ret) {
        struct target unused;

        if (!p->image || !p->runtime)
                return -ENOENT;
        if (offsets_for_version(p->image->number, &unused, objects) < 0)
                return -ENOENT;
        *ret = (struct remote){
                        .read = remote_read_pid,
                        .userdata = (void *)(uintptr_t)p->pid,
                        .target = &p->image->target,
                        .objects = objects,
                        .runtime = p->runtime,
                        .code_type = p->code_type,
        };
        return 0;
}

/* How often the thread has left the CPU, by /proc/PID/task/TID/status; 0 when that cannot be read. */
static uint64_t thread_switches(const char *root, uint32_t pid, uint32_t tid) {
        char name[64], text[4096];
        uint64_t voluntary = 0, forced = 0;
        const char *at;

        snprintf(name, sizeof(name), "task/%u/status", tid);
        if (proc_read(root, pid, name, text, sizeof(text)) < 0)
                return 0;
        at = strstr(text, "\nvoluntary_ctxt_switches:");
        if (!at || sscanf(at, "\nvoluntary_ctxt_switches: %" SCNu64 "\nnonvoluntary_ctxt_switches: %" SCNu64,
                          &voluntary, &forced) != 2)
                return 0;
        return voluntary + forced;
}

static int seed_walk(const struct followed_thread *t, struct event_frame *frames, uint16_t *ret_flags) {
        struct offsets_objects objects;
        struct remote remote;

        if (!t->thread_pointer || seed_remote(t->process, &objects, &remote) < 0)
                return -ENOENT;
        return remote_walk(&remote, t->thread_pointer, frames, STACK_FRAMES_MAX, ret_flags);
}

uint64_t seed_running(struct resolve *r, const struct followed_thread *t) {
        struct event_frame frames[STACK_FRAMES_MAX];
        uint16_t flags = 0;
        uint64_t hash = 0;
        int n;

        n = seed_walk(t, frames, &flags);
        if (n > 0)
                resolve_frames(r, t->process, frames, (size_t)n, flags, &hash);
        return hash;
}

void seed_thread(struct resolve *r, const char *proc_root, struct followed_thread *t, uint64_t switches) {
        struct event_frame frames[STACK_FRAMES_MAX];
        uint16_t flags = 0;
        uint64_t hash;
        int n;

        if (t->open.state == THREAD_ON_CPU || t->open.stack || t->seeded == t->open.since)
                return;
        t->seeded = t->open.since;
        n = seed_walk(t, frames, &flags);
        if (n <= 0 || thread_switches(proc_root, t->process->pid, t->tid) != switches)
                return;
        if (resolve_frames(r, t->process, frames, (size_t)n, flags, &hash) == 0)
                t->open.stack = hash;
}

int seed_fetch(void *userdata, const struct followed_process *p, uint64_t code, struct remote_code *ret) {
        struct offsets_objects objects;
        struct remote remote;
        int r;

        if (p->ended)
                return -ESRCH;
        r = seed_remote(p, &objects, &remote);
        return r < 0 ? r : remote_code(&remote, code, ret);
}

struct seed_names_arguments {
        const struct followed_process *process;
        seed_find_fn *find;
        void *userdata;
};

static int seed_on_name(void *userdata, uint64_t thread_pointer, const char *name) {
        struct seed_names_arguments *a = userdata;
        struct followed_thread *t = a->find(a->userdata, a->process, thread_pointer);
        char *copy;

        if (!t || (t->name && strcmp(t->name, name) == 0))
                return 0;
        copy = strdup(name);
        if (!copy)
                return -ENOMEM;
        free(t->name);
        t->name = copy;
        return 0;
}

int seed_names(const struct followed_process *p, seed_find_fn *find, void *userdata) {
        struct seed_names_arguments a = {.process = p, .find = find, .userdata = userdata};
        struct offsets_objects objects;
        struct remote remote;
        int r;

        r = seed_remote(p, &objects, &remote);
        return r < 0 ? r : remote_thread_names(&remote, seed_on_name, &a);
}
