#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# People, requests and approvals as their users walk them: people countersigned, a shelf's policy made weaker by two, signed
# offline with plain ssh-keygen; refusals with their reasons; through the daemon and without; and a verifier without keys.
. "$(dirname "$0")/lib.sh"

command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
mkdir "$W/k" "$W/r"
for name in alice bob carol mallory; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$W/k/$name"; done
pub() { cut -d' ' -f1,2 "$W/k/$1.pub"; }
sign() { # sign WHO PURPOSE FILE -> FILE.WHO
    ssh-keygen -q -Y sign -n "$2" -f "$W/k/$1" < "$3" > "$3.$1" 2> /dev/null
}
refused() { # refused RULE COMMAND...
    local rule=$1
    shift
    expect_code 1 "$@"
    grep -q "($rule)" "$W/out" || fail "$* was not refused for $rule: $(cat "$W/out")"
    echo "$rule" >> "$W/refusals"
}
request() { # request ACTION WORD... : $R is the document
    rm -f "$W"/r/*
    coffer request "$1" "$STORE" "${@:2}" --as alice -o "$W/r" "${OPEN[@]}" > "$W/out" || fail "$(cat "$W/out")"
    R=$(echo "$W"/r/*.request)
    sign alice coffer-request "$R"
}
submit() { coffer request submit "$STORE" "$R" --signature "$R.alice" "${OPEN[@]}"; }
OPEN=(--key-file "$KEY")

printf 'retention = 10d\n' > "$W/policy"
printf 'retention = 10d\napprove_policy = 3\n' > "$W/three"
make_store "audit:$W/policy" "three:$W/three"

say "without people nothing weakens"
expect_code 1 coffer request shelf-set "$STORE" audit retention=5d --as alice -o "$W/r" "${OPEN[@]}"
grep -q "coffer people set" "$W/out" || fail "it is not said what comes first: $(cat "$W/out")"

say "the first people are countersigned by each officer"
{
    echo "alice $(pub alice) roles=officer"
    echo "bob $(pub bob) roles=officer"
    echo "carol $(pub carol) roles=auditor"
} > "$W/people"
coffer people check "$W/people" > "$W/out"
{ cat "$W/people"; echo "dave $(pub bob) roles=officer"; } > "$W/twice"
expect_code 1 coffer people check "$W/twice"
grep -q "line 4: the key of line 2 once more" "$W/out" || fail "one key, two persons: $(cat "$W/out")"
echo "ev* $(pub carol) roles=officer" > "$W/wild"
expect_code 1 coffer people check "$W/wild"
ssh-keygen -q -k -f "$W/krl" "$W/k/carol.pub"
expect_code 1 coffer people check "$W/people" --revoked "$W/krl"
grep -q "write the public keys that are revoked, one a line" "$W/out" || fail "a binary list: $(cat "$W/out")"
echo "eve $(pub carol) roles=officer,auditor" > "$W/both"
expect_code 1 coffer people check "$W/both"
coffer people set "$STORE" "$W/people" -o "$W/r" "${OPEN[@]}" > "$W/out"
R=$(echo "$W"/r/*.request)
same "the sheet's digest" "$(sha256sum < "${R%.request}.sheet" | cut -d' ' -f1)" "$(sed 's/.*"sheet":"\([0-9a-f]*\)".*/\1/' "$R")"
sign alice coffer-people "$R"
sign bob coffer-people "$R"
refused no-people coffer request submit "$STORE" "$R" --signature "$R.alice" "${OPEN[@]}"
refused no-people coffer approve "$STORE" "$R" --signature "$R.bob" "${OPEN[@]}"
same "both on record" "approval request" "$(coffer events "$STORE" --type request-refused --json "${OPEN[@]}" |
    jsonl '" ".join(sorted(e["detail"].split()[0] for e in j if "refused (no-people) to uid 0" in e["detail"]))')"
refused countersign coffer people accept "$STORE" "$R" "$R.alice" "${OPEN[@]}"
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" "${OPEN[@]}" > "$W/out"
same "three persons" 3 "$(coffer people show "$STORE" "${OPEN[@]}" | wc -l)"

say "a request, by the daemon; what does not count is refused with its reason"
mount_archive
OPEN=()
request shelf-set audit retention=5d --reason "too long"
submit > "$W/out"
grep -q ' open' "$W/out" || fail "it is not open: $(cat "$W/out")"
refused replay submit
approve() { coffer approve "$STORE" "$R" --signature "$R.$1" "${@:2}"; }
sign alice coffer-approve "$R"
refused author approve alice
sign bob coffer-refuse "$R"
refused wrong-purpose approve bob
cp "$R" "$W/other" && sed -i 's/shelf-set/people-set/' "$W/other" && sign bob coffer-approve "$W/other"
cp "$W/other.bob" "$R.bob"
refused wrong-signature approve bob
sign mallory coffer-approve "$R"
refused wrong-key approve mallory --as bob
sign bob coffer-approve "$R"
approve bob > "$W/out" || fail "$(cat "$W/out")"
grep -q ' done' "$W/out" || fail "it was not done: $(cat "$W/out")"
refused finished approve bob
coffer shelf list "$STORE" 2> /dev/null | grep -q 'retention = 5d' || coffer shelf list "$STORE" --json | grep -q 'retention = 5d' ||
    fail "the policy is the old one: $(coffer shelf list "$STORE")"

WEAKER=$(sha256sum < "$R" | cut -d' ' -f1)

say "refused by a person, it is over"
request shelf-set audit retention=2d
submit > /dev/null
sign carol coffer-refuse "$R"
coffer refuse "$STORE" "$R" --signature "$R.carol" > "$W/out"
grep -q 'refused by carol' "$W/out" || fail "$(cat "$W/out")"
sign bob coffer-approve "$R"
refused finished approve bob

say "what it would change has changed"
request shelf-set audit retention=1d
submit > /dev/null
coffer shelf set "$STORE" audit --retention 6d > /dev/null
sign bob coffer-approve "$R"
refused changed-object approve bob

say "a hardware key: what an sk- key signs is judged, and that somebody touched it"
cat > "$W/sk.py" <<'PYTHON'
# Makes the public line and a signature of sk-ssh-ed25519@openssh.com in software, as the format says. sk.py DIR PURPOSE FLAGS FILE
import base64, hashlib, os, struct, subprocess, sys
where, purpose, flags, name = sys.argv[1], sys.argv[2].encode(), int(sys.argv[3]), sys.argv[4]
key = where + "/sk.pem"
if not os.path.exists(key):
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True, stderr=subprocess.DEVNULL)
public = subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout[-32:]
def s(b): return struct.pack(">I", len(b)) + b
kind, application = b"sk-ssh-ed25519@openssh.com", b"ssh:"
blob = s(kind) + s(public) + s(application)
open(where + "/sk.pub", "w").write(kind.decode() + " " + base64.b64encode(blob).decode() + "\n")
message = open(name, "rb").read()
signed = b"SSHSIG" + s(purpose) + s(b"") + s(b"sha512") + s(hashlib.sha512(message).digest())
tail = bytes([flags]) + struct.pack(">I", 5)
data = hashlib.sha256(application).digest() + tail + hashlib.sha256(signed).digest()
open(where + "/sk.data", "wb").write(data)
raw = subprocess.run(["openssl", "pkeyutl", "-sign", "-inkey", key, "-rawin", "-in", where + "/sk.data"], check=True, capture_output=True).stdout
out = b"SSHSIG" + struct.pack(">I", 1) + s(blob) + s(purpose) + s(b"") + s(b"sha512") + s(s(kind) + s(raw) + tail)
text = base64.b64encode(out).decode()
open(name + ".sk", "w").write("-----BEGIN SSH SIGNATURE-----\n" + "\n".join(text[i:i + 70] for i in range(0, len(text), 70)) +
                              "\n-----END SSH SIGNATURE-----\n")
PYTHON
python3 "$W/sk.py" "$W/k" coffer-approve 1 "$W/people"
{ cat "$W/people"; echo "henry $(cat "$W/k/sk.pub") roles=officer verify-required"; } > "$W/more"
request people-set "@$W/more"
submit > /dev/null
sign bob coffer-approve "$R"
approve bob > "$W/out" || fail "$(cat "$W/out")"
request shelf-set audit retention=4d
submit > /dev/null
python3 "$W/sk.py" "$W/k" coffer-approve 0 "$R"
refused not-present approve sk
python3 "$W/sk.py" "$W/k" coffer-approve 1 "$R"
refused not-verified approve sk
python3 "$W/sk.py" "$W/k" coffer-approve 5 "$R"
approve sk > "$W/out" || fail "$(cat "$W/out")"
grep -q ' done' "$W/out" || fail "a hardware key's approval does not count: $(cat "$W/out")"

say "a certificate of an authority that stands for a person; a key that is revoked counts no more"
for name in ca erin; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$W/k/$name"; done
certify() { rm -f "$W/k/erin-cert.pub" && ssh-keygen -q -s "$W/k/ca" -I erin -n "$1" "$W/k/erin.pub" 2> /dev/null; }
by_certificate() { ssh-keygen -q -Y sign -n coffer-approve -f "$W/k/erin-cert.pub" < "$R" > "$R.erin" 2> /dev/null; }
{ cat "$W/more"; for name in erin frank; do echo "$name cert-authority $(pub ca) roles=officer"; done; } > "$W/certified"
request people-set "@$W/certified"
submit > /dev/null
sign bob coffer-approve "$R"
approve bob > "$W/out" || fail "$(cat "$W/out")"
request shelf-set audit retention=3d
submit > /dev/null
certify somebody
by_certificate
refused wrong-signature approve erin --as erin
grep -q "the certificate that signed is not for erin" "$W/out" || fail "another reason: $(cat "$W/out")"
sign erin coffer-approve "$R" # the key alone is nobody's
refused wrong-key approve erin --as erin
certify erin
by_certificate
approve erin --as erin > "$W/out" || fail "$(cat "$W/out")"
grep -q ' done' "$W/out" || fail "a certificate's approval does not count: $(cat "$W/out")"

say "one person under two names, and what is another archive's, too late, or gives roles that exclude each other"
request shelf-set three retention=9d
submit > /dev/null
certify erin,frank
by_certificate
approve erin --as erin > "$W/out" || fail "$(cat "$W/out")"
refused same-person approve erin --as erin
refused same-key approve erin --as frank
edited() { # edited SED ACTION WORD...: alice signs what she changed in the document
    request "${@:2}"
    sed -i "$1" "$R"
    sign alice coffer-request "$R"
}
edited 's/"archive":"[0-9a-f]*"/"archive":"00000000000000000000000000000000"/' shelf-set audit retention=2d
refused wrong-archive submit
edited 's/roles=auditor/roles=auditor,officer/' people-set "@$W/certified"
refused people submit
request shelf-set audit retention=2d --expires 4s
submit > /dev/null
sign bob coffer-approve "$R"
over() { coffer requests "$STORE" --json | jsonl 'j[-1]["state"]' | grep -q expired; }
await 20 "its time to be over" over
refused expired approve bob
cp "$W/k/erin.pub" "$W/revoked"
request people-set "@$W/certified" "@$W/revoked"
submit > /dev/null
sign bob coffer-approve "$R"
approve bob > "$W/out" || fail "$(cat "$W/out")"
request shelf-set audit retention=2d
submit > /dev/null
by_certificate
refused revoked approve erin --as erin

say "strengthening needs nobody; compliance is not approved away"
expect_code 1 coffer request shelf-set "$STORE" audit mode=governance --as alice -o "$W/r"
grep -q "stays one" "$W/out" || fail "$(cat "$W/out")"

say "other people, and the same after a remount"
sed 's/^carol.*//' "$W/people" | grep . > "$W/fewer"
request people-set "@$W/fewer"
submit > /dev/null
sign bob coffer-approve "$R"
approve bob > "$W/out" || fail "$(cat "$W/out")"
same "two persons" 2 "$(coffer people show "$STORE" | wc -l)"
umount_archive
mount_archive
same "two persons after a remount" 2 "$(coffer people show "$STORE" | wc -l)"
same "all requests are known" 12 "$(coffer requests "$STORE" --json | wc -l)"
coffer log "$STORE" --json > "$W/log"
same "each refusal is an event" "$(sort "$W/refusals" | tr '\n' ' ')" "$(jsonl '" ".join(sorted(__import__("re").search(r"refused .([a-z-]+). to", e["detail"])[1]
    for e in j if e.get("event") == "request-refused")) + " "' < "$W/log")"
say "a head that covers frames of the log's own behind everybody else's"
umount_archive
mount_archive seal-interval=1
mixed() { coffer log "$STORE" --json > "$W/log" && jsonl 'j[-1]["type"] == j[-2]["type"] == "checkpoint"' < "$W/log" | grep -q True; }
await 20 "two checkpoints in a row" mixed
request shelf-set audit retention=3d
submit > "$W/out"
sign bob coffer-refuse "$R"
coffer refuse "$STORE" "$R" --signature "$R.bob" > /dev/null
umount_archive
mount_archive

say "a crash between the approval and what it permits: the next mount does it, once"
cat > "$W/cut.py" <<'PYTHON'
# Takes away all behind the APPROVAL frame that met the rule, as a power cut would have. cut.py STORE LOG
import json, os, re, sys
store, frames = sys.argv[1], [json.loads(line) for line in open(sys.argv[2])]
met = max(f["sequence"] for f in frames if f["type"] == "approval" and f.get("verdict") == "approve")
covered = int(open(store + "/checkpoint").read().split("\n")[1])
if covered > met + 1:
    sys.exit(3) # a checkpoint came first: what it covers is not lost by a power cut
after = next(f for f in frames if f["sequence"] == met + 1)
with open(f"{store}/log/{after['segment']:08x}.seg", "r+b") as f:
    f.seek(after["offset"])
    n = os.fstat(f.fileno()).st_size - after["offset"]
    f.write(bytes(n))
PYTHON
for try in 1 2 3 4 5 6 7 8; do
    request shelf-set audit "retention=${try}h"
    submit > /dev/null
    sign bob coffer-approve "$R"
    approve bob > "$W/out" || fail "$(cat "$W/out")"
    kill_daemon
    umount -l "$MNT"
    coffer log "$STORE" --json --key-file "$KEY" > "$W/log"
    code=0
    python3 "$W/cut.py" "$STORE" "$W/log" || code=$?
    [ "$code" != 0 ] || break
    [ "$code" = 3 ] || fail "cut.py: $code"
    mount_archive
done
[ "$code" = 0 ] || fail "a checkpoint came first each time"
rm -r "$STORE/index"
coffer log "$STORE" --json --key-file "$KEY" > "$W/log"
same "the act was lost" approval "$(jsonl 'j[-1]["type"]' < "$W/log")"
mount_archive
coffer shelf list "$STORE" --json | grep -q "retention = ${try}h" || fail "not done: $(coffer shelf list "$STORE")"
same "it is done" done "$(coffer requests "$STORE" --json | jsonl 'j[-1]["state"]')"
umount_archive
mount_archive
coffer log "$STORE" --json > "$W/log"
same "once" 1 "$(jsonl "len([e for e in j if e['type'] == 'shelf' and 'retention = ${try}h' in str(e)])" < "$W/log")"
count=$(coffer requests "$STORE" --json | wc -l)
umount_archive
verify_intact
coffer verify "$STORE" --json > "$W/verified"
same "a verifier without keys judges" "True $count 0" "$(json 'str(j["people"]) + " " + str(j["requests"]) + " " + str(j["not_permitted"])' < "$W/verified")"
second_reader --json > "$W/second"
same "and so does the second reader" "$count 0" "$(json 'str(j["requests"]) + " " + str(len(j["not_permitted"]))' < "$W/second")"
[ "$(json 'j["signatures"]' < "$W/second")" -ge 10 ] || fail "the second reader saw fewer signatures than there are"

say "what the policy was and became, for who has nothing but what is in clear"
mkdir "$W/clear"
cp -r "$STORE/archive.conf" "$STORE/log" "$W/clear"
coffer policy diff "$W/clear" --json > "$W/became"
same "the first, by two; the second, stronger and by nobody" \
    "[('retention', '10d', '5d', True, '$WEAKER'), ('retention', '5d', '6d', False, None)]" \
    "$(json '[(c["key"], c["old"], c["new"], c["weaker"], c.get("request")) for c in j][:2]' < "$W/became")"
same "one shelf, which has a number there" 1 "$(json 'len({c["inode"] for c in j})' < "$W/became")"
same "each follows the one before" True "$(json 'all(a["new"] == b["old"] for a, b in zip(j, j[1:]))' < "$W/became")"
same "what is in force" "${try}h" "$(json 'j[-1]["new"]' < "$W/became")"
coffer policy diff "$W/clear" > "$W/out"
grep -q "by request $WEAKER:$" "$W/out" && grep -q "^  retention  *10d -> 5d   weaker$" "$W/out" || fail "in words: $(head "$W/out")"
expect_code 2 coffer policy apply "$W/clear"
ok "people, requests and approvals"
