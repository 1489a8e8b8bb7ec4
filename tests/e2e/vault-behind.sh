#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A store that was put back from a backup. What its own files say, or a vault at the first sync, ends writing before there is more
# of another history; what was written before that is kept at both ends; the archive goes on from what the vault has.
. "$(dirname "$0")/lib.sh"
command -v age-keygen > /dev/null || skip "age is not installed"

age-keygen -o "$W/officer" 2> /dev/null
make_store audit -- --recovery "$(age-keygen -y "$W/officer")"
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
coffer-vault init "$W/b" --name vault.example/b > /dev/null
coffer vault add "$STORE" b "dir:$W/b" > /dev/null
mount_archive
echo first > "$MNT/audit/log"
echo whole > "$MNT/audit/done"
coffer commit "$MNT/audit/done" > /dev/null
umount_archive
coffer sync "$STORE" b > /dev/null
for n in quiet written rolled; do cp -a "$STORE" "$W/$n"; done # backups of it
mount_archive
for i in $(seq 30); do echo "what the backups have not, $i" >> "$MNT/audit/log"; done
umount_archive
coffer sync "$STORE" b > /dev/null
NEWEST=$STORE
forks() { coffer-vault status "$W/b" --json | json 'j[0]["forks"]'; }
digest() { cat "$1"/log/* "$1/checkpoint" | sha256sum; }
refused() { # refused TEXT: the mounted archive takes nothing, and says why
    coffer status "$STORE" --json | json 'j["read_only"] or sys.exit("it is written to")' > /dev/null
    coffer status "$STORE" > "$W/out"
    tr -s ' \n' ' ' < "$W/out" | grep -q "$1" || fail "status does not say why: $(cat "$W/out")"
    expect_fail EROFS sh -c "echo more >> '$MNT/audit/log'"
    expect_fail EROFS touch "$MNT/audit/another"
    same "what is whole" whole "$(cat "$MNT/audit/done")"
}

say "put back, and not written to: behind"
STORE=$W/quiet
before=$(digest "$STORE")
expect_code 3 coffer sync "$STORE" b
grep -q "coffer restore" "$W/out" || fail "it is not said where the rest is: $(cat "$W/out")"
grep -q "nothing more is written" "$W/out" || fail "it is not said that nothing is written: $(cat "$W/out")"
same "no fork at the vault" 0 "$(forks)"
mount_archive
refused "put back to an older state"
umount_archive
same "the log is as it was" "$before" "$(digest "$STORE")"
expect_code 3 coffer sync "$STORE" b

say "only its log was put back: what the vault signed is there, and tells at the mount"
STORE=$W/rolled
cp "$NEWEST/vaults/b.note" "$STORE/vaults/b.note"
before=$(digest "$STORE")
mount_archive
refused "put back to an older state"
umount_archive
same "the log is as it was" "$before" "$(digest "$STORE")"

say "mounted before anybody could know: the first sync ends it, and both histories are kept"
STORE=$W/written
mount_archive
echo "of another history" >> "$MNT/audit/log"
expect_code 4 coffer sync "$STORE" b
grep -q "two histories" "$W/out" || fail "fork: $(cat "$W/out")"
refused "another history"
same "what was written stays" "of another history" "$(tail -n 1 "$MNT/audit/log")"
coffer events "$STORE" --type vault-alarm | grep -q "two histories" || fail "no event: $(coffer events "$STORE")"
umount_archive
same "the head of the fork at the vault" 1 "$(forks)"
same "the vault's head here" "$(sed -n 2p "$W/b/archives/$ID/checkpoint")" "$(sed -n 2p "$STORE/vaults/b.newer")"
mount_archive
refused "put back to an older state"
umount_archive
verify_intact
[ "$(sed -n 2p "$STORE/checkpoint")" -lt "$(sed -n 2p "$STORE/vaults/b.newer")" ] || fail "the fork is not shorter: the test shows nothing"

say "a note of another archive stops nothing"
coffer init "$W/foreign" --new-key-file "$W/foreignkey" --shelf audit > /dev/null
STORE=$NEWEST
sed 's/^\(.*\)$/\1/' "$W/foreign/checkpoint" > "$STORE/vaults/b.newer"
sed '2s/.*/99999999/' "$STORE/checkpoint" > "$STORE/vaults/x.newer"
mount_archive
echo "it goes on" >> "$MNT/audit/log"
umount_archive
coffer sync "$STORE" b > /dev/null || fail "sync"
[ ! -e "$STORE/vaults/b.newer" ] || fail "a head that the vault confirmed is kept as one that is missing"

say "what the vault has comes back, and goes on"
STORE=$W/whole KEY=$W/wholekey
coffer restore "dir:$W/b" "$STORE" --archive "$ID" > /dev/null 2>&1 || fail "restore"
coffer recover "$STORE" --identity "$W/officer" --new-key-file "$KEY" > /dev/null 2>&1 || fail "recover"
mount_archive
same "what the backups have not" "it goes on" "$(tail -n 1 "$MNT/audit/log")"
echo "and on" >> "$MNT/audit/log"
coffer vault add "$STORE" b "dir:$W/b" > /dev/null
coffer sync "$STORE" b > /dev/null || fail "it does not go on at its vault"
umount_archive

say "who decides that the other history goes on, can"
STORE=$W/written KEY=$W/key
rm "$STORE/vaults/b.newer"
mount_archive
echo "by decision" >> "$MNT/audit/log"
umount_archive
ok "behind, forked, and on"
