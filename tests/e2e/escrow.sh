#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Escrow without an archive: an epoch made and confirmed, keys judged, sealed, and recovered by a quorum.
. "$(dirname "$0")/lib.sh"

command -v age > /dev/null || skip "age is not installed"
cd "$W"
custodian() { # custodian NAME RECIPIENT
    printf '[custodian %s]\nperson = %s\nplace = %s-safe\nmedium = card-%s\nrecipient = %s\n' "$1" "$1" "$1" "$1" "$2"
}
for n in alice bob carol; do age-keygen -o $n.key 2> /dev/null; done
scheme() { printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob, carol\n'; }
{
    scheme
    for n in alice bob carol; do custodian $n "$(age-keygen -y $n.key)"; done
} > scheme.ini
words() { age -d -i "$1.key" "kit/$1.age"; }

say "an epoch: shares as ciphertexts only, valid once all have confirmed"
sed "s/^recipient = .*/recipient = paper/" scheme.ini > paper.ini
expect_fail "say where the sheets go" coffer escrow epoch --scheme paper.ini -o paper
[ ! -e paper ] || fail "an epoch that was refused left a directory"
coffer escrow epoch --scheme scheme.ini --number 3 -o kit --json > made.json
same "custodians" "alice bob carol" "$(json '" ".join(sorted(j["challenges"]))' < made.json)"
same "dispersed, by two persons" "True 2" "$(json 'j["dispersed"], j["persons_needed"]' < made.json | tr -d '(),')"
expect_fail "cannot be made" coffer escrow epoch --scheme scheme.ini -o kit
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem 2> /dev/null
printf '[req]\ndistinguished_name=d\n[d]\n[enc]\nkeyUsage=keyEncipherment\n[sig]\nkeyUsage=digitalSignature\n[both]\nkeyUsage=digitalSignature,keyEncipherment\n[none]\nsubjectKeyIdentifier=hash\n[ca]\nbasicConstraints=CA:TRUE\nkeyUsage=keyCertSign\n' > conf
for u in enc sig both none ca; do openssl req -x509 -new -key key.pem -subj /CN=$u -days 9 -config conf -extensions $u -out $u.crt; done
fine=(--cert enc.crt --owner subscriber --level 2)
expect_fail "not valid yet" coffer escrow seal key.pem "${fine[@]}" --epoch kit/epoch.json -o key.age
[ ! -e key.age ] || fail "something was sealed to an epoch that is not valid"
nonce() { json "j[\"challenges\"][\"$1\"]" < made.json; }
proof() { coffer share prove --nonce "$(nonce "$1")" --share-fd 3 3< <(words "$1"); }
cp kit/epoch.json before
expect_fail "bob" coffer escrow confirm --epoch kit/epoch.json bob "$(nonce bob)" "$(proof alice)"
expect_fail "no custodian" coffer escrow confirm --epoch kit/epoch.json eve "$(nonce bob)" "$(proof bob)"
cmp -s before kit/epoch.json || fail "a proof that does not hold changed the document"
for n in alice bob carol; do coffer escrow confirm --epoch kit/epoch.json $n "$(nonce $n)" "$(proof $n)" > out; done
grep -q "the epoch is valid" out || fail "$(cat out)"
ok "an epoch"

say "sealed, tried, and opened by a quorum again; no byte of the key anywhere beside its file"
mkdir away
mv key.pem away/
coffer escrow seal away/key.pem "${fine[@]}" --epoch kit/epoch.json -o key.age --json > record.json
same "the record" "True 3 RSA 2048 encrypt $(sha256sum < key.age | cut -d' ' -f1)" \
    "$(json 'j["permitted"], j["epoch"], j["algorithm"], j["bits"], j["usage"], j["sha256"]' < record.json | tr -d "(),'")"
same "its mode" 400 "$(stat -c %a key.age)"
mark=$(sed -n 5p away/key.pem)
if grep -rlF "$mark" --exclude-dir=away .; then fail "a part of the key is in a file"; fi
coffer share combine --epoch kit/epoch.json --decrypt key.age -o back.pem --share-fd 3 --share-fd 4 3< <(words carol) 4< <(words alice) 2> /dev/null
cmp back.pem away/key.pem
expect_fail "exist" coffer escrow seal away/key.pem "${fine[@]}" --epoch kit/epoch.json -o key.age
ok "sealed"

say "a key with a passphrase is kept without it; wiped when asked"
openssl pkcs8 -topk8 -in away/key.pem -passout pass:secret -out locked.pem
expect_fail "passphrase" coffer escrow check locked.pem "${fine[@]}" --passphrase-fd 3 3< <(echo wrong)
coffer escrow seal locked.pem "${fine[@]}" --epoch kit/epoch.json -o locked.age --wipe --passphrase-fd 3 3< <(echo secret) > out
grep -q "On an SSD" out || fail "what wiping means is not said: $(cat out)"
[ ! -e locked.pem ] || fail "the input is still there"
coffer share combine --epoch kit/epoch.json --decrypt locked.age -o back.der --share-fd 3 --share-fd 4 3< <(words bob) 4< <(words alice) 2> /dev/null
openssl pkey -inform DER -in back.der -out back2.pem
cmp back2.pem away/key.pem
ok "a passphrase"

say "what the rules refuse, each by its name"
refused() { # refused RULE ARGS...
    local rule=$1
    shift
    expect_code 1 coffer escrow check "$@"
    grep -qF "refused ($rule)" "$W/out" || fail "$*: not refused for $rule: $(cat "$W/out")"
}
openssl genpkey -algorithm ED25519 -out ed.pem
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem 2> /dev/null
head -c 32 /dev/urandom > raw
S=(--owner subscriber --level 2) CA=(--owner ca --level 3)
refused signing-key away/key.pem --cert sig.crt "${S[@]}"
refused signing-key ed.pem "${S[@]}"
refused both-uses away/key.pem --cert both.crt "${S[@]}"
refused usage-unknown away/key.pem --cert none.crt "${S[@]}"
refused mismatch ec.pem --cert enc.crt "${S[@]}"
refused ca-certificate away/key.pem --cert ca.crt "${S[@]}"
refused subscriber-backup away/key.pem --cert sig.crt --backup "${S[@]}"
refused ca-escrow away/key.pem --cert ca.crt "${CA[@]}"
refused ca-plaintext away/key.pem --cert ca.crt --backup "${CA[@]}"
refused no-token raw --wrapped --cert ca.crt --backup "${CA[@]}"
refused no-reason raw --wrapped --token hsm-1 --cert ca.crt --backup "${CA[@]}"
refused raw raw --raw "${S[@]}"
refused plaintext away/key.pem --cert enc.crt --owner subscriber --level 4
same "as JSON, with its clause" "False signing-key" \
    "$(coffer escrow check ed.pem "${S[@]}" --json 2> /dev/null | json 'j["permitted"], j["rule"]' | tr -d "(),'" || true)"
coffer escrow check raw --wrapped --token hsm-1 --reason rekey --cert ca.crt --backup "${CA[@]}" > out
coffer escrow check away/key.pem --cert none.crt --usage encrypt "${S[@]}" > out
grep -q "as was decided" out || fail "that somebody decided is not said: $(cat out)"
expect_code 2 coffer escrow check away/key.pem
expect_code 2 coffer escrow seal away/key.pem "${fine[@]}"
expect_code 2 coffer escrow other x
ok "rules"
