#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A full disk (ext4 on a loop device): ENOSPC before anything is chained, refusals still recorded, a clean unmount, and it goes
# on once there is space again.
. "$(dirname "$0")/lib.sh"

mkdir "$W/disk"
truncate -s 64M "$W/disk.img"
mkfs.ext4 -q -O ^has_journal "$W/disk.img"
mount -o loop "$W/disk.img" "$W/disk" || skip "no loop device can be mounted here"
STORE=$W/disk/store
make_store audit -- --segment-size 4194304
mount_archive
f=$MNT/audit/f

say "until it is full"
python3 - "$f" "$W/written" <<'PY' || fail "the writer"
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
n = 0
while True:
    try:
        got = os.write(fd, b"%015d\n" % n * 4096) # 64 KiB
        assert got == 65536, got
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
        break
    n += 1
# Small ones until those are refused too, then again and again: the error stays the same.
small = 0
while True:
    try:
        os.write(fd, b"%015d\n" % n)
        small += 1
        assert small < 1000000
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
        break
for i in range(100):
    try:
        os.write(fd, b"more\n")
        sys.exit("a write succeeded after ENOSPC without new space")
    except OSError as e:
        assert e.errno == errno.ENOSPC, e
open(sys.argv[2], "w").write("%d %d\n" % (n, small))
PY
read -r big small < "$W/written"
say "$big writes of 64 KiB and $small of 16 bytes were accepted"
[ "$big" -gt 300 ] || fail "the disk was full too early"
size=$((big * 65536 + small * 16))
same "size" $size "$(stat -c %s "$f")"
sum=$(sha256sum < "$f")
same "statfs says the space is gone" 0 "$(stat -f -c %a "$MNT" | awk '{print ($1 > 256)}')"

say "refusals are still recorded"
expect_fail "Operation not permitted" rm -f "$f"
expect_fail "Operation not permitted" truncate -s 0 "$f"
expect_fail "No space left" touch "$MNT/audit/another"
coffer log "$STORE" --events --json > "$W/events"
same "the refused unlink is on record" True "$(jsonl 'any(e.get("operation") == "unlink" for e in j)' < "$W/events")"
same "the refused truncate is on record" True "$(jsonl 'any(e.get("operation") == "truncate" for e in j)' < "$W/events")"

say "a clean unmount, and reading what is there"
umount_archive
verify_intact
mount_archive
same "content" "$sum" "$(sha256sum < "$f")"
grep -qi recover "$W/mount.out" && fail "the unmount was not clean: $(cat "$W/mount.out")"

say "space returns"
umount_archive
umount "$W/disk"
truncate -s 128M "$W/disk.img"
e2fsck -fp "$W/disk.img" > /dev/null || [ $? = 1 ]
resize2fs "$W/disk.img" > "$W/resize.out" 2>&1
mount -o loop "$W/disk.img" "$W/disk"
mount_archive
echo again >> "$f"
touch "$MNT/audit/another"
same "content and what came after" "$sum" "$(head -c $size "$f" | sha256sum)"
same "the last line" again "$(tail -n 1 "$f")"
umount_archive
verify_intact

say "space that returns while it is mounted"
dd if=/dev/zero of="$W/disk/ballast" bs=1M status=none 2> /dev/null || true
mount_archive
python3 - "$f" <<'PY' || fail "the writer"
import errno, os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND)
try:
    while True:
        os.write(fd, b"x" * 65535 + b"\n")
except OSError as e:
    assert e.errno == errno.ENOSPC, e
PY
rm "$W/disk/ballast"
await 30 "writing to go on" sh -c "echo goes-on >> $f"
umount_archive
verify_intact
