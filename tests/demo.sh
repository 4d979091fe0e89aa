#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A daemon from the build folder, a small multi-process Python program, and what `top` and `wall` say of it. Whatever happens,
# what was started here is stopped at the end.

set -euo pipefail
cd "$(dirname "$(realpath "$0")")/.."

((EUID == 0)) || {
        echo "demo: not root: sudo make demo" >&2
        exit 1
}

dir=$(mktemp -d)
started=()

finish() {
        local pid
        trap - EXIT
        for pid in "${started[@]}"; do
                # the program has a process group of its own, so that its children end with it
                kill -TERM -- "-$pid" 2>/dev/null || kill -TERM "$pid" 2>/dev/null || true
        done
        for pid in "${started[@]}"; do
                wait "$pid" 2>/dev/null || true
        done
        rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

ctl() {
        build/pyprofctl --socket "$dir/socket" --no-pager "$@"
}

build/pyprofd --socket "$dir/socket" --state-dir "$dir/state" 2>"$dir/log" &
started+=($!)
for ((i = 0; ; i++)); do
        ctl status >/dev/null 2>&1 && break
        if ((i == 200)) || ! kill -0 "${started[0]}" 2>/dev/null; then
                cat "$dir/log" >&2
                exit 1
        fi
        sleep 0.1
done

echo "A service of three processes runs for ten seconds: tests/workload/web.py"
setsid /usr/bin/python3 tests/workload/web.py 10 &
started+=($!)
sleep 7

echo
echo "\$ pyprofctl top --once"
ctl top --once
wait "${started[1]}"
echo
echo "\$ pyprofctl wall"
ctl wall
