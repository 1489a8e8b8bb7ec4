#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The TPM road over swtpm: custodians' keys are enrolled by approved requests, a key that the TPM gives to a set of them who sign
# and to nobody else, a key that was revoked, and an epoch of the TPM that ends by approval: after it the TPM itself refuses what
# was signed before and what is signed then.
. "$(dirname "$0")/lib.sh"

for program in swtpm age-keygen ssh-keygen openssl; do command -v $program > /dev/null || skip "$program is not installed"; done
cd "$W"
mkdir k r kit tpm sess p away
for n in anna ben cleo; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$n; done
age-keygen -o owner.key 2> /dev/null
OWNER=$(age-keygen -y owner.key)
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
make_store audit
{ echo "anna $(pub anna) roles=officer"; echo "ben $(pub ben) roles=officer"; echo "cleo $(pub cleo) roles=auditor"; } > people
coffer people set "$STORE" people -o r --key-file "$KEY" > out
R=$(echo r/*.request)
for n in anna ben; do ssh-keygen -q -Y sign -n coffer-people -f k/$n < "$R" > "$R.$n" 2> /dev/null; done
coffer people accept "$STORE" "$R" "$R.anna" "$R.ben" --key-file "$KEY" > out
mount_archive
S=$MNT/keys
{
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob\n'
    for n in alice bob; do printf '[custodian %s]\nperson = %s\nplace = %s-safe\nmedium = card-%s\nrecipient = paper\n' $n $n $n $n; done
} > scheme.ini
escrow-make scheme.ini kit
for n in alice bob; do
    c=confirm-abcd-efgh-2345-abcd-efgh-2345
    coffer escrow confirm --epoch kit/epoch.json $n $c "$(coffer share prove --nonce $c --share-fd 3 3< kit/$n.words)" > out
done
coffer escrow init "$S" --scheme scheme.ini > out
coffer escrow accept "$S" kit/epoch.json --json > accepted
as=(--as anna --key k/anna --dir r)
approved() { # approved COMMAND…: which makes one request; ben approves it
    rm -f r/*
    "$@" > out || fail "$*: $(cat out)"
    coffer approve "$STORE" r/*.request --key k/ben > out || fail "$(cat out)"
    grep -q ' done' out || fail "$(cat out)"
}
approved coffer request escrow-accept "$STORE" keys "$(json 'j["sequence"]' < accepted)" --as anna --key k/anna -o r
records() { coffer log "$STORE" --json | grep '"type":"escrow"'; }
swtpm socket --tpm2 --tpmstate dir="$W/tpm" --server type=unixio,path="$W/tpm/sock" --ctrl type=unixio,path="$W/tpm/sock.ctrl" \
    --flags not-need-init,startup-clear --daemon --pid file="$W/tpm/pid"
child "$(cat tpm/pid)"
TPM=(--tpm "$W/tpm/sock")
for n in alice bob carol mallory; do
    openssl ecparam -name prime256v1 -genkey -noout -out p/$n.pem 2> /dev/null && openssl pkey -in p/$n.pem -pubout -out p/$n.pub
done
for n in first second; do openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out away/$n.pem 2> /dev/null; done
put() { coffer escrow put "$S" "away/$1.pem" --usage encrypt --owner subscriber --level 2 --tpm-quorum p/quorum.ini --tpm-key "$1.tpm" "${TPM[@]}"; }

say "a custodian's key counts once it was approved, and by nothing that stands in a file"
printf '[quorum]\nsets = alice bob, alice carol\n' > p/quorum.ini
expect_fail "alice has no key for a TPM that was enrolled" put first
for n in alice bob; do approved coffer escrow enroll "$S" $n p/$n.pub --p256 "${as[@]}"; done
rm -f r/*
coffer escrow enroll "$S" carol p/carol.pub --p256 "${as[@]}" > out
expect_fail "carol has no key for a TPM that was enrolled" put first
coffer approve "$STORE" r/*.request --key k/ben > out
expect_fail "enrolled for another custodian" coffer escrow enroll "$S" mallory p/alice.pub --p256 "${as[@]}"
expect_fail "p/../k/anna.pub: " coffer escrow enroll "$S" mallory p/../k/anna.pub --p256 "${as[@]}"
printf '[person alice]\nkey = mallory.pub\n' | cat p/quorum.ini - > p/other.ini
expect_fail "another key is enrolled for alice" coffer escrow put "$S" away/first.pem --usage encrypt --owner subscriber --level 2 \
    --tpm-quorum p/other.ini --tpm-key first.tpm "${TPM[@]}"
printf '[quorum]\nsets = alice, alice carol\n' > p/one.ini
expect_fail "two of its persons at least" coffer escrow put "$S" away/first.pem --usage encrypt --owner subscriber --level 2 \
    --tpm-quorum p/one.ini --tpm-key first.tpm "${TPM[@]}"
[ ! -e first.tpm ] || fail "a file was made"
same "no key came in" "" "$(records | jsonl '" ".join(r["key"] for r in j if r["what"] == "key")')"
printf '[person bob]\nkey = bob.pub\n' >> p/quorum.ini
put first > out || fail "$(cat out)"
grep -q "The TPM opens first.tpm for 2 sets of 3 persons" out || fail "$(cat out)"
counter() { sed -n 's/.*its counter \(0x[0-9a-f]*\) has the value \([0-9]*\):.*/\1 \2/p' out; }
counter=$(counter)
FIRST=$(json 'j["key"]' < first.tpm)
same "on record: which key, by approval" "alice bob carol 3" \
    "$(records | jsonl '" ".join(r["name"] for r in j if r["what"] == "tpm-key") + " %d" % len({r["request"] for r in j if r["what"] == "tpm-key"})')"
same "its digest" "$(openssl pkey -pubin -in p/alice.pub -outform DER | sha256sum | cut -d' ' -f1)" \
    "$(records | jsonl '[r["public_key"] for r in j if r["what"] == "tpm-key"][0]')"
ok "enrolled"

# open FILE KEY OUT [OPTION…]: a session; it reads lines of descriptor 9 while it goes on, and says what it has in err.
open() {
    rm -rf sess go && mkdir sess && mkfifo go
    coffer escrow recover "$S" "$2" -o "$3" --tpm-key "$1" --dir sess "${TPM[@]}" "${@:4}" < go > out 2> err &
    pid=$!
    child $pid
    exec 9> go
    while [ ! -s sess/statement.json ]; do kill -0 $pid 2> /dev/null || return 1; done
}
signs() { openssl dgst -sha256 -sign "p/$1.pem" -out "sess/$2.sig" sess/message; echo >&9; }
said() { while ! grep -q "$1" err; do kill -0 $pid 2> /dev/null || fail "not '$1': $(cat err)"; done; }
closed() { local code=0; exec 9>&-; wait $pid || code=$?; [ $code = "$1" ] || fail "$code, not $1: $(cat err)"; }
release() { approved coffer escrow recover "$S" "$1" --to "$OWNER" --reason "case 19" "${as[@]}"; }

say "the TPM gives it to a set that signs, and to nobody else"
expect_fail "nobody has released" coffer escrow recover "$S" "$FIRST" -o first.age --tpm-key first.tpm --dir sess "${TPM[@]}" < /dev/null
release "$FIRST"
expect_fail "not enough have signed" coffer escrow recover "$S" "$FIRST" -o first.age --tpm-key first.tpm --dir sess "${TPM[@]}" < /dev/null
open first.tpm "$FIRST" first.age || fail "$(cat err)"
sed 's/"seconds":600/"seconds":601/' sess/statement.json > sess/false.json
expect_fail "do not sign it" coffer escrow statement sess/false.json -o m
coffer escrow statement sess/statement.json -o m > shown
cmp m sess/message || fail "what is shown is not what is signed"
grep -q "$OWNER" shown && grep -q "$FIRST" shown && grep -q "600 seconds" shown || fail "$(cat shown)"
signs mallory bob
said "not a signature of bob"
signs bob bob
said "bob has signed"
signs carol carol
said "carol has signed" # two who are no set, or it would have ended
[ ! -e first.age ] || fail "bob and carol are no set"
signs alice alice
closed 0
cmp <(age -d -i owner.key first.age) away/first.pem
coffer escrow status "$STORE" > out || fail "a recovery by the TPM asks for a new epoch: $(cat out)"
ok "a set"

say "a key that was revoked by approval counts no more, in old files and new ones"
approved coffer escrow revoke "$S" tpm-key carol --reason left "${as[@]}"
expect_fail "carol has no key for a TPM that was enrolled" put second
coffer escrow inventory "$STORE" > out
grep -q "^tpm-key alice, enrolled since 20" out && grep -q "^tpm-key carol, revoked since 20" out || fail "$(cat out)"
release "$FIRST"
open first.tpm "$FIRST" again.age || fail "$(cat err)"
signs carol carol
said "carol.sig does not count: the key of carol for a TPM is not enrolled, or was revoked"
signs alice alice
said "alice has signed"
closed 1
[ ! -e again.age ] || fail "it was given to who was revoked"
ok "revoked"

say "an epoch of the TPM ends: asked for, approved, then the counter; the TPM refuses also whom the archive would not"
expect_fail "nobody has approved that this ends" coffer escrow tpm-end "$S" first.tpm "${TPM[@]}"
umount_archive
for n in before again; do cp -a "$STORE" $n; done # in which the release is good, and nothing is known of an end
mount_archive
approved coffer escrow tpm-end "$S" first.tpm --reason "carol left" "${as[@]}"
same "nothing is raised by an approval" "tpm-ended" "$(records | jsonl '" ".join(r["what"] for r in j if "tpm_epoch" in r and r["what"] != "proposed")')"
umount_archive # of one archive one copy is used at a time
opens() { S=$W/$1/keys open first.tpm "$FIRST" "$2" --key-file "$KEY"; }
opens again yes.age || fail "$(cat err)"
signs alice alice
said "alice has signed"
signs bob bob
closed 0
coffer escrow tpm-end "$STORE/keys" first.tpm "${TPM[@]}" --key-file "$KEY" > out || fail "$(cat out)"
grep -q "was raised: no signature opens any more" out || fail "$(cat out)"
opens before no.age && fail "a session began of an epoch that was ended"
grep -q "it was ended, or is of an earlier epoch" err || fail "not the counter: $(cat err)"
[ ! -e no.age ] || fail "it was given out after its end"
mount_archive
expect_fail "was ended, by approval" coffer escrow recover "$S" "$FIRST" -o again.age --tpm-key first.tpm --dir sess "${TPM[@]}" < /dev/null
coffer escrow tpm-end "$S" first.tpm "${TPM[@]}" > out
grep -q "ended before, and that is on record" out || fail "$(cat out)"
expect_fail "approved already" coffer escrow tpm-end "$S" first.tpm --reason again "${as[@]}"
same "on record, with the request" "proposed tpm-ended tpm-raised success True" \
    "$(records | jsonl '" ".join(r["what"] for r in j if "tpm_epoch" in r) + " " + j[-1]["outcome"] + " " + str(len({r["tpm_epoch"] for r in j if "tpm_epoch" in r}) == 1 and [r for r in j if r["what"] == "tpm-ended"][0]["request"] != "")')"
ok "ended"

say "the shares open it still, and what is put anew is of the next epoch"
coffer escrow recover "$S" "$FIRST" -o shares.age --share-fd 3 --share-fd 4 3< kit/alice.words 4< kit/bob.words > out 2> err
cmp <(age -d -i owner.key shares.age) away/first.pem
approved coffer escrow enroll "$S" carol p/carol.pub --p256 "${as[@]}"
put second > out || fail "$(cat out)"
same "the same counter, raised by one" "${counter% *} $((${counter#* } + 1))" "$(counter)"
SECOND=$(json 'j["key"]' < second.tpm)
release "$SECOND"
open second.tpm "$SECOND" second.age || fail "$(cat err)"
signs alice alice
said "alice has signed"
signs bob bob
closed 0
cmp <(age -d -i owner.key second.age) away/second.pem
umount_archive
ok "the next one"

say "verified, and by the second reader"
verify_intact
second_reader --json > reader
same "not permitted" "[]" "$(json 'j["not_permitted"]' < reader)"
ok "verified"
