#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A vault is asked for what it confirmed. Damage that its scrub finds is mended from the host at the next session; a silent host is told of at the vault alone; what
# the policy asks of places, before the first byte leaves; alarms at both ends.
. "$(dirname "$0")/lib.sh"

make_store audit -- --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
vault() { coffer-vault init "$W/$1" --name "vault.example/$1" --place "$2" --jurisdiction "$3" > /dev/null; coffer vault add "$STORE" "$1" "dir:$W/$1" > /dev/null; }
vault b 22.62,120.30,Kaohsiung TW
mount_archive
for i in 1 2 3 4; do head -c 100000 /dev/urandom > "$MNT/audit/f$i"; done
coffer sync "$STORE" b > "$W/out" || { cat "$W/out"; fail "the first sync"; }

say "a vault is asked for what it confirmed"
COPY=$W/b/archives/$ID
[ "$(find "$COPY/log" -name '*.seg' | wc -l)" -ge 4 ] || fail "too few segments"
coffer vault check "$STORE" b > "$W/out" 2>&1 || fail "a sample: $(cat "$W/out")"
same "all that it confirmed" "True 0" "$(coffer vault check "$STORE" b --all --json | json 'f"""{j["frames"] == j["confirmed"] and j["all"]} {len(j["findings"])}"""')"
flip "$COPY/log/00000002.seg" 9000
expect_code 3 coffer vault check "$STORE" b --all
grep -q "^b: frame [0-9]* (segment 00000002, offset [0-9]*) is not what was confirmed" "$W/out" || fail "not named: $(cat "$W/out")"
grep -q "coffer sync $STORE b" "$W/out" || fail "what comes next: $(cat "$W/out")"
coffer events "$STORE" --type vault-alarm | grep -q "segment 00000002" || fail "no alarm: $(coffer events "$STORE" | tail -3)"
flip "$COPY/log/00000002.seg" 9000
coffer vault check "$STORE" b --sample 60000 > "$W/out" 2>&1 || fail "the byte is as it was: $(cat "$W/out")"
expect_code 1 coffer vault check "$STORE" b --sample 0
mv "$W/b" "$W/away"
expect_code 1 coffer vault check "$STORE" b
mv "$W/away" "$W/b"

say "a damaged segment is found, asked for, and mended"
for seg in 00000001 00000003; do
    flip "$COPY/log/$seg.seg" 9000
done
expect_code 13 coffer-vault scrub "$W/b"
same "what the next session is asked for" "00000001 00000003" "$(tr '\n' ' ' < "$COPY/damaged" | sed 's/ $//')"
coffer sync "$STORE" b > "$W/out" 2> "$W/err" || { cat "$W/err"; fail "the sync that mends"; }
grep -q "2 damaged segments" "$W/err" || fail "sync does not tell: $(cat "$W/err")"
[ ! -e "$COPY/damaged" ] || fail "still listed: $(cat "$COPY/damaged")"
coffer verify "$COPY" > /dev/null || fail "the copy does not verify after that"
coffer events "$STORE" --type vault-mended | grep -q "2 damaged segments" || fail "no event: $(coffer events "$STORE" | tail -3)"

say "another host's bytes are not taken for them"
flip "$COPY/log/00000001.seg" 9000
expect_code 13 coffer-vault scrub "$W/b"
umount_archive
cp -a "$STORE" "$W/spoiled"
cp "$COPY/log/00000001.seg" "$W/spoiled/log/00000001.seg"
expect_code 1 coffer sync "$W/spoiled" b
grep -q "not what this vault confirmed" "$W/out" || fail "a damaged host: $(cat "$W/out")"
same "still listed" 00000001 "$(cat "$COPY/damaged")"
coffer sync "$STORE" b > /dev/null 2>&1 || fail "the right host"
coffer verify "$COPY" > /dev/null || fail "the copy after that"

say "a silent host"
coffer-vault status "$W/b" > /dev/null || fail "nothing is wrong yet"
silent() { coffer-vault status "$W/b" --silence 1s > "$W/out" 2>&1; [ $? = 3 ]; }
await 10 "a host to be silent for a second" silent
grep -q SILENT "$W/out" || fail "silence: $(cat "$W/out")"
ok "mending and silence"

# ---- before the first byte leaves ----
# policy NAME LINES: a copy of the archive with this policy, and something new to send
policy() {
    cp -a "$STORE" "$W/$1"
    printf '[archive]\n%b' "$2" > "$W/$1.ini"
    coffer policy apply "$W/$1" "$W/$1.ini" --key-file "$KEY" > "$W/out" 2>&1 || { cat "$W/out"; fail "policy $1"; }
}
state() { (cd "$COPY" && cat checkpoint log/*.seg | sha256sum); }
refused() { # refused NAME TEXT
    local before
    before=$(state)
    expect_code 1 coffer sync "$W/$1" b
    grep -q "$2" "$W/out" || fail "$1: $(cat "$W/out")"
    grep -q "Nothing was sent" "$W/out" || fail "$1 does not say that nothing was sent"
    same "$1: what the vault has" "$before" "$(state)"
}
policy border "jurisdictions = JP KR\n"
refused border "lets copies go to JP KR, and this vault stands in TW (R42)"
coffer status "$W/border" | grep -q "vault b stands in TW, which the policy does not allow (R42)" || fail "status: $(coffer status "$W/border")"
policy forbidden "jurisdictions = TW JP\nforbidden_jurisdictions = KP TW\n"
refused forbidden "lets no copies go to KP TW (forbidden_jurisdictions), and this vault stands in TW (R42)"
coffer status "$W/forbidden" | grep -q "vault b stands in TW, which the policy forbids (R42)" || fail "status: $(coffer status "$W/forbidden")"
policy far "jurisdictions = TW\ndistance = 500\n"
refused far "where this host stands is not known"
coffer vault place "$W/far" 25.03,121.56,Taipei > /dev/null
refused far "500 km between copies (R41), and this vault is 297 km away"
sed -i 's/^place = .*/place = /' "$W/far/vaults/b.conf" "$W/b/vault.conf"
refused far "where this vault stands is not said"
sed -i 's/^place = .*/place = 22.62,120.30,Kaohsiung/' "$W/b/vault.conf"
policy graded "vault_grade = 3\n"
refused graded "grade 3 at least (vault_grade, R10), and this vault states none"
coffer status "$W/graded" | grep -q "vault b states none, and the policy asks for grade 3 (R10)" || fail "status: $(coffer status "$W/graded")"
cp -a "$W/b" "$W/b.kept"
echo "grade = 2" >> "$W/b/vault.conf"
refused graded "and this vault states grade 2"
sed -i 's/^grade = .*/grade = 3/' "$W/b/vault.conf"
coffer-vault scrub "$W/b" > /dev/null
scrubbed=$(cat "$W/b/archives/$ID/scrubbed")
coffer sync "$W/graded" b --key-file "$KEY" > "$W/out" 2>&1 || { cat "$W/out"; fail "with the grade"; }
coffer status "$W/graded" | grep -q "^Vault *b .*; grade 3; last scrub $scrubbed$" || fail "status: $(coffer status "$W/graded")"
coffer vault list "$W/graded" | grep -q "; grade 3; last scrub .*Z intact$" || fail "list: $(coffer vault list "$W/graded")"
same "as JSON" "[3, '$scrubbed']" "$(coffer vault list "$W/graded" --json | json '[j[0]["grade"], j[0]["scrubbed"]]')"
# What a host is told that does not say that it takes more than four lines, as those before this version.
lines() { python3 - "$ID" "$W/graded/archive.conf" "$1" << 'PY' | coffer-vault serve "$W/b" 2> /dev/null | python3 -c 'import sys
b = sys.stdin.buffer.read()[8:]; n = int.from_bytes(b[56:58], "little"); print(b[58:58 + n].decode(), end="")'
import struct, sys
body = b"COFVAULT" + struct.pack("<IBBH", 1, 1, int(sys.argv[3]), 0) + bytes.fromhex(sys.argv[1]) + bytes(16) + open(sys.argv[2], "rb").read()
sys.stdout.buffer.write(struct.pack("<IB3x", len(body), 1) + body)
PY
}
same "an older host" "4 22.62,120.30,Kaohsiung TW" "$(lines 1 | wc -l) $(lines 1 | sed -n 2,3p | xargs)"
same "this one" "grade: 3 scrubbed: $scrubbed" "$(lines 3 | sed 1,4d | xargs)"
rm -rf "$W/b" && mv "$W/b.kept" "$W/b"
policy basis "transfer_basis = yes\n"
refused basis "what copies rest on"
cp -a "$W/b" "$W/b.kept"
coffer vault add "$W/basis" b "dir:$W/b" --basis "contract 7 of 2026" > /dev/null
coffer sync "$W/basis" b --key-file "$KEY" > "$W/out" 2>&1 || { cat "$W/out"; fail "with a basis"; }
coffer log "$W/basis" --json --key-file "$KEY" | jsonl '"contract 7 of 2026" in [e.get("basis") for e in j if e["type"] == "vault" and e["what"] == "transfer"] or sys.exit(1)' > /dev/null || fail "the record has no basis"
rm -rf "$W/b" && mv "$W/b.kept" "$W/b"
coffer vault place "$STORE" 25.03,121.56,Taipei > /dev/null
policy two "places = 2\nbackup_offsite = 1s\narchived_within = 1s\n"
coffer sync "$W/two" b --key-file "$KEY" > "$W/out" 2>&1 || { cat "$W/out"; fail "too few places are no reason to have fewer"; }
head -n 1 "$W/out" | grep -q "copies are in 1 place beside this one that lies apart, and the policy asks for 2 (R41)" || fail "that is not said first: $(cat "$W/out")"
ok "places, borders, distance, basis"

# ---- alarms at both ends ----
overdue() { coffer status "$W/two" > "$W/out" 2>&1; grep -q "vault b is overdue: it confirmed nothing for longer than 1.000 s (R40)" "$W/out"; }
await 10 "an overdue vault at the host" overdue
by_policy() { coffer-vault status "$W/b" > "$W/out" 2>&1; [ $? = 3 ] && grep -q SILENT "$W/out"; }
await 10 "a host that is silent by its own policy, at the vault" by_policy
STORE=$W/two
mount_archive
echo new >> "$MNT/audit/late"
late() { coffer status "$STORE" > "$W/out"; grep -q "wait for longer than 1.000 s to be archived" "$W/out"; }
await 15 "frames that are not archived in time" late
told() { coffer status "$STORE" > "$W/out"; grep -q "Vault b is overdue: .* (backup_offsite, R40); last: 20" "$W/out"; }
await 15 "an overdue vault, by the daemon" told
mv "$W/b" "$W/gone"
expect_code 1 coffer sync "$STORE" b
coffer events "$STORE" --type vault-unreachable | grep -q " b" || fail "no event of a vault that does not answer: $(coffer events "$STORE" | tail -n 3)"
mv "$W/gone" "$W/b"
umount_archive
cp -a "$STORE" "$W/twin"
for s in "$W/twin" "$STORE"; do (STORE=$s; mount_archive; for i in 1 2 3 4 5 6; do echo "$s $i" >> "$MNT/audit/late"; done; umount_archive); done
coffer sync "$W/twin" b > /dev/null 2>&1 || fail "the twin comes first"
expect_code 4 coffer sync "$STORE" b --key-file "$KEY"
coffer events "$STORE" --type vault-alarm --key-file "$KEY" | grep -q "two histories" || fail "no event of the fork at the host"
expect_code 3 coffer-vault status "$W/b"
grep -q FORKED "$W/out" || fail "no fork at the vault: $(cat "$W/out")"
ok "overdue, silent, not archived, unreachable, diverged"
