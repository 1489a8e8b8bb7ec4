#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# coffer sync --watch: what is written is at the vaults soon after; one that does not answer keeps no other waiting and is caught up
# once it answers again; one that is added later is found; it ends when it is asked to, also in the middle of a round.
. "$(dirname "$0")/lib.sh"

cd "$W"
make_store audit
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
for v in a b c; do coffer-vault init $v --name vault.example/$v > out; done
expect_fail "coffer vault add" coffer sync "$STORE" --watch
coffer vault add "$STORE" a "dir:$W/a" > out
coffer vault add "$STORE" b "dir:$W/b" > out
expect_code 2 coffer sync "$STORE" --every 5m
expect_code 2 coffer sync "$STORE" --watch --every 0s
expect_code 2 coffer sync "$STORE" --watch --every soon
expect_code 2 coffer sync "$STORE" --watch --key-file "$KEY"
expect_fail "no vault 'd'" coffer sync "$STORE" d --watch
mount_archive
watch() { # watch OPTION…
    rm -f said # what an ended one's vault says late goes to the old one
    coffer sync "$STORE" --watch --every 1s "$@" > said 2>&1 &
    watcher=$!
    child $watcher
}
ended_well() { # within seconds, and with 0
    kill "$1" $watcher
    await 20 "the end after $1" gone $watcher
    wait $watcher || fail "it ended with $?: $(cat said)"
}
# What VAULT has under its own signature includes all that was written.
frames() { sed -n 2p "$1" 2> /dev/null || echo 0; }
has_all() { [ "$(frames "$1/archives/$ID/checkpoint")" -ge "$least" ]; }
write() { # a line, and how many frames there are at least with it
    echo "$1" >> "$MNT/audit/log"
    coffer verify "$STORE" > out 2>&1 || fail "verify: $(cat out)"
    least=$(frames "$STORE/checkpoint")
}

say "what is written is there soon after"
write first
watch
for v in a b; do await 20 "vault $v" has_all $v; done
write second
for v in a b; do await 20 "vault $v, again" has_all $v; done

say "one that does not answer keeps no other waiting, and is caught up afterwards"
mv b away
write third
await 20 "vault a" has_all a
await 20 "a failure of b" grep -q "vault b: " said
mv away b
await 30 "vault b, which answers again" has_all b

say "one that is added later"
coffer vault add "$STORE" c "dir:$W/c" > out
least=$(frames "$STORE/checkpoint")
await 30 "vault c" has_all c
for v in a c; do await 10 "a word of who took what" grep -q "^$v took .* on record" said; done
ended_well -TERM

say "of two only, as JSON; ended by Ctrl-C while a round with one hangs"
printf '#!/bin/sh\necho $$ > "%s/hangs"\nexec sleep 1000\n' "$W" > hang && chmod 755 hang
sed -i 's|^url = dir:.*|url = ssh://vault.example/x|' "$STORE/vaults/b.conf"
export COFFER_SSH=$W/hang
watch a b --json
await 20 "a round with b" test -s hangs
child "$(cat hangs)"
write fourth
await 20 "vault a" has_all a
await 10 "a word of a" grep -q '"vault":"a"' said
ended_well -INT
jsonl '{o["vault"] for o in j}' < said | grep -qx "{'a'}" || fail "not only a: $(cat said)"
umount_archive

say "nothing is written any more, and nobody records: what failed is tried again all the same"
unset COFFER_SSH
sed -i "s|^url = ssh:.*|url = dir:$W/b|" "$STORE/vaults/b.conf"
mv b away
watch b
await 20 "a failure of b" grep -q "vault b: " said
mv away b
await 30 "vault b, without anything new" grep -q "^b [a-z]* .*frames" said
ended_well -HUP
for v in a b c; do coffer verify "$v/archives/$ID" > out 2>&1 || fail "vault $v: $(cat out)"; done
verify_intact

say "on a terminal: several rounds at once have one line that says how far each is, and what they say comes in whole lines"
mount_archive
head -c 5000000 /dev/urandom > "$MNT/audit/much"
cat > screen.py << 'PY'
import fcntl, os, pty, re, signal, struct, sys, termios, time
pid, fd = pty.fork()
if pid == 0:
    os.execvp("coffer", ["coffer", "sync", sys.argv[1], "--watch", "--every", "1s", "--limit", "1M"])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
raw, ended = b"", False
while True:
    try:
        b = os.read(fd, 4096)
    except OSError:
        break
    if not b:
        break
    raw += b
    if not ended and all(re.search(rb"[K\n]%s took .* has \d+; confirmed" % v, raw) for v in (b"a", b"b", b"c")):
        ended = True
        os.kill(pid, signal.SIGINT)
status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
# what stands in the row of the cursor each time that it is begun anew or left, and the rows that stay
rows, draws, row, at = [], [], "", 0
for piece in re.findall(r"\r\n|\r|\x1b\[K|[^\r\n\x1b]+|.", raw.decode(), re.S):
    if piece == "\r\n" or piece == "\n":
        rows.append(row)
        row, at = "", 0
    elif piece == "\r":
        draws.append(row)
        at = 0
    elif piece == "\x1b[K":
        row = row[:at]
    else:
        row = row[:at] + piece + row[at + len(piece):]
        at += len(piece)
print(status)
print(sum(bool(re.fullmatch(r"([abc] \d+ %  ){2,3}[\d.]+ [KMG]?i?B/s", d)) for d in draws))
for d in draws:
    if d and not re.fullmatch(r"([abc] \d+ %  ){2,3}[\d.]+ [KMG]?i?B/s|[abc] \[[#.]*\] +\d+ % of .*", d):
        print("drawn:", repr(d))
for r in rows:
    if not re.fullmatch(r"[abc] (took|has) .* confirmed at .*\.|coffer sync: vault [abc]: .*|", r):
        print("row:", repr(r))
PY
timeout 100 python3 screen.py "$STORE" > out || fail "the screen: $(cat out)"
same "it ended with" 0 "$(sed -n 1p out)"
[ "$(sed -n 2p out)" -ge 3 ] || fail "no line is about several: $(cat out)"
same "what is neither" "" "$(tail -n +3 out)"
umount_archive
ok sync-watch
