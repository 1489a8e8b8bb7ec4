#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The leak guard on a mount: what it refuses is not there, what it reports is; a secret in writes of one byte, with a remount
# in between, behind a hole; no event says a byte of it.
. "$(dirname "$0")/lib.sh"

make_store free
mount_archive
coffer shelf add "$MNT" told --leak-guard report
coffer shelf add "$MNT" kept --leak-guard refuse
umount_archive
mount_archive

# The key of 1, as everybody knows it; published words; a token made up.
wif=KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn
words='legal winner thank year wave sausage worth useful legal winner thank yellow'
token=ghp_$(printf 'A%.0s' {1..36})
openssl genpkey -algorithm ed25519 -out "$W/key.pem" 2> /dev/null
events() { # of one type, as lines of JSON
    coffer log "$STORE" --events --json | grep -F "\"event\":\"$1\"" || true
}
leaks() { events leak | grep -cF "$1" || true; }

say "told: written all the same, and on record with kind and place"
echo "first line, then $wif" >> "$MNT/told/a"
sync "$MNT/told/a"
same "content" "first line, then $wif" "$(cat "$MNT/told/a")"
same "events of it" 1 "$(leaks "wif, 52 bytes at offset 17")"
cat "$W/key.pem" >> "$MNT/told/a"
same "of a key in PEM" 1 "$(leaks "pem, ")"
dd if=/dev/zero bs=1M count=1 status=none | tr '\0' x > "$W/large"
printf ' %s ' "$token" | dd of="$W/large" bs=1 seek=700000 conv=notrunc status=none
cat "$W/large" >> "$MNT/told/large"
same "deep in a large write" 1 "$(leaks "github, 40 bytes at offset 700001")"

say "kept: refused before any of it is there"
expect_fail EPERM dd if="$W/key.pem" of="$MNT/kept/a" conv=notrunc status=none
same "size" 0 "$(stat -c %s "$MNT/kept/a")"
expect_fail EPERM dd if="$W/large" of="$MNT/kept/a" bs=1M conv=notrunc status=none
same "size" 0 "$(stat -c %s "$MNT/kept/a")"
echo harmless >> "$MNT/kept/a"
same "size" 9 "$(stat -c %s "$MNT/kept/a")"
same "refusals of it" 1 "$(events refused | grep -cF "leak-guard pem")"
same "no event of a leak: nothing of it was appended" 0 "$(leaks pem,\ of)"

say "byte by byte, with a remount in between"
bytes() { # bytes FILE TEXT: each by a write of its own; the code of the first that fails
    python3 - "$@" <<'PY'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
for n, c in enumerate(sys.argv[2].encode()):
    try:
        os.write(fd, bytes([c]))
    except PermissionError:
        print(n)
        break
PY
}
same "byte of the words that is refused" 74 "$(bytes "$MNT/kept/words" "$words")"
same "event of what had been appended" 1 "$(leaks 'of which 74 were appended before the rest was refused')"
bytes "$MNT/told/words" "${words:0:40}"
bytes "$MNT/kept/key" "${wif:0:30}"
umount_archive
mount_archive
bytes "$MNT/told/words" "${words:40}"
same "event" 1 "$(leaks 'bip39, 75 bytes at offset 0 so far')"
same "byte of the rest that is refused" 21 "$(bytes "$MNT/kept/key" "${wif:30}")"

say "behind a hole; and over what the file ended with"
printf '%s' "${wif:0:50}" >> "$MNT/kept/hole"
expect_fail EPERM python3 -c 'import os, sys; os.pwrite(os.open(sys.argv[1], os.O_WRONLY), sys.argv[2].encode(), 5000)' \
    "$MNT/kept/hole" "x $wif"
same "size: the hole is not there either" 50 "$(stat -c %s "$MNT/kept/hole")"

say "explained and counted"
coffer explain write "$MNT/kept/a" > "$W/explain" || true
grep -q "leak guard" "$W/explain" || { cat "$W/explain"; fail "explain says nothing of the guard"; }
coffer status "$STORE" --json > "$W/status"
same "refused since the mount" 2 "$(json 'j["leak_guard"]["refused"]' < "$W/status")"
same "found" 3 "$(json 'j["leak_guard"]["found"]' < "$W/status")"
echo "$wif" >> "$MNT/free/a"
same "nothing of a shelf without" 3 "$(coffer status "$STORE" --json | json 'j["leak_guard"]["found"]')"
expect_fail "leak_guard would let more through" coffer shelf set "$MNT" kept --leak-guard report
umount_archive
verify_intact
coffer log "$STORE" --key-file "$KEY" --json > "$W/log"
! grep -qF -e "$wif" -e "$token" -e "winner thank" "$W/log" || fail "the log says a secret"
