#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        # every wait and tick is walked, whatever it costs: that is what is tried here
        daemon_start "$BATS_FILE_TMPDIR/daemon" --budget 100 --rate 999
        interpreters list | cut -f 1 >"$BATS_FILE_TMPDIR/interpreters"
}

teardown_file() {
        daemon_stop
}

# The daemon lives, answers at once, has logged no error, and its books of a well-behaved process are right.
unharmed() {
        daemon_answers >/dev/null
        if grep -iE 'error|assert|sanitizer|corrupt' "$DAEMON_LOG"; then
                note "the log: $(grep -iE -m 3 'error|assert|sanitizer|corrupt' "$DAEMON_LOG")"
                return 1
        fi
        "$PYTHON" "$WORKLOAD/spin.py" 3 >"$BATS_TEST_TMPDIR/truth"
        check books --dropped "$BATS_TEST_TMPDIR/truth"
}

@test "hostile: targets that overwrite their own thread states, frames and code" {
        local name
        while read -r name; do
                interpreters run "$name" "$WORKLOAD/corrupt.py" 30 "$RANDOM" >"$BATS_TEST_TMPDIR/ends" 3>&-
                note "$name: $(jq -c .ends "$BATS_TEST_TMPDIR/ends")"
                daemon_answers >/dev/null
        done <"$BATS_FILE_TMPDIR/interpreters"
        unharmed
}

@test "hostile: targets that die, fork and exec while they are walked" {
        local name
        for name in pyenv-3.6 system-3.11 pyenv-3.13 debian-3.15; do
                interpreters run "$name" -W ignore "$WORKLOAD/chaos.py" 6 >"$BATS_TEST_TMPDIR/chaos" 2>/dev/null 3>&-
                note "$name: $(jq -c .counts "$BATS_TEST_TMPDIR/chaos")"
        done
        unharmed
        # nothing of what died is still followed
        until_true 10 nobody_left
}

nobody_left() {
        local pid
        for pid in $(ctl ps --json | jq -r '.processes[].pid'); do
                [[ -e /proc/$pid ]] || return 1
        done
}

@test "hostile: clients that do not read, do not write, or talk rubbish" {
        check clients
        unharmed
}
