#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An escrowed key destroyed with its backups (R29): at any time, by its quorum; the certificate has each custodian's share open by
# name until its destruction is on record, due and compliance say so, and R29 passes once none is open.
. "$(dirname "$0")/lib.sh"

command -v age > /dev/null || skip "age is not installed"
command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
cd "$W"
mkdir k r away
S=$STORE/keys OPEN=(--key-file "$KEY")
for n in anna ben cleo; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$n; done
for n in alice bob; do age-keygen -o $n.key 2> /dev/null; done
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
words() { age -d -i "$1.key" "kit/$1.age"; }
request() { # request ACTION WORD...: made and signed by anna
    rm -f r/*
    coffer request "$1" "$STORE" "${@:2}" --as anna --key k/anna -o r "${OPEN[@]}" > out 2>&1 || fail "$(cat out)"
    R=$(echo r/*.request)
}
approve() { coffer approve "$STORE" "$R" --key "k/$1" "${OPEN[@]}" > out 2>&1 || fail "$(cat out)"; }
finding() { coffer compliance "$STORE" --profile "$TOP/profiles/gpki-3.ini" --json > report || [ $? = 3 ] || fail compliance; json "[r['finding'] for r in j['rows'] if r['rule'] == '$1'][0]" < report; }

make_store audit
{ echo "anna $(pub anna) roles=officer"; echo "ben $(pub ben) roles=officer"; echo "cleo $(pub cleo) roles=auditor"; } > people
coffer people set "$STORE" people -o r "${OPEN[@]}" > out
R=$(echo r/*.request)
for n in anna ben; do ssh-keygen -q -Y sign -n coffer-people -f k/$n < "$R" > "$R.$n" 2> /dev/null; done
coffer people accept "$STORE" "$R" "$R.anna" "$R.ben" "${OPEN[@]}" > out
printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob\n' > scheme.ini
for n in alice bob; do printf '[custodian %s]\nperson = %s\nplace = %s-safe\nmedium = card-%s\nrecipient = %s\n' $n $n $n $n "$(age-keygen -y $n.key)"; done >> scheme.ini
coffer escrow init "$S" --scheme scheme.ini "${OPEN[@]}" > out
coffer escrow epoch --scheme scheme.ini --number 1 -o kit --json > made
for n in alice bob; do
    nonce=$(json "j[\"challenges\"][\"$n\"]" < made)
    coffer escrow confirm --epoch kit/epoch.json $n "$nonce" "$(coffer share prove --nonce "$nonce" --share-fd 3 3< <(words $n))" > out
done
E=$(coffer escrow accept "$S" kit/epoch.json "${OPEN[@]}" --json | json 'j["sequence"]')
mount_archive
S=$MNT/keys OPEN=()
request escrow-accept keys "$E"
approve ben
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out away/key.pem 2> /dev/null
printf '[req]\ndistinguished_name=d\n[d]\n[enc]\nkeyUsage=keyEncipherment\n' > conf
openssl req -x509 -new -key away/key.pem -subj /CN=enc -days 9 -config conf -extensions enc -out enc.crt
ID=$(coffer escrow put "$S" away/key.pem --cert enc.crt --owner subscriber --level 2 --json | json 'j["key"]')
cp "$S/$ID.age" away/age

say "nothing was destroyed yet; a plan says what would be open"
same "R29" MANUAL "$(finding R29)"
echo plain > "$MNT/keys/other"; chmod a-w "$MNT/keys/other"
coffer destroy plan "$STORE" "keys/$ID.age" keys/other --json > plan || fail "plan"
same "what may be" "True True, False False" "$(json '", ".join("%s %s" % (f["allowed"], f["escrow"]) for f in j["files"])' < plan)"
same "shares" "alice, epoch 1; bob, epoch 1" "$(json '"; ".join(c["name"] for c in j["copies"] if c["kind"] == "share" and c["open"])' < plan)"

say "destroyed by its quorum, the auditor among it, whatever its retention"
request destroy "keys/$ID.age"
approve ben
cmp "$S/$ID.age" away/age || fail "destroyed without the auditor"
approve cleo
grep -q ' done' out || fail "$(cat out)"
REQUEST=$(sha256sum < "$R" | cut -d' ' -f1)
expect_fail ENODATA cat "$S/$ID.age"
same "without a certificate" FAIL "$(finding R29)"
coffer due "$STORE" > out && fail "nothing is due"
grep -q "a certificate of what was destroyed" out || fail "due: $(cat out)"

say "the certificate: shares open by name, until their destruction is on record"
coffer destroy certificate "$STORE" "$REQUEST" -o first.json > out || fail "$(cat out)"
grep -q "UNKNOWN *share *alice, epoch 1  (open)" out || fail "$(cat out)"
same "its digest is on record" "$(sha256sum < first.json | cut -d' ' -f1)" \
    "$(coffer events "$STORE" --type destruction-certificate --json | jsonl 'j[-1]["detail"].split()[-1]')"
same "shares are open" FAIL "$(finding R29)"
json '[r["evidence"] for r in j["rows"] if r["rule"] == "R29"][0]' < report | grep -q "share alice, epoch 1, share bob, epoch 1" || fail "open ones: $(cat report)"
coffer due "$STORE" > out && fail "nothing is due"
grep -q "share alice, epoch 1" out || fail "due: $(cat out)"
coffer escrow destroyed "$S" 1 alice > out || fail "$(cat out)"
coffer destroy certificate "$STORE" "$REQUEST" > out
grep -q "PASS *share *alice, epoch 1" out || fail "$(cat out)"
same "one share is open" FAIL "$(finding R29)"
coffer escrow destroyed "$S" 1 bob > out || fail "$(cat out)"
coffer destroy certificate "$STORE" "$REQUEST" --agreement "contract 7" --medium "disk 1" --json > last.json
same "no copy is open" 0 "$(json 'sum(c["open"] for c in j["copies"])' < last.json)"
same "who concurred" "anna ben cleo" "$(json '" ".join(v["name"] for v in j["validation"])' < last.json)"
same "R29" PASS "$(finding R29)"
same "R50" PASS "$(coffer compliance "$STORE" --profile "$TOP/profiles/insurance.ini" --json > report || true; json '[r["finding"] for r in j["rows"] if r["rule"] == "R50"][0]' < report)"
coffer due "$STORE" | grep destruction && fail "it is due still"
umount_archive
verify_intact
second_reader > out 2>&1 || fail "second reader: $(cat out)"
ok destroy-keys
