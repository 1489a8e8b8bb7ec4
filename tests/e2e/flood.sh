#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A flood of refused writes under many accounts, the daemon killed with SIGKILL in the middle: the log grows by less than 1 MiB,
# every name and every actor is on record from its first refusal on, and the sums are exact, for each account.
# Then the alarms: fields for journald, a line for syslog.
. "$(dirname "$0")/lib.sh"

actors=20 paths=1000 total=100000
[ -z "$LONG" ] || actors=100 paths=10000 total=1000000
make_store audit
mount_archive
python3 - "$MNT/audit" $paths <<'PY'
import os, sys
for d in range(100):
    os.mkdir("%s/d%02d" % (sys.argv[1], d))
for i in range(int(sys.argv[2])):
    fd = os.open("%s/d%02d/f%05d" % (sys.argv[1], i % 100, i), os.O_WRONLY | os.O_CREAT, 0o666)
    os.fchmod(fd, 0o666)
    os.write(fd, b"a record\n")
    os.close(fd)
PY

log_bytes() { coffer status "$STORE" --json | json 'j["bytes"]'; }
counted() { # counted WHICH: "sum" of the refusals told of, or "all", those without an answer too, or "each"
    python3 - "$W/counts" "$1" <<'PY'
import struct, sys
v = struct.unpack("<512Q", open(sys.argv[1], "rb").read(4096))
told, lost = v[:256], v[256:]
print({"sum": sum(told), "all": sum(told) + sum(lost), "each": " ".join("%d+%d" % p for p in zip(told, lost))}[sys.argv[2]])
PY
}
more_than() { [ -s "$W/counts" ] && [ "$(counted sum)" -gt "$1" ]; }

say "$total refused writes by $actors accounts over $paths files"
before=$(log_bytes)
began=$(date +%s%N)
flood "$W/counts" "$MNT/audit" $actors $paths $total &
flood=$!
child $flood
await 600 "half of them" more_than $((total / 2))
pid=$(daemon_pid)
say "killed after $(counted sum), $(awk '/^RssAnon/ {print $2}' "/proc/$pid/status") KiB of anonymous memory"
kill_daemon
mount_archive
code=0; wait $flood || code=$?
same "every refusal was EPERM" 0 $code
say "$(((1000000000 * total / ($(date +%s%N) - began)))) refusals a second, the kill and the mount included"
umount_archive
verify_intact
mount_archive
grew=$(($(log_bytes) - before))
say "the log grew by $grew bytes"
[ $grew -lt 1048576 ] || fail "the log grew by $grew bytes"

coffer log "$STORE" --events --json > "$W/events"
python3 - "$W/events" "$W/counts" $actors $paths <<'PY' || fail "what is on record"
import json, struct, sys
events = [json.loads(l) for l in open(sys.argv[1])]
actors, paths = int(sys.argv[3]), int(sys.argv[4])
v = struct.unpack("<512Q", open(sys.argv[2], "rb").read(4096))
told, lost = v[:256], v[256:]
refused = [e for e in events if e["event"] == "refused"]
assert all(e["operation"] == "write" and e["errno"] == "EPERM" for e in refused), "an event of another kind"
by = {}
for e in refused:
    by[e["actor"]["uid"]] = by.get(e["actor"]["uid"], 0) + e["count"]
for i in range(actors):
    got = by.pop(20000 + i, 0)
    # One that the daemon judged and could not answer any more may be on record: it was refused.
    assert told[i] <= got <= told[i] + lost[i], "uid %d: %d on record, told of %d, unanswered %d" % (20000 + i, got, told[i], lost[i])
assert not by, by
firsts = [e for e in refused if e.get("reason")]
assert {e["actor"]["uid"] for e in firsts} == {20000 + i for i in range(actors)}, "a first of an actor is missing"
names = {e["path"] for e in refused if "path" in e}
listed = [n["path"] for e in refused for n in e.get("names", [])]
names.update(listed)
want = {"audit/d%02d/f%05d" % (i % 100, i) for i in range(paths)}
assert names == want, "%d names on record, %d are missing" % (len(names), len(want - names))
assert len(listed) < 1.05 * paths + actors, "%d names listed" % len(listed)
print("-- %d events, %d names listed, sum %d, told of %d, unanswered %d" % (len(refused), len(listed), sum(e["count"] for e in refused), sum(told), sum(lost)))
PY

say "alarms, for syslog and for journald"
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
mkdir -p /run/systemd/journal "$W/dev"
cat > "$W/listen.py" <<'PY'
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
out = open(sys.argv[2], "ab", buffering=0)
while True:
    out.write(s.recv(65536).replace(b"\n", b"\x1f") + b"\n")
PY
python3 "$W/listen.py" /run/systemd/journal/socket "$W/journal" &
child $!
await 10 "a listener" test -S /run/systemd/journal/socket
umount_archive
mount_archive
said() { tr '\037' '\n' < "$W/journal" | grep -q "$1"; }
expect_fail EPERM as_user dd if=/dev/zero "of=$MNT/audit/d07/f00007" bs=1 count=1 conv=notrunc
await 10 "the alarm" said '^COFFER_EVENT=refused$'
for field in COFFER_OPERATION=write COFFER_PATH=audit/d07/f00007 COFFER_RULE=append-only COFFER_UID=65534 \
    "COFFER_STORE=$STORE" PRIORITY=4 SYSLOG_IDENTIFIER=coffer; do
    said "^$field\$" || { cat "$W/journal"; fail "no field $field"; }
done
expect_fail EPERM python3 -c '
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY)
for i in range(500):
    try: os.pwrite(fd, b"x", 0)
    except OSError as e: assert e.errno == 1, e
os.pwrite(fd, b"x", 0)' "$MNT/audit/d08/f00008"
await 10 "the alarm of a rate" said '^COFFER_EVENT=refusal-rate$'
same "alarms of that rate" 1 "$(tr '\037' '\n' < "$W/journal" | grep -c '^COFFER_EVENT=refusal-rate$')"
# A name may hold a line break: it goes with its length, and makes no field of its own.
mkdir "$MNT/audit"/$'line\nCOFFER_EVENT=forged'
touch "$MNT/audit"/$'line\nCOFFER_EVENT=forged/f'
expect_fail EPERM rmdir "$MNT/audit"
expect_fail EPERM ln "$MNT/audit/d07/f00007" "$MNT/audit"/$'line\nCOFFER_EVENT=forged/hard'
await 10 "its alarm" said '^COFFER_OPERATION=link$'
python3 - "$W/journal" <<'PY' || fail "a name with a line break"
import struct, sys
for line in open(sys.argv[1], "rb").read().split(b"\n"):
    entry, fields = line.replace(b"\x1f", b"\n"), {}
    while entry:
        head, rest = entry.split(b"\n", 1)
        if b"=" in head:
            key, value = head.split(b"=", 1)
        else:
            n = struct.unpack("<Q", rest[:8])[0]
            key, value, rest = head, rest[8:8 + n], rest[8 + n + 1:]
        assert key not in fields, key
        fields[key] = value
        entry = rest
    if fields.get(b"COFFER_OPERATION") == b"link":
        assert fields[b"COFFER_EVENT"] == b"refused", fields
        assert fields[b"COFFER_PATH"] == b"audit/line\nCOFFER_EVENT=forged/hard", fields
        sys.exit(0)
sys.exit("no such entry")
PY
umount_archive
verify_intact
second_reader --list > "$W/list"
