# SPDX-License-Identifier: Apache-2.0
# Sourced by the end-to-end scripts. Gives each a work directory, a store, a mount point and a key file of its own, in a
# private mount namespace, and cleans up on every exit. COFFER_BUILD: the build directory (default: build-tests).
# A script ends with 0 (passed), 77 (skipped; its last line says why) or anything else (failed). COFFER_KEEP=1 keeps the work
# directory of one that failed. Several may run at once: nothing is shared, not the daemons' socket directory either.
# shellcheck shell=bash
set -euo pipefail
export LC_ALL=C

[ "$(id -u)" = 0 ] || { echo "needs root"; exit 77; }
[ -w /dev/fuse ] || { echo "needs /dev/fuse"; exit 77; }
if [ -z "${COFFER_TEST_NS:-}" ]; then
    export COFFER_TEST_NS=1
    exec unshare -m --propagation private bash "$0" "$@"
fi

# mount(8) keeps notes on mounts there; the machine's own table is not ours.
if [ -d /run/mount ]; then mount -t tmpfs tmpfs /run/mount; fi

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${COFFER_BUILD:-$TOP/build-tests}
BUILD=$(cd "$BUILD" && pwd)
SUPPORT=$BUILD/tests/support
# Debian's own programs first: a python3 of somebody's version manager takes ten times as long to start, and has no cryptography.
PATH=$BUILD/tools:$BUILD/fs:$SUPPORT:/usr/sbin:/usr/bin:/sbin:/bin:$PATH
LONG=${COFFER_LONG:-}
# COFFER_TRANSPORT=uring: every mount over io_uring. The kernel's switch for it is set by whoever runs the tests.
TRANSPORT=${COFFER_TRANSPORT:-}
if [ "$TRANSPORT" = uring ]; then
    switch=/sys/module/fuse/parameters/enable_uring
    [ -e $switch ] || { echo "this kernel has no FUSE over io_uring"; exit 77; }
    [ "$(cat $switch)" = Y ] || { echo "$switch is N"; exit 77; }
fi

W=$(mktemp -d "${TMPDIR:-/tmp}/coffer-e2e.XXXXXX")
STORE=$W/store MNT=$W/mnt KEY=$W/key AUDITOR=$W/auditor-secret
export COFFER_RUN_DIR=$W/run
# The daemon has no standard error: what a sanitizer has to say goes into files, and fails the script.
# A cancelled thread leaves its stack marked as in use, which ASan's own signal stack then trips over: without that.
export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}use_sigaltstack=0:log_path=$W/sanitizer"
export UBSAN_OPTIONS="${UBSAN_OPTIONS:+$UBSAN_OPTIONS:}log_path=$W/sanitizer"
mkdir "$MNT" "$COFFER_RUN_DIR"
chmod 755 "$W"
children=()

ok() { printf 'ok %s\n' "$*"; }
say() { printf -- '-- %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }
skip() { printf '%s\n' "$*"; exit 77; }
# Remembers a background process, to be ended with the script.
child() { children+=("$1"); }

cleanup() {
    local code=$? pid report
    trap - EXIT
    set +e
    cd /
    for pid in "${children[@]}"; do kill -9 "$pid" 2>/dev/null; done
    pid=$(daemon_pid)
    if [ -n "$pid" ]; then
        umount -l "$MNT" 2>/dev/null
        kill -9 "$pid" 2>/dev/null
    fi
    umount -l "$MNT" 2>/dev/null
    umount -l "$W/disk" 2>/dev/null
    chattr -i "$MNT" "$W"/* 2>/dev/null
    for report in "$W"/sanitizer*; do
        [ -s "$report" ] || continue
        cat "$report" >&2
        [ $code -ne 0 ] && [ $code -ne 77 ] || code=1
    done
    if [ $code -ne 0 ] && [ $code -ne 77 ] && [ -n "${COFFER_KEEP:-}" ]; then
        echo "kept: $W" >&2
    else
        rm -rf --one-file-system "$W"
    fi
    exit $code
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# await SECONDS WHAT COMMAND …: until the command succeeds.
await() {
    local seconds=$1 what=$2 end
    shift 2
    end=$(($(date +%s%N) + seconds * 1000000000))
    until "$@" > /dev/null 2>&1; do
        [ "$(date +%s%N)" -lt "$end" ] || fail "waited $seconds s for $what"
        read -rt 0.02 <> <(:) || true
    done
}
# expect_fail TEXT COMMAND …: must fail, and say TEXT. The name of an errno stands for its text.
declare -A errno_texts=(
    [EPERM]='Operation not permitted' [ENOENT]='No such file or directory' [EIO]='Input/output error'
    [EACCES]='Permission denied' [EBUSY]='Device or resource busy' [EEXIST]='File exists' [ENODEV]='No such device'
    [EXDEV]='Invalid cross-device link' [ENOTDIR]='Not a directory' [EISDIR]='Is a directory' [EINVAL]='Invalid argument'
    [ENOSPC]='No space left on device' [EROFS]='Read-only file system' [ENOTEMPTY]='Directory not empty'
    [EOPNOTSUPP]='Operation not supported' [ENOTCONN]='Transport endpoint is not connected' [ENODATA]='No data available'
)
expect_fail() {
    local text=$1 out
    [ -z "$text" ] || text=${errno_texts[$text]:-$text}
    shift
    if out=$("$@" 2>&1); then fail "this succeeded, and must not: $*"; fi
    [[ $out == *"$text"* ]] || fail "expected \"$text\" of: $*; it said: $out"
}
# expect_code CODE COMMAND …
expect_code() {
    local want=$1 code=0
    shift
    "$@" > "$W/out" 2>&1 || code=$?
    [ $code = "$want" ] || { cat "$W/out"; fail "expected exit code $want, got $code, of: $*"; }
}
# same WHAT A B
same() { [ "$2" = "$3" ] || fail "$1: expected \"$2\", got \"$3\""; }
# flip FILE OFFSET: its lowest bit.
flip() {
    local byte
    byte=$(od -An -tu1 -j "$2" -N 1 "$1")
    printf '%b' "\\x$(printf %02x $((byte ^ 1)))" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
# json FILTER < JSON: a Python expression over j.
json() { python3 -SE -c 'import json, sys; j = json.load(sys.stdin); print(eval(sys.argv[1]))' "$1"; }
# The same over lines of JSON: j is the list of them.
jsonl() { python3 -SE -c 'import json, sys; j = [json.loads(l) for l in sys.stdin]; print(eval(sys.argv[1]))' "$1"; }

make_store() { # make_store SHELF … [-- further options of init]
    local args=()
    while [ $# -gt 0 ] && [ "$1" != -- ]; do args+=(--shelf "$1"); shift; done
    [ $# = 0 ] || shift
    [ -e "$KEY" ] || (umask 077; head -c 32 /dev/urandom > "$KEY")
    coffer init "$STORE" "${args[@]}" --key-file "$KEY" --auditor-secret "$AUDITOR" "$@" > "$W/init.out" ||
        { cat "$W/init.out"; fail "coffer init"; }
}
mount_archive() { # mount_archive [OPTION,…]
    mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY${TRANSPORT:+,transport=$TRANSPORT}${1:+,$1}" > "$W/mount.out" 2>&1 ||
        { cat "$W/mount.out"; fail "mount.coffer"; }
    [ -z "$TRANSPORT" ] || same "transport" "$TRANSPORT" "$(transport)"
}
# Which way requests come to the mounted archive.
transport() { coffer status "$STORE" --json | json 'j["transport"]'; }
# Also waits for the process: it has released the store before, and may have something to say to a sanitizer's end.
umount_archive() {
    local pid
    pid=$(daemon_pid)
    umount.fuse.coffer "$MNT" > "$W/umount.out" 2>&1 || { cat "$W/umount.out"; fail "umount.fuse.coffer"; }
    [ -z "$pid" ] || await 30 "the daemon to end after umount" gone "$pid"
}
# The daemon of STORE, by the text of its lock; nothing when none runs.
daemon_pid() {
    local pid
    pid=$(sed -n 's/.*pid \([0-9]*\).*/\1/p' "$STORE/lock" 2>/dev/null | head -n 1)
    if [ -n "$pid" ] && [ -d "/proc/$pid" ] && grep -aq cofferfs "/proc/$pid/cmdline" 2>/dev/null; then
        echo "$pid"
    fi
}
# Gone, or a zombie that nobody has asked after yet.
gone() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    stat=${stat##*) }
    [ "${stat%% *}" = Z ]
}
kill_daemon() { # kill_daemon [SIGNAL]: KILL by default; the mount of a killed one stays, dead
    local pid
    pid=$(daemon_pid)
    [ -n "$pid" ] || fail "no daemon to kill"
    kill "-${1:-KILL}" "$pid"
    await 60 "the daemon to be gone" gone "$pid"
}
# as_user COMMAND …: as nobody.
as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@"; }
verify_intact() {
    coffer verify "$STORE" --auditor-secret "$AUDITOR" > "$W/verify.out" 2>&1 ||
        { cat "$W/verify.out"; fail "verify"; }
}
second_reader() {
    python3 "$TOP/tests/second_reader.py" "$STORE" --key-file "$KEY" --auditor-secret "$AUDITOR" "$@"
}
# Anonymous resident memory of the daemon, in KiB.
daemon_anonymous() { awk '/^RssAnon/ {print $2}' "/proc/$(daemon_pid)/status"; }
