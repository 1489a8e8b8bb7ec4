#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what is needed on a bare Debian 12, builds, and runs all tests (as root).
#   tests/run.sh              everything that fits CI
#   tests/run.sh --long       the long runs too (hours: more rounds, more seeds, larger files)
#   tests/run.sh NAME …       only tests whose name contains one of these words
#   tests/run.sh --list       names the tests and ends
# The last line is "N passed, N failed, N skipped". Exit code 0 when none failed.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export PATH=/usr/sbin:/usr/bin:/sbin:/bin:$PATH # Debian's programs, before those of somebody's version manager

plain=${COFFER_BUILD:-$PWD/build-tests} asan=${COFFER_BUILD_ASAN:-$PWD/build-asan}
clock=${COFFER_TESTCLOCK_BUILD:-$PWD/build-testclock}
logs=$PWD/build-logs
passed=0 failed=0 skipped=0
words=() list=
for arg in "$@"; do
    case "$arg" in
    --long) export COFFER_LONG=1 ;;
    --list) list=1 ;;
    --*) echo "run.sh: unknown option $arg; options are --long and --list" >&2; exit 2 ;;
    *) words+=("$arg") ;;
    esac
done

die() { printf 'run.sh: %s\n' "$*" >&2; exit 1; }
wanted() {
    local w
    [ ${#words[@]} -gt 0 ] || return 0
    for w in "${words[@]}"; do [[ $1 == *"$w"* ]] && return 0; done
    return 1
}
# one NAME SECONDS COMMAND …: put in the queue; what takes longest goes to its head, so that nothing long begins last.
names=() limits=() commands=() order=()
one() {
    local quoted
    wanted "$1" || return 0
    [ -z "$list" ] || { echo "$1"; return 0; }
    printf -v quoted '%q ' "${@:3}"
    case " ${early[*]} " in
    *" $1 "*) order=("${#names[@]}" "${order[@]}") ;;
    *) order+=("${#names[@]}") ;;
    esac
    names+=("$1") limits+=("$2") commands+=("$quoted")
}
early=(sim-random asan/index uring/e2e/kill sim-crash asan/archive-seal-nv e2e/faults e2e/kill e2e/stream asan/sim-crash analyzer)
# play NUMBER: 0 passed, 77 skipped, anything else failed; its output is kept, and shown if it failed.
play() {
    local name=${names[$1]} limit=${limits[$1]} began=$SECONDS code log said
    log=$logs/${name//\//-}.log
    TIMEFORMAT='%U %S'
    { time eval "timeout --kill-after=20 $limit ${commands[$1]}" > "$log" 2>&1 < /dev/null; } 2> "$log.cpu"
    code=$?
    case $code in
    0) printf 'ok    %-44s %4d s\n' "$name" $((SECONDS - began)) ;;
    77) printf 'skip  %-44s %s\n' "$name" "$(tail -n 1 "$log")" ;;
    *)
        [ $code != 124 ] && [ $code != 137 ] || echo "stopped after $limit s" >> "$log"
        said=$(tail -n 60 "$log" | sed 's/^/      | /')
        printf 'FAIL  %-44s %4d s, exit code %d\n%s\n' "$name" $((SECONDS - began)) $code "$said" ;;
    esac
    return $code
}
ended() {
    case $1 in
    0) passed=$((passed + 1)) ;;
    77) skipped=$((skipped + 1)) ;;
    *) failed=$((failed + 1)) ;;
    esac
}
# Plays the queue, as many at a time as there are processors: no test shares anything with another.
play_all() {
    local number running=0
    for number in "${order[@]}"; do
        if [ $running -ge "$(nproc)" ]; then
            wait -n
            ended $?
            running=$((running - 1))
        fi
        play "$number" &
        running=$((running + 1))
    done
    while [ $running -gt 0 ]; do
        wait -n
        ended $?
        running=$((running - 1))
    done
}
# The tests that meson knows in a build directory, one by one; started directly, for meson takes longer than most of them.
# suites DIR PREFIX [SUITE …]: of these suites; all in the long run.
suites() {
    local dir=$1 prefix=$2 only=${*:3} name command limit=300
    [ -z "${COFFER_LONG:-}" ] || limit=14400 only=
    while IFS=$'\t' read -r name command; do
        # So that use of freed or never written memory shows: malloc fills what it gives and takes back with this.
        one "$prefix$name" $limit env MALLOC_PERTURB_=$((RANDOM % 255 + 1)) bash -c "cd '$dir' && $command"
    done < <(meson introspect --tests "$dir" | python3 -c '
import json, shlex, sys
only = sys.argv[1].split()
for t in json.load(sys.stdin):
    if only and t["suite"][0].split(":")[1] not in only:
        continue
    assert t["protocol"] == "exitcode" and not t["workdir"], t["name"]
    print(t["name"], "exec " + shlex.join(["env", *(k + "=" + v for k, v in t["env"].items()), *t["cmd"]]), sep="\t")' "$only")
}
# make_build DIR OPTION …: all of it; with LESS set, without what only the unit tests and fuzzers themselves are.
make_build() {
    local dir=$1 targets=()
    shift
    [ -e "$dir/build.ninja" ] || meson setup "$dir" "$@" > "$logs/setup.log" 2>&1 ||
        { tail -n 30 "$logs/setup.log"; die "meson setup failed"; }
    [ -z "${LESS:-}" ] || mapfile -t targets < <(meson introspect --targets "$dir" | python3 -c '
import json, os, re, sys
for t in json.load(sys.stdin):
    for f in t["filename"]:
        name = os.path.relpath(f, os.path.realpath(sys.argv[1]))
        if not re.match("tests/(unit|fuzz)/.*(test|fuzz)-[^/]*$", name):
            print(name)' "$dir")
    ninja -C "$dir" "${targets[@]}" > "$logs/build.log" 2>&1 || { tail -n 60 "$logs/build.log"; die "the build in $dir failed"; }
}

[ "$(id -u)" = 0 ] || die "needs root (it mounts, and installs packages)"
mkdir -p "$logs"
tools/install-deps.sh --tests || die "packages could not be installed"
# Most of the three builds is the same once preprocessed: what one has compiled, the next takes.
export CC=${CC:-ccache gcc} CCACHE_DIR=${CCACHE_DIR:-$PWD/build-ccache} CCACHE_NOHASHDIR=1
# The unit tests run with the sanitizers; in the long run without them too.
LESS=$([ -n "${COFFER_LONG:-}" ] || echo yes)
make_build "$plain"
LESS=
make_build "$clock" -Dtest_clock=true -Dtests=false
# -O1 and line numbers only: the sanitizers see the same, and gcc takes a third of the time. There it takes lengths for possible that are not.
make_build "$asan" -Db_sanitize=address,undefined -Db_lundef=false -Dbuildtype=custom -Doptimization=1 -Ddebug=false "-Dc_args=-g1 -Wno-format-truncation"

export ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
suites "$plain" '' sim layers
suites "$asan" asan/ unit fuzz
# What a crash or a rule leads to, with the sanitizers: some seeds.
if [ -z "${COFFER_LONG:-}" ]; then
    for name in random rules; do one "asan/sim-$name" 300 env COFFER_SEEDS=1-40 "$asan/tests/sim/test-sim-$name"; done
fi
export COFFER_BUILD=$plain COFFER_TESTCLOCK_BUILD=$clock
# The kernel's switch for FUSE over io_uring; a mount that does not ask for it is not changed by it.
switch=/sys/module/fuse/parameters/enable_uring
if [ -z "$list" ] && [ -w $switch ] && [ "$(cat $switch)" = N ]; then
    trap 'echo N > $switch' EXIT
    echo Y > $switch
fi
e2e=420
[ -z "${COFFER_LONG:-}" ] || e2e=14400
for script in tests/e2e/*.sh; do
    name=${script#tests/e2e/} name=${name%.sh}
    [ "$name" = lib ] || one "e2e/$name" $e2e bash "$script"
done
for name in semantics writers kill files stream mount retention; do
    one "uring/e2e/$name" $e2e env COFFER_TRANSPORT=uring bash "tests/e2e/$name.sh"
done
one sim/mutants $e2e bash tests/sim/mutants.sh
# The same with the sanitizers in the daemon, for the scripts that meet most of it.
for name in semantics uring table; do
    one "asan/e2e/$name" 420 env COFFER_BUILD="$asan" bash "tests/e2e/$name.sh"
done
# The parsers under libFuzzer, ten minutes each; the short run has their corpus and a fixed number of mutations.
[ -z "${COFFER_LONG:-}" ] || one fuzz/long 14400 bash tests/fuzz/long.sh
one analyzer 1500 bash tests/analyzer.sh
[ -z "$list" ] || exit 0
play_all
# Some ratios of the bench, to be read: whatever they are, and should it not run, nothing fails for it.
wanted bench && COFFER_BUILD=$plain timeout --kill-after=20 60 tests/bench/run --quick --repeats 1 \
    --rows A,B,D,F,G,K-cold,K-warm,M-tar,verify < /dev/null 2>&1 | sed 's/^/bench  /'

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ]
