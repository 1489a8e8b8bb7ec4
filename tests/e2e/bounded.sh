#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the daemon takes does not grow: memory under 64 writers at full speed (5 minutes in the long run), descriptors over many
# opens and closes and over real mounts; and valgrind finds no error and no leak in a short session.
. "$(dirname "$0")/lib.sh"

seconds=5 opens=1000 mounts=4
[ -z "$LONG" ] || { seconds=300 opens=10000 mounts=50; }
limit=$((128 * 1024))
descriptors() { ls "/proc/$(daemon_pid)/fd" | wc -l; }

say "64 writers, $seconds s"
make_store audit -- --segment-size 16777216
mount_archive
mkdir "$MNT/audit/many"
stress write "$W/acks" "$MNT/audit/many" 64 0 0 0 4000 > /dev/null 2>&1 &
writers=$!
child $writers
peak=0 end=$((SECONDS + seconds))
while [ $SECONDS -lt $end ]; do
    now=$(daemon_anonymous)
    [ "$now" -le "$peak" ] || peak=$now
    # A disk that is nearly full ends it early: that it is full is another test's.
    [ "$(df --output=avail -BM "$W" | tail -n 1 | tr -dc 0-9)" -gt 2048 ] || { say "stopped for want of disk"; break; }
    read -rt 0.2 <> <(:) || true
done
pkill -9 -P $writers || fail "the writers had ended"
wait $writers || true
size=$(($(du -s --apparent-size -BM "$STORE/log" | cut -d M -f 1)))
say "anonymous memory at most $((peak / 1024)) MiB, $size MiB written"
[ "$peak" -gt 0 ] && [ "$peak" -lt $limit ] || fail "the daemon took $((peak / 1024)) MiB"
stress check "$W/acks" "$MNT/audit/many" 64 0

say "$opens opens and closes"
cycle() {
    python3 - "$MNT/audit" "$1" <<'PY'
import os, sys
for i in range(int(sys.argv[2])):
    fd = os.open("%s/cycle%d" % (sys.argv[1], i % 100), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(fd, b"line\n")
    os.close(fd)
    os.close(os.open("%s/cycle%d" % (sys.argv[1], i % 100), os.O_RDONLY))
PY
}
cycle 200
before=$(descriptors)
cycle "$opens"
after=$(descriptors)
# Those of actors and segments come and go within their bounds.
[ "$after" -le $((before + 8)) ] || fail "descriptors grow: $before before, $after after"
say "descriptors: $before before, $after after"
umount_archive

say "$mounts mounts"
first=
for i in $(seq "$mounts"); do
    mount_archive
    echo "$i" >> "$MNT/audit/mounts"
    now=$(descriptors)
    [ "$i" = 1 ] || [ "$i" = 2 ] || [ "$now" -le $((first + 2)) ] || fail "mount $i has $now descriptors, the second had $first"
    [ "$i" -gt 2 ] || first=$now
    umount_archive
    same "sockets that are left" 0 "$(find "$COFFER_RUN_DIR" -type s | wc -l)"
done
verify_intact

say "valgrind"
if ! command -v valgrind > /dev/null || [ -n "$(nm -D "$BUILD/fs/cofferfs" | grep -m 1 __asan_init)" ]; then
    say "skipped: needs valgrind, and a build without sanitizers"
    exit 0
fi
mkdir "$W/beside"
cp "$BUILD/fs/mount.coffer" "$W/beside"
cat > "$W/beside/cofferfs" <<SH
#!/bin/sh
exec valgrind --quiet --leak-check=full --errors-for-leak-kinds=definite --error-exitcode=99 --log-file=$W/valgrind.log $BUILD/fs/cofferfs "\$@"
SH
chmod +x "$W/beside/cofferfs"
rm -r "$STORE" "$AUDITOR"
make_store audit
PATH=$W/beside:$PATH mount_archive unconfined # valgrind makes code as it goes
for i in $(seq 20); do echo "line $i" >> "$MNT/audit/f"; done
head -c 300000 /dev/zero > "$MNT/audit/g"
sync "$MNT/audit/f"
cat "$MNT/audit/f" "$MNT/audit/g" > /dev/null
mkdir "$MNT/audit/dir"
mv "$MNT/audit/g" "$MNT/audit/dir/g"
chmod a-w "$MNT/audit/dir/g"
expect_fail EPERM rm -f "$MNT/audit/f"
ls -lR "$MNT" > /dev/null
coffer status "$STORE" > /dev/null
coffer log "$STORE" > /dev/null
umount_archive
verify_intact
# What it says of system calls that it does not know begins with two dashes, what it finds with two equals signs.
! grep -q "^==" "$W/valgrind.log" || { grep "^==" "$W/valgrind.log" | head -n 60; fail "valgrind has something to say"; }
[ -e "$W/valgrind.log" ] || fail "valgrind did not run"
