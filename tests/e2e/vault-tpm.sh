#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A vault whose key a TPM gives out: it cosigns, and a copy of its disk elsewhere, other PCRs or a key file in place of it sign nothing;
# sealed anew before and after PCRs change, and at another TPM, it signs with the same key, and what was sealed before opens nothing.
. "$(dirname "$0")/lib.sh"
command -v swtpm > /dev/null && command -v tpm2 > /dev/null || skip "swtpm and tpm2-tools are not installed"

tpm_start() { # DIR: in the background, ended with the script
    mkdir -p "$1"
    swtpm socket --tpm2 --tpmstate dir="$1" --server type=unixio,path="$1/sock" \
        --ctrl type=unixio,path="$1/sock.ctrl" --flags not-need-init,startup-clear --daemon --pid file="$1/pid"
    child "$(cat "$1/pid")"
}
tpm_start "$W/tpm"
tpm_start "$W/other"
make_store audit
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')

expect_code 2 coffer-vault init "$W/b" --name vault.example/b --seal passphrase
expect_code 2 coffer-vault init "$W/b" --name vault.example/b --pcrs 7
expect_fail "16 and 23" coffer-vault init "$W/b" --name vault.example/b --seal tpm2 --tpm "$W/tpm/sock" --pcrs 16
[ ! -e "$W/b" ] || fail "an init that failed left something behind"
coffer-vault init "$W/b" --name vault.example/b --seal tpm2 --tpm "$W/tpm/sock" --pcrs 7,15 > "$W/init"
VKEY=$(grep -o 'vault.example/b+[^ ]*' "$W/init" | head -n 1)
[ ! -e "$W/b/key" ] || fail "the key lies in a file"
expect_fail "a vault already" coffer-vault init "$W/b" --name vault.example/b
coffer vault add "$STORE" b "dir:$W/b" --vkey "$VKEY" > /dev/null
coffer sync "$STORE" b --key-file "$KEY" > "$W/out" || { cat "$W/out"; fail sync; }
grep -q ", on record" "$W/out" || fail "not on record: $(cat "$W/out")"
coffer verify "$STORE" --vault-key "$VKEY" > "$W/out" || { cat "$W/out"; fail "verify"; }
coffer sync "$STORE" b > /dev/null && coffer verify "$W/b/archives/$ID" > /dev/null || fail "the copy"
grep -q "existed at .*vault.example/b" "$W/out" || fail "its cosignature does not count: $(cat "$W/out")"
ok "it cosigns"

refused() { # refused WORDS: the vault signs nothing, and says why
    local before
    before=$(sha256sum < "$W/b/archives/$ID/checkpoint")
    expect_code 1 coffer sync "$STORE" b
    grep -q "the TPM does not give out the key of this vault" "$W/out" && grep -q "$1" "$W/out" || fail "$1: $(cat "$W/out")"
    same "what it signed" "$before" "$(sha256sum < "$W/b/archives/$ID/checkpoint")"
}
cp "$W/b/vault.conf" "$W/conf"
sed -i "s,^tpm = .*,tpm = $W/other/sock," "$W/b/vault.conf" # the disk, in another machine
refused "it is another TPM"
cp "$W/conf" "$W/b/vault.conf"
cp "$W/b/key.tpm2" "$W/sealed"
flip "$W/b/key.tpm2" 150
refused "altered"
coffer-vault init "$W/neighbour" --name vault.example/b --seal tpm2 --tpm "$W/tpm/sock" > /dev/null # sealed by the same TPM
cp "$W/neighbour/key.tpm2" "$W/b/key.tpm2"
refused "belongs to another vault"
cp "$W/sealed" "$W/b/key.tpm2"
coffer-vault init "$W/thief" --name vault.example/b > /dev/null # a key file in its place
cp "$W/thief/key" "$W/b/key"
sed -i '/^tpm = /d' "$W/b/vault.conf"
expect_code 1 coffer sync "$STORE" b
grep -q "not the key that vault.conf names" "$W/out" || fail "another key: $(cat "$W/out")"
rm "$W/b/key" && cp "$W/conf" "$W/b/vault.conf"
coffer sync "$STORE" b > /dev/null || fail "as it was"
extend() { TPM2TOOLS_TCTI=swtpm:path=$W/tpm/sock tpm2 pcrextend "15:sha256=$(printf '%064d' "$1")" > /dev/null; }
ok "and nothing else does"

if ! command -v age-keygen > /dev/null; then say "left out: age is not installed"; exit 0; fi
for n in officer stranger; do age-keygen -o "$W/$n" 2> /dev/null; done
signs() { # signs WHAT: with the key that hosts know
    coffer sync "$STORE" b > "$W/out" 2>&1 || { cat "$W/out"; fail "$1"; }
    same "the key, $1" "$VKEY" "$(coffer-vault status "$W/b" | head -n 1 | cut -d' ' -f1)"
}
expect_code 2 coffer-vault reseal "$W/b" --recovery nobody
expect_fail "key.age cannot be read" coffer-vault reseal "$W/b" --identity "$W/officer"
python3 - << 'PY' > "$W/next"
import hashlib
print(15, hashlib.sha256(bytes(32) + bytes.fromhex("%064d" % 7)).hexdigest())
print(7, bytes(32).hex())
PY
coffer-vault reseal "$W/b" --next-pcrs "$W/next" --recovery "$(age-keygen -y "$W/officer")" > "$W/out" || { cat "$W/out"; fail "reseal"; }
grep -q "the same key" "$W/out" || fail "reseal says: $(cat "$W/out")"
signs "as PCRs are"
cp "$W/b/key.tpm2" "$W/resealed" && cp "$W/sealed" "$W/b/key.tpm2"
refused "counter that it was sealed with is gone"
cp "$W/resealed" "$W/b/key.tpm2"
extend 7
signs "as was foreseen"
extend 8
refused "PCR"
grep -q "coffer-vault reseal" "$W/out" || fail "it is not said who can help: $(cat "$W/out")"
expect_fail "PCRs are not as they were" coffer-vault reseal "$W/b"
expect_fail "does not open with that identity" coffer-vault reseal "$W/b" --identity "$W/stranger"
cp "$W/b/key.age" "$W/kept" && age -r "$(age-keygen -y "$W/officer")" -o "$W/b/key.age" "$W/thief/key"
expect_fail "not the key that vault.conf names" coffer-vault reseal "$W/b" --identity "$W/officer"
cp "$W/kept" "$W/b/key.age"
refused "PCR"
coffer-vault reseal "$W/b" --identity "$W/officer" > /dev/null
signs "behind a change that nobody foresaw"
coffer-vault reseal "$W/b" --identity "$W/officer" --tpm "$W/other/sock" > /dev/null
signs "at another TPM"
coffer-vault reseal "$W/thief" --tpm "$W/tpm/sock" > "$W/out"
grep -q "overwritten and removed" "$W/out" && [ ! -e "$W/thief/key" ] || fail "a key file stays: $(cat "$W/out")"
coffer-vault status "$W/thief" > /dev/null || fail "a key that lay in a file"
ok "sealed anew"
