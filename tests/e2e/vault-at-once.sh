#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Who looks after a vault while a session is on: a scrub writes nothing that the session is at, and its finding counts once the lock
# is free; status and scrub during a first session, held at whichever byte, tell of nothing that was not confirmed.
. "$(dirname "$0")/lib.sh"

cd "$W" || exit 1
make_store audit -- --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
mount_archive
head -c 300000 /dev/urandom > "$MNT/audit/data"
umount_archive
# A line on which, after HOLD bytes, nothing comes before somebody writes to the fifo `go`.
cat > hold.py << 'PY'
import os
left, held = int(os.environ["HOLD"]), False
while True:
    if not left and not held:
        open("held", "w").close()
        open("go").read()
        held = True
    b = os.read(0, min(left, 65536) if left else 65536)
    if not b:
        break
    os.write(1, b)
    left -= min(left, len(b))
PY
mkfifo go
printf '#!/bin/bash\ncd "%s"\npython3 -S hold.py | "%s" serve "%s"\n' "$W" "$BUILD/tools/coffer-vault" "$W/v" > holds && chmod +x holds
held() { # held BYTES: a session that stands still
    rm -f held
    HOLD=$1 COFFER_SSH=$W/holds coffer sync "$STORE" v > said 2>&1 &
    syncing=$!
    child $syncing
    await 20 "$1 bytes" test -e held
}
go_on() { # and is ended, with that code
    local code=0
    echo > go
    wait $syncing || code=$?
    [ $code = "$1" ] || fail "the session ended with $code: $(cat said)"
}
DIR=v/archives/$ID
locked() { [ -e $DIR/lock ] && ! flock -n $DIR/lock true; }

say "a first session, held: no copy that was confirmed is told of, and none is damaged"
for bytes in 0 20 400 3000 70000 200000; do
    rm -rf v "$STORE/vaults"
    coffer-vault init v --name vault.example/v > out
    coffer vault add "$STORE" v "dir:$W/v" > out
    sed -i "s,^url = .*,url = ssh://h/x," "$STORE/vaults/v.conf"
    held $bytes
    [ $bytes -lt 400 ] || await 20 "its lock" locked
    [ $bytes -lt 200000 ] || await 20 "a segment" test -s $DIR/log/00000000.seg
    for verb in status scrub; do
        expect_code 0 coffer-vault $verb v --json
        same "$verb, at $bytes bytes" "[]" "$(json '[(a["size"], a.get("confirmed")) for a in j if a["size"] or a.get("confirmed")]' < out)"
        expect_code 0 coffer-vault $verb v
        [ $bytes -lt 200000 ] || grep -q "first session is not over: nothing of it was signed yet" out || fail "$verb, at $bytes bytes: $(cat out)"
        grep -q "confirmed\|truncated\|NOT PERMITTED" out && fail "$verb, at $bytes bytes: $(cat out)"
    done
    [ ! -e $DIR/damaged ] && [ ! -e $DIR/judged ] || fail "something of it was noted at $bytes bytes"
    go_on 0
    expect_code 0 coffer-vault scrub v
    same "the copy" "$(sed -n 2p "$STORE/checkpoint")" "$(sed -n 2p $DIR/checkpoint)"
done

say "a scrub beside a session: what it finds is said, and noted only once the session is over"
mount_archive
head -c 300000 /dev/urandom > "$MNT/audit/more"
umount_archive
held 150000
await 20 "its lock" locked
segment=$DIR/log/00000001.seg
cp "$segment" whole
flip "$segment" 30000
cp $DIR/judged judged
expect_code 13 coffer-vault scrub v
[ ! -e $DIR/damaged ] || fail "a scrub wrote while a session was on"
cmp -s judged $DIR/judged || fail "a scrub judged while a session was on"
locked || fail "the session is over already"
go_on 0
expect_code 13 coffer-vault scrub v
same "noted" 00000001 "$(cat $DIR/damaged)"
sed -i "s,^url = .*,url = dir:$W/v," "$STORE/vaults/v.conf"
coffer sync "$STORE" v > out 2>&1 || fail "not mended: $(cat out)"
cmp whole "$segment" || fail "the segment is not what it was"
expect_code 0 coffer-vault scrub v
ok vault-at-once
