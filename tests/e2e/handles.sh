#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Files by handle (name_to_handle_at, open_by_handle_at), as NFS servers and backup programs keep them: they lead to the same
# files after a remount, before anything was looked up by name, and to nothing once the file is gone.
. "$(dirname "$0")/lib.sh"

make_store audit
mount_archive
d=$MNT/audit

cat > "$W/handle.py" << 'END'
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
class Handle(ctypes.Structure):
    _fields_ = [("bytes", ctypes.c_uint), ("type", ctypes.c_int), ("f", ctypes.c_ubyte * 128)]
def check(r):
    if r < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return r
what, mount, path = sys.argv[1:4]
if what == "name":
    h, m = Handle(128), ctypes.c_int()
    check(libc.name_to_handle_at(-100, mount.encode(), ctypes.byref(h), ctypes.byref(m), 0))
    open(path, "wb").write(bytes(h))
else:
    top = os.open(mount, os.O_RDONLY)
    flags = os.O_RDONLY if what == "read" else os.O_WRONLY | os.O_APPEND
    h = Handle.from_buffer_copy(open(path, "rb").read())
    fd = check(libc.open_by_handle_at(top, ctypes.byref(h), flags))
    if what == "read":
        print(os.fstat(fd).st_ino, "" if os.path.isdir(f"/proc/self/fd/{fd}") else os.read(fd, 100).decode().strip())
    else:
        os.write(fd, sys.argv[4].encode())
END
handle() { python3 "$W/handle.py" "$@"; }

mkdir -p "$d/deep/er"
echo one > "$d/deep/er/file"
: > "$d/gone"
ino=$(stat -c %i "$d/deep/er/file")
dir=$(stat -c %i "$d/deep/er")
handle name "$d/deep/er/file" "$W/h.file"
handle name "$d/deep/er" "$W/h.dir"
handle name "$d/gone" "$W/h.gone"
say "while it is mounted"
same "the file" "$ino one" "$(handle read "$MNT" "$W/h.file")"
same "the directory" "$dir " "$(handle read "$MNT" "$W/h.dir")"
handle append "$MNT" "$W/h.file" two
rm "$d/gone"
say "after a remount, before anything has been looked up"
umount_archive
mount_archive
same "the file" "$ino onetwo" "$(handle read "$MNT" "$W/h.file" | tr -d '\n')"
umount_archive
mount_archive
same "the directory, whose parents are found by its number" "$dir " "$(handle read "$MNT" "$W/h.dir")"
if handle read "$MNT" "$W/h.gone" 2> "$W/err"; then fail "a removed file was opened"; fi
grep -q 'Stale file handle' "$W/err" || fail "not ESTALE: $(tail -1 "$W/err")"
say "a committed one"
chmod a-w "$d/deep/er/file"
umount_archive
mount_archive
if handle append "$MNT" "$W/h.file" three 2> "$W/err"; then fail "a committed file was opened for writing"; fi
grep -q 'Operation not permitted' "$W/err" || fail "not EPERM: $(tail -1 "$W/err")"
umount_archive
verify_intact
