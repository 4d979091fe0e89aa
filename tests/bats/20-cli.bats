#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        daemon_start "$BATS_FILE_TMPDIR/daemon"
        "$PYTHON" -c 'import time
def busy():
    end = time.monotonic() + 3600
    while time.monotonic() < end:
        sum(range(1000))
        time.sleep(0.01)
busy()' 3>&- &
        export TARGET=$!
        until_true 10 target_is_seen
}

teardown_file() {
        kill "$TARGET"
        daemon_stop
}

target_is_seen() {
        ctl wall -p "$TARGET" -f busy --by function --json | jq -e '.rows | length > 0'
}

# refused STATUS COMMAND…: this exit status, nothing on stdout, one line `pyprofctl: what: why` on stderr, then a hint at most.
refused() {
        local want=$1 errors
        shift
        run --separate-stderr "$@"
        # shellcheck disable=SC2154
        if ((status != want)) || [[ -n $output || ! ${stderr_lines[0]} =~ ^pyprofctl:\ .+:\ .+ ]] || ((${#stderr_lines[@]} > 3)); then
                errors=$stderr
                note "$*: exit $status instead of $want; stdout '${output:0:200}', stderr '${errors:0:400}'"
                return 1
        fi
}

@test "cli: wrong usage is 2" {
        local failed=0
        refused 2 ctl || failed=1
        refused 2 ctl nonsense || failed=1
        refused 2 ctl --nonsense status || failed=1
        refused 2 ctl wall --nonsense || failed=1
        refused 2 ctl wall --by nonsense || failed=1
        refused 2 ctl wall --by function,nonsense || failed=1
        refused 2 ctl wall --sort nonsense || failed=1
        refused 2 ctl wall -s nonsense || failed=1
        refused 2 ctl wall -n -1 || failed=1
        refused 2 ctl wall -n many || failed=1
        refused 2 ctl wall -p abc || failed=1
        refused 2 ctl wall -p -5 || failed=1
        refused 2 ctl wall -p || failed=1
        refused 2 ctl wall --idle maybe || failed=1
        refused 2 ctl wall --native maybe || failed=1
        refused 2 ctl wall --since 'the day before' || failed=1
        refused 2 ctl wall --since now --until -1h || failed=1
        refused 2 ctl wall --over soon || failed=1
        refused 2 ctl wall surplus || failed=1
        refused 2 ctl dump || failed=1
        refused 2 ctl lines || failed=1
        refused 2 ctl record -d 1 -F nonsense -o "$BATS_TEST_TMPDIR/x" || failed=1
        refused 2 ctl record -d 0 -F collapsed -o "$BATS_TEST_TMPDIR/x" || failed=1
        refused 2 ctl export -F collapsed || failed=1
        refused 2 ctl --color sometimes status || failed=1
        ((failed == 0))
}

@test "cli: a regular expression that does not compile is 2" {
        refused 2 ctl wall -f '('
        refused 2 ctl wall -f '[a-'
}

@test "cli: help and version are 0 and on stdout" {
        run --separate-stderr -0 ctl --help
        [[ -n $output && -z $stderr ]]
        run --separate-stderr -0 ctl wall --help
        [[ -n $output && -z $stderr ]]
        run --separate-stderr -0 ctl --version
        [[ -n $output && -z $stderr ]]
        run --separate-stderr -0 "$PYPROFD" --help
        [[ -n $output && -z $stderr ]]
}

@test "cli: nobody listens: 3 for what needs a daemon that was there" {
        refused 3 "$PYPROFCTL" --socket "$BATS_TEST_TMPDIR/nobody" status
        refused 3 "$PYPROFCTL" --socket "$BATS_TEST_TMPDIR/nobody" ps
        refused 3 "$PYPROFCTL" --socket "$BATS_TEST_TMPDIR/nobody" stats
        refused 3 "$PYPROFCTL" --socket "$BATS_TEST_TMPDIR/nobody" export -F collapsed -o -
        : >"$BATS_TEST_TMPDIR/file"
        refused 3 "$PYPROFCTL" --socket "$BATS_TEST_TMPDIR/file" status
}

@test "cli: nobody listens: as root wall observes by itself and says so" {
        run --separate-stderr -0 "$PYPROFCTL" --no-pager wall -d 2 -p "$TARGET"
        [[ $output == *busy* && $stderr == *private* ]]
}

@test "cli: nobody listens and not root: 3, and what is missing is said" {
        chmod 755 "$BATS_RUN_TMPDIR" "$BATS_TEST_TMPDIR" || true
        refused 3 setpriv --reuid=65534 --clear-groups "$PYPROFCTL" --socket /nonexistent/socket wall
}

@test "cli: a pid that is not Python, one that is gone, a selection that is empty: 5" {
        local gone
        sleep 3600 3>&- &
        local sleeper=$!
        "$PYTHON" -c pass &
        gone=$!
        wait "$gone"
        refused 5 ctl wall -p "$sleeper"
        refused 5 ctl dump -p "$sleeper"
        refused 5 ctl dump -p "$gone"
        refused 5 ctl dump -p 4194303
        refused 5 ctl wall -p 4194303
        refused 5 ctl wall -C 'no-such-command'
        refused 5 ctl wall -u 'no-such.service'
        refused 5 ctl wall -c 'no-such-container'
        refused 5 ctl wall -f 'no_such_function_anywhere'
        refused 5 ctl wall -t 4194303
        refused 5 ctl stats -f 'no_such_function_anywhere'
        refused 5 ctl export -F collapsed -o - -f 'no_such_function_anywhere'
        kill "$sleeper"
}

@test "cli: a full disk is 1 and is said" {
        refused 1 ctl export -F collapsed -o /dev/full
        refused 1 ctl record -d 1 -F collapsed -o /dev/full
        # standard output too
        local status=0
        ctl wall >/dev/full 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
        ((status == 1))
        grep -q '^pyprofctl: ' "$BATS_TEST_TMPDIR/stderr"
        status=0
        ctl wall --json >/dev/full 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
        ((status == 1))
}

@test "cli: a read-only place for -o is 1, and what was there stays" {
        mkdir "$BATS_TEST_TMPDIR/mount"
        unshare --mount bash -c 'mount -t tmpfs -o size=64k tmpfs "$1" && echo precious >"$1/old" && mount -o remount,ro "$1" &&
                { shift; "$@"; echo "status $?"; cat "${0%/}/old"; }' "$BATS_TEST_TMPDIR/mount" "$BATS_TEST_TMPDIR/mount" \
                "$PYPROFCTL" --socket "$PYPROFD_SOCKET" export -F collapsed -o "$BATS_TEST_TMPDIR/mount/old" >"$BATS_TEST_TMPDIR/out" 2>&1
        note "$(tr '\n' ' ' <"$BATS_TEST_TMPDIR/out")"
        grep -qx 'status 1' "$BATS_TEST_TMPDIR/out"
        grep -qx precious "$BATS_TEST_TMPDIR/out"
        grep -q '^pyprofctl: .*: .*' "$BATS_TEST_TMPDIR/out"
        refused 1 ctl export -F collapsed -o "$BATS_TEST_TMPDIR/no/such/folder/file"
}

@test "cli: a file that is replaced keeps its owner and its permissions, but no set-id bit" {
        echo old >"$BATS_TEST_TMPDIR/old"
        chown 65534:65534 "$BATS_TEST_TMPDIR/old"
        chmod 6751 "$BATS_TEST_TMPDIR/old"
        ctl export -p "$TARGET" -F collapsed -o "$BATS_TEST_TMPDIR/old"
        grep -q busy "$BATS_TEST_TMPDIR/old"
        [[ $(stat -c '%u:%g %a' "$BATS_TEST_TMPDIR/old") == '65534:65534 751' ]]
}

@test "cli: a terminal of 20 columns" {
        local command
        for command in status ps "wall -p $TARGET" "top --once" "stats -p $TARGET" "dump -p $TARGET" doctor; do
                script -qec "stty cols 20 rows 10; '$PYPROFCTL' --socket '$PYPROFD_SOCKET' --no-pager $command" /dev/null \
                        </dev/null >"$BATS_TEST_TMPDIR/out" 3>&-
                note "$command: $(wc -l <"$BATS_TEST_TMPDIR/out") lines"
                [[ -s $BATS_TEST_TMPDIR/out ]]
        done
}

@test "cli: top full screen, in 20 columns and in 100, ends with q" {
        local columns
        for columns in 20 100; do
                { until_true 10 grep -q . "$BATS_TEST_TMPDIR/screen"; printf q; sleep 5; } |
                        TERM=xterm timeout 20 script -qec \
                                "stty cols $columns rows 24; '$PYPROFCTL' --socket '$PYPROFD_SOCKET' top; echo \"status \$?\"" \
                                "$BATS_TEST_TMPDIR/typescript" >"$BATS_TEST_TMPDIR/screen" 3>&-
                grep -q 'status 0' "$BATS_TEST_TMPDIR/screen"
                : >"$BATS_TEST_TMPDIR/screen"
        done
}

@test "cli: a closed pipe on stdout is quiet" {
        local command
        for command in "wall -n 0" "ps" "stats" "wall --json -n 0 --by stack" "export -F collapsed -o -"; do
                # shellcheck disable=SC2086
                { ctl $command 2>"$BATS_TEST_TMPDIR/stderr"; echo "$?" >"$BATS_TEST_TMPDIR/status"; } | true
                note "$command: exit $(cat "$BATS_TEST_TMPDIR/status")"
                [[ ! -s $BATS_TEST_TMPDIR/stderr ]]
                [[ $(cat "$BATS_TEST_TMPDIR/status") =~ ^(0|1|141)$ ]]
        done
}

@test "cli: top --once is wall of one second" {
        run --separate-stderr -0 ctl top --once --json
        jq -e '.version == 1 and .by == ["process"] and .until - .since >= 1000000000' <<<"$output"
        run --separate-stderr -0 ctl top --once -p "$TARGET"
        [[ $output == *busy* ]]
}

@test "cli: formats" {
        ctl export -p "$TARGET" -F collapsed -o "$BATS_TEST_TMPDIR/collapsed"
        grep -qE '^<module>[^;]*;busy[^;]*( [0-9]+|;)' "$BATS_TEST_TMPDIR/collapsed"
        run -1 grep -vE ' [0-9]+$' "$BATS_TEST_TMPDIR/collapsed"
        ctl export -p "$TARGET" -F speedscope -o "$BATS_TEST_TMPDIR/speedscope"
        jq -e '."$schema" == "https://www.speedscope.app/file-format-schema.json" and (.profiles | length > 0) and
                ([.shared.frames[].name] | any(. == "busy")) and
                all(.profiles[]; (.samples | length) == (.weights | length))' "$BATS_TEST_TMPDIR/speedscope"
        ctl export -p "$TARGET" -F json -o "$BATS_TEST_TMPDIR/json"
        jq -e '.version == 1 and (.rows | length > 0) and has("loss")' "$BATS_TEST_TMPDIR/json"
        ctl record -p "$TARGET" -d 2 -F collapsed -o "$BATS_TEST_TMPDIR/recorded"
        grep -q busy "$BATS_TEST_TMPDIR/recorded"
        run --separate-stderr -0 ctl export -p "$TARGET" -F collapsed -o -
        grep -q busy <<<"$output"
}

@test "cli: lines shows the source" {
        cat >"$BATS_TEST_TMPDIR/hot.py" <<-'END'
		def hot():
		    while True:
		        sum(range(100000))  # here it is hot

		hot()
	END
        "$PYTHON" "$BATS_TEST_TMPDIR/hot.py" 3>&- &
        local pid=$!
        until_true 20 hot_is_seen "$pid"
        run --separate-stderr -0 ctl lines "$BATS_TEST_TMPDIR/hot.py" -p "$pid"
        grep -qE '^ *3 .*sum\(range\(100000\)\)  # here it is hot' <<<"$output"
        run --separate-stderr -0 ctl lines hot -p "$pid"
        grep -qE '^ *3 .*# here it is hot' <<<"$output"
        sleep 1.1
        touch "$BATS_TEST_TMPDIR/hot.py"
        run -0 ctl lines hot -p "$pid"
        grep -qi newer <<<"$output"
        kill "$pid"
}

hot_is_seen() {
        ctl wall -p "$1" -f '^hot$' --json | jq -e '.rows | length > 0'
}

@test "cli: stats has pstats' columns" {
        run --separate-stderr -0 ctl stats -p "$TARGET"
        grep -qE 'ncalls +tottime +percall +cumtime +percall +filename:lineno\(function\)' <<<"$output"
        grep -qE '^ +- .*\(busy\)' <<<"$output"
        run --separate-stderr -0 ctl stats -p "$TARGET" --json
        jq -e '.rows | any(.function == "busy" and .ncalls == null and .cumtime_ns > 0)' <<<"$output"
        run --separate-stderr -0 ctl stats -p "$TARGET" --callers --clock cpu
        run --separate-stderr -0 ctl stats -p "$TARGET" --callees
}

@test "cli: doctor as root and as nobody" {
        run --separate-stderr -0 ctl doctor
        [[ -n $output ]]
        run --separate-stderr setpriv --reuid=65534 --clear-groups "$PYPROFCTL" --socket /nonexistent/socket doctor
        note "doctor as nobody: exit $status"
        grep -qi root <<<"$output"
}

@test "cli: asking for more than there is says what there is" {
        run --separate-stderr -0 ctl wall --since -2h
        [[ -n $stderr ]]
        note "$stderr"
}

@test "cli: a selection by state keeps the books" {
        local state
        run --separate-stderr -0 ctl wall -p "$TARGET" -s cpu --by state --json
        jq -e '.rows | all(.key.state | IN("python", "native", "kernel", "unsampled"))' <<<"$output"
        jq -e '.totals.wall_ns == .totals.cpu_ns and .totals.wall_ns == ([.totals.states[]] | add)' <<<"$output"
}
