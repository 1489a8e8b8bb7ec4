#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An archive that a TPM opens: made, mounted, renewed, and what happens to copies, clones and thieves.
. "$(dirname "$0")/lib.sh"
command -v swtpm > /dev/null && command -v tpm2 > /dev/null || skip "swtpm and tpm2-tools are not installed"

tpm_start() { # DIR: in the background, ended with the script
    mkdir -p "$1"
    swtpm socket --tpm2 --tpmstate dir="$1" --server type=unixio,path="$1/sock" \
        --ctrl type=unixio,path="$1/sock.ctrl" --flags not-need-init,startup-clear \
        --daemon --pid file="$1/pid"
    TPM_PID=$(cat "$1/pid")
    child "$TPM_PID"
    export COFFER_TPM=$1/sock TPM2TOOLS_TCTI=swtpm:path=$1/sock
}
tpm_stop() { # DIR
    kill -9 "$(cat "$1/pid")"
    while kill -0 "$(cat "$1/pid")" 2> /dev/null; do :; done
    rm -f "$1/sock" "$1/sock.ctrl"
}
refused() { # WORDS COMMAND …: fails, and says these words
    local words=$1 code=0
    shift
    "$@" > "$W/out" 2>&1 < /dev/null || code=$?
    [ $code != 0 ] || fail "not refused: $*"
    grep -qF -- "$words" "$W/out" || fail "no '$words' in: $(cat "$W/out")"
}
# The daemon ends after umount(8) has returned.
gone() { while [ -n "$(daemon_pid)" ]; do :; done; }

tpm_start "$W/tpm"

refused "--no-recovery" coffer init "$STORE" --seal tpm2 --shelf audit
[ ! -e "$STORE" ] || fail "something was left behind"
refused "go with --seal tpm2" coffer init "$STORE" --pcrs 7 --new-key-file "$KEY" --shelf audit
refused "16 and 23" coffer init "$STORE" --seal tpm2 --no-recovery --pcrs 16 --shelf audit
coffer init "$STORE" --seal tpm2 --no-recovery --shelf audit > "$W/said"
grep -q "PCR 7 alone" "$W/said" || fail "nothing is said about PCR 7 alone"
printf 4815 > "$W/pin"
coffer init "$W/pinned" --seal tpm2 --pin --passphrase-fd 3 --no-recovery --shelf audit 3< "$W/pin" > /dev/null
refused "no terminal to ask for the PIN" setsid coffer log "$W/pinned"
coffer log "$W/pinned" --seal tpm2 --passphrase-fd 3 3< "$W/pin" > /dev/null
rm -rf "$W/pinned"
ok "init, with a PIN too"

took=1000000
for _ in 1 2 3; do # the best of three: other programs may want the processor too
    began=$(date +%s%N)
    mount.coffer "$STORE" "$MNT"
    now=$((($(date +%s%N) - began) / 1000000))
    [ $now -ge $took ] || took=$now
    umount "$MNT"; gone
done
mount.coffer "$STORE" "$MNT"
echo "first" > "$MNT/audit/log"
refused "in use" coffer seal renew "$STORE"
umount "$MNT"; gone
[ $took -lt 1500 ] || fail "the mount took $took ms"
ok "mount by the TPM ($took ms)"

cp -a "$STORE" "$W/old"
coffer seal renew "$STORE"
mount.coffer "$STORE" "$MNT"
[ "$(cat "$MNT/audit/log")" = first ] || fail "what was written is another"
umount "$MNT"; gone
refused "old copy" mount.coffer "$W/old" "$MNT"
refused "old copy" coffer log "$W/old"
cp -a "$STORE/seal/tpm2-1" "$W/newest"
cp -a "$W/old/seal/tpm2-1" "$STORE/seal/tpm2-1"
refused "old copy" mount.coffer "$STORE" "$MNT"
cp -a "$W/newest" "$STORE/seal/tpm2-1"
ok "old store, and old seal/ in the new store: dead"

# a running mount goes on when its TPM goes
mount.coffer "$STORE" "$MNT"
tpm_stop "$W/tpm"
echo "second" >> "$MNT/audit/log"
umount "$MNT"; gone
refused "no TPM answers" mount.coffer "$STORE" "$MNT"
tpm_start "$W/tpm2"
refused "not the one" mount.coffer "$STORE" "$MNT"
tpm_stop "$W/tpm2"
tpm_start "$W/tpm"
mount.coffer "$STORE" "$MNT"
[ "$(tail -n 1 "$MNT/audit/log")" = second ] || fail "what was written without a TPM is lost"
umount "$MNT"; gone
ok "TPM gone, exchanged, back"

# an update: both values open; a third does not, and nothing weaker is taken in its place
coffer seal add "$STORE" --new file --new-key-file "$KEY" > /dev/null
coffer seal renew "$STORE" --pcrs 7,11
printf '11 %s\n' "$(python3 -c 'import hashlib; print(hashlib.sha256(bytes(32) + bytes([17] * 32)).hexdigest())')" > "$W/next"
coffer seal renew "$STORE" --next-pcrs "$W/next"
mount.coffer "$STORE" "$MNT"; umount "$MNT"; gone
tpm2_pcrextend "11:sha256=$(printf '11%.0s' {1..32})"
mount.coffer "$STORE" "$MNT"; umount "$MNT"; gone
tpm2_pcrextend "11:sha256=$(printf '11%.0s' {1..32})"
refused "PCR 11 changed" mount.coffer "$STORE" "$MNT"
mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY"; umount "$MNT"; gone
coffer seal renew "$STORE" --key-file "$KEY"
mount.coffer "$STORE" "$MNT"; umount "$MNT"; gone
ok "PCRs: an update, a change, a renewal by another opener"

# the same words as with --tpm, comma and all; what speaks TCP is loaded before the daemon may load nothing any more
for tpm in swtpm:host=127.0.0.1,port=1 swtpm:port=1 "$W/no-such-socket"; do
    refused "no TPM answers at $tpm (tcti:IO failure)" mount.coffer "$STORE" "$MNT" -o "tpm=$tpm"
done
ok "the name of a TPM behind a socket"

# what a removal left in the TPM: shown, and removed by its number, used ones and strangers' never
clean() { coffer seal clean "$STORE" --key-file "$KEY" "$@"; }
same "what is used" "['anchor', 'seal', 'tpm2-1']" "$(clean --json | json 'sorted(o.get("used", "") for o in j)')"
first=$(clean --json | json 'sorted(o["index"] for o in j)[0]')
free=$(printf '0x%08x' $((first + 9)))
tpm2_nvdefine "$free" -s 60 -a 'authread|authwrite|no_da' > /dev/null
tpm2_nvdefine $((first + 10)) -s 60 -a 'ownerread|ownerwrite' > /dev/null # of another form
clean | grep -q "^$free: secret, named by nothing" || fail "not shown"
same "another form" 4 "$(clean --json | json 'len(j)')"
refused "is in use (" clean "$first"
refused "is none that this archive may have left" clean "$(printf '0x%08x' $((first + 10)))"
clean "$free" | grep -q "^Removed NV index $free" || fail "not removed"
clean | grep -q "^Nothing is left" || fail "something is left"
tpm2_nvundefine $((first + 10))
mount.coffer "$STORE" "$MNT"; umount "$MNT"; gone
ok "indices that nothing names"

# a hostile root raises the counter
index=$(coffer seal show "$STORE" --json | python3 -c 'import json, sys
print([o["index"] for o in json.load(sys.stdin)["openers"] if o["kind"] == "tpm2"][0])')
tpm2_nvincrement "$index"
refused "somebody with root raised the counter" mount.coffer "$STORE" "$MNT"
coffer seal renew "$STORE" --key-file "$KEY"
mount.coffer "$STORE" "$MNT"; umount "$MNT"; gone
tpm2_clear
refused "cleared" mount.coffer "$STORE" "$MNT"
refused "cannot be taken back" coffer seal remove "$STORE" tpm2-1 --key-file "$KEY"
mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY" > "$W/out" 2>&1 || fail "not even to be read: $(cat "$W/out")"
grep -q "read-only.*coffer seal new-lineage" "$W/out" || fail "cleared: $(cat "$W/out")"
umount "$MNT"; gone
coffer seal new-lineage "$STORE" --key-file "$KEY" > "$W/out"
grep -q "lineage 2" "$W/out" || fail "new lineage: $(cat "$W/out")"
coffer seal remove "$STORE" tpm2-1 --key-file "$KEY" > /dev/null
printf 4815 > "$W/pin"
coffer seal add "$STORE" --new tpm2 --pin --new-passphrase-fd 3 --key-file "$KEY" 3< "$W/pin" > /dev/null
refused "no terminal to ask for the PIN" setsid mount.coffer "$STORE" "$MNT"
mount.coffer "$STORE" "$MNT" -o seal=tpm2,passfd=3 3< "$W/pin"; umount "$MNT"; gone
coffer log "$STORE" --seal tpm2 --passphrase-fd 3 3< "$W/pin" > /dev/null
coffer shelf list "$STORE" --seal tpm2 --passphrase-fd 3 3< "$W/pin" | grep -q audit || fail "shelf list with a PIN"
printf 4816 > "$W/wrong"
for left in 2 1; do
    code=0
    mount.coffer "$STORE" "$MNT" -o seal=tpm2,passfd=3 3< "$W/wrong" > "$W/out" 2>&1 || code=$?
    [ $code = 32 ] || fail "a wrong PIN ended with $code"
    grep -q "$left are left" "$W/out" || fail "tries left: $(cat "$W/out")"
done
by_pin() { mount.coffer "$STORE" "$MNT" -o seal=tpm2,passfd=3 3< "$1" > "$W/out" 2>&1; } # FILE
# The third locks the archive and, with this TPM's setting, the TPM: each of them is shown, and lifted by its own rules.
by_pin "$W/wrong" && fail "a wrong PIN opened it"
grep -q "wrong PIN, and the TPM.*locked out.*the archive is locked" "$W/out" || fail "third: $(cat "$W/out")"
by_pin "$W/pin" && fail "the archive's lock does not hold"
grep -q "is locked for passphrases and PINs" "$W/out" || fail "lockout: $(cat "$W/out")"
coffer seal show "$STORE" > "$W/out"
grep -q "^TPM: 3 of 3 .*locked out" "$W/out" && grep -q "^Lockout: locked" "$W/out" || fail "show: $(cat "$W/out")"
coffer unlock "$STORE" --key-file "$KEY" > /dev/null
by_pin "$W/pin" && fail "the TPM's lockout does not hold"
grep -q "locked out after 3 wrong PINs" "$W/out" || fail "TPM: $(cat "$W/out")"
tpm2_dictionarylockout -c
mount.coffer "$STORE" "$MNT" -o seal=tpm2,passfd=3 3< "$W/pin"; umount "$MNT"; gone
ok "counter raised, TPM cleared, PIN, lockout"

verify=0; coffer verify "$STORE" > "$W/out" 2>&1 || verify=$?
[ $verify = 0 ] || { cat "$W/out"; fail "verify says $verify"; }
expect_code 11 coffer verify "$STORE" --tpm "$W/nobody"
grep -q "its end could not be compared with the anchor" "$W/out" || { cat "$W/out"; fail "no TPM there"; }
coffer init "$W/plain" --new-key-file "$W/plain.key" --shelf audit > /dev/null
expect_code 1 coffer verify "$W/plain" --tpm "$COFFER_TPM"
grep -q "plain has no opener that is a TPM.*verify it without --tpm" "$W/out" || { cat "$W/out"; fail "no TPM's opener"; }
expect_code 0 coffer verify "$W/plain"
ok "verify"

# the second reader, by a key file, of a store whose seal lies in a TPM; it mounts by the key file too
mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY"; echo more > "$MNT/audit/more"; umount "$MNT"; gone
python3 "$TOP/tests/second_reader.py" "$STORE" --key-file "$KEY" --list > "$W/out" || { cat "$W/out"; fail "second reader"; }
grep -q "audit/more" "$W/out" || fail "second reader: $(cat "$W/out")"
coffer log "$STORE" --key-file "$KEY" --json | grep -q '"anchor_counter"' || fail "no anchor in the log"
ok "second reader"
