#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is particular to a mount over io_uring: the ends of its connection while requests are under way, more parked requests than
# its queues have entries, its memory, and that it is classic where something is lacking. The other scripts run over it as well
# (tests/run.sh, uring/e2e/…).
COFFER_TRANSPORT=uring
export COFFER_TRANSPORT
. "$(dirname "$0")/lib.sh"

# A sanitizer keeps freed memory, and needs address space without end.
sanitized=$(ldd "$BUILD/fs/cofferfs" | grep -o asan || true)
make_store audit
d=$MNT/audit

written() { # written ACKS N: whether that many lines were acknowledged in all
    python3 - "$1" "$2" <<'PY'
import struct, sys
data = open(sys.argv[1], "rb").read()[:256 * 8]
sys.exit(sum(struct.unpack("<%dQ" % (len(data) // 8), data)) < int(sys.argv[2]))
PY
}
no_recovery() { ! grep -qi recover "$W/mount.out" || fail "not a clean end: $(cat "$W/mount.out")"; }
# begin NAME: eight writers to files of their own, each line synced, and a ninth stream of large writes; returns when they run.
begin() {
    name=$1
    mkdir "$d/$name"
    stress write "$W/acks-$name" "$d/$name" 8 0 0 1 &
    writers=$!
    child $writers
    dd if=/dev/zero of="$d/$name.stream" bs=1M count=100000 status=none 2> /dev/null &
    stream=$!
    child $stream
    await 60 "lines to be written" written "$W/acks-$name" 400
    await 60 "the stream" test -s "$d/$name.stream"
}
# ended: the writers saw an error, and what was acknowledged to them is there after a remount.
ended() {
    code=0; wait $writers || code=$?
    same "$name: the writers saw an error" 3 $code
    code=0; wait $stream || code=$?
    [ $code != 0 ] || fail "$name: the stream saw no error"
    mount_archive
    stress check "$W/acks-$name" "$d/$name" 8 0
}

say "more requests that wait for the disk than there are entries"
mount_archive
mkdir "$d/parked"
stress write "$W/acks-parked" "$d/parked" 160 0 20 1
stress check "$W/acks-parked" "$d/parked" 160 0

say "large requests: contents, and memory"
head -c 67108864 /dev/urandom > "$W/large"
for i in 1 2 3 4 5 6 7 8; do
    dd if="$W/large" of="$d/large$i" bs=1M status=none &
    pids[i]=$!
done
for i in 1 2 3 4 5 6 7 8; do wait "${pids[i]}" || fail "a writer"; done
for i in 1 2 3 4 5 6 7 8; do cmp "$W/large" "$d/large$i"; done
chmod 444 "$d/large1"
cmp "$W/large" "$d/large1"
[ -n "$sanitized" ] || [ "$(daemon_anonymous)" -lt $((128 * 1024)) ] || fail "the daemon has $(daemon_anonymous) KiB"
say "anonymous memory $(($(daemon_anonymous) / 1024)) MiB"

say "a daemon that is stopped and goes on"
pid=$(daemon_pid)
kill -STOP "$pid"
(echo while stopped > "$d/stopped") &
caller=$!
child $caller
await 20 "the caller to wait for the daemon" grep -q request_wait_answer "/proc/$caller/wchan"
kill -CONT "$pid"
wait $caller || fail "the caller of a daemon that went on"
same "content" "while stopped" "$(cat "$d/stopped")"

say "a caller that is killed while its request is under way"
kill -STOP "$pid"
(echo unseen > "$d/killed") &
caller=$!
await 20 "the caller to wait for the daemon" grep -q request_wait_answer "/proc/$caller/wchan"
kill -9 $caller
kill -CONT "$pid"
wait $caller && fail "a killed caller that succeeded"
echo after > "$d/after"

say "umount -l: what is open goes on, its last close ends the daemon"
exec 5>> "$d/open"
umount -l "$MNT"
echo "after umount -l" >&5
sync -d /proc/self/fd/5
exec 5>&-
await 60 "the daemon to end after the last close" gone "$pid"
mount_archive
no_recovery
same "content" "after umount -l" "$(cat "$d/open")"

say "SIGTERM while requests are under way"
begin term
pid=$(daemon_pid)
kill -TERM "$pid"
await 60 "the daemon to end after SIGTERM" gone "$pid"
! mountpoint -q "$MNT" || fail "still mounted after SIGTERM"
ended
no_recovery

say "the connection is aborted while requests are under way"
begin abort
pid=$(daemon_pid)
mkdir "$W/fusectl"
mount -t fusectl fusectl "$W/fusectl"
number=$(findmnt -n -o MAJ:MIN "$MNT" | tr -d " ")
echo 1 > "$W/fusectl/${number#*:}/abort"
umount "$W/fusectl"
await 60 "the daemon to end after an abort" gone "$pid"
! mountpoint -q "$MNT" || fail "still mounted after an abort"
ended
no_recovery

say "SIGKILL while requests are under way"
begin kill
kill_daemon
ended

say "SIGKILL of a stopped daemon"
begin frozen
pid=$(daemon_pid)
kill -STOP "$pid"
is_stopped() { [ "$(cut -d ' ' -f 3 "/proc/$pid/stat")" = T ]; }
await 20 "the daemon to stop" is_stopped
kill -9 "$pid"
await 60 "the daemon to be gone" gone "$pid"
ended
umount_archive
verify_intact

say "no memory for the rings: classic"
export MALLOC_ARENA_MAX=1
peak() { awk '/^VmPeak/ {print $2}' "/proc/$(daemon_pid)/status"; }
if [ -n "$sanitized" ]; then
    say "not with a sanitizer"
else
    ulimit -s 512
    (TRANSPORT=classic mount_archive)
    limit=$(($(peak) + 16384))
    umount_archive
    (ulimit -v $limit; TRANSPORT=; mount_archive transport=uring)
    same "transport without memory for rings" classic "$(transport)"
    echo classic > "$d/classic"
    same "content" classic "$(cat "$d/classic")"
    umount_archive
fi
verify_intact
