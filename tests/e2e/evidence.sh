#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Evidence bundles: made with a record of to whom and why before a key leaves, checked without the archive by three programs
# that share nothing, each of which finds out every changed byte; incidents; what is refused; encrypted ones.
. "$(dirname "$0")/lib.sh"

OPEN=(--key-file "$KEY")
second() { python3 "$TOP/tests/second_evidence.py" "$@"; }
check() { coffer evidence check "$@"; }
PAGE=$TOP/tools/evidence/verify.html
page() { # what verify.html runs, by node; keys without their options
    local word words=()
    for word in "$@"; do [[ $word == --* ]] || words+=("$word"); done
    [ -z "$NODE" ] || "$NODE" "$TOP/tests/support/evidence-page.js" "$PAGE" "${words[@]}"
}
NODE=$(command -v nodejs || true)
[ -n "$NODE" ] || say "no nodejs: verify.html is not run"
# verdict CODE BUNDLE [KEYS …]: all verifiers say so; the page at the end, of all in one process.
verdict() {
    expect_code "$1" check "${@:2}"
    expect_code "$1" second "${@:2}"
    for_page "$@"
}
seen_by_page=0
for_page() {
    local word line
    seen_by_page=$((seen_by_page + 1))
    cp "$2" "$W/page-$seen_by_page"
    line=$1$'\t'$W/page-$seen_by_page
    for word in "${@:3}"; do [[ $word == --* ]] || line+=$'\t'$word; done
    printf '%s\n' "$line" >> "$W/list"
}
events() { coffer events "$STORE" --type "$1" --json "${MORE[@]}"; }
MORE=()

make_store audit keys -- --origin log.example/ca
LOG=$(coffer status "$STORE" --json | json 'j["vkey"]')
coffer-vault init "$W/b" --name vault.example/b --place 22.62,120.30,Kaohsiung > "$W/init.out"
VAULT=$(grep -o 'vault.example/b+[^ ]*' "$W/init.out" | head -n 1)
coffer-vault init "$W/c" --name vault.example/c > "$W/init.out"
OTHER=$(grep -o 'vault.example/c+[^ ]*' "$W/init.out" | head -n 1)
coffer vault add "$STORE" b "dir:$W/b" --vkey "$VAULT" > /dev/null
mount_archive
coffer sync "$STORE" b > /dev/null

rule() { # rule RULE [OPTION …]: what compliance finds
    coffer compliance "$STORE" --json "${@:2}" "${MORE[@]}" > "$W/report" || true
    json "' '.join({r['finding'] + ': ' + r['evidence'] for r in j['rows'] if r['rule'] == '$1'})" < "$W/report"
}
export COFFER_PROFILES=$TOP/profiles
[[ $(rule R19 --profile gpki-3) == "FAIL: the policy in force"* ]] || fail "R19: $(rule R19 --profile gpki-3)"
[[ $(rule R62 --profile gpki-3) == "FAIL: no evidence bundle was ever made"* ]] || fail "R62: $(rule R62 --profile gpki-3)"

say "a file: content, frames, proofs and keys; records of it before and after"
mkdir "$MNT/audit/2031"
head -c 200000 /dev/urandom > "$W/content"
cp "$W/content" "$MNT/audit/2031/röot log"
echo other > "$MNT/audit/2031/other"
for i in 1 2 3; do echo "line $i" >> "$MNT/audit/2031/röot log"; echo "line $i" >> "$W/content"; echo more >> "$MNT/audit/2031/other"; done
chmod a-w "$MNT/audit/2031/röot log"
coffer evidence make "$STORE" "audit/2031/röot log" --to court --basis 'order 12' -o "$W/early.tar" > "$W/out" 2> "$W/err" || fail "$(cat "$W/out" "$W/err")"
grep -q "no vault has signed" "$W/err" || fail "it does not tell that only the host signed: $(cat "$W/err")"
verdict 10 "$W/early.tar" --log-key "$LOG"
verdict 10 "$W/early.tar" --log-key "$LOG" --vault-key "$VAULT"
check "$W/early.tar" --log-key "$LOG" > "$W/out" || true
grep -q "^Self-signed: the host could have rewritten this" "$W/out" || fail "$(cat "$W/out")"
coffer sync "$STORE" b > /dev/null
coffer sync "$STORE" b > /dev/null
coffer evidence make "$MNT" "$MNT/audit/2031/röot log" --to court --basis 'order 12' -o "$W/a.tar" --json > "$W/made" 2> "$W/err" || fail "$(cat "$W/err")"
[ ! -s "$W/err" ] || fail "$(cat "$W/err")"
same "not for everybody to read" 600 "$(stat -c %a "$W/a.tar")"
expect_fail "is there already" coffer evidence make "$STORE" audit --to court --basis x -o "$W/a.tar"
events disclosure-begun > "$W/begun"
events disclosed > "$W/disclosed"
same "on record: to whom, on what basis, which file" "[('court', 'order 12', 1), ('court', 'order 12', 1)]" \
    "$(jsonl '[(f["to"], f["basis"], f["files"]) for f in (json.loads(e["form"]) for e in j)]' < "$W/begun")"
jsonl 'j[0]["path"]' < "$W/begun" | grep -qx "audit/2031/röot log" || fail "the path: $(cat "$W/begun")"
same "the bundle by its manifest" "$(json 'j["manifest"]' < "$W/made")" "$(jsonl 'json.loads(j[-1]["form"])["manifest"]' < "$W/disclosed")"
same "which is that of the bag" "$(json 'j["manifest"]' < "$W/made")" "$(tar xOf "$W/a.tar" coffer-evidence/manifest-sha256.txt | sha256sum | cut -d' ' -f1)"
same "read back" "success" "$(events disclosure-checked | jsonl 'j[-1]["outcome"]')"

say "verdicts"
verdict 0 "$W/a.tar" --vault-key "$VAULT"
verdict 0 "$W/a.tar" --log-key "$LOG" --vault-key "$OTHER" --vault-key "$VAULT"
verdict 10 "$W/a.tar" --log-key "$LOG"
verdict 10 "$W/a.tar" --log-key "$LOG" --vault-key "$OTHER"
verdict 11 "$W/a.tar"
verdict 14 "$W/a.tar" --vault-key "$OTHER"
OTHERLOG=$(python3 -c 'import base64, hashlib, sys
raw = b"\1" + bytes(31) + b"\1"
print("log.example/ca+" + hashlib.sha256(b"log.example/ca\n" + raw).digest()[:4].hex() + "+" + base64.b64encode(raw).decode())')
verdict 14 "$W/a.tar" --log-key "$OTHERLOG" --vault-key "$VAULT"
verdict 15 "$W/content"
expect_code 2 check "$W/a.tar" --vault-key nonsense
expect_code 1 check "$W/none.tar"
check "$W/a.tar" --log-key "$LOG" --vault-key "$VAULT" --json > "$W/checked"
same "what is proven" "('proven', 'vault.example/b', $(stat -c %s "$W/content"), '$(sha256sum < "$W/content" | cut -d' ' -f1)', True, True, True)" \
    "$(json '(j["verdict"], j["by"], j["files"][0]["size"], j["files"][0]["sha256"], j["files"][0]["not_before"] < j["files"][0]["created"] < j["files"][0]["committed"], "existed_at" in j["files"][0], j["files"][0]["existed_at"] <= j["at"])' < "$W/checked")"
same "what is claimed" "('audit/2031/röot log', 0)" "$(json '(j["files"][0]["path_claimed"], j["files"][0]["actors_claimed"][0]["uid"])' < "$W/checked")"
second "$W/a.tar" --vault-key "$VAULT" --json > "$W/second"
same "the second verifier sees the same times" "$(json '[int(__import__("datetime").datetime.fromisoformat(j["files"][0][k].replace("Z", "+00:00")).timestamp()) for k in ("created", "committed", "not_before", "existed_at")]' < "$W/checked")" \
    "$(json '[j["files"][0][k] // 10**9 for k in ("created", "committed", "not_before", "existed_at")]' < "$W/second")"

say "what is in it: a bag as bagging software knows it, the content, no other file's key or entry"
mkdir "$W/x"
tar xf "$W/a.tar" -C "$W/x"
(cd "$W/x/coffer-evidence" && sha256sum -c --quiet manifest-sha256.txt tagmanifest-sha256.txt) || fail "the manifests"
cmp "$W/x/coffer-evidence/data/files/1/content/r__ot_log" "$W/content" || fail "the content"
python3 -c 'import sys, tarfile; t = tarfile.open(sys.argv[1]); print(len(t.getmembers()))' "$W/a.tar" > /dev/null || fail "python does not read the tar"
coffer log "$STORE" --json > "$W/log"
python3 - "$W/x/coffer-evidence/data" "$W/log" <<'PY' || fail "what is in the bundle"
import glob, json, struct, sys
about = json.load(open(sys.argv[1] + "/files/1/file.json"))
log = {e["sequence"]: e for e in map(json.loads, open(sys.argv[2]))}
types = []
for name in glob.glob(sys.argv[1] + "/files/1/*.frames"):
    p, at = open(name, "rb").read(), 32
    while at < len(p):
        kind, sequence, ino, length, public = p[at + 4], *struct.unpack_from("<QQ", p, at + 8), *struct.unpack_from("<I", p, at + 32), struct.unpack_from("<I", p, at + 120)[0]
        stored = struct.unpack_from("<I", p, at + 36)[0]
        types.append(kind)
        assert ino in (0, about["ino"]), (kind, ino)
        assert kind in (7, 8) or ino == about["ino"] or kind in (1, 22, 25, 27), kind
        # what is sealed under the metadata's key is not there, not even as ciphertext
        at += 128 + (stored if kind == 7 else public + 32 * -(-length // 65536))
assert types.count(7) >= 4 and 1 in types and 6 in types and 10 in types and 25 in types, types
assert len(about["keys"]) == 1 and len(about["keys"][0]["key"]) == 64
PY

say "every changed byte is found out"
head -c 700 /dev/urandom > "$MNT/keys/small"
chmod a-w "$MNT/keys/small"
coffer sync "$STORE" b > /dev/null
coffer evidence make "$STORE" keys/small --to court --basis 'order 12' -o "$W/small.tar" > /dev/null
step=${LONG:+1}; step=${step:-2003}
python3 "$TOP/tests/support/evidence-flip.py" "$W/small.tar" "$W/flipped" $step "$BUILD/tools/coffer" evidence check {} --vault-key "$VAULT" > "$W/out" || fail "$(cat "$W/out")"
python3 - "$W/small.tar" "$VAULT" "$TOP/tests" $step <<'PY' || fail "the second verifier"
import io, random, sys
sys.path.insert(0, sys.argv[3])
import second_evidence as s
data, rng, vault, step = bytearray(open(sys.argv[1], "rb").read()), random.Random(7), s.Key(sys.argv[2]), max(1, int(sys.argv[4]) // 40)
for at in range(rng.randrange(step), len(data), step):
    bit = 1 << rng.randrange(8)
    data[at] ^= bit
    try:
        s.Bundle(io.BytesIO(data), None, [vault]).check([])
    except (s.Wrong, s.Unknown, s.NoBundle, UnicodeDecodeError):
        data[at] ^= bit
        continue
    sys.exit(f"byte {at}")
s.Bundle(io.BytesIO(data), None, [vault]).check([])
PY
page flip "$W/small.tar" $([ -n "$LONG" ] && echo 1 || echo 499) "$VAULT" > "$W/out" || fail "verify.html: $(cat "$W/out")"
for n in 512 10240 20480; do
    head -c -$n "$W/small.tar" > "$W/flipped"
    verdict 13 "$W/flipped"
done
(cat "$W/small.tar"; head -c 10240 /dev/zero) > "$W/flipped"
verdict 13 "$W/flipped"

say "who changes it and makes the manifests fit, or makes up a log, is found out too, and where is said"
python3 "$TOP/tests/support/evidence-forge.py" "$W/small.tar" "$W" "$TOP/tests" > "$W/forged" || fail "forging"
while read -r name code word; do
    expect_code "$code" check "$W/f-$name.tar"
    [ "$word" = - ] || grep -qi "^Tampered: .*$word" "$W/out" || fail "f-$name: where is not said: $(cat "$W/out")"
    for_page "$code" "$W/f-$name.tar"
done < "$W/forged"
[ "$(wc -l < "$W/forged")" -ge 35 ] || fail "too few are forged"
python3 - "$W/forged" "$W" "$TOP/tests" <<'PY' || fail "the second verifier"
import sys
sys.path.insert(0, sys.argv[3])
import second_evidence as s
for line in open(sys.argv[1]):
    name, code = line.split()[:2]
    with open(f"{sys.argv[2]}/f-{name}.tar", "rb") as f:
        b = s.Bundle(f, None, [])
        try:
            b.check([])
            got = b.verdict()[0]
        except (s.Wrong, UnicodeDecodeError):
            got = 13
    if got != int(code):
        sys.exit(f"{name}: {got} instead of {code}")
PY
COFFER_SECOND_SLOW=1 expect_code 0 second "$W/small.tar" --vault-key "$VAULT"

say "the page: one file that loads and sends nothing; without Ed25519 of the browser too"
if grep -nE 'https?:|fetch|XMLHttp|WebSocket|import\(|src=|href=' "$PAGE"; then fail "the page names something outside"; fi
grep -q "default-src 'none'" "$PAGE" || fail "the page may load something"
page plain || fail "its own hashes and signatures"
if [ -n "$NODE" ]; then
    NO_ED25519=1 expect_code 0 page check "$W/small.tar" "$VAULT"
    page ui "$W/a.tar" "$VAULT" "$LOG" > "$W/seen" || fail "the page itself"
    same "green, only where it is proven" "proven" "$(head -n 1 "$W/seen")"
    for text in "Proven by an independent signature: at " "$(sha256sum < "$W/content" | cut -d' ' -f1)" "audit/2031/röot log*" "order 12" "Proven: there at" "Proven: not before"; do
        grep -qF "$text" "$W/seen" || fail "the page does not show \"$text\": $(cat "$W/seen")"
    done
    for one in "a.tar $LOG:warn" "a.tar:warn" "a.tar $OTHER:bad" "f-time.tar:bad" "content:bad"; do
        # shellcheck disable=SC2086
        (cd "$W" && page ui ${one%:*} > seen)
        same "the colour of $one" "${one##*:}" "$(head -n 1 "$W/seen")"
    done
    page check "$W/a.tar" "$VAULT" "$LOG" > "$W/seen"
    same "the page sees what the second verifier sees" "$(json '[j["files"][0][k] for k in ("sha256", "size", "created", "committed")]' < "$W/second")" \
        "$(json '[j["files"][0]["sha256"], j["files"][0]["size"], int(j["files"][0]["created"]), int(j["files"][0]["committed"])]' < "$W/seen")"
    same "and the proofs of time" "$(json '[j["files"][0][k] // 10**9 for k in ("not_before", "existed_at")]' < "$W/second")" \
        "$(json '[j["files"][0]["not_before"], j["files"][0]["existed_at"]]' < "$W/seen")"
fi

say "holes, an empty file, a file still open, several in a directory, over a remount"
truncate -s 300000 "$MNT/audit/2031/hole"
echo behind >> "$MNT/audit/2031/hole"
: > "$MNT/audit/2031/empty"
umount_archive
mount_archive
echo after >> "$MNT/audit/2031/hole"
coffer evidence make "$STORE" audit/2031/hole audit/2031 audit --to court --basis 'order 13' -o "$W/dir.tar" > /dev/null 2>&1
verdict 10 "$W/dir.tar" --log-key "$LOG"
check "$W/dir.tar" --log-key "$LOG" --json > "$W/checked" || true
for f in "$MNT"/audit/2031/*; do echo "$(sha256sum < "$f" | cut -d' ' -f1) $(stat -c %s "$f")"; done | sort > "$W/want"
json '"\n".join(sorted(f["sha256"] + " " + str(f["size"]) for f in j["files"]))' < "$W/checked" | diff "$W/want" - || fail "contents of a directory"
same "keys of two mounts" 2 "$(tar xOf "$W/dir.tar" --wildcards '*/file.json' | jsonl 'max(len(f["keys"]) for f in j)')"

say "encrypted to a recipient: nobody else reads it"
if command -v age > /dev/null; then
    age-keygen -o "$W/identity" 2> /dev/null
    coffer evidence make "$STORE" audit/2031 --to court --to "$(age-keygen -y "$W/identity")" --basis 'order 14' -o "$W/e.age" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
    verdict 15 "$W/e.age"
    age -d -i "$W/identity" "$W/e.age" > "$W/e.tar" || fail "age does not open it"
    verdict 10 "$W/e.tar" --log-key "$LOG"
fi

say "the policy wants recipient and basis: refused without, and on record; an archive that is not mounted"
printf '[archive]\ndisclosure_basis = yes\nsources = gpki cert\n' > "$W/p.ini"
coffer policy apply "$STORE" "$W/p.ini" > /dev/null
[[ $(rule R19) == "PASS: nothing leaves without recipient and basis; "*" bundles on record"* ]] || fail "R19: $(rule R19)"
[[ $(rule R62) == "PASS: no incident is on record; handing over was practised"* ]] || fail "R62: $(rule R62)"
expect_fail "disclosure_basis" coffer evidence make "$STORE" keys/small --basis x -o "$W/no.tar"
expect_fail "disclosure_basis" coffer evidence make "$STORE" keys/small --to court -o "$W/no.tar"
same "refused twice" 2 "$(events disclosure-refused | wc -l)"
[ ! -e "$W/no.tar" ] && [ ! -e "$W/no.tar.part" ] || fail "something was written"
expect_fail "No such file" coffer evidence make "$STORE" nowhere --to court --basis x -o "$W/no.tar"
expect_code 2 coffer evidence make "$STORE" keys/small --to court --basis x
same "nothing more was begun" 5 "$(events disclosure-begun | wc -l)"
python3 - "$COFFER_RUN_DIR" "$(coffer status "$STORE" --json | json 'j["archive_id"]')" "$(jsonl 'j[0]["sequence"]' < "$W/begun")" <<'PY' || fail "keys without a record"
import json, socket, sys
def ask(**request):
    s = socket.socket(socket.AF_UNIX)
    s.connect(f"{sys.argv[1]}/{sys.argv[2]}.sock")
    s.sendall(json.dumps(request).encode() + b"\n")
    return [json.loads(line) for line in s.makefile()]
for request in ({"disclosure": 0, "ino": 4}, {"disclosure": 3, "ino": 4}, {"ino": 4}, {"disclosure": int(sys.argv[3]), "ino": 4}):
    answer = ask(verb="evidence-file", **request)
    assert len(answer) == 1 and "error" in answer[0], answer
PY
umount_archive
MORE=("${OPEN[@]}")
coffer evidence make "$STORE" keys/small --rehearsal -o "$W/r.tar" "${OPEN[@]}" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
verdict 0 "$W/r.tar" --vault-key "$VAULT"
check "$W/r.tar" --vault-key "$VAULT" | grep -q "^Rehearsal" || fail "it does not say that it is none"
same "on record as well" True "$(events disclosed | jsonl 'json.loads(j[-1]["form"])["rehearsal"]')"
say "the page says of all of them what the others say"
page codes "$W/list" || fail "verify.html"
verify_intact
second_reader > /dev/null || fail "the second reader"
ok evidence
