#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A copy in a bucket whose server fails, lies, or is attacked: a scripted server in memory (s3-server.py), which judges each
# signature by itself. The same against Ceph is s3.sh.
. "$(dirname "$0")/lib.sh"
command -v age-keygen > /dev/null || skip "age is not installed"

E2E=$(dirname "${BASH_SOURCE[0]}")
SECRET=hush/Thistle0123456789+abcdefghijklmnop
# serve NAME [CERT KEY]: sets PORT
serve() {
    python3 "$E2E/s3-server.py" "$W/$1.port" AKTEST "$SECRET" "${@:2}" > "$W/$1.log" 2>&1 &
    child $!
    await 20 "the scripted server" test -s "$W/$1.port"
    PORT=$(cat "$W/$1.port")
}
ask() { python3 -c 'import json, sys, urllib.request
print(urllib.request.urlopen("http://127.0.0.1:%s/%s" % (sys.argv[1], sys.argv[2]), sys.argv[3].encode()).read().decode())' "$PORT" "$1" "${2:-}"; }
plan() { ask _plan "$1" > /dev/null; }
root() { ask _do "$1"; }
requests() { ask _log; }

serve plain
root '{"do": "make", "bucket": "records"}' > /dev/null
AT="http://127.0.0.1:$PORT"
(umask 077; printf '[default]\naws_access_key_id = AKTEST\naws_secret_access_key = %s\n' "$SECRET" > "$W/keys")
age-keygen -o "$W/officer" 2> /dev/null
make_store audit -- --recovery "$(age-keygen -y "$W/officer")" --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
add() { coffer vault add "$STORE" far s3://records/far --endpoint "$AT" --credentials "$W/keys" "$@"; }
sync() { coffer sync "$STORE" far; }
fresh() { coffer restore s3://records/far "$1" --archive "$ID" --endpoint "$AT" --credentials "$W/keys" "${@:2}"; }
same_log() { # same_log STORE: what is there is of the archive, byte for byte
    local s
    for s in "$1"/log/*.seg; do cmp -n "$(stat -c %s "$s")" "$s" "$STORE/log/$(basename "$s")" || fail "$(basename "$s") differs"; done
}

# ---- what is refused before anything is put there ----
expect_fail "--endpoint" coffer vault add "$STORE" far s3://records
expect_fail "names no bucket" coffer vault add "$STORE" far s3://X --endpoint "$AT"
expect_fail "plain HTTP" coffer vault add "$STORE" far s3://records --endpoint http://s3.example --credentials "$W/keys"
expect_fail "no credentials" env -u AWS_ACCESS_KEY_ID -u AWS_SECRET_ACCESS_KEY coffer vault add "$STORE" far s3://records --endpoint "$AT"
cp "$W/keys" "$W/open" && chmod 644 "$W/open"
expect_fail "chmod 600" coffer vault add "$STORE" far s3://records --endpoint "$AT" --credentials "$W/open"
expect_fail "secret key does not belong" env AWS_ACCESS_KEY_ID=AKTEST AWS_SECRET_ACCESS_KEY=wrong coffer vault add "$STORE" far s3://records --endpoint "$AT"
expect_fail "does not know the access key" env AWS_ACCESS_KEY_ID=AKOTHER AWS_SECRET_ACCESS_KEY=x coffer vault add "$STORE" far s3://records --endpoint "$AT"
expect_fail "no such bucket" coffer vault add "$STORE" far s3://nothing --endpoint "$AT" --credentials "$W/keys"
expect_fail "LAT,LON,NAME" add --place Kaohsiung
plan '[{"match": "PUT .*probe", "do": "drop-lock", "times": 1}]'
expect_fail "made with Object Lock" add
plan '[{"match": "PUT .*probe.*retention", "do": "let-shorten", "times": 1}]'
expect_fail "nothing in records is safe" add
plan '[{"match": "DELETE .*probe", "do": "let-delete", "times": 1}]'
expect_fail "nothing in records is safe" add
plan '[{"match": "probe", "do": "redirect", "times": 1}]'
expect_fail "another endpoint" add
[ ! -e "$STORE/vaults/far.bucket" ] || fail "a bucket that was refused is noted"
add --place 22.62,120.30,Kaohsiung --jurisdiction TW --part 5M > "$W/out"
grep -q "lock=kept versions=kept condition=kept checksum=kept md5=kept" "$W/out" || fail "add: $(cat "$W/out")"
expect_fail "in a bucket" coffer vault add "$STORE" far "dir:$W/none"
ok "a bucket is tried before it is trusted"

# ---- faults that pass, and a whole sync through them ----
mount_archive
head -c 300000 /dev/urandom > "$MNT/audit/data"
for i in $(seq 100); do echo "line $i"; done > "$MNT/audit/log"
coffer commit "$MNT/audit/data" > /dev/null
umount_archive
plan '[{"match": "PUT .*segment/00000000", "do": "500", "times": 2}, {"match": "PUT .*segment/00000001", "do": "cut-in", "times": 1},
    {"match": "PUT .*segment/00000002", "do": "503", "times": 1}, {"match": "PUT .*segment/00000003", "do": "lost", "times": 1},
    {"match": "HEAD .*segment/00000000", "do": "cut", "times": 1}, {"match": "PUT .*head", "do": "cut", "times": 1}]'
sync > "$W/out" 2>&1 || { cat "$W/out"; fail "sync through faults that pass"; }
same "faults left" 0 "$(ask _plan '[]' | json 'sum(f["times"] for f in j["left"])')"
root '{"do": "keys", "bucket": "records"}' | json '[len(v) for k, v in j.items() if "probe" not in k and len(v) != 1] and sys.exit("put twice") or ""' > /dev/null
coffer vault check "$STORE" far --all > "$W/out" || { cat "$W/out"; fail "check"; }
fresh "$W/back" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore"; }
coffer verify "$W/back" > /dev/null || fail "what was restored does not verify"
same_log "$W/back"
requests > /dev/null
sync | grep -q "has all" || fail "a second sync found something missing"
same "requests of a sync that has nothing to do" 1 "$(requests | json 'len(j)')"
expect_fail "at work on the copy far" flock "$STORE/vaults/far.bucket" coffer sync "$STORE" far
expect_fail "at work on the copy far" flock "$STORE/vaults/far.bucket" coffer vault check "$STORE" far
ok "cut, 500, 503, an answer that is lost: all of it arrives, once"

# ---- lies, each refused with a sentence ----
mount_archive
await 10 "what happened with the bucket on record" sh -c "coffer events '$STORE' --type vault-checked | grep -q far"
coffer events "$STORE" --json > "$W/events"
same "what is on record of it" "[('vault-bucket', 'far', 'TW', None), ('vault-transfer', 'far', 'TW', 0), ('vault-checked', 'far', 'TW', None)]" \
    "$(jsonl '[(e["event"], e["name"], e["jurisdiction"], e.get("from")) for e in j if e["event"].startswith("vault-")]' < "$W/events")"
jsonl '[e for e in j if e["event"] == "vault-bucket" and "lock=kept" in e["detail"]][0] and [e for e in j if e["event"] == "vault-transfer" and e["bytes"] > 300000 and e["outcome"] == "success"][0]' < "$W/events" > /dev/null || fail "what the records say"
echo "a line more" >> "$MNT/audit/log"
umount_archive
lie() { # lie FAULTS TEXT: a sync that has to fail; what it left there goes, for the next
    plan "$1"
    expect_fail "$2" sync
    root '{"do": "rm", "bucket": "records", "key": "piece/", "last": true}' > /dev/null
}
pieces=$(root '{"do": "keys", "bucket": "records"}' | json 'len([k for k in j if "/piece/" in k])')
lie '[{"match": "GET .*versions", "do": "noise", "times": 1}, {"match": "PUT .*piece", "do": "403", "times": 9}]' "a list that is none"
same "nothing was sent" "$((pieces - 1))" "$(root '{"do": "keys", "bucket": "records"}' | json 'len([k for k in j if "/piece/" in k])')"
coffer vault check "$STORE" far > /dev/null && fail "the piece that went is not missed"
plan '[]'
sync > /dev/null
mount_archive
echo "a line more" >> "$MNT/audit/log"
umount_archive
plan '[{"match": "GET .*versions", "do": "bomb", "times": 1}]'
expect_fail "a list that is none" sync
plan '[{"match": "GET .*versions", "do": "endless", "times": 1}]'
expect_fail "that is no answer" sync
plan '[{"match": "PUT .*piece", "do": "403", "times": 1}]'
expect_fail "may not do that" sync
lie '[{"match": "PUT .*piece", "do": "wrong-etag", "times": 1}]' "other bytes than were sent"
lie '[{"match": "PUT .*piece", "do": "drop-lock", "times": 1}, {"match": "PUT .*retention", "do": "drop-lock", "times": 9}]' "can be deleted"
lie '[{"match": "HEAD .*piece", "do": "hide-lock", "times": 9}]' "can be deleted"
lie '[{"match": "HEAD .*piece", "do": "other-sha", "times": 9}]' "digest another"
plan '[{"match": "PUT .*piece", "do": "truncate", "times": 1}]'
expect_fail "shows something else" sync
plan '[]'
sync > "$W/out" 2>&1 || { cat "$W/out"; fail "sync after the lies"; }
coffer vault check "$STORE" far > "$W/out" 2>&1 && fail "check does not see the version that was cut short"
grep -q "is not noted here" "$W/out" || fail "check: $(cat "$W/out")"
ok "a server that lies about what it took"

# ---- a bucket that takes no more: what is there is still kept ----
mount_archive
coffer hold begin --case 2026-7 "$MNT/audit/log" > "$W/out" 2>&1 || { cat "$W/out"; fail "hold begin"; }
umount_archive
before=$(requests | grep -c 'PUT .*legal-hold' || true)
plan '[{"match": "PUT .*piece", "do": "403", "times": 1}]'
expect_fail "may not do that" sync
[ "$(requests | grep -c 'PUT .*legal-hold')" -gt "$before" ] || fail "no hold was set, since nothing could be sent: $(requests | tail -n 5)"
plan '[]'
sync > "$W/out" 2>&1 || { cat "$W/out"; fail "sync once it takes more"; }

# ---- the server's root, and whoever has its keys ----
segment=$(root '{"do": "keys", "bucket": "records"}' | json '[k for k in j if "/segment/" in k][0]')
finds() { # finds TEXT
    expect_code 3 coffer vault check "$STORE" far --all
    grep -q -- "$1" "$W/out" || { cat "$W/out"; fail "check does not tell: $1"; }
}
root "{\"do\": \"rm\", \"bucket\": \"records\", \"key\": \"$segment\"}" > /dev/null
finds "$segment is gone, though it was locked until"
coffer status "$STORE" | grep -q "found .* wrong" || fail "status: $(coffer status "$STORE")"
sync > /dev/null
root '{"do": "keys", "bucket": "records"}' | grep -q "$segment" || fail "what was gone was not put there again"
root "{\"do\": \"unlock\", \"bucket\": \"records\", \"key\": \"$segment\"}" > /dev/null
coffer vault check "$STORE" far > /dev/null && fail "the lock that went is not missed" # and is to be said again
root '{"do": "rm", "bucket": "records", "key": "/head/", "last": true}' > /dev/null
before=$(requests | grep -c 'PUT .*retention' || true)
expect_fail "is no longer there" sync # which has nothing to send, and asks all the same
[ "$(requests | grep -c 'PUT .*retention')" -gt "$before" ] || fail "without its head nothing else is kept: $(requests | tail -n 5)"
expect_code 3 coffer vault check "$STORE" far
sync > /dev/null || fail "a head that went is not put there again"
sync > /dev/null || fail "nothing to send, and its head is there"
# what nothing needs any more may go once its lock is over, and not before
older() { awk '$1 == "o" && $2 ~ /[hp]/ && $3 == 1 {print $8; exit}' "$STORE/vaults/far.objects" | grep .; }
gone=$(older)
root "{\"do\": \"rm\", \"bucket\": \"records\", \"key\": \"$gone\"}" > /dev/null
finds "$gone is gone, though it was locked until"
gone=$(older)
awk -v gone="$gone" '$8 == gone {$10 = "1000000000000000000"} {print}' "$STORE/vaults/far.objects" > "$W/objects"
cp "$W/objects" "$STORE/vaults/far.objects"
root "{\"do\": \"rm\", \"bucket\": \"records\", \"key\": \"$gone\"}" > /dev/null
coffer vault check "$STORE" far > "$W/out" 2>&1 || true
grep -q "versions" "$W/out" || fail "check: $(cat "$W/out")"
if grep -q "$gone" "$W/out"; then fail "what a rule of the bucket removed is told: $(cat "$W/out")"; fi
if grep -q "$gone" "$STORE/vaults/far.objects"; then fail "what went is still noted"; fi
root "{\"do\": \"unlock\", \"bucket\": \"records\", \"key\": \"$segment\"}" > /dev/null
finds "the lock of $segment until .* is gone"
sync | grep -q "1 lock made longer" || fail "the lock was not said again"
root "{\"do\": \"mark\", \"bucket\": \"records\", \"key\": \"$segment\"}" > /dev/null
finds "a delete marker lies over $segment"
root "{\"do\": \"over\", \"bucket\": \"records\", \"key\": \"$segment\"}" > /dev/null
finds "of $segment is not noted here"
fresh "$W/over" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore under a delete marker and a version of somebody else"; }
grep -q "delete marker" "$W/out" || fail "restore does not tell of the marker"
same_log "$W/over"
# where the log's own bytes changed, as a destruction changes them, the bucket is not accused
cp -a "$STORE" "$W/changed"
flip "$W/changed/log/00000001.seg" 20000
coffer vault check "$W/changed" far --all > "$W/out" 2>&1 || true
grep -q "has other bytes" "$W/out" && fail "the bucket is accused of what the log lost: $(cat "$W/out")"
root '{"do": "tamper", "bucket": "records", "key": "segment/00000001"}' > /dev/null
finds "has other bytes than the log"
expect_fail "is not what its name says" fresh "$W/tampered"
[ ! -e "$W/tampered/checkpoint" ] || fail "a restore that failed has a head"
ok "gone, unlocked, covered, overlaid, altered: each is told"

# ---- a key of somebody else, an old state, a fork, a note that is lost ----
root "{\"do\": \"rm\", \"bucket\": \"records\", \"key\": \"segment/00000001\"}" > /dev/null
expect_code 3 coffer vault check "$STORE" far
sync > /dev/null
coffer init "$W/foreign" --new-key-file "$W/foreignkey" --shelf audit > /dev/null
sed "s/^id = .*/id = $ID/" "$W/foreign/archive.conf" > "$W/forged.conf"
forged=$(sha256sum < "$W/forged.conf" | cut -d' ' -f1)
root "{\"do\": \"add\", \"bucket\": \"records\", \"key\": \"far/$ID/conf/$forged\", \"body\": \"$(base64 -w0 "$W/forged.conf")\"}" > /dev/null
expect_fail "two keys" fresh "$W/twokeys"
fresh "$W/known" --log-vkey "$(sed -n 's/^vkey = //p' "$STORE/archive.conf")" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore with the key that is known"; }
same_log "$W/known"
expect_fail "not signed by this archive" fresh "$W/wrongkey" --log-vkey "$(sed -n 's/^vkey = //p' "$W/foreign/archive.conf")"
before=$(root '{"do": "keys", "bucket": "records"}' | json 'sum(len(v) for k, v in j.items())')
cp -a "$STORE" "$W/older"
cp -a "$STORE" "$W/twin" # which nobody tells that it is behind
rm "$STORE/vaults/far.objects"
sync > "$W/out" 2>&1 || { cat "$W/out"; fail "sync without its note"; }
# the tail as one piece, and the segment that somebody lay another version over
same "versions after a note was lost" "$((before + 2))" "$(root '{"do": "keys", "bucket": "records"}' | json 'sum(len(v) for k, v in j.items())')"
mount_archive; echo newer >> "$MNT/audit/log"; umount_archive
sync > /dev/null
expect_code 3 coffer sync "$W/older" far
grep -q "older state" "$W/out" || fail "behind: $(cat "$W/out")"
grep -q "nothing more is written" "$W/out" && [ -e "$W/older/vaults/far.newer" ] || fail "it is written to: $(cat "$W/out")"
(STORE=$W/older; mount_archive; expect_fail EROFS touch "$MNT/audit/more"; umount_archive)
(STORE=$W/twin; mount_archive; for i in 1 2 3 4 5 6 7 8 9; do echo "another history $i" >> "$MNT/audit/log"; done; umount_archive)
expect_code 4 coffer sync "$W/twin" far
grep -q "two histories" "$W/out" || fail "fork: $(cat "$W/out")"
ok "another key, an old state, a fork, a lost note"

# ---- the way back is cut, and goes on; where it may not be read other ways are tried, and it comes back once it may ----
LOG_VKEY=$(sed -n 's/^vkey = //p' "$STORE/archive.conf")
plan '[{"match": "GET [^?]*segment/00000002", "do": "cut-out", "times": 1}, {"match": "GET [^?]*(segment/00000003|piece)", "do": "403", "times": 99}]'
expect_fail "may not do that" fresh "$W/denied" --log-vkey "$LOG_VKEY"
plan '[{"match": "GET [^?]*segment/00000002", "do": "cut-out", "times": 1}, {"match": "GET [^?]*segment/00000003", "do": "501", "times": 1}]'
expect_fail "does not know this part of S3" fresh "$W/cut" --log-vkey "$LOG_VKEY"
plan '[{"match": "GET [^?]*segment/00000004", "do": "more", "times": 1}]'
expect_fail "" fresh "$W/none" --log-vkey "$(sed -n 's/^vkey = //p' "$W/foreign/archive.conf")"
requests > /dev/null
plan '[]'
fresh "$W/cut" --log-vkey "$LOG_VKEY" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore that goes on"; }
requests | json '[r for r in j if "GET" in r and ("segment/00000000" in r or "segment/00000001" in r)] and sys.exit("read again: what was there") or [r for r in j if "GET" in r and "segment/00000003" in r][0]' > /dev/null
fresh "$W/denied" --log-vkey "$LOG_VKEY" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore once all may be read"; }
for back in cut denied; do
    coffer verify "$W/$back" > /dev/null || fail "what was restored in two runs does not verify"
    same_log "$W/$back"
done
ok "a restore that was cut goes on"

# ---- long objects in parts ----
(STORE=$W/big KEY=$W/bigkey AUDITOR=$W/bigauditor
    make_store audit -- --segment-size 16M
    mount_archive; head -c 20000000 /dev/urandom > "$MNT/audit/data"; umount_archive
    coffer vault add "$STORE" far s3://records/big --endpoint "$AT" --credentials "$W/keys" --part 5M > /dev/null
    plan '[{"match": "PUT .*segment/00000000.*partNumber=3", "do": "403", "times": 1}]'
    expect_fail "may not do that" coffer sync "$STORE"
    plan '[]'
    requests > /dev/null
    python3 -c 'import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
assert kib < 128 << 10, f"{kib} KiB of memory"' coffer sync "$STORE" > "$W/out" 2>&1 || { cat "$W/out"; fail "sync in parts"; }
    requests | json '[r for r in j if "partNumber=1&" in r and "segment/00000000" in r] and sys.exit("a part was sent again") or ""' > /dev/null
    root '{"do": "keys", "bucket": "records"}' | json '[v for k, v in j.items() if "big" in k and "segment" in k and not (v[0]["etag"].endswith("-4") and v[0]["until"])] and sys.exit("parts or lock") or ""' > /dev/null
    plan '[{"match": "PUT .*partNumber=2", "do": "wrong-etag", "times": 1}]'
    coffer vault check "$STORE" far --all > "$W/out" || { cat "$W/out"; fail "check of parts"; })
ok "parts go on where they were cut; the lock that a default replaced is said again"

# ---- TLS that is always judged ----
openssl req -x509 -newkey rsa:2048 -nodes -keyout "$W/tls.key" -out "$W/tls.crt" -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost 2> /dev/null
serve tls "$W/tls.crt" "$W/tls.key"
tls() { coffer vault add "$W/foreign" tls s3://records --endpoint "https://$1:$PORT" --credentials "$W/keys" "${@:2}"; }
expect_fail "certificate is not accepted" tls localhost
expect_fail "certificate is not accepted" tls 127.0.0.1 --ca "$W/tls.crt"
expect_fail "no such bucket" tls localhost --ca "$W/tls.crt" # it was talked to
ok "a certificate that nobody vouches for is refused"

if grep -rqF "$SECRET" "$STORE" "$W/big" "$W/older" "$W/out"; then fail "the secret key lies somewhere"; fi
