#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# linetable.sh [TEST_LINETABLE [NAME…]]: the line table decoder against every interpreter, or those named, over its
# standard library. From 3.11 on a second time without columns, which makes other entries in the tables.

set -uo pipefail

here=$(dirname "$(realpath "${BASH_SOURCE[0]}")")
interpreters=$here/../setup/interpreters
test=${1:-$here/../../build/unit/test_linetable}
shift || true

compare() {
        local name=$1 title=$2 result
        shift 2
        result=$("$interpreters" run "$name" -- -I -S -W ignore "$@" - <"$here/linetable_dump.py" | "$test")
        local status=$?
        echo "$title: ${result:-no result}"
        return "$status"
}

list=$("$interpreters" list) || exit 1
if (($#)); then
        names=("$@")
else
        mapfile -t names < <(cut -f 1 <<<"$list")
fi

failed=0
for name in "${names[@]}"; do
        compare "$name" "$name" || failed=$((failed + 1))
        if ((${name##*-3.} >= 11)); then
                compare "$name" "$name, no columns" -X no_debug_ranges || failed=$((failed + 1))
        fi
done

((${#names[@]} > 0 && failed == 0))
