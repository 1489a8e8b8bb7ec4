#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Power cuts for real: every write to the disk under the store is logged (QEMU's blklogwrites), with where the log was when a
# sync was acknowledged. Afterwards the disk is built as it was at any moment: what came before the last flush, and some of what
# came later. Each such disk mounts, holds what was acknowledged by then, and verifies. That the method sees what it should is
# shown by lines that were acknowledged without a sync: some of the disks lack some of them.
. "$(dirname "$0")/lib.sh"

images=6 lines=120
[ -z "$LONG" ] || { images=60; lines=400; }
command -v qemu-nbd > /dev/null && command -v nbdfuse > /dev/null || skip "needs qemu-nbd (qemu-utils) and nbdfuse (libnbd-bin)"
log() { python3 "$TOP/tests/support/logwrites.py" "$@"; }

truncate -s 48M "$W/base.img"
mkfs.ext4 -q -E lazy_itable_init=0,lazy_journal_init=0 "$W/base.img"
cp --sparse=always "$W/base.img" "$W/disk.img"
truncate -s 1G "$W/writes.log"
qemu-nbd -k "$W/nbd.sock" -t --image-opts "driver=blklogwrites,log-super-update-interval=1,file.driver=file,file.filename=$W/disk.img,log.driver=file,log.filename=$W/writes.log" &
child $!
await 20 "qemu-nbd" test -S "$W/nbd.sock"
: > "$W/nbd-disk"
nbdfuse "$W/nbd-disk" --unix "$W/nbd.sock" > "$W/nbdfuse.out" 2>&1 &
child $!
await 20 "nbdfuse" sh -c "[ \$(stat -c %s '$W/nbd-disk') = $((48 << 20)) ]"
mkdir "$W/disk"
loop=$(losetup -f --show "$W/nbd-disk") || skip "no loop device can be attached to it"
mount "$loop" "$W/disk" || { losetup -d "$loop"; skip "no loop device can be mounted here"; }
losetup -d "$loop" # once it is unmounted
trap 'umount -l "$W/disk" "$W/nbd-disk" 2> /dev/null || true; cleanup' EXIT

STORE=$W/disk/store
make_store audit -- --segment-size 1048576
mount_archive
python3 - "$MNT/audit" "$W/writes.log" "$W/acks" "$lines" <<'PY' || fail "the writer"
import os, struct, sys
directory, log, acks, n = sys.argv[1], open(sys.argv[2], "rb", buffering=0), open(sys.argv[3], "w"), int(sys.argv[4])
def entries():
    log.seek(16)
    return struct.unpack("<Q", log.read(8))[0]
synced = os.open(directory + "/synced", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
free = os.open(directory + "/free", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
for i in range(n):
    line = (b"%07d %s" % (i, b"x" * (3000 if i % 10 == 0 else 120)))[:-1] + b"\n"
    os.write(synced, line)
    os.fsync(synced)
    print("synced", i + 1, entries(), file=acks)
    os.write(free, b"%07d\n" % i)
    print("free", i + 1, entries(), file=acks)
PY
total=$(log count "$W/writes.log")
say "$total writes and flushes"
kill_daemon
umount -l "$MNT"
umount "$W/disk"
umount "$W/nbd-disk"

lost=0
for i in $(seq "$images"); do
    # The seed says where, from the first acknowledgement on; every fourth takes all that was written by then.
    read -r at acked free < <(python3 - "$W/acks" "$i" "$total" <<'PY'
import random, sys
acks = [l.split() for l in open(sys.argv[1])]
at = random.Random(int(sys.argv[2])).randint(int(acks[0][2]), int(sys.argv[3]))
def most(kind):
    return max([int(a[1]) for a in acks if a[0] == kind and int(a[2]) <= at], default=0)
print(at, most("synced"), most("free"))
PY
)
    log image "$W/base.img" "$W/writes.log" "$at" $((i % 4 ? i : 0)) "$W/cut.img"
    mount -o loop "$W/cut.img" "$W/disk" || fail "image $i, at $at: the filesystem does not mount"
    mount_archive
    code=0
    python3 - "$MNT/audit" "$acked" "$free" > "$W/found" <<'PY' || code=$?
import os, sys
directory, acked, free = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
data = open(directory + "/synced", "rb").read() if os.path.exists(directory + "/synced") else b""
lines = data.split(b"\n")
assert lines.pop() == b"", "the end of a line is missing"
assert len(lines) >= acked, "%d lines of %d" % (len(lines), acked)
for i, line in enumerate(lines):
    assert line == (b"%07d %s" % (i, b"x" * (3000 if i % 10 == 0 else 120)))[:-1], i
data = open(directory + "/free", "rb").read() if os.path.exists(directory + "/free") else b""
assert data == b"".join(b"%07d\n" % i for i in range(len(data) // 8)), "wrong bytes"
print(int(len(data) // 8 < free))
PY
    [ $code = 0 ] || { cp "$W/cut.img" "$W/failed.img"; fail "image $i, at entry $at of $total: $acked lines were synced"; }
    lost=$((lost + $(cat "$W/found")))
    umount_archive
    verify_intact
    umount "$W/disk"
done
say "$images images, none without what was synced; $lost lack some line that was not"
[ "$lost" -gt 0 ] || fail "no image lacks a line that was never synced: this test would see nothing"
