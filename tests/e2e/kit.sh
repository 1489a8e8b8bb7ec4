#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Recovery from paper and kit where Coffer is not: sheets, an independent SLIP-39, the kit's own program, age.
. "$(dirname "$0")/lib.sh"

for tool in age weasyprint pdftotext; do command -v $tool > /dev/null || skip "$tool is not installed"; done
cd "$W"
age-keygen -o carol.key 2> /dev/null
custodian() { printf '[custodian %s]\nperson = Officer %s\nplace = %s safe\nmedium = paper\ncontact = %s@coffer.example\nrecipient = %s\n' "$1" "$1" "$1" "$1" "$2"; }
{
    printf '[scheme]\nname = root\ngroups = 1\ncall = extension 42\n[group officers]\nthreshold = 2\nmembers = alice, bob, carol\n'
    custodian alice paper; custodian bob paper; custodian carol "$(age-keygen -y carol.key)"
} > scheme.ini
mkdir disk
mount -t tmpfs tmpfs disk
mkfifo pipe
cat pipe > disk/sheets.pdf &
coffer escrow epoch --scheme scheme.ini -o made --sheets-fd 3 --json 3> pipe > made.json 2> said
wait $!
openssl genpkey -algorithm X25519 -out key.pem
expect_fail "not valid yet" coffer escrow kit made/carol.age --epoch made/epoch.json -o kit
words_of() { # words_of PAGE: by their numbers, four letters of each, as somebody would type them
    pdftotext -f "$1" -l "$1" -layout disk/sheets.pdf - | grep -oE '[0-9]+\. +[a-z]{4,8}( |$)' | sort -n | awk '$1 + 0 == ++n {print n ". " substr($2, 1, 4)}'
}
words_of 1 > disk/alice
words_of 2 > disk/bob
age -d -i carol.key made/carol.age > disk/carol
for n in alice bob carol; do
    nonce=$(json "j['challenges']['$n']" < made.json)
    coffer escrow confirm --epoch made/epoch.json $n "$nonce" "$(coffer share prove --nonce "$nonce" --share-fd 3 3< disk/$n)" > /dev/null
done
coffer escrow seal key.pem --owner subscriber --level 2 --epoch made/epoch.json -o key.age > /dev/null
make_store audit -- --recovery made/epoch.json

say "the kit: whole, nothing secret, and only what belongs in"
expect_code 2 coffer escrow kit --epoch made/epoch.json -o kit
expect_fail "no age file" coffer escrow kit key.pem --epoch made/epoch.json -o not
coffer escrow kit key.age --epoch made/epoch.json --envelope "$STORE/seal/recovery.age" -o kit > out
expect_fail "cannot be made" coffer escrow kit key.age --epoch made/epoch.json -o kit
same "files" "CUSTODIANS.txt RECOVERY.txt SHA256SUMS epoch.json identity.py keys/key.age recovery.age scheme.ini words.txt" \
    "$(cd kit && find . -type f | sed 's#^\./##' | sort | tr '\n' ' ' | sed 's/ $//')"
(cd kit && sha256sum -c --quiet SHA256SUMS)
same "all of them are summed" 8 "$(wc -l < kit/SHA256SUMS)"
cmp kit/words.txt "$TOP/fs/leak/lists/slip39.txt"
grep -q "Group officers: 2 of 3" kit/CUSTODIANS.txt && grep -q "alice: Officer alice; alice safe; paper; on a sheet; alice@coffer.example" kit/CUSTODIANS.txt ||
    fail "$(cat kit/CUSTODIANS.txt)"
for heading in "RECOVERY WITHOUT COFFER" "不使用 COFFER" "COFFER 없이"; do grep -q "$heading" kit/RECOVERY.txt || fail "$heading is missing"; done
ok "the kit"

say "recovery where Coffer is not: what RECOVERY.txt says, with two of three"
want=$(sha256sum < key.pem)
rm key.pem key.age made/epoch.json scheme.ini "$KEY"
mkdir tools
ln -s "$(python3 -c 'import sys; print(sys.executable)')" tools/python3
for t in age age-keygen; do ln -s "$(command -v $t)" tools/; done
for pair in "alice bob" "bob carol"; do
    set -- $pair
    env -i PATH="$W/tools" python3 "$TOP/tests/slip39.py" secret kit/words.txt "disk/$1" "disk/$2" > disk/secret
    env -i PATH="$W/tools" python3 kit/identity.py < disk/secret > disk/identity
    same "the recipient" "$(json 'j["recipient"]' < kit/epoch.json)" "$(env -i PATH="$W/tools" age-keygen -y disk/identity)"
    env -i PATH="$W/tools" age -d -i disk/identity kit/keys/key.age > disk/key
    same "the key by $pair" "$want" "$(sha256sum < disk/key)"
    env -i PATH="$W/tools" age -d -i disk/identity kit/recovery.age > disk/plain
    same "the envelope by $pair" COFRECO1 "$(head -c 8 disk/plain)"
done
if env -i PATH="$W/tools" coffer version > /dev/null 2>&1; then fail "Coffer is there"; fi
expect_fail "it takes 64" env -i PATH="$W/tools" python3 kit/identity.py < disk/alice
# And with Coffer, from the kit's envelope and document.
coffer recover "$STORE" --shares --epoch kit/epoch.json --envelope kit/recovery.age --new-key-file "$W/key2" --share-fd 3 --share-fd 4 \
    3< disk/alice 4< disk/carol > out 2> /dev/null
grep -q "are recovered" out || fail "$(cat out)"
umount disk
ok "recovered"
