#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A stream of 1 GiB (10 GiB in the long run) into one file: the daemon's anonymous memory stays under 128 MiB, the content
# is equal.
. "$(dirname "$0")/lib.sh"

gib=1
[ -z "$LONG" ] || gib=10
free=$(df --output=avail -B1G "$W" | tail -n 1)
[ "$free" -ge $((gib + 4)) ] || skip "a stream of $gib GiB needs $((gib + 4)) GiB of free disk; there are $free"
make_store audit
mount_archive
# head ends first, and openssl with it by SIGPIPE.
pattern() {
    { openssl enc -aes-128-ctr -K 000102030405060708090a0b0c0d0e0f -iv 00000000000000000000000000000000 \
        < /dev/zero 2> /dev/null || true; } | head -c ${gib}G
}
peak=0
pattern | dd of="$MNT/audit/stream" bs=1M iflag=fullblock status=none &
writer=$!
child $writer
while [ -d /proc/$writer ]; do
    now=$(daemon_anonymous)
    [ "$now" -le "$peak" ] || peak=$now
    read -rt 0.2 <> <(:) || true
done
wait $writer || fail "the writer"
want=$(pattern | sha256sum)
got=$(sha256sum < "$MNT/audit/stream")
same "content" "$want" "$got"
now=$(daemon_anonymous)
[ "$now" -le "$peak" ] || peak=$now
say "anonymous memory at most $((peak / 1024)) MiB"
[ "$peak" -lt $((128 * 1024)) ] || fail "the daemon took $((peak / 1024)) MiB"
umount_archive
verify_intact
