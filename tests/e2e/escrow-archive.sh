#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Escrow in an archive: a shelf, an epoch that two put in force, keys taken in and refused, recovered by approval and shares,
# rotated, revoked; what status says of it; verified, and read by the second reader.
. "$(dirname "$0")/lib.sh"

command -v age > /dev/null || skip "age is not installed"
command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
cd "$W"
mkdir k r away
S=$STORE/keys OPEN=(--key-file "$KEY")
for n in anna ben cleo; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$n; done
for n in alice bob carol; do age-keygen -o $n.key 2> /dev/null; done
age-keygen -o owner.key 2> /dev/null
OWNER=$(age-keygen -y owner.key)
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
scheme() { # scheme THRESHOLD NAME...
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = %s\nmembers = %s\n' "$1" "$(echo "${@:2}" | sed 's/ /, /g')"
    for n in "${@:2}"; do
        printf '[custodian %s]\nperson = %s\nplace = %s-safe\nmedium = card-%s\nrecipient = %s\n' "$n" "$n" "$n" "$n" "$(age-keygen -y "$n.key")"
    done
}
words() { age -d -i "$2.key" "$1/$2.age"; }
epoch() { # epoch DIR NUMBER [OPTION...]: made, and confirmed by all
    coffer escrow epoch --scheme scheme.ini --number "$2" -o "$1" --json "${@:3}" > "$1.made"
    for n in alice bob carol; do
        nonce=$(json "j[\"challenges\"][\"$n\"]" < "$1.made")
        proof=$(coffer share prove --nonce "$nonce" --share-fd 3 3< <(words "$1" $n))
        coffer escrow confirm --epoch "$1/epoch.json" $n "$nonce" "$proof" > out
    done
}
request() { # request ACTION WORD...: made and signed by anna, approved by ben
    rm -f r/*
    coffer request "$1" "$STORE" "${@:2}" --as anna --key k/anna -o r "${OPEN[@]}" > out || fail "$(cat out)"
    R=$(echo r/*.request)
}
approve() { coffer approve "$STORE" "$R" --key "k/${1:-ben}" "${OPEN[@]}" > out || fail "$(cat out)"; }
people() {
    { echo "anna $(pub anna) roles=officer"; echo "ben $(pub ben) roles=officer"; echo "cleo $(pub cleo) roles=auditor"; } > people
    coffer people set "$STORE" people -o r "${OPEN[@]}" > out
    R=$(echo r/*.request)
    for n in anna ben; do ssh-keygen -q -Y sign -n coffer-people -f k/$n < "$R" > "$R.$n" 2> /dev/null; done
    coffer people accept "$STORE" "$R" "$R.anna" "$R.ben" "${OPEN[@]}" > out
}
records() { coffer log "$STORE" "${OPEN[@]}" --json | grep '"type":"escrow"'; }

make_store audit
people
scheme 2 alice bob carol > scheme.ini

say "a shelf and its scheme; without an epoch that was approved no key comes in"
sed 's/threshold = 2/threshold = 1/' scheme.ini > one.ini
expect_fail "whole" coffer escrow init "$S" --scheme one.ini "${OPEN[@]}"
expect_fail "no shelf" coffer escrow list "$S" "${OPEN[@]}"
coffer escrow init "$S" --scheme scheme.ini "${OPEN[@]}" > out
expect_fail "new-scheme" coffer escrow init "$S" --scheme scheme.ini "${OPEN[@]}"
epoch kit 1
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out away/key.pem 2> /dev/null
printf '[req]\ndistinguished_name=d\n[d]\n[enc]\nkeyUsage=keyEncipherment\n' > conf
openssl req -x509 -new -key away/key.pem -subj /CN=enc -days 9 -config conf -extensions enc -out enc.crt
fine=(--cert enc.crt --owner subscriber --level 2)
expect_fail "no epoch is in force" coffer escrow put "$S" away/key.pem "${fine[@]}" "${OPEN[@]}"
sed 's/bob-safe/hell-safe/' scheme.ini > other.ini
mv scheme.ini real.ini && cp other.ini scheme.ini && epoch other 7 && mv real.ini scheme.ini
expect_fail "another scheme" coffer escrow accept "$S" other/epoch.json "${OPEN[@]}"
coffer escrow accept "$S" kit/epoch.json "${OPEN[@]}" --json > accepted
E=$(json 'j["sequence"]' < accepted)
expect_fail "no epoch is in force" coffer escrow put "$S" away/key.pem "${fine[@]}" "${OPEN[@]}"
ok "a shelf"

say "an epoch is in force once two approved it, through the daemon"
mount_archive
S=$MNT/keys OPEN=()
request escrow-accept keys "$E"
grep -q "bob-safe" r/*.sheet || fail "the sheet does not say who holds what: $(cat r/*.sheet)"
approve
grep -q ' done' out || fail "$(cat out)"
expect_code 1 coffer request escrow-accept "$STORE" keys "$E" --as anna -o r
grep -q "accepted already" "$W/out" || fail "$(cat "$W/out")"
# One insider, by hand: the same number and key, another custodian's name, and nobody to approve it.
cat > other.py <<'PYTHON'
import base64, glob, json, socket, sys
doc = open(sys.argv[2]).read()
s = socket.socket(socket.AF_UNIX)
s.connect(glob.glob(sys.argv[1] + "/*.sock")[0])
ask = {"verb": "escrow-put", "shelf": "keys", "file": "epoch-1", "ext": "json", "data": base64.b64encode(doc.replace(*sys.argv[4:6]).encode()).decode(),
       "record": {"what": "epoch", "epoch": 1, "epoch_key": sys.argv[3], "outcome": "success"}}
s.sendall(json.dumps(ask).encode() + b"\n")
print([json.loads(line) for line in s.makefile()][-1].get("error", "taken"))
PYTHON
EK=$(records | jsonl '[r for r in j if r["what"] == "epoch-valid"][0]["epoch_key"]')
same "another document of it is refused" "epoch 1 is in force with another document, which two had approved: it keeps that" \
    "$(python3 other.py "$COFFER_RUN_DIR" kit/epoch.json "$EK" alice malice)"
same "the same one is not" "taken" "$(python3 other.py "$COFFER_RUN_DIR" kit/epoch.json "$EK" alice alice)"
ok "an epoch in force"

say "a key: judged, encrypted, on the shelf, with its record; live"
coffer escrow put "$S" away/key.pem "${fine[@]}" --name "mail of a subscriber" --json > put
ID=$(json 'j["key"]' < put)
cmp -s <(age -d -i <(true) "$S/$ID.age" 2> /dev/null) away/key.pem && fail "the file on the shelf is in clear"
head -c 21 "$S/$ID.age" | grep -q age-encryption.org || fail "the file on the shelf is no age file"
same "its record" "$(sha256sum < "$S/$ID.age" | cut -d' ' -f1) encrypt 2048 1" \
    "$(records | jsonl '[(r["sha256"], r["usage"], r["bits"], r["epoch"]) for r in j if r["what"] == "key"][0]' | tr -d "(),'")"
expect_fail "kept already" coffer escrow put "$S" away/key.pem "${fine[@]}"
same "listed" "$ID mail of a subscriber kept" "$(coffer escrow list "$S" --json | jsonl '(j[0]["key"], j[0]["name"], j[0]["state"])' | tr -d "(),'")"
coffer escrow show "$STORE" "${ID:0:8}" > out
grep -q "key, epoch 1" out || fail "$(cat out)"
expect_fail "no key here" coffer escrow show "$STORE" ffff
same "the name is private" "" "$(grep -l "mail of a subscriber" "$STORE"/log/* || true)"
ok "a key"

say "what the rules refuse is on record with its clause, and no byte of the key"
openssl genpkey -algorithm ED25519 -out away/ed.pem
expect_fail "signing-key" coffer escrow put "$S" away/ed.pem --owner subscriber --level 2
expect_fail "ca-escrow" coffer escrow put "$S" away/key.pem --cert enc.crt --owner ca --level 1
coffer events "$STORE" --type escrow-refused --json > refusals
same "refusals" "record signing-key ca-escrow" "$(jsonl '" ".join(dict.fromkeys(e["reason"] for e in j))' < refusals)"
grep -q "GPKI 4.12.1, 6.2.3, 6.2.5 (R20)" refusals || fail "the clause is not on record: $(cat refusals)"
grep -qF "$(sed -n 2p away/ed.pem)" refusals && fail "a key is in an event"
ok "refusals"

say "status: which losses are survived, and whose hands suffice"
coffer escrow status "$STORE" --json > status
same "by two, dispersed, nothing lost alone" "2 True True 1" \
    "$(json '(lambda e: (e["persons_needed"], e["dispersed"], e["recoverable"], e["keys"]))(j["epochs"][0])' < status | tr -d '(),')"
coffer escrow status "$STORE" > out
grep -q "if person alice and person bob are lost, the keys are lost" out || fail "a pair that must not be lost is not named: $(cat out)"
grep -q "whoever has person alice and place bob-safe has shares that suffice" out || fail "a pair that suffices to steal is not named: $(cat out)"
coffer escrow inventory "$STORE" > out
grep -q "RSA 2048 bits; since 20..-..-.., kept until infinite; 2 persons of epoch 1 reach it; tried never; 1 file" out || fail "$(cat out)"
ok "status and inventory"

say "drills: a nonce for a custodian; answered elsewhere; what is wrong is refused by name, and on record"
nonce() { coffer escrow drill "$S" --custodian "$1" "${OPEN[@]}" --json | json 'j["nonce"]'; }
prove() { coffer share prove --nonce "$2" --share-fd 3 3< <(words kit "$1"); } # of whom, for what
answer() { coffer escrow drill "$S" --custodian "$1" --proof "$2" "${OPEN[@]}"; }
drills() { records | jsonl '" ".join(r.get("name", "canary") + ":" + r.get("outcome", "begun") for r in j if r["what"] == "drill")'; }
expect_fail "no custodian of epoch 1" coffer escrow drill "$S" --custodian mallory
expect_fail "wrong: it was made with no share" answer alice "$(prove bob drill-aaaa-bbbb-cccc-dddd-eeee-ffff)"
A=$(nonce alice) B=$(nonce bob)
expect_fail "wrong: it was made with no share of epoch 1" answer alice "$(prove alice drill-aaaa-bbbb-cccc-dddd-eeee-ffff)"
expect_fail "of another: it was made with the share of bob, for the nonce of alice" answer alice "$(prove bob "$A")"
expect_fail "of another: it was made with the share of alice, for the nonce of alice" answer bob "$(prove alice "$A")"
PROOF=$(prove alice "$A")
answer alice "$PROOF" > out
grep -q "alice has the share of epoch 1" out || fail "$(cat out)"
expect_fail "replayed: it answers the nonce of" answer alice "$PROOF"
same "all on record" "alice:begun bob:begun alice:failure alice:failure bob:failure alice:success alice:failure" "$(drills)"
same "the first had no nonce: an event" 1 "$(coffer events "$STORE" --type escrow-refused --json | jsonl 'sum(e["reason"] == "drill" for e in j)')"
same "the nonce and the proof are private" "" "$(grep -lF -e "$A" -e "$PROOF" "$STORE"/log/* || true)"
cat > ask.py <<'PYTHON'
import glob, json, socket, sys # what the daemon says to a record, whoever brings it
s = socket.socket(socket.AF_UNIX)
s.connect(glob.glob(sys.argv[1] + "/*.sock")[0])
s.sendall(json.dumps({"verb": "escrow-record", "shelf": "keys", "record": json.loads(sys.argv[2])}).encode() + b"\n")
print([json.loads(line) for line in s.makefile()][-1].get("error", "taken"))
PYTHON
C=$(nonce carol)
last=$(records | jsonl '[r for r in j if r["what"] == "drill"][-1]["sequence"]')
key=$(records | jsonl '[r for r in j if r["what"] == "drill"][-1]["epoch_key"]')
daemon_says() { python3 ask.py "$COFFER_RUN_DIR" "{\"what\":\"drill\",\"epoch\":1,\"epoch_key\":\"$key\",$1}" > out && grep -q "$2" out || fail "$(cat out), not $2"; }
daemon_says "\"of\":$last,\"outcome\":\"success\",\"name\":\"carol\",\"proof\":\"$(prove alice "$C")\"" "not made with that share"
daemon_says "\"of\":$last,\"outcome\":\"success\",\"name\":\"bob\",\"proof\":\"$(prove carol "$C")\"" "of the custodian who was asked"
daemon_says "\"of\":2,\"outcome\":\"success\"" "no drill of this shelf"
daemon_says "\"of\":$last,\"outcome\":\"failure\",\"took_ns\":1,\"reason\":\"x\"" "the archive says itself"
daemon_says "\"name\":\"carol\",\"challenge\":\"$C\",\"detail\":\"$key\"" "given out before"
answer carol "$(prove carol "$C")" > out
daemon_says "\"of\":$last,\"outcome\":\"success\",\"name\":\"carol\",\"proof\":\"$(prove carol "$C")\"" "answered already"
printf '[archive]\nescrow_drill = 1s\nescrow_answer = 1s\nescrow_time = 1s\nescrow_full_drill = 300d\n' > drills.ini
coffer policy apply "$STORE" drills.ini > out
began=$SECONDS
later() { [ $((SECONDS - began)) -ge 2 ]; }
await 5 "the nonce to be too old" later
expect_fail "stale: it answers the nonce of" answer bob "$(prove bob "$B")"
alarmed() { coffer events "$STORE" --type escrow-overdue --json | grep -q "$1"; }
await 10 "the daemon's alarm" alarmed "epoch 1: bob is to show the share"
ok "drills of shares"

say "a full drill: a canary, recovered here and elsewhere; timed against the promise"
coffer escrow drill "$S" --start -o canary.age --json > out
same "promised" 1000000000 "$(json 'j["promised_ns"]' < out)"
coffer share combine --epoch kit/epoch.json --decrypt canary.age -o canary.txt --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol) 2> err
grep -q "a drill's canary, no key" err || fail "$(cat err)"
sed 's/[0-9a-f]$/x/' canary.txt > wrong.txt
expect_fail "wrong: it is not what was in the canary" coffer escrow drill "$S" --recovered wrong.txt
expect_fail "not enough shares" coffer escrow drill "$S" --share-fd 3 3< <(words kit bob)
began=$SECONDS
await 5 "the promise to be broken" later
expect_code 3 coffer escrow drill "$S" --recovered canary.txt
grep -q "longer than what was promised, 1s" "$W/out" || fail "$(cat "$W/out")"
expect_code 3 coffer escrow due "$STORE" --json
same "due tells" "share bob,share alice,share carol,full drill" \
    "$(json '",".join(r["what"] + (" " + r["custodian"] if "custodian" in r else "") for r in j["rows"])' < "$W/out")"
COFFER_PROFILES=$TOP/profiles coffer compliance "$STORE" --profile gpki-4 --json > report || true
same "compliance: bob's answer" "FAIL" "$(json '[r["finding"] for r in j["rows"] if r["rule"] == "R27" and "answer of bob" in r["evidence"]][0]' < report)"
coffer escrow drill "$S" --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit bob) --json > out 2> err
same "in time" True "$(json 'j["took_ns"] < j["promised_ns"]' < out)"
coffer escrow drill "$S" --start > out
expect_fail "replayed: it is what was in an earlier canary" coffer escrow drill "$S" --recovered canary.txt
code=0 && coffer due "$STORE" --json > due || code=$?
same "coffer due" "3 escrow_drill alice, bob, carol of epoch 1" "$code $(json '" ".join(o["obligation"] + " " + o["of"] for o in j if o["overdue"] and o["rule"] == "R27")' < due)"
coffer escrow schedule "$STORE" > out
grep -q "bob: last never; begun 20.*; failed 20.*: stale" out || fail "$(cat out)"
grep -q "full drill  epoch 1   last 20.*, in .*; begun 20..-..-..$" out || fail "$(cat out)"
coffer escrow inventory "$STORE" > out
grep -q "persons of epoch 1 reach it; tried 20" out || fail "$(cat out)"
expect_code 3 coffer escrow status "$STORE"
grep -q "a drill is overdue" "$W/out" || fail "$(cat "$W/out")"
printf '[archive]\nescrow_drill = 1d\nescrow_answer = 1s\nescrow_time = 1s\nescrow_full_drill = 300d\n' > drills.ini
request profile-set @drills.ini
approve
ok "full drills"

say "recovery: nothing without a release; with one, by two shares, to the recipient of the request, once"
expect_fail "nobody has released" coffer escrow recover "$S" "$ID" -o mine.age --share-fd 3 3< <(words kit alice)
[ ! -e mine.age ] || fail "something was delivered without a release"
expect_code 1 coffer request escrow-release "$STORE" keys "$ID" "$OWNER" --as anna -o r
grep -q "for a reason" "$W/out" || fail "$(cat "$W/out")"
rm -f r/*
coffer escrow recover "$S" "${ID:0:10}" --to "$OWNER" --reason "case 17" --as anna --key k/anna --dir r > out
R=$(echo r/*.request)
grep -q "case 17" r/*.sheet && grep -q "mail of a subscriber" r/*.sheet || fail "the sheet does not say what it is about: $(cat r/*.sheet)"
expect_fail "nobody has released" coffer escrow recover "$S" "$ID" -o mine.age --share-fd 3 3< <(words kit alice)
approve
expect_fail "not enough shares" coffer escrow recover "$S" "$ID" -o mine.age --share-fd 3 3< <(words kit alice)
[ ! -e mine.age ] || fail "something was delivered by one share"
mkdir given
recovers() { # recovers FILE OPTION...: under strace
    local code=0
    { strace -qq -o /dev/null "${@:2}" coffer escrow recover "$S" "$ID" -o "$1" --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol) > out 2> err || code=$?; } 2> /dev/null
    echo $code
}
KILLS=$(command -v strace || true) tries="" recoveries=4
if [ -n "$KILLS" ]; then # a kill before the record leaves nothing, and the release as it was
    same "killed as the file is synced" "137 " "$(recovers given/mine.age -e trace=fsync -e inject=fsync:signal=KILL:when=1) $(ls -A given)"
    tries="attempt "
fi
coffer escrow recover "$S" "$ID" -o mine.age --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol) > out 2> err
grep -q "a new epoch and new shares are due" out || fail "$(cat out)"
cmp <(age -d -i owner.key mine.age) away/key.pem
same "mode" 400 "$(stat -c %a mine.age)"
expect_fail "nobody has released" coffer escrow recover "$S" "$ID" -o again.age --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol)
same "on record, in order" "release attempt failed ${tries}attempt recovered" \
    "$(records | jsonl '" ".join(r["what"] for r in j if r.get("key") == "'"$ID"'" and r["what"] != "key")')"
# The same key once more, for the owner of a certificate: whose it is, is part of what is approved.
own=(-newkey rsa:2048 -nodes -days 9 -config conf)
printf '[own]\nkeyUsage=keyEncipherment\n[signs]\nkeyUsage=digitalSignature\n' >> conf
for n in own thief; do openssl req -x509 "${own[@]}" -keyout $n.pem -subj "/CN=the $n of it" -extensions own -out $n.crt 2> /dev/null; done
openssl req -x509 "${own[@]}" -keyout signs.pem -subj /CN=signs -extensions signs -out signs.crt 2> /dev/null
openssl req -x509 "${own[@]}" -keyout silent.pem -subj /CN=silent -extensions d -out silent.crt 2> /dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -config conf -keyout ec.pem -subj /CN=ec -extensions own -out ec.crt 2> /dev/null
asks() { coffer escrow recover "$S" "$ID" --to "$1" --reason "case 18" --as anna --key k/anna --dir r; }
expect_fail "not for keyEncipherment" asks signs.crt
expect_fail "does not say what its key is for" asks silent.crt
expect_fail "not for keyAgreement" asks ec.crt
expect_fail "no certificate" asks k/anna.pub
expect_fail "has to be given with it" coffer request escrow-release "$STORE" keys "$ID" "x509-sha256:$(printf 'a%.0s' {1..64})" --as anna -o r --reason x
rm -f r/*
asks own.crt > out
R=$(echo r/*.request)
grep -q "the owner of the certificate: CN=the own of it" r/*.sheet || fail "the sheet does not say whose certificate it is: $(cat r/*.sheet)"
same "the certificate is approved" "x509-sha256:$(openssl x509 -in own.crt -outform DER | sha256sum | cut -d' ' -f1)" "$(json 'j["recipient"]' < "$R")"
grep -q "the own of it" "$R" && fail "the certificate's name is in what is public"
approve
expect_fail "name its file" coffer escrow recover "$S" "$ID" -o mine.p7m --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol)
expect_fail ", not to x509-sha256:" coffer escrow recover "$S" "$ID" -o mine.p7m --to thief.crt --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol)
expect_fail ", not to age1" coffer escrow recover "$S" "$ID" -o mine.p7m --to "$OWNER" --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol)
[ ! -e mine.p7m ] || fail "something was delivered to another one"
coffer escrow recover "$S" "$ID" -o mine.p7m --to own.crt --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol) > out 2> err
cmp <(openssl cms -decrypt -inform DER -in mine.p7m -inkey own.pem -recip own.crt) away/key.pem || fail "openssl does not open it"
openssl cms -decrypt -inform DER -in mine.p7m -inkey thief.pem > stolen 2> /dev/null && cmp -s stolen away/key.pem && fail "another key opens it"
python3 - <<'EOF'
b = bytearray(open("mine.p7m", "rb").read())
b[-40] ^= 1
open("altered.p7m", "wb").write(b)
EOF
openssl cms -decrypt -inform DER -in altered.p7m -inkey own.pem > /dev/null 2>&1 && fail "what was altered is opened"
# And for one with a key on a curve, where the policy asks for longer ones than Coffer's least.
printf '[agrees]\nkeyUsage=keyAgreement\n' >> conf
for c in 256 384; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-$c -nodes -days 9 -config conf -keyout ec$c.pem -subj /CN=ec$c -extensions agrees -out ec$c.crt 2> /dev/null
done
{ cat drills.ini; echo 'ecc_bits = 384'; } > strong.ini
coffer policy apply "$STORE" strong.ini > out
expect_fail "has 256 bits; the policy asks for 384 (ecc_bits)" asks ec256.crt
rm -f r/*
asks ec384.crt > out
R=$(echo r/*.request)
approve
rm -f r/*
asks "$OWNER" > out # a second release, open at the same time
R=$(echo r/*.request)
approve
expect_fail "--to says for whom it is now" coffer escrow recover "$S" "$ID" -o ec.p7m --share-fd 3 3< <(words kit alice)
coffer escrow recover "$S" "$ID" -o ec.p7m --to ec384.crt --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol) > out 2> err
cmp <(openssl cms -decrypt -inform DER -in ec.p7m -inkey ec384.pem) away/key.pem || fail "openssl does not open it"
same "the other release is there" "$OWNER" "$(coffer escrow list "$S" --json | jsonl '[k["released_to"] for k in j if k["key"] == "'"$ID"'"][0]')"
coffer escrow recover "$S" "$ID" -o second.age --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol) > out 2> err
cmp <(age -d -i owner.key second.age) away/key.pem
expect_code 3 coffer escrow status "$STORE"
grep -q "a new epoch is due\|A new epoch is due" "$W/out" || fail "that a new epoch is due is not said: $(cat "$W/out")"
code=0 && coffer due "$STORE" --json > due || code=$?
same "due asks for a new epoch" "3 escrow_epoch" "$code $(json '" ".join(o["obligation"] for o in j if o["overdue"] and o["rule"] in ("R21", "R24"))' < due)"
# A kill behind the record: nothing has a name, and the release is used. On a filesystem that knows no files without a name the
# name is there before, with nothing in it, and goes where the record cannot be made.
if [ -n "$KILLS" ]; then
    for kind in behind zeros; do
        rm -f r/*
        asks "$OWNER" > out
        R=$(echo r/*.request)
        approve
        case $kind in
        behind) same "killed as the file is named" "137 " "$(recovers given/mine.age -e trace=linkat -e inject=linkat:signal=KILL:error=EIO) $(ls -A given)" ;;
        zeros)
            same "killed before the record" "137 0" "$(recovers given/mine.age -P "$W/given" -e trace=openat,fsync -e inject=openat:error=EOPNOTSUPP:when=1 -e inject=fsync:signal=KILL:when=1) $(tr -d '\0' < given/mine.age | wc -c)"
            rm -f given/mine.age
            same "without files without names" 0 "$(recovers given/mine.age -P "$W/given" -e trace=openat -e inject=openat:error=EOPNOTSUPP:when=1)"
            cmp <(age -d -i owner.key given/mine.age) away/key.pem
            ;;
        esac
        expect_fail "nobody has released" coffer escrow recover "$S" "$ID" -o again.age --share-fd 3 3< <(words kit alice)
    done
    recoveries=6
fi
# The policy may have become stronger since, and not each request was made here: who delivers brings the certificate, which is looked at again.
rm -f r/*
asks ec384.crt > out
R=$(echo r/*.request)
approve
sed 's/^ecc_bits.*/ecc_bits = 521/' strong.ini > stronger.ini
coffer policy apply "$STORE" stronger.ini > out
expect_fail "has 384 bits; the policy asks for 521 (ecc_bits)" coffer escrow recover "$S" "$ID" -o weak.p7m --to ec384.crt --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit carol)
[ ! -e weak.p7m ] || fail "something was delivered to a weak key"
for what in attempt recovered; do
    python3 ask.py "$COFFER_RUN_DIR" "{\"what\":\"$what\",\"key\":\"$ID\",\"to\":\"$(json 'j["recipient"]' < "$R")\",\"of\":$(records | jsonl '[r["sequence"] for r in j if r["what"] == "release"][-1]')}" > out
    grep -q "has to be given with it" out || fail "$what: $(cat out)"
done
ok "recovery"

say "a new epoch, and the keys go to it: what old shares still open is said"
umount_archive
OPEN=(--key-file "$KEY") S=$STORE/keys
epoch kit2 2
coffer escrow accept "$S" kit2/epoch.json "${OPEN[@]}" --json > accepted
request escrow-accept keys "$(json 'j["sequence"]' < accepted)"
approve
expect_fail "of another set" coffer escrow rotate "$S" "${OPEN[@]}" --share-fd 3 --share-fd 4 3< <(words kit2 alice) 4< <(words kit bob)
coffer escrow rotate "$S" "${OPEN[@]}" --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit bob) > out 2> err
grep -q "1 key went from epoch 1 to epoch 2" out && grep -q "until alice, bob, carol have destroyed" out || fail "$(cat out)"
coffer escrow status "$STORE" "${OPEN[@]}" > out || fail "after the rotation: $(cat out)"
coffer due "$STORE" "${OPEN[@]}" --json > due || true
same "due asks for nothing more" "[]" "$(json '[o for o in j if o["obligation"] == "escrow_epoch"]' < due)"
expect_fail "no key is encrypted to an earlier" coffer escrow rotate "$S" "${OPEN[@]}" --share-fd 3 3< <(words kit alice)
coffer escrow revoke "$S" epoch 1 --reason "a recovery" --as anna --key k/anna --dir r "${OPEN[@]}" > out
R=$(grep -o 'r/[0-9a-f]*.request' out | head -n 1)
approve cleo
coffer escrow revoke "$S" custodian bob --reason left --as anna --key k/anna --dir r "${OPEN[@]}" > out
grep -q "Epoch 2, 1 key" out || fail "what a revoked custodian can still help to open is not said: $(cat out)"
R=$(grep -o 'r/[0-9a-f]*.request' out | head -n 1)
approve
coffer escrow status "$STORE" "${OPEN[@]}" > out
grep -q "bob was revoked and still has a share" out || fail "$(cat out)"
epoch kit5 5
expect_fail "bob was revoked, and this epoch has a share" coffer escrow accept "$S" kit5/epoch.json "${OPEN[@]}"
coffer escrow destroyed "$S" 2 bob --reason "burnt" "${OPEN[@]}" > out
coffer escrow status "$STORE" "${OPEN[@]}" --json > status
coffer escrow revoke "$S" custodian carol --reason left "${OPEN[@]}" > out
grep -q "Epoch 1, 0 keys now and what was rotated away from it: its shares still open them, 2 persons.* Held by alice bob carol" out || fail "$(cat out)"
for n in alice bob; do coffer escrow destroyed "$S" 1 $n --reason "burnt" "${OPEN[@]}" > out; done
coffer escrow revoke "$S" custodian carol --reason left "${OPEN[@]}" > out
grep -q "Epoch 1: so many of its shares were destroyed, as was said, that the rest opens nothing" out || fail "$(cat out)"
grep -q "Epoch 2, 1 key now.* Held by alice carol" out || fail "$(cat out)"
same "bob's share is gone" "1 True []" "$(json '(lambda e: (e["shares_destroyed"], e["recoverable"], e["revoked_with_share"]))(j["epochs"][-1])' < status | tr -d '(),')"
ok "rotation"

say "other shares of the same secret: a document of its own, and the old shares lose nothing"
sed 's/carol-safe/other-safe/' scheme.ini > new.ini
coffer escrow reshare kit2/epoch.json --scheme new.ini --number 3 -o kit3 --json --share-fd 3 --share-fd 4 3< <(words kit2 alice) 4< <(words kit2 carol) > kit3.made 2> err
same "the same secret" "$(json 'j["recipient"]' < kit2/epoch.json)" "$(json 'j["recipient"]' < kit3/epoch.json)"
expect_fail "number of its own" coffer escrow reshare kit2/epoch.json --scheme new.ini --number 2 -o kit4 --share-fd 3 3< <(words kit2 alice)
expect_fail "another scheme" coffer escrow accept "$S" kit3/epoch.json "${OPEN[@]}"
mount_archive
coffer share combine --epoch kit3/epoch.json --decrypt "$MNT/keys/$ID.2.age" -o back.pem --share-fd 3 --share-fd 4 3< <(words kit3 alice) 4< <(words kit3 bob) 2> err
cmp back.pem away/key.pem
coffer share combine --epoch kit/epoch.json --decrypt "$MNT/keys/$ID.age" -o old.pem --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit bob) 2> err
cmp old.pem away/key.pem # what was said of old shares and of the file of before is so
umount_archive
ok "reshare"

say "a CA's key without a backup is due, until it has one"
mount_archive
printf 'certificates = yes\n' > certs.ini
coffer shelf add "$STORE" cas --policy certs.ini > out
printf '[ca]\nbasicConstraints=CA:TRUE\nkeyUsage=keyCertSign\n' >> conf
openssl req -x509 -new -key away/key.pem -subj /CN=root-ca -days 9 -config conf -extensions ca -out ca.crt
cp ca.crt "$MNT/cas/ca.crt" && chmod a-w "$MNT/cas/ca.crt"
coffer due "$STORE" --json > due || true
COFFER_PROFILES=$TOP/profiles coffer compliance "$STORE" --profile gpki-4 --json > report || true
same "compliance without" FAIL "$(json '[r["finding"] for r in j["rows"] if r["rule"] == "R21"][0]' < report)"
same "without" "CN=root-ca R21" "$(json '" ".join(o["of"] + " " + o["rule"] for o in j if o["obligation"] == "ca_backup")' < due)"
head -c 300 /dev/urandom > away/wrapped
wrapped() { coffer escrow put "$MNT/keys" away/wrapped --wrapped --token hsm-1 --reason recovery --cert ca.crt --owner ca --level 3 --backup; }
expect_fail "no token hsm-1 is in the inventory" wrapped
expect_code 1 coffer escrow token "$MNT/keys" hsm-1
coffer escrow token "$MNT/keys" hsm-1 --model "Maker 5" --serial 4711 --level 3 --place "room 2" --state retired > out
expect_fail "the token hsm-1 is retired" wrapped
coffer escrow token "$MNT/keys" hsm-1 --state used --reason "in use again" > out
wrapped > out
coffer due "$STORE" --json > due || true
same "with" "[]" "$(json '[o for o in j if o["obligation"] == "ca_backup"]' < due)"
COFFER_PROFILES=$TOP/profiles coffer compliance "$STORE" --profile gpki-4 --json > report || true
same "compliance judges what is on record" "R20 MANUAL R21 PASS R22 PASS R23 MANUAL R25 FAIL R28 MANUAL" \
    "$(json '" ".join(sorted({r["rule"] + " " + r["finding"] for r in j["rows"] if r["rule"] in ("R20", "R21", "R22", "R23", "R25", "R28")}))' < report)"
coffer escrow inventory "$STORE" > out
grep -q "^token hsm-1, used since 20.*, Maker 5, serial 4711, level 3, place room 2, in use again; wrapped 1 key that is kept" out || fail "$(cat out)"
medium() { coffer escrow medium "$MNT/keys" card-17 "$@" --by "two officers" --reason "the ceremony"; }
expect_fail "not in any place" medium out
medium in --place "safe 2" --fire-rating "60 min" --kind card --custodian alice > out
expect_fail "card-17 is in safe 2" medium in --place "safe 3"
expect_fail "no custodian of epoch 2" coffer escrow medium "$MNT/keys" card-18 in --place "safe 2" --custodian eve --by me --reason x
medium out > out
grep -q "taken out of safe 2" out || fail "$(cat out)"
coffer escrow inventory "$STORE" --json > inventory
same "where it is" "out safe 2" "$(json '(lambda m: m["move"] + " " + m["place"])(j["media"][0])' < inventory)"
same "in and out" "in out" "$(records | jsonl '" ".join(json.loads(r["detail"])["move"] for r in j if r["what"] == "medium")')"
# The file of one key is not put on record as another's, by whoever may speak to the daemon: what is approved for one would give out
# the other.
records | jsonl 'json.dumps([r for r in j if r["what"] in ("key", "rotated")])' > kept
cat > ask.py << 'PY'
import base64, glob, json, os, socket, sys
run, mnt, kept, data = sys.argv[1:5]
a, b = [[r for r in json.loads(kept) if r["key"] == key][-1] for key in dict.fromkeys(r["key"] for r in json.loads(kept))]
request = {"verb": "escrow-put", "shelf": "keys", "file": a["key"], "ext": "age", "record": {
    "what": "rotated", "key": a["key"], "epoch": b["epoch"], "epoch_key": b["epoch_key"]},
    "data": base64.b64encode(open(data or glob.glob(mnt + "/keys/" + b["key"] + "*")[-1], "rb").read()).decode()}
s = socket.socket(socket.AF_UNIX)
s.connect(glob.glob(run + "/*.sock")[0])
s.sendall(json.dumps(request).encode() + b"\n")
print([json.loads(line) for line in s.makefile()][-1])
PY
python3 ask.py "$COFFER_RUN_DIR" "$MNT" "$(cat kept)" "" > out
grep -q "on record already, as one of the key" out || fail "$(cat out)"
same "nothing came of it" "$(cat kept)" "$(records | jsonl 'json.dumps([r for r in j if r["what"] in ("key", "rotated")])')"
ok "a CA's key"

say "what the archive's policy asks for: two of three in three places, and plaintext, are less"
asks() { # asks KEY VALUE: the policy, besides what it asked for before
    sed -i "s/^$1 = .*/$1 = $2/" asked.ini
    coffer policy apply "$STORE" asked.ini > out || fail "$(cat out)"
}
coffer policy show "$STORE" | grep -v '^#' > asked.ini
head -c 300 /dev/urandom > away/wrapped
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out away/plain.pem 2> /dev/null
taken() { coffer escrow put "$MNT/keys" away/wrapped --wrapped --token hsm-1 --reason recovery --usage encrypt --owner subscriber --level 2; }
asks plaintext_keys no
expect_fail "plaintext_keys" coffer escrow put "$MNT/keys" away/plain.pem --usage encrypt --owner subscriber --level 2
asks share_places 3
asks survive 1
expect_fail "bob was revoked" coffer escrow accept "$MNT/keys" kit/epoch.json # for nothing else
asks survive 2
expect_fail "do not survive the loss of any 2 persons" coffer escrow accept "$MNT/keys" kit/epoch.json
asks share_places 4
expect_fail "its shares lie in 3 places" coffer escrow accept "$MNT/keys" kit/epoch.json
asks key_persons 3
expect_fail "2 persons would suffice to open it" taken
same "on record" "key_persons plaintext_keys share_places survive" "$(coffer events "$STORE" --type escrow-refused --json |
    jsonl '" ".join(k for k in ("key_persons", "plaintext_keys", "share_places", "survive") if any("(" + k + ")" in json.dumps(e) for e in j))')"
umount_archive
ok "by the policy"

say "verified, and by the second reader"
verify_intact
second_reader --json > reader
same "the second reader" "2 2 $recoveries 4 2 []" "$(json 'j["escrow"]["keys"], j["escrow"]["epochs"], j["escrow"]["recovered"], j["escrow"]["drills"], j["escrow"]["things"], j["not_permitted"]' < reader | tr -d '(),')"
rm -rf "$STORE/index"
same "offline, the index made anew" "$ID" "$(coffer escrow list "$S" "${OPEN[@]}" --json | jsonl 'j[0]["key"]')"
ok "verified"
