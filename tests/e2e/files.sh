#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Trees of files through cp -p and tar -x: contents, modes and times equal, also after a remount and to the second reader.
. "$(dirname "$0")/lib.sh"

make_store records
mount_archive
d=$MNT/records

say "a tree of 5,000 files"
python3 - "$W/tree" <<'PY'
import os, random, sys
random.seed(5)
top = sys.argv[1]
for i in range(5000):
    p = os.path.join(top, "d%02d" % (i % 50), "s%d" % (i % 7))
    os.makedirs(p, exist_ok=True)
    n = random.choice((0, 1, 100, 1000, 4096, 5000, 70000 if i % 50 == 0 else 300))
    with open(os.path.join(p, "file-%05d" % i), "wb") as f:
        f.write(random.randbytes(n))
    os.utime(f.name, (1700000000 + i, 1700000000 + i))
PY
sums() { (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum); }
stats() { (cd "$1" && find . -printf '%P %y %m %s %T@\n' | grep -v ' d ' | sort | sha256sum); }
want=$(sums "$W/tree") want_stats=$(stats "$W/tree")

tar -C "$W/tree" -c . | (mkdir "$d/tar" && tar -C "$d/tar" -x)
same "sha256 of what tar wrote" "$want" "$(sums "$d/tar")"
same "modes, sizes and times of what tar wrote" "$want_stats" "$(stats "$d/tar")"

say "cp -p"
cp -pr "$W/tree/d07" "$d/cp"
same "sha256 of what cp wrote" "$(sums "$W/tree/d07")" "$(sums "$d/cp")"
same "modes, sizes and times of what cp wrote" "$(stats "$W/tree/d07")" "$(stats "$d/cp")"

say "after a remount"
umount_archive
verify_intact
mount_archive
same "sha256 after a remount" "$want" "$(sums "$d/tar")"
same "modes, sizes and times after a remount" "$want_stats" "$(stats "$d/tar")"
umount_archive

say "without an index"
rm -r "$STORE/index"
mount_archive
same "sha256 after a rebuild" "$want" "$(sums "$d/tar")"
umount_archive

say "to the second reader"
second_reader --list > "$W/list"
(cd "$W/tree" && find . -type f -print0 | xargs -0 sha256sum | sed 's|  \./|  records/tar/|' | sort) > "$W/want"
grep -E '^[0-9a-f]{64} .* records/tar/' "$W/list" | awk '{print $1 "  " $NF}' | sort > "$W/got"
diff "$W/want" "$W/got" > "$W/diff" || { head "$W/diff"; fail "the second reader sees something else"; }
