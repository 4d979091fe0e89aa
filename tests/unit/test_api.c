/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of a URL and the question they make; and the limits of who asks it. */
#undef NDEBUG
#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "api.h"
#include "peer.h"

#define NOW (1000 * NSEC_PER_SEC)
#define EPOCH INT64_C(1700000000000000000)

/* "name=value&name" into arguments, as they are. */
static int parse(const char *path, const char *arguments, struct api_request *ret, struct api_error *ret_error) {
        _cleanup_free_ char *text = strdup(arguments);
        struct api_argument list[600];
        char *rest = text, *word;
        size_t n = 0;

        assert(text);
        while (*arguments && (word = strsep(&rest, "&"))) {
                char *value = strchr(word, '=');

                if (value)
                        *value++ = '\0';
                assert(n < ARRAY_SIZE(list));
                list[n++] = (struct api_argument){word, value};
        }
        return api_parse(path, list, n, NOW, EPOCH, 1000, ret, ret_error);
}

#define _cleanup_request_ _cleanup_api_request_
#define PARSE(path, arguments)                                              \
        _cleanup_request_ struct api_request r = {};                        \
        struct api_error e = {};                                            \
        int q = parse(path, arguments, &r, &e);                             \
        if (q < 0)                                                          \
                fprintf(stderr, "%s?%s: %s\n", path, arguments, e.message); \
        assert(q == 0)

static void test_selectors(void) {
        PARSE("/v1/wall",
              "pid=1&pid=2&children=1&unit=a*&container=ab&comm=x&comm=y&thread=7&function=^f&state=net,cpu&native=off"
              "&by=process,thread&idle=show&sort=cpu&n=0");

        assert(r.endpoint == API_WALL && r.query.viewer == 1000);
        assert(r.query.pids_n == 2 && r.query.pids[0] == 1 && r.query.pids[1] == 2 && r.query.children);
        assert(r.query.units_n == 1 && strcmp(r.query.units[0], "a*") == 0);
        assert(r.query.containers_n == 1 && r.query.comms_n == 2 && strcmp(r.query.comms[1], "y") == 0);
        assert(r.query.threads_n == 1 && r.query.functions_n == 1);
        assert(regexec(&r.query.functions[0], "foo", 0, NULL, 0) == 0 &&
               regexec(&r.query.functions[0], "of", 0, NULL, 0) != 0);
        assert(r.query.states == (1u << STATE_NET | 1u << STATE_PYTHON | 1u << STATE_NATIVE | 1u << STATE_KERNEL |
                                  1u << STATE_UNSAMPLED));
        assert(r.query.by == (BY_PROCESS | BY_THREAD) && r.query.idle == IDLE_SHOW && r.query.sort == SORT_CPU);
        assert(r.query.limit == 0 && r.native == NATIVE_OFF);
}

static void test_defaults(void) {
        PARSE("/v1/wall", "");

        assert(r.query.by == BY_FUNCTION && r.query.limit == 20 && r.query.idle == IDLE_HIDE && r.query.states == 0);
        assert(r.query.until == NOW && r.query.since == NOW - 60 * NSEC_PER_SEC && !r.until_given);
}

static void test_waits(void) {
        PARSE("/v1/stacks", "state=wait&state=python");

        assert(r.query.by == BY_STACK);
        assert(r.query.states ==
               (((1u << STATE_MAX) - 1) & ~(1u << STATE_NATIVE | 1u << STATE_KERNEL | 1u << STATE_UNSAMPLED)));
}

static void check_instant(const char *since, uint64_t want) {
        char text[128];

        snprintf(text, sizeof(text), "since=%s", since);
        {
                PARSE("/v1/wall", text);

                if (r.query.since != want)
                        fprintf(stderr, "%s: %lu, want %lu\n", since, r.query.since, want);
                assert(r.query.since == want);
        }
}

static void test_instants(void) {
        check_instant("1700000900000000000", 900 * NSEC_PER_SEC);
        check_instant("1700000900000000001", 900 * NSEC_PER_SEC + 1);
        check_instant("@1700000900", 900 * NSEC_PER_SEC);
        check_instant("@1700000900.5", 900 * NSEC_PER_SEC + NSEC_PER_SEC / 2);
        check_instant("@1700000900.0000000019", 900 * NSEC_PER_SEC + 1);
        check_instant("-60", 940 * NSEC_PER_SEC);
        check_instant("-60s", 940 * NSEC_PER_SEC);
        check_instant("-0.25s", NOW - NSEC_PER_SEC / 4);
        check_instant("-99999", 0);
        check_instant("0", 0);
        {
                PARSE("/v1/wall", "since=-100&until=-50");

                assert(r.query.until == 950 * NSEC_PER_SEC && r.until_given);
        }
        {
                PARSE("/v1/wall", "until=-900"); /* a minute before that, not before now */

                assert(r.query.since == 40 * NSEC_PER_SEC);
        }
        {
                PARSE("/v1/wall", "until=1800000000000000000");

                assert(r.query.until == NOW);
        }
}

static void test_endpoints(void) {
        {
                PARSE("/v1/threads/4711", "native=full");
                assert(r.endpoint == API_THREADS && r.pid == 4711 && r.native == NATIVE_FULL);
        }
        {
                PARSE("/v1/stats", "clock=cpu&sort=cumulative&edges=0&n=5");
                assert(r.endpoint == API_STATS && r.clock_cpu && r.no_edges && r.query.by == BY_FUNCTION);
                assert(strcmp(r.sort_name, "cumulative") == 0 && r.query.limit == 5);
        }
        {
                PARSE("/v1/export", "format=collapsed&by=process");
                assert(r.query.by == (BY_STACK | BY_STATE | BY_PROCESS) && strcmp(r.format, "collapsed") == 0);
                assert(r.query.idle == IDLE_SHOW && r.query.limit == 0);
        }
        {
                PARSE("/v1/lines", "file=a/b.py&function=f");
                assert(r.query.by == BY_LINE && r.query.files_n == 1 && r.query.limit == 0);
        }
        {
                PARSE("/v1/processes", "pid=3&unit=x.service&children=1");
                assert(r.query.by == BY_PROCESS && r.query.idle == IDLE_SHOW && r.query.limit == 0);
        }
        {
                PARSE("/v1/status", "");
                assert(r.endpoint == API_STATUS);
        }
}

static void refuse(const char *path, const char *arguments, unsigned status, const char *word) {
        struct api_request r = {};
        struct api_error e = {};
        int q = parse(path, arguments, &r, &e);

        if (q >= 0 || e.status != status || !strstr(e.message, word))
                fprintf(stderr, "%s?%s: %d, %u, '%s'\n", path, arguments, q, e.status, e.message);
        assert(q == (status == 404 ? -ENOENT : -EINVAL) && e.status == status && strstr(e.message, word));
        assert(!r.query.pids && !r.query.functions);
}

static void test_refused(void) {
        char text[8192] = "function=";

        refuse("/", "", 404, "/");
        refuse("/v1/wall/", "", 404, "/v1/wall/");
        refuse("/v1/threads", "", 404, "/v1/threads");
        refuse("/v1/threads/", "", 400, "process id");
        refuse("/v1/threads/0", "", 400, "process id");
        refuse("/v1/threads/1x", "", 400, "process id");
        refuse("/v1/threads/99999999999", "", 400, "process id");
        refuse("/v1/wall", "pids=1", 400, "'pids'");
        refuse("/v1/wall", "format=json", 400, "'format'");
        refuse("/v1/status", "pid=1", 400, "'pid'");
        refuse("/v1/stream", "since=-5", 400, "'since'");
        refuse("/v1/wall", "pid=1&pid=-1", 400, "pid: '-1'");
        refuse("/v1/wall", "pid=", 400, "pid");
        refuse("/v1/wall", "pid", 400, "pid");
        refuse("/v1/wall", "unit=", 400, "unit");
        refuse("/v1/wall", "children=maybe", 400, "children");
        refuse("/v1/wall", "state=net,sleeping", 400, "'sleeping'");
        refuse("/v1/wall", "state=", 400, "state");
        refuse("/v1/wall", "by=function,", 400, "by");
        refuse("/v1/wall", "by=function&by=line", 400, "one of");
        refuse("/v1/wall", "idle=no", 400, "idle");
        refuse("/v1/wall", "native=yes", 400, "native");
        refuse("/v1/wall", "sort=tottime", 400, "sort");
        refuse("/v1/stats", "sort=own", 400, "pstats");
        refuse("/v1/stats", "clock=sun", 400, "wall or cpu");
        refuse("/v1/wall", "n=-1", 400, "n: '-1'");
        refuse("/v1/wall", "over=5ms", 400, "not available yet");
        refuse("/v1/wall", "since=yesterday", 400, "yesterday");
        refuse("/v1/wall", "since=-", 400, "'-'");
        refuse("/v1/wall", "since=-5m", 400, "-5m");
        refuse("/v1/wall", "since=@", 400, "'@'");
        refuse("/v1/wall", "since=@1.5x", 400, "1.5x");
        refuse("/v1/wall", "since=9223372036854775808", 400, "since");
        refuse("/v1/wall", "since=-5&until=-5", 400, "end");
        refuse("/v1/wall", "since=1800000000000000000", 400, "future");
        refuse("/v1/lines", "", 400, "file=");
        refuse("/v1/export", "", 400, "format=");
        refuse("/v1/export", "format=x&by=line", 400, "by stack");
        refuse("/v1/wall", "function=(", 400, "no regular expression");
        refuse("/v1/wall", "function=a[", 400, "no regular expression");
        refuse("/v1/wall", "function=(a)\\1", 400, "back references");
        refuse("/v1/wall", "function=((a{1,100}){1,100}){1,100}", 400, "repetitions");
        refuse("/v1/wall", "function=a{99999999999999999999}", 400, "repetitions");
        refuse("/v1/wall", "function=(a{,40}){,40}", 400, "repetitions");
        refuse("/v1/wall", "function=(a*)*", 400, "repetitions");
        refuse("/v1/wall", "function=((a+b){2})", 400, "repetitions");
        refuse("/v1/wall", "function=a{2}{2}", 400, "repetitions");
        refuse("/v1/wall", "function=(\\b){2}", 400, "repetitions");
        refuse("/v1/wall", "function=(a|)+", 400, "repetitions");
        refuse("/v1/wall", "function=a{17}", 400, "repetitions");
        refuse("/v1/wall", "function=a{1,17}", 400, "repetitions");
        refuse("/v1/wall", "function=a{2}b{2}c{2}d{2}e{2}", 400, "repetitions");
        refuse("/v1/wall", "function=(((((((((a)))))))))", 400, "groups");
        refuse("/v1/wall", "function=[a", 400, "no regular expression");
        refuse("/v1/wall", "function=[[:alpha]*", 400, "no regular expression");
        refuse("/v1/wall",
               "function=a&function=a&function=a&function=a&function=a&function=a&function=a&function=a&function=a",
               400, "at most 8");
        memset(text + 9, 'a', 600);
        refuse("/v1/wall", text, 400, "longer");
        text[0] = '\0';
        for (int i = 0; i < 300; i++)
                strcat(text, "pid=1&");
        strcat(text, "n=1");
        refuse("/v1/wall", text, 400, "256");
}

/* What takes regcomp() seconds, gigabytes or its stack must be refused before it gets there. */
static void test_attacks(void) {
        static const char *const tails[] = {"((a|ab|b?)*){1,1000}c", "((((((((a*)*)*)*)*)*)*)*)*", "(a{1,16}){1,16}",
                                            "(a|b)(((a|b).+)(\\b){1,16}(\\b^)+b{0,16})"};
        char text[1024] = "function=((";
        struct timespec begin, end;

        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
        for (int i = 0; i < 80; i++)
                strcat(text, "(a|b)*");
        strcat(text, "){1,1000})*");
        refuse("/v1/wall", text, 400, "256 bytes");
        strcpy(text, "function=((");
        for (int i = 0; i < 38; i++)
                strcat(text, "(a|b)*");
        strcat(text, "){1,16})*");
        refuse("/v1/wall", text, 400, "repetitions");
        memset(text + 9, '(', 400);
        text[409] = '\0';
        refuse("/v1/wall", text, 400, "256 bytes");
        for (size_t i = 0; i < ARRAY_SIZE(tails); i++) {
                snprintf(text, sizeof(text), "function=%s", tails[i]);
                refuse("/v1/wall", text, 400, "function");
        }
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &end);
        assert((end.tv_sec - begin.tv_sec) * 1000 + (end.tv_nsec - begin.tv_nsec) / 1000000 < 50);
}

static void check_pattern(const char *pattern, const char *yes, const char *no) {
        char text[300];

        snprintf(text, sizeof(text), "function=%s", pattern);
        {
                PARSE("/v1/wall", text);

                assert(regexec(&r.query.functions[0], yes, 0, NULL, 0) == 0);
                assert(regexec(&r.query.functions[0], no, 0, NULL, 0) != 0);
        }
}

static void test_patterns(void) {
        check_pattern("^handle_(get|post)$", "handle_post", "handle_posts");
        check_pattern("Foo\\.bar", "Foo.bar", "Foo_bar");
        check_pattern("render.*page", "render_a_page", "page_render");
        check_pattern("(get|set)+_[][(*{a-z]+$", "getset_x(*", "get_X");
        check_pattern("^(a[0-9]*b?)?c{2,3}[[:digit:]]$", "a12bcc7", "c7");
        check_pattern("\\bmain\\b|<(lambda|module)>", "x.<lambda>", "domain");
}

/* Sockets of another user, made while being that user; only root can try. */
static int socket_of(uid_t uid, int fds[2]) {
        if (setegid(uid) < 0 || seteuid(uid) < 0)
                return -EPERM;
        assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
        assert(seteuid(0) == 0 && setegid(0) == 0);
        return 0;
}

static void test_peers(void) {
        struct peer_table table = {.group = (gid_t)-1};
        struct peer *p, *first = NULL;
        uint64_t now = NOW;
        int fds[2];

        assert(peer_table_set_group(&table, "no-such-group-here") == -ESRCH && table.group == (gid_t)-1);
        if (getuid() != 0 || socket_of(54321, fds) < 0) {
                assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
                assert(peer_connect(&table, fds[0], now, &p) == 0 && p->uid == geteuid());
        } else {
                for (int i = 0; i < PEER_CONNECTIONS_MAX; i++) {
                        assert(peer_connect(&table, fds[0], now, &p) == 0);
                        assert(p->uid == 54321 && !p->privileged && (!first || p == first));
                        first = p;
                }
                assert(peer_connect(&table, fds[0], now, &p) == -EUSERS);
                peer_disconnect(&table, first, now);
                assert(peer_connect(&table, fds[0], now, &p) == 0 && p == first);

                /* what is used is paid back at the rate of the share */
                assert(peer_may_work(p, now));
                peer_worked(p, now, PEER_WORK_MAX_NS + NSEC_PER_SEC);
                assert(!peer_may_work(p, now));
                assert(!peer_may_work(p, now + (PEER_WORK_SHARE - 1) * NSEC_PER_SEC));
                assert(peer_may_work(p, now + PEER_WORK_SHARE * NSEC_PER_SEC));

                /* debts outlive the connections */
                peer_worked(p, now, 10 * NSEC_PER_SEC);
                while (first->connections > 1)
                        peer_disconnect(&table, first, now);
                peer_disconnect(&table, first, now);
                assert(peer_connect(&table, fds[0], now, &p) == 0 && !peer_may_work(p, now));

                table.group = 54321; /* its primary group */
                assert(peer_connect(&table, fds[0], now, &p) == 0 && p->privileged && peer_may_work(p, now));
        }
        close(fds[0]);
        close(fds[1]);
        peer_table_fini(&table);
}

int main(void) {
        test_selectors();
        test_defaults();
        test_waits();
        test_instants();
        test_endpoints();
        test_refused();
        test_attacks();
        test_patterns();
        test_peers();
        puts("api: ok");
        return 0;
}
