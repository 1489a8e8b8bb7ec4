#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The TPM of a mounted archive is exchanged for another one, or cleared, by root: what is mounted goes on, status says
# what happened and what to do, and the next mount is refused with its sentence. About 10 s.
. "$(dirname "$0")/lib.sh"
command -v swtpm > /dev/null && command -v tpm2 > /dev/null || skip "swtpm and tpm2-tools are not installed"

SOCK=$W/tpm.sock
tpm_start() { # DIR: a TPM with this state, behind the one socket that this machine has
    mkdir -p "$1"
    swtpm socket --tpm2 --tpmstate dir="$1" --server type=unixio,path="$SOCK" \
        --ctrl type=unixio,path="$SOCK.ctrl" --flags not-need-init,startup-clear \
        --daemon --pid file="$W/pid"
    child "$(cat "$W/pid")"
    export COFFER_TPM=$SOCK TPM2TOOLS_TCTI=swtpm:path=$SOCK
}
tpm_stop() {
    local pid
    pid=$(cat "$W/pid")
    kill -9 "$pid"
    await 10 "the TPM to end" gone "$pid"
    rm -f "$SOCK" "$SOCK.ctrl"
}
says() { # WORDS …: status does, all of them
    local words
    coffer status "$STORE" > "$W/status" 2>&1
    for words in "$@"; do grep -qF -- "$words" "$W/status" || return 1; done
}
write_on() { # WORD: acknowledged and durable, whatever the TPM does
    echo "$1" >> "$MNT/audit/log"
    sync "$MNT/audit/log"
}
retention() { coffer clock "$STORE" --json | json "j['retention_time']"; }
later() { [ "$(coffer clock "$STORE" --json | json "j['boot_time_ms']")" -gt $(($1 + 2500)) ]; }
stands_still() { # several readings of the clock that is there later
    local before boot
    boot=$(coffer clock "$STORE" --json | json "j['boot_time_ms']")
    before=$(retention)
    await 20 "time to pass" later "$boot"
    same "retention time stands still" "$before" "$(retention)"
}
refused_mount() { # WORDS …: each of them is said
    expect_code 32 mount.coffer "$STORE" "$MNT" < /dev/null
    for words in "$@"; do
        grep -qF -- "$words" "$W/out" || fail "no '$words' in: $(cat "$W/out")"
    done
}

# ---- exchanged ----
tpm_start "$W/here"
coffer init "$STORE" --seal tpm2 --no-recovery --shelf audit > /dev/null
mount.coffer "$STORE" "$MNT" -o anchor_interval=1
write_on first
tpm_stop
tpm_start "$W/other"
write_on second
await 20 "status to tell of the other TPM" says "is not raised: the TPM at" "has no NV index" "it is another TPM" "coffer recover"
await 20 "status to tell of the other TPM's clock" says "is not the archive's, or was cleared: retention time stands still"
stands_still
write_on third
umount_archive
refused_mount "not the one"
tpm_stop
tpm_start "$W/here"
mount.coffer "$STORE" "$MNT" -o anchor_interval=1 > "$W/said" 2>&1 || { cat "$W/said"; fail "not mounted with its own TPM again"; }
going() { [ "$(retention)" != "$1" ]; }
await 20 "retention time to go on" going "$(retention)"
same "on record" 1 "$(coffer log "$STORE" --events --json | grep '"event":"clock"' | grep -c "stands still")"
same "what was written meanwhile" "first second third" "$(tr '\n' ' ' < "$MNT/audit/log" | sed 's/ $//')"
ok "a TPM exchanged under a mount"

# ---- the anchor's counter raised by somebody else ----
index=$(coffer status "$STORE" --json | json "j['anchor']['index']")
for _ in 1 2 3; do tpm2_nvincrement -C "$index" "$index"; done # one alone is what the anchor itself does next
write_on raised
await 20 "status to tell of the raise" says "Somebody else raised the anchor's counter $index"
value() { [ "$(coffer status "$STORE" --json | json "j['anchor']['value']")" -gt "$1" ]; }
before=$(coffer status "$STORE" --json | json "j['anchor']['value']")
write_on "and on"
await 20 "the anchor to go on" value "$before"
ok "an anchor that jumped"

# ---- the seal's own counter raised, which kills the seal; and the TPM locked out by wrong tries for something else ----
goes_on() { # WORD: durable, and anchored behind it
    before=$(coffer status "$STORE" --json | json "j['anchor']['value']")
    write_on "$1"
    await 20 "the anchor to go on" value "$before"
}
index=$(coffer seal show "$STORE" --json | json "[o['index'] for o in j['openers']][0]")
tpm2_nvincrement -C "$index" "$index"
goes_on "with a dead seal"
tpm2_dictionarylockout -s -n 1 -t 1000 -l 1000
tpm2_createprimary -Q -C o -G ecc -p right -c "$W/other.ctx"
tpm2_flushcontext -t
locked_out() { # a try may fail for another reason, while the daemon has the TPM
    ! tpm2_create -Q -C "$W/other.ctx" -P wrong -u "$W/u" -r "$W/r" 2> "$W/wrong" || fail "a wrong authorisation value was taken"
    tpm2_flushcontext -t # a try that is refused leaves its parent loaded, and this TPM has room for three
    tpm2_getcap properties-variable | grep -q "inLockout: *1"
}
await 20 "the TPM to be locked out" locked_out
goes_on "locked out"
ok "a seal killed and a TPM locked out under a mount: it goes on, anchored"

# ---- cleared ----
write_on fourth
tpm2_clear
write_on fifth
await 20 "status to tell of the clear" says "is not raised: the TPM at" "has no NV index" "the TPM was cleared"
await 20 "status to tell of the cleared TPM's clock" says "is not the archive's, or was cleared: retention time stands still"
write_on sixth
umount_archive
refused_mount "cleared" "coffer recover"
ok "a TPM cleared under a mount"
