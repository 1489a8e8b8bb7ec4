#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What holds, and what does not, against a thief of the disk, a clone on another machine, a virtual TPM that is rolled back
# together with the store, and a TPM that is reset, cut off, or refuses: each with its sentence and its exit code. Old copies after a
# renewal, changed PCRs and a raised counter are in tpm.sh. About 20 s.
. "$(dirname "$0")/lib.sh"
command -v swtpm > /dev/null && command -v tpm2 > /dev/null || skip "swtpm and tpm2-tools are not installed"

tpm_start() { # DIR: a machine's TPM, ended with the script
    mkdir -p "$1"
    swtpm socket --tpm2 --tpmstate dir="$1" --server type=unixio,path="$1/sock" \
        --ctrl type=unixio,path="$1/sock.ctrl" --flags not-need-init,startup-clear \
        --daemon --pid file="$1/pid"
    child "$(cat "$1/pid")"
    export COFFER_TPM=$1/sock TPM2TOOLS_TCTI=swtpm:path=$1/sock
}
# As a power cut, or in order (TPM2_Shutdown), as a machine that is switched off.
tpm_stop() { # DIR [clear]
    local pid
    pid=$(cat "$1/pid")
    [ $# = 1 ] || tpm2_shutdown --clear
    kill -9 "$pid"
    await 10 "the TPM to end" gone "$pid"
    rm -f "$1/sock" "$1/sock.ctrl"
}
tpm_reset() { # DIR: CMD_INIT on the control channel, as when the machine restarts
    python3 - "$1/sock.ctrl" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.sendall(bytes([0, 0, 0, 2, 0, 0, 0, 0]))
sys.exit(s.recv(4) != bytes(4))
PY
}
# refused CODE WORDS COMMAND …: this exit code, and these words.
refused() {
    local code=$1 words=$2
    shift 2
    expect_code "$code" "$@" < /dev/null
    grep -qF -- "$words" "$W/out" || fail "no '$words' in: $(cat "$W/out")"
}

tpm_start "$W/here"
coffer init "$STORE" --seal tpm2 --no-recovery --shelf "secretshelf" > /dev/null
mount.coffer "$STORE" "$MNT"
mkdir "$MNT/secretshelf/secretdir"
echo "the secret content of this file" > "$MNT/secretshelf/secretdir/secretname"
echo first > "$MNT/secretshelf/log"
umount_archive

# ---- a thief of the disk: the store on another machine ----
cp -a "$STORE" "$W/stolen"
tpm_start "$W/thief"
refused 32 "not the one" mount.coffer "$W/stolen" "$MNT"
refused 1 "coffer recover" coffer log "$W/stolen"
refused 1 "not the one" coffer shelf list "$W/stolen"
refused 1 "not the one" coffer seal renew "$W/stolen"
unset COFFER_TPM
refused 32 "/dev/tpmrm0" mount.coffer "$W/stolen" "$MNT" -o tpm=device:/dev/tpmrm0.none
printf 'guess' > "$W/guess"
expect_code 1 coffer log "$W/stolen" --passphrase-fd 3 3< "$W/guess"
! grep -raqE "the secret content|secretname|secretdir|secretshelf" "$W/stolen" || fail "a name or content lies there in clear"
python3 "$TOP/tests/second_reader.py" "$W/stolen" --checkpoint-only > /dev/null # frames and times are for everybody
rm -r "$W/stolen"
ok "a stolen disk, and a clone on a second TPM: nothing opens, no name, no content"

# ---- a virtual TPM rolled back together with the store: invisible inside the machine ----
export COFFER_TPM=$W/here/sock TPM2TOOLS_TCTI=swtpm:path=$W/here/sock
# The same as a machine's snapshot that is restored whole: its disk and its TPM are at the old state, and so is all it can ask.
coffer-vault init "$W/vault" --name vault.example/v > /dev/null
coffer vault add "$STORE" v "dir:$W/vault" > /dev/null
coffer sync "$STORE" v > /dev/null
tpm_stop "$W/here" clear
cp -a "$STORE" "$W/old-store"
cp -a "$W/here" "$W/old-tpm"
tpm_start "$W/here"
mount.coffer "$STORE" "$MNT"
echo second >> "$MNT/secretshelf/log"
umount_archive
coffer seal renew "$STORE" > /dev/null
coffer sync "$STORE" v > /dev/null
cp "$STORE/checkpoint" "$W/kept-checkpoint"
cp -a "$STORE" "$W/newest-store"
tpm_stop "$W/here" clear
cp -a "$W/here" "$W/newest-tpm"
back() { rm -rf "$STORE" "$W/here"; cp -a "$W/$1-store" "$STORE"; cp -a "$W/$1-tpm" "$W/here"; tpm_start "$W/here"; }
back old
expect_code 0 coffer verify "$STORE" --tpm "$COFFER_TPM" # nothing inside sees it
refused 12 "frames that were there are gone" coffer verify "$STORE" --since "$W/kept-checkpoint"
refused 3 "older state" coffer sync "$STORE" v # the vault does
mount.coffer "$STORE" "$MNT" > "$W/said" 2>&1
grep -q "read-only.*put back to an older state" "$W/said" || fail "what the vault said is forgotten: $(cat "$W/said")"
umount_archive
rm "$STORE/vaults/v.newer" # what came from outside
mount.coffer "$STORE" "$MNT" > "$W/said" 2>&1
! grep -q "read-only" "$W/said" || fail "it is seen from inside, which SECURITY.md denies: $(cat "$W/said")"
same "what the old state has" "first" "$(cat "$MNT/secretshelf/log")"
for i in $(seq 9); do echo "another history $i" >> "$MNT/secretshelf/log"; done
umount_archive
refused 4 "two histories" coffer sync "$STORE" v
refused 13 "" coffer verify "$STORE" --since "$W/kept-checkpoint"
expect_code 0 coffer verify "$W/vault/archives/$(coffer status "$STORE" --json | json 'j["archive_id"]')" # what it has, it keeps
grep -q "^- \*\*A virtual TPM\*\*" "$TOP/SECURITY.md" || fail "SECURITY.md does not say it"
tpm_stop "$W/here" clear
rm -rf "$STORE"
cp -a "$W/newest-store" "$STORE" # its store alone is not enough, nor its TPM alone
tpm_start "$W/here"
refused 32 "put back to an older state" mount.coffer "$STORE" "$MNT"
tpm_stop "$W/here" clear
back newest
mount.coffer "$STORE" "$MNT"
same "the newest state" "second" "$(tail -n 1 "$MNT/secretshelf/log")"
coffer sync "$STORE" v > /dev/null || fail "the true state does not go on at its vault"
ok "a virtual TPM rolled back together with the store opens, which is said"

# ---- the TPM is reset, cut off, comes back: what is mounted goes on ----
tpm_reset "$W/here"
echo third >> "$MNT/secretshelf/log"
sync "$MNT/secretshelf/log"
tpm_stop "$W/here"
echo fourth >> "$MNT/secretshelf/log"
sync "$MNT/secretshelf/log"
tpm_start "$W/here"
echo fifth >> "$MNT/secretshelf/log"
umount_archive
mount.coffer "$STORE" "$MNT" > "$W/said" 2>&1 || { cat "$W/said"; fail "not mounted after a reset"; }
same "what was written meanwhile" "third fourth fifth" "$(tail -n 3 "$MNT/secretshelf/log" | tr '\n' ' ' | sed 's/ $//')"
umount_archive
tpm_reset "$W/here"
coffer log "$STORE" > /dev/null # it is started by whoever asks it first
ok "reset and cut off under a mount"

# ---- what the TPM refuses, nothing weaker is asked for in its place ----
printf 'a passphrase' > "$W/phrase"
coffer seal add "$STORE" --new passphrase --new-passphrase-fd 3 3< "$W/phrase" > /dev/null
tpm2_pcrextend "7:sha256=$(printf '22%.0s' {1..32})"
for verb in "mount.coffer $STORE $MNT" "coffer log $STORE" "coffer seal renew $STORE"; do
    code=1
    [ "${verb%% *}" = coffer ] || code=32
    # shellcheck disable=SC2086
    refused $code "PCR 7 changed" $verb
    ! grep -qi passphrase "$W/out" || fail "a passphrase is asked for: $(cat "$W/out")"
done
[ ! -e "$STORE/seal/attempts" ] || fail "what the TPM refused is counted as a wrong passphrase"
coffer seal renew "$STORE" --passphrase-fd 3 3< "$W/phrase" > /dev/null
mount.coffer "$STORE" "$MNT"
umount_archive
coffer log "$STORE" --events --json > "$W/events"
jsonl '[e["event"] for e in j]' < "$W/events" | grep -q "'seal-renewed'.*'opener-added'.*'seal-renewed'" || fail "events: $(cat "$W/events")"
ok "a changed PCR, and nothing weaker by itself"

# ---- the log of a running mount put back to an earlier state of it: the secret of the next mount was mixed later ----
(umask 077; head -c 32 /dev/urandom > "$KEY")
STORE=$W/filed
coffer init "$STORE" --key-file "$KEY" --no-recovery --shelf s > /dev/null
filed() { mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY,seal-interval=0" > "$W/said" 2>&1; }
mixed_over() { [ "$(coffer status "$STORE" --json | json 'j["mixed"]["mixings"]')" -gt "$1" ]; }
filed
coffer status "$STORE" | grep -q "nothing proves that the newest frames are there (no anchor)" || fail "status does not name the weaker promise"
echo first >> "$MNT/s/log"
await 10 "a mixing" mixed_over 0
n=$(coffer status "$STORE" --json | json 'j["mixed"]["mixings"]')
cp -a "$STORE/log" "$W/log-then"
cp "$STORE/checkpoint" "$W/checkpoint-then"
echo second >> "$MNT/s/log"
await 10 "another mixing" mixed_over "$n"
kill_daemon
umount -l "$MNT"
cp -a "$STORE" "$W/true"
rm -rf "$STORE/log" "$STORE/index"
cp -a "$W/log-then" "$STORE/log"
cp "$W/checkpoint-then" "$STORE/checkpoint"
filed || { cat "$W/said"; fail "not even mounted to be read"; }
grep -q "Mounted read-only.*keys/epoch was mixed at frame [0-9]* of mount 2, and the log ends with frame" "$W/said" || fail "it said: $(cat "$W/said")"
expect_fail "Read-only" sh -c "echo more >> '$MNT/s/log'"
umount_archive
rm -rf "$STORE"
cp -a "$W/true" "$STORE"
filed || { cat "$W/said"; fail "the true one"; }
! grep -q "read-only" "$W/said" || fail "the true one: $(cat "$W/said")"
umount_archive
ok "a log that ends before its last mixing"
