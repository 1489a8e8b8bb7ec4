#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Builds the fuzz targets with clang's libFuzzer and the sanitizers and runs each of them for ten minutes, as many at once as there
# are cores. tests/run.sh --long calls it; the short run has the corpus and a fixed number of mutations instead (fuzz-main.c).
#   long.sh [NAME …]      only these targets
# COFFER_FUZZ_BUILD: the build directory (default: build-fuzz). COFFER_FUZZ_SECONDS: for each target (default: 600).
# COFFER_BUILD: a plain build, whose targets write the seeds. What broke a target is kept in the directory that is named then.
set -euo pipefail
cd "$(dirname "$0")/../.."

build=${COFFER_FUZZ_BUILD:-$PWD/build-fuzz} plain=${COFFER_BUILD:-$PWD/build-tests}
seconds=${COFFER_FUZZ_SECONDS:-600}
command -v clang-19 > /dev/null || { echo "needs clang-19 and libclang-rt-19-dev"; exit 77; }
[ -e "$build/build.ninja" ] ||
    CC=clang-19 meson setup "$build" -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false > /dev/null
targets=("$@")
if [ $# = 0 ]; then
    for source in tests/fuzz/fuzz-*.c; do
        name=${source#tests/fuzz/fuzz-}
        case $name in main.c | report.c) ;; *) targets+=("${name%.c}") ;; esac
    done
fi
ninja -C "$build" "${targets[@]/#/tests/fuzz/fuzz-}" > /dev/null

work=$(mktemp -d "${TMPDIR:-/tmp}/coffer-fuzz.XXXXXX")
export build plain seconds work
run_one() {
    local name=$1 code=0
    mkdir -p "$work/$name/corpus"
    "$plain/tests/fuzz/fuzz-$name" --write "$work/$name/corpus"
    [ ! -d "tests/fuzz/corpus/$name" ] || cp -r "tests/fuzz/corpus/$name/." "$work/$name/corpus"
    "$build/tests/fuzz/fuzz-$name" "$work/$name/corpus" -max_total_time="$seconds" -timeout=60 -max_len=70000 \
        -print_final_stats=1 -artifact_prefix="$work/$name/" > "$work/$name/log" 2>&1 || code=$?
    printf '%-12s exit code %d, %s runs\n' "$name" $code \
        "$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name/log")"
    if [ $code != 0 ]; then tail -n 40 "$work/$name/log"; fi
    return $code
}
export -f run_one
if printf '%s\n' "${targets[@]}" | xargs -P "$(nproc)" -I{} bash -c 'run_one {}'; then
    rm -rf "$work"
else
    echo "kept: $work"
    exit 1
fi
