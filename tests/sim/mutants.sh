#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Bugs planted on purpose, each of another class, kept as patches in mutants/: the simulation has to fail with each of them.
# A copy of the tree is built once, unchanged it has to pass; then each patch is applied, built, run, and taken back. A patch
# that no longer applies fails the script: the bug has to be planted anew.
# Those of rules have names that begin with rules-, and are for the simulation of rules to see; so those of custodians and of destroy.
#   mutants.sh [NAME …]   only these; COFFER_LONG=1 all; otherwise three of random and of rules
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/coffer-mutants.XXXXXX")
scratch=$(mktemp -d -p /dev/shm 2> /dev/null || mktemp -d)
trap 'rm -rf "$work" "$scratch"' EXIT
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

mutants=("$@")
if [ $# = 0 ] && [ -n "${COFFER_LONG:-}" ]; then
    for patch in "$top"/tests/sim/mutants/*.patch; do mutants+=("$(basename "$patch" .patch)"); done
elif [ $# = 0 ]; then
    mutants=(no-fsync salt-kept refusal-dropped rules-shortened rules-author-approves rules-expired)
fi

# Which simulation has to see it.
which_of() { case $1 in rules-*) echo rules ;; custodians-*) echo custodians ;; destroy-*) echo destroy ;; *) echo random ;; esac; }
mapfile -t used < <(for name in "${mutants[@]}"; do which_of "$name"; done | sort -u)

mkdir "$work/tree"
cp -r "$top"/meson.build "$top"/meson_options.txt "$work/tree"
find "$top" -mindepth 1 -maxdepth 1 -type d ! -name 'build*' ! -name '.*' -exec cp -r -t "$work/tree" {} +
meson setup "$work/build" "$work/tree" -Dbuildtype=debug -Doptimization=0 > "$work/setup" 2>&1 ||
    { tail -n 20 "$work/setup"; fail "meson setup"; }
build() {
    ninja -C "$work/build" "${used[@]/#/tests/sim/test-sim-}" > "$work/ninja" 2>&1 ||
        { tail -n 30 "$work/ninja"; fail "$1 does not build"; }
}
# The first seeds that the ordinary run has.
play() { timeout 300 env -u COFFER_LONG TMPDIR="$scratch" COFFER_SEEDS="1-$1" "$work/build/tests/sim/test-sim-$which" > "$work/out" 2>&1; }

build "the copy"
for which in "${used[@]}"; do
    play 10 || { tail -n 20 "$work/out"; fail "the simulation fails without a planted bug"; }
done

for name in "${mutants[@]}"; do
    patch=$top/tests/sim/mutants/$name.patch
    [ -e "$patch" ] || fail "there is no patch $name"
    (cd "$work/tree" && patch -p1 -F 2 --no-backup-if-mismatch) < "$patch" > "$work/patched" 2>&1 ||
        { cat "$work/patched"; fail "$name no longer applies: plant it anew"; }
    build "$name"
    which=$(which_of "$name")
    seeds=10
    while play $seeds; do
        [ $seeds -lt 160 ] || fail "$name is not seen in $seeds seeds: $(head -n 1 "$patch")"
        seeds=$((seeds * 4))
    done
    seen=$(grep -m 1 -E ':[FE]:' "$work/out") || { tail -n 20 "$work/out"; fail "$name: no check failed"; }
    printf 'ok %s, seen: %.300s\n' "$name" "${seen#*/sim/}"
    (cd "$work/tree" && patch -R -p1 -F 2 --no-backup-if-mismatch) < "$patch" > /dev/null
done
echo "${#mutants[@]} mutants, all seen"
