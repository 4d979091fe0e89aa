#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

# Everything here hangs before the daemon is started.
setup_file() {
        local name pids=()
        cd "$BATS_FILE_TMPDIR"
        interpreters
        interpreters list | cut -f 1 >interpreters
        while read -r name; do
                "$INTERPRETERS" run "$name" "$WORKLOAD/deadlock.py" "fault-$name" </dev/null >"facts-$name" 3>&- &
                pids+=($!)
        done <interpreters
        "$PYTHON" "$WORKLOAD/idle_pool.py" </dev/null >pool-before 3>&- &
        pids+=($!)
        printf '%s\n' "${pids[@]}" >pids
        while read -r name; do
                until_true 30 grep -q 'deadlock.py", line .* in <module>' "fault-$name"
        done <interpreters
        until_true 30 test -s pool-before
        daemon_start "$BATS_FILE_TMPDIR/daemon"
        "$PYTHON" "$WORKLOAD/idle_pool.py" </dev/null >pool-after 3>&- &
        echo $! >>pids
        until_true 30 test -s pool-after
}

teardown_file() {
        local pid
        while read -r pid; do
                kill -KILL "$pid"
        done <"$BATS_FILE_TMPDIR/pids"
        daemon_stop
}

seen_for() {
        ctl wall -p "$1" --by process --json | jq -e --argjson ns "$2" '.rows[0].wall_ns > $ns'
}

@test "idle: a pool of 64 parked threads and one slow handler: the handler is the first row" {
        until_true 30 seen_for "$(jq .pid "$BATS_FILE_TMPDIR/pool-after")" 330000000000
        check idle "$BATS_FILE_TMPDIR/pool-after"
}

@test "idle: the same when they were parked before the daemon was started" {
        until_true 30 seen_for "$(jq .pid "$BATS_FILE_TMPDIR/pool-before")" 330000000000
        check idle "$BATS_FILE_TMPDIR/pool-before"
}

@test "hung: what deadlocked before the daemon was started is dumped as faulthandler does, on every interpreter" {
        local name failed=0
        while read -r name; do
                check deadlock "$name" "$BATS_FILE_TMPDIR/facts-$name" "$BATS_FILE_TMPDIR/fault-$name" || failed=1
        done <"$BATS_FILE_TMPDIR/interpreters"
        ((failed == 0))
}

@test "hung: dump's text is one paragraph a thread, leaf first" {
        local name
        name=$(head -n 1 "$BATS_FILE_TMPDIR/interpreters")
        run --separate-stderr -0 ctl dump -p "$(jq .pid "$BATS_FILE_TMPDIR/facts-$name")"
        [[ $output == *'"поток-2"'* && $output == *'"größer"'* && $output == *'"MainThread"'* ]]
        [[ $(grep -A 1 '"größer"' <<<"$output" | tail -n 1) =~ take_first_then_second\ \(.*deadlock.py:27\) ]]
        grep -qE '^Thread [0-9]+ \([a-z]+(: [^)]*)?\): "' <<<"$output"
}
