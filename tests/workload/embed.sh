#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# embed.sh build DIR: embed.c with every libpython that this machine can link, as DIR/embed-VERSION.
set -euo pipefail
here=$(dirname "$(realpath "$0")")
[[ ${1:-} == build && -d ${2:-} ]] || {
        echo "usage: embed.sh build DIR" >&2
        exit 2
}
built=0
for python in /usr/bin/python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/3.{6..15}.*/bin/python3; do
        [[ -x $python ]] || continue
        # header folder, library folder, name of the library; a shared libpython is needed
        read -r include dir name version < <("$python" -c '
import sysconfig
v = sysconfig.get_config_var
print(sysconfig.get_paths()["include"], v("LIBDIR"), "python" + v("LDVERSION"), v("VERSION"))')
        [[ -e $dir/lib$name.so ]] || dir=$dir/$(gcc -print-multiarch)
        [[ -e $include/Python.h && -e $dir/lib$name.so ]] || continue
        suffix=$version
        [[ $python != /usr/bin/python3 ]] || suffix=system-$version
        gcc -O2 -g -o "$2/embed-$suffix" "$here/embed.c" -I"$include" -L"$dir" -Wl,-rpath,"$dir" -l"$name" -lpthread
        built=$((built + 1))
done
((built > 0)) || {
        echo "embed.sh: no libpython with its headers to link against" >&2
        exit 1
}
