#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Where the policy asks for ceremonies: no epoch of escrow comes into force, and no key of one goes out, without the transcript of
# the ceremony that made it; the archive says why, on record; both judges find what a daemon that asks nobody wrote; compliance.
. "$(dirname "$0")/lib.sh"

command -v age > /dev/null || skip "age is not installed"
command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
cd "$W"
mkdir k r
for n in anna ben cleo; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$n; done
for n in alice bob owner; do age-keygen -o $n.key 2> /dev/null; done
for n in anna:officer ben:officer cleo:auditor; do echo "${n%:*} $(cut -d' ' -f1,2 "k/${n%:*}.pub") roles=${n#*:}"; done > people
{
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob\n'
    for n in alice bob; do
        printf '[custodian %s]\nperson = %s\nplace = %s-safe\nmedium = card-%s\nrecipient = %s\n' $n $n $n $n "$(age-keygen -y $n.key)"
    done
} > scheme.ini
words() { age -d -i "$2.key" "$1/$2.age"; }
# What each custodian is asked, answered: proofs KIT < CHALLENGES
proofs() {
    local n nonce
    json '"\n".join(n + " " + j[n] for n in sorted(j))' | while read -r n nonce; do
        echo "$n $(coffer share prove --nonce "$nonce" --share-fd 3 3< <(words "$1" "$n"))"
    done
}
epoch() { # epoch DIR [OPTION...]: made by no ceremony, and confirmed by all
    coffer escrow epoch --scheme scheme.ini -o "$1" --json "${@:2}" > made
    json 'json.dumps(j["challenges"])' < made | proofs "$1" > answers
    while read -r n proof; do
        coffer escrow confirm --epoch "$1/epoch.json" "$n" "$(json "j[\"challenges\"][\"$n\"]" < made)" "$proof" > out
    done < answers
}
hold() { # hold DIR KIND COMMAND...: a ceremony, to its end
    for _ in 1 2 3 4; do printf '%s k/%s\n' anna anna ben ben cleo cleo; done > in
    "${@:3}" coffer ceremony new "$2" -o "$1" --people people --scheme scheme.ini "${more[@]}" < in > out 2>&1 || [ $? = 3 ] || fail "$(cat out)"
    { proofs "$1/kit-1" < "$1/kit-1/challenges.json"; cat in; } > in2
    coffer ceremony continue "$1" < in2 > out 2>&1 || fail "$(cat out)"
}
of_kit() { "$@" --share-fd 3 --share-fd 4 3< <(words kit alice) 4< <(words kit bob); }
request() { # request ACTION WORD...: made, signed by anna, submitted
    rm -f r/*
    coffer request "$1" "$STORE" "${@:2}" --as anna --key k/anna -o r > out 2>&1 || { cat out >&2; return 1; }
    R=$(echo r/*.request)
}
approve() { coffer approve "$STORE" "$R" --key k/ben > out 2>&1 || { cat out >&2; return 1; }; }
accept() { coffer escrow accept "$MNT/keys" "$1/epoch.json" --json | json 'j["sequence"]'; }
r25() {
    COFFER_PROFILES=$TOP/profiles coffer compliance "$STORE" --profile "$1" --json > report || true
    json '[r["finding"] + ": " + r["evidence"] for r in j["rows"] if r["rule"] == "R25"][0]' < report
}

make_store audit
coffer people set "$STORE" people -o r --key-file "$KEY" > out
R=$(echo r/*.request)
for n in anna ben; do ssh-keygen -q -Y sign -n coffer-people -f k/$n < "$R" > "$R.$n" 2> /dev/null; done
coffer people accept "$STORE" "$R" "$R.anna" "$R.ben" --key-file "$KEY" > out
mount_archive
coffer escrow init "$MNT/keys" --scheme scheme.ini > out
[[ $(r25 gpki-1) == "n/a:"* && $(r25 gpki-4) == "FAIL: no epoch"* ]] || fail "$(r25 gpki-1), $(r25 gpki-4)"

say "an epoch from before the policy asked for ceremonies, and a key of it"
epoch kit
request escrow-accept keys "$(accept kit)"
approve
openssl genpkey -algorithm X25519 -out key.pem
ID=$(coffer escrow put "$MNT/keys" key.pem --owner subscriber --level 2 --json | json 'j["key"]')
cp -r kit again && sed -i 's/"epoch":1,/"epoch":3,/' again/epoch.json # as if another one: same secret, no ceremony
OTHER=$(accept again)
request escrow-accept keys "$OTHER" # while it may still be asked for
cp "$R" other.request
printf '[archive]\nescrow_ceremony = yes\n' > policy.ini
coffer policy apply "$STORE" policy.ini > out
[[ $(r25 gpki-4) == "FAIL: epoch 1 is in force, and no transcript"* ]] || fail "$(r25 gpki-4)"
ok "before"

say "without a transcript no epoch comes into force, and no key goes out; what was tried is on record"
R=other.request
expect_fail "none that made epoch 3 is on record" approve
same "on record" "request-refused" "$(coffer events "$STORE" --json | jsonl '" ".join(e["event"] for e in j if "none that made epoch 3" in e.get("detail", ""))')"
more=(--archive none --number 2)
hold held creation
HELD=$(accept held/kit-1)
expect_fail "none that made epoch 2 is on record: hold one" request escrow-accept keys "$HELD"
expect_fail "none that made epoch 1 is on record" coffer escrow recover "$MNT/keys" "$ID" --to "$(age-keygen -y owner.key)" --reason "case 1" --as anna --key k/anna --dir r
expect_fail "(escrow_ceremony)" request escrow-release keys "$ID" "$(age-keygen -y owner.key)" --reason "case 1"
ok "refused"

say "nor by the way of a rehearsal: the file of the key once more, or a file of it for an epoch to practise with"
epoch practice --number 9 --rehearsal
accept practice > out
log() { coffer log "$STORE" "$@" --json | grep '"type":"escrow"'; }
log | jsonl 'json.dumps([r for r in j if r["what"] == "epoch-valid"][-1])' > practice.record
cat > ask.py <<'PYTHON'
import base64, glob, json, socket, sys # what the daemon says to a file, whoever brings it
with open(sys.argv[2], "rb") as f: data = base64.b64encode(f.read()).decode()
with open("practice.record") as f: epoch = json.load(f)
s = socket.socket(socket.AF_UNIX)
s.connect(glob.glob(sys.argv[1] + "/*.sock")[0])
s.sendall(json.dumps({"verb": "escrow-put", "shelf": "keys", "file": "x", "ext": "age", "data": data, "record": {
    "epoch": epoch["epoch"], "epoch_key": epoch["epoch_key"], "rehearsal": True, "owner": "subscriber", "purpose": "escrow", **json.loads(sys.argv[3])}}).encode() + b"\n")
print([json.loads(line) for line in s.makefile()][-1].get("error", "taken"))
PYTHON
daemon_says() { python3 ask.py "$COFFER_RUN_DIR" "${@:1:2}" > out && grep -q "$3" out || fail "$(cat out), not $3"; }
daemon_says "$MNT/keys/$ID.age" '{"what":"key"}' "kept already, as $ID"
daemon_says key.pem "{\"what\":\"rotated\",\"key\":\"$ID\"}" "the key is none of a rehearsal"
expect_fail "none that made epoch 1 is on record" request escrow-release keys "$ID" "$(age-keygen -y owner.key)" --reason "case 1"
ok "no rehearsal"

say "with it: this very document, and no other of the same secret; what was shared anew before several may go out"
coffer ceremony submit "$STORE" held > out
rm -r again && cp -r held/kit-1 again && sed -i 's/"created":"20/"created":"21/' again/epoch.json
expect_fail "made another document" request escrow-accept keys "$(accept again)"
request escrow-accept keys "$HELD"
approve
grep -q ' done' out || fail "$(cat out)"
more=(--archive "$(coffer status "$STORE" --json | json 'j["archive_id"]')" --number 4 --epoch kit/epoch.json)
hold shared resharing of_kit
coffer ceremony submit "$STORE" shared > out
request escrow-release keys "$ID" "$(age-keygen -y owner.key)" --reason "case 1"
approve
of_kit coffer escrow recover "$MNT/keys" "$ID" -o mine.age > out 2>&1 || fail "$(cat out)"
cmp <(age -d -i owner.key mine.age) key.pem
[[ $(r25 gpki-4) == "FAIL: epoch 1 is in force"* ]] || fail "$(r25 gpki-4)"
coffer escrow revoke "$MNT/keys" epoch 1 --reason "made by nobody" --as anna --key k/anna --dir r > out
R=$(ls -t r/*.request | head -n 1)
approve
[[ $(r25 gpki-4) == "PASS: of each of 1 epochs in force"* ]] || fail "$(r25 gpki-4)"
ok "with a transcript"

say "a key that was revoked while a release of it may be used, and another one is asked for"
OWNER=$(age-keygen -y owner.key)
openssl genpkey -algorithm X25519 -out other.pem
OTHER_ID=$(coffer escrow put "$MNT/keys" other.pem --owner subscriber --level 2 --json | json 'j["key"]')
for id in "$ID" "$OTHER_ID"; do
    request escrow-release keys "$id" "$OWNER" --reason "case 2"
    approve
done
request escrow-release keys "$ID" "$OWNER" --reason "case 3"
cp "$R" late.request
coffer escrow revoke "$MNT/keys" key "$ID" --reason "seen" --as anna --key k/anna --dir r > out
R=$(ls -t r/*.request | head -n 1)
approve
grep -q ' done' out || fail "$(cat out)"
expect_fail "the key was revoked" of_kit coffer escrow recover "$MNT/keys" "$ID" -o again.age
R=late.request
expect_fail "nobody recovers it" approve
coffer escrow revoke "$MNT/keys" key "$OTHER_ID" --reason "seen too" --as anna --key k/anna --dir r > out # asked for, and not approved
cp "$(ls -t r/*.request | head -n 1)" end.request
ok "revoked"

say "a daemon that asks nobody: both judges find it"
umount_archive
verify_intact
cat > planted.py <<'PYTHON'
import hashlib, json, struct, subprocess
records = [json.loads(line) for line in open("records")]
def field(tag, value): return struct.pack("<BH", tag, len(value)) + value
def of(request): return field(112, hashlib.sha256(open(request, "rb").read()).digest())
def signed(request, who, purpose):
    done = subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-n", purpose, "-f", "k/" + who], input=open(request, "rb").read(), capture_output=True, check=True)
    return field(115, who.encode() + b"\0" + done.stdout)
def approval(request): print("21 0", (of(request) + field(119, b"\1") + signed(request, "ben", "coffer-approve")).hex(), "-")
def asked(request): print("20 0", (of(request) + field(116, open(request, "rb").read()) + signed(request, "anna", "coffer-request")).hex(), "-")
def record(what, about, *more, epoch=None, ino=0): # of the key or epoch that another record is about
    print("30", ino, (field(190, bytes([what])) + field(191, struct.pack("<Q", about["shelf"])) + b"".join(more)
                      + (field(192, struct.pack("<I", epoch["epoch"])) + field(193, bytes.fromhex(epoch["epoch_key"])) if epoch else b"")
                      + (field(194, bytes.fromhex(about["key"])) if "key" in about else b"")).hex(), "-")
key, other = [r for r in records if r["what"] == "key"]
digest = field(195, bytes.fromhex(key["sha256"]))
practice, = [r for r in records if r["what"] == "epoch-valid" and r.get("rehearsal")]
real = [r for r in records if r["what"] == "epoch-valid" and not r.get("rehearsal")][-1]
begun, = [r for r in records if r["sequence"] == int(__import__('sys').argv[1])]
release = {k["key"]: [r for r in records if r["what"] == "release" and r["key"] == k["key"]][-1] for k in (key, other)}
def named(r): return field(199, struct.pack("<Q", r["sequence"]))
for what in 6, 11: # the key as one of a rehearsal: once more, and encrypted anew
    record(what, key, digest, field(197, bytes([1, 1, 2, 2, 2, 2, 0, 0])), epoch=practice, ino=key["object"])
approval("other.request")
record(3, begun, field(195, bytes.fromhex(begun["sha256"])), named(begun), of("other.request"), epoch=begun)
approval("late.request") # what was revoked before: released, tried, delivered, encrypted anew
record(7, key, field(204, release[key["key"]]["to"].encode()), of("late.request"))
record(8, key, named(release[key["key"]]))
record(9, key, named(release[key["key"]]), field(204, release[key["key"]]["to"].encode()))
record(11, key, digest, field(197, bytes([1, 1, 2, 2, 0, 2, 0, 0])), epoch=real, ino=key["object"])
record(9, other, named(release[other["key"]]), field(204, b"age1thief")) # to somebody else
record(11, other, digest, field(197, bytes([1, 1, 2, 2, 0, 2, 0, 0])), epoch=real, ino=key["object"]) # the file of another key
approval("end.request") # the end of a key was approved: of an epoch it is recorded
proposal = [r for r in records if r["what"] == "proposed" and r.get("key") == other["key"]][-1]
record(12, {"shelf": other["shelf"]}, named(proposal), of("end.request"), epoch=real)
doc = {**json.load(open("late.request")), "key": "00" * 16, "nonce": "ab" * 16} # a key that is none, released by two
open("none.request", "wb").write(json.dumps(doc, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() + b"\n")
asked("none.request")
approval("none.request")
record(7, {"shelf": other["shelf"], "key": doc["key"]}, field(204, doc["recipient"].encode()), of("none.request"))
PYTHON
log --key-file "$KEY" > records
coffer escrow list "$STORE/keys" --key-file "$KEY" --json > before
python3 planted.py "$OTHER" > frames
"$BUILD/tests/unit/archive/plant" "$STORE" "$KEY" < frames > planted
coffer verify "$STORE" --json > report || true
says() { paste -d' ' <(sed '3d;5d;12d;14d;15d' planted) <(printf '%s\n' "$@") | paste -sd' '; } # of what was planted, but requests and approvals
same "the judge" "$(says repeated rehearsal other-document revoked revoked revoked revoked wrong-recipient file-twice other-fields no-key)" \
    "$(json '" ".join(str(f["sequence"]) + " " + __import__("re").search("\\(([a-z-]+)\\)", f["text"])[1] for f in j["findings"] if "sequence" in f)' < report)"
second_reader --json > reader
same "the second judge" "$(says "a key that was taken in before" "a key of a rehearsal, or none, became the other" "no ceremony that made this epoch is on record" \
    "a key that was revoked"{,,,} "for somebody else than it was released to" "a file that was of a key before" \
    "its field 192 is not that of record $(json 'j["record"]' < end.request), which was accepted" "a key that was never taken in")" \
    "$(json '" ".join(str(p["sequence"]) + " " + p["why"] for p in j["not_permitted"])' < reader)"
ok "judged"

say "an honest one after it passes over what does not count: it lists what it did, and gives out the key that is asked for"
coffer escrow list "$STORE/keys" --key-file "$KEY" --json > after
same "from the store" "$(cat before)" "$(cat after)"
mount_archive
coffer escrow list "$STORE/keys" --json > after
same "by the daemon" "$(cat before)" "$(cat after)"
request escrow-release keys "$OTHER_ID" "$OWNER" --reason "case 4"
approve
coffer escrow recover "$MNT/keys" "$OTHER_ID" -o other.age --share-fd 3 --share-fd 4 3< <(words held/kit-1 alice) 4< <(words held/kit-1 bob) > out 2>&1 || fail "$(cat out)"
cmp <(age -d -i owner.key other.age) other.pem || fail "another key came out"
umount_archive
ok "passed over"
