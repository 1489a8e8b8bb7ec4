#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# One of several vaults says otherwise what the archive is: its archive.conf was altered. The others are asked all the same, and what
# counts is what the log's own first frame repeats.
. "$(dirname "$0")/lib.sh"

make_store audit -- --no-recovery --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
mount_archive
head -c 200000 /dev/urandom > "$MNT/audit/data"
umount_archive
for v in a b; do
    coffer-vault init "$W/$v" --name "vault.example/$v" > /dev/null
    coffer vault add "$STORE" $v "dir:$W/$v" > /dev/null
done
coffer sync "$STORE" > "$W/out" 2>&1 || { cat "$W/out"; fail sync; }
cp -a "$W/a" "$W/true"
altered() { # altered SED: as a host that vault a is at makes it
    rm -rf "$W/a" "$W/r"
    cp -a "$W/true" "$W/a"
    sed -i "$1" "$W/a/archives/$ID/archive.conf"
}
restored() { # restored VAULT ...
    coffer restore "$@" "$W/r" --archive "$ID" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore from $*"; }
    cmp "$W/r/archive.conf" "$STORE/archive.conf" || fail "archive.conf, from $*"
    coffer verify "$W/r" > /dev/null || fail "from $*: it does not verify"
}

altered 's/^created = .*/created = 2001-01-01T00:00:00.000Z/'
restored "dir:$W/a" "dir:$W/b"
if grep -q "two archives" "$W/out"; then fail "an honest vault is shut out: $(cat "$W/out")"; fi
altered 's/^created = .*/created = 2001-01-01T00:00:00.000Z/'
restored "dir:$W/a"
altered 's/^segment_size = .*/segment_size = 131072/'
restored "dir:$W/a" "dir:$W/b"
ok "what the log's first frame says counts"

# cut off, and gone on with by the other
altered 's/^segment_size = .*/segment_size = 131072/'
mkdir -p "$W/r/log" "$W/r/tile"
cp "$W/a/archives/$ID/archive.conf" "$W/r/"
head -c 30000 "$STORE/log/00000000.seg" > "$W/r/log/00000000.seg"
restored "dir:$W/b"
ok "what was begun by another archive.conf is begun anew"
