#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Faults of the disk and of other resources, by real means, through the mount: what was acknowledged is there afterwards, errors are
# the right ones and not hidden, reading goes on, the daemon ends as it should. Each fault by its name.
#   faults.sh [NAME …]   only these
. "$(dirname "$0")/lib.sh"

alarms=$W/alarms
mkdir "$W/fusectl"

# ---- helpers ----

# append FILE N [sync]: lines until an error; prints how many were acknowledged and the errno's name, or "none".
cat > "$W/append.py" <<'PY'
import errno, os, sys
path, n, sync = sys.argv[1], int(sys.argv[2]), len(sys.argv) > 3
done = 0
try:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for i in range(n):
        line = b"%07d %s\n" % (i, b"x" * 1015)
        got = os.write(fd, line)
        assert got == len(line), got
        if sync:
            os.fdatasync(fd)
        done = i + 1
    os.close(fd)
    print(done, "none")
except OSError as e:
    print(done, errno.errorcode[e.errno])
PY
append() { python3 "$W/append.py" "$@"; }
# whole FILE N: at least N lines of append, all of them right and in order
whole() {
    python3 - "$@" <<'PY' || fail "$1: not what was acknowledged"
import sys
data = open(sys.argv[1], "rb").read()
assert len(data) % 1024 == 0, len(data)
assert len(data) >= 1024 * int(sys.argv[2]), "%d lines of %s" % (len(data) // 1024, sys.argv[2])
for i in range(len(data) // 1024):
    assert data[i * 1024:(i + 1) * 1024] == b"%07d %s\n" % (i, b"x" * 1015), i
PY
}
# What the daemon has to say goes to a socket of ours.
cat > "$W/listen.py" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
out = open(sys.argv[2], "ab", buffering=0)
while True:
    out.write(s.recv(65536) + b"\n")
PY
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
mkdir /run/systemd/journal
python3 "$W/listen.py" /run/systemd/journal/socket "$alarms" &
child $!
await 10 "a listener" test -S /run/systemd/journal/socket
alarmed() { grep -q "$1" "$alarms" || await 20 "an alarm that says \"$1\"" grep -q "$1" "$alarms"; }

# begin NAME [DIRECTORY [SEGMENT SIZE]]: a store of its own in $W/NAME, or in the directory that is given
begin() {
    local name=$1
    shift
    say "$name"
    : > "$alarms"
    STORE=${1:-$W/$name/store} AUDITOR=$W/$name-auditor
    mkdir -p "$(dirname "$STORE")"
    make_store audit -- --segment-size "${2:-1048576}"
}
finish() { # unmount, verify, mount again: a clean end
    umount_archive
    verify_intact
}
state() { coffer status "$STORE" --json | json "j[\"$1\"]"; }
end_disk() { umount "$W/disk" 2> /dev/null || umount -l "$W/disk"; }
make_disk() { # make_disk SIZE [options of mkfs]: an ext4 image at $W/disk
    local size=$1
    shift
    mkdir -p "$W/disk"
    rm -f "$W/disk.img"
    truncate -s "$size" "$W/disk.img"
    mkfs.ext4 -q "$@" "$W/disk.img"
    mount -o loop,errors=remount-ro "$W/disk.img" "$W/disk" || skip "no loop device can be mounted here"
}
# A block device whose writes, or reads, fail while $W/failing exists.
failing_disk() { # failing_disk write|read
    local rate=error-pwrite-rate loop
    [ "$1" = write ] || rate=error-pread-rate
    command -v nbdkit > /dev/null && command -v nbdfuse > /dev/null || return 1
    rm -f "$W/failing" "$W/nbd.sock"
    mkdir -p "$W/disk"
    nbdkit -f -U "$W/nbd.sock" --filter=error memory 96M error=EIO "$rate=100%" "error-file=$W/failing" &
    child $!
    await 10 "nbdkit" test -S "$W/nbd.sock"
    : > "/run/systemd/nbd-disk"
    nbdfuse "/run/systemd/nbd-disk" --unix "$W/nbd.sock" > "$W/nbdfuse.out" 2>&1 &
    nbdfuse=$!
    child $nbdfuse
    await 10 "nbdfuse" sh -c "[ \$(stat -c %s '/run/systemd/nbd-disk') = 100663296 ]"
    loop=$(losetup -f --show "/run/systemd/nbd-disk") || return 1
    mkfs.ext4 -q -O ^has_journal "$loop"
    mount "$loop" "$W/disk"
    losetup -d "$loop" # when it is unmounted
}
end_failing_disk() {
    rm -f "$W/failing"
    end_disk
    umount -l "/run/systemd/nbd-disk" 2> /dev/null || true
}

# ---- the faults, by their number in the list of what has to be survived ----

# The store is free again: nothing is mounted, and the daemon has let go of it.
ended() { ! grep -q "$MNT " /proc/self/mounts && [ -z "$(daemon_pid)" ]; }
# The system forgets what it cached of the log's files (not of the disk's).
forget_log() {
    python3 - "$STORE/log" <<'PY'
import os, sys
for name in os.listdir(sys.argv[1]):
    fd = os.open(os.path.join(sys.argv[1], name), os.O_RDONLY)
    os.fdatasync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
PY
}

eio_on_write() { # 9 and 10: the first error is final, a later sync that would succeed changes nothing
    failing_disk write || { say "eio_on_write: skipped, needs nbdkit and nbdfuse"; return; }
    begin eio_on_write "$W/disk/store"
    mount_archive
    local f=$MNT/audit/f
    read -r n err <<< "$(append "$f" 200 sync)"
    same "before" "200 none" "$n $err"
    touch "$W/failing"
    read -r more err <<< "$(append "$MNT/audit/g" 100000 sync)"
    same "a sync that fails" EIO "$err"
    rm "$W/failing"
    alarmed "read-only from now on"
    # The disk is well again: still nothing is accepted.
    read -r n err <<< "$(append "$MNT/audit/h" 1)"
    same "writing after it" "0 EROFS" "$n $err"
    same "status" True "$(state read_only)"
    whole "$f" 200
    umount.fuse.coffer "$MNT" > /dev/null 2>&1 || true
    await 30 "the daemon to end" ended
    mount_archive
    whole "$f" 200
    [ "$more" = 0 ] || whole "$MNT/audit/g" "$more"
    read -r n err <<< "$(append "$MNT/audit/h" 10 sync)"
    same "writing after the next mount" "10 none" "$n $err"
    finish
    end_failing_disk
}

# 10: what was acknowledged and was not on the disk when the sync failed is there after recovery, and
# on the disk, not only in memory that the kernel takes for written.
eio_before_sync() {
    failing_disk write || { say "eio_before_sync: skipped, needs nbdkit and nbdfuse"; return; }
    begin eio_before_sync "$W/disk/store"
    mount_archive
    local f=$MNT/audit/f
    read -r n err <<< "$(append "$f" 200 sync)"
    same "before" "200 none" "$n $err"
    touch "$W/failing"
    # Until the checkpoint of each second meets the disk: then nothing more is accepted.
    read -r more err <<< "$(append "$MNT/audit/g" 10000000)"
    case $err in EIO | EROFS) ;; *) fail "writing without the disk: $err" ;; esac
    rm "$W/failing"
    umount.fuse.coffer "$MNT" > /dev/null 2>&1 || true
    await 30 "the daemon to end" ended
    [ "$more" -gt 100 ] || fail "only $more lines were accepted before the sync failed"
    mount_archive
    forget_log
    whole "$f" 200
    whole "$MNT/audit/g" "$more"
    finish
    end_failing_disk
}

eio_on_read() { # 11: of the file that lies there; writing and other files go on
    failing_disk read || { say "eio_on_read: skipped, needs nbdkit and nbdfuse"; return; }
    begin eio_on_read "$W/disk/store"
    mkdir "$W/index-elsewhere"
    mount_archive "index=$W/index-elsewhere"
    local f=$MNT/audit/f
    read -r n err <<< "$(append "$f" 3000 sync)"
    same "before" "3000 none" "$n $err"
    # Nothing is left to be written: a checkpoint in the middle of a page that is read first would rightly end writing.
    coffer verify "$STORE" > "$W/out" 2>&1 || { cat "$W/out"; fail "verify beside the daemon"; }
    sync -f "$W/disk"
    forget_log
    blockdev --flushbufs "$(findmnt -n -o SOURCE "$W/disk")"
    touch "$W/failing"
    expect_fail EIO cat "$f"
    alarmed "in segment 0000"
    rm "$W/failing"
    whole "$f" 3000
    finish
    end_failing_disk
}

backing_read_only() { # 12
    make_disk 64M
    begin backing_read_only "$W/disk/store"
    mount_archive
    read -r n err <<< "$(append "$MNT/audit/f" 300 sync)"
    same "before" "300 none" "$n $err"
    local dev
    dev=$(basename "$(findmnt -n -o SOURCE "$W/disk")")
    [ -w "/sys/fs/ext4/$dev/trigger_fs_error" ] || { say "skipped: no trigger_fs_error"; finish; end_disk; return; }
    echo 1 > "/sys/fs/ext4/$dev/trigger_fs_error"
    # What is allocated already may still be taken; in the end it is an error, and then it stays one.
    read -r n err <<< "$(append "$MNT/audit/g" 100000 sync)"
    [ "$err" = EROFS ] || [ "$err" = EIO ] || fail "a backing store that is read-only: $n $err"
    alarmed "read-only from now on"
    read -r n err <<< "$(append "$MNT/audit/h" 1)"
    same "writers" "0 EROFS" "$n $err"
    expect_fail EROFS rm -f "$MNT/audit/f"
    whole "$MNT/audit/f" 300
    umount.fuse.coffer "$MNT" > /dev/null 2>&1 || true
    await 30 "the daemon to end" ended
    end_disk
    e2fsck -fy "$W/disk.img" > /dev/null 2>&1 || true
    mount -o loop "$W/disk.img" "$W/disk"
    mount_archive
    whole "$MNT/audit/f" 300
    finish
    end_disk
}

no_inodes() { # 13: a segment that cannot be made
    make_disk 64M -N 64
    begin no_inodes "$W/disk/store"
    mount_archive
    read -r n err <<< "$(append "$MNT/audit/f" 200 sync)"
    same "before" "200 none" "$n $err"
    local i=0
    mkdir "$W/disk/ballast"
    while touch "$W/disk/ballast/$i" 2> /dev/null; do i=$((i + 1)); done
    read -r n err <<< "$(append "$MNT/audit/g" 100000)"
    same "no inode" ENOSPC "$err"
    [ "$n" -gt 100 ] || fail "only $n lines were accepted"
    expect_fail EPERM rm -f "$MNT/audit/f"
    coffer log "$STORE" --events --json | grep -q '"operation":"unlink"' || fail "the refusal is not on record"
    rm -r "$W/disk/ballast"
    await 30 "writing to go on" sh -c "echo > $MNT/audit/again"
    whole "$MNT/audit/f" 200
    whole "$MNT/audit/g" "$n"
    finish
    end_disk
}

file_too_large() { # 13: EFBIG, and no SIGXFSZ that ends the daemon
    begin file_too_large
    mount_archive
    prlimit --pid "$(daemon_pid)" --fsize=524288: # the soft limit: it can be taken back
    read -r n err <<< "$(append "$MNT/audit/f" 100000)"
    # Within a segment that was allocated before the limit it is a write that failed: final, as any.
    case $err in EFBIG | ENOSPC | EIO) ;; *) fail "a limit of file size: $n $err" ;; esac
    [ -n "$(daemon_pid)" ] || fail "the daemon ended"
    prlimit --pid "$(daemon_pid)" --fsize=unlimited:
    if [ "$(state read_only)" = True ]; then
        umount.fuse.coffer "$MNT" > /dev/null 2>&1 || true
        mount_archive
    fi
    whole "$MNT/audit/f" "$n"
    await 30 "writing to go on" sh -c "echo > $MNT/audit/again"
    finish
}

no_fallocate() { # 25: a store on a filesystem that cannot reserve blocks; then it is full
    make_disk 48M -O ^extent,^64bit,^has_journal
    begin no_fallocate "$W/disk/store" 4194304
    expect_fail "not supported" fallocate -l 4096 "$W/disk/probe"
    rm -f "$W/disk/probe"
    mount_archive
    read -r n err <<< "$(append "$MNT/audit/f" 3000 sync)"
    same "before" "3000 none" "$n $err"
    read -r n err <<< "$(append "$MNT/audit/g" 100000)"
    same "no space" ENOSPC "$err"
    [ "$n" -gt 10000 ] || fail "only $n lines were accepted"
    same "read-only" False "$(state read_only)"
    expect_fail EPERM rm -f "$MNT/audit/f"
    whole "$MNT/audit/g" "$n"
    kill_daemon
    umount -l "$MNT"
    mount_archive
    whole "$MNT/audit/f" 3000
    whole "$MNT/audit/g" "$n"
    finish
    end_disk
}
backing_quota() { # 13: a quota on the store: of a btrfs subvolume, since that also binds root
    command -v mkfs.btrfs > /dev/null || { say "backing_quota: skipped, needs btrfs-progs"; return; }
    mkdir -p "$W/disk"
    rm -f "$W/disk.img"
    truncate -s 400M "$W/disk.img"
    mkfs.btrfs -q "$W/disk.img" > /dev/null
    mount -o loop "$W/disk.img" "$W/disk" 2> /dev/null || { say "backing_quota: skipped, no btrfs here"; return; }
    btrfs quota enable "$W/disk"
    btrfs subvolume create "$W/disk/sub" > /dev/null
    btrfs qgroup limit 60M "$W/disk/sub"
    begin backing_quota "$W/disk/sub/store" 4194304
    mount_archive
    read -r n err <<< "$(append "$MNT/audit/f" 2000 sync)"
    same "before" "2000 none" "$n $err"
    read -r n err <<< "$(append "$MNT/audit/g" 100000)"
    same "the quota" ENOSPC "$err"
    [ "$n" -gt 10000 ] || fail "only $n lines were accepted"
    same "read-only" False "$(state read_only)"
    expect_fail EPERM rm -f "$MNT/audit/f"
    coffer log "$STORE" --events --json | grep -q '"operation":"unlink"' || fail "the refusal is not on record"
    btrfs qgroup limit none "$W/disk/sub"
    await 30 "writing to go on" sh -c "echo > $MNT/audit/again"
    whole "$MNT/audit/f" 2000
    whole "$MNT/audit/g" "$n"
    finish
    end_disk
}
segment_too_large() { # 13: EFBIG only where the next segment is made: as a full disk, and it passes
    begin segment_too_large "" 4194304
    mount_archive
    prlimit --pid "$(daemon_pid)" --fsize=4194303:
    read -r n err <<< "$(append "$MNT/audit/f" 100000)"
    case $err in EFBIG | ENOSPC) ;; *) fail "a segment that cannot be made: $n $err" ;; esac
    [ "$n" -gt 1000 ] || fail "only $n lines were accepted"
    same "read-only" False "$(state read_only)"
    expect_fail EPERM rm -f "$MNT/audit/f"
    coffer log "$STORE" --events --json | grep -q '"operation":"unlink"' || fail "the refusal is not on record"
    prlimit --pid "$(daemon_pid)" --fsize=unlimited:
    await 30 "writing to go on" sh -c "echo > $MNT/audit/again"
    whole "$MNT/audit/f" "$n"
    finish
}

quota() { # 13, 14: no space for the index; the log goes on
    begin index_full
    mkdir "$W/index"
    mount -t tmpfs -o size=512k tmpfs "$W/index"
    mount_archive "index=$W/index"
    for i in $(seq 1500); do : > "$MNT/audit/a-name-that-takes-room-$i" || fail "file $i with a full index"; done
    read -r n err <<< "$(append "$MNT/audit/f" 1000 sync)"
    same "appends with a full index" "1000 none" "$n $err"
    whole "$MNT/audit/f" 1000
    umount.fuse.coffer "$MNT" > "$W/umount.out" 2>&1 || true
    await 30 "the daemon to end" ended
    umount "$W/index"
    verify_intact
    mount_archive
    whole "$MNT/audit/f" 1000
    same "files" 1501 "$(find "$MNT/audit" -type f | wc -l)"
    finish
}

no_descriptors() { # 15
    begin no_descriptors
    mount_archive
    python3 - "$MNT/audit" "$(daemon_pid)" <<'PY' || fail "the writer"
import errno, os, resource, sys
fds = [os.open("%s/f%d" % (sys.argv[1], i), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644) for i in range(100)]
pid = int(sys.argv[2])
old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
resource.prlimit(pid, resource.RLIMIT_NOFILE, (20, old[1]))
for round in range(40): # 4 MB: several segments
    for fd in fds:
        assert os.write(fd, b"y" * 1024) == 1024
errors = set()
for i in range(200):
    try:
        os.close(os.open("%s/n%d" % (sys.argv[1], i), os.O_WRONLY | os.O_CREAT, 0o644))
    except OSError as e:
        errors.add(errno.errorcode[e.errno])
assert errors <= {"EMFILE", "ENFILE"}, errors
for fd in fds:
    os.fsync(fd)
    os.close(fd)
resource.prlimit(pid, resource.RLIMIT_NOFILE, old)
PY
    same "read-only" False "$(state read_only)"
    for i in 0 50 99; do same "f$i" 40960 "$(wc -c < "$MNT/audit/f$i")"; done
    # It ends in good order with no descriptor to be had but those it keeps for such a day.
    local pid last
    pid=$(daemon_pid)
    last=$(printf '%s\n' /proc/"$pid"/fd/* | sed 's|.*/||' | sort -n | tail -n 1)
    prlimit --pid "$pid" --nofile=$((last + 1)):
    finish
}

many_open_files() { # 16: by as many processes as the limit of descriptors asks for
    local files=5000
    [ -z "$LONG" ] || files=100000
    begin many_open_files
    mount_archive
    python3 - "$MNT/audit" "$(daemon_pid)" $files <<'PY' || fail "many open files"
import os, resource, sys
n, pid = int(sys.argv[3]), sys.argv[2]
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
each = min(n, hard - 100)
def held():
    rss = [int(l.split()[1]) for l in open("/proc/%s/status" % pid) if l.startswith("RssAnon")][0]
    return len(os.listdir("/proc/%s/fd" % pid)), rss
def hold(first, count): # a process that opens them, says so, and closes them when it is told to
    ready, go = os.pipe(), os.pipe()
    if os.fork() == 0:
        os.close(go[1])
        fds = []
        for i in range(first, first + count):
            fds.append(os.open("%s/f%06d" % (sys.argv[1], i), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
            os.write(fds[-1], b"line\n")
        os.write(ready[1], b".")
        os.read(go[0], 1)
        for fd in fds[::97]:
            os.write(fd, b"again\n")
        for fd in fds:
            os.close(fd)
        os._exit(0)
    os.close(ready[1])
    os.close(go[0])
    assert os.read(ready[0], 1) == b".", "a process that opens files failed"
    os.close(ready[0])
    return go[1]
def more(to):
    while opened[0] < to:
        count = min(each, to - opened[0])
        holders.append(hold(opened[0], count))
        opened[0] += count
holders, opened = [], [0]
more(n // 5)
a = held()
more(n)
b = held()
for go in holders:
    os.close(go)
for go in holders:
    assert os.wait()[1] == 0, "a process that held files failed"
print("-- %d files open: %d descriptors, %d KiB; %d files open: %d descriptors, %d KiB" % ((n // 5,) + a + (n,) + b))
assert b[0] <= a[0] + 8, "descriptors grow"
assert b[1] - a[1] < 32768, "memory grows"
PY
    finish
}

no_memory() { # 17: allocations fail; then the kernel kills it
    begin no_memory
    mount_archive
    local pid size
    pid=$(daemon_pid)
    append "$MNT/audit/f" 100 sync > /dev/null
    size=$(awk '/^VmSize/ {print $2 * 1024}' "/proc/$pid/status")
    prlimit --pid "$pid" --as=$((size + 262144)):
    python3 - "$MNT/audit" <<'PY' || fail "without memory"
import errno, os, sys
seen = {}
for i in range(2000):
    try:
        fd = os.open("%s/m%d" % (sys.argv[1], i), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(fd, b"z" * (1 << (i % 20)))
        os.close(fd)
    except OSError as e:
        seen[errno.errorcode[e.errno]] = seen.get(errno.errorcode[e.errno], 0) + 1
print("-- without memory:", seen or "no error")
assert set(seen) <= {"ENOMEM"}, seen
PY
    [ "$(daemon_pid)" = "$pid" ] || fail "the daemon ended"
    prlimit --pid "$pid" --as=unlimited:
    same "read-only" False "$(state read_only)"
    whole "$MNT/audit/f" 100
    finish

    say "out_of_memory_killed"
    local group=/sys/fs/cgroup/memory/coffer-test.$$ limit=memory.limit_in_bytes
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then group=/sys/fs/cgroup/coffer-test.$$ limit=memory.max; fi
    mkdir "$group" 2> /dev/null || { say "skipped: no memory control group"; return; }
    mount_archive
    pid=$(daemon_pid)
    echo "$pid" > "$group/cgroup.procs"
    read -r n err <<< "$(append "$MNT/audit/g" 500 sync)"
    same "in the group" "500 none" "$n $err"
    # What it has stays charged where it was; what it takes from now on is too much.
    echo 65536 > "$group/$limit" 2> /dev/null || say "skipped: the kill for want of memory; this kernel does not take the limit"
    append "$MNT/audit/h" 1000 sync > "$W/appended" &
    local writer=$!
    child $writer
    if wait_gone "$pid" 3; then say "it was killed"; else say "it went on within the limit"; fi
    echo -1 > "$group/$limit" 2> /dev/null || echo max > "$group/$limit"
    wait $writer || true
    read -r more err < "$W/appended"
    if [ -z "$(daemon_pid)" ]; then mount_archive; fi
    whole "$MNT/audit/g" 500
    [ "$more" = 0 ] || whole "$MNT/audit/h" "$more"
    finish
    await 10 "the group to be empty" rmdir "$group"
}
wait_gone() {
    local end=$((SECONDS + $2))
    while [ $SECONDS -lt $end ]; do
        ! gone "$1" || return 0
        read -rt 0.1 <> <(:) || true
    done
    return 1
}

stopped_and_aborted() { # 18
    begin stopped_and_aborted
    mount_archive
    local pid writer
    pid=$(daemon_pid)
    append "$MNT/audit/f" 3000 > "$W/appended" &
    writer=$!
    child $writer
    await 20 "some lines" sh -c "[ \$(stat -c %s '$MNT/audit/f') -gt 20480 ]"
    kill -STOP "$pid"
    read -rt 1 <> <(:) || true
    kill -0 $writer 2> /dev/null || [ "$(cut -d' ' -f1 "$W/appended")" = 3000 ] || fail "the writer did not wait"
    kill -CONT "$pid"
    wait $writer
    same "a daemon that was stopped" "3000 none" "$(cat "$W/appended")"
    same "nothing twice" $((3000 * 1024)) "$(stat -c %s "$MNT/audit/f")"
    whole "$MNT/audit/f" 3000

    append "$MNT/audit/g" 1000000 > "$W/appended" &
    writer=$!
    child $writer
    await 20 "some lines" sh -c "[ \$(stat -c %s '$MNT/audit/g') -gt 20480 ]"
    mount -t fusectl fusectl "$W/fusectl"
    local number
    number=$(mountpoint -d "$MNT")
    echo 1 > "$W/fusectl/${number#*:}/abort"
    umount "$W/fusectl"
    wait $writer || true
    read -r n err < "$W/appended"
    [ "$err" != none ] || fail "a connection that was aborted: $n $err"
    await 30 "the daemon to end" gone "$pid"
    verify_intact
    mount_archive
    grep -qi "not closed cleanly" "$W/mount.out" && fail "it did not end cleanly: $(cat "$W/mount.out")"
    whole "$MNT/audit/f" 3000
    whole "$MNT/audit/g" "$n"

    pid=$(daemon_pid)
    append "$MNT/audit/h" 5000 > "$W/appended" &
    writer=$!
    child $writer
    await 20 "some lines" sh -c "[ \$(stat -c %s '$MNT/audit/h') -gt 20480 ]"
    umount -l "$MNT"
    wait $writer
    same "a lazy unmount while one writes" "5000 none" "$(cat "$W/appended")"
    await 30 "the daemon to end" gone "$pid"
    verify_intact
    mount_archive
    whole "$MNT/audit/h" 5000
    same "nothing twice" $((5000 * 1024)) "$(stat -c %s "$MNT/audit/h")"
    finish
}

covered() { coffer status "$STORE" --json | json '1 / (j["checkpoint"]["size"] == j["frames"] - 1)'; }
two_daemons() { # 19
    begin two_daemons
    mount_archive
    append "$MNT/audit/f" 100 sync > /dev/null
    local before
    mkdir "$W/mnt2"
    await 20 "a checkpoint" covered # then nothing is written any more
    before=$(cd "$STORE" && sha256sum log/* keys/* archive.conf | sha256sum)
    expect_fail "pid $(daemon_pid)" mount.coffer "$STORE" "$W/mnt2" -o "keyfile=$KEY"
    same "the store" "$before" "$(cd "$STORE" && sha256sum log/* keys/* archive.conf | sha256sum)"
    # In a namespace of its own, under another host's name and another boot id, as from another machine that shares the directory.
    echo 01234567-89ab-cdef-0123-456789abcdef > "$W/boot_id"
    expect_fail "pid $(daemon_pid)" unshare -m -u sh -c "hostname elsewhere &&
        mount --bind '$W/boot_id' /proc/sys/kernel/random/boot_id && mount.coffer '$STORE' '$W/mnt2' -o 'keyfile=$KEY'"
    same "the store" "$before" "$(cd "$STORE" && sha256sum log/* keys/* archive.conf | sha256sum)"
    read -r n err <<< "$(append "$MNT/audit/g" 100 sync)"
    same "the first goes on" "100 none" "$n $err"
    finish
}

racing() { # 19: several at once, one has it
    local rounds=3 i k
    [ -z "$LONG" ] || rounds=20
    begin racing
    for k in 1 2 3 4; do mkdir "$W/race$k"; done
    for i in $(seq $rounds); do
        for k in 1 2 3 4; do
            (code=0; mount.coffer "$STORE" "$W/race$k" -o "keyfile=$KEY" > "$W/race$k.out" 2>&1 || code=$?; echo $code > "$W/race$k.code") &
            eval "racer$k=$!"
        done
        wait "$racer1" "$racer2" "$racer3" "$racer4"
        same "who has it, of four" 1 "$(cat "$W"/race?.code | grep -cx 0)"
        for k in 1 2 3 4; do
            if [ "$(cat "$W/race$k.code")" = 0 ]; then
                echo "$i $k" >> "$W/race$k/audit/f"
                umount.fuse.coffer "$W/race$k" > /dev/null 2>&1
            else
                grep -q "in use by" "$W/race$k.out" || fail "a mount that lost says: $(cat "$W/race$k.out")"
            fi
        done
        await 30 "the daemon to end" sh -c "! grep -q '$W/race' /proc/self/mounts"
    done
    mount_archive
    same "lines" $rounds "$(wc -l < "$MNT/audit/f")"
    finish
}

acknowledged() { # what went wrong is shown, over remounts, until somebody says that they know
    begin acknowledged
    mount_archive
    append "$MNT/audit/f" 10 > /dev/null
    same "faults of a new archive" 0 "$(coffer status "$STORE" --json | json 'len(j["faults"])')"
    kill_daemon
    mount_archive
    umount_archive
    coffer status "$STORE" | grep -q "Fault.*not closed cleanly" || fail "no fault is shown: $(coffer status "$STORE")"
    expect_fail "not mounted" coffer status --acknowledge "$STORE"
    mount_archive
    coffer status "$STORE" | grep -q "Fault.*not closed cleanly" || fail "a remount forgets the fault"
    coffer status --acknowledge "$STORE" | grep -q "^1 fault acknowledged" || fail "not acknowledged"
    same "faults" 0 "$(coffer status "$STORE" --json | json 'len(j["faults"])')"
    coffer log "$STORE" --json | grep '"acknowledged"' | grep -q "not closed cleanly" || fail "it is not on record"
    coffer log "$STORE" --json | grep '"acknowledged"' | grep -q '\\n"' && fail "its text ends with a newline"
    finish
    same "faults after it" 0 "$(coffer status "$STORE" --json | json 'len(j["faults"])')"
}

faults="eio_on_write eio_before_sync eio_on_read backing_read_only no_inodes file_too_large segment_too_large no_fallocate backing_quota quota no_descriptors many_open_files no_memory
    stopped_and_aborted two_daemons racing acknowledged"
[ $# = 0 ] || faults=$*
for fault in $faults; do
    began=$SECONDS
    $fault
    ok "$fault, $((SECONDS - began)) s"
done
