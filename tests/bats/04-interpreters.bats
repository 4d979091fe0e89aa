#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        interpreters
        interpreters list >"$BATS_FILE_TMPDIR/interpreters"
        daemon_start "$BATS_FILE_TMPDIR/daemon" --budget 100
}

teardown_file() {
        daemon_stop
}

each() {
        cut -f 1 "$BATS_FILE_TMPDIR/interpreters"
}

@test "interpreters: 3.6 to 3.15 are all here" {
        local minor
        for minor in 6 7 8 9 10 11 12 13 14 15; do
                grep -qP "\t3\.$minor\." "$BATS_FILE_TMPDIR/interpreters"
        done
}

@test "interpreters: functions, files, lines and depths are the interpreter's own" {
        local name failed=0
        for name in $(each); do
                check names "$name" "$INTERPRETERS" run "$name" -- || failed=1
        done
        ((failed == 0))
}

@test "interpreters: ps names version and build" {
        local name version build failed=0
        while IFS=$'\t' read -r name version build _; do
                "$INTERPRETERS" run "$name" -c 'import time; print(1, flush=True); time.sleep(60)' \
                        </dev/null >"$BATS_TEST_TMPDIR/ready" 3>&- &
                local pid=$!
                until_true 10 test -s "$BATS_TEST_TMPDIR/ready"
                until_true 5 ps_says "$pid" "$version" "$build" || {
                        note "$name: $(ctl ps --json | jq -c ".processes[] | select(.pid == $pid)") instead of $version $build"
                        failed=1
                }
                kill "$pid"
                wait "$pid" || true
                : >"$BATS_TEST_TMPDIR/ready"
        done <"$BATS_FILE_TMPDIR/interpreters"
        ((failed == 0))
}

ps_says() {
        ctl ps --json | jq -e --argjson pid "$1" --arg version "$2" --arg build "$3" '.processes[] |
                select(.pid == $pid and .python == $version and .build == $build and .profiled)'
}

@test "interpreters: subinterpreters" {
        local name failed=0
        for name in $(each); do
                # Debian has the test module that 3.7 and older need in another package; pyenv's have it
                interpreters run "$name" "$WORKLOAD/subinterpreter.py" 1 >"$BATS_TEST_TMPDIR/truth"
                check functions "$name" "$BATS_TEST_TMPDIR/truth" || failed=1
        done
        ((failed == 0))
}

@test "interpreters: embedded, with threads that Python did not start" {
        local name failed=0
        "$ROOT/tests/workload/embed.sh" build "$BATS_TEST_TMPDIR"
        for name in "$BATS_TEST_TMPDIR"/embed-*; do
                "$name" 2 >"$BATS_TEST_TMPDIR/truth"
                check functions "${name##*/}" "$BATS_TEST_TMPDIR/truth" || failed=1
                check books --dropped "$BATS_TEST_TMPDIR/truth" || failed=1
        done
        ((failed == 0))
}

@test "interpreters: 600 frames are complete or cut after 512, 3000 are cut and say so" {
        local name frames failed=0
        for name in $(each); do
                for frames in 500 600 3000; do
                        interpreters run "$name" "$WORKLOAD/deep.py" "$frames" 0.5 >"$BATS_TEST_TMPDIR/truth"
                        check deep "$name" "$BATS_TEST_TMPDIR/truth" || failed=1
                done
        done
        ((failed == 0))
}

@test "interpreters: code objects that live where others lived" {
        local name failed=0
        for name in $(each); do
                interpreters run "$name" "$WORKLOAD/reuse.py" 3 >"$BATS_TEST_TMPDIR/truth"
                check reuse "$name" "$BATS_TEST_TMPDIR/truth" || failed=1
        done
        ((failed == 0))
}
