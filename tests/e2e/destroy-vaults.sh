#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What people destroyed is destroyed at the vaults too: keys out of the tree R, bytes overwritten, a receipt that the vault signs
# and the host chains. A host's backup, its envelope and the vault together then open what was kept, and nothing of the rest.
. "$(dirname "$0")/lib.sh"
command -v age-keygen > /dev/null && command -v ssh-keygen > /dev/null || skip "needs age and ssh-keygen"

cd "$W" || exit 1
mkdir k r
for name in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C '' -f "k/$name"; done
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
sign() { ssh-keygen -q -Y sign -n "$2" -f "k/$1" < "$3" > "$3.$1" 2> /dev/null; }
for i in custodians restorer; do age-keygen -o "$i" 2> /dev/null; done
ENVELOPE=$(age-keygen -y custodians) TO=$(age-keygen -y restorer)
printf 'retention = 0s\n' > short
make_store short:short -- --recovery "$ENVELOPE" --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
{ echo "alice $(pub alice) roles=officer"; echo "bob $(pub bob) roles=officer"; echo "carol $(pub carol) roles=auditor"; } > people
coffer people set "$STORE" people -o r --key-file "$KEY" > out
R=$(echo r/*.request)
sign alice coffer-people "$R"
sign bob coffer-people "$R"
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" --key-file "$KEY" > out
for v in b c; do coffer-vault init "$W/$v" --name "vault.example/$v" > "$v.init"; done
coffer vault add "$STORE" b "dir:$W/b" > out
coffer vault add "$STORE" c bundle: --vkey "$(sed -n 's/^vkey = //p' c/vault.conf)" > out # by hand
carried() { # carried: a bundle to c, and its receipt back
    rm -f bundle back
    coffer sync "$STORE" c --bundle bundle > out 2>&1 || fail "bundle: $(cat out)"
    coffer-vault receive c bundle --receipt back > out 2>&1 || fail "receive: $(cat out)"
    coffer sync "$STORE" --receipt back > out 2>&1 || fail "receipt: $(cat out)"
}
put() { cp "$2" "$MNT/short/$1"; chmod a-w "$MNT/short/$1"; }
destroy() { # destroy PATH …: $REQUEST
    rm -f r/*
    coffer request destroy "$STORE" "$@" --as alice --key k/alice -o r > out 2>&1 || return 1
    R=$(echo r/*.request)
    REQUEST=$(sha256sum < "$R" | cut -d' ' -f1)
    coffer approve "$STORE" "$R" --key k/carol > out 2>&1 && grep -q ' done' out
}
certificate() { coffer destroy certificate "$STORE" "$REQUEST" --no-record --json > certificate || fail "certificate"; }
releases() { json '", ".join("%s %s %s %s" % (c["name"], c["verdict"], c["open"], "age1" in c["why"]) for c in j["copies"] if c["kind"] == "release")' < certificate; }
of_vaults() { certificate; json '", ".join("%s %s%s" % (c["name"], c["verdict"], " open" if c["open"] else "") for c in j["copies"] if c["kind"] == "vault")' < certificate; }

say "an envelope of before the first vault was enrolled: told, and nothing is destroyed until it is renewed"
mount_archive
head -c 90000 /dev/urandom > old
head -c 200000 /dev/urandom > secret
head -c 150000 /dev/urandom > kept
put old old
coffer vault enroll "$STORE" b > out
put secret secret
put kept kept
same "the event" "b" "$(coffer events "$STORE" --type vault-enrolled --json | jsonl 'j[0]["name"]')"
destroy short/secret && fail "destroyed beside an envelope that is behind"
grep -q "coffer seal recovery-renew comes first" out || fail "$(cat out)"
grep -q "before the first vault" <(coffer status "$STORE") || fail "status: $(coffer status "$STORE")"
coffer due "$STORE" > out || true
grep -q "a recovery envelope of since vaults were enrolled" out || fail "due: $(cat out)"
coffer sync "$STORE" > out 2>&1 || fail "sync: $(cat out)"
umount_archive
coffer seal recovery-renew "$STORE" --recovery "$ENVELOPE" --key-file "$KEY" > out
mount_archive
coffer due "$STORE" > out || true
grep -q "since vaults were enrolled" out && fail "due still: $(cat out)"
coffer sync "$STORE" b > out 2>&1 || fail "sync: $(cat out)"
release() { # release VAULT FILE
    coffer-vault release "$W/$1" --archive "$ID" --author alice --to "$TO" --reason "the host burnt" > d 2> err || fail "$(cat err)"
    sign alice coffer-request d
    sign bob coffer-approve d
    coffer-vault release "$W/$1" --archive "$ID" --request d --signed alice=d.alice --signed bob=d.bob > "$2" 2> err || fail "$(cat err)"
}

release b early.age # for a restore that nobody needed in the end
coffer sync "$STORE" b > out 2>&1 || true
grep -q "vault b gave out the tree R" out || fail "not told: $(cat out)"
carried
umount_archive
cp -a "$STORE" backup
cp -a b b.before
mount_archive

say "destroyed here; each vault is open by name until it signed"
umount_archive
printf '#!/bin/sh\n{ cat; echo; } >> %s/hook/out\n' "$W" > tell
mkdir hook && chmod 755 tell && touch hook/out && chown -R nobody hook
mount_archive "hook=$W/tell"
destroy short/secret short/old || fail "$(cat out)"
same "before a sync" "b UNKNOWN open, c UNKNOWN open" "$(of_vaults)"
receipt() { python3 "$TOP/tests/e2e/receipt.py" "$STORE" "$KEY" "$W/$1" "$BUILD" "$REQUEST" "$2" "NAME=$1" "${@:3}"; } # receipt VAULT INODES …
plant() { "$BUILD/tests/unit/archive/plant" "$STORE" "$KEY" > planted || fail "not planted"; }
SECRET=$(stat -c %i "$MNT/short/secret") OLD=$(stat -c %i "$MNT/short/old")
umount_archive
cp -a "$STORE" whole
{ receipt c "$OLD"; receipt c "$OLD" ended=2026-11-26T12:00:02.000Z; } > lines
plant < lines
mount_archive "hook=$W/tell"
same "one file, signed twice" "b UNKNOWN open, c UNKNOWN open" "$(of_vaults)"
grep -q "destroyed 1 of these 2 files" certificate || fail "counted: $(cat certificate)"
umount_archive
receipt b "$SECRET,$OLD" > lines
plant < lines
mount_archive "hook=$W/tell"
same "it had R, and signs that it had none" "b UNKNOWN open, c UNKNOWN open" "$(of_vaults)"
grep -q "that it had no keys: the log has" certificate || fail "no keys: $(cat certificate)"
umount_archive
rm -rf "$STORE"
cp -a whole "$STORE"
receipt b "$SECRET,$OLD" from=131072 > lines
plant < lines
mount_archive "hook=$W/tell"
same "it had R, and signs that it had another part of it" "b UNKNOWN open, c UNKNOWN open" "$(of_vaults)"
umount_archive
rm -rf "$STORE"
mv whole "$STORE"
mount_archive "hook=$W/tell"
coffer sync "$STORE" b > out 2>&1 || fail "sync: $(cat out)"
grep -q "b signed that it destroyed 2 files" out || fail "no receipt: $(cat out)"
same "one of two" "b PASS, c UNKNOWN open" "$(of_vaults)"
await 5 "people to be told" grep -q '"event":"vault-punctured"' hook/out
grep -q "destroyed there at 20" certificate || fail "when: $(cat certificate)"
carried
grep -q "c signed that it destroyed 2 files" out || fail "no receipt by hand: $(cat out)"
same "both" "b PASS, c PASS" "$(of_vaults)"
same "the tree R that was given out before" "vault b UNKNOWN True True" "$(releases)"
mv "$STORE/vaults/b.conf" b.conf
same "one that is none any more" "c PASS, b UNKNOWN open" "$(of_vaults)"
grep -q "whether a receipt under that name is its own is not known" certificate || fail "it signed one: $(cat certificate)"
mv b.conf "$STORE/vaults/b.conf"
same "the events" "b c" "$(coffer events "$STORE" --type vault-punctured --json | jsonl '" ".join(e["name"] for e in j)')"
same "whose keys" "leaves 1, leaves 0" "$(coffer events "$STORE" --type vault-punctured --json | jsonl '", ".join([l for l in e["document"].split("\n") if l.startswith("leaves")][0] for e in j)')"
coffer sync "$STORE" b > out 2>&1 || fail "sync: $(cat out)"
carried
for v in b c; do
    [ ! -e "$W/$v/archives/$ID/receipts/untold" ] || fail "vault $v does not know that its receipt is on record"
    [ ! -e "$W/$v/archives/$ID/destroying" ] || fail "vault $v is not done"
done
coffer sync "$STORE" b > out 2>&1
grep -q signed out && fail "a receipt came twice: $(cat out)"

say "what a vault signs and did not see happen is not let into the chain"
FIRST=$(coffer log "$STORE" --json | jsonl 'min(f["sequence"] for f in j if f["type"] == "destroy")')
sign_there() { # sign_there VAULT INODES …: in its untold receipts
    python3 "$TOP/tests/e2e/receipt.py" "$STORE" "$KEY" "$W/$1" "$BUILD" "$REQUEST" "${@:2}" > lie || fail "not signed"
    digest=$(sha256sum < lie | cut -d' ' -f1)
    cp lie "$W/$1/archives/$ID/receipts/$digest.receipt"
    echo "$digest" >> "$W/$1/archives/$ID/receipts/untold"
}
sign_there b "$SECRET,$OLD" from=65536 "first=$((FIRST + 1))"
sign_there b "$SECRET,$OLD" from=65536 "last=$((FIRST + 2))"
expect_code 5 coffer sync "$STORE" b
grep -q "vaults were given it from" out && fail "refused for what is right: $(cat out)"
same "both are refused" "2" "$(grep -c "these files ended in $FIRST to $((FIRST + 1))" out)"
rm "b/archives/$ID/receipts/untold"
for from in $((SECRET + 1)) 131072 281474976710655; do # R from behind one of the files on, or from behind all files
    sign_there b "$SECRET,$OLD" "from=$from"
    expect_code 5 coffer sync "$STORE" b
    grep -q "has the tree R from inode $from on, and vaults were given it from inode 65536 on" out || fail "from $from: $(cat out)"
    rm "b/archives/$ID/receipts/untold"
    coffer events "$STORE" --type vault-alarm --json | jsonl 'j[-1]["detail"]' | grep -q "from inode $from on" || fail "no alarm on record, from $from"
done
coffer-vault init "$W/none" --name vault.example/none > none.init
umount_archive
python3 "$TOP/tests/e2e/receipt.py" "$STORE" "$KEY" "$W/none" "$BUILD" "$REQUEST" "$SECRET,$OLD" > lie
python3 -c 'import json, sys; print(json.dumps({"what": "punctured", "name": "none", "vault": sys.argv[1], "document": open("lie").read()}))' \
    "$(sed -n 's/^vkey = //p' none/vault.conf)" > "$STORE/vaults/pending"
mount_archive
await 5 "what waited to be looked at" test ! -e "$STORE/vaults/pending"
same "the events" "b c" "$(coffer events "$STORE" --type vault-punctured --json | jsonl '" ".join(e["name"] for e in j)')"
for f in short/secret short/old; do expect_fail ENODATA cat "$MNT/$f"; done
cmp kept "$MNT/short/kept"
umount_archive
verify_intact
second_reader --json > reader || fail "second reader: $(cat reader)"

say "the bytes at the vaults are gone; what is left verifies"
coffer vault check "$STORE" b --all > out 2>&1 || fail "check of b: $(cat out)"
for v in b c; do
    coffer-vault scrub "$W/$v" > out 2>&1 || fail "scrub of $v: $(cat out)"
    python3 - "$STORE" "$W/$v/archives/$ID" << 'PY' || fail "vault $v has other bytes than the host"
import os, sys
for name in os.listdir(sys.argv[2] + "/log"):
    theirs, ours = (open(f"{d}/log/{name}", "rb").read() for d in (sys.argv[2], sys.argv[1]))
    n = min(len(theirs), len(ours))
    assert theirs[:n] == ours[:n], name
PY
done

say "the host's backup, its envelope and the vault: what was kept opens, what was destroyed does not"
opens() { # opens VAULT: of secret and kept, with what that vault has
    rm -rf burnt burntkey
    cp -a backup burnt
    rm -rf burnt/keys burnt/index burnt/seal/file-*
    release "$1" released.age
    (STORE=$W/burnt && coffer recover "$STORE" --identity custodians --new-key-file burntkey --vault-keys released.age --vault-identity restorer > out 2>&1) || fail "recover: $(cat out)"
    (STORE=$W/burnt KEY=$W/burntkey && mount_archive && for f in secret kept; do cmp -s "$f" "$MNT/short/$f" 2> /dev/null && echo "$f"; done; umount_archive) | tr '\n' ' '
}
same "with the vault of before" "secret kept " "$(opens b.before)"
same "with the vault" "kept " "$(opens b)"

say "R was given out: the host hears of it"
coffer sync "$STORE" b > out 2>&1 || true # nobody has the archive open: what the vault signed waits, once, however often it comes
grep -q "vault b gave out the tree R" out || fail "not told: $(cat out)"
cp "$STORE/vaults/pending" pending
coffer sync "$STORE" b > out 2>&1 || true
same "what waits" "$(grep -c coffer-vault-released pending)" "$(grep -c coffer-vault-released "$STORE/vaults/pending")"
python3 -c 'print("{\"what\": \"met\", \"name\": \"b\", \"detail\": \"%s\"}" % ("x" * 600000))' > "$STORE/vaults/pending"
coffer sync "$STORE" b > out 2>&1 || true
same "said" 1 "$(grep -c "no more of what vaults signed is kept" out)"
same "none added" 0 "$(grep -c coffer-vault-released "$STORE/vaults/pending")"
cp pending "$STORE/vaults/pending"
mount_archive
await 20 "what waited to go on record" test ! -e "$STORE/vaults/pending"
coffer sync "$STORE" b > out 2>&1 || true
same "the event" "b A.4.2" "$(coffer events "$STORE" --type vault-released --json | jsonl '"%s %s" % (j[-1]["name"], j[-1]["catalogue"])')"
same "one that was given out since leads to nothing" "b PASS, c PASS" "$(of_vaults)"
same "that it is not listed" "vault b UNKNOWN True True" "$(releases)"
same "two are on record" "2" "$(coffer events "$STORE" --type vault-released --json | jsonl 'len(j)')"
umount_archive
verify_intact

say "what a vault signs as it likes: nothing of it steers a terminal, and to nobody is no release"
signs() { # signs TO: a release to TO that the vault's key signed, for a reason that nobody escaped
    python3 - "$W/b" "$ID" "$1" << 'PY' || fail "not signed"
import base64, hashlib, json, os, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
vault, archive, to = sys.argv[1:]
vkey = [l.split(" = ")[1].strip() for l in open(vault + "/vault.conf") if l.startswith("vkey")][0]
said = {"archive": archive, "reason": "all \x1b[2J\x1b[1;1Hwell", "request": "ab" * 32, "signed": ["alice"],
        "time": "2026-11-26T12:00:00.000Z", "to": to.replace("ESC", "\x1b"), "vault": vkey}
text = "coffer-vault-released/1\n" + json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n"
key = Ed25519PrivateKey.from_private_bytes(open(vault + "/key", "rb").read())
text += "signature " + base64.b64encode(key.sign(text.encode())).decode() + "\n"
name, receipts = hashlib.sha256(text.encode()).hexdigest(), f"{vault}/archives/{archive}/receipts"
open(f"{receipts}/{name}.receipt", "w").write(text)
open(f"{receipts}/untold", "a").write(name + "\n")
PY
}
signs "$TO"
coffer sync "$STORE" b > out 2>&1 || true
grep -q 'gave out the tree R, to age1.*all \\x1b\[2J' out || fail "not told, or not escaped: $(cat -v out)"
grep -q $'\x1b' out && fail "a terminal is steered: $(cat -v out)"
signs "ESC[2Jage1"
expect_code 5 coffer sync "$STORE" b
grep -q "not to which age recipient" out || fail "taken: $(cat -v out)"
grep -q $'\x1b' out && fail "a terminal is steered: $(cat -v out)"
rm "$W/b/archives/$ID/receipts/untold" # its operator saw to it
rm "$STORE/vaults/pending"

say "a request that failed when some of its files were gone: what a vault signs of those counts, and of the others not"
mount_archive
for f in one two; do head -c 70000 /dev/urandom > "$f"; put "$f" "$f"; done
ONE=$(stat -c %i "$MNT/short/one") TWO=$(stat -c %i "$MNT/short/two")
rm -f r/*
coffer request destroy "$STORE" short/one short/two --as alice --key k/alice -o r > out 2>&1 || fail "not asked: $(cat out)"
R=$(echo r/*.request)
REQUEST=$(sha256sum < "$R" | cut -d' ' -f1)
sign carol coffer-approve "$R"
umount_archive
coffer log "$STORE" --key-file "$KEY" --json > frames
python3 - "$REQUEST" "$R.carol" "$ONE" "$(jsonl "sum(f['type'] == 'append' and f.get('object') == $ONE for f in j)" < frames)" > lines << 'PY'
import struct, sys
request, signature, ino, frames = bytes.fromhex(sys.argv[1]), open(sys.argv[2], "rb").read(), sys.argv[3], int(sys.argv[4])
field = lambda tag, v: struct.pack("<BH", tag, len(v)) + v
said = lambda verdict, more: print("21 0", (field(112, request) + field(119, bytes([verdict])) + more).hex(), "-")
said(1, field(115, b"carol\0" + signature))
print(f"23 {ino}:70000", (field(112, request) + field(234, struct.pack("<Q", frames)) + field(235, struct.pack("<Q", 70000 + 16 * frames))).hex(), "-")
said(4, field(121, b"another file was held"))
PY
plant < lines
verify_intact # and under a checkpoint
mount_archive
coffer sync "$STORE" b > out 2>&1 || fail "sync: $(cat out)"
grep -q "b signed that it destroyed 1 file that" out || fail "what the vault signed is not taken: $(cat out)"
sign_there b "$ONE,$TWO" from=65536
expect_code 5 coffer sync "$STORE" b
grep -q "destroyed inode $TWO by the request" out || fail "$(cat out)"
rm "b/archives/$ID/receipts/untold"
sign_there c "$ONE,$TWO" # before what it will sign by itself
rm -f bundle back
coffer sync "$STORE" c --bundle bundle > out 2>&1 || fail "bundle: $(cat out)"
coffer-vault receive c bundle --receipt back > out 2>&1 || fail "receive: $(cat out)"
expect_code 5 coffer sync "$STORE" --receipt back
grep -q "destroyed inode $TWO by the request" out || fail "by hand: $(cat out)"
grep -q "c signed that it destroyed 1 file that" out || fail "what comes behind one that is refused: $(cat out)"
coffer events "$STORE" --type vault-alarm --json | jsonl 'j[-1]["detail"]' | grep -q "inode $TWO" || fail "no alarm on record"
umount_archive
verify_intact
second_reader --json > reader || fail "second reader: $(cat reader)"

say "receipts that are none: found by both judges, each by its rule"
python3 - "$STORE" "$KEY" "$W" "$BUILD" "$TOP" << 'PY' || fail "receipts"
import base64, json, os, re, struct, subprocess, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
store, key, w, build, top = sys.argv[1:]
run = lambda *a, **m: subprocess.run(a, capture_output=True, text=True, **m)
events = [json.loads(l) for l in run(build + "/tools/coffer", "events", store, "--type", "vault-punctured", "--json", "--key-file", key).stdout.splitlines()]
text = events[0]["document"]
vkey = {v: re.search(r"^vkey = (.*)$", open(f"{w}/{v}/vault.conf").read(), re.M).group(1) for v in "bc"}
seed = {v: open(f"{w}/{v}/key", "rb").read()[:32] for v in "bc"}
field = lambda tag, v: struct.pack("<BH", tag, len(v)) + v
def signed(body, by="b"):
    return body + "signature " + base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed[by]).sign(body.encode())).decode() + "\n"
body = text[:text.index("signature ")]
number = lambda name, more: re.sub(rf"^{name} (\d+)$", lambda m: f"{name} {int(m.group(1)) + more}", body, flags=re.M)
lies = [("replay", text, "b"), ("wrong-signature", body + "signature " + base64.b64encode(bytes(64)).decode() + "\n", "b"),
        ("wrong-signature", signed(body, "c"), "b"), ("wrong-vault", signed(number("frames", 1)), "c"),
        ("wrong-archive", signed(re.sub(r"archive ..", "archive 00" if "archive 00" not in body else "archive 11", body)), "b"),
        ("wrong-frames", signed(number("first", 1)), "b"), ("keys-left", signed(number("leaves", -1)), "b"),
        ("wrong-head", signed(number("size", 1)), "b"), ("malformed", signed(body.replace("zeros-read-back", "hoped")), "b")]
request = bytes.fromhex(re.search(r"^request (.*)$", body, re.M).group(1))
lines = ["24 0 " + (field(221, v.encode()) + field(210, vkey[v].encode()) + field(112, request) + field(245, t.encode())).hex() + " -" for _, t, v in lies]
done = run(build + "/tests/unit/archive/plant", store, key, input="\n".join(lines) + "\n")
assert done.returncode == 0, done.stderr
planted = [int(n) for n in done.stdout.split()]
out = run(build + "/tools/coffer", "verify", store, "--json")
found = {int(m[0]): m[1] for m in re.findall(r"receipt frame (\d+) does what nobody permitted \(([a-z-]+)\)", out.stdout + out.stderr)}
want = {n: rule for n, (rule, _, _) in zip(planted, lies)}
assert all(found.get(n) == want[n] for n in want), (want, found, out.stdout[-2000:], out.stderr[-2000:])
other = json.loads(run("python3", top + "/tests/second_reader.py", store, "--key-file", key, "--json").stdout)
assert sorted(f["sequence"] for f in other["not_permitted"]) == planted, (planted, other["not_permitted"])
PY
receipt b "$ONE,$TWO" from=65536 > lines
plant < lines
coffer verify "$STORE" > out 2>&1 || true
grep -q "receipt frame $(cat planted) does what nobody permitted (not-destroyed)" out || fail "of a failed request: $(cat out)"
second_reader --json > reader || true
same "the second judge" "$(cat planted)" "$(json 'max(f["sequence"] for f in j["not_permitted"])' < reader)"
mount_archive
coffer sync "$STORE" b > out 2>&1 || fail "a vault does not go on for receipts that count for nothing: $(cat out)"
{ coffer-vault scrub "$W/b" && coffer-vault status "$W/b"; } >> out 2>&1
grep -q "nobody permitted\|NOT PERMITTED" out && fail "told as if something had ended: $(cat out)"
umount_archive
ok destroy-vaults
