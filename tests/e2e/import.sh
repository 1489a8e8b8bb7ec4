#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Other programs' logs become events of the archive: each line once, over rotation, restart and kill; what no rule fits is
# counted and named; a reader that stopped, and a log that is silent, show.
. "$(dirname "$0")/lib.sh"

export COFFER_SOURCES=$TOP/sources
LOG=$W/log/auth.log
mkdir "$W/log"
stamp() { printf '2031-01-02T03:04:%02d.000000+00:00 ca1' "$1"; }
login() { printf '%s sshd[%d]: Accepted publickey for %s from 192.0.2.7 port 1 ssh2: ED25519 SHA256:x\n' "$(stamp 5)" "$1" "$2"; }
events() { coffer events "$STORE" --json --source sshd "$@"; }
logins() { events --type login | jsonl '" ".join(e["signer"] for e in j)'; }
read_log() { coffer import-events --source sshd "$STORE" "$LOG" "$@"; }

make_store audit
mount_archive
# An error of the daemon's is told as that, also one that says that there is nothing.
expect_fail "has no people yet" coffer people show "$STORE"

say "lines become events, with kind, actor, place and time; what no rule fits is named"
{ login 1 alice; echo "$(stamp 6) sshd[2]: something that nobody has heard of"; echo "$(stamp 6) cron[3]: other"
    echo "$(stamp 7) sshd[2]: Failed password for bob from 192.0.2.8 port 2 ssh2"; } > "$LOG"
coffer import-events --try --json --source sshd "$STORE" "$LOG" > "$W/try"
same "tried" "event,no rule,other program,event" "$(jsonl '",".join(e["verdict"] for e in j)' < "$W/try")"
same "nothing recorded" 0 "$(events | wc -l)"
read_log > "$W/said" 2> "$W/named"
grep -q '^4 lines of sshd: 2 events recorded, 1 passed over, 1 that no rule fits' "$W/said" || fail "said: $(cat "$W/said")"
grep -q "$LOG:2: no rule fits" "$W/named" || fail "named: $(cat "$W/named")"
same "login" "A.16.2 success alice 192.0.2.7 2031-01-02T03:04:05" "$(events --type login |
    jsonl '" ".join([j[0][k] for k in ("catalogue", "outcome", "signer", "place", "claimed_time")])[:50]')"
same "failure" "A.16.2 failure warning bob 4" "$(events --type login-failed |
    jsonl '" ".join([j[0][k] for k in ("catalogue", "outcome", "severity", "signer")] + [str(j[0]["read"]["line"])])')"
same "report" "4 2 1 1 True" "$(events --type source-read |
    jsonl '" ".join(str(v) for v in list(j[-1]["counts"].values())[:4] + [j[-1]["detail"].endswith("auth.log:2")])')"

say "again: nothing twice, in a new mount too"
read_log | grep -q '^0 lines' || fail "lines were read twice"
umount_archive
mount_archive
read_log | grep -q '^0 lines' || fail "lines were read twice after a mount"
same "logins" alice "$(logins)"

say "followed: as they come, over a rotation, a kill of the reader and a kill of the daemon"
coffer import-events --follow --report 1s --source sshd "$STORE" "$LOG" & reader=$!
child $reader
login 2 carol >> "$LOG"
came() { [[ $(logins) == *"$1"* ]]; }
has() { [ "$(logins)" = "$1" ]; }
await 10 "carol" has "alice carol"
mv "$LOG" "$LOG.1"
login 3 dave >> "$LOG.1"
login 4 erin > "$LOG"
await 10 "dave and erin" has "alice carol dave erin"
kill -9 $reader
wait $reader || :
login 5 frank >> "$LOG"
mv "$LOG.1" "$LOG.2"
mv "$LOG" "$LOG.1"
login 6 grace > "$LOG"
expect_code 0 coffer import-events --source sshd "$STORE" "$LOG"
same "nothing lost in between" "alice carol dave erin frank grace" "$(logins)"
for i in 1 2 3 4 5 6 7 8 9; do login $i "u$i" >> "$LOG"; done
coffer import-events --follow --report 1s --source sshd "$STORE" "$LOG" & reader=$!
child $reader
await 10 "some of them" came u9
kill_daemon
umount -l "$MNT"
login 7 heidi >> "$LOG"
wait $reader && fail "the reader goes on without a daemon"
mount_archive
read_log > /dev/null
same "each once" "alice carol dave erin frank grace u1 u2 u3 u4 u5 u6 u7 u8 u9 heidi" "$(logins)"

say "a log is neither Coffer nor a person who signed"
sed 's/^name = .*/name = person/' "$TOP/sources/sshd.ini" > "$W/person.ini"
cp "$TOP/sources/sshd.lines" "$W/person.lines"
grep -q '^name = person' "$W/person.ini" || fail "no source of that name was made"
expect_fail '"source" is missing or not as it has to be' coffer import-events --source "$W/person.ini" "$STORE" "$LOG"

say "two readers of one file: the second is refused"
coffer import-events --follow --report 1s --source sshd "$STORE" "$LOG" & reader=$!
child $reader
login 8 ivan >> "$LOG"
await 10 "ivan" came ivan
kill -STOP $reader
login 9 judy >> "$LOG"
read_log > /dev/null
kill -CONT $reader
code=0
wait $reader || code=$?
same "the one that comes late" 1 $code
same "once" 1 "$(events --type login | grep -c judy)"

say "lines that are gone are told"
rm "$LOG".*
login 1 mallory > "$LOG"
read_log > /dev/null 2>&1
same "lost" A.17.1 "$(events --type source-lost | jsonl 'j[-1]["catalogue"]')"

say "a reader that has stopped shows, live and as a gap"
silent() { events --type silence | grep -q 'its reader reported nothing'; }
await 20 "the silence of sshd" silent
expect_code 10 coffer gaps "$STORE" --json
same "the gap" True "$(jsonl 'any(e["kind"] == "silent" and e.get("source") == "sshd" for e in j)' < "$W/out")"

say "coverage: a source that is tested and read covers its kinds, one whose reader has stopped does not"
state() { coffer coverage "$STORE" --level 4 --json > "$W/cover" || [ $? = 10 ]; jsonl "[e['state'] + ' ' + e.get('by', '-') for e in j if e['kind'] == '$1'][0]" < "$W/cover"; }
same "before a test" "missing -" "$(state A.16.2)"
coffer coverage "$STORE" --test sshd | grep -q 'all as expected' || fail "the test of sshd"
same "of a reader that has stopped" "silent sshd" "$(state A.16.2)"
coffer import-events --follow --report 1min --source sshd "$STORE" "$LOG" & reader=$!
child $reader
covered() { [ "$(state A.16.2)" = "source sshd" ]; }
await 10 "a live source" covered
same "what Coffer recorded itself" "source coffer" "$(state A.14.6)"
same "all of level 4" 60 "$(wc -l < "$W/cover")"
expect_code 10 coffer coverage "$STORE" --level 1
grep -Eq "^A.4.1 +source +coffer +[1-9][0-9]* +20[0-9]{2}-..-.. +20[0-9]{2}-..-..T" "$W/out" || fail "count, first and last of a kind: $(cat "$W/out")"
kill $reader
wait $reader

say "a log that promises lines once a day is silent as soon as the policy says, one that promises none never"
printf '[archive]\nsilence = 1s\n' > "$W/soon.ini"
coffer policy apply "$STORE" "$W/soon.ini" > /dev/null
sed 's/^name = .*/name = daily\nsilence = 1d/' "$TOP/sources/sshd.ini" > "$W/daily.ini"
cp "$TOP/sources/sshd.lines" "$W/daily.lines"
for source in sshd "$W/daily.ini"; do
    coffer import-events --follow --report 1min --source "$source" "$STORE" "$LOG" &
    child $!
done
quiet() { coffer events "$STORE" --json --source "$1" --type silence | grep -c 'no line came'; }
daily() { [ "$(quiet daily)" = 1 ]; }
await 10 "the silence of a log" daily
same "of what promises no line" 0 "$(quiet sshd)"
umount_archive
verify_intact
ok import
