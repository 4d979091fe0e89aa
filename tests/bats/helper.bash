# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What every file of tests needs: a daemon with a deadline, and checks whose findings are shown.

bats_require_minimum_version 1.5.0

ROOT=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
PYPROFD=${PYPROFD:-$ROOT/build/pyprofd}
PYPROFCTL=${PYPROFCTL:-$ROOT/build/pyprofctl}
WORKLOAD=$ROOT/tests/workload
CHECK=$ROOT/tests/bats
PYTHON=/usr/bin/python3
export ROOT PYPROFD PYPROFCTL WORKLOAD CHECK PYTHON PYTHONDONTWRITEBYTECODE=1
export LC_ALL=C.UTF-8 TERM=dumb

# until_true SECONDS COMMAND…: waits until the command succeeds; fails when the time is over.
until_true() {
        local deadline=$(($(date +%s%N) + $1 * 1000000000))
        shift
        until "$@" >/dev/null 2>&1; do
                if (($(date +%s%N) > deadline)); then
                        echo "not within the deadline: $*" >&2
                        return 1
                fi
                sleep 0.05
        done
}

# A zombie is gone: it has ended, and only whoever adopted it has not looked yet.
gone() {
        local state
        state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null)
        [[ -z $state || $state == Z ]]
}

daemon_answers() {
        curl -sf --max-time 2 --unix-socket "$PYPROFD_SOCKET" http://localhost/v1/status
}

# daemon_start DIR [OPTION…]: starts a daemon of its own; DAEMON_PID, DAEMON_LOG and PYPROFD_SOCKET tell of it.
daemon_start() {
        local dir=$1
        shift
        mkdir -p "$dir"
        export PYPROFD_SOCKET=$dir/socket DAEMON_LOG=$dir/log
        "$PYPROFD" --socket "$PYPROFD_SOCKET" --state-dir "$dir/state" "$@" 3>&- >"$DAEMON_LOG" 2>&1 &
        export DAEMON_PID=$!
        echo "$DAEMON_PID" >>"${BATS_TEST_TMPDIR:-$BATS_FILE_TMPDIR}/daemons"
        if ! until_true 30 daemon_answers; then
                cat "$DAEMON_LOG" >&2
                return 1
        fi
}

# The daemon must have lived until now, end within a second of SIGTERM, and say 0.
daemon_stop() {
        local before after status=0
        before=$(date +%s%N)
        kill -TERM "$DAEMON_PID" || {
                echo "the daemon was gone already:" >&2
                cat "$DAEMON_LOG" >&2
                return 1
        }
        wait "$DAEMON_PID" 2>/dev/null || status=$?
        after=$(date +%s%N)
        # in another shell than that which started it, wait does not know it
        if ((status == 127)); then
                until_true 10 gone "$DAEMON_PID" || return 1
                after=$(date +%s%N)
        fi
        if ((status != 0 && status != 127)); then
                echo "the daemon ended with $status:" >&2
                cat "$DAEMON_LOG" >&2
                return 1
        fi
        echo "SIGTERM to end: $(((after - before) / 1000000)) ms"
        ((after - before < 1000000000))
}

# A test that failed leaves none of its daemons behind.
teardown() {
        local pid
        [[ -e $BATS_TEST_TMPDIR/daemons ]] || return 0
        while read -r pid; do
                gone "$pid" || kill -KILL "$pid"
        done <"$BATS_TEST_TMPDIR/daemons"
}

ctl() {
        "$PYPROFCTL" --socket "$PYPROFD_SOCKET" --no-pager --color never "$@"
}

# check NAME [ARGUMENT…]: runs check_NAME.py; what it found is shown, whether it passes or fails.
check() {
        local name=$1 status=0
        shift
        "$PYTHON" "$CHECK/check_$name.py" "$@" >"$BATS_TEST_TMPDIR/check" 2>&1 3>&- || status=$?
        sed 's/^/# /' "$BATS_TEST_TMPDIR/check" >&3
        return "$status"
}

note() {
        echo "# $*" >&3
}

# For what goes to the background: its pid is the interpreter's only when no shell function is between.
INTERPRETERS=$ROOT/tests/setup/interpreters

interpreters() {
        "$INTERPRETERS" "$@"
}
