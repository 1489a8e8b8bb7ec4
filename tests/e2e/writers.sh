#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# 8 writers to one file and 64 to 64 files: every line whole and in order per writer. A reader that polls the end of a file
# under four writers never sees a byte that was not written (10 million reads in the long run). Chain intact after all.
. "$(dirname "$0")/lib.sh"

lines=4000 reads=100000
[ -z "$LONG" ] || { lines=100000; reads=10000000; }
make_store audit
mount_archive
d=$MNT/audit
mkdir "$d/one" "$d/many" "$d/polled"

stress write "$W/acks1" "$d/one" 8 1 $lines 500
stress check "$W/acks1" "$d/one" 8 1
stress write "$W/acks2" "$d/many" 64 0 $((lines / 8)) 100
stress check "$W/acks2" "$d/many" 64 0

stress write "$W/acks3" "$d/polled" 4 1 0 0 &
writers=$!
child $writers
await 20 "the polled file" test -s "$d/polled/f0"
stress poll "$d/polled/f0" $reads
pkill -9 -P $writers || fail "the writers had ended"
wait $writers || true
stress check "$W/acks3" "$d/polled" 4 1

umount_archive
verify_intact
mount_archive
stress check "$W/acks1" "$d/one" 8 1
stress check "$W/acks2" "$d/many" 64 0
umount_archive
