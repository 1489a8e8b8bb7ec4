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

# ---- the door itself attacked, on copies of the locked store ----
copy() { rm -rf "$W/door"; cp -a "$STORE" "$W/door"; }
right_is_out() { expect_fail "$1" coffer log "$W/door" --passphrase-fd 3 3< "$W/right"; }
copy # what a link leads to is neither believed nor written
coffer status "$W/door" --json > /dev/null
mv "$W/door/seal/attempts" "$W/elsewhere"
printf 'not of this archive' > "$W/victim"
ln -s "$W/victim" "$W/door/seal/attempts"
right_is_out "seal/attempts cannot be read: Too many levels of symbolic links"
same "what it led to" "not of this archive" "$(cat "$W/victim")"
copy
mv "$W/door/seal" "$W/away"
ln -s "$W/away" "$W/door/seal"
before=$(sha256sum < "$W/away/attempts")
if coffer log "$W/door" --passphrase-fd 3 3< "$W/right" > "$W/out" 2>&1; then fail "seal/ behind a link was believed"; fi
same "seal/ behind a link" "$before" "$(sha256sum < "$W/away/attempts")"
rm -rf "$W/away"
copy # a hard link or a copy made of it does not follow what is counted, and gives nothing by being there
ln "$W/door/seal/attempts" "$W/linked"
cp --reflink=auto "$W/door/seal/attempts" "$W/reflinked"
before=$(sha256sum < "$W/linked")
right_is_out "is locked for passphrases"
same "the hard link's content" "$before" "$(sha256sum < "$W/linked")"
[ "$before" != "$(sha256sum < "$W/door/seal/attempts")" ] || fail "the try is not noted beside the link"
rm "$W/linked"
cp -a "$W/reflinked" "$W/door/seal/attempts" # put back: what was counted since is gone, the lock is not
right_is_out "is locked for passphrases"
python3 -c 'import sys; p = sys.argv[1]; b = bytearray(open(p, "rb").read()); b[40] ^= 1; open(p, "wb").write(b)' "$W/door/seal/attempts"
coffer log "$W/door" --passphrase-fd 3 3< "$W/right" > /dev/null || fail "a damaged count locks"
rm -rf "$W/door" "$W/reflinked" "$W/elsewhere"
# who has no rights on the store counts nothing, locks nothing
copy
coffer unlock "$W/door" --key-file "$W/key2" > /dev/null
before=$(find "$W/door" -printf '%p %m %u %T@\n' | sort | sha256sum)
chmod 755 "$W"
chmod 644 "$W/wrong"
for _ in 1 2 3 4; do
    expect_fail "Permission denied" as_user "$BUILD/tools/coffer" log "$W/door" --passphrase-fd 3 3< "$W/wrong"
done
same "by who has no rights" "$before" "$(find "$W/door" -printf '%p %m %u %T@\n' | sort | sha256sum)"
coffer log "$W/door" --passphrase-fd 3 3< "$W/right" > /dev/null || fail "somebody without rights locked it"
rm -rf "$W/door"
ok "the door attacked"

# ---- the wait, and a wrong one after it ----
waited 900
expect_fail "locked for passphrases and PINs now" coffer unlock "$STORE" --passphrase-fd 3 3< "$W/wrong"
expect_fail "with the right one in 30 minutes" coffer unlock "$STORE" --passphrase-fd 3 3< "$W/right"
waited 1800
expect_fail "is locked" mount.coffer "$STORE" "$MNT" -o passfd=3 3< "$W/right" # only coffer unlock after the wait
coffer unlock "$STORE" --passphrase-fd 3 3< "$W/right" | grep -q "is unlocked" || fail "not unlocked"
coffer unlock "$STORE" --key-file "$W/key2" | grep -q "is not locked" || fail "unlocked twice"
same "unlocked" False "$(lockout "['locked']")"
cp -a "$STORE" "$W/before"
coffer seal remove "$STORE" passphrase-1 --key-file "$W/key2" > /dev/null
coffer seal renew "$STORE" --key-file "$W/key2" > /dev/null
expect_fail "" coffer log "$STORE" --passphrase-fd 3 3< "$W/right"
# what was copied before is dead to no renewal, as SECURITY.md says of these openers
coffer log "$W/before" --passphrase-fd 3 3< "$W/right" > /dev/null || fail "a copy from before does not open by its passphrase"
coffer log "$W/before" --key-file "$W/key2" > /dev/null || fail "a copy from before does not open by its key file"
rm -rf "$W/before"
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
