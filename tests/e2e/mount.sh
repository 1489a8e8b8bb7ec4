#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Mounting and unmounting through mount(8), umount(8) and fstab: options, errors and their exit codes, dead mounts, the guard of
# the bare mount point, signals, and that umount returns only when everything is on disk and the store is free.
. "$(dirname "$0")/lib.sh"

# mount(8) looks for helpers in /sbin alone. An overlay over it, in this mount namespace, has them.
mkdir "$W/upper" "$W/work"
if mount -t overlay overlay -o "lowerdir=/usr/sbin,upperdir=$W/upper,workdir=$W/work" /usr/sbin 2> /dev/null; then
    ln -sf "$BUILD/fs/mount.coffer" /usr/sbin/mount.coffer
    ln -sf "$BUILD/fs/umount.fuse.coffer" /usr/sbin/umount.fuse.coffer
elif [ ! -x /sbin/mount.coffer ]; then
    skip "the helpers are not installed, and an overlay cannot be mounted here"
fi
make_store audit certificates
d=$MNT/audit
o=keyfile=$KEY${TRANSPORT:+,transport=$TRANSPORT}

mounted() { [ "$(findmnt -n -o FSTYPE -T "$MNT")" = fuse.coffer ]; }
store_is_free() { flock -n -x "$STORE/lock" true; }
ends() { await 60 "the daemon $1 to end" gone "$1"; }
no_recovery() { ! grep -qi recover "$W/mount.out" || fail "not a clean end: $(cat "$W/mount.out")"; }
do_mount() { mount -t coffer "$STORE" "$MNT" -o "$o${1:+,$1}" > "$W/mount.out" 2>&1 || fail "mount: $(cat "$W/mount.out")"; }

say "mount and umount"
do_mount
mounted || fail "not mounted"
same "the source shows the store" "$STORE" "$(findmnt -n -o SOURCE "$MNT")"
pid=$(daemon_pid)
echo one > "$d/file"
expect_code 32 mount -t coffer "$STORE" "$MNT" -o "$o"
grep -q "$pid" "$W/out" || fail "the holder is not named: $(cat "$W/out")"
umount "$MNT"
store_is_free || fail "umount returned before the store was free"
! mounted || fail "still mounted"
ends "$pid"
verify_intact

say "umount with much under way returns when all of it is there"
for i in 1 2 3; do
    do_mount
    no_recovery
    pid=$(daemon_pid)
    dd if=/dev/zero of="$d/bulk$i" bs=1M count=64 status=none
    umount "$MNT"
    store_is_free || fail "umount returned before the store was free"
    ends "$pid"
done
verify_intact

say "fstab"
printf '%s %s coffer keyfile=%s,nofail,_netdev,noexec,x-systemd.requires=network.target 0 0\n' \
    "$STORE" "$MNT" "$KEY" > "$W/fstab"
mount -a -T "$W/fstab"
mounted || fail "mount -a did not mount"
same "content" one "$(cat "$d/file")"
for flag in noexec nosuid nodev; do
    findmnt -n -o OPTIONS "$MNT" | grep -qw $flag || fail "$flag is missing: $(findmnt -n -o OPTIONS "$MNT")"
done
pid=$(daemon_pid)
mount -a -T "$W/fstab" # again: nothing to do
same "mount -a twice: the same daemon" "$pid" "$(daemon_pid)"
umount "$MNT"
ends "$pid"

say "over io_uring where the kernel offers it, else as ever"
offered=classic
[ "$(cat /sys/module/fuse/parameters/enable_uring 2> /dev/null)" != Y ] || offered=uring
do_mount transport=uring
same "transport" $offered "$(transport)"
same "content" one "$(cat "$d/file")"
umount "$MNT"
do_mount transport=classic
same "transport" classic "$(transport)"
umount "$MNT"

say "the bare mount point"
if lsattr -d "$MNT" 2> /dev/null | cut -d ' ' -f 1 | grep -q i; then
    expect_fail EPERM touch "$MNT/beneath"
    chattr -i "$MNT"
    do_mount noimmutable
    umount "$MNT"
    ! lsattr -d "$MNT" | cut -d ' ' -f 1 | grep -q i || fail "noimmutable made it immutable"
    touch "$MNT/beneath"
    do_mount
    grep -q "not empty" "$W/mount.out" || fail "nothing said of what lies in the mount point"
    [ ! -e "$MNT/beneath" ] || fail "the bare directory shows through"
    umount "$MNT"
    rm "$MNT/beneath" # was not made immutable
else
    say "this filesystem has no immutable flag"
fi

say "a killed daemon's mount"
do_mount
echo two >> "$d/file"
kill_daemon
# The kernel ends the connection after the process: one who asks in between is told "connection abort".
await 30 "the connection to end" sh -c "ls '$MNT' 2>&1 | grep -q 'not connected'"
expect_fail ENOTCONN ls "$MNT"
do_mount
grep -q "dead mount" "$W/mount.out" || fail "nothing said of the dead mount: $(cat "$W/mount.out")"
same "mounts after clearing" 1 "$(grep -c " $MNT " /proc/self/mountinfo)"
same "content after a kill" "one two" "$(tr '\n' ' ' < "$d/file" | sed 's/ $//')"
kill_daemon
umount "$MNT" # a dead one
! mounted || fail "the dead mount is still there"
do_mount
umount "$MNT"
verify_intact

say "signals"
for signal in TERM INT; do
    do_mount
    pid=$(daemon_pid)
    kill -HUP "$pid"
    echo "before SIG$signal" >> "$d/file"
    kill -$signal "$pid"
    ends "$pid"
    ! mounted || fail "still mounted after SIG$signal"
    store_is_free || fail "the store is held after SIG$signal"
    verify_intact
    do_mount
    no_recovery
    same "content after SIG$signal" "before SIG$signal" "$(tail -n 1 "$d/file")"
    umount "$MNT"
done

say "a signal while somebody writes: what was acknowledged is there"
do_mount
pid=$(daemon_pid)
python3 - "$d/writer" "$W/acknowledged" <<'PY' &
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
n = 0
try:
    while True:
        os.write(fd, b"%09d\n" % n)
        n += 1
        if n == 1000:
            open(sys.argv[2] + ".begun", "w").close()
except OSError as e:
    open(sys.argv[2], "w").write("%d %s\n" % (n, e.strerror))
PY
writer=$!
child $writer
await 30 "a thousand lines" test -e "$W/acknowledged.begun"
kill -TERM "$pid"
ends "$pid"
wait $writer
read -r lines error < "$W/acknowledged"
verify_intact
do_mount
no_recovery
have=$(wc -l < "$d/writer")
[ "$have" -ge "$lines" ] && [ "$have" -le $((lines + 1)) ] || fail "$lines lines were acknowledged, $have are there"
say "$lines lines, then: $error"
umount "$MNT"

say "busy, lazy, forced"
do_mount
pid=$(daemon_pid)
exec {held}>> "$d/held"
expect_code 32 umount "$MNT"
grep -q "busy" "$W/out" || fail "umount: $(cat "$W/out")"
echo still >&"$held"
umount -l "$MNT"
! mounted || fail "still mounted after umount -l"
echo lazily >&"$held"
! gone "$pid" || fail "the daemon ended while a file is open"
exec {held}>&-
ends "$pid"
do_mount
no_recovery
same "what was written after umount -l" "still lazily" "$(tr '\n' ' ' < "$d/held" | sed 's/ $//')"
pid=$(daemon_pid)
exec {held}>> "$d/held"
umount -f "$MNT"
store_is_free || fail "umount -f returned before the store was free"
ends "$pid"
expect_fail "" bash -c "echo gone >&$held"
exec {held}>&-
verify_intact

say "the kernel's own umount ends the daemon as well"
do_mount
no_recovery
pid=$(daemon_pid)
umount -i "$MNT"
ends "$pid"

say "bind mounts, and other mount namespaces"
mkdir "$W/bind"
do_mount
pid=$(daemon_pid)
mount --bind "$d" "$W/bind"
umount "$MNT"
echo bound >> "$W/bind/bound"
! gone "$pid" || fail "the daemon ended under a bind mount"
umount "$W/bind"
ends "$pid"
do_mount
pid=$(daemon_pid)
mkfifo "$W/fifo"
unshare -m --propagation private sh -c "echo ready > $W/ready; read -r line < $W/fifo; echo late >> $d/elsewhere" &
child $!
await 10 "the other namespace" test -s "$W/ready"
expect_code 0 umount "$MNT"
grep -q "namespace" "$W/out" || fail "nothing said of the other namespace: $(cat "$W/out")"
! gone "$pid" || fail "the daemon ended though another namespace has the mount"
echo go > "$W/fifo"
ends "$pid"
do_mount
same "what the other namespace wrote" late "$(cat "$d/elsewhere")"
umount "$MNT"

say "options"
do_mount rootonly,threads=1
expect_fail EACCES as_user ls "$MNT"
umount "$MNT"
do_mount
as_user ls "$MNT" > /dev/null
umount "$MNT"
do_mount ro
expect_fail EROFS touch "$d/new"
same "read-only content" one "$(head -n 1 "$d/file")"
umount "$MNT"
mkdir "$W/index"
do_mount "index=$W/index"
[ -n "$(ls "$W/index")" ] || fail "the index is not where it was asked for"
umount "$MNT"
(cd "$W" && mount.coffer store mnt -o keyfile=key && umount.fuse.coffer mnt) || fail "relative paths"
mount.coffer "$STORE" "$MNT" -s -o "$o,strange,stranger=1" 2> "$W/out" || fail "-s: $(cat "$W/out")"
umount "$MNT"
mount.coffer "$STORE" "$MNT" -o "$o" <&- >&- 2>&- || fail "without standard streams"
umount "$MNT"
mount.coffer "$STORE" "$MNT" -n -o "$o"
! grep -q "TARGET=$MNT " /run/mount/utab || fail "-n wrote into the table of mounts"
umount.fuse.coffer "$MNT" # umount(8) cannot know then
mount.coffer "$STORE" "$MNT" -f -o "$o"
! mounted || fail "-f mounted"

say "errors: exit codes and sentences"
error() { # error CODE TEXT MOUNT.COFFER'S ARGUMENTS
    local code=$1 text=$2
    shift 2
    expect_code "$code" mount.coffer "$@"
    grep -qF -- "$text" "$W/out" || fail "\"$text\" is not said: $(cat "$W/out")"
    ! mounted || fail "mounted in spite of: $text"
    store_is_free || fail "the store is held after: $text"
}
error 1 "MOUNTPOINT" "$STORE"
error 1 "strange" "$STORE" "$MNT" -o "$o,strange"
error 1 "exclude one another" "$STORE" "$MNT" -o "$o,passfd=0"
error 1 "cannot be remounted" "$STORE" "$MNT" -o "$o,remount"
error 32 "no archive.conf" "$W" "$MNT" -o "$o"
error 32 "$W/nowhere" "$W/nowhere" "$MNT" -o "$o"
error 32 "$W/nowhere" "$STORE" "$W/nowhere" -o "$o"
error 32 "not a directory" "$STORE" "$KEY" -o "$o"
mkdir "$STORE/inside"
error 32 "in one another" "$STORE" "$STORE/inside" -o "$o"
rmdir "$STORE/inside"
error 32 "in one another" "$STORE" "$W" -o "$o"
error 32 "$W/nokey" "$STORE" "$MNT" -o "keyfile=$W/nokey"
head -c 31 /dev/zero > "$W/shortkey"
error 32 "31 bytes" "$STORE" "$MNT" -o "keyfile=$W/shortkey"
head -c 32 /dev/zero > "$W/wrongkey"
error 32 "" "$STORE" "$MNT" -o "keyfile=$W/wrongkey"
[ -s "$W/out" ] || fail "a wrong key file is refused without a word"
error 32 "CREDENTIALS_DIRECTORY" "$STORE" "$MNT" -o "credential=key"
expect_code 1 umount.fuse.coffer
expect_code 32 umount.fuse.coffer "$MNT"
expect_code 32 umount.fuse.coffer /proc
chmod 644 "$KEY"
do_mount
grep -q "can be read by others" "$W/mount.out" || fail "nothing said of a key file that all can read"
umount "$MNT"
verify_intact

say "passphrases: from a descriptor, a credential, the terminal"
secret="correct horse, $RANDOM"
printf '%s' "$secret" > "$W/secret"
mkdir "$W/second"
coffer init "$W/second" --shelf audit --passphrase-fd 3 3< "$W/secret" > "$W/out" 2>&1 || fail "init: $(cat "$W/out")"
STORE=$W/second
mount.coffer "$STORE" "$MNT" -o passfd=3 3< <(printf '%s\n' "$secret") || fail "passfd="
umount "$MNT"
mkdir "$W/credentials"
cp "$W/secret" "$W/credentials/audit"
CREDENTIALS_DIRECTORY=$W/credentials mount.coffer "$STORE" "$MNT" -o credential=audit || fail "credential="
umount "$MNT"
expect_code 32 mount.coffer "$STORE" "$MNT" -o passfd=3 3< <(echo wrong)
[ -s "$W/out" ] || fail "a wrong passphrase is refused without a word"
expect_code 32 mount.coffer "$STORE" "$MNT" -o passfd=3 3< /dev/null
grep -q "passphrase has" "$W/out" || fail "an empty passphrase: $(cat "$W/out")"
expect_code 32 setsid mount.coffer "$STORE" "$MNT" < /dev/null
grep -q "no terminal" "$W/out" || fail "without a terminal: $(cat "$W/out")"
cat > "$W/terminal.py" <<'PY'
import os, pty, sys
answer, *command = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen = b""
while b"Passphrase for" not in seen:
    seen += os.read(fd, 4096)
while b": " not in seen:
    seen += os.read(fd, 4096)
os.write(fd, b"\x03" if answer == "^C" else answer.encode() + b"\n")
try:
    while True:
        more = os.read(fd, 4096)
        if not more:
            break
        seen += more
except OSError:
    pass # the terminal's other end is closed
assert answer == "^C" or answer.encode() not in seen, "the passphrase was shown"
sys.stdout.write(seen.decode())
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
expect_code 0 python3 "$W/terminal.py" "$secret" mount.coffer "$STORE" "$MNT"
mounted || fail "not mounted by the passphrase from the terminal"
pid=$(daemon_pid)
tr '\0' '\n' < "/proc/$pid/cmdline" > "$W/cmdline"
tr '\0' '\n' < "/proc/$pid/environ" >> "$W/cmdline"
! grep -qF "$secret" "$W/cmdline" || fail "the passphrase is in the daemon's arguments or environment"
same "the daemon has no terminal" 0 "$(cut -d ')' -f 2 "/proc/$pid/stat" | cut -d ' ' -f 6)"
umount "$MNT"
expect_code 8 python3 "$W/terminal.py" ^C mount.coffer "$STORE" "$MNT"
! mounted || fail "mounted in spite of Ctrl-C"
