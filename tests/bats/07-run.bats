#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        # the program takes a tenth of a second on a fast machine: 99 Hz would be ten samples
        daemon_start "$BATS_FILE_TMPDIR/daemon" --budget 100 --rate 999
}

teardown_file() {
        daemon_stop
}

@test "run: Fibonacci has more than 90 %, json less than 2 %" {
        ctl run -F collapsed -o "$BATS_TEST_TMPDIR/collapsed" -- "$PYTHON" "$WORKLOAD/fib_json.py" \
                >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr"
        grep -q fibonacci "$BATS_TEST_TMPDIR/stderr"
        note "$(grep -m 3 fibonacci "$BATS_TEST_TMPDIR/stderr")"
        check run "$BATS_TEST_TMPDIR/collapsed"
}

@test "run: prints wall and stats to stderr" {
        ctl run -- "$PYTHON" "$WORKLOAD/fib_json.py" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/stderr"
        grep -q 'OWN.*TOTAL.*CPU' "$BATS_TEST_TMPDIR/stderr"
        grep -q 'ncalls *tottime *percall *cumtime *percall *filename:lineno(function)' "$BATS_TEST_TMPDIR/stderr"
}

@test "run: standard output and input are the command's" {
        "$PYTHON" "$WORKLOAD/fib_json.py" >"$BATS_TEST_TMPDIR/alone"
        ctl run -- "$PYTHON" "$WORKLOAD/fib_json.py" >"$BATS_TEST_TMPDIR/profiled" 2>/dev/null
        cmp "$BATS_TEST_TMPDIR/alone" "$BATS_TEST_TMPDIR/profiled"
        head -c 3000000 /dev/urandom >"$BATS_TEST_TMPDIR/random"
        ctl run -- "$PYTHON" -c 'import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())' \
                <"$BATS_TEST_TMPDIR/random" >"$BATS_TEST_TMPDIR/copy" 2>/dev/null
        cmp "$BATS_TEST_TMPDIR/random" "$BATS_TEST_TMPDIR/copy"
}

@test "run: the exit status is the command's, 128+N by signal, 126 and 127 as env" {
        run -7 ctl run -- "$PYTHON" -c 'raise SystemExit(7)'
        run -0 ctl run -- true
        run -143 ctl run -- "$PYTHON" -c 'import os, signal; os.kill(os.getpid(), signal.SIGTERM)'
        run -137 ctl run -- sh -c 'kill -9 $$'
        run -127 ctl run -- "$BATS_TEST_TMPDIR/nothing-here"
        touch "$BATS_TEST_TMPDIR/not-executable"
        run -126 ctl run -- "$BATS_TEST_TMPDIR/not-executable"
        run -125 ctl run -F collapsed -o "$BATS_TEST_TMPDIR/no/such/folder" -- true
        run -2 ctl run
}

@test "run: signals are passed on" {
        local signal pid
        for signal in INT TERM HUP USR1 USR2; do
                rm -f "$BATS_TEST_TMPDIR/ready"
                # an interactive shell would give the job back its SIGINT
                "$PYTHON" - "$PYPROFCTL" --socket "$PYPROFD_SOCKET" run -- "$PYTHON" -c "
import signal, sys
def got(number, frame):
    print('got', number, flush=True)
    sys.exit(40 + number)
signal.signal(signal.SIG$signal, got)
open('$BATS_TEST_TMPDIR/ready', 'w').close()
while True:
    signal.pause()
" >"$BATS_TEST_TMPDIR/out" 2>/dev/null 3>&- <<<'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])' &
                pid=$!
                until_true 20 test -e "$BATS_TEST_TMPDIR/ready"
                kill "-$signal" "$pid"
                local status=0
                wait "$pid" || status=$?
                note "SIG$signal: $(cat "$BATS_TEST_TMPDIR/out"), exit $status"
                ((status == 40 + $(kill -l "$signal")))
                grep -qx "got $(kill -l "$signal")" "$BATS_TEST_TMPDIR/out"
        done
}

@test "run: children of the command are profiled too" {
        ctl run -F collapsed -o "$BATS_TEST_TMPDIR/collapsed" -- sh -c "'$PYTHON' '$WORKLOAD/forks.py' 0.2 >/dev/null" 2>/dev/null
        grep -q own_child_spin "$BATS_TEST_TMPDIR/collapsed"
}

@test "run: without a daemon it starts one of its own and says so" {
        run --separate-stderr -0 "$PYPROFCTL" run -- "$PYTHON" "$WORKLOAD/fib_json.py"
        ((${#lines[@]} == 10))
        grep -qi 'private' <<<"$stderr"
        grep -q fibonacci <<<"$stderr"
        ! pgrep -f -- "--socket /run/pyprofctl[.]" # and nothing of it is left
}
