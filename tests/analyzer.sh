#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# clang's static analyzer over every C file of the product: a single finding fails. Prints the findings only.
# Of each function 15,000 nodes, a quarter of the time of all; COFFER_LONG=1 or --deep: its own depth. analyzer.sh [--deep] [FILE …]
#
# Two kinds of finding are dropped, because the analyzer does not know __attribute__((cleanup)), by which this code
# frees: a pointer that is freed that way is a "potential leak" to it (LeakSanitizer in the unit tests answers for
# leaks), and a descriptor set to -1 so that it is not closed is "never read".
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1

cflags=$(pkg-config --cflags fuse3 libgcrypt gpg-error liburing sqlite3 json-c inih libseccomp libcap-ng) || exit 1
export cflags
export dropped="warning: (Potential leak of memory pointed to by |Value stored to 'fd' is never read)"
export nodes=15000
[ -z "${COFFER_LONG:-}" ] || nodes=225000
[ "${1:-}" != --deep ] || { nodes=225000; shift; }
# One file: a line per finding; all that clang says when it could not read the file.
analyze() {
    local said
    # shellcheck disable=SC2086
    if said=$(clang-19 --analyze -Xclang -analyzer-output=text -Xclang -analyzer-config -Xclang max-nodes=$nodes -std=gnu11 -D_GNU_SOURCE -DFUSE_USE_VERSION=314 \
        -DCOFFER_VERSION='"0"' -DCOFFER_LIBEXEC='"/usr/libexec"' -DCOFFER_TSS2='"0"' -DCOFFER_PROFILE_DIR='"/usr/share"' -DCOFFER_SOURCE_DIR='"/usr/share"' -I. $cflags -o /dev/null "$1" 2>&1); then
        said=$(grep -E 'warning: ' <<< "$said" | grep -Ev "$dropped")
    else
        said="$1: not analyzed: $said"
    fi
    [ -z "$said" ] || printf '%s\n' "$said"
}
export -f analyze
files=("$@")
[ $# != 0 ] || mapfile -t files < <(git ls-files 'base/*.c' 'crypto/*.c' 'escrow/*.c' 'fs/*.c' 'tools/*.c')
found=$(printf '%s\n' "${files[@]}" |
    xargs -P "$(nproc)" -I{} bash -c 'analyze {}' 2>&1)
[ -z "$found" ] && exit 0
printf '%s\n' "$found" | sort -u
exit 1
