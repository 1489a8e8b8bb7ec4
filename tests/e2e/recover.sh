#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The recovery envelope: made and tried by init, opened by the program age, and an archive whose opener is lost
# recovered from it; wrong identities, damaged and foreign envelopes, a recovery that was interrupted.
. "$(dirname "$0")/lib.sh"
command -v age > /dev/null && command -v age-keygen > /dev/null || skip "age is not installed"

for i in one two; do
    age-keygen -o "$W/$i" 2> /dev/null
done
R1=$(age-keygen -y "$W/one") R2=$(age-keygen -y "$W/two")

# ---- init ----
expect_fail "--recovery age1" coffer init "$STORE" --seal tpm2 --shelf audit
[ ! -e "$STORE" ] || fail "something was left behind"
expect_fail "no age recipient" coffer init "$STORE" --new-key-file "$KEY" --shelf audit --recovery age1qqqq
expect_fail "not an identity" coffer init "$STORE" --new-key-file "$KEY" --shelf audit --recovery "$(grep ^AGE "$W/one")"
expect_fail "contradict" coffer init "$STORE" --new-key-file "$KEY" --shelf audit --recovery "$R1" --no-recovery
expect_fail "does not open it" coffer init "$STORE" --new-key-file "$KEY" --shelf audit --recovery "$R1" --recovery-test "$W/two"
[ ! -e "$STORE" ] && [ ! -e "$KEY" ] || fail "an init that failed left something behind"
coffer init "$W/bare" --new-key-file "$W/barekey" --shelf audit | grep -q "no recovery envelope" || fail "init does not warn"
coffer status "$W/bare" | grep -q "^Recovery.*none" || fail "status does not say that there is no envelope"
make_store audit logs -- --recovery "$R1" --recovery "$R2" --recovery-test "$W/two" --segment-size 64K
grep -q "One person opens the recovery envelope" "$W/init.out" || fail "init says nothing of the envelope"
coffer status "$STORE" | grep -q "^Recovery *one person opens the envelope, any of 2" || fail "status: $(coffer status "$STORE")"
coffer seal show "$STORE" | grep -q "one person opens the envelope, any of 2" || fail "seal show"
same "recipients" 2 "$(coffer status "$STORE" --json | json 'j["recovery"]["recipients"]')"
ok "init"

# The program age opens it, and what it holds is what docs/format.md says.
for i in one two; do age -d -i "$W/$i" -o "$W/plain-$i" "$STORE/seal/recovery.age"; done
cmp "$W/plain-one" "$W/plain-two"
python3 - "$W/plain-one" "$(coffer status "$STORE" --json | json 'j["archive_id"]')" \
    "$(coffer status "$STORE" --json | json 'j["vkey"]')" << 'PY'
import base64, struct, sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
p = open(sys.argv[1], "rb").read()
assert p[:12] == b"COFRECO1\1\0\0\0" and struct.unpack_from("<I", p, 12)[0] == len(p) - 32
assert p[16:32].hex() == sys.argv[2]
at, seen = 32, {}
while at < len(p):
    tag, n = struct.unpack_from("<BH", p, at)
    seen[tag] = p[at + 3:at + 3 + n]
    at += 3 + n
assert at == len(p) and sorted(seen) == [1, 2, 6] and seen[1][:9] == seen[2][:9] == bytes(9)
public = Ed25519PrivateKey.from_private_bytes(seen[6]).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
assert base64.b64decode(sys.argv[3].split("+", 2)[2])[1:] == public
PY
rm "$W"/plain-*
ok "the program age"

# ---- written to, over several mounts and segments ----
mount_archive
head -c 300000 /dev/urandom > "$W/data"
cp "$W/data" "$MNT/audit/data"
echo first > "$MNT/logs/log"
umount_archive
mount_archive
echo second >> "$MNT/logs/log"
umount_archive
same "verify" 0 "$(coffer verify "$STORE" --auditor-secret "$AUDITOR" > /dev/null; echo $?)"
cp -a "$STORE" "$W/before"
mv "$KEY" "$W/lost"

# ---- what does not recover, and says why; nothing is changed by it ----
sum() { (cd "$1" && find . -type f ! -name lock -print0 | sort -z | xargs -0 sha256sum | sha256sum); }
was=$(sum "$STORE")
age-keygen -o "$W/other" 2> /dev/null
expect_fail "not sealed to this identity" coffer recover "$STORE" --identity "$W/other" --new-key-file "$KEY"
expect_fail "no identity file" coffer recover "$STORE" --identity "$W/lost" --new-key-file "$KEY"
expect_fail "--identity FILE is wanted" coffer recover "$STORE" --new-key-file "$KEY"
head -c 200 "$STORE/seal/recovery.age" > "$W/cut"
expect_fail "is damaged" coffer recover "$STORE" --identity "$W/one" --envelope "$W/cut" --new-key-file "$KEY"
python3 -c 'import sys; b = bytearray(open(sys.argv[1], "rb").read()); b[-20] ^= 1; open(sys.argv[2], "wb").write(b)' \
    "$STORE/seal/recovery.age" "$W/flipped"
expect_fail "altered or cut off" coffer recover "$STORE" --identity "$W/one" --envelope "$W/flipped" --new-key-file "$KEY"
coffer init "$W/foreign" --new-key-file "$W/foreignkey" --shelf audit --recovery "$R1" > /dev/null
expect_fail "another archive" coffer recover "$STORE" --identity "$W/one" --envelope "$W/foreign/seal/recovery.age" --new-key-file "$KEY"
# one that claims to be this archive's: the log knows better
age -d -i "$W/one" "$W/foreign/seal/recovery.age" > "$W/forged"
python3 - "$W/forged" "$(coffer status "$STORE" --json | json 'j["archive_id"]')" << 'PY'
import sys
p = open(sys.argv[1], "rb").read()
open(sys.argv[1], "wb").write(p[:16] + bytes.fromhex(sys.argv[2]) + p[32:])
PY
age -r "$R1" -o "$W/forged.age" "$W/forged"
expect_fail "not the one that archive.conf names" coffer recover "$STORE" --identity "$W/one" --envelope "$W/forged.age" --new-key-file "$KEY"
# this archive's signing key, but another's trees
age -d -i "$W/one" -o "$W/ours" "$STORE/seal/recovery.age"
python3 -c 'import sys; a, b = (open(f, "rb").read() for f in sys.argv[1:3]); open(sys.argv[2], "wb").write(b[:-32] + a[-32:])' "$W/ours" "$W/forged"
age -r "$R1" "$W/forged" > "$W/forged.age"
expect_fail "not written under these keys" coffer recover "$STORE" --identity "$W/one" --envelope "$W/forged.age" --new-key-file "$KEY"
rm "$W/ours" "$W/forged"
expect_fail "not there" coffer recover "$W/bare" --identity "$W/one" --new-key-file "$KEY"
[ ! -e "$KEY" ] || fail "a refused recovery left its key file behind"
same "the store" "$was" "$(sum "$STORE")"
ok "wrong identity, damaged and foreign envelopes"

# ---- recovered ----
log=$(sum "$STORE/log")
coffer recover "$STORE" --identity "$W/one" --new-key-file "$KEY" > "$W/said"
grep -q "all 3 mounts of its log" "$W/said" || fail "it said: $(cat "$W/said")"
grep -q "recovery-renew" "$W/said" || fail "it does not say what to do next"
grep -qF "mount -t coffer $STORE /mnt/$(basename "$STORE") -o key-file=$KEY" "$W/said" || fail "no command that mounts it: $(cat "$W/said")"
same "the log" "$log" "$(sum "$STORE/log")"
expect_fail "wrong key file" mount.coffer "$STORE" "$MNT" -o "keyfile=$W/lost"
mount_archive
cmp "$W/data" "$MNT/audit/data"
same "the log file" "first
second" "$(cat "$MNT/logs/log")"
echo third >> "$MNT/logs/log"
coffer status "$STORE" | grep -q "recovered from its envelope" || fail "status does not tell of the recovery"
coffer log "$STORE" --json | jsonl '[e for e in j if e["type"] == "recovery"][-1]' | grep -q "keys recovered from the recovery envelope" ||
    fail "no RECOVERY frame tells of it"
umount_archive
[ ! -e "$STORE/keys/recovered" ] || fail "the recovery is recorded, and its mark still there"
mount_archive
same "recoveries on record" 1 "$(coffer log "$STORE" --json | jsonl 'len([e for e in j if e["type"] == "recovery"])')"
same "lineages" "[1, 1, 1, 2, 2]" "$(coffer log "$STORE" --json | jsonl '[e["lineage"] for e in j if e["type"] == "mount"]')"
umount_archive
coffer verify "$STORE" > "$W/out" || { cat "$W/out"; fail "verify"; }
coffer verify "$STORE" --auditor-secret "$AUDITOR" > "$W/out" || { cat "$W/out"; fail "verify with the auditor secret"; }
grep -q "lineage" "$W/out" || { cat "$W/out"; fail "verify does not say where the seal was broken"; }
! grep -q "all seals hold" "$W/out" || fail "verify says that all seals hold"
second_reader > "$W/out" || { cat "$W/out"; fail "second reader"; }
ok "recovered, mounted, verified"

# frames of the first lineage altered are still found under the auditor secret
coffer seal recovery-renew "$STORE" --key-file "$KEY" --recovery "$R1" --recovery-test "$W/one" > /dev/null
coffer status "$STORE" | grep -q "^Recovery *one person opens the envelope$" || fail "recovery-renew"
age -d -i "$W/two" "$STORE/seal/recovery.age" > /dev/null 2>&1 && fail "the old recipient still opens the new envelope"
# but it is not revoked: the old one, wherever it was kept, opens what is written today, as SECURITY.md says
cp -a "$STORE" "$W/today"
coffer recover "$W/today" --identity "$W/two" --envelope "$W/before/seal/recovery.age" --new-key-file "$W/todaykey" > /dev/null ||
    fail "SECURITY.md says that an envelope cannot be revoked"
rm -rf "$W/today" "$W/todaykey"
ok "another envelope"

# ---- keys/ and seal/ lost altogether, a passphrase for the new opener, the envelope from elsewhere ----
cp "$STORE/seal/recovery.age" "$W/kept.age"
rm -rf "$STORE/keys" "$STORE/seal"
printf 'a good passphrase' > "$W/phrase"
coffer recover "$STORE" --identity "$W/one" --envelope "$W/kept.age" --passphrase-fd 3 3< "$W/phrase" > /dev/null
mount.coffer "$STORE" "$MNT" -o passfd=3 3< "$W/phrase"
cmp "$W/data" "$MNT/audit/data"
same "the log file" 3 "$(wc -l < "$MNT/logs/log")"
umount_archive
coffer verify "$STORE" > "$W/out" || { cat "$W/out"; fail "verify"; }
ok "keys/ and seal/ lost"

# ---- interrupted at each system call that changes names: it can be repeated, or the mount finishes it ----
command -v strace > /dev/null || { ok "interrupted: strace is not installed"; exit 0; }
interrupted=0 finished=0
for call in rename unlink; do
    for n in 1 2 3 4 5 6 7 8; do
        rm -rf "$STORE" "$KEY"
        cp -a "$W/before" "$STORE"
        (umask 077; head -c 32 /dev/urandom > "$KEY")
        code=0
        strace -f -qq -o /dev/null -e trace=$call,${call}at -e inject=$call,${call}at:signal=KILL:when=$n \
            "$(command -v coffer)" recover "$STORE" --identity "$W/two" --key-file "$KEY" > /dev/null 2>&1 || code=$?
        [ $code != 0 ] || break
        interrupted=$((interrupted + 1))
        if [ -e "$STORE/keys/recovered" ] && [ $((n % 2)) = 0 ]; then
            finished=$((finished + 1)) # by the mount
        elif [ ! -e "$STORE/keys/recovered" ] && [ $((n % 2)) = 0 ]; then
            mount.coffer "$STORE" "$MNT" -o "keyfile=$W/lost" # as if nothing had been
            umount_archive
            continue
        else
            coffer recover "$STORE" --identity "$W/one" --key-file "$KEY" > /dev/null
        fi
        mount_archive
        cmp "$W/data" "$MNT/audit/data"
        umount_archive
        ls "$STORE/keys" "$STORE/seal" | grep -q recovered && fail "something was left: $(ls "$STORE/keys" "$STORE/seal")"
        coffer verify "$STORE" > "$W/out" || { cat "$W/out"; fail "verify after an interruption at $call $n"; }
    done
done
[ $interrupted -ge 6 ] && [ $finished -ge 1 ] || fail "interrupted $interrupted times, finished by a mount $finished times"
ok "interrupted $interrupted times, $finished of them finished by the mount"

# ---- under another TPM ----
command -v swtpm > /dev/null || { ok "swtpm is not installed"; exit 0; }
mkdir "$W/tpm"
swtpm socket --tpm2 --tpmstate dir="$W/tpm" --server type=unixio,path="$W/tpm/sock" \
    --ctrl type=unixio,path="$W/tpm/sock.ctrl" --flags not-need-init,startup-clear --daemon --pid file="$W/tpm/pid"
child "$(cat "$W/tpm/pid")"
rm -rf "$STORE"
cp -a "$W/before" "$STORE"
coffer recover "$STORE" --identity "$W/one" --seal tpm2 --tpm "$W/tpm/sock" > /dev/null
COFFER_TPM=$W/tpm/sock mount.coffer "$STORE" "$MNT"
cmp "$W/data" "$MNT/audit/data"
umount_archive
same "openers" "tpm2-1" "$(coffer seal show "$STORE" --json | json '" ".join(o["name"] for o in j["openers"])')"
ok "under a TPM"
coffer init "$W/sealed" --seal tpm2 --tpm "$W/tpm/sock" --shelf audit --recovery "$R1" --recovery-test "$W/one" > "$W/said"
! grep -q "nothing in the archive can be" "$W/said" || fail "init calls an archive lost that can be recovered"
coffer recover "$W/sealed" --identity "$W/one" --new-key-file "$W/sealedkey" > /dev/null
same "openers" "file-1" "$(coffer seal show "$W/sealed" --json | json '" ".join(o["name"] for o in j["openers"])')"
ok "from a TPM to a key file"
