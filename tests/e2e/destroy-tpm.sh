#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Destruction where the opener is a TPM: the counter goes up with it, and a copy of keys/ and seal/ from before opens nothing any
# more (I11); the recovery envelope of before is listed, and coffer recover takes what was destroyed out of its keys again.
. "$(dirname "$0")/lib.sh"
command -v swtpm > /dev/null && command -v age > /dev/null || skip "swtpm and age are not installed"
command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"

mkdir "$W/tpm" "$W/k" "$W/r"
swtpm socket --tpm2 --tpmstate dir="$W/tpm" --server type=unixio,path="$W/tpm/sock" --ctrl type=unixio,path="$W/tpm/sock.ctrl" \
    --flags not-need-init,startup-clear --daemon --pid file="$W/tpm/pid"
child "$(cat "$W/tpm/pid")"
export COFFER_TPM=$W/tpm/sock
gone() { while [ -n "$(daemon_pid)" ]; do :; done; }
for name in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$W/k/$name"; done
pub() { cut -d' ' -f1,2 "$W/k/$1.pub"; }
age-keygen -o "$W/quorum" 2> /dev/null
{ echo "alice $(pub alice) roles=officer"; echo "bob $(pub bob) roles=officer"; echo "carol $(pub carol) roles=auditor"; } > "$W/people"
printf 'retention = 0s\n' > "$W/short"
coffer init "$STORE" --seal tpm2 --recovery "$(age-keygen -y "$W/quorum")" --shelf "short:$W/short" > "$W/out" || fail "$(cat "$W/out")"
coffer people set "$STORE" "$W/people" -o "$W/r" > "$W/out"
R=$(echo "$W"/r/*.request)
for n in alice bob; do ssh-keygen -q -Y sign -n coffer-people -f "$W/k/$n" < "$R" > "$R.$n" 2> /dev/null; done
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" > "$W/out" 2>&1
mount.coffer "$STORE" "$MNT"
head -c 100000 /dev/urandom > "$W/secret"
for f in one two; do cp "$W/secret" "$MNT/short/$f"; chmod a-w "$MNT/short/$f"; done
sync "$MNT/short"
cp -a "$STORE/keys" "$STORE/seal" "$W/r"
rm -f "$W"/r/*.request "$W"/r/*.sheet
coffer request destroy "$STORE" short/one --as alice --key "$W/k/alice" -o "$W/r" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
coffer approve "$STORE" "$W"/r/*.request --key "$W/k/carol" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
grep -q ' done' "$W/out" || fail "it was not done: $(cat "$W/out")"
expect_fail ENODATA cat "$MNT/short/one"
cmp "$MNT/short/two" "$W/secret"
id=$(coffer requests "$STORE" --json | jsonl '[q["id"] for q in j if q["action"] == "destroy"][0]')
coffer destroy certificate "$STORE" "$id" --tpm-physical > "$W/out"
grep -q "PASS *opener *tpm2-1" "$W/out" || fail "$(cat "$W/out")"
grep -q "UNKNOWN *envelope" "$W/out" || fail "$(cat "$W/out")"
umount "$MNT"; gone
mount.coffer "$STORE" "$MNT"
cmp "$MNT/short/two" "$W/secret"
expect_fail ENODATA cat "$MNT/short/one"
umount "$MNT"; gone
coffer verify "$STORE" > "$W/out" || fail "$(cat "$W/out")"
ok "the counter went up, and what is left opens"

cp -a "$STORE" "$W/thief"
rm -rf "$W/thief/keys" "$W/thief/seal"
cp -a "$W/r/keys" "$W/r/seal" "$W/thief"
expect_fail "" coffer log "$W/thief"
ok "a copy of keys/ and seal/ from before opens nothing"

(umask 077; head -c 32 /dev/urandom > "$KEY")
coffer recover "$STORE" --identity "$W/quorum" --key-file "$KEY" --no-auditor > "$W/out" 2>&1 ||
    coffer recover "$STORE" --identity "$W/quorum" --key-file "$KEY" > "$W/out" 2>&1 || fail "recover: $(cat "$W/out")"
[ -e "$STORE/keys/h-00000000" ] || fail "recover made no page: $(ls "$STORE/keys")"
ls "$STORE"/keys/*.recovered > /dev/null 2>&1 && fail "something is left: $(ls "$STORE/keys")"
mount_archive
cmp "$MNT/short/two" "$W/secret"
expect_fail ENODATA cat "$MNT/short/one"
umount_archive
python3 "$TOP/tests/second_reader.py" "$STORE" --key-file "$KEY" --json > "$W/out" 2>&1 || fail "second reader: $(cat "$W/out")"
same "frames without a key" 1 "$(json 'j["destroyed"]' < "$W/out")"
ok "destroy-tpm"
