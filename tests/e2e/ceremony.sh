#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ceremonies: held where there is no archive, carried over into one; rehearsed; interrupted on a terminal and killed at what it writes.
# In a long run killed at each of its writes, syncs, renames and removals.
. "$(dirname "$0")/lib.sh"

command -v age > /dev/null || skip "age is not installed"
command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
cd "$W"
mkdir k
for n in anna ben cleo mallory; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$n; done
for n in alice bob owner; do age-keygen -o $n.key 2> /dev/null; done
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
{ echo "anna $(pub anna) roles=officer"; echo "ben $(pub ben) roles=officer"; echo "cleo $(pub cleo) roles=auditor"; } > people
scheme() { # scheme PLACE
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob\n'
    for n in alice bob; do
        printf '[custodian %s]\nperson = %s\nplace = %s-%s\nmedium = card-%s\nrecipient = %s\n' $n $n $n "$1" $n "$(age-keygen -y $n.key)"
    done
}
scheme safe > scheme.ini
words() { age -d -i "$2.key" "$1/$2.age"; }
all() { printf '%s k/%s\n' anna anna ben ben cleo cleo; }
signers() { for i in 1 2 3 4 5 6; do all; done; }
ceremony() { coffer ceremony "$@" 2> err; }
# What it asks each custodian, as they answer it: proofs DIR KIT CHALLENGES
proofs() {
    for n in alice bob; do
        nonce=$(json "j[\"$n\"]" < "$3")
        echo "$n $(coffer share prove --nonce "$nonce" --share-fd 3 3< <(words "$2" $n))"
    done
}
stopped() { expect_code 3 "$@"; }
state() { ceremony show "$1" --json | json "$2"; }

say "a creation where there is no archive: roll call, told and confirmed before it happens, signed at the end"
expect_fail "two others who confirm" coffer ceremony new creation -o held --people people --archive none --scheme scheme.ini --with anna --with cleo
expect_code 2 coffer ceremony new recovery -o held --people people --archive none --scheme scheme.ini
stopped ceremony new creation -o held --people people --archive none --scheme scheme.ini --reason "the first epoch" --place Taipei < /dev/null
[ ! -e held/kit-1 ] || fail "something was made before anybody was there"
expect_fail "is there already" coffer ceremony new creation -o held --people people --archive none --scheme scheme.ini
# Signed elsewhere, offline: only the statement goes there, only the signature comes back.
mkdir stick
cp held/sign/00-anna stick && ssh-keygen -q -Y sign -n coffer-ceremony -f k/anna stick/00-anna 2> err && cp stick/00-anna.sig held/sign
ssh-keygen -q -Y sign -n coffer-ceremony -f k/mallory held/sign/00-ben 2> err
ssh-keygen -q -Y sign -n coffer-rehearsal -f k/cleo held/sign/00-cleo 2> err
stopped ceremony continue held < /dev/null
grep -q "anna has signed" out && grep -q "ben signed does not count: .*wrong-key" out && grep -q "cleo signed does not count: .*wrong-purpose" out || fail "$(cat out)"
same "who is there" "['anna']" "$(state held 'j["present"]')"
rm held/sign/00-ben.sig held/sign/00-cleo.sig
{ echo go; echo stop; } > in
stopped ceremony continue held < in
grep -q "It takes an auditor who has signed, and two others" out || fail "it went on without them: $(cat out)"
printf 'ben k/ben\ncleo k/cleo\nanna k/anna\ncleo k/cleo\nanna k/anna\nstop\n' > in
stopped ceremony continue held < in
same "one of two has confirmed, and not the auditor" "present present present told agreed" "$(state held '" ".join(l["what"] for l in j["lines"][1:])')"
[ ! -e held/kit-1 ] || fail "something was made that one confirmed"
signers > in
stopped ceremony continue held < in
same "made" "alice.age bob.age challenges.json epoch.json" "$(cd held/kit-1 && echo *)"
expect_fail "not complete: the step confirm" coffer ceremony verify held
words held/kit-1 alice > words-of-alice
same "no word of a share is in what is kept" "" "$(grep -rlF "$(cut -d' ' -f5-7 words-of-alice)" held || true)"
rm words-of-alice
same "reason and place are in the sheet only" held/sheet.json "$(grep -rlE "the first epoch|Taipei" held)"
echo "alice $(coffer share prove --nonce "$(json 'j["bob"]' < held/kit-1/challenges.json)" --share-fd 3 3< <(words held/kit-1 alice))" > in
stopped ceremony continue held < in
grep -q "What alice signed does not count" out || fail "an answer to another's question: $(cat out)"
{ proofs held held/kit-1 held/kit-1/challenges.json; all; } > in
ceremony continue held < in > out || fail "$(cat out err)"
grep -q "The ceremony is complete" out || fail "$(cat out)"
ceremony verify held > out || fail "$(cat err)"
grep -q "creation .*: [0-9]* lines, whole and signed" out || fail "$(cat out)"
same "the epoch is valid" "True []" "$(coffer ceremony show held --json | json 'j["complete"], [l for l in j["lines"] if l["what"] == "failed"]' | tr -d '(),')"
cp -r held whole
ceremony continue held < /dev/null > out
grep -q "is complete" out || fail "one that is complete: $(cat out)"
cmp held/transcript whole/transcript
python3 "$TOP/tests/second_ceremony.py" held/transcript --people people > second
same "the second reader" "creation none complete" "$(json 'j["kind"] + " " + j["archive"] + (" complete" if j["complete"] else "")' < second)"
ok "a creation"

say "changed, cut, forged: refused by each reader with its reason"
refused() { # refused WHAT NEW-DIR
    expect_fail "$1" coffer ceremony verify "$2"
    if python3 "$TOP/tests/second_ceremony.py" "$2/transcript" --people people > second 2>&1; then fail "the second reader took it: $1"; fi
}
copy() { rm -rf other && cp -r whole other; }
copy && sed -i '5s/"plan"/"make"/' other/transcript && refused "line 5" other
copy && sed -i '3d' other/transcript && refused "does not follow the line before" other
copy && sed -i '$d' other/transcript && refused "cleo has not signed the end" other
copy && sed -i '$s/\(SIGNATURE-----\\n.\{200\}\)\(.\)/\1\2\2/' other/transcript && refused "signature" other
copy && head -c -20 whole/transcript > other/transcript && refused "cut off" other
copy && sed -i 's/roles=auditor/roles=custodian/' other/people && expect_fail "another people file" coffer ceremony verify other
ok "refused"

say "carried over: once, by the archive's own people; another archive's, an altered one and an incomplete one are not"
make_store audit -- --recovery held/kit-1/epoch.json
OPEN=(--key-file "$KEY")
mkdir r
expect_fail "nobody is enrolled" coffer ceremony submit "$STORE" held "${OPEN[@]}"
coffer people set "$STORE" people -o r "${OPEN[@]}" > out
R=$(echo r/*.request)
for n in anna ben; do ssh-keygen -q -Y sign -n coffer-people -f k/$n < "$R" > "$R.$n" 2> /dev/null; done
coffer people accept "$STORE" "$R" "$R.anna" "$R.ben" "${OPEN[@]}" > out
mount_archive
copy && sed -i '$d' other/transcript && expect_fail "cleo has not signed the end (incomplete)" coffer ceremony submit "$STORE" other
copy && sed -i '3d' other/transcript && expect_fail "(altered)" coffer ceremony submit "$STORE" other
copy && sed -i 's/Taipei/Tainan/' other/sheet.json && expect_fail "(other-sheet)" coffer ceremony submit "$STORE" other
coffer ceremony submit "$STORE" held > out
grep -q "The transcript of this creation is on record" out || fail "$(cat out)"
expect_fail "in the chain already (replay)" coffer ceremony submit "$STORE" held
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
ok "carried over"

say "a rehearsal says so everywhere, and is nothing else"
{ signers; } > in
stopped ceremony new creation -o practice --rehearsal --people people --archive "$ID" --scheme scheme.ini --language ko < in
grep -q "예행연습입니다" out && grep -q "coffer-rehearsal" out || fail "$(cat out)"
same "the epoch is one" True "$(json 'j["rehearsal"]' < practice/kit-1/epoch.json)"
{ proofs practice practice/kit-1 practice/kit-1/challenges.json; all; } > in
ceremony continue practice --language zh-Hant < in > out || fail "$(cat out)"
grep -q "儀式完成" out || fail "$(cat out)"
copy && sed 's/"rehearsal":true/"rehearsal":false/' practice/transcript > other/transcript && refused "line 2" other
expect_fail "nothing is rehearsed with it" coffer ceremony new resharing -o no --rehearsal --people people --archive "$ID" --scheme scheme.ini --number 2 --epoch held/kit-1/epoch.json
expect_fail "is a rehearsal" coffer ceremony new destruction -o no --people people --archive "$ID" --epoch practice/kit-1/epoch.json
coffer ceremony submit "$STORE" practice > out
grep -q "a REHEARSAL, which counts as nothing else" out || fail "$(cat out)"
same "events" "ceremony ceremony-rehearsal" "$(coffer events "$STORE" --json | jsonl '" ".join(e["event"] for e in j if e["event"].startswith("ceremony"))')"
ok "a rehearsal"

say "resharing, recovery, destruction"
scheme vault > new.ini
signers > in
E=held/kit-1/epoch.json
shares() { "$@" --share-fd 3 --share-fd 4 3< <(words held/kit-1 alice) 4< <(words held/kit-1 bob); }
stopped shares coffer ceremony new resharing -o again --people people --archive "$ID" --scheme new.ini --number 2 --epoch $E < in
same "of the same secret" "$(json 'j["recipient"]' < $E)" "$(json 'j["recipient"]' < again/kit-1/epoch.json)"
{ proofs again again/kit-1 again/kit-1/challenges.json; all; } > in
ceremony continue again < in > out || fail "$(cat out)"
age -r "$(json 'j["recipient"]' < $E)" -o key.age scheme.ini
signers > in
one() { "$@" --share-fd 3 3< <(words held/kit-1 alice); }
stopped one coffer ceremony new recovery -o rec --people people --archive "$ID" --epoch $E --decrypt key.age --to "$(age-keygen -y owner.key)" < in
grep -q "of it counts: not enough shares" out && [ ! -e rec/delivered-1.age ] || fail "$(cat out)"
shares coffer ceremony continue rec < in > out 2> err || fail "$(cat out err)"
same "the attempts" "begun failed begun" "$(state rec '" ".join([l["what"] for l in j["lines"] if l["what"] in ("begun", "failed")][-3:])')"
cmp <(age -d -i owner.key "$(echo rec/delivered-*.age)") scheme.ini
{ all; all; all; } > in
stopped coffer ceremony new destruction -o end --people people --archive "$ID" --epoch $E --custodian bob < in
proofs end held/kit-1 end/challenges.json > answers
{ grep ^alice answers; grep ^bob answers; echo bob; all; } > in
ceremony continue end < in > out || fail "$(cat out)"
grep -q "Destroy the share of bob now" out || fail "$(cat out)"
same "one share" 1 "$(state end 'len([l for l in j["lines"] if l["what"] == "destroyed"])')"
python3 "$TOP/tests/second_ceremony.py" end/transcript --people people > second
for d in again rec end; do coffer ceremony submit "$STORE" $d > out; done
sed "s/$ID/$(printf 'ab%.0s' {1..16})/" end/transcript > other/transcript
expect_fail "(altered)" coffer ceremony submit "$STORE" other
{ all; all; } > in
stopped coffer ceremony new destruction -o foreign --people people --archive "$(printf 'ab%.0s' {1..16})" --epoch $E --custodian bob < in
{ echo abandon; echo abandon; all; } > in
ceremony continue foreign < in > out || fail "$(cat out)"
expect_fail "for another archive (wrong-archive)" coffer ceremony submit "$STORE" foreign
coffer ceremony list "$STORE" > list
same "listed" "creation creation resharing recovery destruction" "$(awk '{print $3}' list | tr '\n' ' ' | sed 's/ $//')"
same "rehearsals among them" 1 "$(grep -c REHEARSAL list)"
umount_archive
verify_intact
second_reader --json > reader
same "the second reader of the archive" "4 1 []" "$(json 'j["ceremonies"]["held"], j["ceremonies"]["rehearsed"], j["not_permitted"]' < reader | tr -d '(),')"
rm -rf "$STORE/index"
same "listed without an index" 5 "$(coffer ceremony list "$STORE" "${OPEN[@]}" | wc -l)"
expect_fail "in the chain already" coffer ceremony submit "$STORE" end "${OPEN[@]}"
ok "the others"
