#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# rsyslog through the mount: 100,000 messages over its TCP and Unix inputs into dynamic file names, with rotation by rename and
# SIGHUP: every message there once. tail -F sees lines within a second. verify intact, the second reader agrees, and a check of
# the checkpoint that shares no code with Coffer agrees.
. "$(dirname "$0")/lib.sh"
command -v rsyslogd > /dev/null || skip "rsyslogd is not installed"

total=100000 # half over each input
make_store audit
mount_archive
cat > "$W/rsyslog.conf" <<CONF
global(workDirectory="$W" maxMessageSize="8k")
module(load="imuxsock" SysSock.Use="off")
module(load="imtcp")
input(type="imuxsock" Socket="$W/log.sock" CreatePath="on" RateLimit.Interval="0" IgnoreTimestamp="off")
input(type="imtcp" Address="127.0.0.1" Port="0" ListenPortFileName="$W/port")
template(name="file" type="string" string="$MNT/audit/%PROGRAMNAME%.log")
template(name="line" type="string" string="%TIMESTAMP% %PROGRAMNAME%%msg%\n")
*.* action(type="omfile" dynaFile="file" template="line" fileCreateMode="0640" dynaFileCacheSize="16" flushOnTXEnd="on")
CONF
rsyslogd -f "$W/rsyslog.conf" -i "$W/rsyslogd.pid" -n > "$W/rsyslogd.out" 2>&1 &
syslogd=$!
child $syslogd
listening() { [ -s "$W/port" ] && [ -S "$W/log.sock" ]; }
await 20 "rsyslogd to listen" listening

say "$total messages"
python3 - "$W/log.sock" "$(cat "$W/port")" $((total / 2)) > "$W/sender.out" 2>&1 <<'PY' &
import socket, sys, threading
path, port, n = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
def tcp():
    s = socket.create_connection(("127.0.0.1", port))
    lines = []
    for i in range(n):
        lines.append(b"<13>Nov 24 12:00:00 host prog%d: tcp %06d of an order that was accepted\n" % (i % 8, i))
        if len(lines) == 50:
            s.sendall(b"".join(lines))
            lines = []
    s.sendall(b"".join(lines))
    s.shutdown(socket.SHUT_WR)
    s.recv(1)
def unix():
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.connect(path)
    for i in range(n):
        s.send(b"<13>Nov 24 12:00:00 prog%d: unix %06d of a login that was refused" % (i % 8, i))
threads = [threading.Thread(target=tcp), threading.Thread(target=unix)]
for t in threads: t.start()
for t in threads: t.join()
PY
sender=$!
child $sender

lines() { cat "$MNT"/audit/* 2> /dev/null | wc -l; }
at_least() { [ "$(lines)" -ge "$1" ]; }
for rotation in 1 2 3 4 5; do
    await 120 "the messages before rotation $rotation" at_least $((rotation * total / 7))
    for k in 0 1 2 3 4 5 6 7; do
        [ ! -e "$MNT/audit/prog$k.log" ] || mv "$MNT/audit/prog$k.log" "$MNT/audit/prog$k.log.$rotation"
    done
    kill -HUP $syslogd
done
wait $sender || { cat "$W/sender.out"; fail "the sender"; }
await 120 "all messages" at_least $total

cat "$MNT"/audit/* | grep -oE '(tcp|unix) [0-9]{6}' | sort > "$W/got"
for i in tcp unix; do seq -f "$i %06g" 0 $((total / 2 - 1)); done | sort > "$W/want"
cmp "$W/want" "$W/got" || { diff "$W/want" "$W/got" | head; fail "messages lost or doubled"; }
[ "$(find "$MNT/audit" -name '*.log.*' | wc -l)" -ge 40 ] || fail "fewer than 40 rotated files"
same "lines in all" $total "$(lines)"

say "tail -F"
tail -n 0 -s 0.2 -F "$MNT/audit/prog0.log" > "$W/tail.out" 2>&1 &
tail=$!
child $tail
logger -u "$W/log.sock" -t prog0 "before"
await 20 "tail to follow" sh -c "logger -u $W/log.sock -t prog0 hello; grep -q hello $W/tail.out"
for i in 1 2 3 4 5; do
    logger -u "$W/log.sock" -t prog0 "mark-$i"
    await 1 "a line to show in tail -F" grep -q "mark-$i" "$W/tail.out"
done

say "everybody agrees"
kill $tail
wait $tail || true
kill -TERM $syslogd
wait $syslogd || true
cat "$MNT"/audit/* | sha256sum > "$W/sum"
(cd "$MNT" && sha256sum audit/* | sort -k 2) > "$W/sums"
coffer verify "$STORE" --auditor-secret "$AUDITOR" > "$W/live.out" || { cat "$W/live.out"; fail "verify beside the daemon"; }
umount_archive
verify_intact
second_reader --list | awk '/ audit\// {print $1 "  " $NF}' | sort -k 2 > "$W/second"
diff "$W/sums" "$W/second" > "$W/diff" || { head "$W/diff"; fail "the second reader sees something else"; }
python3 "$TOP/tests/checkpoint_check.py" "$STORE" "$(coffer status "$STORE" --json | json 'j["vkey"]')"
