#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The tree R at vaults: enrolled beside a mount; a burnt host comes back by the envelope together with what one vault releases by
# two persons' signatures, and by neither alone; so do files by themselves, and a drill; documents that are used twice, late, altered, or elsewhere.
. "$(dirname "$0")/lib.sh"
command -v age-keygen > /dev/null && command -v ssh-keygen > /dev/null || skip "needs age and ssh-keygen"

cd "$W" || exit 1
mkdir k r
for name in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C '' -f "k/$name"; done
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
sign() { ssh-keygen -q -Y sign -n "$2" -f "k/$1" < "$3" > "$3.$1" 2> /dev/null; } # sign WHO PURPOSE FILE -> FILE.WHO
for i in custodians restorer other; do age-keygen -o "$i" 2> /dev/null; done
ENVELOPE=$(age-keygen -y custodians) TO=$(age-keygen -y restorer)

make_store audit certificates -- --recovery "$ENVELOPE" --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
{
    echo "alice $(pub alice) roles=officer"
    echo "bob $(pub bob) roles=officer"
    echo "carol $(pub carol) roles=auditor"
} > people
coffer people set "$STORE" people -o r --key-file "$KEY" > out
R=$(echo r/*.request)
sign alice coffer-people "$R"
sign bob coffer-people "$R"
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" --key-file "$KEY" > out
for v in b c; do
    coffer-vault init "$W/$v" --name "vault.example/$v" > out
    coffer vault add "$STORE" "$v" "dir:$W/$v" > out
done

say "enrolled by the daemon"
expect_fail "is not mounted" coffer vault enroll "$STORE" b
mount_archive
echo before > "$MNT/audit/before"
expect_fail "no vault" coffer vault enroll "$STORE" nobody
coffer vault enroll "$STORE" b > out
grep -q "coffer seal recovery-renew" out || fail "it is not said what comes next: $(cat out)"
echo between > "$MNT/audit/between"
coffer vault enroll "$STORE" c > out
ln "$STORE/vaults/c.keys" once # enrolled once more before it was brought: the bytes of before go
coffer vault enroll "$STORE" c > out
[ "$(tr -d '\0' < once | wc -c)" = 0 ] && [ -s once ] || fail "what waited before was not overwritten"
[ "$(tr -d '\0' < "$STORE/vaults/c.keys" | wc -c)" -gt 100 ] || fail "what waits now was overwritten"
head -c 150000 /dev/urandom > data
echo pem > "$MNT/certificates/ca.pem"
cp data "$MNT/audit/after"
[ "$(stat -c %i "$MNT/audit/between")" -ge 65536 ] || fail "a new file is of the generation before"
[ "$(stat -c %i "$MNT/audit/before")" -lt 65536 ] || fail "an old file moved"
for v in b c; do [ -e "$STORE/vaults/$v.keys" ] || fail "nothing waits for vault $v"; done
cp "$STORE/vaults/b.keys" waiting # what cannot be sent is an alarm, and the log does not wait for it
truncate -s 2M "$STORE/vaults/b.keys"
expect_code 5 coffer sync "$STORE" b
grep -q "larger than a vault takes" out || fail "it is not said that R was not given: $(cat out)"
[ -e "$W/b/archives/$ID/checkpoint" ] || fail "the log waits for R"
expect_fail "larger than a vault takes" coffer sync "$STORE" b --bundle "$W/bundle"
cp waiting "$STORE/vaults/b.keys"
ln "$STORE/vaults/b.keys" was # the same bytes, to see what becomes of them
synced() { coffer sync "$STORE" > out 2>&1 && coffer vault list "$STORE" --json | json 'sys.exit(any(v["behind"] for v in j))' > /dev/null; }
await 20 "both vaults to have all" synced
for v in b c; do
    [ ! -e "$STORE/vaults/$v.keys" ] || fail "vault $v has it, and it still waits"
    same "vault $v has R" 64 "$(coffer-vault status "$W/$v" --json | json 'len(j[0]["keys"])')"
done
[ "$(tr -d '\0' < was | wc -c)" = 0 ] && [ -s was ] || fail "what waited was not overwritten"
if grep -rq COFVAUR1 "$W/b" "$W/c" "$STORE"; then fail "R lies somewhere in clear"; fi
coffer events "$STORE" --json | grep -q enrolled || fail "no record of it"
umount_archive
mount_archive
echo later > "$MNT/audit/later"
[ "$(stat -c %i "$MNT/audit/later")" = $(($(stat -c %i "$MNT/audit/after") + 1)) ] || fail "inode numbers jump at each mount"
cmp data "$MNT/audit/after"
umount_archive
verify_intact
second_reader
cp "$STORE/seal/recovery.age" before.age
coffer seal recovery-renew "$STORE" --recovery "$ENVELOPE" --key-file "$KEY" > out
coffer sync "$STORE" > out
coffer runbook "$STORE" --key-file "$KEY" > out || fail "runbook"
grep -q "coffer-vault release DIR --archive $ID --author" out || fail "the runbook does not tell what vaults have: $(cat out)"
same "steps that take it" 2 "$(grep -c -e "^   coffer re.* --vault-keys RELEASED --vault-identity RESTORER" out)"
grep -q "A drill wants what a vault released" out || fail "the runbook does not tell what a drill wants: $(cat out)"
age -d -i custodians "$STORE/seal/recovery.age" | python3 -c 'import struct, sys
p, at, most = sys.stdin.buffer.read(), 32, 0
while at < len(p):
    tag, n = struct.unpack_from("<BH", p, at)
    if tag == 2:
        depth, prefix = struct.unpack_from("<BQ", p, at + 3)
        most = max(most, prefix + 1 << 48 - 4 * depth)
    if tag == 13: enrolled = struct.unpack_from("<Q", p, at + 3)[0]
    at += 3 + n
assert enrolled == most == 65536, (enrolled, most)' || fail "the envelope holds R of what vaults have"
ok "enrolled"

say "a burnt host: neither the envelope nor a vault alone"
mv "$STORE" "$W/burnt"
mv "$KEY" "$W/burntkey"
coffer restore "dir:$W/b" "$W/new" --archive "$ID" > out 2>&1 || { cat out; fail "restore"; }
try() { coffer recover "$W/new" --identity custodians --new-key-file "$W/newkey" "$@"; }
expect_fail "coffer-vault release" try
[ ! -e "$W/newkey" ] || fail "a recovery that was refused left a key file"

echo nothing > no.age
expect_fail "damaged" try --vault-keys no.age
age -r "$ENVELOPE" -o no2.age < people
expect_fail "no tree R" try --vault-keys no2.age

say "released by two persons, once"
document() { coffer-vault release "$W/b" --archive "$ID" --author alice --to "$TO" --reason "the host burnt" 2> err; }
expect_code 2 coffer-vault release "$W/b" --archive "$ID" --author alice
expect_fail "no age recipient" coffer-vault release "$W/b" --archive "$ID" --author alice --to age1qqq --reason x
document > d
sign alice coffer-request d
release() { coffer-vault release "${VAULT:-$W/b}" --archive "$ID" --request "$@" > released.age; }
refused() { expect_fail "$1" release "${@:2}"; [ ! -s released.age ] || fail "something was given out all the same"; }
refused "more signatures" d --signed alice=d.alice
sign alice coffer-approve d
refused "author" d --signed alice=<(ssh-keygen -q -Y sign -n coffer-request -f k/alice < d 2> /dev/null) --signed alice=d.alice
sign alice coffer-request d
sign carol coffer-approve d
sign bob coffer-refuse d
refused "wrong-purpose" d --signed alice=d.alice --signed bob=d.bob
sign bob coffer-approve d
refused "wrong-key" d --signed alice=d.alice --signed bob=d.carol
sed "s/$TO/$(age-keygen -y other)/" d > altered
refused "wrong-signature" altered --signed alice=d.alice --signed bob=d.bob
VAULT=$W/c refused "for another vault" d --signed alice=d.alice --signed bob=d.bob
sed 's/"expires":"20[0-9]*-/"expires":"2001-/' d > late
sign alice coffer-request late
sign bob coffer-approve late
refused "expire" late --signed alice=late.alice --signed bob=late.bob
release d --signed alice=d.alice --signed bob=d.bob 2> err || { cat err; fail "two officers"; }
mv released.age first.age
refused "replay" d --signed alice=d.alice --signed bob=d.bob
grep -q '"signed":\["alice","bob"\]' "$W/b/archives/$ID/released" || fail "not noted: $(cat "$W/b/archives/$ID/released")"

say "files before anything is recovered"
copied() { coffer restore "dir:$W/b" "$W/came" --archive "$ID" --identity custodians --to "$@"; }
given=(--vault-keys first.age --vault-identity restorer)
for wrong in "--vault-keys first.age" "--without-vaults" "--to x --identity custodians --vault-identity restorer" \
    "--to x --identity custodians --without-vaults --vault-keys first.age"; do
    # shellcheck disable=SC2086
    expect_code 2 coffer restore "dir:$W/b" "$W/came" --archive "$ID" $wrong
done
expect_fail "--vault-keys FILE" copied one --file audit/after
: > empty
expect_fail "empty is empty" copied one --file audit/after --vault-keys empty
expect_fail "vault-identity" copied one --file audit/after --vault-keys first.age
copied one --file audit/after "${given[@]}" > out || fail "one file: $(cat out)"
cmp data one/audit/after
same "files" one/audit/after "$(find one -type f)"
copied all --first certificates "${given[@]}" > out || fail "all files: $(cat out)"
cmp data all/audit/after
same "what came" "before between later pem" "$(cd all && cat audit/before audit/between audit/later certificates/ca.pem | xargs)"
copied older --without-vaults > out || fail "without: $(cat out)"
grep -q "Not copied: 4 files" out || fail "it is not said what was left out: $(cat out)"
same "what is older" older/audit/before "$(find older -type f)"
same "older" before "$(cat older/audit/before)"
expect_fail "of before a vault was enrolled" copied old --envelope before.age
copied old --envelope before.age "${given[@]}" > out || fail "an envelope of before: $(cat out)"
diff -r all old
same "scratch" "" "$(find came -name scratch -o -name keys)"

say "a drill"
STORE=$W/burnt KEY=$W/burntkey
mount_archive
drill() { coffer restore c "$W/scratch" --drill "$STORE" --identity custodians "$@"; }
expect_code 2 drill --without-vaults
expect_fail "--vault-keys FILE" drill
expect_fail "of before a vault was enrolled" drill --envelope before.age
drill "${given[@]}" > out || fail "a drill: $(cat out)"
drill --envelope before.age "${given[@]}" > out || fail "a drill with an envelope of before: $(cat out)"
drills() { coffer events "$STORE" --type "$1" --json | jsonl 'len(j)'; }
same "on record" "2 2" "$(drills restore-drill) $(drills restore-drill-failed)"
[ ! -e "$W/scratch" ] || fail "the scratch place is still there"
umount_archive

say "together everything comes back"
expect_fail "vault-identity" try --vault-keys first.age
try --vault-keys first.age --vault-identity restorer > out || { cat out; fail "recover"; }
if grep -q Warning:.*fit out; then fail "keys do not fit: $(cat out)"; fi
STORE=$W/new KEY=$W/newkey
mount_archive
cmp data "$MNT/audit/after"
same "older" before "$(cat "$MNT/audit/before")"
same "newer" between "$(cat "$MNT/audit/between")"
echo again > "$MNT/audit/again"
umount_archive
verify_intact

say "with every vault gone, what is older"
coffer restore "dir:$W/c" "$W/third" --archive "$ID" > out 2>&1 || { cat out; fail "restore from the other"; }
coffer recover "$W/third" --identity custodians --new-key-file "$W/thirdkey" --without-vaults > out || { cat out; fail "without vaults"; }
grep -q "Lost for ever: .* 65536 or above" out || fail "it is not said what is lost: $(cat out)"
STORE=$W/third KEY=$W/thirdkey
mount_archive
same "older" before "$(cat "$MNT/audit/before")"
if cat "$MNT/audit/between" > out 2> err; then fail "what vaults had was read without them"; fi
echo new > "$MNT/audit/new"
same "new" new "$(cat "$MNT/audit/new")"
umount_archive
ok "released and recovered"
