#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Witnesses (c2sp.org/tlog-witness): one that was written from the specification cosigns an archive over HTTPS, and ours
# answers the same protocol, to one who asks by the specification too.
. "$(dirname "$0")/lib.sh"
python3 -c 'import cryptography' 2> /dev/null || skip "python3-cryptography is not installed"
command -v openssl > /dev/null || skip "openssl is not installed"
WITNESS=$TOP/tests/e2e/witness.py

make_store audit -- --segment-size 64K
LOGKEY=$(coffer status "$STORE" --json | json 'j["vkey"]')
certificate() { openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$W/$1.key" -out "$W/$1.pem" -days 2 -subj /CN=localhost -addext "subjectAltName=$2" 2> /dev/null; }
certificate tls DNS:localhost
certificate wrong DNS:elsewhere.example
start() { # start NAME LOGKEY CERTIFICATE [COMMAND...]; "": without TLS
    local name=$1 log=$2 cert=$3
    shift 3
    python3 "$WITNESS" serve "$W/$name.state" "$W/$name.port" "$log" "${cert:+$W/$cert.pem}" "${cert:+$W/$cert.key}" "$@" & child $!
    await 20 "a witness" test -e "$W/$name.port"
    read -r PORT VKEY < "$W/$name.port"
}

say "over HTTPS, and only so"
start w "$LOGKEY" tls
expect_fail "over https://" coffer vault add "$STORE" w "http://witness.example/" --vkey "$VKEY"
expect_fail "--vkey KEY" coffer vault add "$STORE" w "https://localhost:$PORT"
expect_fail "holds no copy" coffer vault add "$STORE" w "https://localhost:$PORT" --vkey "$VKEY" --place 1,2,Here
coffer vault add "$STORE" w "https://localhost:$PORT" --vkey "$VKEY" > /dev/null
expect_fail "certificate" coffer sync "$STORE" w
# Whom curl(1) and OpenSSL would believe by the environment is not believed here.
expect_fail "certificate" env CURL_CA_BUNDLE="$W/tls.pem" SSL_CERT_FILE="$W/tls.pem" coffer sync "$STORE" w
coffer vault add "$STORE" w "https://localhost:$PORT" --vkey "$VKEY" --ca "$W/tls.pem" > /dev/null
coffer sync "$STORE" w > "$W/out" || fail "sync: $(cat "$W/out")"
grep -q "^w cosigned [0-9]* frames" "$W/out" || fail "sync says: $(cat "$W/out")"
start x "$LOGKEY" wrong
coffer vault add "$STORE" x "https://localhost:$PORT" --vkey "$VKEY" --ca "$W/wrong.pem" > /dev/null
expect_fail "localhost" coffer sync "$STORE" x

start plain "$LOGKEY" ""
coffer vault add "$STORE" plain "http://127.0.0.1:$PORT" --vkey "$VKEY" > /dev/null
http_proxy=http://127.0.0.1:1 coffer sync "$STORE" plain > "$W/out" || fail "what is asked on this host goes over a proxy: $(cat "$W/out")"

say "in the chain, and in verify"
mount_archive
for i in $(seq 300); do echo "line $i"; done > "$MNT/audit/log"
coffer sync "$STORE" w > "$W/out" || fail "sync beside a mount: $(cat "$W/out")"
grep -q "on record" "$W/out" || fail "not on record: $(cat "$W/out")"
coffer status "$STORE" | grep -q "^Archived *nothing" || fail "a witness counts as a copy: $(coffer status "$STORE")"
umount_archive
VKEY_W=$(cut -d' ' -f2 < "$W/w.port")
coffer verify "$STORE" --vault-key "$VKEY_W" > "$W/out" || { cat "$W/out"; fail "verify"; }
grep -q "existed at .*witness.example/w" "$W/out" || fail "verify does not tell of the witness: $(cat "$W/out")"

say "an old state, and a fork"
cp -a "$STORE" "$W/older"
mount_archive; echo more >> "$MNT/audit/log"; umount_archive
coffer sync "$STORE" w > /dev/null
rm "$W/older/vaults/w.note"
expect_code 3 coffer sync "$W/older" w
(STORE=$W/older; mount_archive; for i in 1 2 3 4 5 6 7 8; do echo "another history $i" >> "$MNT/audit/log"; done; umount_archive)
expect_code 4 coffer sync "$W/older" w
grep -q FORK "$W/out" || fail "fork: $(cat "$W/out")"

say "ours answers the same"
coffer-vault init "$W/ours" --name witness.example/ours > "$W/init"
OURS=$(grep -o 'witness.example/ours+[^ ]*' "$W/init" | head -n 1)
DATA=$TOP/../shared/data/checkpoints
ask() { python3 "$WITNESS" ask "$OURS" "$1" coffer-vault witness "$W/ours"; }
coffer vault add "$STORE" far "dir:$W/ours" > /dev/null
coffer sync "$STORE" far > /dev/null # a copy: then its log is known, and what was signed of it counts
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
SIZE=$(sed -n 2p "$W/ours/archives/$ID/checkpoint")
body() { printf 'old %s\n%b\n' "$1" "$2"; cat "$3"; }
body 0 '' "$STORE/checkpoint" > "$W/body"
same "from the beginning" "409 $SIZE" "$(ask "$W/body")"
body "$SIZE" '' "$STORE/checkpoint" > "$W/body"
same "what the copy has" "200 cosigned" "$(ask "$W/body")"
mount_archive; echo later >> "$MNT/audit/log"; umount_archive
start ours "$LOGKEY" tls coffer-vault witness "$W/ours"
coffer vault add "$STORE" ours "https://localhost:$PORT/" --vkey "$OURS" --ca "$W/tls.pem" > /dev/null
coffer sync "$STORE" ours > "$W/out" || fail "coffer to coffer-vault witness: $(cat "$W/out")"
NOW=$(sed -n 2p "$STORE/checkpoint")
sed "s/^old .*/old $((NOW + 1))/" "$W/body" > "$W/b2"
same "old above the size" "400 the old size is above the checkpoint's" "$(ask "$W/b2")"
body "$NOW" '' "$STORE/checkpoint" > "$W/body"
same "the same again" "200 cosigned" "$(ask "$W/body")"
body "$NOW" 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n' "$W/older/checkpoint" > "$W/body"
[[ $(ask "$W/body") == 4* ]] || fail "another history was cosigned"
printf 'nonsense' > "$W/body"
same "nonsense" 400 "$(ask "$W/body" | cut -d' ' -f1)"
if [ -d "$DATA" ]; then
    printf '%s\n' 'coffer.example/log1+ee681436+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4' > "$W/key1"
    body 0 '' "$DATA/size-1.note" > "$W/body"
    same "a log that is not known" 404 "$(ask "$W/body" | cut -d' ' -f1)"
    cp "$W/key1" "$W/ours/logs"
    same "a log by its key" "200 cosigned" "$(ask "$W/body")"
    proof() { python3 -c 'import json,sys
for l in open(sys.argv[1]):
    p = json.loads(l)
    if p["size1"] == 1 and p["size2"] == 8 and p["desc"] == "happy path": print("".join(h + "\n" for h in p["proof"]))' "$DATA/../merkle-consistency-probes.jsonl"; }
    body 1 '' "$DATA/size-8.note" > "$W/body"
    same "without the proof" 422 "$(ask "$W/body" | cut -d' ' -f1)"
    { echo "old 1"; proof; cat "$DATA/size-8.note"; } > "$W/body"
    same "with it" "200 cosigned" "$(ask "$W/body")"
    body 1 '' "$DATA/size-7.note" > "$W/body"
    same "back again" "409 8" "$(ask "$W/body")"
    sed '3s/^X/Y/' "$DATA/size-8.note" > "$W/altered"
    body 8 '' "$W/altered" > "$W/body"
    same "an altered checkpoint" 403 "$(ask "$W/body" | cut -d' ' -f1)"
fi
say "a witness is left: there is nothing to destroy"
expect_fail "signs no receipt" coffer vault retire "$STORE" w --receipt "$W/out"
mount_archive
coffer vault retire "$STORE" w > "$W/out" 2>&1 || { cat "$W/out"; fail "retire"; }
if coffer status "$STORE" | grep -q "^Vault *w"; then fail "it is still listed: $(coffer status "$STORE")"; fi
coffer events "$STORE" --type vault-retired | grep -q " w" || fail "not on record: $(coffer events "$STORE" | tail -n 3)"
coffer due "$STORE" --json > "$W/due" || true
same "due" 0 "$(json 'sum(o["obligation"] == "vault_receipt" for o in j)' < "$W/due")"
umount_archive
verify_intact
second_reader > "$W/out" 2>&1 || { cat "$W/out"; fail "the second reader"; }
ok "witnesses, theirs and ours"
