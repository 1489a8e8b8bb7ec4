#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Somebody who is root from time T on, with all keys of that moment: frames rewritten, the tail cut off, an old store put
# back, the store cloned to another TPM, NV indices removed and defined anew, the TPM cleared. About 10 s.
# shellcheck source=tests/e2e/lib.sh disable=SC2119
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v swtpm > /dev/null && command -v tpm2 > /dev/null || skip "swtpm and tpm2-tools are not installed"
command -v age-keygen > /dev/null || skip "age is not installed"

tpm_start() { # DIR
    mkdir -p "$1"
    swtpm socket --tpm2 --tpmstate dir="$1" --server type=unixio,path="$1/sock" \
        --ctrl type=unixio,path="$1/sock.ctrl" --flags not-need-init,startup-clear > /dev/null 2>&1 &
    child $!
    echo $! > "$1/pid"
    await 10 "swtpm" test -S "$1/sock"
    export COFFER_TPM=$1/sock TPM2TOOLS_TCTI=swtpm:path=$1/sock
}
tpm_stop() { kill -9 "$(< "$1/pid")"; await 10 "swtpm's end" gone_pid "$(< "$1/pid")"; rm -f "$1/sock" "$1/sock.ctrl"; }
gone_pid() { ! kill -0 "$1" 2> /dev/null; }
gone() { await 10 "the daemon's end" no_daemon; }
no_daemon() { [ -z "$(daemon_pid)" ]; }
with_key() { mount.coffer "$STORE" "$MNT" -o "transport=uring,keyfile=$KEY,anchor_interval=0" > "$W/out" 2>&1; }
unmount() { umount "$MNT"; gone; }
settled() { coffer status "$STORE" --json | json 'not j["anchor"]["pending"]' | grep -q True; }
# A line, a checkpoint over it, and the counter raised.
write_line() {
    echo "$1" >> "$MNT/audit/log"
    coffer verify "$STORE" > /dev/null 2>&1 || fail "verify beside the daemon"
    await 10 "the anchor" settled
}
crash() { kill -9 "$(daemon_pid)"; umount -l "$MNT"; gone; }
keep() { rm -rf "$W/$1"; cp -a "$STORE" "$W/$1"; }
put_back() { rm -rf "$STORE"; cp -a "$W/$1" "$STORE"; }
verify() { coffer verify "$STORE" --auditor-key "$W/auditor.key" "$@"; }
read_only() { # TEXT: a mount that is read-only and says so
    with_key || { cat "$W/out"; fail "it does not even mount to be read"; }
    grep -q "read-only" "$W/out" && grep -q "$1" "$W/out" || fail "expected $1, read-only: $(cat "$W/out")"
    if echo more >> "$MNT/audit/log" 2> /dev/null; then fail "written to"; fi
    unmount
}

age-keygen -o "$W/auditor.key" 2> /dev/null
tpm_start "$W/tpm"
coffer init "$STORE" --seal tpm2 --no-recovery --shelf audit --auditor "$(age-keygen -y "$W/auditor.key")" > "$W/said"
grep -q "sealed to 1 auditor" "$W/said" || fail "init: $(cat "$W/said")"
coffer seal add "$STORE" --new file --new-key-file "$KEY" > /dev/null
with_key; write_line one; write_line two
coffer status "$STORE" | grep -q "about 4 writes to the TPM's flash so far, 342 years at this rate" || fail "no wear in status: $(coffer status "$STORE" | grep Anchor)"
same "wear: four writes on the first day leave as many years of 500000; raises by less than 256 are none" "4 342" \
    "$(coffer status "$STORE" --json | json '"%d %d" % (j["anchor"]["nv_writes"], j["anchor"]["nv_years"])')"
unmount
verify --tpm "$COFFER_TPM" > "$W/out" || { cat "$W/out"; fail "verify"; }
grep -q "unbroken since frame 0 (20" "$W/out" && grep -q "no checkpoint up to the anchor is" "$W/out" || { cat "$W/out"; fail "verify"; }
coffer seal show "$STORE" | grep -q "^Anchor: counter 0x01" || fail "seal show"
coffer status "$STORE" | grep -q "1 recipient of the secret" || fail "status"
ok "sealed, anchored, unbroken"

# frames between two checkpoints, rewritten with today's keys
keep true
frame=$(coffer log "$STORE" --key-file "$KEY" --json | jsonl '[f["sequence"] for f in j if f["type"] == "append"][0]')
"$BUILD/tests/unit/archive/forge-log" "$STORE" "$KEY" "$frame"
rm -rf "$STORE/index"
expect_code 0 coffer verify "$STORE"   # public keys see nothing: who signs is who forged
code=0; verify > "$W/out" || code=$?
same "verdict" 13 $code
grep -q "first frame whose seal is false is $frame\\." "$W/out" || { cat "$W/out"; fail "frame $frame is not named"; }
grep -q "^tampered: .*: the seal of frame $frame does not hold" "$W/out" || { cat "$W/out"; fail "frame $frame is no finding"; }
grep -q "; not all seals hold" "$W/out" || { cat "$W/out"; fail "all seals hold, it says"; }
# whatever links to it is false too, up to the end: since no frame is it unbroken
grep -q "The seal of the newest frames does not hold" "$W/out" && ! grep -q "unbroken since" "$W/out" || { cat "$W/out"; fail "since when"; }
same "JSON" "$frame False" "$(verify --json 2> /dev/null | json '"%d %s" % (j["seal_first_false"], "seal_since" in j)')"
put_back true
ok "rewritten frames are named"

# the tail cut off, an old checkpoint put back, and a crash without a power loss of the TPM
with_key; write_line three
keep old
write_line four; write_line five
crash
keep new
put_back old
code=0; verify --tpm "$COFFER_TPM" > "$W/out" || code=$?
same "verdict" 12 $code
grep -q "at least 2 checkpoints are missing" "$W/out" || { cat "$W/out"; fail "how many"; }
read_only "at least 2 later checkpoints are missing"
put_back new
with_key || fail "the true one: $(cat "$W/out")"
grep -q "read-only\|unproven" "$W/out" && fail "the true one: $(cat "$W/out")"
write_line six
keep old
write_line seven
crash
# the same, and the machine lost its power: as a power cut leaves it
put_back old
tpm_stop "$W/tpm"; tpm_start "$W/tpm"
code=0; verify --tpm "$COFFER_TPM" > "$W/out" || code=$?
same "verdict" 10 $code
grep -q "unclean, [0-9]* unproven" "$W/out" || { cat "$W/out"; fail "unproven"; }
with_key; grep -q "unclean, [0-9]* checkpoints unproven" "$W/out" || fail "mount: $(cat "$W/out")"
unmount
coffer log "$STORE" --key-file "$KEY" --json | jsonl '[f.get("unproven", 0) > 0 for f in j if f["type"] == "recovery"][-1]' |
    grep -q True || fail "it is not on record"
verify --tpm "$COFFER_TPM" > "$W/out" || { cat "$W/out"; fail "verify afterwards"; }
ok "a cut tail: truncated, or unproven after a power loss"

# the newest mount's end cut off, and another mount written in its place, with the secret that the TPM holds for it
mixings() { coffer status "$STORE" --json | json 'j["mixed"]["mixings"]'; }
mixed() { [ "$(mixings)" -gt "$1" ]; }
attack() { # SEQUENCE [FRAME]
    put_back crashed
    rm -rf "$STORE/index"
    "$BUILD/tests/unit/archive/cut-log" "$STORE" "$KEY" "$1" "$counter" ${2+"$2"}
    code=0; verify --tpm "$COFFER_TPM" > "$W/out" || code=$?
}
mount.coffer "$STORE" "$MNT" -o "transport=uring,key-file=$KEY,anchor-interval=0,seal-interval=0" > "$W/out" 2>&1
write_line seven; write_line eight
await 10 "a mixing" mixed 0
n=$(mixings); write_line nine; await 10 "a mixing" mixed "$n"
coffer status "$STORE" | grep -q "^Seal mixed *last at 20" || fail "status does not say it"
await 10 "the anchor" settled
counter=$(coffer status "$STORE" --json | json 'j["anchor"]["value"]')
crash
keep crashed
coffer log "$STORE" --key-file "$KEY" --json > "$W/frames"
mixing() { jsonl "[f['sequence'] for f in j if f['type'] == 'checkpoint' and 'mixed_behind' in f][$1]" < "$W/frames"; }
last=$(mixing -1) before=$(mixing -2)
attack "$before"
same "verdict" 12 $code
grep -q "at least $((last - before + 1)) frames are missing before this mount, $before and" "$W/out" || { cat "$W/out"; fail "what is missing"; }
attack "$last" "$before"
same "verdict" 13 $code
grep -q "does not prove that it followed on frame $before" "$W/out" || { cat "$W/out"; fail "the proof"; }
put_back crashed
with_key || fail "the true one: $(cat "$W/out")"
unmount
verify --tpm "$COFFER_TPM" > "$W/out" || { cat "$W/out"; fail "the true one"; }
ok "the newest mount's end cut off, and written on"

# all of an old store; the store on another machine
keep old
with_key; write_line eight; unmount
keep new
put_back old
read_only "an old copy of the log was put back"
put_back new
tpm_stop "$W/tpm"; tpm_start "$W/tpm2"
expect_fail "" mount.coffer "$STORE" "$MNT" -o transport=uring
read_only "no NV index"
tpm_stop "$W/tpm2"; tpm_start "$W/tpm"
ok "an old store, a clone: refused"

# the seal's index removed, and another in its place; a new lineage with an auditor secret of its own
with_key || fail "back again: $(cat "$W/out")"
index=$(coffer status "$STORE" --json | json 'j["anchor"]["seal_index"]')
unmount
tpm2_nvundefine "$index"
read_only "no NV index"
tpm2_nvdefine "$index" -s 60 -a 'authread|authwrite|no_da' > /dev/null
read_only "coffer seal new-lineage"
coffer seal new-lineage "$STORE" --key-file "$KEY" > "$W/out"
test -e "$STORE/seal/auditor-2.age" || fail "no auditor secret for the new lineage"
with_key; write_line nine; unmount
verify --tpm "$COFFER_TPM" > "$W/out" || { cat "$W/out"; fail "verify over two lineages"; }
grep -q "lineage 2" "$W/out" && grep -q "all seals hold" "$W/out" || { cat "$W/out"; fail "two lineages"; }
age-keygen -o "$W/auditor2.key" 2> /dev/null
expect_code 2 coffer seal auditor-renew "$STORE" --key-file "$KEY"
expect_fail "not sealed to this identity" coffer seal auditor-renew "$STORE" --key-file "$KEY" \
    --auditor "$(age-keygen -y "$W/auditor2.key")" --identity "$W/auditor2.key"
coffer seal auditor-renew "$STORE" --key-file "$KEY" --auditor "$(age-keygen -y "$W/auditor2.key")" \
    --identity "$W/auditor.key" > "$W/out"
grep -q "2 files of seal/" "$W/out" || fail "auditor-renew: $(cat "$W/out")"
for n in "" -2; do age -d -i "$W/auditor2.key" "$STORE/seal/auditor$n.age" > "$W/line" || fail "age does not open auditor$n.age"; done
expect_fail "not sealed to this identity" verify --tpm "$COFFER_TPM"
mv "$W/auditor2.key" "$W/auditor.key"
verify --tpm "$COFFER_TPM" > "$W/out" || { cat "$W/out"; fail "verify with the new auditor's identity"; }
ok "other auditors: both lineages passed on by the one before"
tpm2_clear
read_only "no NV index"
code=0; verify --tpm "$COFFER_TPM" > "$W/out" || code=$?
same "verdict" 13 $code
ok "indices removed, the TPM cleared: an alarm, and a way on"
