#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An archive whose envelope is sealed to custodians' shares comes back out of a bucket: files copied out by a quorum, a drill beside
# the live archive, the whole store opened by shares; by fewer than a quorum, or a head that shows more, none of it. The bucket is
# the scripted server's (s3-server.py).
. "$(dirname "$0")/lib.sh"
command -v age > /dev/null || skip "age is not installed"

E2E=$(dirname "${BASH_SOURCE[0]}")
SECRET=hush/Thistle0123456789+abcdefghijklmnop
python3 "$E2E/s3-server.py" "$W/port" AKTEST "$SECRET" > "$W/log" 2>&1 &
child $!
custodian() { printf '[custodian %s]\nperson = %s\nplace = %s\nmedium = paper\nrecipient = paper\n' "$1" "$1" "$1"; }
{
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob, carol\n'
    for n in alice bob carol; do custodian $n; done
} > "$W/scheme.ini"
K=$W/kit
mkdir "$K"
escrow-make "$W/scheme.ini" "$K"
n=confirm-abcd-efgh-2345-abcd-efgh-2345
for c in alice bob carol; do
    coffer escrow confirm --epoch "$K/epoch.json" $c $n "$(coffer share prove --nonce $n --share-fd 3 3< "$K/$c.words")" > /dev/null
done
await 20 "the scripted server" test -s "$W/port"
PORT=$(cat "$W/port") AT=http://127.0.0.1:$(cat "$W/port")
root() { python3 -c 'import sys, urllib.request
print(urllib.request.urlopen("http://127.0.0.1:%s/_do" % sys.argv[1], sys.argv[2].encode()).read().decode())' "$PORT" "$1"; }
root '{"do": "make", "bucket": "records"}' > /dev/null
(umask 077; printf '[default]\naws_access_key_id = AKTEST\naws_secret_access_key = %s\n' "$SECRET" > "$W/keys")

make_store audit certificates -- --recovery "$K/epoch.json" --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
coffer vault add "$STORE" far s3://records/far --endpoint "$AT" --credentials "$W/keys" > /dev/null
mount_archive
head -c 150000 /dev/urandom > "$MNT/audit/data"
for i in 1 2 3 4 5 6 7 8; do echo "line $i" >> "$MNT/audit/log"; done
echo one > "$MNT/certificates/one"
coffer commit "$MNT/audit/data" > /dev/null
coffer sync "$STORE" far > "$W/out" 2>&1 || { cat "$W/out"; fail sync; }
coffer runbook "$STORE" > "$W/out" || fail "runbook"
if grep -q "THERE IS NO VAULT" "$W/out"; then fail "the runbook does not know of the copy in a bucket"; fi
sed -n '/^   coffer restore s3:/,/^$/p' "$W/out" | sed "s,$STORE ,$W/by-runbook ,; s,credentials FILE,credentials $W/keys," > "$W/steps"
bash -e "$W/steps" > "$W/out" 2>&1 || { cat "$W/steps" "$W/out"; fail "the runbook's own command"; }
coffer verify "$W/by-runbook" > /dev/null || fail "what the runbook's command brought"
out_of() { coffer restore s3://records/far "$@" --endpoint "$AT" --credentials "$W/keys" > "$W/out" 2>&1 3< "$K/alice.words" 4< "$K/carol.words" 5< "$K/bob.forged"; }
code() { local c=0; "$@" || c=$?; echo $c; }
quorum=(--shares --share-fd 3 --share-fd 4)

say "files, by a quorum"
same "shares of nothing" 2 "$(code out_of "$W/r" --archive "$ID" --shares)"
same "of which epoch?" 2 "$(code out_of "$W/r" --archive "$ID" --to "$W/files" "${quorum[@]}")"
same "both ways" 2 "$(code out_of "$W/r" --archive "$ID" --to "$W/files" "${quorum[@]}" --epoch "$K/epoch.json" --identity x)"
same "one share" 1 "$(code out_of "$W/r" --archive "$ID" --to "$W/files" --shares --epoch "$K/epoch.json" --share-fd 3)"
grep -q "group officers needs 1 more" "$W/out" || fail "it is not said what is missing: $(cat "$W/out")"
same "one share, and a forged one" 1 "$(code out_of "$W/r" --archive "$ID" --to "$W/files" --shares --epoch "$K/epoch.json" --share-fd 3 --share-fd 5)"
[ ! -e "$W/files" ] || fail "something was given out"
same "a quorum" 0 "$(code out_of "$W/r" --archive "$ID" --to "$W/files" --shelf audit "${quorum[@]}" --epoch "$K/epoch.json" --auditor-secret "$AUDITOR")"
cmp "$W/files/audit/data" "$MNT/audit/data" || fail "the file differs"
[ ! -e "$W/files/certificates" ] || fail "more than was asked for"
grep -q "all seals" "$W/out" || fail "seals: $(cat "$W/out")"
grep -q "a bucket may be behind, and signs nothing" "$W/out" || fail "freshness: $(cat "$W/out")"
[ ! -e "$W/r/keys" ] && [ ! -e "$W/r/scratch" ] || fail "keys were left behind"

say "a head that somebody else kept"
echo later > "$MNT/audit/later"
umount_archive
same "a newer one" 3 "$(code out_of "$W/r2" --archive "$ID" --head "$STORE/checkpoint")"
grep -q "NOT THE NEWEST" "$W/out" || fail "behind: $(cat "$W/out")"
coffer sync "$STORE" far > /dev/null
rm -rf "$W/r2"
same "the same" 0 "$(code out_of "$W/r2" --archive "$ID" --head "$STORE/checkpoint")"
grep -q "Freshness is proven by" "$W/out" || fail "the same head: $(cat "$W/out")"

say "a drill: by name, by URL; one that fails"
drill() { coffer restore "$@" --drill "$STORE" "${quorum[@]}" > "$W/out" 2>&1 3< "$K/alice.words" 4< "$K/carol.words"; }
same "beside no mount" 1 "$(code drill far "$W/scratch")"
mount_archive
same "by name" 0 "$(code drill far "$W/scratch")"
[ ! -e "$W/scratch" ] || fail "the scratch place is still there"
same "by URL" 0 "$(code drill s3://records/far "$W/scratch" --endpoint "$AT" --credentials "$W/keys")"
same "two sources" 1 "$(code drill far far "$W/scratch")"
grep -q "by itself" "$W/out" || fail "two sources: $(cat "$W/out")"
coffer events "$STORE" --type restore-drill --json | jsonl '(len(j) == 2 and "are the same" in j[0]["detail"]) or sys.exit(str(j))' > /dev/null
coffer events "$STORE" --type vault-drill --json | jsonl '(j[0]["name"] == "far" and j[0]["took_ns"] > 0) or sys.exit(str(j))' > /dev/null
root '{"do": "rm", "bucket": "records", "key": "segment/00000000"}' > /dev/null
cp "$STORE/vaults/far.bucket" "$W/bucket"
(umask 077; sed 's,^aws_secret.*,aws_secret_access_key = another,' "$W/keys" > "$W/wrong")
sed -i "s,$W/keys,$W/wrong," "$STORE/vaults/far.bucket"
expect_code 1 coffer sync "$STORE" far
cp "$W/bucket" "$STORE/vaults/far.bucket"
coffer events "$STORE" --type vault-alarm | grep -q " far" || fail "no event of a copy that refuses: $(coffer events "$STORE" | tail -n 3)"
same "a segment is gone" 1 "$(code drill far "$W/scratch")"
[ ! -e "$W/scratch" ] || fail "the scratch place of a drill that failed is still there"
coffer events "$STORE" --type restore-drill-failed --json | jsonl 'len(j) == 1 or sys.exit(str(j))' > /dev/null

say "a copy is left: an open item for ever"
expect_fail "signs no receipt" coffer vault retire "$STORE" far --receipt "$W/out"
coffer vault retire "$STORE" far > "$W/out" 2>&1 || { cat "$W/out"; fail "retire"; }
expect_fail "has no vault" coffer sync "$STORE"
expect_fail "choose another name" coffer vault add "$STORE" far s3://records/far --endpoint "$AT" --credentials "$W/keys"
coffer status "$STORE" | grep -q "^Copy *far: left since 20" || fail "status: $(coffer status "$STORE")"
coffer runbook "$STORE" | grep -q "THERE IS NO VAULT AND NO COPY" || fail "the runbook counts it"
coffer due "$STORE" --json > "$W/due" || true
same "due tells of it" "vault far" "$(json '[o["of"] for o in j if o["obligation"] == "vault_receipt"][0]' < "$W/due")"
umount_archive
verify_intact
second_reader > "$W/out" 2>&1 || { cat "$W/out"; fail "the second reader"; }

say "the whole store, opened by shares"
rm -rf "$STORE" "$KEY"
mv "$W/r2" "$STORE"
recover() { coffer recover "$STORE" "${quorum[@]}" --new-key-file "$KEY" "$@" > "$W/out" 2>&1 3< "$K/alice.words" 4< "$K/carol.words"; }
same "of which epoch?" 1 "$(code recover)"
grep -q -- "--epoch FILE" "$W/out" || fail "it is not said what is wanted: $(cat "$W/out")"
same "recovered" 0 "$(code recover --epoch "$K/epoch.json")"
mount_archive
same "what was written last" later "$(cat "$MNT/audit/later")"
umount_archive
ok "out of a bucket, by shares"
