/* SPDX-License-Identifier: Apache-2.0 */
/* A URL of the API, understood: which answer is asked for, and the question to the history. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"
#include "profile.h"

enum api_endpoint {
        API_STATUS,
        API_PROCESSES,
        API_WALL,
        API_STACKS,
        API_LINES,
        API_STATS,
        API_THREADS,
        API_EXPORT,
        API_STREAM,
        API_ENDPOINT_MAX,
};

enum api_native { NATIVE_DEFAULT, NATIVE_OFF, NATIVE_LEAF, NATIVE_FULL };

/* One `name=value` of the URL, decoded. */
struct api_argument {
        const char *name;
        const char *value; /* NULL: there was no '=' */
};

struct api_request {
        enum api_endpoint endpoint;
        struct profile_query query; /* its lists are owned */
        enum api_native native;
        bool clock_cpu;   /* stats: CPU time in place of wall time */
        bool no_edges;    /* stats: without callers and callees */
        char *sort_name;  /* stats: pstats' own key, NULL: tottime */
        char *format;     /* export */
        uint32_t pid;     /* threads */
        bool until_given; /* else `until` is now */
};

/* What the client is told. */
struct api_error {
        unsigned status; /* of HTTP */
        const char *code;
        char message[384];
};

void api_request_fini(struct api_request *r);
#define _cleanup_api_request_ _cleanup_(api_request_fini)

int api_error_set(struct api_error *e, unsigned status, const char *code, const char *format, ...) _printf_(4, 5);

/*
 * `now` is CLOCK_MONOTONIC, epoch_offset_ns makes it Unix time, `viewer` goes into the query. 0; -EINVAL or -ENOENT
 * with *ret_error filled; -ENOMEM. On failure *ret is untouched.
 */
int api_parse(const char *path, const struct api_argument *arguments, size_t n, uint64_t now, int64_t epoch_offset_ns,
              uint32_t viewer, struct api_request *ret, struct api_error *ret_error);
