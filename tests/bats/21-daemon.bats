#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup() {
        DIR=$BATS_TEST_TMPDIR/daemon
}

# Every program, map and link in the kernel: "kind id".
kernel_objects() {
        local kind
        for kind in prog map link; do
                bpftool -j "$kind" list | jq -r --arg kind "$kind" '.[] | "\($kind) \(.id)"'
        done | sort
}

# Those that process $1 has open.
owned_objects() {
        # shellcheck disable=SC2086 # `*` is everybody
        cat /proc/$1/fdinfo/* 2>/dev/null | sed -nE 's/^(prog|map|link)_id:[[:space:]]*([0-9]+)$/\1 \2/p' | sort -u
}

probes() {
        cat /sys/kernel/tracing/uprobe_events /sys/kernel/debug/tracing/uprobe_events 2>/dev/null | sort || true
}

@test "daemon: SIGTERM ends it within a second and nothing is left in the kernel" {
        local before probes_before pins_before
        before=$(kernel_objects)
        probes_before=$(probes)
        pins_before=$(find /sys/fs/bpf 2>/dev/null | sort)
        daemon_start "$DIR"
        owned_objects "$DAEMON_PID" >"$BATS_TEST_TMPDIR/owned"
        note "while it runs: $(cut -d ' ' -f 1 "$BATS_TEST_TMPDIR/owned" | sort | uniq -c | tr -s '\n ' ' ')"
        grep -q prog "$BATS_TEST_TMPDIR/owned"
        grep -q map "$BATS_TEST_TMPDIR/owned"
        # something to follow, so that there is state to leave behind
        "$PYTHON" "$WORKLOAD/spin.py" 2 >/dev/null
        daemon_stop >"$BATS_TEST_TMPDIR/stopped"
        note "$(cat "$BATS_TEST_TMPDIR/stopped")"
        until_true 5 nothing_left "$before"
        [[ $(probes) == "$probes_before" ]]
        [[ $(find /sys/fs/bpf 2>/dev/null | sort) == "$pins_before" ]]
        [[ ! -S $PYPROFD_SOCKET ]]
}

# Of the daemon's own objects none, and no other that was not there before unless another process has it open.
nothing_left() {
        local after
        after=$(kernel_objects)
        [[ -z $(comm -12 <(echo "$after") "$BATS_TEST_TMPDIR/owned") ]] &&
                [[ -z $(comm -13 <(echo "$1") <(echo "$after") | comm -23 - <(owned_objects '*')) ]]
}

@test "daemon: SIGKILL leaves nothing in the kernel either" {
        local before
        before=$(kernel_objects)
        daemon_start "$DIR"
        owned_objects "$DAEMON_PID" >"$BATS_TEST_TMPDIR/owned"
        kill -KILL "$DAEMON_PID"
        wait "$DAEMON_PID" || true
        until_true 5 nothing_left "$before"
        # the socket that stayed does not keep the next one out
        daemon_start "$DIR"
        daemon_stop
}

@test "daemon: SIGINT ends it too" {
        daemon_start "$DIR"
        # a job in the background of a shell without job control ignores SIGINT until it installs a handler
        kill -INT "$DAEMON_PID"
        until_true 5 gone "$DAEMON_PID"
}

rate_is() {
        ctl status --json | jq -e --argjson rate "$1" '.budget.setting | startswith("\($rate) Hz")'
}

@test "daemon: SIGHUP re-reads the configuration" {
        mkdir "$DIR"
        printf '[pyprofd]\nrate = 49\n' >"$DIR/conf"
        daemon_start "$DIR" --config "$DIR/conf"
        rate_is 49
        printf '[pyprofd]\nrate = 79\n' >"$DIR/conf"
        kill -HUP "$DAEMON_PID"
        until_true 5 rate_is 79
        # one that cannot be read changes nothing
        printf '[pyprofd]\nrate = nonsense\n' >"$DIR/conf"
        kill -HUP "$DAEMON_PID"
        until_true 5 grep -qi 'rate' "$DAEMON_LOG"
        rate_is 79
        daemon_stop
}

@test "daemon: a second one on the same socket is refused and the first lives on" {
        daemon_start "$DIR"
        run --separate-stderr timeout 20 "$PYPROFD" --socket "$PYPROFD_SOCKET" --state-dir "$DIR/other"
        note "exit $status: $stderr"
        ((status != 0 && status != 124))
        [[ $stderr == *"$PYPROFD_SOCKET"* ]]
        daemon_answers
        daemon_stop
}

@test "daemon: wrong options and an unreadable configuration are refused, one clear line each" {
        local arguments
        printf '[pyprofd]\nrate = 0\n' >"$BATS_TEST_TMPDIR/bad-value"
        for arguments in "--nonsense" "--rate 0" "--rate 1000" "--rate x" "--memory-max x" "--budget -1" "--budget x" \
                "--log-level loud" "surplus" "--config $BATS_TEST_TMPDIR/missing" "--config $BATS_TEST_TMPDIR/bad-value"; do
                # shellcheck disable=SC2086
                run --separate-stderr timeout 20 "$PYPROFD" --socket "$BATS_TEST_TMPDIR/s" --state-dir "$BATS_TEST_TMPDIR/st" $arguments
                note "$arguments: exit $status: ${stderr_lines[0]:-}"
                ((status == 1 || status == 2))
                ((${#stderr_lines[@]} >= 1 && ${#stderr_lines[@]} <= 3))
                [[ -z $output && ! -e $BATS_TEST_TMPDIR/s ]]
        done
}

@test "daemon: not root: it says what is missing" {
        run --separate-stderr timeout 20 setpriv --reuid=65534 --clear-groups "$PYPROFD" --socket /tmp/pyprofd-nobody-$$ \
                --state-dir /tmp/pyprofd-nobody-state-$$
        note "exit $status: ${stderr_lines[0]:-}"
        ((status == 1))
        grep -qiE 'root|CAP_' <<<"$stderr"
}

@test "daemon: another uid sees its own processes and no others, root sees all" {
        daemon_start "$DIR"
        chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$DIR" 2>/dev/null || true
        local mine theirs failed=0
        "$PYTHON" -c 'import time; time.sleep(60)' 3>&- &
        mine=$!
        setpriv --reuid=65534 --clear-groups "$PYTHON" -c 'import time; time.sleep(60)' 3>&- &
        theirs=$!
        until_true 10 both_seen "$mine" "$theirs"
        check viewer "$mine" "$theirs" || failed=1
        kill "$mine" "$theirs"
        ((failed == 0))
        daemon_stop
}

both_seen() {
        ctl ps --json | jq -e --argjson a "$1" --argjson b "$2" '[.processes[].pid] | index($a) and index($b)'
}

@test "daemon: the same API by curl" {
        daemon_start "$DIR"
        [[ $(stat -c %a "$PYPROFD_SOCKET") == 666 ]]
        local path
        "$PYTHON" -c 'import time; time.sleep(60)' 3>&- &
        local pid=$!
        until_true 10 both_seen "$pid" "$pid"
        for path in status processes 'wall?by=function' 'stacks' "threads/$pid" 'export?format=json'; do
                curl -sf --max-time 5 --unix-socket "$PYPROFD_SOCKET" "http://localhost/v1/$path" |
                        jq -e '.version == 1 and has("loss")' || {
                        note "/v1/$path"
                        false
                }
        done
        local code
        for path in nothing 'wall?by=nonsense' 'wall?since=x' 'wall?function=(' 'threads/abc'; do
                code=$(curl -s -g -o "$BATS_TEST_TMPDIR/body" -w '%{http_code}' --max-time 5 --unix-socket "$PYPROFD_SOCKET" \
                        "http://localhost/v1/$path")
                note "/v1/$path: $code $(head -c 150 "$BATS_TEST_TMPDIR/body")"
                [[ $code == 4?? ]]
                jq -e '.error.code and .error.message' "$BATS_TEST_TMPDIR/body"
        done
        kill "$pid"
        daemon_stop
}

set_clock() {
        "$PYTHON" -c 'import sys, time
time.clock_settime(time.CLOCK_REALTIME, time.clock_gettime(time.CLOCK_REALTIME) + float(sys.argv[1]))' "$1"
}

@test "daemon: the clock being set does not tear windows" {
        # the history is asked for by wall-clock time and kept by the monotonic one: both must add up over a step
        daemon_start "$DIR"
        "$PYTHON" -c 'import time; time.sleep(60)' 3>&- &
        local pid=$! failed=0
        until_true 10 both_seen "$pid" "$pid"
        set_clock 3600
        sleep 3
        ctl wall -p "$pid" --by process --json >"$BATS_TEST_TMPDIR/wall" || failed=1
        set_clock -3600
        kill "$pid"
        ((failed == 0))
        jq -e '.rows[0].wall_ns > 2900000000 and .rows[0].wall_ns < 30000000000' "$BATS_TEST_TMPDIR/wall"
        daemon_stop
}
