#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# coffer conform: all of it holds on a Coffer mount, for root and for an ordinary user, with EPERM and with EROFS; on another
# filesystem it shows what is missing, with and without chattr, and leaves nothing behind.
. "$(dirname "$0")/lib.sh"

printf 'retention = 1min\nretention_max = 1h\n' > "$W/short"
printf 'refuse = rofs\n' > "$W/rofs"
make_store "ends:$W/short" "rofs:$W/rofs" plain
mount_archive

conforms() { # conforms WHAT COMMAND …: its output is in $W/tap
    local what=$1 code=0
    shift
    "$@" > "$W/tap" 2>&1 || code=$?
    [ $code = 0 ] || { grep -A3 '^not ok' "$W/tap" || cat "$W/tap"; fail "$what: exit code $code"; }
    same "$what: the plan" "1..$(grep -c '^ok' "$W/tap")" "$(grep '^1\.\.' "$W/tap")"
    ok "$what: $(tail -n 1 "$W/tap")"
}
say "on a Coffer mount"
conforms "the top: its first shelf" coffer conform "$MNT"
grep -q "^# in $MNT/ends/coffer-conform-" "$W/tap" || fail "another shelf was used"
[ "$(grep -c '^# left: ' "$W/tap")" -ge 10 ] || fail "what is left is not named"
while read -r _ _ path; do [ -e "$path" ] || fail "named, and not there: $path"; done < <(grep '^# left: ' "$W/tap")
[ "$(grep -c '# SKIP' "$W/tap")" -le 1 ] || fail "checks were skipped: $(grep '# SKIP' "$W/tap")"
conforms "a shelf that keeps for ever" coffer conform "$MNT/plain"
conforms "a shelf that answers EROFS" coffer conform "$MNT/rofs"
mkdir "$MNT/ends/user"
chown 65534:65534 "$MNT/ends/user"
cp "$(command -v coffer)" "$W/coffer" # nobody need not reach the build directory
conforms "an ordinary user" as_user "$W/coffer" conform "$MNT/ends/user"
coffer conform "$MNT/ends" --json > "$W/json"
same "as JSON" "(True, 0)" "$(jsonl '(j[-1]["conforms"], j[-1]["failed"])' < "$W/json")"
same "checks and their sum" True \
    "$(jsonl 'sum("check" in e for e in j) == j[-1]["passed"] + j[-1]["skipped"]' < "$W/json")"

say "on another filesystem"
mkdir "$W/disk"
truncate -s 64M "$W/image"
mkfs.ext4 -q "$W/image"
mount -o loop "$W/image" "$W/disk" 2> /dev/null || skip "no loop devices"
lacks() { grep -q "^not ok [0-9]* - $1" "$W/tap" || fail "not said to be missing: $1"; }
keeps() { grep -q "^ok [0-9]* - $1" "$W/tap" || fail "said to be missing: $1"; }
expect_code 3 coffer conform "$W/disk"
cp "$W/out" "$W/tap"
for what in "a write at offset 0" "ftruncate to 0" "unlink of an open file" "opening a committed file for writing" "touch" \
    "an earlier end by the access time" "user.coffer.state says open"; do
    lacks "$what"
done
keeps "plain writes one after the other"
same "nothing is left without chattr" lost+found "$(ls -A "$W/disk")"
expect_code 3 coffer conform "$W/disk" --chattr
cp "$W/out" "$W/tap"
for what in "unlink of an open file" "ftruncate to 0" "unlink of a committed file" "chmod u+w"; do keeps "$what"; done
for what in "chattr -a of an open file" "chattr -i of a committed file" "rotation: an open file is renamed" \
    "opening a file with content for writing"; do
    lacks "$what"
done
same "nothing is left with it" lost+found "$(ls -A "$W/disk")"
umount "$W/disk"
expect_code 1 coffer conform "$W/nothing"

umount_archive
verify_intact
