#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0

load helper

setup_file() {
        daemon_start "$BATS_FILE_TMPDIR/daemon" --budget 100
}

teardown_file() {
        daemon_stop
}

@test "prefork: 4 gunicorn workers under wrk are profiled from their first request, handlers by name" {
        local master socket=127.0.0.1:8937 failed=0
        export PREFORK_TRUTH=$BATS_TEST_TMPDIR/truth
        mkdir "$PREFORK_TRUTH"
        cd "$WORKLOAD"
        gunicorn --workers 4 --bind "$socket" prefork_app:application 3>&- >"$BATS_TEST_TMPDIR/gunicorn" 2>&1 &
        master=$!
        # wrk alone makes requests: the listening socket is looked at without one
        until_true 20 grep -qi ':22E9 .* 0A ' /proc/net/tcp
        wrk --threads 1 --connections 16 --duration 10s "http://$socket/" 3>&- >"$BATS_TEST_TMPDIR/wrk"
        note "$(grep Requests/sec "$BATS_TEST_TMPDIR/wrk")"
        check prefork "$PREFORK_TRUTH" "$master" "$("$PYTHON" -c "import sys; sys.path.insert(0, '$WORKLOAD')
import truth; print(truth.realtime_offset())")" || failed=1
        kill "$master"
        wait "$master" || true
        ((failed == 0))
}

@test "prefork: multiprocessing's and os.fork()'s children inherit and go their own way" {
        "$PYTHON" "$WORKLOAD/forks.py" 1 >"$BATS_TEST_TMPDIR/truth"
        check forks "$BATS_TEST_TMPDIR/truth"
}
