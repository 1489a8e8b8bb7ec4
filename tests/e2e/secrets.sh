#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Neither plaintext (content, names, writers) nor a byte of a key lies in the store, in the daemon's arguments or environment.
. "$(dirname "$0")/lib.sh"

make_store audit
mount_archive
marks=(MARK-of-content-Zb81 name-Qk27-of-a-file xattr-Vn55-value target-Hw93-of-a-link)
for i in $(seq 200); do echo "${marks[0]} $i" >> "$MNT/audit/${marks[1]}"; done
head -c 300000 /dev/zero | tr '\0' 'M' >> "$MNT/audit/${marks[1]}"
ln -s "${marks[3]}" "$MNT/audit/link"
setfattr -n user.note -v "${marks[2]}" "$MNT/audit/${marks[1]}" 2> /dev/null || true
expect_fail "not permitted" rm -f "$MNT/audit/${marks[1]}"
bash -c "exec -a command-Tg44 dd if=/dev/zero of=$MNT/audit/other bs=1 count=1 status=none"
pid=$(daemon_pid)
tr '\0' '\n' < "/proc/$pid/cmdline" > "$W/cmdline"
tr '\0' '\n' < "/proc/$pid/environ" > "$W/environ"
same "the daemon cannot be dumped: its memory map is root's and closed" "root" "$(stat -c %U "/proc/$pid/maps")"
same "core limit" 0 "$(awk '/^Max core file size/ {print $5}' "/proc/$pid/limits")"

say "all memory of the daemon that can be read, while it serves, and after a burst of everything that uses keys"
mkdir "$W/memory"
dump() { # dump PID NAME: each mapping that can be read in a file, as root sees it
    python3 "$TOP/tests/memory.py" dump "$1" "$W/memory/$2"
}
dump "$pid" serving
grep -aqF "${marks[1]}" "$W/memory/"* || fail "the search sees nothing: a name that is in use is not in the daemon's memory"
coffer status "$STORE" > /dev/null
coffer ls "$MNT/audit" > /dev/null
for i in $(seq 50); do echo "$i" > "$MNT/audit/burst-$i"; done
sync "$MNT/audit/burst-1"
cat "$MNT/audit/"burst-* > /dev/null
dump "$pid" busy
dump "$(pgrep -P "$pid" -x cofferfs-root)" root-part
dump "$(pgrep -P "$pid" -x cofferfs-sign)" sign-part
swapped=$(awk '/^VmSwap/ {print $2}' "/proc/$pid/status")
grep -q secretmem "/proc/$pid/maps" || same "nothing of a daemon with locked keys is in the swap" 0 "$swapped"
ulimit -c unlimited
umount_archive

say "a daemon that ends by an abort leaves no core"
mount_archive
cores() { find "$W" / -maxdepth 1 -name 'core*' -type f | wc -l; }
before=$(cores) pid=$(daemon_pid)
kill_daemon ABRT
same "core files" "$before" "$(cores)"
mount_archive
umount_archive
verify_intact

python3 - "$STORE" "$KEY" "$AUDITOR" "$W/cmdline" "$W/environ" "${marks[@]}" <<'PY'
import os, sys
store, key, auditor, cmdline, environ, *marks = sys.argv[1:]
needles = {m.encode(): "the text " + m for m in marks}
needles[b"M" * 24] = "a run of content"
secret = open(key, "rb").read()
s1 = bytes.fromhex(open(auditor).read().split()[2])
for what, data in (("the key file", secret), ("the auditor secret", s1)):
    for i in range(0, len(data) - 7, 4): # any eight bytes of it
        needles[data[i:i + 8]] = what
    needles[data.hex().encode()[:32]] = what + " in hex"
found = 0
def search(path):
    global found
    data = open(path, "rb").read()
    for n, what in needles.items():
        if n in data:
            print("%s holds %s" % (path, what))
            found += 1
for d, _, files in os.walk(store):
    for f in files:
        search(os.path.join(d, f))
search(cmdline)
search(environ)
# The search itself finds what is there.
assert any(b"archive" in open(os.path.join(store, "archive.conf"), "rb").read() for _ in (1,))
sys.exit(found != 0)
PY
say "the derived keys too"
python3 "$TOP/tests/second_reader.py" "$STORE" --key-file "$KEY" --auditor-secret "$AUDITOR" --search-keys --search-also "$W/memory"
