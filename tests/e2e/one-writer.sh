#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A store is opened by one daemon: the second is refused and told who holds it. verify, status and log work beside it.
. "$(dirname "$0")/lib.sh"

make_store audit certificates
mount_archive
holder=$(daemon_pid)
[ -n "$holder" ] || fail "no daemon holds the store"
mkdir "$W/second"
expect_fail "$holder" mount.coffer "$STORE" "$W/second" -o "keyfile=$KEY"
! mountpoint -q "$W/second" || fail "the second mount is there"
expect_fail "" coffer init "$STORE" --shelf x --key-file "$KEY"

say "beside it"
stress write "$W/acks" "$MNT/audit" 4 0 0 50 &
writers=$!
child $writers
await 20 "lines" test -s "$MNT/audit/f3"
for i in 1 2 3 4 5; do
    coffer verify "$STORE" --auditor-secret "$AUDITOR" > "$W/out" 2>&1 || { cat "$W/out"; fail "verify $i beside a daemon"; }
    coffer status "$STORE" --json | json 'j["vkey"]' > "$W/vkey"
    coffer log "$STORE" --json --limit 50 > "$W/log"
done
pkill -9 -P $writers || fail "the writers had ended"
wait $writers || true
stress check "$W/acks" "$MNT/audit" 4 0

say "a stopped daemon leaves nothing"
kill -TERM "$holder"
await 20 "the daemon to end" test ! -d "/proc/$holder"
! mountpoint -q "$MNT" || fail "still mounted"
verify_intact
mount_archive
stress check "$W/acks" "$MNT/audit" 4 0
umount_archive
