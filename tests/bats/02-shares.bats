#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        # the governor has tests of its own; here 99 Hz are wanted whatever else the machine does
        daemon_start "$BATS_FILE_TMPDIR/daemon" --budget 100
        # two at a time, once for all tests of this file: shares are of CPU time, so that they may share a CPU
        local seconds=(seventy_thirty:10 recursion:10 two_hundred:25 callbacks:10 generators:10 decorators:10 coroutines:10)
        printf '%s\n' "${seconds[@]}" |
                xargs -P 2 -I{} bash -c 'w={}; "$PYTHON" "$WORKLOAD/shares.py" "${w%:*}" "${w#*:}" >"$0/${w%:*}"' \
                        "$BATS_FILE_TMPDIR" 3>&-
}

teardown_file() {
        daemon_stop
}

@test "shares: two functions, 70 to 30" {
        check shares "$BATS_FILE_TMPDIR/seventy_thirty"
}

@test "shares: recursion, direct and mutual" {
        check shares "$BATS_FILE_TMPDIR/recursion"
}

@test "shares: 200 small functions" {
        check shares "$BATS_FILE_TMPDIR/two_hundred"
}

@test "shares: C that calls Python back" {
        check shares "$BATS_FILE_TMPDIR/callbacks"
}

@test "shares: generators" {
        check shares "$BATS_FILE_TMPDIR/generators"
}

@test "shares: decorators" {
        check shares "$BATS_FILE_TMPDIR/decorators"
}

@test "shares: coroutines" {
        check shares "$BATS_FILE_TMPDIR/coroutines"
}

@test "shares: the books of these workloads" {
        cd "$BATS_FILE_TMPDIR"
        check books seventy_thirty recursion two_hundred callbacks generators decorators coroutines
}
