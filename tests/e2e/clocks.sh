#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The two clocks, and who tries to set them: none ends a retention early, none dates a record before the newest
# proof. About 20 s. The machine's own clock is never set here, since it is not the test's alone: a wall clock that jumps by
# years, under a mount and over a boot (where the RTC sets it), is that of a build with a test clock (COFFER_TESTCLOCK_BUILD).
. "$(dirname "$0")/lib.sh"
command -v openssl > /dev/null || skip "openssl is not installed"
export http_proxy='' https_proxy='' no_proxy=127.0.0.1

TSA=$W/tsa
"$TOP/tests/support/tsa.sh" make "$TSA"
python3 "$TOP/tests/support/tsa-server.py" "$TSA" "$W/port" &
child $!; disown
await 10 "the authority" test -s "$W/port"
URL=http://127.0.0.1:$(cat "$W/port")

clock() { coffer clock "$STORE" --json | json "$1"; }
refused() { # WORDS COMMAND …: fails, and says these words
    local words=$1 code=0
    shift
    "$@" > "$W/out" 2>&1 < /dev/null || code=$?
    [ $code = 1 ] || fail "exit code $code of: $*: $(cat "$W/out")"
    tr '\n' ' ' < "$W/out" | grep -qF -- "$words" || fail "no '$words' in: $(cat "$W/out")"
}
bounds() { getfattr --only-values -n user.coffer.time "$1" 2> /dev/null; }
seconds() { date -u -d "$1" +%s; }

# ---- stamps, through a daemon

make_store audit
mount_archive
echo one > "$MNT/audit/one"; chmod 444 "$MNT/audit/one"
[[ "$(bounds "$MNT/audit/one")" == *" [../..]" ]] || fail "a proof that nobody gave: $(bounds "$MNT/audit/one")"
coffer clock "$STORE" | grep -q "no proof bounds it" || fail "clock does not say that there is no proof"
coffer clock "$STORE" --stamp "$URL/ok" > "$W/out"
grep -q "not a proof" "$W/out" || fail "a token without --ca passes for a proof: $(cat "$W/out")"
[[ "$(bounds "$MNT/audit/one")" == *" [../..]" ]] || fail "a claimed token bounds something"
same "what is claimed" "O=Test,CN=tsa" "$(clock 'j["claimed"]["authority"]' | tr , '\n' | sort -r | paste -sd,)"
coffer clock "$STORE" --stamp "$URL/ok" --ca "$TSA/ca.pem" > "$W/out"
grep -q "the first" "$W/out" || fail "$(cat "$W/out")"
echo two > "$MNT/audit/two"; chmod 444 "$MNT/audit/two"
[[ "$(bounds "$MNT/audit/one")" == *" [../2"*"]" ]] || fail "one: $(bounds "$MNT/audit/one")"
[[ "$(bounds "$MNT/audit/two")" == *" [2"*"/..]" ]] || fail "two: $(bounds "$MNT/audit/two")"
coffer clock "$STORE" --stamp "$URL/ok" --ca "$TSA/ca.pem" --json > "$W/stamped"
same "a proof" True "$(json 'j["proof"]' < "$W/stamped")"
two=$(bounds "$MNT/audit/two")
[[ "$two" =~ \[(.*)/(.*)\] ]] || fail "two: $two"
from=$(seconds "${BASH_REMATCH[1]}") to=$(seconds "${BASH_REMATCH[2]}") now=$(date +%s)
[ "$from" -le "$now" ] && [ $((now - from)) -lt 60 ] && [ "$to" -ge "$from" ] && [ $((to - now)) -lt 60 ] || fail "two: $two"
coffer ls "$MNT/audit" --json | jsonl 'sorted("not_after" in x for x in j)' > "$W/out"
same "ls shows the interval" "[True, True]" "$(cat "$W/out")"
coffer explain write "$MNT/audit/two" --json | json '"not_before" in j and "not_after" in j' > "$W/out"
same "explain shows the interval" True "$(cat "$W/out")"
coffer ls -l "$MNT/audit" | grep -q "not before" || fail "coffer ls -l shows no interval"
ok "stamps through a daemon"

# ---- what is refused, and why

refused "status 404" coffer clock "$STORE" --stamp "$URL/missing"
refused "leads elsewhere" coffer clock "$STORE" --stamp "$URL/moved"
refused "text/html" coffer clock "$STORE" --stamp "$URL/text"
refused "more than" coffer clock "$STORE" --stamp "$URL/large"
refused "cannot be asked" coffer clock "$STORE" --stamp "$URL/cut"
refused "cannot be asked" coffer clock "$STORE" --stamp "http://127.0.0.1:1/"
refused "does not lead to" coffer clock "$STORE" --stamp "$URL/ok" --ca "$TSA/other-ca.pem"
printf 'no\0certificate' > "$W/no-ca"
for ca in "$KEY" "$W/no-ca"; do refused "no certificate in PEM" coffer clock "$STORE" --stamp "$URL/ok" --ca "$ca"; done
refused "none of the checkpoints" coffer clock "$STORE" --stamp "$URL/old"
coffer clock "$STORE" --stamp-request "$W/query" > /dev/null
"$TOP/tests/support/tsa.sh" answer "$TSA" "$W/query" "$W/answer"
cp "$W/answer" "$W/longer"; echo >> "$W/longer"
refused "stand behind" coffer clock "$STORE" --stamp "$W/longer"
head -c 40000 /dev/zero > "$W/huge"
refused "more than" coffer clock "$STORE" --stamp "$W/huge"
python3 - "$W/answer" "$W/broken" <<'END'
import sys
b = bytearray(open(sys.argv[1], "rb").read())
b[-1] ^= 1
open(sys.argv[2], "wb").write(b)
END
refused "signature does not hold" coffer clock "$STORE" --stamp "$W/broken"
coffer clock "$STORE" --stamp "$W/answer" --ca "$TSA/ca.pem" > /dev/null
same "answered" 0 "$(clock 'j["queries"]' | awk '{print ($1 > 16)}')"
ok "answers that are refused"

# ---- unmounted; and verify, which has to be told whom to trust

umount_archive
coffer clock "$STORE" > "$W/out"
grep -q "^Proof .*CN=tsa" "$W/out" || fail "an unmounted store does not tell of its proof: $(cat "$W/out")"
coffer clock "$STORE" --stamp "$URL/ok" --ca "$TSA/ca.pem" --key-file "$KEY" > /dev/null
coffer clock "$STORE" --stamp-request "$W/query" --key-file "$KEY" > /dev/null
"$TOP/tests/support/tsa.sh" answer "$TSA" "$W/query" "$W/answer"
coffer clock "$STORE" --stamp "$W/answer" --ca "$TSA/ca.pem" --key-file "$KEY" > /dev/null
coffer verify "$STORE" --tsa-ca "$TSA/ca.pem" --json > "$W/verified"
same "tokens" "[6, 6]" "$(json '[j["stamps"], j["stamps_proven"]]' < "$W/verified")"
same "who verified" intact "$(json 'j["verdict"]' < "$W/verified")"
coffer verify "$STORE" --tsa-ca "$TSA/other-ca.pem" --json > "$W/verified"
same "tokens of another authority" "[6, 0]" "$(json '[j["stamps"], j["stamps_proven"]]' < "$W/verified")"
coffer verify "$STORE" | grep -q "6 time stamps" || fail "verify says nothing of time stamps"
second_reader > "$W/out" || fail "the second reader: $(tail -n 3 "$W/out")"
ok "unmounted, and verified"

# ---- an older copy of the store, from before the last proof

mount_archive
coffer clock "$STORE" --stamp "$URL/ok" --ca "$TSA/ca.pem" > /dev/null
umount_archive
cp -a "$STORE" "$W/older"
mount_archive
coffer clock "$STORE" --stamp "$URL/ok" --ca "$TSA/ca.pem" > /dev/null
echo three > "$MNT/audit/three"; chmod 444 "$MNT/audit/three"
kept=$(clock 'j["retention_time"]')
[[ "$(bounds "$MNT/audit/three")" == *" [2"*"/..]" ]] || fail "three: $(bounds "$MNT/audit/three")"
umount_archive
mv "$STORE" "$W/newer"; cp -a "$W/older" "$STORE"
mount_archive
[ "$(seconds "$(clock 'j["retention_time"]')")" -le $(($(seconds "$kept") + 60)) ] || fail "an older copy's retention ran ahead"
echo four > "$MNT/audit/four"; chmod 444 "$MNT/audit/four"
[[ "$(bounds "$MNT/audit/four")" == *" [2"*"/..]" ]] || fail "dated before the newest proof: $(bounds "$MNT/audit/four")"
umount_archive
rm -rf "$STORE"; mv "$W/newer" "$STORE"
ok "an older copy"

# ---- a daemon that stands still

mount_archive
began=$(date +%s%N) before=$(clock 'j["retention_time"]')
kill -STOP "$(daemon_pid)"
read -rt 1.2 <> <(:) || true
kill -CONT "$(daemon_pid)"
after=$(clock 'j["retention_time"]') took=$(($(date +%s%N) - began))
passed=$((($(date -u -d "$after" +%s%N) - $(date -u -d "$before" +%s%N)) / 1000000))
[ $passed -ge 1000 ] && [ $passed -le $((took / 1000000 + 50)) ] || fail "$passed ms of retention in $((took / 1000000)) ms"
umount_archive
ok "a daemon that stood still ($passed ms of retention in $((took / 1000000)) ms)"

# ---- a boot-time clock of somebody's own making

if unshare -T --boottime 315360000 true 2> /dev/null; then
    refused_ns() { # COMMAND …: in a time namespace ten years ahead
        local code=0
        unshare -T --boottime 315360000 --fork "$@" > "$W/out" 2>&1 || code=$?
        [ $code != 0 ] || fail "taken in another time namespace: $*"
        tr '\n' ' ' < "$W/out" | grep -q "time namespace of its own" || fail "$(cat "$W/out")"
    }
    refused_ns mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY"
    refused_ns coffer init "$W/other" --shelf audit --key-file "$KEY"
    refused_ns coffer clock "$STORE" --stamp "$URL/ok" --key-file "$KEY"
    mount_archive
    [ "$(clock 'j["lag_ms"]')" -gt -60000 ] || fail "retention is ahead"
    umount_archive
    ok "a time namespace ten years ahead"
else
    say "no time namespaces here: not tried"
fi

# ---- a TPM's clock, set forward ten years

if command -v swtpm > /dev/null && command -v tpm2_setclock > /dev/null; then
    mkdir "$W/tpm"
    swtpm socket --tpm2 --tpmstate dir="$W/tpm" --server type=unixio,path="$W/tpm/sock" \
        --ctrl type=unixio,path="$W/tpm/sock.ctrl" --flags not-need-init,startup-clear --daemon --pid file="$W/tpm/pid"
    child "$(cat "$W/tpm/pid")"
    export COFFER_TPM=$W/tpm/sock TPM2TOOLS_TCTI=swtpm:path=$W/tpm/sock
    rm -rf "$STORE"
    coffer init "$STORE" --seal tpm2 --no-recovery --shelf audit > /dev/null
    forward() { # nobody else may hold the connection of a virtual TPM
        tpm2_setclock "$((315360000000 + $(tpm2_readclock | awk '/clock:/ {print $2; exit}')))" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
    }
    mount.coffer "$STORE" "$MNT"
    before=$(clock 'j["retention_time"]')
    same "the TPM bounds retention" True "$(clock 'j["tpm"]["bounds_retention"]')"
    umount_archive
    forward
    mount.coffer "$STORE" "$MNT"
    passed=$(($(seconds "$(clock 'j["retention_time"]')") - $(seconds "$before")))
    [ $passed -lt 60 ] || fail "the TPM's clock ended $passed s of retention"
    [ "$(clock 'j["tpm"]["clock_ms"]')" -gt 315360000000 ] || fail "the clock was not set forward"
    # gone: retention stands still, and somebody is told
    kill -9 "$(cat "$W/tpm/pid")"
    stands() { coffer status "$STORE" --json | json 'str(j["faults"])' | grep -q "stands still"; }
    await 20 "the fault" stands
    before=$(clock 'j["retention_time"]')
    clock 'j["tpm"]["error"]' > /dev/null || fail "clock says nothing of the TPM that is gone"
    read -rt 1.2 <> <(:) || true
    same "retention without its TPM" "$before" "$(clock 'j["retention_time"]')"
    echo five > "$MNT/audit/five" || fail "writing stops without the TPM"
    ok "a TPM's clock set forward, and gone"
else
    say "no swtpm or tpm2-tools here: TPM clock not tried"
fi

# ---- the wall clock and the RTC set by ten years, under a mount and over a boot

if [ -z "${COFFER_TESTCLOCK_BUILD:-}" ]; then
    say "skipped: a wall clock that is set needs COFFER_TESTCLOCK_BUILD"
    exit 0
fi
if [ -n "$(daemon_pid)" ]; then umount_archive; fi
PATH=$COFFER_TESTCLOCK_BUILD/tools:$COFFER_TESTCLOCK_BUILD/fs:$PATH
unset COFFER_TPM
STORE=$W/set AUDITOR=$W/set.auditor
export COFFER_TEST_CLOCK=$W/test-clock
ten=315360000 passed=0
# machine WALL BOOT: by so many seconds the wall clock is off; of another boot, its boot-time clock begins again.
machine() { echo "$((passed * 1000000000)) $(($1 * 1000000000)) $2" > "$COFFER_TEST_CLOCK"; }
wall_is() { local off=$(($(seconds "$(clock 'j["wall_clock"]')") - $(date +%s) - $1)); [ ${off#-} -lt 60 ]; }
events() { coffer log "$STORE" --json | jsonl "len([e for e in j if e['type'] == 'clock'])"; }
kept() { # what ten years would end is there as before, and nothing but true time passed for it
    local n
    same "the state of $1" committed "$(getfattr --only-values -n user.coffer.state "$MNT/audit/$1" 2> /dev/null)"
    expect_fail EPERM rm -f "$MNT/audit/$1"
    n=$(($(seconds "$(clock 'j["retention_time"]')") - began - passed))
    [ $n -ge -60 ] && [ $n -lt 60 ] || fail "$n s of retention that did not pass"
}
machine 0 0
printf 'retention = 10d\n' > "$W/ten-days"
make_store "audit:$W/ten-days" -- --test-clock
began=$(date +%s)
mount_archive
echo record > "$MNT/audit/record"; chmod 444 "$MNT/audit/record"
coffer clock "$STORE" --stamp "$URL/ok" --ca "$TSA/ca.pem" > /dev/null
for off in $ten -$ten; do
    n=$(events)
    machine $off 0
    await 10 "the wall clock to be seen" wall_is $off
    recorded() { [ "$(events)" -gt "$n" ]; }
    await 10 "the step to be on record" recorded
    kept record
    coffer status "$STORE" --json | json 'str(j["faults"])' | grep -q "The wall clock is .* $([ $off = $ten ] && echo ahead || echo behind)" ||
        fail "no fault tells of the wall clock"
done
# ten years back, and a proof that was chained before: no record behind it is dated before it
echo back > "$MNT/audit/back"; chmod 444 "$MNT/audit/back"
[[ "$(bounds "$MNT/audit/back")" =~ \[(.*)/\.\.\] ]] || fail "back: $(bounds "$MNT/audit/back")"
[ $(($(date +%s) - $(seconds "${BASH_REMATCH[1]}"))) -lt 60 ] || fail "dated before the newest proof: $(bounds "$MNT/audit/back")"
umount_archive
ok "the wall clock ten years ahead, and back"
# a machine that starts with its RTC set: the wall clock is another from the first moment on, and the time since boot is short
for off in $ten -$ten; do
    machine $off $((off > 0 ? 1 : 2))
    mount_archive
    await 10 "the wall clock to be seen" wall_is $off
    kept record
    echo "$off" > "$MNT/audit/boot$off"; chmod 444 "$MNT/audit/boot$off"
    kept "boot$off"
    [[ "$(bounds "$MNT/audit/boot$off")" =~ \[(.*)/\.\.\] ]] || fail "$off: $(bounds "$MNT/audit/boot$off")"
    [ $(($(date +%s) - $(seconds "${BASH_REMATCH[1]}"))) -lt 60 ] || fail "dated before the newest proof: $(bounds "$MNT/audit/boot$off")"
    coffer status "$STORE" --json | json 'str(j["faults"])' > "$W/faults"
    [ $off = $ten ] || grep -q "The wall clock is .* behind" "$W/faults" || fail "a wall clock before the newest proof is no fault: $(cat "$W/faults")"
    umount_archive
done
code=0
coffer verify "$STORE" --auditor-secret "$AUDITOR" --tsa-ca "$TSA/ca.pem" > "$W/out" || code=$?
same "intact: a host's clock is nobody's crime" 0 $code
grep -q "frames, this one first, carry a record time before a proof that was chained before" "$W/out" || fail "verify: $(cat "$W/out")"
ok "an RTC set by ten years over a boot"
