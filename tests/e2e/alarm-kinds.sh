#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# R60: every kind of alarm that there is (build/tests/support/alarm-kinds lists them from the table in fs/rules) is provoked
# here, and reaches the journal and the hook program within a second of what provoked it. A kind without a case fails this test.
if [ -z "${COFFER_TEST_NET:-}" ]; then # how much a socket holds is a switch of the network's namespace
    export COFFER_TEST_NET=1
    exec unshare -n bash "$0" "$@"
fi
. "$(dirname "$0")/lib.sh"
echo 512 > /proc/sys/net/unix/max_dgram_qlen # as systemd sets it: journald's socket takes a burst

for program in ssh-keygen age-keygen; do command -v $program > /dev/null || skip "$program is not installed"; done
cd "$W"
mkdir -p /run/systemd
mount -t tmpfs tmpfs /run/systemd
mkdir -p /run/systemd/journal hook k r
chown nobody hook
cat > listen.py << 'PY'
import socket, sys, time
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
out = open(sys.argv[2], "ab", buffering=0)
while True:
    line = s.recv(65536).replace(b"\n", b"\x1f")
    out.write(b"%d " % time.time_ns() + line + b"\n")
PY
python3 listen.py /run/systemd/journal/socket journal &
child $!
await 10 "a listener" test -S /run/systemd/journal/socket
cat > tell << SH
#!/bin/bash
IFS= read -r line || [ -n "\$line" ]
printf '%s %s\n' "\$(date +%s%N)" "\$line" >> $W/hook/out
SH
cat > ask.py << 'PY'
# One request to the daemon, as a program beside it makes it.
import glob, json, socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(glob.glob(sys.argv[1] + "/*.sock")[0])
s.sendall(sys.argv[2].encode() + b"\n")
last = [json.loads(line) for line in s.makefile()][-1]
sys.exit(last.get("error"))
PY
chmod 755 tell
touch hook/out journal shown slowest
chown nobody hook/out
ask() { python3 ask.py "$COFFER_RUN_DIR" "$1"; }

# began: what comes from now on counts, and was provoked now. done_now: what was provoked was provoked by now at the latest.
began() { hook_from=$(($(wc -l < hook/out) + 1)) journal_from=$(($(wc -l < journal) + 1)); }
done_now() { moment=$(date +%s%N); }
since() { awk -v from="$1" -v text="$3" 'NR >= from && index($0, text) {print; found = 1; exit} END {exit !found}' "$2"; }
# alarm KIND…: each came to both, within a second of the moment.
alarm() {
    local kind line where ms
    for kind in "$@"; do
        hooked() { since "$hook_from" hook/out "\"event\":\"$kind\""; }
        said() { since "$journal_from" journal "COFFER_EVENT=$kind"$'\x1f'; }
        [ "${WHERE:-}" = journal ] || await 5 "the hook, of $kind ($(head -c 300 out))" hooked
        await 5 "the journal, of $kind" said
        for where in ${WHERE:-hook journal}; do
            if [ $where = hook ]; then line=$(hooked); else line=$(said); fi
            ms=$(((${line%% *} - moment) / 1000000))
            echo "$ms $kind $where" >> slowest
            [ $ms -lt 1000 ] || fail "$kind reached the $where $ms ms after it was provoked"
        done
        echo "$kind" >> shown
    done
}
# provoke KIND… -- COMMAND…: by a command, which succeeds; refuse KIND… -- COMMAND…: which fails.
provoke() {
    local kinds=()
    while [ "$1" != -- ]; do kinds+=("$1") && shift; done
    began
    "${@:2}" > out 2>&1 || fail "${*:2}: $(cat out)"
    done_now
    alarm "${kinds[@]}"
}
refuse() {
    local kinds=()
    while [ "$1" != -- ]; do kinds+=("$1") && shift; done
    began
    "${@:2}" > out 2>&1 && fail "this succeeded: ${*:2}"
    done_now
    alarm "${kinds[@]}"
}
up() { mount_archive "hook=$W/tell${1:+,$1}"; }
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
sign() { ssh-keygen -q -Y sign -n "$2" -f "k/$1" < "$3" > "$3.sig" 2> /dev/null; }
people() { for one in "$@"; do echo "${one%%:*} $(pub "${one%%:*}") roles=${one#*:}"; done; }
requested() { # requested WORD…: made by alice
    rm -f r/*
    coffer request "$1" "$STORE" "${@:2}" --as alice --key k/alice -o r --reason test > out || fail "$(cat out)"
    R=$(echo r/*.request)
}
approve() { coffer approve "$STORE" "$R" --key k/bob; }

for name in alice bob carol mallory; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$name; done
age-keygen -o identity 2> /dev/null
for n in erin frank; do age-keygen -o $n.age 2> /dev/null; done
people alice:officer bob:officer carol:auditor > first.people
people alice:officer bob:officer,operator mallory:auditor > second.people
printf 'retention = 10d\nmode = governance\n' > governed
printf 'leak_guard = report\n' > guarded
printf '[archive]\nlockout = 3\nescrow_drill = 1d\nescrow_full_drill = 1d\ncompromise_within = 1h\ncompromise_to = superior-ca\nsources = gpki\ndisclosure_basis = yes\n' > policy.ini
sed 's/1d/1s/' policy.ini > drills.ini
sed 's/compromise_within = 1h/compromise_within = 2h/' policy.ini > weaker.ini

say "at a mount: keys, another program, options, no confinement, what happened to openers meanwhile"
make_store audit "governed:$W/governed" "guarded:$W/guarded" -- --recovery "$(age-keygen -y identity)"
provoke key-loaded -- up
umount_archive
began
up unconfined
done_now
alarm unconfined changed
umount_archive
printf right > right
printf wrong > wrong
coffer seal add "$STORE" --new passphrase --new-passphrase-fd 4 --key-file "$KEY" 4< right > out || fail "$(cat out)"
open_by() { coffer log "$STORE" --passphrase-fd 3 3< "$1"; }
expect_fail "" open_by wrong
python3 -c 'import sys
p = sys.argv[1]
b = bytearray(open(p, "rb").read())
b[40] ^= 1
open(p, "wb").write(b)' "$STORE/seal/attempts"
for _ in 1 2 3; do expect_fail "" open_by wrong; done # the first is after the damage, which is an event too
expect_fail "locked" open_by right
coffer unlock "$STORE" --identity identity > out || fail "$(cat out)"
coffer seal remove "$STORE" passphrase-1 --key-file "$KEY" > out || fail "$(cat out)"
coffer seal renew "$STORE" --key-file "$KEY" > out 2>&1 || fail "$(cat out)"
coffer seal recovery-renew "$STORE" --recovery "$(age-keygen -y identity)" --key-file "$KEY" > out 2>&1 || fail "$(cat out)"
age-keygen -o auditor.key 2> /dev/null
coffer seal auditor-renew "$STORE" --auditor "$(age-keygen -y auditor.key)" --key-file "$KEY" > out 2>&1 || fail "$(cat out)"
provoke opener-added attempts-lost opener-failed locked opener-refused unlocked opener-removed seal-renewed envelope-renewed auditors-renewed -- up

say "refusals and leaks"
D=$MNT/audit
echo line > "$D/a.log"
refuse refused -- rm "$D/a.log"
provoke refusal-rate -- python3 -c '
import os, sys
for i in range(200):
    try: os.truncate(sys.argv[1], 0)
    except OSError: pass' "$D/a.log"
openssl genpkey -algorithm ed25519 > key.pem 2> /dev/null
provoke leak -- sh -c "cat key.pem > '$MNT/guarded/k'"

say "policies, people, approvals"
coffer people set "$STORE" first.people -o r > out
R=$(echo r/*.request)
for name in alice bob; do sign $name coffer-people "$R" && mv "$R.sig" "$R.$name"; done
provoke people-set person-added -- coffer people accept "$STORE" "$R" "$R.alice" "$R.bob"
provoke policy-changed -- coffer shelf set "$STORE" audit --durability write
provoke policy-set -- coffer policy apply "$STORE" policy.ini
refuse policy-refused -- coffer policy apply "$STORE" weaker.ini
requested people-set @second.people
provoke people-set person-added person-removed roles-changed request-done -- approve
coffer hold begin "$D/a.log" --case case-1 > out || fail "$(cat out)"
requested hold-end case-1
refuse request-refused -- coffer approve "$STORE" "$R" --key k/mallory --as bob
provoke hold-end request-done -- approve
echo record > "$MNT/governed/f" && chmod a-w "$MNT/governed/f"
requested retention-end now governed/f
provoke retention-ended -- approve

requested destroy governed/f
coffer approve "$STORE" "$R" --key k/bob > out 2>&1 || fail "$(cat out)"
provoke destroyed -- coffer approve "$STORE" "$R" --key k/mallory

say "evidence bundles, incidents"
refuse disclosure-refused -- coffer evidence make "$STORE" audit/a.log --basis x -o no.tar
provoke disclosed -- coffer evidence make "$STORE" audit/a.log --to court --basis 'order 12' -o e.tar
began
coffer incident open "$STORE" --kind key-compromise --impact 4,1,0 --text x --as alice --key k/alice -o r > out 2>&1 || fail "$(cat out)"
done_now
alarm incident-due

say "escrow"
S=$MNT/keys
{
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = erin, frank\n'
    for n in erin frank; do
        printf '[custodian %s]\nperson = %s\nplace = %s\nmedium = card\nrecipient = %s\n' $n $n $n "$(age-keygen -y $n.age)"
    done
} > scheme.ini
words() { age -d -i "$1.age" "kit/$1.age"; }
coffer escrow init "$S" --scheme scheme.ini > out 2>&1 || fail "$(cat out)"
coffer escrow epoch --scheme scheme.ini --number 1 -o kit --json > made 2> out || fail "$(cat out)"
for n in erin frank; do
    nonce=$(json "j[\"challenges\"][\"$n\"]" < made)
    coffer escrow confirm --epoch kit/epoch.json $n "$nonce" "$(coffer share prove --nonce "$nonce" --share-fd 3 3< <(words $n))" > out
done
coffer escrow accept "$S" kit/epoch.json --json > accepted
requested escrow-accept keys "$(json 'j["sequence"]' < accepted)"
approve > out || fail "$(cat out)"
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out away.pem 2> /dev/null
refuse escrow-refused -- coffer escrow put "$S" away.pem --usage encrypt --owner ca --level 1
coffer escrow put "$S" away.pem --usage encrypt --owner subscriber --level 2 --json > put 2> out || fail "$(cat out)"
ID=$(json 'j["key"]' < put)
age-keygen -o owner.age 2> /dev/null
requested escrow-release keys "$ID" "$(age-keygen -y owner.age)"
provoke escrow-release -- approve
refuse escrow-attempt escrow-failed -- coffer escrow recover "$S" "$ID" -o mine --share-fd 3 3< <(words erin)
provoke escrow-attempt escrow-recovered -- coffer escrow recover "$S" "$ID" -o mine --share-fd 3 --share-fd 4 3< <(words erin) 4< <(words frank)
coffer shelf set "$STORE" keys --release-delay 1d > out || fail "$(cat out)"
requested escrow-release keys "$ID" "$(age-keygen -y owner.age)"
provoke escrow-delayed -- approve
provoke escrow-vetoed -- coffer refuse "$STORE" "$R" --key k/bob
began
coffer policy apply "$STORE" drills.ini > out || fail "$(cat out)"
moment=$(($(date +%s%N) + 1000000000)) # a second's grace, which is the policy
alarm escrow-overdue

say "vaults and copies, backups, restores, other programs' logs: by what the daemon is told"
for type in vault-mended vault-alarm vault-unreachable restore-drill-failed; do
    provoke $type -- ask "{\"verb\":\"vault-told\",\"type\":\"$type\",\"vault\":\"b\",\"detail\":\"x\"}"
done
for what in met bucket retiring retired enrolled released handed-over; do
    provoke vault-$what -- ask "{\"verb\":\"vault-record\",\"record\":{\"what\":\"$what\",\"name\":\"b\"}}"
done
for type in self-check backup; do
    provoke $type -- ask "{\"verb\":\"note\",\"type\":\"$type\",\"outcome\":\"failure\"}"
    began
    ask "{\"verb\":\"note\",\"type\":\"$type\",\"outcome\":\"success\"}"
    ! tail -n +"$hook_from" hook/out | grep -q "\"event\":\"$type\"" || fail "an alarm for a $type that succeeded"
done
echo "2031-01-02T03:04:05.0+00:00 ca1 sshd[1]: Accepted publickey for al from 192.0.2.7 port 1 ssh2: ED25519 SHA256:x" > auth.log
export COFFER_SOURCES=$TOP/sources
coffer import-events --source sshd "$STORE" auth.log > out 2>&1 || fail "$(cat out)"
sed 's/ al / eve /' auth.log > other.log
mv other.log auth.log
provoke source-lost -- coffer import-events --source sshd "$STORE" auth.log
provoke theft -- ask '{"verb":"import","source":"door","path":"/d","after":{},"events":[{"type":"theft","outcome":"failure",'\
'"severity":"alert","end":5,"line":1,"digest":"'"$(printf '0%.0s' {1..64})"'"}]}'

say "silence, damage, a daemon that stood still"
coffer shelf set "$STORE" audit --silence 1s > out || fail "$(cat out)"
began
echo more >> "$D/a.log"
moment=$(($(date +%s%N) + 1000000000))
alarm silence
provoke silence-ended -- sh -c "echo more >> '$D/a.log'"
coffer shelf set "$STORE" guarded --durability write > out || fail "$(cat out)"
head -c 300000 /dev/urandom > "$MNT/governed/big"
chmod a-w "$MNT/governed/big"
python3 - "$STORE" << 'PY'
import glob, sys
with open(sorted(glob.glob(sys.argv[1] + "/log/*.seg"))[-1], "r+b") as f:
    at = len(f.read().rstrip(b"\0")) - 150000
    f.seek(at)
    byte = f.read(1)
    f.seek(at)
    f.write(bytes([byte[0] ^ 1]))
PY
refuse integrity-failed alarm -- cat "$MNT/governed/big"
umount_archive
up heartbeat=1
began
kill -STOP "$(daemon_pid)"
read -rt 2.2 <> <(:) || true
kill -CONT "$(daemon_pid)"
done_now
alarm gap

say "after a kill: counts that are damaged; and more that happened to openers than is kept"
echo line > "$D/b.log"
for _ in 1 2 3; do expect_fail EPERM rm "$D/b.log"; done
kill_daemon
umount -l "$MNT"
python3 - "$STORE/refusals" << 'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    b = bytearray(f.read())
    for i in range(64, len(b), 64):
        b[i] ^= 1
    f.seek(0)
    f.write(b)
PY
provoke refusals-damaged -- up
umount_archive
for i in $(seq 13); do # openers that come and go: more than are kept one by one, and then something else
    coffer seal add "$STORE" --new file --new-key-file "$W/k/$i" --key-file "$KEY" > out 2>&1 || fail "$(cat out)"
done
for i in $(seq 13); do coffer seal remove "$STORE" "file-$((i + 1))" --key-file "$KEY" > out 2>&1 || fail "$(cat out)"; done
coffer seal renew "$STORE" --key-file "$KEY" > out 2>&1 || fail "$(cat out)"
provoke opener-events -- up

say "a hook that does not keep up"
umount_archive
printf '#!/bin/bash\nexec sleep 1000\n' > hang
chmod 755 hang
mount_archive "hook=$W/hang"
began
for _ in 1 2 3 4; do
    python3 - "$COFFER_RUN_DIR" << 'PY'
import glob, json, socket, sys
for _ in range(100):
    s = socket.socket(socket.AF_UNIX)
    s.connect(glob.glob(sys.argv[1] + "/*.sock")[0])
    s.sendall(b'{"verb":"vault-told","type":"vault-mended","vault":"b","detail":"' + 900 * b"x" + b'"}\n')
    assert "error" not in [json.loads(line) for line in s.makefile()][-1]
PY
done
done_now
WHERE=journal alarm hook-lost # no hook can be told of it

say "the keys come out of their envelope"
umount_archive
coffer recover "$STORE" --identity identity --new-key-file new.key > out 2>&1 || fail "$(cat out)"
KEY=$W/new.key
provoke restore -- up
umount_archive

if [ -n "${COFFER_TESTCLOCK_BUILD:-}" ]; then
    say "a clock that is set"
    PATH=$COFFER_TESTCLOCK_BUILD/tools:$COFFER_TESTCLOCK_BUILD/fs:$PATH
    export COFFER_TEST_CLOCK=$W/clock
    echo "0 0 0" > clock
    STORE=$W/set AUDITOR=$W/set.auditor
    make_store audit -- --test-clock
    up clock-deviation=5
    began
    echo "0 $((7200 * 1000000000)) 0" > clock
    done_now
    alarm clock-reset clock
    umount_archive
else
    say "skipped: a clock that is set needs COFFER_TESTCLOCK_BUILD"
    printf 'clock-reset\nclock\n' >> shown
fi

# What cannot be provoked from outside, and what shows it instead.
cat >> shown << 'END'
guard
request-failed
vault-punctured
END
# guard: only a daemon that somebody took over makes such a call; tests/unit/guard makes them.
# request-failed: what a request would change has to change between the last approval and the act, which are one verb of the
# daemon: a crash between them does it, in tests/sim/test-sim-rules.
# vault-punctured: it takes a receipt that a vault signed for what was destroyed; destroy-vaults.sh has one, and looks at the hook.

say "no kind without a case, and each alarm in the code is a kind"
alarm-kinds | sort > kinds
same "kinds without a case" "" "$(comm -23 kinds <(sort -u shown) | tr '\n' ' ')"
same "cases of no kind" "theft " "$(comm -13 kinds <(sort -u shown) | tr '\n' ' ')"
grep -rhoE 'cof_alarm_info\)?[^;]*\.event = "[a-z-]+"' "$TOP/fs" | grep -oE '"[a-z-]+"' | tr -d '"' | sort -u > told
[ -s told ] || fail "no alarm is found in the code"
same "told, and of no kind" "" "$(comm -23 told kinds | tr '\n' ' ')"
echo "slowest: $(sort -n slowest | tail -n 3 | tr '\n' ';')"
STORE=$W/store AUDITOR=$W/auditor-secret
coffer verify "$STORE" > out 2>&1 || true
[ "$(grep -c "^tampered: log/" out)" = 1 ] || fail "damaged: more than what was damaged here: $(grep ^tampered out)"
ok "$(wc -l < kinds) kinds of alarms"
