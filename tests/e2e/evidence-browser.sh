#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# verify.html in a real browser: a stranger with a bundle, the page and a vault's key, and nothing else of ours.
. "$(dirname "$0")/lib.sh"

command -v chromium > /dev/null || skip "needs chromium: verify.html in a browser"
browse() { timeout 120 python3 "$TOP/tests/support/evidence-browser.py" "$TOP/tools/evidence/verify.html" "$@" > "$W/seen" || fail "the browser: $(cat "$W/seen")"; }
sees() { # sees COLOUR TEXT … : of what was browsed
    same "the colour" "$1" "$(head -n 1 "$W/seen")"
    for text in "${@:2}"; do grep -qF "$text" "$W/seen" || fail "the page does not show \"$text\": $(cat "$W/seen")"; done
}

make_store audit -- --origin log.example/ca
LOG=$(coffer status "$STORE" --json | json 'j["vkey"]')
coffer-vault init "$W/b" --name vault.example/b --place 22.62,120.30,Kaohsiung > "$W/init.out"
VAULT=$(grep -o 'vault.example/b+[^ ]*' "$W/init.out" | head -n 1)
coffer vault add "$STORE" b "dir:$W/b" --vkey "$VAULT" > /dev/null
mount_archive
head -c 3000000 /dev/urandom > "$MNT/audit/röot log"
chmod a-w "$MNT/audit/röot log"
coffer evidence make "$STORE" "audit/röot log" --to court --basis 'order 12' -o "$W/early.tar" > /dev/null 2>&1
coffer sync "$STORE" b > /dev/null
coffer evidence make "$STORE" "audit/röot log" --to court --basis 'order 12' -o "$W/a.tar" > /dev/null 2>&1

say "green only where a vault that one trusts has signed; no request but for the page itself"
browse "$W/a.tar" "$VAULT" "$LOG"
sees proven "Proven by an independent signature: at " "$(sha256sum < "$MNT/audit/röot log" | cut -d' ' -f1)" "audit/röot log" "order 12" "Proven: there at"
browse "$W/early.tar" "$LOG"
sees warn "audit/röot log"
browse "$W/a.tar"
sees warn
say "one changed byte, and no bundle at all"
python3 - "$W/a.tar" "$W/f.tar" <<'PY'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[2], "wb").write(data)
PY
browse "$W/f.tar" "$VAULT" "$LOG"
sees bad "Tampered"
browse "$KEY"
sees bad
umount_archive
ok evidence-browser
