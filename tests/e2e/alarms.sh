#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Alarms reach the journal and the hook within a second, the first refused attempt among them; a hook that fails, hangs or
# is too slow holds nobody up, and what it missed is counted.
. "$(dirname "$0")/lib.sh"

make_store audit
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
mkdir -p /run/systemd/journal "$W/hook"
chown nobody "$W/hook"
# A line each: when it came, and what.
cat > "$W/listen.py" <<'PY'
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
out = open(sys.argv[2], "ab", buffering=0)
while True:
    line = s.recv(65536).replace(b"\n", b"\x1f")
    out.write(b"%d " % time.time_ns() + line + b"\n")
PY
python3 "$W/listen.py" /run/systemd/journal/socket "$W/journal" &
child $!
await 10 "a listener" test -S /run/systemd/journal/socket
cat > "$W/tell" <<SH
#!/bin/bash
IFS= read -r line || [ -n "\$line" ]
printf '%s %s %s\n' "\$(date +%s%N)" "\$(id -u)" "\$line" >> "$W/hook/out"
SH
chmod 755 "$W/tell"

say "within a second of the attempt: journal and hook, which is nobody and has no key"
mount_archive "hook=$W/tell"
echo line > "$MNT/audit/a.log"
before=$(date +%s%N)
expect_fail EPERM rm "$MNT/audit/a.log"
await 10 "the hook" grep -q '"event":"refused"' "$W/hook/out"
await 10 "the journal" grep -q COFFER_EVENT=refused "$W/journal"
line=$(grep '"event":"refused"' "$W/hook/out" | head -n 1)
took() { echo $((($(echo "$1" | cut -d' ' -f1) - before) / 1000000)); }
ms=$(took "$line")
[ "$ms" -lt 1000 ] || fail "the hook took $ms ms"
jms=$(took "$(grep COFFER_EVENT=refused "$W/journal" | head -n 1)")
[ "$jms" -lt 1000 ] || fail "the journal took $jms ms"
say "hook $ms ms, journal $jms ms"
same "as whom" 65534 "$(echo "$line" | cut -d' ' -f2)"
same "what" "A.1.2 failure warning unlink audit/a.log 0" "$(echo "$line" | cut -d' ' -f3- | json '" ".join(str(j[k])
    for k in ("catalogue", "outcome", "severity", "operation", "path", "uid"))')"
grep -q '"event":"key-loaded"' "$W/hook/out" || fail "nothing of the keys that were loaded"
grep -q "PRIORITY=4" "$W/journal" || fail "no severity in the journal"
hook=$(pgrep -P "$(daemon_pid)" -f cofferfs | while read -r p; do
    [ "$(cat "/proc/$p/comm")" != cofferfs-hook ] || echo "$p"
done)
[ -n "$hook" ] || fail "no process for the hook"
same "its capabilities" 0000000000000000 "$(awk '/^CapEff/ {print $2}' "/proc/$hook/status")"
umount_archive

say "one that fails, and one that hangs: writing goes on, and so does the unmount"
mount_archive hook=/bin/false
expect_fail EPERM rm "$MNT/audit/a.log"
failed() { [ "$(coffer status "$STORE" --json | json 'j["hook"]["failed"]')" -ge 2 ]; }
await 10 "its failure in status" failed
umount_archive
printf '#!/bin/bash\nexec sleep 1000\n' > "$W/hang"
chmod 755 "$W/hang"
mount_archive "hook=$W/hang"
python3 - "$MNT/audit" <<'PY'
import errno, os, sys, time
os.chdir(sys.argv[1])
began = time.monotonic()
for i in range(600): # each name is a first refusal of another rule or process, so that many alarms come
    pid = os.fork()
    if not pid:
        os.setuid(10000 + i)
        try:
            os.truncate("a.log", 0)
        except OSError:
            pass
        os._exit(0)
    os.waitpid(pid, 0)
open("b.log", "a").write("goes on\n")
assert time.monotonic() - began < 30
PY
given() { [ "$(coffer status "$STORE" --json | json 'j["hook"]["given"] > 0 and j["hook"]["done"] == j["hook"]["failed"]')" = True ]; }
await 20 "alarms given to the hook that hangs, none of them well done" given
began=$SECONDS
umount_archive
[ $((SECONDS - began)) -lt 8 ] || fail "the unmount waited for the hook: $((SECONDS - began)) s"

say "what is no hook"
chmod 777 "$W/tell"
expect_fail "others than its owner may write it" mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY,hook=$W/tell"
chmod 755 "$W/tell"
expect_fail "not run as root" mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY,hook=$W/tell,hook-user=root"
expect_fail "absolute" mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY,hook=tell"
verify_intact
ok alarms
