#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        daemon_start "$BATS_FILE_TMPDIR/daemon" --budget 100
}

teardown_file() {
        daemon_stop
}

@test "short: 200 processes that live 50 ms each are all there, with names and lines" {
        local since
        since=@$(date +%s)
        # shellcheck disable=SC2016
        seq 200 | xargs -P 2 -I{} "$PYTHON" -I "$WORKLOAD/short.py" >"$BATS_TEST_TMPDIR/pids" 3>&-
        check short "$BATS_TEST_TMPDIR/pids" "$since"
}

@test "short: the same from the first process on, of an interpreter the daemon has not met" {
        # another file: the daemon has to look at the binary while the first ones run
        local since python=$BATS_TEST_TMPDIR/python3-fresh
        cp -L "$PYTHON" "$python"
        since=@$(date +%s)
        seq 200 | xargs -P 2 -I{} "$python" -I "$WORKLOAD/short.py" >"$BATS_TEST_TMPDIR/pids" 3>&-
        local first
        first=$(head -n 1 "$BATS_TEST_TMPDIR/pids" | cut -d ' ' -f 1)
        ctl wall --by process -n 0 --json --since "$since" -C short.py | jq -r '.rows[].key.pid' | sort >"$BATS_TEST_TMPDIR/there"
        cut -d ' ' -f 1 "$BATS_TEST_TMPDIR/pids" | sort | comm -23 - "$BATS_TEST_TMPDIR/there" >"$BATS_TEST_TMPDIR/missing"
        note "first pid $first; missing: $(tr '\n' ' ' <"$BATS_TEST_TMPDIR/missing")"
        # two started at once: either may be the first ever
        (($(wc -l <"$BATS_TEST_TMPDIR/missing") <= 2))
        ! sed 1,2d "$BATS_TEST_TMPDIR/pids" | cut -d ' ' -f 1 | grep -qxFf "$BATS_TEST_TMPDIR/missing"
}
