#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# release_delay: a release that was approved waits, on a test clock; people are told, and who may vetoes it; what the archive
# refuses meanwhile, what due and requests say, by which clock; a mount in between; both judges.
. "$(dirname "$0")/lib.sh"

command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
command -v age-keygen > /dev/null || skip "age is not installed"
[ -n "${COFFER_TESTCLOCK_BUILD:-}" ] || skip "needs COFFER_TESTCLOCK_BUILD"
PATH=$COFFER_TESTCLOCK_BUILD/tools:$COFFER_TESTCLOCK_BUILD/fs:$PATH
export COFFER_TEST_CLOCK=$W/clock
cd "$W"
mkdir k r kit hook
HOUR=$((3600 * 1000000000))
passed=0 wall=0
clock() { echo "$((passed * HOUR)) $(((passed + wall) * HOUR)) 0" > "$COFFER_TEST_CLOCK"; }
# Until the daemon has looked: retention time has gone on by so much, and the wall clock is where it was set.
seen() {
    coffer clock "$STORE" --json | json '(lambda t: t("retention_time") >= '$((passed * 3600))' and abs(t("wall_clock") - '$(((passed + wall) * 3600))') < 600)(
        lambda k: (__import__("datetime").datetime.fromisoformat(j[k][:19]) - __import__("datetime").datetime.utcnow()).total_seconds() + 60 * (k == "retention_time"))' 2> /dev/null | grep -q True
}
moved() { clock && await 10 "the clock to be seen" seen; }
clock
for n in anna ben cleo otto; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$n; done
age-keygen -o owner.key 2> /dev/null
OWNER=$(age-keygen -y owner.key)
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
make_store audit -- --test-clock
{ echo "anna $(pub anna) roles=officer"; echo "ben $(pub ben) roles=officer"; echo "cleo $(pub cleo) roles=custodian"; echo "otto $(pub otto) roles=operator"; } > people
coffer people set "$STORE" people -o r --key-file "$KEY" > out
R=$(echo r/*.request)
for n in anna ben; do ssh-keygen -q -Y sign -n coffer-people -f k/$n < "$R" > "$R.$n" 2> /dev/null; done
coffer people accept "$STORE" "$R" "$R.anna" "$R.ben" --key-file "$KEY" > out
printf '#!/bin/sh\n{ cat; echo; } >> %s/hook/out\n' "$W" > tell
chmod 755 tell && touch hook/out && chown -R nobody hook
up() { mount_archive "hook=$W/tell"; }
up
S=$MNT/keys
{
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob\n'
    for n in alice bob; do printf '[custodian %s]\nperson = %s\nplace = %s-safe\nmedium = paper\nrecipient = paper\n' $n $n $n; done
} > scheme.ini
escrow-make scheme.ini kit
for n in alice bob; do
    c=confirm-abcd-efgh-2345-abcd-efgh-2345
    coffer escrow confirm --epoch kit/epoch.json $n $c "$(coffer share prove --nonce $c --share-fd 3 3< kit/$n.words)" > out
done
coffer escrow init "$S" --scheme scheme.ini > out
coffer shelf set "$STORE" keys --release-delay 2d > out
expect_fail "release_delay would be shorter" coffer shelf set "$STORE" keys --release-delay 1d
coffer escrow accept "$S" kit/epoch.json --json > accepted
request() { # request ACTION WORD…: made and signed by anna
    rm -f r/*
    coffer request "$1" "$STORE" "${@:2}" --reason "case 17" --as anna --key k/anna -o r > out || fail "$(cat out)"
    R=$(echo r/*.request)
    ID=$(basename "$R" .request)
}
approve() { coffer approve "$STORE" "$R" --key k/ben > out || fail "$(cat out)"; }
request escrow-accept keys "$(json 'j["sequence"]' < accepted)"
approve
grep -q ' done' out || fail "what is no release waits: $(cat out)"
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem 2> /dev/null
coffer escrow put "$S" key.pem --usage encrypt --owner subscriber --level 2 --json > put
KEYID=$(json 'j["key"]' < put)
recover() { coffer escrow recover "$S" "$KEYID" -o "${1:-mine.age}" --share-fd 3 --share-fd 4 3< kit/alice.words 4< kit/bob.words; }
state() { coffer requests "$STORE" --json | jsonl '[r["state"] for r in j if r["id"].startswith("'"$ID"'")][0]'; }
due() { coffer due "$STORE" --json > due || true; json '" | ".join(o["of"] + " " + str(o["overdue"]) for o in j if o["obligation"] == "escrow_release")' < due; }
released() { [ "$(state)" = done ]; }
told() { [ "$(grep -c "\"event\":\"$1\".*$ID" hook/out)" = "${2:-1}" ]; }
kinds() { coffer log "$STORE" --json | jsonl '" ".join(r["what"] for r in j if r["type"] == "escrow" and r.get("key") == "'"$KEYID"'" and r["what"] != "key")'; }

say "approved, and not out: people are told, and it shows until when"
request escrow-release keys "$KEYID" "$OWNER"
approve
grep -q "  waits for a veto (coffer refuse): released in" out || fail "$(cat out)"
await 5 "the alarm" told escrow-delayed
same "approved" approved "$(state)"
same "due names it" "the key $KEYID for $OWNER, request $ID by anna False" "$(due)"
same "and its end" 2 "$(json '[round((__import__("datetime").datetime.fromisoformat(o["due"].rstrip("Z")[:19]) - __import__("datetime").datetime.utcnow()).total_seconds() / 86400) for o in j if o["obligation"] == "escrow_release"][0]' < due)"
expect_fail "waits until" recover
[ ! -e mine.age ] || fail "something was delivered"
same "nothing but the refusals is on record" "" "$(kinds)"
ok "it waits"

say "by the slowest clock: the wall clock a year ahead, and a mount, change nothing"
wall=$((365 * 24))
moved
expect_fail "waits until" recover
umount_archive
up
expect_fail "waits until" recover
await 5 "the alarm of the mount" told escrow-delayed 2
wall=0
passed=47
moved
expect_fail "waits until" recover
passed=49
moved
await 10 "the release" released
same "on record" "release" "$(kinds)"
same "due no more" "" "$(due)"
expect_fail "done already" coffer refuse "$STORE" "$R" --key k/cleo
recover > out 2> err
cmp <(age -d -i owner.key mine.age) key.pem
ok "the slowest clock"

say "a veto: not by anybody; by a custodian or officer, for good"
request escrow-release keys "$KEYID" "$OWNER"
approve
expect_fail "cannot veto" coffer refuse "$STORE" "$R" --key k/otto
same "still" approved "$(state)"
coffer refuse "$STORE" "$R" --key k/cleo > out || fail "$(cat out)"
grep -q "refused: vetoed by cleo" out || fail "$(cat out)"
await 5 "the alarm" told escrow-vetoed
same "due no more" "" "$(due)"
passed=$((passed + 49))
moved
expect_fail "nobody has released" recover again.age
expect_fail "vetoed by cleo" coffer approve "$STORE" "$R" --key k/ben
expect_fail "vetoed by cleo" coffer refuse "$STORE" "$R" --key k/anna
same "no release of it" "release attempt recovered" "$(kinds)"
ok "a veto"

say "whoever asks before the keeper looks; without a daemon"
request escrow-release keys "$KEYID" "$OWNER"
approve
umount_archive
OPEN=(--key-file "$KEY") S=$STORE/keys
expect_fail "waits until" coffer escrow recover "$S" "$KEYID" "${OPEN[@]}" -o again.age --share-fd 3 3< kit/alice.words
same "due of a store" "the key $KEYID for $OWNER, request $ID by anna" "$(coffer due "$STORE" --json "${OPEN[@]}" | json '[o["of"] for o in j if o["obligation"] == "escrow_release"][0]')"
passed=$((passed + 49))
clock
coffer escrow recover "$S" "$KEYID" "${OPEN[@]}" -o again.age --share-fd 3 --share-fd 4 3< kit/alice.words 4< kit/bob.words > out 2> err
cmp <(age -d -i owner.key again.age) key.pem
ok "offline"

say "verified, and by the second reader"
verify_intact
second_reader --json > reader
same "the second reader" "2 []" "$(json '(j["escrow"]["recovered"], j["not_permitted"])' < reader | tr -d '(),')"
ok "verified"
