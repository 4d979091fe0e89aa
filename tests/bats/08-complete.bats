#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        daemon_start "$BATS_FILE_TMPDIR/daemon" --budget 100
}

teardown_file() {
        daemon_stop
}

@test "complete: at least 99.9 % of samples reach the thread's outermost frame" {
        local workload
        cd "$BATS_TEST_TMPDIR"
        for workload in recursion callbacks generators decorators coroutines; do
                "$PYTHON" "$WORKLOAD/shares.py" "$workload" 4 >"$workload"
        done
        "$PYTHON" "$WORKLOAD/deep.py" 500 2 >deep
        "$PYTHON" "$WORKLOAD/subinterpreter.py" 2 >subinterpreter
        "$PYTHON" "$WORKLOAD/books.py" 10 >books
        "$PYTHON" "$WORKLOAD/reuse.py" 3 >reuse
        "$ROOT/tests/workload/embed.sh" build .
        "$(echo "$PWD"/embed-system-*)" 2 >embedded
        check complete recursion callbacks generators decorators coroutines deep subinterpreter books reuse embedded
}
