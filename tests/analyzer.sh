#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang's static analyzer over every C file of the product: a single finding fails.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

cflags=$(pkg-config --cflags fuse3 libgcrypt gpg-error liburing sqlite3 json-c inih) || exit 1
export cflags
analyze() {
    # shellcheck disable=SC2086
    clang --analyze -Xclang -analyzer-output=text -Xclang -analyzer-werror -std=gnu11 -D_GNU_SOURCE \
        -DFUSE_USE_VERSION=314 -DCOFFER_VERSION='"0"' -I. $cflags ${2:-} -o /dev/null "$1" || echo "analyzer: $1"
}
export -f analyze
found=$(git ls-files 'base/*.c' 'crypto/*.c' 'fs/*.c' 'tools/*.c' |
    xargs -P "$(nproc)" -I{} bash -c 'analyze {}' 2>&1)
[ -z "$found" ] && exit 0
printf '%s\n' "$found"
exit 1
