#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A store of 64 MiB and more, in segments of 4 MiB, made through several mounts: single flipped bits in every kind of place, and
# segments that are missing, in the wrong place or of another archive. verify has the right verdict and names the place; a mount
# gives the right bytes or EIO, is read-only or refused where it must be, and other files are unaffected.
#   COFFER_SEED=N COFFER_FLIP=N damage.sh    one flip again
#   COFFER_FLIPS=N-M damage.sh               only these: a piece of the long run
. "$(dirname "$0")/lib.sh"

seed=${COFFER_SEED:-20260} flips=208 every=4
[ -z "$LONG" ] || flips=2080 every=2
make_other() { # of the same form, another archive
    local STORE=$W/other AUDITOR=$W/other-auditor
    make_store audit -- --segment-size 4194304
    mount_archive
    head -c 60000000 /dev/zero > "$MNT/audit/zeros"
    umount_archive
}
make_other
make_store audit -- --segment-size 4194304
for round in 1 2 3; do
    mount_archive
    python3 "$TOP/tests/support/damage.py" fill "$MNT/audit" "$seed" $round || fail "filling, mount $round"
    umount_archive
done
export PRISTINE=$W/pristine OTHER=$W/other SHELF=$MNT/audit STORE MNT KEY AUDITOR MOUNT_EVERY=$every
mount_archive
mkdir "$PRISTINE.content"
(cd "$SHELF" && find . -type f -printf '%i %s %P\n' > "$PRISTINE.files" &&
    find . -type f -printf '%P\n' | while IFS= read -r name; do cat "$name" > "$PRISTINE.content/${name//\//%}"; done)
umount_archive
cp -a "$STORE" "$PRISTINE"
verify_intact
say "$(du -sm "$STORE/log" | cut -f 1) MiB, $(wc -l < "$PRISTINE.files") files, seed $seed"
damage() { python3 "$TOP/tests/support/damage.py" "$@" || fail "damage.py $*"; }

if [ -n "${COFFER_FLIP:-}" ]; then
    damage flips "$seed" 1 "$COFFER_FLIP"
    exit 0
fi
if [ -n "${COFFER_FLIPS:-}" ]; then
    first=${COFFER_FLIPS%-*} last=${COFFER_FLIPS#*-}
    damage flips "$seed" $((last - first + 1)) "$first"
    verify_intact
    exit 0
fi
say "segments, with the index and without"
damage segments index
damage segments none
say "$flips flips"
damage flips "$seed" $flips
verify_intact
