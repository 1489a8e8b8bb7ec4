#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Content is destroyed while the tree R still waits to be brought to a vault: what waits is made anew and leads to none of it, its
# bytes before are overwritten, and the record says which one it is. Where it is not known for whom it was made, it goes.
. "$(dirname "$0")/lib.sh"
command -v age > /dev/null && command -v age-keygen > /dev/null && command -v ssh-keygen > /dev/null || skip "needs age and ssh-keygen"

cd "$W" || exit 1
mkdir k r
for name in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C '' -f "k/$name"; done
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
sign() { ssh-keygen -q -Y sign -n "$2" -f "k/$1" < "$3" > "$3.$1" 2> /dev/null; }
age-keygen -o custodians 2> /dev/null
ENVELOPE=$(age-keygen -y custodians)
printf 'retention = 0s\n' > short
make_store short:short -- --recovery "$ENVELOPE" --segment-size 64K
{ echo "alice $(pub alice) roles=officer"; echo "bob $(pub bob) roles=officer"; echo "carol $(pub carol) roles=auditor"; } > people
coffer people set "$STORE" people -o r --key-file "$KEY" > out
R=$(echo r/*.request)
sign alice coffer-people "$R"
sign bob coffer-people "$R"
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" --key-file "$KEY" > out
for v in b c; do
    coffer-vault init "$W/$v" --name "vault.example/$v" > out
    coffer vault add "$STORE" "$v" "dir:$W/$v" > out
done
destroy() { # destroy PATH
    rm -f r/*
    coffer request destroy "$STORE" "$@" --as alice --key k/alice -o r > out 2>&1 || fail "not asked: $(cat out)"
    coffer approve "$STORE" "$(echo r/*.request)" --key k/carol > out 2>&1 && grep -q ' done' out || fail "not destroyed: $(cat out)"
}
# leads VAULT FILE INODE …: which of the inodes the tree R in the file leads to, opened as that vault does
leads() {
    python3 - "$W/$1" "${@:2}" << 'PY'
import struct, subprocess, sys
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
seed = open(sys.argv[1] + "/key", "rb").read()[:32]
key = HKDF(SHA256(), 32, None, b"coffer-vault/1 identity").derive(seed)
letters, hrp = "qpzry9x8gf2tvdw0s3jn54khce6mua7l", "age-secret-key-"
bits = "".join(f"{b:08b}" for b in key) + "0000"
data = [int(bits[i:i + 5], 2) for i in range(0, 260, 5)]
def polymod(values):
    c = 1
    for v in values:
        top, c = c >> 25, (c & 0x1ffffff) << 5 ^ v
        for i, g in enumerate((0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3)):
            c ^= g if top >> i & 1 else 0
    return c
check = polymod([ord(x) >> 5 for x in hrp] + [0] + [ord(x) & 31 for x in hrp] + data + [0] * 6) ^ 1
text = (hrp + "1" + "".join(letters[d] for d in data + [check >> 5 * (5 - i) & 31 for i in range(6)])).upper()
open("vault-identity", "w").write(text + "\n")
plain = subprocess.run(["age", "-d", "-i", "vault-identity", sys.argv[2]], capture_output=True, check=True).stdout
assert plain[:8] == b"COFVAUR1"
at, entries = 32, []
while at < len(plain):
    tag, n = struct.unpack_from("<BH", plain, at)
    entries.append(struct.unpack_from("<BQ", plain, at + 3))
    at += 3 + n
print(" ".join(i for i in sys.argv[3:] if any(int(i) >> 48 - 4 * depth == prefix for depth, prefix in entries)))
PY
}

mount_archive
say "it waits since before the keys were recovered from an envelope that knows of no vault: it goes, and the destruction goes on"
echo zero > "$MNT/short/zero"
chmod a-w "$MNT/short/zero"
coffer vault enroll "$STORE" b > out
coffer vault enroll "$STORE" c > out
coffer sync "$STORE" c > out 2>&1 || fail "sync: $(cat out)"
mkdir "$MNT/short/dir" # of an inode that c was given
umount_archive
coffer recover "$STORE" --identity custodians --new-key-file "$W/key2" > out 2>&1 || fail "not recovered: $(cat out)"
KEY=$W/key2
mount_archive
[ -e "$STORE/vaults/b.keys" ] || fail "nothing waits: $(ls "$STORE/vaults")"
ln "$STORE/vaults/b.keys" early
destroy short/zero
[ ! -e "$STORE/vaults/b.keys" ] || fail "what leads to it still waits"
[ "$(tr -d '\0' < early | wc -c)" = 0 ] && [ -s early ] || fail "what waited before was not overwritten"
grep -q "recovered since.*coffer vault enroll STORE b" <(coffer status "$STORE") || fail "not said: $(coffer status "$STORE")"

say "what a vault was given before that recovery is by the log: its receipts count, of both trees that it has in the end"
request() { sha256sum < "$(echo r/*.request)" | cut -d' ' -f1; } # the id of the newest
of_c() { # the verdict on vault c of that request
    coffer destroy certificate "$STORE" "$(request)" --no-record --json > certificate || fail "certificate"
    json '[c["verdict"] for c in j["copies"] if c["kind"] == "vault" and c["name"] == "c"][0]' < certificate
}
from_c() { # what its receipt of that request says
    coffer events "$STORE" --type vault-punctured --json | jsonl "[l for e in j if e['request'] == '$(request)' for l in e['document'].split('\n') if l.startswith(('from', 'leaves'))]"
}
for f in four five; do
    echo $f > "$MNT/short/$f"
    chmod a-w "$MNT/short/$f"
    [ "$(stat -c %i "$MNT/short/$f")" -gt 65536 ] || fail "$f is no file of behind what c was given"
done
destroy short/four
coffer sync "$STORE" c > out 2>&1 || fail "sync: $(cat out)"
same "the receipt" "['from 65536', 'leaves 1']" "$(from_c)"
same "by the certificate" PASS "$(of_c)"
coffer vault enroll "$STORE" b > out
coffer vault enroll "$STORE" c > out
coffer sync "$STORE" c > out 2>&1 || fail "sync: $(cat out)"
umount_archive
coffer seal recovery-renew "$STORE" --recovery "$ENVELOPE" --key-file "$KEY" > out
mount_archive
destroy short/five
FIVE=$(stat -c %i "$MNT/short/five")
umount_archive
cp -a "$STORE" whole
python3 "$TOP/tests/e2e/receipt.py" "$STORE" "$KEY" "$W/c" "$BUILD" "$(request)" "$FIVE" NAME=c from=131072 > lines
"$BUILD/tests/unit/archive/plant" "$STORE" "$KEY" < lines > out || fail "not planted"
mount_archive
same "of the newer tree alone" UNKNOWN "$(of_c)"
umount_archive
rm -rf "$STORE"
mv whole "$STORE"
mount_archive
coffer sync "$STORE" c > out 2>&1 || fail "sync: $(cat out)"
same "the receipt" "['from 65536', 'leaves 1']" "$(from_c)"
same "by the certificate" PASS "$(of_c)"
umount_archive
coffer seal recovery-renew "$STORE" --recovery "$ENVELOPE" --key-file "$KEY" > out
mount_archive
for f in one two three; do
    head -c 50000 /dev/urandom > $f
    cp $f "$MNT/short/$f"
    chmod a-w "$MNT/short/$f"
done
ONE=$(stat -c %i "$MNT/short/one") TWO=$(stat -c %i "$MNT/short/two") THREE=$(stat -c %i "$MNT/short/three")
coffer sync "$STORE" c > out 2>&1 || fail "sync: $(cat out)"
[ ! -e "$STORE/vaults/c.keys" ] && [ ! -e "$STORE/vaults/c.waits" ] || fail "c has it, and it waits: $(ls "$STORE/vaults")"
same "what waits leads to" "$ONE $TWO $THREE" "$(leads b "$STORE/vaults/b.keys" "$ONE" "$TWO" "$THREE")"

say "what waits is made anew, what was there before is overwritten, and the record names the new one"
ln "$STORE/vaults/b.keys" was
for left in b.keys.new b.keys.before gone.keys.new; do # of who was cut off
    cp was "$STORE/vaults/$left"
    ln "$STORE/vaults/$left" "left-$left"
done
destroy short/one
for left in b.keys.new b.keys.before gone.keys.new; do
    [ ! -e "$STORE/vaults/$left" ] || fail "$left stays"
    [ "$(tr -d '\0' < "left-$left" | wc -c)" = 0 ] && [ -s "left-$left" ] || fail "$left was not overwritten"
done
same "what waits leads to" "$TWO $THREE" "$(leads b "$STORE/vaults/b.keys" "$ONE" "$TWO" "$THREE")"
[ "$(tr -d '\0' < was | wc -c)" = 0 ] && [ -s was ] || fail "what waited before was not overwritten"
[ ! -e "$STORE/vaults/c.keys" ] || fail "something waits for a vault that has it"
same "on record" "$(sha256sum < "$STORE/vaults/b.keys" | cut -d' ' -f1)" \
    "$(coffer events "$STORE" --type vault-enrolled --json | jsonl '[e["sha256"] for e in j if e["name"] == "b"][-1]')"
same "of which vault" "b c b c b b" "$(coffer events "$STORE" --type vault-enrolled --json | jsonl '" ".join(e["name"] for e in j)')"
coffer sync "$STORE" b > out 2>&1 || fail "sync: $(cat out)"
grep -q "b signed that it destroyed 1 file" out || fail "no receipt: $(cat out)"
[ ! -e "$STORE/vaults/b.keys" ] && [ ! -e "$STORE/vaults/b.waits" ] || fail "b has it, and it waits: $(ls "$STORE/vaults")"

say "for whom it was made is not known: it goes, and is said"
coffer vault enroll "$STORE" b > out
ln "$STORE/vaults/b.keys" later
rm "$STORE/vaults/b.waits"
destroy short/two
[ ! -e "$STORE/vaults/b.keys" ] || fail "what leads to it still waits"
[ "$(tr -d '\0' < later | wc -c)" = 0 ] && [ -s later ] || fail "what waited before was not overwritten"
grep -q "coffer vault enroll STORE b" <(coffer status "$STORE") || fail "not said: $(coffer status "$STORE")"
coffer vault enroll "$STORE" b > out
same "what waits leads to" "$THREE" "$(leads b "$STORE/vaults/b.keys" "$ONE" "$TWO" "$THREE")"

if command -v strace > /dev/null; then
    say "the vault has it: cut off at each step of removing it, it is never there without what says for whom"
    for n in 1 2; do
        { strace -qq -o trace -e trace=unlink,unlinkat \
            -e "inject=unlink,unlinkat:signal=KILL:when=$n" "$(command -v coffer)" sync "$STORE" b > out 2>&1 && fail "not cut at $n: $(cat out)"; } 2> /dev/null || true
        [ -e "$STORE/vaults/b.waits" ] || [ ! -e "$STORE/vaults/b.keys" ] || fail "cut at $n, what waits is there, and not for whom"
        [ $n != 1 ] || ln "$STORE/vaults/b.keys.before" cut
        coffer vault enroll "$STORE" b > out
    done
    [ ! -e "$STORE/vaults/b.keys.before" ] && [ "$(tr -d '\0' < cut | wc -c)" = 0 ] && [ -s cut ] || fail "what was cut off stays"
fi
cmp three "$MNT/short/three"
umount_archive
verify_intact
second_reader --json > reader || fail "second reader: $(cat reader)"
ok destroy-waiting
