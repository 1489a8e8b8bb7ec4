#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Damage that a vault's scrub finds is mended from the host at the next session; a silent host is told of at the vault alone.
. "$(dirname "$0")/lib.sh"

make_store audit -- --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
vault() { coffer-vault init "$W/$1" --name "vault.example/$1" --place "$2" --jurisdiction "$3" > /dev/null; coffer vault add "$STORE" "$1" "dir:$W/$1" > /dev/null; }
vault b 22.62,120.30,Kaohsiung TW
mount_archive
for i in 1 2 3 4; do head -c 100000 /dev/urandom > "$MNT/audit/f$i"; done
coffer sync "$STORE" b > "$W/out" || { cat "$W/out"; fail "the first sync"; }

say "a damaged segment is found, asked for, and mended"
COPY=$W/b/archives/$ID
[ "$(find "$COPY/log" -name '*.seg' | wc -l)" -ge 4 ] || fail "too few segments"
for seg in 00000001 00000003; do
    python3 -c 'import sys
with open(sys.argv[1], "r+b") as f: f.seek(9000); b = f.read(1); f.seek(9000); f.write(bytes([b[0] ^ 1]))' "$COPY/log/$seg.seg"
done
expect_code 13 coffer-vault scrub "$W/b"
same "what the next session is asked for" "00000001 00000003" "$(tr '\n' ' ' < "$COPY/damaged" | sed 's/ $//')"
coffer sync "$STORE" b > "$W/out" 2> "$W/err" || { cat "$W/err"; fail "the sync that mends"; }
grep -q "2 damaged segments" "$W/err" || fail "sync does not tell: $(cat "$W/err")"
[ ! -e "$COPY/damaged" ] || fail "still listed: $(cat "$COPY/damaged")"
coffer verify "$COPY" > /dev/null || fail "the copy does not verify after that"
coffer events "$STORE" --type vault-mended | grep -q "2 damaged segments" || fail "no event: $(coffer events "$STORE" | tail -3)"

say "another host's bytes are not taken for them"
python3 -c 'import sys
with open(sys.argv[1], "r+b") as f: f.seek(9000); b = f.read(1); f.seek(9000); f.write(bytes([b[0] ^ 1]))' "$COPY/log/00000001.seg"
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
