#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Vaults whose clocks are hours ahead and behind of the host's: each signs at its own time, and that is on record; the host tells of
# the difference; no clock moves by one that nobody agrees with; a time that was said is never taken back; what a vault's clock
# says is too early is signed later. Nothing is lost. The vaults are of a build with a test clock, the host is not.
. "$(dirname "$0")/lib.sh"
[ -n "${COFFER_TESTCLOCK_BUILD:-}" ] || skip "needs COFFER_TESTCLOCK_BUILD"
command -v ssh-keygen > /dev/null || skip "ssh-keygen is not installed"

cd "$W" || exit 1
mkdir k r
VAULT=$COFFER_TESTCLOCK_BUILD/tools/coffer-vault
clock() { echo "0 $(($2 * 1000000000)) 0" > "clock-$1"; } # clock VAULT SECONDS: ahead of the host's
cat > line << END
#!/bin/bash
host=\${*: -2:1}
COFFER_TEST_WALL=$W/clock-\$host exec "$VAULT" serve "$W/\$host"
END
chmod +x line
export COFFER_SSH=$W/line
HOUR=3600
clock ahead $((3 * HOUR)); clock behind $((-3 * HOUR)); clock north 0; clock south 2

for name in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C '' -f "k/$name"; done
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
sign() { ssh-keygen -q -Y sign -n "$2" -f "k/$1" < "$3" > "$3.$1" 2> /dev/null; }
printf 'retention = 2s\n' > policy
make_store audit "short:$W/policy"
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
{
    echo "alice $(pub alice) roles=officer"
    echo "bob $(pub bob) roles=officer"
    echo "carol $(pub carol) roles=auditor"
} > people
for v in ahead behind north south; do
    COFFER_TEST_WALL=$W/clock-$v "$VAULT" init "$W/$v" --name "vault.example/$v" > init
    sed -n "s/^ *NAME@WHO ssh-ed25519/$v@of-$v ssh-ed25519/p" init >> people
    coffer vault add "$STORE" $v "ssh://$v/x" --administration "of-$v" > /dev/null
done
same "vaults among the people" 4 "$(grep -c "roles=vault" people)"
coffer people set "$STORE" people -o r --key-file "$KEY" > out
R=$(echo r/*.request)
for n in alice bob; do sign $n coffer-people "$R"; done
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" --key-file "$KEY" > out
mount_archive
echo gone > "$MNT/short/gone"
coffer commit "$MNT/short/gone" > /dev/null
sync() { # sync VAULT [CODE]
    local code=0
    began=$(date +%s)
    coffer sync "$STORE" "$1" --json > "sync-$1" 2> err || code=$?
    [ $code = "${2:-0}" ] || { cat err; fail "sync to $1: exit code $code"; }
}
signed_at() { # signed_at VAULT SECONDS: while it was asked, by a clock that is so much ahead
    local at
    at=$(date -u -d "$(jsonl 'j[0]["confirmed"]' < "sync-$1")" +%s)
    [ $at -ge $((began + $2)) ] && [ $at -le $(($(date +%s) + $2)) ] || fail "$1 signed $((at - began)) s behind its being asked, not $2"
}
line() { echo "a line before $1" >> "$MNT/audit/log"; }
all_of() { # all_of VAULT: it has what the host has, and that is whole
    local mine
    mine=$(sed -n 2p "$STORE/checkpoint")
    [ "$(sed -n 2p "$W/$1/archives/$ID/checkpoint")" -le "$mine" ] || fail "vault $1 has more than the host"
    coffer verify "$W/$1/archives/$ID" > out || { cat out; fail "the copy at $1"; }
}
retention() { date -u -d "$(coffer clock "$STORE" --json | json 'j["retention_time"]')" +%s; }

say "each at its own time"
for v in ahead behind north south; do
    line $v
    if [ $v = behind ]; then # its operator and the host's are told, and it signs
        sync $v 5
        grep -q "retention time is .* ahead of this vault's clock" err || fail "a vault that is behind says: $(cat err)"
    else
        sync $v
    fi
    echo new > "$MNT/audit/$v"
    signed_at $v $(($(cut -d' ' -f2 clock-$v) / 1000000000))
    all_of $v
    same "on record" True "$(jsonl 'j[0]["record"]["chained"]' < "sync-$v")"
    same "retention time waits for nobody who is off" 0 "$(jsonl 'j[0]["record"]["caught_up_ms"] // 1000' < "sync-$v")"
done
[ "$(retention)" -le $(($(date +%s) + 1)) ] || fail "retention time ran ahead with a vault's clock"

say "the host tells of it, and of whom it may be"
told() { coffer status "$STORE" --json | json '[f for f in j["faults"] if "what vaults and time stamps have said" in f["text"] and "behind" in f["text"]][0]'; }
await 10 "a fault" told
same "by proof" proof "$(coffer clock "$STORE" --json | json 'j["deviation_by"]')"
coffer explain write "$MNT/audit/ahead" --json > said
same "what was written behind the word of one that is ahead: the host's own clock stays on record" True \
    "$(json 'j["clock_said"] < j["not_before"]' < said)"
right() { # south, which spoke last, is two seconds ahead: until they are over, what it said is
    rm -f said
    echo new > "$MNT/audit/new-$((++RIGHT))"
    coffer explain write "$MNT/audit/new-$RIGHT" --json > said
    [ "$(json '"clock_said" not in j and j["not_before"] <= j["time"]' < said)" = True ]
}
RIGHT=0
await 10 "what is written behind the word of one that is right" right

say "a clock that was set back: the time that was said stands still"
clock north $((-24 * HOUR)); clock ahead 0
for v in north ahead; do
    before=$(jsonl 'j[0]["confirmed"]' < sync-$v)
    line "$v again"
    sync $v
    same "the time of $v" "$before" "$(jsonl 'j[0]["confirmed"]' < sync-$v)"
    all_of $v
done

say "a removal that is early by a vault's clock is kept there, and signed when it is not"
sleep_until() { [ "$(getfattr --only-values -n user.coffer.state "$MNT/short/gone" 2> /dev/null)" = expired ]; }
await 10 "the retention to end" sleep_until
rm -f r/*
coffer request remove "$STORE" short/gone --as carol -o r --reason "its time is over" > out 2>&1 || { cat out; fail "request"; }
R=$(echo r/*.request)
ssh-keygen -q -Y sign -n coffer-request -f k/carol "$R" 2> /dev/null
coffer request submit "$STORE" "$R" --signature "$R.sig" > out 2>&1 || { cat out; fail "submit"; }
rm "$R.sig"
ssh-keygen -q -Y sign -n coffer-approve -f k/alice "$R" 2> /dev/null
coffer approve "$STORE" "$R" --signature "$R.sig" > out 2>&1 || { cat out; fail "approve"; }
[ ! -e "$MNT/short/gone" ] || fail "it was not removed: $(cat out)"
had=$(sed -n 2p "behind/archives/$ID/checkpoint")
expect_code 5 coffer sync "$STORE" behind
grep -q "REMOVE" out "$W/out" 2> /dev/null || grep -qi "remove frame" "$W/out" || fail "it is not said why: $(cat "$W/out")"
same "it signed nothing" "$had" "$(sed -n 2p "behind/archives/$ID/checkpoint")"
sync south
all_of south
clock behind 0
sync behind
all_of behind
[ "$(sed -n 2p "behind/archives/$ID/checkpoint")" -gt "$had" ] || fail "what was kept is not signed now"
umount_archive
coffer verify "$STORE" > out || { cat out; fail "the archive"; }
for v in ahead behind north south; do same "no fork at $v" 0 "$("$VAULT" status "$W/$v" --json | json 'j[0]["forks"]')"; done
ok "clocks that differ"
