#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What vaults sign goes into the archive's chain: through the daemon, at the next mount, with a key; what is refused; what
# verify says of it; when a file counts as archived (retention time: tests/unit/archive/test-cosign.c).
. "$(dirname "$0")/lib.sh"

make_store audit
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
coffer-vault init "$W/b" --name vault.example/b --place 22.62,120.30,Kaohsiung --jurisdiction TW > "$W/init.out"
BKEY=$(grep -o 'vault.example/b+[^ ]*' "$W/init.out" | head -n 1)
coffer-vault init "$W/c" --name vault.example/c --place 25.031,121.561,Taipei --jurisdiction TW > /dev/null
expect_code 2 coffer vault place "$STORE"
expect_fail "LAT,LON,NAME" coffer vault place "$STORE" here
coffer vault add "$STORE" b "dir:$W/b" --vkey "$BKEY" --administration north > /dev/null
frames() { coffer log "$STORE" --json --key-file "$KEY" > "$W/log" && jsonl "[e for e in j if e['type'] == 'cosign']$1" < "$W/log"; }
attr() { getfattr --only-values -n "user.coffer.$2" "$MNT/audit/$1" 2> /dev/null || echo none; }

say "no place is known, and the vault lies on a disk of this host"
mount_archive
echo one > "$MNT/audit/one"
chmod a-w "$MNT/audit/one"
coffer status "$STORE" | grep -q "^Archived  *nothing: no vault in another place" || fail "status: $(coffer status "$STORE")"
coffer sync "$STORE" b > "$W/out" 2>&1 || { cat "$W/out"; fail sync; }
grep -q ", on record" "$W/out" || fail "sync does not tell that it is on record: $(cat "$W/out")"
same "archived there" none "$(attr one archived_at)"
for _ in 1 2 3 4 5; do # the daemon may have had something of its own to record between the two
    coffer sync "$STORE" b --json > "$W/sync"
    [ "$(jsonl 'j[0]["frames"]' < "$W/sync")" != 0 ] || break
done
same "frames of a sync with nothing new" 0 "$(jsonl 'j[0]["frames"]' < "$W/sync")"
same "nothing new is not chained again" False "$(jsonl 'j[0]["record"]["chained"]' < "$W/sync")"

say "a place: what a vault far away has confirmed is archived"
coffer vault place "$STORE" 25.03,121.56,Taipei --jurisdiction TW | grep -q Taipei || fail "place"
echo two > "$MNT/audit/two"
chmod a-w "$MNT/audit/two"
coffer sync "$STORE" b --json > "$W/sync"
same "elsewhere" True "$(jsonl 'j[0]["record"]["elsewhere"]' < "$W/sync")"
when=$(jsonl 'j[0]["record"]["time"]' < "$W/sync")
same "archived_at is the vault's time" "$when" "$(attr two archived_at)"
same "the older file too" "$when" "$(attr one archived_at)"
echo three > "$MNT/audit/three"
chmod a-w "$MNT/audit/three"
same "not yet" none "$(attr three archived_at)"
[ "$(attr three committed_at)" != none ] || fail "committed_at is missing"
coffer ls --json "$MNT/audit/two" | jsonl 'j[0]["archived_at"]' > /dev/null || fail "ls does not show archived_at"
coffer status "$STORE" | grep -q "^Archived *the first [0-9]* frames, by vault.example/b at .*; [1-9][0-9]* wait" || fail "status: $(coffer status "$STORE")"
same "the frames" 2 "$(frames '.__len__()')"
same "what they say" "('22.62,120.30,Kaohsiung', 'TW', 'north', 1)" "$(frames '[-1]' > "$W/frame"; python3 -c 'import ast, sys
f = ast.literal_eval(open(sys.argv[1]).read()); print((f["vault_place"], f["jurisdiction"], f["administration"], f["elsewhere"]))' "$W/frame" 2> /dev/null || cat "$W/frame")"

say "a grade that the policy wants, each vault states"
sed 's/^vault_grade = .*/vault_grade = 0/' "$TOP/profiles/gpki-4.ini" > "$W/none.ini"
r10() { coffer compliance "$STORE" --profile "$1" --json > "$W/report" || true; json '[r["finding"] for r in j["rows"] if r["rule"] == "R10"][0]' < "$W/report"; }
same "without a grade" PASS "$(r10 "$W/none.ini")"
same "with one" FAIL "$(r10 "$TOP/profiles/gpki-4.ini")"
echo "grade = 4" >> "$W/b/vault.conf"
coffer vault add "$STORE" b "dir:$W/b" --administration north > /dev/null
same "stated" PASS "$(r10 "$TOP/profiles/gpki-4.ini")"

say "what is refused"
cp "$STORE/vaults/b.note" "$W/newest"
socket() { python3 - "$@" << 'PY'
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(os.environ.get("COFFER_RUN_DIR", "/run/coffer") + "/" + sys.argv[1] + ".sock")
s.sendall((json.dumps({"verb": "cosign", "vault": sys.argv[2], "note": open(sys.argv[3]).read()}) + "\n").encode())
print(s.makefile().read())
PY
}
refuses() { socket "$ID" "$1" "$2" > "$W/answer"; grep -q "$3" "$W/answer" || fail "$4: $(cat "$W/answer")"; }
python3 - "$W" << 'PY'
import base64, sys
text = open(sys.argv[1] + "/newest").read()
lines = text.splitlines()
sig = base64.b64decode(lines[-1].split()[-1])
forged = lines[-1].rsplit(" ", 1)[0] + " " + base64.b64encode(sig[:4] + (int.from_bytes(sig[4:12], "big") + 9).to_bytes(8, "big") + sig[12:]).decode()
open(sys.argv[1] + "/forged", "w").write("\n".join(lines[:-1] + [forged]) + "\n")
open(sys.argv[1] + "/unsigned", "w").write("\n".join(lines[:-1]) + "\n")
PY
refuses b "$W/forged" "signature does not hold" "forged"
refuses b "$W/unsigned" "is missing" "not signed by the vault"
refuses nobody "$W/newest" "has no vault" "unknown vault"
coffer sync "$STORE" b > /dev/null
refuses b "$W/newest" "older than what this vault said" "stale"
same "nothing of it is on record" 3 "$(frames '.__len__()')"

say "each transfer is on record: where to, what, how much"
coffer log "$STORE" --json --key-file "$KEY" > "$W/log"
same "transfers" "[('b', 'TW', None, 'success', True), ('b', 'TW', 297, 'success', True), ('b', 'TW', 297, 'success', True)]" \
    "$(jsonl '[(e["name"], e["jurisdiction"], e.get("distance_km"), e["outcome"], e["to"] == e["position"] and e["bytes"] > 100) for e in j if e["type"] == "vault" and e["what"] == "transfer"]' < "$W/log")"
coffer events "$STORE" --type vault-met --json --key-file "$KEY" | grep -q "dir:$W/b" || fail "that the vault was met is no event"
say "not mounted: at the next mount, or with a key"
umount_archive
coffer sync "$STORE" b | grep -q "goes on record at the next mount" || fail "sync does not tell"
mount_archive
await 10 "the note of before" sh -c "coffer log '$STORE' --json | grep -c '\"type\":\"cosign\"' | grep -qx 4"
umount_archive
coffer vault add "$STORE" c "dir:$W/c" --administration south > /dev/null
coffer sync "$STORE" c --key-file "$KEY" | grep -q ", on record" || fail "with a key"
same "a vault near by is no other place" 0 "$(frames '[-1]["elsewhere"]')"

say "verify"
coffer verify "$STORE" > "$W/out" || { cat "$W/out"; fail "it does not verify"; }
grep -q "existed at .*, says vault vault.example/b in 22.62,120.30,Kaohsiung (TW)" "$W/out" || fail "verify: $(cat "$W/out")"
grep -q "give --vault-key" "$W/out" || fail "verify does not tell whose key that is"
coffer verify "$STORE" --vault-key "$BKEY" --json > "$W/json"
same "proofs" "[5, 4]" "$(json '[j["cosignatures"], j["cosignatures_proven"]]' < "$W/json")"
coffer verify "$W/b/archives/$ID" > /dev/null || fail "the vault's copy"
second_reader --json > "$W/out" || { cat "$W/out"; fail "second reader"; }
same "records of vaults for the second reader" "[('met', 3), ('transfer', 5)]" "$(json 'sorted(j["vault_records"].items())' < "$W/out")"
same "transfers nobody permitted" "[]" "$(json '[p for p in j["not_permitted"]]' < "$W/out")"
same "cosignatures for the second reader" 5 "$(json 'j["cosignatures"]' < "$W/out")"
ok "cosignatures in the chain"
