#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Somebody with the bucket's keys put objects between those of an archive, before and after them: frames that are whole and were
# never written, heads, an archive.conf. What was restored is what the archive signed. The bucket is s3-server.py's.
. "$(dirname "$0")/lib.sh"
command -v age-keygen > /dev/null || skip "age is not installed"

E2E=$(dirname "${BASH_SOURCE[0]}")
SECRET=hush/Thistle0123456789+abcdefghijklmnop
python3 "$E2E/s3-server.py" "$W/port" AKTEST "$SECRET" > "$W/log" 2>&1 &
child $!
await 20 "the scripted server" test -s "$W/port"
PORT=$(cat "$W/port") AT=http://127.0.0.1:$(cat "$W/port")
root() { python3 -c 'import sys, urllib.request
print(urllib.request.urlopen("http://127.0.0.1:%s/_do" % sys.argv[1], sys.stdin.read().encode()).read().decode())' "$PORT"; }
echo '{"do": "make", "bucket": "records"}' | root > /dev/null
(umask 077; printf '[default]\naws_access_key_id = AKTEST\naws_secret_access_key = %s\n' "$SECRET" > "$W/keys")

age-keygen -o "$W/officer" 2> /dev/null
make_store audit -- --recovery "$(age-keygen -y "$W/officer")" --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
coffer vault add "$STORE" far s3://records/far --endpoint "$AT" --credentials "$W/keys" > /dev/null
sync() { coffer sync "$STORE" far > "$W/out" 2>&1 || { cat "$W/out"; fail sync; }; }
fresh() { coffer restore s3://records/far "$1" --archive "$ID" --endpoint "$AT" --credentials "$W/keys" "${@:2}" > "$W/out" 2>&1; }
restored() { # restored NAME: all of it, as it is here
    rm -rf "${W:?}/$1"
    fresh "$1" "${@:2}" || { tail -n 20 "$W/out"; fail "restore: $1"; }
    cmp "$1/archive.conf" "$STORE/archive.conf" || fail "$1: archive.conf"
    cmp "$1/checkpoint" "$STORE/checkpoint" || fail "$1: the head"
    for s in "$1"/log/*.seg; do cmp -n "$(stat -c %s "$s")" "$s" "$STORE/log/$(basename "$s")" || fail "$1: $(basename "$s")"; done
    coffer verify "$1" > /dev/null || fail "$1 does not verify"
}
# add KEY < BODY in base64, with a time of its own
add() { python3 -c 'import json, sys; print(json.dumps({"do": "add", "bucket": "records", "time": sys.argv[1], "key": sys.argv[2], "body": sys.stdin.read()}))' "$1" "far/$ID/$2" | root > /dev/null; }
EARLY=2020-01-01T00:00:00.000Z LATE=2099-01-01T00:00:00.000Z
# forge WHEN HOW SEGMENT [FROM TO]
forge() {
    python3 "$E2E/s3-forge.py" "$STORE" "$ID" "${@:2}" > "$W/forged"
    json 'j["body"]' < "$W/forged" | add "$1" "$(json 'j["key"].split("/", 1)[1]' < "$W/forged")"
}

for i in 1 2 3 4 5; do
    mount_archive
    head -c 60000 /dev/urandom > "$MNT/audit/data$i"
    for n in 1 2 3 4 5 6 7 8; do echo "line $n" >> "$MNT/audit/log"; done
    umount_archive
    sync
done
restored "$W/honest"

say "frames that were never written"
forge $EARLY later 1
forge $EARLY version 2
forge $EARLY payload 3
restored "$W/early"
grep -q "are not those that the archive signed" "$W/out" || fail "where they left the archive is not said: $(cat "$W/out")"
grep -q "passed over" "$W/out" || fail "nothing was passed over: $(cat "$W/out")"
forge $LATE later 2
forge $EARLY longer 1
forge $EARLY later 0
restored "$W/more"
ok "segments"

say "a longer tail"
last=$(basename "$(ls "$W/honest"/log/*.seg | tail -n 1)" .seg)
end=$(stat -c %s "$W/honest/log/$last.seg")
forge $EARLY longer $((16#$last)) 0 "$end"
forge $EARLY later $((16#$last)) 0 "$end"
restored "$W/tail"
ok "pieces"

say "heads"
for i in $(seq 20); do
    echo "no head $i" > "$W/no"
    base64 -w0 < "$W/no" | add $LATE "head/$(printf '%016x-%016x' $((9000 + i)) 4096)-$(sha256sum < "$W/no" | cut -d' ' -f1)"
    # a head that the archive signed, with other ends, and with lines of somebody else
    base64 -w0 < "$STORE/checkpoint" | add $EARLY "head/$(printf '%016x-%016x' "$(sed -n 2p "$STORE/checkpoint")" $((16777216 + i * 4096)))-$(sha256sum < "$STORE/checkpoint" | cut -d' ' -f1)"
done
restored "$W/heads"
grep -q "and 4 more" "$W/out" || fail "each of them is told: $(cat "$W/out")"
ok "only those that are signed count"

say "archive.conf"
conf() { sed "$1" "$STORE/archive.conf" > "$W/conf"; base64 -w0 < "$W/conf" | add $EARLY "conf/$(sha256sum < "$W/conf" | cut -d' ' -f1)"; }
conf 's/^created = .*/created = 2001-01-01T00:00:00.000Z/'
restored "$W/created"
conf 's/^segment_size = .*/segment_size = 131072/'
restored "$W/size"
restored "$W/known" --log-vkey "$(sed -n 's/^vkey = //p' "$STORE/archive.conf")"
ok "the log's own first frame says which is right"

say "recovery envelopes"
envelope() { base64 -w0 < "$1" | add "$2" "recovery/$(sha256sum < "$1" | cut -d' ' -f1).age"; }
cmp "$W/known/seal/recovery.age" "$STORE/seal/recovery.age" || fail "the envelope"
echo "of before" > "$W/before"
envelope "$W/before" $EARLY
envelope "$W/before" $LATE # once more, which makes it no newer
restored "$W/again"
cmp "$W/again/seal/recovery.age" "$STORE/seal/recovery.age" || fail "an older envelope that was put there again is the newest"
echo "of somebody else" > "$W/foreign"
envelope "$W/foreign" $LATE
restored "$W/foreign-one"
grep -q "recovery/$(sha256sum < "$STORE/seal/recovery.age" | cut -d' ' -f1).age version .* put there at" "$W/out" || fail "the others are not named: $(cat "$W/out")"
ok "what was put there again is not newer; the others are named"

say "names of any length"
for kind in head segment zz; do echo "no object of ours" | base64 | add $LATE "$kind/$(printf 'x%.0s' $(seq 900))"; done
restored "$W/long"
sync
expect_code 3 coffer vault check "$STORE" far
grep -q "is not noted here" "$W/out" || fail "check: $(cat "$W/out")"
ok "names that are longer than ours are in nobody's way"

say "other bytes, under a name of ours and with its digest as metadata, while the note is lost"
name=$(awk '$1 == "o" && $2 == "s" && $4 == 0 {print $8, $6; exit}' "$STORE/vaults/far.objects")
python3 -c 'import base64, json, sys
sha, n = sys.argv[2].split()
print(json.dumps({"do": "add", "bucket": "records", "key": f"far/{sys.argv[1]}/segment/00000000-{sha}", "sha": sha, "body": base64.b64encode(b"x" * int(n)).decode()}))' "$ID" "$name" | root > /dev/null
rm "$STORE/vaults/far.objects"
sync
coffer vault check "$STORE" far --all > "$W/out" 2>&1 || true
if grep -q "has other bytes" "$W/out"; then fail "what somebody else says that it is was believed: $(cat "$W/out")"; fi
restored "$W/overlaid"
ok "what is there is told by its bytes"

say "heads that nobody signed, over one that is newer than this store"
cp -a "$STORE" "$W/older"
mount_archive; echo later >> "$MNT/audit/log"; umount_archive
sync
for i in $(seq 20); do
    echo "no head $i, again" > "$W/no"
    base64 -w0 < "$W/no" | add $LATE "head/$(printf '%016x-%016x' $((9000 + i)) 4096)-$(sha256sum < "$W/no" | cut -d' ' -f1)"
done
expect_code 3 coffer sync "$W/older" far
grep -q "older state" "$W/out" || fail "behind: $(cat "$W/out")"
python3 -c 'import json, sys, urllib.request
urllib.request.urlopen("http://127.0.0.1:%s/_plan" % sys.argv[1], json.dumps([{"match": "GET .*head/000000000000233c", "do": "400", "times": 1}]).encode())' "$PORT"
sync # one of them cannot be read
ok "they hide none"
