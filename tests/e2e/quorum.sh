#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The archive's own recovery envelope, sealed to an epoch: recovered by a quorum's shares, from descriptors and on a terminal
# of hostile size, with Ctrl-C and a silent end; what is said, and that nothing of a share stays on the screen.
. "$(dirname "$0")/lib.sh"

command -v age > /dev/null || skip "age is not installed"
custodian() { printf '[custodian %s]\nperson = %s\nplace = %s\nmedium = paper\nrecipient = paper\n' "$1" "$1" "$1"; }
{
    printf '[scheme]\nname = root\ngroups = 2\n[group officers]\nthreshold = 2\nmembers = alice, bob, carol\n'
    printf '[group board]\nthreshold = 1\nmembers = dora\n'
    for n in alice bob carol dora; do custodian $n; done
} > "$W/scheme.ini"
K=$W/kit
mkdir "$K" "$W/new"
escrow-make "$W/scheme.ini" "$K"
escrow-make "$W/scheme.ini" "$W/new"
confirm() { # confirm DIR: by all
    local n=confirm-abcd-efgh-2345-abcd-efgh-2345 c
    for c in alice bob carol dora; do
        coffer escrow confirm --epoch "$1/epoch.json" $c $n "$(coffer share prove --nonce $n --share-fd 3 3< "$1/$c.words")" > /dev/null
    done
}

say "init and status"
expect_fail "not valid yet" coffer init "$STORE" --new-key-file "$KEY" --shelf audit --recovery "$K/epoch.json"
[ ! -e "$STORE" ] && [ ! -e "$KEY" ] || fail "something was left behind"
confirm "$K"
expect_code 2 coffer init "$STORE" --new-key-file "$KEY" --shelf audit --recovery "$K/epoch.json" --recovery "$(json 'j["recipient"]' < "$K/epoch.json")"
make_store audit -- --recovery "$K/epoch.json"
grep -q "A quorum of the epoch's custodians opens" "$W/init.out" || fail "$(cat "$W/init.out")"
said="3 persons at the fewest open the envelope, with shares of epoch 1 (coffer recover --shares)"
coffer status "$STORE" | grep -qF "$said" || fail "status: $(coffer status "$STORE")"
coffer seal show "$STORE" | grep -qF "$said" || fail "seal show: $(coffer seal show "$STORE")"
same "as JSON" "1 3 4" "$(coffer status "$STORE" --json | json '" ".join(str(j["recovery"]["shares"][k]) for k in ("epoch", "persons", "custodians"))')"
mount_archive
echo first > "$MNT/audit/log"
coffer status "$MNT" | grep -qF "$said" || fail "status of what is mounted: $(coffer status "$MNT")"
umount_archive
# A note of an epoch that is not of this envelope says nothing.
cp "$STORE/seal/recovery-epoch.json" "$W/note"
sed -i 's/"envelope":"./"envelope":"z/' "$STORE/seal/recovery-epoch.json"
coffer status "$STORE" | grep -q "one person opens the envelope" || fail "a note of another envelope is believed"
cp "$W/note" "$STORE/seal/recovery-epoch.json"
ok "init and status"

say "recover --shares, from descriptors"
recover() { coffer recover "$STORE" --shares --new-key-file "$W/${NEW:-key2}" "$@" 3< "$K/alice.words" 4< "$K/carol.words" 5< "$K/dora.words" 6< "$K/bob.forged"; }
expect_fail "group board needs 1 more: of dora" recover --share-fd 3 --share-fd 4
expect_fail "not the share that bob was given" recover --share-fd 6
[ ! -e "$W/key2" ] || fail "a key file was made without a quorum"
expect_code 2 coffer recover "$STORE" --shares --identity x --new-key-file "$W/key2"
expect_code 2 coffer recover "$STORE" --share-fd 3 --new-key-file "$W/key2"
expect_fail "of another set" coffer recover "$STORE" --shares --epoch "$W/new/epoch.json" --new-key-file "$W/key2" --share-fd 3 3< "$K/alice.words"
recover --share-fd 5 --share-fd 6 --share-fd 3 --share-fd 4 > "$W/out" 2> "$W/err"
grep -q "not the share that bob was given" "$W/err" || fail "the wrong share is not named: $(cat "$W/err")"
grep -q "A new epoch and new shares are due" "$W/out" || fail "$(cat "$W/out")"
expect_fail "" mount.coffer "$STORE" "$MNT" -o "keyfile=$KEY"
KEY=$W/key2
mount_archive
same "what was written" first "$(cat "$MNT/audit/log")"
umount_archive
# Another epoch in its place; then the old shares open nothing, and an ordinary recipient ends the note.
expect_fail "not valid yet" coffer seal recovery-renew "$STORE" --key-file "$KEY" --recovery "$W/new/epoch.json"
confirm "$W/new"
coffer seal recovery-renew "$STORE" --key-file "$KEY" --recovery "$W/new/epoch.json" > /dev/null
coffer status "$STORE" | grep -qF "$said" || fail "status after renewing: $(coffer status "$STORE")"
NEW=none
expect_fail "of another set" recover --share-fd 3
expect_fail "not sealed to this identity" recover --epoch "$K/epoch.json" --share-fd 3 --share-fd 4 --share-fd 5
age-keygen -o "$W/one" 2> /dev/null
coffer seal recovery-renew "$STORE" --key-file "$KEY" --recovery "$(age-keygen -y "$W/one")" > /dev/null
coffer status "$STORE" | grep -q "one person opens the envelope" || fail "a note of an older envelope is believed"
expect_fail "give its document" recover --share-fd 3
coffer seal recovery-renew "$STORE" --key-file "$KEY" --recovery "$K/epoch.json" > /dev/null
ok "recover"

say "on a terminal: hostile sizes, a wrong share, a mistyped word, Ctrl-C, Ctrl-Z, silence; nothing stays"
cat > "$W/terminal.py" <<'PY'
import fcntl, os, pty, re, signal, struct, sys, termios
kit, listed, ending, *command = sys.argv[1:]
words = {n: open(f"{kit}/{n}").read().split() for n in ("alice.words", "bob.forged", "carol.words", "dora.words")}
names = open(listed).read().split()
pid, fd = pty.fork()
if pid == 0:  # as a shell does it: the command has a process group of its own, and may be stopped
    os.environ["TERM"] = "xterm"
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp("coffer", command)
    _, status = os.waitpid(job, os.WUNTRACED)
    if os.WIFSTOPPED(status):
        os.write(1, b"<stopped>")
        os.kill(job, signal.SIGCONT)
        _, status = os.waitpid(job, 0)
    os.write(1, b"<echo>" if termios.tcgetattr(0)[3] & termios.ECHO else b"<no echo>")
    os._exit(os.waitstatus_to_exitcode(status))
signal.alarm(180)
out, seen = b"", 0
def read():
    global out
    try:
        more = os.read(fd, 65536)
    except OSError:
        more = b""
    out += more
    return more
def wait_for(text):
    global seen
    while text not in out[seen:]:
        assert read(), (text, out)
    seen = out.index(text, seen) + len(text)
def size(rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
def give(name, first=b""):
    for at in range(0, len(words[name]), 11):
        wait_for(b"Share, word %d: " % (at + 1))
        if at == 0:  # with nothing on its way: a terminal drops what is, either way, at a key that is a signal
            os.write(fd, first)
        os.write(fd, " ".join(words[name][at : at + 11]).encode() + b"\n")
size(0, 0)
wait_for(b"officers: 0 of 2; may come: alice, bob, carol")
wait_for(b"board: 0 of 1; may come: dora")
wait_for(b"word 1: ")
os.write(fd, b"academi\n")
wait_for(b"word 1 is not of the list; near to it are academic")
size(1, 1)
give("bob.forged", b"\x1a")  # Ctrl-Z waits until the screen is left
wait_for(b"not the share that bob was given")
size(65535, 65535)
give("alice.words")
wait_for(b"officers: 1 of 2; here: alice; may come: bob, carol")
wait_for(b"alice: taken")
if ending == "interrupt":
    wait_for(b"word 1: ")
    os.write(fd, (" ".join(words["carol.words"][:5]) + "\n").encode())
    wait_for(b"word 6: ")
    os.write(fd, b"\x03")
elif ending == "go-on":
    give("dora.words")
    wait_for(b"board: 1 of 1; here: dora; complete")
    size(2, 3)
    give("carol.words")
while read():
    pass
_, status = os.waitpid(pid, 0)
text = out.decode()
# Everything up to the end of the session is on the other screen, which is cleared before it is left.
begin, end = text.index("\033[?1049h"), text.index("\033[?1049l")
assert begin == 0, text[:begin]
assert text[:end].endswith("\033[H\033[2J"), text[end - 20 : end]
assert text.count("\033[?1049h") == text.count("\033[?1049l") == 1
assert text[end:].count("<stopped>") == 1 and "<stopped>" not in text[:end] and text.endswith("<echo>"), text
assert not re.search("academic|near to|word [0-9]", text[end:]), text[end:]
# No word of a share was shown at any time, but for what is near to the mistyped one.
shown = re.sub(r"near to it are.*", "", text[:end])
for n in words:
    for i in range(30):
        row = " ".join(words[n][i : i + 3])
        assert row not in shown and row not in text[end:], n
print(text[end + 8 :].replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(status))
PY
LIST=$TOP/fs/leak/lists/slip39.txt
on_terminal() { python3 "$W/terminal.py" "$K" "$LIST" "$@"; }
again() { on_terminal "$1" coffer recover "$STORE" --shares --new-key-file "$W/key3" "${@:2}"; }
if again interrupt > "$W/out"; then fail "Ctrl-C, and it went on"; fi
grep -q "interrupted" "$W/out" || fail "$(cat "$W/out")"
if again silent --idle 3 > "$W/out"; then fail "it did not end"; fi
grep -q "nobody typed for 3 seconds" "$W/out" || fail "$(cat "$W/out")"
[ ! -e "$W/key3" ] || fail "a key file was made without a quorum"
again go-on > "$W/out"
grep -q "The keys of .* are recovered" "$W/out" || fail "$(cat "$W/out")"
KEY=$W/key3
mount_archive
same "what was written" first "$(cat "$MNT/audit/log")"
umount_archive
# The same session of coffer share combine.
age -r "$(json 'j["recipient"]' < "$K/epoch.json")" -o "$W/key.age" "$W/scheme.ini"
on_terminal go-on coffer share combine --epoch "$K/epoch.json" --decrypt "$W/key.age" -o "$W/plain" > /dev/null
cmp "$W/plain" "$W/scheme.ini"
# A terminal without another screen is told of no word that is near.
python3 - "$K" <<'PY'
import os, pty, sys
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execvp("coffer", ["coffer", "share", "check", "--idle", "3"])
out = b""
while b"word 1: " not in out:
    out += os.read(fd, 4096)
os.write(fd, b"academi\n")
try:
    while True:
        out += os.read(fd, 4096)
except OSError:
    pass
assert b"word 1 is not of the list. Type" in out and b"academic" not in out and b"\033" not in out, out
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1 and b"nobody typed for 3 seconds" in out, out
PY
ok "on a terminal"
