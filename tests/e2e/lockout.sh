#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Three wrong passphrases in a row lock the archive, by whichever road they come and over restarts; who kills the program before it
# judged has used up a try; coffer unlock lifts the lock for who may; all of it is on record with the next mount. So are changes
# of openers, which happen while nobody has the archive mounted. About 15 s.
. "$(dirname "$0")/lib.sh"

command -v age-keygen > /dev/null || skip "age is not installed"

printf 'right one' > "$W/right"
printf 'wrong one' > "$W/wrong"
(umask 077; head -c 32 /dev/urandom > "$KEY")
age-keygen -o "$W/identity" 2> /dev/null
age-keygen -o "$W/other" 2> /dev/null
coffer init "$STORE" --shelf audit --passphrase-fd 3 --recovery "$(age-keygen -y "$W/identity")" 3< "$W/right" > /dev/null
coffer seal add "$STORE" --new file --new-key-file "$W/key2" --passphrase-fd 3 3< "$W/right" > /dev/null
[ ! -e "$STORE/seal/attempts" ] || fail "a right passphrase leaves a count"

second_reader_json() { python3 "$TOP/tests/second_reader.py" "$STORE" --key-file "$W/key2" --json; }
lockout() { coffer status "$STORE" --json | json "j['lockout']$1"; }
# moved TAG SECONDS: when it was locked (field 2) is set back, as if so much time had passed.
waited() {
    python3 - "$STORE/seal/attempts" "$1" <<'PY'
import hashlib, struct, sys
raw = bytearray(open(sys.argv[1], "rb").read()[:-32])
at = 32
while raw[at] != 2:
    at += 3 + struct.unpack_from("<H", raw, at + 1)[0]
when = struct.unpack_from("<q", raw, at + 3)[0] - int(sys.argv[2]) * 10 ** 9
struct.pack_into("<q", raw, at + 3, when)
open(sys.argv[1], "wb").write(raw + hashlib.sha256(raw).digest())
PY
}

# ---- counting ----
expect_fail "after 2 more wrong ones" mount.coffer "$STORE" "$MNT" -o passfd=3 3< "$W/wrong"
expect_fail "after 1 more wrong one in" coffer log "$STORE" --passphrase-fd 3 3< "$W/wrong"
same "counted" 2 "$(lockout "['failures']")"
coffer log "$STORE" --passphrase-fd 3 3< "$W/right" > /dev/null
same "the right one ends the row" 0 "$(lockout "['failures']")"
expect_fail "wrong key file" coffer log "$STORE" --key-file "$KEY"
expect_fail "is no regular file" coffer log "$STORE" --key-file /dev/null
expect_fail "passphrase has 1 to" coffer log "$STORE" --passphrase-fd 3 3< /dev/null
same "what nobody guessed" 0 "$(lockout "['failures']")"
ok "counted by each road, and only what was guessed"

expect_fail "after 2 more" coffer shelf list "$STORE" --passphrase-fd 3 3< "$W/wrong"
coffer seal renew "$STORE" --passphrase-fd 3 3< "$W/right" > /dev/null 2>&1 &
tries=$!
is_trying() { python3 -c 'import sys; d = open(sys.argv[1], "rb").read(); sys.exit(b"\x04\x2e\x00\x01" not in d)' "$STORE/seal/attempts"; }
await 20 "a try to be noted" is_trying
kill -9 $tries
wait $tries 2> /dev/null || true
expect_fail "locked for passphrases and PINs now" mount.coffer "$STORE" "$MNT" -o passfd=3 3< "$W/wrong"
ok "killed before it was judged: a try used up"

# ---- locked ----
began=$(date +%s%N)
expect_fail "coffer unlock $STORE" mount.coffer "$STORE" "$MNT" -o passfd=3 3< "$W/right"
expect_fail "is locked for passphrases" coffer log "$STORE" --passphrase-fd 3 3< "$W/right"
expect_fail "with the right one in 15 minutes" coffer unlock "$STORE" --passphrase-fd 3 3< "$W/right"
same "locked" True "$(lockout "['locked']")"
coffer status "$STORE" | grep -q "^Lockout .*locked" || fail "status does not say it"
coffer seal show "$STORE" | grep -q "^Lockout: locked" || fail "seal show does not say it"
coffer log "$STORE" --key-file "$W/key2" > /dev/null # no lock keeps a key file out, and it lifts none
same "still locked" True "$(lockout "['locked']")"
expect_fail "wrong key file" coffer unlock "$STORE" --key-file "$KEY"
expect_fail "not sealed to this identity" coffer unlock "$STORE" --identity "$W/other"
cp -a "$STORE" "$W/copy"
coffer unlock "$W/copy" --identity "$W/identity" | grep -q "is unlocked" || fail "an identity of the envelope does not unlock"
coffer log "$W/copy" --passphrase-fd 3 3< "$W/right" > /dev/null
same "what the second reader sees" "[True, 3, 'opener-added']" \
    "$(second_reader_json | json '[j["locked"] > 0, j["failures"], j["pending"][-1]["event"]]')"
ok "locked"

# ---- the wait, and a wrong one after it ----
waited 900
expect_fail "locked for passphrases and PINs now" coffer unlock "$STORE" --passphrase-fd 3 3< "$W/wrong"
expect_fail "with the right one in 30 minutes" coffer unlock "$STORE" --passphrase-fd 3 3< "$W/right"
waited 1800
expect_fail "is locked" mount.coffer "$STORE" "$MNT" -o passfd=3 3< "$W/right" # only coffer unlock after the wait
coffer unlock "$STORE" --passphrase-fd 3 3< "$W/right" | grep -q "is unlocked" || fail "not unlocked"
coffer unlock "$STORE" --key-file "$W/key2" | grep -q "is not locked" || fail "unlocked twice"
same "unlocked" False "$(lockout "['locked']")"
coffer seal remove "$STORE" passphrase-1 --key-file "$W/key2" > /dev/null
coffer seal renew "$STORE" --key-file "$W/key2" > /dev/null
ok "unlocked after the wait, which doubled"

# ---- on record ----
mount.coffer "$STORE" "$MNT" -o "keyfile=$W/key2"
umount_archive
events() { coffer log "$STORE" --key-file "$W/key2" --events --json | grep -Ev '"event":"(policies|key-loaded)"'; }
events > "$W/events"
same "events" "['opener-failed', 'opener-failed', 'opener-failed', 'opener-failed', 'locked', 'opener-refused', 'opener-refused', 'opener-failed', 'locked', 'opener-refused', 'opener-refused', 'unlocked', 'opener-added', 'opener-removed', 'seal-renewed']" \
    "$(jsonl '[e["event"] for e in j]' < "$W/events")"
same "wrong ones" "['wrong', 'wrong', 'ended before it was judged', 'wrong', 'wrong']" \
    "$(jsonl '[e["reason"] for e in j if e["event"] == "opener-failed"]' < "$W/events")"
jsonl '[e["detail"] for e in j]' < "$W/events" | grep -q "passphrase, by uid 0.* coffer" || fail "by whom: $(cat "$W/events")"
jsonl '[e["detail"] for e in j]' < "$W/events" | grep -q "file-1, by uid 0" || fail "which opener: $(cat "$W/events")"
[ ! -e "$STORE/seal/attempts" ] || fail "what is on record is still noted"
mount.coffer "$STORE" "$MNT" -o "keyfile=$W/key2"
umount_archive
same "once" "$(wc -l < "$W/events")" "$(events | wc -l)"
same "what the second reader sees" "$(jsonl '[[e[k] for k in ("event", "detail") if k in e] for e in j]' < "$W/events")" \
    "$(second_reader_json | json '[[e[k] for k in ("event", "detail") if k in e] for e in j["opener_events"]]')"
same "nothing pending" "[]" "$(second_reader_json | json 'j["pending"]')"
expect_code 0 coffer verify "$STORE"
ok "on record, once"
