#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A vault that no line leads to: a bundle out, a receipt back; only what is missing; parts for media; what is stale, altered, cut
# short, missing, for another archive or vault; an archive that comes back from a bundle.
. "$(dirname "$0")/lib.sh"
command -v age-keygen > /dev/null || skip "age is not installed"

age-keygen -o "$W/officer" 2> /dev/null
make_store audit -- --recovery "$(age-keygen -y "$W/officer")" --segment-size 1M
coffer init "$W/foreign" --new-key-file "$W/foreignkey" --shelf audit > /dev/null
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
for v in b c; do coffer-vault init "$W/$v" --name "vault.example/$v" --place 22.62,120.30,Kaohsiung > "$W/$v.init"; done
key() { grep -o "vault.example/$1+[^ ]*" "$W/$1.init" | head -n 1; }
expect_fail "the key is wanted" coffer vault add "$STORE" b bundle:
expect_fail "takes 1 to 4" coffer vault add "$STORE" b bundle: --vkey "$(key b)" --grade 5
expect_fail "state it themselves" coffer vault add "$STORE" b "dir:$W/b" --grade 3
coffer vault add "$STORE" b bundle: --grade 3 --vkey "$(key b)" --place 22.62,120.30,Kaohsiung --jurisdiction TW > /dev/null
coffer vault add "$W/foreign" b bundle: --vkey "$(key b)" > /dev/null
coffer sync "$STORE" | grep -q "reached by hand: coffer sync .* b --bundle FILE" || fail "sync does not tell: $(coffer sync "$STORE")"
expect_code 2 coffer sync "$STORE" --bundle "$W/x"
expect_code 2 coffer sync "$STORE" b --split 4M
same "its operator's word" 3 "$(coffer vault list "$STORE" --json | json 'j[0]["grade"]')"
frames() { coffer-vault status "$W/b" --json | json 'j[0]["size"] if j else 0'; }

mount_archive
head -c 2500000 /dev/urandom > "$MNT/audit/data"
digest=$(sha256sum < "$MNT/audit/data")
umount_archive

say "out, in parts; back"
coffer sync "$STORE" b --bundle "$W/one" --split 1M > "$W/out" || { cat "$W/out"; fail "a bundle"; }
[ "$(find "$W" -name 'one.*' | wc -l)" -ge 3 ] || fail "too few parts: $(ls "$W")"
for p in "$W"/one.*; do [ "$(stat -c %s "$p")" -le 1048576 ] || fail "$p is larger than its medium"; done
tar tf "$W/one.001" > "$W/out" || fail "a part is no tar"
same "what comes first" bundle.json "$(head -n 1 "$W/out")"
expect_fail "cannot be made" coffer sync "$STORE" b --bundle "$W/one" --split 1M
take() { coffer-vault receive "$W/b" "$@"; }
expect_fail "part 2 of the bundle is missing" take "$W/one.001" "$W/one.003" --receipt "$W/r1"
cp "$W/one.002" "$W/kept"
truncate -s 500000 "$W/one.002"
expect_fail "part 2 of the bundle, $W/one.002, is cut short" take "$W/one" --receipt "$W/r1"
cp "$W/kept" "$W/one.002"
flip "$W/one.002" 300000
expect_fail "part 2 of the bundle, $W/one.002, was altered" take "$W/one" --receipt "$W/r1"
cp "$W/kept" "$W/one.002"
expect_fail "for the vault" coffer-vault receive "$W/c" "$W/one" --receipt "$W/r1"
[ ! -e "$W/b/archives/$ID" ] || fail "the vault has something of a bundle that it refused"
[ ! -e "$W/r1" ] || fail "a receipt for nothing"
last=$(find "$W" -name 'one.*' | wc -l)
take "$W/one.00$last" $(find "$W" -name 'one.*' ! -name "one.00$last") --receipt "$W/r1" > "$W/out" 2>&1 || { cat "$W/out"; fail "receive, in any order"; }
coffer verify "$W/b/archives/$ID" > /dev/null || fail "the copy does not verify"
expect_fail "this bundle is stale" take "$W/one" --receipt "$W/r2"
mv "$W/r1" "$W/lost" # the medium did not come back: the vault writes the same once more
expect_code 2 take --again --receipt "$W/r1"
expect_fail "is there already" take --again --archive "$ID" --receipt "$W/lost"
expect_fail "this vault has no copy" coffer-vault receive "$W/c" --again --archive "$ID" --receipt "$W/r1"
take --again --archive "$ID" --receipt "$W/r1" > "$W/out" 2>&1 || { cat "$W/out"; fail "once more"; }
same "which is the same" "$(json 'j["note"]' < "$W/lost")" "$(json 'j["note"]' < "$W/r1")"
expect_fail "for the archive $ID" coffer sync "$W/foreign" --receipt "$W/r1"
sed 's/vault.example\/b /vault.example\/x /' "$W/r1" > "$W/r1.forged"
expect_fail "not signed by the archive and by one of its vaults" coffer sync "$STORE" --receipt "$W/r1.forged"
coffer sync "$STORE" --receipt "$W/r1" --key-file "$KEY" > "$W/out" 2>&1 || { cat "$W/out"; fail "the receipt"; }
grep -q "confirmed at .*, on record" "$W/out" || fail "it is not on record: $(cat "$W/out")"
expect_fail "stale" coffer sync "$STORE" --receipt "$W/r1"
same "on record" "['met', 'bundled', 'transfer']" "$(coffer log "$STORE" --json --key-file "$KEY" | jsonl 'sorted(set(e["what"] for e in j if e["type"] == "vault"), key=["met", "bundled", "transfer"].index)')"
coffer log "$STORE" --json --key-file "$KEY" | grep -q '"type":"cosign"' || fail "what the vault signed is not chained"

say "only what is missing"
mount_archive
echo more >> "$MNT/audit/log"
umount_archive
coffer sync "$STORE" b --bundle "$W/two" > /dev/null
[ "$(stat -c %s "$W/two")" -lt 100000 ] || fail "all of it again: $(stat -c %s "$W/two")"
coffer sync "$STORE" b --bundle "$W/three" > /dev/null
cp -a "$W/b" "$W/b.older"
take "$W/two" --receipt "$W/r2" > /dev/null || fail "the second bundle"
expect_fail "this bundle is stale" take "$W/three" --receipt "$W/r3"
mv "$W/b" "$W/b.newer"; rm -rf "$W/b.older/archives/$ID"; mv "$W/b.older" "$W/b"
expect_fail "a bundle before it is missing" take "$W/two" --receipt "$W/r3"
rm -rf "$W/b"; mv "$W/b.newer" "$W/b"
coffer sync "$STORE" --receipt "$W/r2" > /dev/null || fail "the second receipt"
same "the host knows" "$(frames)" "$(coffer vault list "$STORE" --json | json 'j[0]["size"]')"

say "an archive comes back from a bundle"
mv "$STORE/vaults/b.note" "$W/b.note"
coffer sync "$STORE" b --bundle "$W/all" --split 1M > /dev/null
mv "$W/b.note" "$STORE/vaults/b.note"
coffer runbook "$STORE" --key-file "$KEY" > "$W/runbook" || fail "runbook"
grep -q "^\[ \] vault b  *reached by hand" "$W/runbook" || fail "the runbook: $(cat "$W/runbook")"
{ # as it is printed: what the operator brings, then the restore
    sed -n '/^   coffer-vault init/,/^$/p' "$W/runbook" | sed "s,MEDIUM,$W/b/archives,"
    sed -n '/^   coffer restore .$/,/^$/p' "$W/runbook" | sed "s,$STORE ,$W/by-runbook ,"
} | sed "s,/srv/brought,$W/brought,g" > "$W/steps"
bash -e "$W/steps" > "$W/out" 2>&1 || { cat "$W/steps" "$W/out"; fail "the runbook's own commands"; }
coffer verify "$W/by-runbook" > /dev/null || fail "what the runbook's commands brought"
expect_fail "an archive comes back from one that has all of it" coffer restore "$W/two" "$W/new" --archive "$ID"
rm -rf "$W/new"
coffer restore "$W/all" "$W/new" --archive "$ID" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore"; }
coffer verify "$W/new" > /dev/null || fail "what came back does not verify"
coffer recover "$W/new" --identity "$W/officer" --new-key-file "$W/newkey" > "$W/out" 2>&1 || { cat "$W/out"; fail "recover"; }
coffer restore "$W/all" "$W/parts" --archive "$ID" --to "$W/files" --identity "$W/officer" > "$W/out" 2>&1 || { cat "$W/out"; fail "files"; }
same "the file" "$digest" "$(sha256sum < "$W/files/audit/data")"
ok "bundles"

say "the tree R, by hand"
expect_code 1 coffer vault enroll "$STORE" b
grep -q -- "--receipt FILE" "$W/out" || fail "it is not said what is wanted: $(cat "$W/out")"
coffer vault add "$STORE" c bundle: --vkey "$(key c)" > /dev/null
mount_archive
expect_fail "not of vault c" coffer vault enroll "$STORE" c --receipt "$W/r2"
sed 's/"recipient": *"age1/&x/' "$W/r2" > "$W/r2.forged"
expect_fail "not of vault b" coffer vault enroll "$STORE" b --receipt "$W/r2.forged"
coffer vault enroll "$STORE" b --receipt "$W/r2" > "$W/out" || { cat "$W/out"; fail "enroll"; }
grep -q "by the next bundle" "$W/out" || fail "enroll says: $(cat "$W/out")"
echo sealed > "$MNT/audit/later"
[ "$(stat -c %i "$MNT/audit/later")" -ge 65536 ] || fail "a new file is of the generation before"
umount_archive
keys() { coffer-vault status "$W/b" --json | json 'len(j[0].get("keys", ""))'; }
same "nothing is there yet" 0 "$(keys)"
coffer sync "$STORE" b --bundle "$W/keyed" > /dev/null
[ -e "$STORE/vaults/b.keys" ] || fail "what was not brought yet is gone"
mv "$STORE/vaults/b.note" "$W/b.note"
coffer sync "$STORE" b --bundle "$W/whole" > /dev/null
mv "$W/b.note" "$STORE/vaults/b.note"
take "$W/keyed" --receipt "$W/r4" > /dev/null || fail "a bundle with the tree R"
same "it is there" 64 "$(keys)"
python3 - "$W/r4" "$W/r4.forged" << 'PY'
import json, sys
j = json.load(open(sys.argv[1]))
j["keys"] = j["keys"][:65] + j["recipient"].split()[1] # another signature of the vault
json.dump(j, open(sys.argv[2], "w"))
PY
cp -a "$STORE" "$W/forged"
expect_fail "not signed by vault b" coffer sync "$W/forged" --receipt "$W/r4.forged"
[ -e "$W/forged/vaults/b.keys" ] || fail "a host believes a forged receipt"
coffer sync "$W/forged" --receipt "$W/r4" > "$W/out" 2>&1 || { cat "$W/out"; fail "a forged receipt keeps the true one out"; }
coffer sync "$STORE" --receipt "$W/r4" > /dev/null || fail "the receipt"
[ ! -e "$STORE/vaults/b.keys" ] || fail "it still waits"
say "which is for the vault alone: who restores from such a bundle gets none of it"
coffer restore "$W/whole" "$W/back" --archive "$ID" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore"; }
ok "enrolled by hand"
