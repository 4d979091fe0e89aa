#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        daemon_start "$BATS_FILE_TMPDIR/daemon"
}

teardown_file() {
        daemon_stop
}

@test "books: 60 s of 8 busy processes of 5 threads each balance, agree with the threads' clocks, and drop nothing" {
        "$PYTHON" "$WORKLOAD/books.py" 60 8 >"$BATS_TEST_TMPDIR/truth"
        check books "$BATS_TEST_TMPDIR/truth"
}

@test "books: a thread that only spins" {
        "$PYTHON" "$WORKLOAD/spin.py" 10 >"$BATS_TEST_TMPDIR/free" &
        "$PYTHON" "$WORKLOAD/spin.py" 10 0 >"$BATS_TEST_TMPDIR/pinned" &
        wait
        check books "$BATS_TEST_TMPDIR/free" "$BATS_TEST_TMPDIR/pinned"
}

@test "books: queue ping-pong on every CPU, pinned and free" {
        "$PYTHON" "$WORKLOAD/pingpong.py" 10 pin >"$BATS_TEST_TMPDIR/pinned"
        "$PYTHON" "$WORKLOAD/pingpong.py" 10 >"$BATS_TEST_TMPDIR/free"
        check books "$BATS_TEST_TMPDIR/pinned" "$BATS_TEST_TMPDIR/free"
}

@test "books: with records thrown away they balance and say lost records" {
        local shared=$PYPROFD_SOCKET pid=$DAEMON_PID
        PYPROFD_TEST_DROP=7 daemon_start "$BATS_TEST_TMPDIR/lossy"
        "$PYTHON" "$WORKLOAD/books.py" 10 8 >"$BATS_TEST_TMPDIR/truth"
        check books --lost "$BATS_TEST_TMPDIR/truth"
        daemon_stop
        export PYPROFD_SOCKET=$shared DAEMON_PID=$pid
}
