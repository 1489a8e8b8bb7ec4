#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a careless or hostile root does to a store: parts of older copies put back, archive.conf changed, segments swapped,
# removed or damaged with and without an index, the lock file removed, keys/epoch that cannot be replaced, a full disk; and actors
# whose names would steer a terminal. Never a wrong byte where the index is there, never a write to a tampered archive.
. "$(dirname "$0")/lib.sh"

make_store audit -- --segment-size 65536
d=$MNT/audit
for i in 1 2 3; do
    mount_archive
    for j in 1 2 3 4 5; do seq $((i * 100)) $((i * 1000)) > "$d/f$i-$j"; done
    head -c 40000 /dev/urandom > "$d/big$i"
    umount_archive
    cp -a "$STORE" "$W/after$i"
done
mount_archive
(cd "$d" && sha256sum -- *) > "$W/sums"
umount_archive
cp -a "$STORE" "$W/base"

reset() {
    rm -rf "$STORE"
    cp -a "$W/${1:-base}" "$STORE"
}
# read_only TEXT: mounts read-only, says TEXT, and the frames stay as they are. The names stay there, and what can be read of a
# file is right (all of it, where the index knows how much there is): what damaged frames held is an error.
read_only() {
    local before text=$1
    before=$(cd "$STORE" && sha256sum log/* | sha256sum)
    mount_archive
    grep -q "Mounted read-only" "$W/mount.out" || fail "mounted for writing: $(cat "$W/mount.out")"
    grep -q -- "$text" "$W/mount.out" || fail "'$text' is not said: $(cat "$W/mount.out")"
    expect_fail EROFS touch "$d/new"
    right_or_error
    umount_archive
    same "the log" "$before" "$(cd "$STORE" && sha256sum log/* | sha256sum)"
    ok "$text"
}
right_or_error() { # of what is there by name
    python3 - "$d" "$W/sums" <<'PY' || fail "wrong bytes"
import errno, hashlib, os, sys
want = dict(reversed(l.split()) for l in open(sys.argv[2]))
wrong = 0
for name in os.listdir(sys.argv[1]):
    try:
        got = hashlib.sha256(open(os.path.join(sys.argv[1], name), "rb").read()).hexdigest()
    except OSError as e:
        wrong += e.errno != errno.EIO
        continue
    if name in want and got != want[name]:
        print("wrong bytes:", name)
        wrong += 1
sys.exit(wrong != 0)
PY
}
flip() { # flip FILE OFFSET
    python3 - "$STORE/$1" "$2" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    b = f.read(1)[0]
    f.seek(int(sys.argv[2]))
    f.write(bytes([b ^ 1]))
PY
}

say "parts of older copies put back"
reset
cp "$W/after1/keys/epoch" "$STORE/keys/epoch"
read_only "an old copy of keys/ was put back"
cp "$W/base/keys/epoch" "$STORE/keys/epoch"
mount_archive # nothing was spoilt: with the right file it goes on
! grep -q "read-only" "$W/mount.out" || fail "$(cat "$W/mount.out")"
umount_archive
verify_intact
reset after2
cp "$W/base/keys/epoch" "$STORE/keys/epoch"
read_only "later frames are missing, or an old copy of the log was put back"
reset after2
cp "$W/base/checkpoint" "$STORE/checkpoint"
expect_code 12 coffer verify "$STORE"
read_only "that the checkpoint covers is missing"

say "checkpoint removed, or an older one put back: the chain repeats the newest"
for how in missing old; do
    reset
    if [ $how = missing ]; then
        rm "$STORE/checkpoint"
        expect_code 11 coffer verify "$STORE"
    else
        cp "$W/after1/checkpoint" "$STORE/checkpoint"
    fi
    mount_archive
    grep -q "checkpoint was .*$how.*written again" "$W/mount.out" || fail "$how: $(cat "$W/mount.out")"
    (cd "$d" && sha256sum --quiet -c "$W/sums") || fail "content"
    echo on > "$d/on"
    coffer log "$STORE" --json | grep -q "the newest one in the chain counts" || fail "$how is not on record"
    umount_archive
    verify_intact
done

say "links and pipes in the place of files"
for how in link pipe; do
    for name in checkpoint archive.conf seal/file-1 keys/top keys/epoch; do
        reset
        cp "$STORE/$name" "$W/real"
        rm "$STORE/$name"
        if [ $how = link ]; then ln -s "$W/real" "$STORE/$name"; else mkfifo "$STORE/$name"; fi
        code=0
        timeout 20 coffer verify "$STORE" > "$W/out" 2>&1 || code=$?
        case $name in checkpoint) same "verdict, $how" 13 $code ;; *) [ $code != 124 ] || fail "verify hangs: $name" ;; esac
        if [ $name = checkpoint ]; then
            read_only "checkpoint is no regular file"
            continue
        fi
        code=0
        timeout 20 mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY" > "$W/mount.out" 2>&1 || code=$?
        [ $code != 0 ] && [ $code != 124 ] || fail "$how for $name: $(cat "$W/mount.out")"
        grep -q "$name" "$W/mount.out" || [ $name = archive.conf ] || fail "$how for $name: $(cat "$W/mount.out")"
    done
done
reset
mv "$STORE/index" "$W/elsewhere"
ln -s "$W/elsewhere" "$STORE/index"
expect_fail "is a symbolic link" mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY"

say "archive.conf"
reset
sed -i 's/^segment_size = .*/segment_size = 131072/' "$STORE/archive.conf"
read_only "archive.conf is not what frame 0 says"

say "segments, with a good index"
reset
mv "$STORE/log/00000001.seg" "$W/one"
mv "$STORE/log/00000002.seg" "$STORE/log/00000001.seg"
mv "$W/one" "$STORE/log/00000002.seg"
mount_archive
right_or_error
same "names" "$(wc -l < "$W/sums")" "$(find "$d" -type f | wc -l)"
umount_archive
expect_code 13 coffer verify "$STORE"
reset
cp "$STORE/log/00000001.seg" "$STORE/log/00000002.seg"
mount_archive
right_or_error
umount_archive

say "segments, without an index"
for damage in removed swapped header end; do
    last=
    reset
    rm -r "$STORE/index"
    case $damage in
    removed) rm "$STORE/log/00000001.seg" ;;
    swapped)
        mv "$STORE/log/00000001.seg" "$W/one"
        mv "$STORE/log/00000002.seg" "$STORE/log/00000001.seg"
        mv "$W/one" "$STORE/log/00000002.seg"
        ;;
    header) flip log/00000001.seg 8 ;;
    end)
        last=$(for f in "$STORE"/log/*.seg; do [ "$(head -c 4 "$f")" != COFR ] || echo "${f##*/}"; done | tail -n 1)
        truncate -s 8000 "$STORE/log/$last"
        ;;
    esac
    for index in none built; do # the second mount finds an index that the first has built
        mount_archive
        grep -q "Mounted read-only" "$W/mount.out" || fail "$damage, index $index: $(cat "$W/mount.out")"
        grep -q "log/0000000[0-9].seg at offset" "$W/mount.out" || fail "$damage, where: $(cat "$W/mount.out")"
        expect_fail EROFS touch "$d/new"
        right_or_error
        umount_archive
    done
    coffer verify "$STORE" > "$W/out" && fail "$damage: verified"
    [ $damage = end ] || expect_code 13 coffer verify "$STORE"
    for f in 00000001.seg 00000002.seg $last; do # the right ones are found again
        cp -a "$W/base/log/$f" "$STORE/log/"
    done
    mount_archive
    ! grep -q "read-only" "$W/mount.out" || fail "$damage, restored: $(cat "$W/mount.out")"
    (cd "$d" && sha256sum --quiet -c "$W/sums") || fail "$damage, restored"
    umount_archive
    ok "$damage"
done

say "the lock file removed under a daemon"
reset
mount_archive
rm "$STORE/lock"
mkdir "$W/second" "$W/index"
pid=$(pgrep -f "cofferfs.*$STORE" | head -n 1)
expect_fail "in use" mount.coffer "$STORE" "$W/second" -o "keyfile=$KEY,index=$W/index"
echo on > "$d/on"
umount.fuse.coffer "$MNT"
await 30 "the daemon to end" gone "$pid"
verify_intact

say "a stopped daemon"
reset
mount_archive
pid=$(daemon_pid)
kill -STOP "$pid"
for what in "$STORE" "$MNT"; do
    timeout 20 coffer status "$what" > "$W/status" || { kill -CONT "$pid"; fail "status of $what hangs or fails"; }
    grep -q "does not answer" "$W/status" || { kill -CONT "$pid"; fail "$(cat "$W/status")"; }
done
kill -CONT "$pid"
coffer status "$MNT" > "$W/status"
! grep -q "does not answer" "$W/status" || fail "$(cat "$W/status")"
umount_archive

say "a store on a read-only filesystem"
for tail in none torn; do
    reset
    if [ $tail = torn ]; then # as a kill leaves it: half a frame behind the last
        mount_archive
        seq 5 > "$d/more"
        sync "$d/more"
        kill_daemon
        umount -l "$MNT"
        python3 - "$STORE" <<'PY'
import glob, sys
for path in sorted(glob.glob(sys.argv[1] + "/log/*.seg")):
    b = open(path, "rb").read()
    if b[:4] == b"COFR":
        last = path, b
path, b = last
at = len(b.rstrip(b"\0")) + 8
f = open(path, "r+b")
f.seek((at + 127) // 128 * 128)
f.write(b"half a frame" * 9)
PY
    fi
    before=$(cd "$STORE" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)
    mount --bind "$STORE" "$STORE"
    mount -o remount,bind,ro "$STORE"
    expect_fail "mount it with -o ro" mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY"
    mount_archive ro
    grep -q "read-only filesystem" "$W/mount.out" || fail "$(cat "$W/mount.out")"
    expect_fail EROFS touch "$d/new"
    (cd "$d" && sha256sum --quiet -c "$W/sums") || fail "content"
    [ $tail = none ] || same "the last lines" "$(seq 5)" "$(cat "$d/more")"
    pid=$(pgrep -f "cofferfs.*$STORE" | head -n 1)
    umount.fuse.coffer "$MNT"
    await 30 "the daemon to end" gone "$pid"
    umount "$STORE"
    same "the store" "$before" "$(cd "$STORE" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum)"
done
mount_archive
same "the last lines" "$(seq 5)" "$(cat "$d/more")"
umount_archive
verify_intact

say "no descriptors left"
reset
mount_archive
pid=$(daemon_pid)
cat "$d"/* > /dev/null # every segment was open once
prlimit --pid "$pid" --nofile=$(($(find "/proc/$pid/fd" -mindepth 1 | wc -l) + 1))
seq 100000 > "$d/many" # of the log's segments too
same "content" "$(seq 100000 | sha256sum)" "$(sha256sum < "$d/many")"
(cd "$d" && sha256sum --quiet -c "$W/sums") || fail "what was there before"
! coffer log "$STORE" --events 2> /dev/null | grep -qi "cannot be read" || fail "taken for damage"
umount_archive
grep -qi "not closed cleanly" "$W/umount.out" && fail "$(cat "$W/umount.out")"
verify_intact
mount_archive
same "content after" "$(seq 100000 | sha256sum)" "$(sha256sum < "$d/many")"
! grep -qi "not closed cleanly" "$W/mount.out" || fail "$(cat "$W/mount.out")"
umount_archive

say "keys/epoch that cannot be replaced"
for i in 1 2; do
    mount --bind "$STORE/keys" "$STORE/keys"
    mount -o remount,bind,ro "$STORE/keys"
    expect_fail "keys/epoch cannot be replaced" mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY"
    umount "$STORE/keys"
done
mount_archive
umount_archive
verify_intact

say "a full disk can be mounted"
mkdir "$W/disk"
truncate -s 40M "$W/disk.img"
mkfs.ext4 -q -O ^has_journal "$W/disk.img"
if mount -o loop "$W/disk.img" "$W/disk" 2> /dev/null; then
    kept=$STORE kept_secret=$AUDITOR STORE=$W/disk/store AUDITOR=$W/auditor-secret-2
    make_store audit -- --segment-size 65536
    mount_archive
    echo x > "$d/x"
    umount_archive
    dd if=/dev/zero of="$W/disk/fill" bs=4k status=none 2> /dev/null || true
    mount_archive
    same "content" x "$(cat "$d/x")"
    umount_archive
    verify_intact
    say "and one that stays full, without a reserve"
    for i in 1 2 3; do
        rm -f "$STORE/reserve"
        rm -rf "$STORE/index"
        dd if=/dev/zero of="$W/disk/fill$i" bs=512 status=none 2> /dev/null || true
        mount_archive
        same "content" x "$(cat "$d/x")"
        umount_archive
    done
    grep -q "read-only.*disk is full" "$W/mount.out" || fail "$(cat "$W/mount.out")"
    rm "$W"/disk/fill*
    mount_archive
    echo y > "$d/y"
    same "content" x "$(cat "$d/x")"
    umount_archive
    verify_intact
    umount "$W/disk"
    STORE=$kept AUDITOR=$kept_secret
else
    say "no loop device can be mounted here: left out"
fi

say "actors and names that would steer a terminal"
reset
mount_archive
python3 - "$d" <<'PY'
import os, sys
for name in (b"a\x1b[2J\x1b]0;x\x07", b"b\nline", b"c) R 1 (x", b"d\xff\x9b31m", b"e\xc2\x9b31m", b"f\r\b"):
    if os.fork() == 0:
        open("/proc/self/comm", "wb").write(name)
        path = os.path.join(sys.argv[1].encode(), name.replace(b"/", b""))
        with open(path, "wb") as f:
            f.write(b"1")
        try:
            os.unlink(path)
        except PermissionError:
            os._exit(0)
        os._exit(1)
    assert os.wait()[1] == 0
PY
coffer log "$STORE" > "$W/log"
coffer log "$STORE" --json > "$W/log.json"
umount_archive
coffer log "$STORE" --key-file "$KEY" > "$W/log2" 2>&1 || true
python3 - "$W/log" "$W/log2" "$W/log.json" <<'PY' || fail "what coffer log prints steers a terminal"
import json, sys
for path in sys.argv[1:]:
    for line in open(path, "rb").read().split(b"\n"):
        text = line.decode("utf-8")
        assert not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in text), (path, line)
        if path.endswith("json") and line:
            json.loads(text)
assert sum(b"refused unlink" in l for l in open(sys.argv[1], "rb")) == 6
PY
