#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        daemon_start "$BATS_FILE_TMPDIR/daemon"
}

teardown_file() {
        daemon_stop
}

@test "governor: under a queue ping-pong on every CPU the cost falls below the budget within 10 s; status tells; books balance" {
        local setting pid failed=0
        setting=$(ctl status --json | jq -r .budget.setting)
        note "at rest: $setting"
        "$PYTHON" "$WORKLOAD/pingpong.py" 25 pin >"$BATS_TEST_TMPDIR/truth" 3>&- &
        pid=$!
        check governor "$setting" || failed=1
        wait "$pid"
        note "rounds: $(jq -c '[.processes[].rounds]' "$BATS_TEST_TMPDIR/truth")"
        check books "$BATS_TEST_TMPDIR/truth" || failed=1
        run -0 ctl status
        grep -qi budget <<<"$output"
        ((failed == 0))
}

calm() {
        ctl status --json | jq -e --arg setting "$1" '.budget.setting == $setting'
}

@test "governor: when it is over the setting comes back" {
        daemon_start "$BATS_TEST_TMPDIR/other"
        local setting
        setting=$(ctl status --json | jq -r .budget.setting)
        "$PYTHON" "$WORKLOAD/pingpong.py" 8 >/dev/null
        # a question a second: to be asked twenty times a second would be a load of its own
        local i
        for ((i = 0; i < 60; i++)); do
                calm "$setting" && break
                sleep 1
        done
        note "back after $i s"
        ((i < 60))
        daemon_stop
}
