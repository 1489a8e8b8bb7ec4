#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Destruction as its users walk it: asked for, approved by the auditor and an officer, and then gone: names and history stay, the
# content gives ENODATA, its bytes in the log are zeros, both key trees lead nowhere, and the chain verifies. What nobody
# permitted is tampering.
. "$(dirname "$0")/lib.sh"

command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
attr() { getfattr --only-values --absolute-names -n "user.coffer.$2" "$1" 2> /dev/null || true; }
pub() { cut -d' ' -f1,2 "$W/k/$1.pub"; }
sign() { ssh-keygen -q -Y sign -n "$2" -f "$W/k/$1" < "$3" > "$3.$1" 2> /dev/null; }
request() { # request ACTION WORD …: submitted; $R is the document
    rm -f "$W"/r/*
    coffer request "$1" "$STORE" "${@:2}" --as alice -o "$W/r" "${OPEN[@]}" > "$W/out" 2>&1 || return 1
    R=$(echo "$W"/r/*.request)
    sign alice coffer-request "$R"
    coffer request submit "$STORE" "$R" --signature "$R.alice" "${OPEN[@]}" > "$W/out" 2>&1
}
approve() { sign "$1" coffer-approve "$R" && coffer approve "$STORE" "$R" --signature "$R.$1" "${OPEN[@]}" > "$W/out" 2>&1; }
done_by() { approve "$1" || fail "$(cat "$W/out")"; grep -q ' done' "$W/out" || fail "it was not done: $(cat "$W/out")"; }
refuses() { # refuses TEXT ACTION WORD …
    request "${@:2}" && fail "this was taken: ${*:2}"
    grep -q "$1" "$W/out" || fail "expected \"$1\": $(cat "$W/out")"
}
OPEN=(--key-file "$KEY")

mkdir "$W/k" "$W/r"
for name in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$W/k/$name"; done
{ echo "alice $(pub alice) roles=officer"; echo "bob $(pub bob) roles=officer"; echo "carol $(pub carol) roles=auditor"; } > "$W/people"
printf 'retention = 0s\n' > "$W/short"
printf 'retention = 1y\n' > "$W/long"
make_store "short:$W/short" "long:$W/long" plain
coffer people set "$STORE" "$W/people" -o "$W/r" "${OPEN[@]}" > "$W/out"
R=$(echo "$W"/r/*.request)
sign alice coffer-people "$R"
sign bob coffer-people "$R"
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" "${OPEN[@]}" > "$W/out"
mount_archive
OPEN=()
head -c 300000 /dev/urandom > "$W/secret"
for f in one two three four held; do cp "$W/secret" "$MNT/short/$f"; chmod a-w "$MNT/short/$f"; done
cp "$W/secret" "$MNT/long/kept"; chmod a-w "$MNT/long/kept"
cp "$W/secret" "$MNT/plain/ever"; chmod a-w "$MNT/plain/ever"
echo open > "$MNT/short/open"
same "the state" expired "$(attr "$MNT/short/one" state)"

say "what may not be destroyed is refused, with the reason"
refuses "not over" destroy long/kept
refuses "not over" destroy plain/ever
refuses "is open" destroy short/open
coffer destroy plan "$STORE" short/open --json > "$W/plan" || fail "plan"
same "an open file" "[(False, 'not-committed')]" "$(json '[(f["allowed"], f["rule"]) for f in j["files"]]' < "$W/plan")"
coffer hold begin --case 7 "$MNT/short/held" > /dev/null
refuses "legal hold" destroy short/held
coffer explain destroy "$MNT/short/one" > "$W/out" || true
grep -q "coffer request destroy" "$W/out" || fail "explain: $(cat "$W/out")"

say "nobody alone, and not without the auditor"
cp "$STORE/checkpoint" "$W/old"
cat "$MNT/short/one" | cmp - "$W/secret"
coffer evidence make "$STORE" short/one --to court --basis 'order 3' --out "$W/one.tar" > /dev/null 2>&1 || fail "evidence"
request destroy short/one || fail "$(cat "$W/out")"
approve bob || fail "$(cat "$W/out")"
cmp "$MNT/short/one" "$W/secret" || fail "destroyed without the auditor"
done_by carol
ls "$MNT/short/one" > /dev/null || fail "its name is gone"
expect_fail ENODATA cat "$MNT/short/one"
same "its state" destroyed "$(attr "$MNT/short/one" state)"
expect_fail "its content was destroyed" coffer evidence make "$STORE" short/one --to court --basis x --out "$W/no.tar"
coffer evidence make "$STORE" short --to court --basis x --out "$W/rest.tar" > /dev/null 2>&1 || fail "evidence of what is left"
[ "$(tar tf "$W/rest.tar" | grep -c file.json)" = 5 ] || fail "other files than those that are left: $(tar tf "$W/rest.tar")"
id=$(coffer requests "$STORE" --json | jsonl '[q["id"] for q in j if q["action"] == "destroy" and q["state"] == "done"][-1]')
coffer destroy certificate "$STORE" "$id" --no-record --json > "$W/certificate" || fail "certificate"
same "who was given it" "[('UNKNOWN', True)]" "$(json '[(c["verdict"], c["open"]) for c in j["copies"] if c["kind"] == "evidence" and c["name"].endswith("to court")]' < "$W/certificate")"
same "its history" 300000 "$(stat -c %s "$MNT/short/one")"
for f in two three four held; do cmp "$MNT/short/$f" "$W/secret" || fail "$f is not what it was"; done
refuses "gone already" destroy short/one
verify_intact
read -r frames bytes < <(coffer log "$STORE" --json | jsonl '[(f["destroyed_frames"], f["destroyed_bytes"]) for f in j if f["type"] == "destroy"][0]' | tr -d '(),')
[ "$bytes" -gt 300000 ] || fail "$frames frames with $bytes bytes: less than the file had"

say "a file that was removed before; several at once; the rest reads"
ino=$(stat -c %i "$MNT/short/two")
request remove short/two || fail "$(cat "$W/out")"
done_by carol
mkdir "$W/late"
coffer request destroy "$STORE" short/three --as alice -o "$W/late" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
request destroy "inode:$ino" short/three || fail "$(cat "$W/out")"
grep -q "inode $ino  short/two" "${R%.request}.sheet" || fail "the sheet: $(cat "${R%.request}.sheet")"
done_by carol
expect_fail ENODATA cat "$MNT/short/three"
sign alice coffer-request "$W"/late/*.request # made while it was there, handed in when it is not
expect_fail "(not-possible)" coffer request submit "$STORE" "$W"/late/*.request --signature "$W"/late/*.request.alice
same "on record" 1 "$(coffer events "$STORE" --type request-refused --json | grep -c 'request refused (not-possible)')"
for f in four held; do cmp "$MNT/short/$f" "$W/secret" || fail "$f is not what it was"; done
request destroy --expired short || fail "$(cat "$W/out")"
grep -qE "short/(one|three|held|open)" "${R%.request}.sheet" && fail "--expired: $(cat "${R%.request}.sheet")"
grep -q "short/four" "${R%.request}.sheet" || fail "--expired: $(cat "${R%.request}.sheet")"

say "the plan of it, and the certificate of what was done"
coffer destroy plan "$STORE" short --expired --json > "$W/plan" || fail "plan"
same "what the plan names" "short/four" "$(json '" ".join(f["path"] for f in j["files"])' < "$W/plan")"
same "an opener by a key file" "UNKNOWN" "$(json '[c["verdict"] for c in j["copies"] if c["kind"] == "opener"][0]' < "$W/plan")"
coffer destroy plan "$STORE" long > "$W/out" || fail "plan"
grep -q "may not: Its retention is not over" "$W/out" || fail "plan: $(cat "$W/out")"
expect_fail "is open" coffer destroy certificate "$STORE" "$(sha256sum < "$R" | cut -d' ' -f1)"
id=$(coffer requests "$STORE" --json | jsonl '[q["id"] for q in j if q["action"] == "destroy" and q["state"] == "done"][-1]')
coffer destroy run "$STORE" "$id" | grep -q "is done" || fail "run of what is done"
coffer destroy certificate "$STORE" "$id" --no-record > "$W/out" || fail "$(cat "$W/out")"
grep -q "2 files: keys out of both trees" "$W/out" || fail "certificate: $(cat "$W/out")"
grep -q "alice (officer), carol (auditor)" "$W/out" || fail "who concurred: $(cat "$W/out")"

say "what lies in the store: zeros in its place, nothing of the key; and so after a remount, and with an index built anew"
umount_archive
verify_intact
second_reader --json > "$W/out" 2>&1 || fail "second reader: $(cat "$W/out")"
same "frames without a key" True "$(json 'j["destroyed"] >= 3' < "$W/out")"
[ -e "$STORE/keys/h-00000000" ] && [ -e "$STORE/keys/r-00000000" ] || fail "no pages: $(ls "$STORE/keys")"
find "$STORE" -name '*.next' | grep -q . && fail "a renewal is not finished: $(find "$STORE" -name '*.next')"
for index in kept anew; do
    [ $index = kept ] || rm -r "$STORE/index"
    mount_archive
    same "its state, index $index" destroyed "$(attr "$MNT/short/three" state)"
    expect_fail ENODATA cat "$MNT/short/three"
    cmp "$MNT/short/four" "$W/secret" || fail "four is not what it was"
    umount_archive
done
verify_intact
cp "$STORE/checkpoint" "$W/checkpoint"
coffer verify "$STORE" --since "$W/checkpoint" > "$W/out" || fail "since: $(cat "$W/out")"

say "an old checkpoint put back, and no hashes: recovery takes zeros for what they are"
cp -a "$STORE" "$W/whole"
cp "$W/old" "$STORE/checkpoint"
rm "$STORE"/tile/*
mount_archive
umount_archive
verify_intact
rm -rf "$STORE"; cp -a "$W/whole" "$STORE"

say "a vault that comes later takes what is left and scrubs it; a restore from it has the same history"
coffer-vault init "$W/v" --name vault.example/v --place 22.62,120.30,Kaohsiung --jurisdiction TW > "$W/out"
coffer vault add "$STORE" v "dir:$W/v" > "$W/out" || fail "$(cat "$W/out")"
coffer sync "$STORE" v > "$W/out" 2>&1 || fail "sync: $(cat "$W/out")"
coffer-vault scrub "$W/v" > "$W/out" 2>&1 || fail "scrub: $(cat "$W/out")"
id=$(coffer status "$STORE" --json | json 'j["archive_id"]')
coffer restore "dir:$W/v" "$W/restored" --archive "$id" > "$W/out" 2>&1 || fail "restore: $(cat "$W/out")"
coffer verify "$W/restored" > "$W/out" 2>&1 || fail "verify: $(cat "$W/out")"
coffer destroy plan "$STORE" short/four --key-file "$KEY" > "$W/out" || fail "$(cat "$W/out")"
grep -q "UNKNOWN *vault *v  (open)" "$W/out" || fail "the vault is not listed: $(cat "$W/out")"

say "a request that failed for one of its files: the certificate says which are destroyed, and which are not"
# cut_off INODE: the daemon ended between the approval and what it approves, and that file's retention had been extended meanwhile
cut_off() {
    python3 - "$id" "$R.carol" "$1" > "$W/lines" << 'PY'
import struct, sys, time
field = lambda tag, v: struct.pack("<BH", tag, len(v)) + v
print("21 0", (field(112, bytes.fromhex(sys.argv[1])) + field(119, b"\1") + field(115, b"carol\0" + open(sys.argv[2], "rb").read())).hex(), "-")
print(f"11 {sys.argv[3]}", field(24, struct.pack("<q", int((time.time() + 1e8) * 1e9))).hex(), "-")
PY
    "$BUILD/tests/unit/archive/plant" "$STORE" "$KEY" < "$W/lines" > "$W/planted" || fail "not planted"
}
[ -n "$(daemon_pid)" ] || mount_archive
OPEN=()
for f in gone spared; do cp "$W/secret" "$MNT/short/$f"; chmod a-w "$MNT/short/$f"; done
GONE=$(stat -c %i "$MNT/short/gone") SPARED=$(stat -c %i "$MNT/short/spared")
request destroy short/gone short/spared || fail "not asked: $(cat "$W/out")"
id=$(sha256sum < "$R" | cut -d' ' -f1)
sign carol coffer-approve "$R"
umount_archive
cut_off "$SPARED"
mount_archive
same "the request" failed "$(coffer requests "$STORE" --json | jsonl "[q['state'] for q in j if q['id'] == '$id'][0]")"
expect_fail ENODATA cat "$MNT/short/gone"
cmp "$MNT/short/spared" "$W/secret"
expect_fail "nothing more is destroyed by it" coffer destroy run "$STORE" "$id"
coffer destroy certificate "$STORE" "$id" > "$W/out" || fail "certificate: $(cat "$W/out")"
grep -q "the request failed: .*retention is not over" "$W/out" || fail "certificate: $(cat "$W/out")"
grep -q "NOT DESTROYED: 1 of the 2 files" "$W/out" || fail "certificate: $(cat "$W/out")"
grep -q "inode $SPARED (committed)" "$W/out" || fail "certificate: $(cat "$W/out")"
coffer destroy certificate "$STORE" "$id" --no-record --json > "$W/certificate"
same "what is and is not" "failed [$GONE] [$SPARED]" "$(json 'j["outcome"] + " %s %s" % (j["files"], [f["inode"] for f in j["not_destroyed"]])' < "$W/certificate")"
same "on record" "1 1" "$(coffer events "$STORE" --type destruction-certificate --json | jsonl '"%d %d" % (lambda f: (f["files"], f["not_destroyed"]))(json.loads(j[-1]["form"]))')"
umount_archive
verify_intact
second_reader --json > "$W/out" 2>&1 || fail "second reader: $(cat "$W/out")"
mount_archive
SPARED=$(stat -c %i "$MNT/short/four")
request destroy short/four || fail "not asked: $(cat "$W/out")"
id=$(sha256sum < "$R" | cut -d' ' -f1)
sign carol coffer-approve "$R"
umount_archive
cut_off "$SPARED"
mount_archive
expect_fail "nothing was destroyed by it: there is nothing to certify" coffer destroy certificate "$STORE" "$id"

say "a request of which another one destroyed a file: that is not called spared"
for f in both mine; do cp "$W/secret" "$MNT/short/$f"; chmod a-w "$MNT/short/$f"; done
BOTH=$(stat -c %i "$MNT/short/both")
approved() { # approved: as one whose daemon ended behind the approval
    id=$(sha256sum < "$R" | cut -d' ' -f1)
    sign carol coffer-approve "$R"
    python3 - "$id" "$R.carol" >> "$W/lines" << 'PY'
import struct, sys
field = lambda tag, v: struct.pack("<BH", tag, len(v)) + v
print("21 0", (field(112, bytes.fromhex(sys.argv[1])) + field(119, b"\1") + field(115, b"carol\0" + open(sys.argv[2], "rb").read())).hex(), "-")
PY
}
: > "$W/lines"
request destroy short/both || fail "not asked: $(cat "$W/out")"
approved
first=$id
request destroy short/both short/mine || fail "not asked: $(cat "$W/out")"
approved
umount_archive
"$BUILD/tests/unit/archive/plant" "$STORE" "$KEY" < "$W/lines" > "$W/planted" || fail "not planted"
mount_archive
expect_fail ENODATA cat "$MNT/short/mine"
coffer destroy certificate "$STORE" "$id" --no-record > "$W/out" || fail "certificate: $(cat "$W/out")"
grep -q "NOT DESTROYED" "$W/out" && fail "certificate: $(cat "$W/out")"
grep -q "inode $BOTH ($first)" "$W/out" || fail "certificate: $(cat "$W/out")"
coffer destroy certificate "$STORE" "$id" --no-record --json > "$W/certificate"
same "by whom" "[] [$BOTH]" "$(json '"%s %s" % (j["not_destroyed"], [f["inode"] for f in j["destroyed_by_others"]])' < "$W/certificate")"
umount_archive

say "the same bytes gone from a file that nobody destroyed are tampering"
python3 - "$STORE" "$W/secret" <<'PY'
import os, struct, sys
log = os.path.join(sys.argv[1], "log")
for name in sorted(os.listdir(log)):
    with open(os.path.join(log, name), "r+b") as f:
        data, at = f.read(), 0
        while at + 128 <= len(data) and data[at:at + 4] == b"COFR":
            kind, = struct.unpack_from("<B", data, at + 4)
            length, stored = struct.unpack_from("<II", data, at + 32)
            public, = struct.unpack_from("<I", data, at + 120)
            end = at + 128 + stored
            if kind == 7 and any(data[at + 128 + public:end]) and length > 1000:
                f.seek(at + 128 + public)
                f.write(bytes(stored - public))
                sys.exit()
            at = end
sys.exit("no frame to erase")
PY
expect_code 13 coffer verify "$STORE"
cp -a "$STORE" "$W/bad" && rm -rf "$W/bad/vaults"
coffer-vault init "$W/u" --name vault.example/u > "$W/out"
coffer vault add "$W/bad" u "dir:$W/u" > "$W/out" || fail "$(cat "$W/out")"
expect_fail "no frame behind it" coffer sync "$W/bad" u
expect_code 13 coffer verify "$STORE"
grep -q "not the one whose hash" "$W/out" || fail "$(cat "$W/out")"
second_reader > "$W/out" 2>&1 && fail "the second reader took it"
grep -q "payload that was altered" "$W/out" || fail "second reader: $(cat "$W/out")"
ok destroy
