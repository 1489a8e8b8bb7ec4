#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A copy in a bucket of a real server: Ceph's radosgw, started here on loopback with its objects in memory. What it locks, a delete
# marker, a hold, and its root, who can purge what is locked. Faults are s3-faults.sh.
. "$(dirname "$0")/lib.sh"
for p in ceph-mon ceph-osd radosgw radosgw-admin ceph-authtool monmaptool; do
    command -v $p > /dev/null || skip "Ceph is not installed: apt-get install ceph-mon ceph-osd radosgw"
done

# ---- a monitor, a disk in memory, a gateway ----
C=$W/ceph
mkdir -p "$C/mon" "$C/osd" "$C/rgw" "$C/run"
read -r MON RGW < <(python3 -c 'import socket
s = [socket.socket() for _ in range(2)]
for x in s: x.bind(("127.0.0.1", 0))
print(*(x.getsockname()[1] for x in s))')
FSID=$(cat /proc/sys/kernel/random/uuid)
cat > "$C/ceph.conf" << END
[global]
fsid = $FSID
mon host = v2:127.0.0.1:$MON
public addr = 127.0.0.1
run dir = $C/run
admin socket = $C/run/\$name.asok
log file = $C/run/\$name.log
mon cluster log file = $C/run/cluster.log
keyring = $C/keyring
mon data = $C/mon
osd data = $C/osd
rgw data = $C/rgw
osd objectstore = memstore
memstore device bytes = 1073741824
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
rgw frontends = beast endpoint=127.0.0.1:$RGW
rgw run sync thread = false
END
export CEPH_CONF=$C/ceph.conf
tool() { "$@" >> "$C/tool.log" 2>&1 || { tail -n 20 "$C/tool.log"; fail "$*"; }; }
tool ceph-authtool --create-keyring "$C/keyring" --gen-key -n mon. --cap mon 'allow *'
tool ceph-authtool "$C/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *'
tool ceph-authtool "$C/keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *'
tool ceph-authtool "$C/keyring" --gen-key -n client.rgw.a --cap mon 'allow *' --cap osd 'allow *'
tool monmaptool --create --fsid "$FSID" --addv a "[v2:127.0.0.1:$MON]" "$C/monmap"
tool ceph-mon -i a --mkfs --monmap "$C/monmap" --keyring "$C/keyring"
daemon() { "$@" >> "$C/run/$1.out" 2>&1 & child $!; }
daemon ceph-mon -f -i a
tool timeout 60 ceph osd new "$FSID"
tool ceph-osd -i 0 --mkfs --osd-uuid "$FSID"
daemon ceph-osd -f -i 0
daemon radosgw -f -n client.rgw.a
AT=http://127.0.0.1:$RGW
(umask 077; printf '[default]\naws_access_key_id = AKTEST\naws_secret_access_key = hushThistle0123456789\n' > "$W/keys")
# s3 METHOD PATH [NAME:VALUE…]: status and headers of a request, signed by another implementation
s3() { python3 "$TOP/tests/e2e/s3-ask.py" "$AT" AKTEST hushThistle0123456789 "$@"; }
await 90 "radosgw" s3 GET /
tool radosgw-admin -n client.admin user create --uid=coffer --display-name=coffer --access-key=AKTEST --secret-key=hushThistle0123456789
s3 PUT /plain > /dev/null
s3 PUT /records x-amz-bucket-object-lock-enabled:true > /dev/null
ok "radosgw is up after $SECONDS s"

# ---- a copy beside a mount ----
echo 'retention = 10y' > "$W/policy"
make_store "audit:$W/policy"
mount_archive
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
expect_fail "Object Lock" coffer vault add "$STORE" far s3://plain --endpoint "$AT" --credentials "$W/keys"
expect_fail "no such bucket" coffer vault add "$STORE" far s3://none --endpoint "$AT" --credentials "$W/keys"
coffer vault add "$STORE" far s3://records/a --endpoint "$AT" --credentials "$W/keys" > "$W/out"
grep -q "lock=kept versions=kept" "$W/out" || fail "add: $(cat "$W/out")"
head -c 300000 /dev/urandom > "$MNT/audit/data"
for i in $(seq 100); do echo "line $i"; done > "$MNT/audit/log"
await 20 "a checkpoint of all" sh -c "coffer sync '$STORE' --json > '$W/sync' && coffer status '$STORE' --json |
    python3 -c 'import json,sys; b=json.load(sys.stdin)[\"buckets\"][0]; sys.exit(b[\"size\"] < 20 or b[\"behind\"] > 0)'"
object=$(awk '$1 == "o" && ($2 == "p" || $2 == "s") {printf "%s %08x %08x %08x %s %s\n", $2, $4, $5, $6, $8, $12}' "$STORE/vaults/far.objects" | head -n 1)
read -r kind number offset length sha version <<< "$object"
if [ "$kind" = s ]; then KEYNAME=a/$ID/segment/$number-$sha; else KEYNAME=a/$ID/piece/$number-$offset-$length-$sha; fi
until_of() { s3 HEAD "/records/$KEYNAME?versionId=$version" | sed -n 's/^x-amz-object-lock-retain-until-date: \(....-..\).*/\1/p'; }
same "the lock of what nothing locks longer" "$(date -u -d '+30 days' +%Y-%m)" "$(until_of)"
same "deleting what is locked" 403 "$(s3 DELETE "/records/$KEYNAME?versionId=$version" | head -n 1)"
same "deleting it around governance" 403 "$(s3 DELETE "/records/$KEYNAME?versionId=$version" x-amz-bypass-governance-retention:true | head -n 1)"
# a file commits for ten years: what it lies in is locked as long
coffer commit "$MNT/audit/data" > "$W/out"
umount_archive
coffer sync "$STORE" > "$W/out"
[[ $(until_of) > $(date -u -d '+9 years' +%Y-%m) ]] || fail "the lock did not grow with the retention: $(until_of); $(cat "$W/out")"
ok "locked from the first byte on, and longer with the retention"

# ---- a hold ----
mount_archive
coffer hold begin --case 2026-1 "$MNT/audit/data" > "$W/out" || { cat "$W/out"; fail "hold begin"; }
umount_archive
coffer sync "$STORE" > "$W/out"
grep -q "legal hold" "$W/out" || fail "sync does not tell of the hold: $(cat "$W/out")"
s3 HEAD "/records/$KEYNAME?versionId=$version" | grep -q "^x-amz-object-lock-legal-hold: ON" || fail "the hold is not mirrored"
ok "a hold is mirrored"

# ---- a delete marker, and the server's root ----
coffer vault check "$STORE" far --all > "$W/out" || { cat "$W/out"; fail "check"; }
same "a delete without a version" 204 "$(s3 DELETE "/records/$KEYNAME" | head -n 1)"
same "what it hides" 404 "$(s3 HEAD "/records/$KEYNAME" | head -n 1)"
expect_code 3 coffer vault check "$STORE" far
grep -q "delete marker lies over $KEYNAME" "$W/out" || fail "check: $(cat "$W/out")"
coffer restore s3://records/a "$W/back" --archive "$ID" --endpoint "$AT" --credentials "$W/keys" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore"; }
grep -q "1 delete marker" "$W/out" || fail "restore does not tell of the marker: $(cat "$W/out")"
coffer verify "$W/back" > /dev/null || fail "what was restored does not verify"
for s in "$W/back"/log/*.seg; do cmp -n "$(stat -c %s "$s")" "$s" "$STORE/log/$(basename "$s")" || fail "$(basename "$s") differs"; done
tool radosgw-admin -n client.admin bucket rm --bucket=records --purge-objects --bypass-gc
s3 PUT /records x-amz-bucket-object-lock-enabled:true > /dev/null
expect_code 3 coffer vault check "$STORE" far
grep -q "is gone, though it was locked until" "$W/out" || fail "a purge is not told: $(cat "$W/out")"
coffer sync "$STORE" > /dev/null
coffer vault check "$STORE" far --all > "$W/out" || { cat "$W/out"; fail "check after the purge and a sync"; }
ok "a marker hides nothing, and a purge by the server's root is noticed and made good"
