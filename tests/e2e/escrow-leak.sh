#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Escrow in an archive: no byte of a key or a share in the memory that can be read of the processes and daemon that take it in and
# give it out (to an age recipient, to a certificate, by the TPM), in their arguments, environment, in a core, in what is left on the
# terminal, or in any file.
. "$(dirname "$0")/lib.sh"

command -v age > /dev/null || skip "age is not installed"
LIST=$TOP/fs/leak/lists/slip39.txt
cd "$W"
mkdir away kits said r
for n in alice bob carol owner; do age-keygen -o away/$n.key 2> /dev/null; done
{
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob, carol\n'
    for n in alice bob carol; do
        printf '[custodian %s]\nperson = %s\nplace = %s-safe\nmedium = card-%s\nrecipient = %s\n' $n $n $n $n "$(age-keygen -y away/$n.key)"
    done
} > scheme.ini
make_store audit
mount_archive
coffer escrow init "$MNT/keys" --scheme scheme.ini > said/out
for number in 1 2; do
    coffer escrow epoch --scheme scheme.ini --number $number -o kits/$number --rehearsal --json > said/made
    for n in alice bob carol; do
        age -d -i away/$n.key kits/$number/$n.age > away/$n.words$number
        nonce=$(json "j[\"challenges\"][\"$n\"]" < said/made)
        coffer escrow confirm --epoch kits/$number/epoch.json $n "$nonce" \
            "$(coffer share prove --nonce "$nonce" --share-fd 3 3< away/$n.words$number)" > said/out
    done
    [ $number = 2 ] || coffer escrow accept "$MNT/keys" kits/1/epoch.json > said/out
done
openssl genpkey -algorithm X25519 -out away/key.pem
openssl pkey -in away/key.pem -outform DER -out away/key.der
KEYS=(text:away/key.pem bytes:away/key.der hex:away/key.der)
python3 "$TOP/tests/slip39.py" secret "$LIST" away/alice.words2 away/bob.words2 |
    python3 -SE -c 'import sys; sys.stdout.buffer.write(bytes.fromhex(sys.stdin.read()))' > away/secret
SHARES=("bytes:away/secret" "hex:away/secret" "share:away/bob.words2:$LIST" "share:away/alice.words1:$LIST" "share:away/alice.words2:$LIST")
daemon=$(daemon_pid)
search() { python3 "$TOP/tests/memory.py" "$@"; }
limits() { same "core limit of $1" 0 "$(awk '/^Max core file size/ {print $5}' "/proc/$1/limits")"; }

say "the search finds what is there"
expect_fail "holds line" search files away "${KEYS[0]}"
expect_fail "holds bytes" search files away "${KEYS[1]}"
expect_fail "holds words" search files away "${SHARES[@]}"
no_file_has() { for d in "$STORE" kits said; do search files "$d" "$@"; done; }
ok "the search"

say "a key is taken in: while the daemon is asked"
kill -STOP "$daemon"
coffer escrow put "$STORE/keys" away/key.pem --owner subscriber --level 2 --rehearsal --json > said/put 2> said/err &
putting=$!
child $putting
asks() { [ -S "$COFFER_RUN_DIR"/*.sock ] && grep -q . "/proc/$putting/wchan" && [ "$(find "/proc/$putting/fd" -lname 'socket:*' 2> /dev/null | wc -l)" -gt 0 ]; }
await 4 "coffer escrow put to ask" asks
search process $putting key.pem "${KEYS[@]}"
limits $putting
kill -CONT "$daemon"
wait $putting || fail "$(cat said/err)"
ID=$(json 'j["key"]' < said/put)
search process "$daemon" audit "${KEYS[@]}" "${SHARES[@]}"
no_file_has "${KEYS[@]}" "${SHARES[@]}"
ok "taken in"

say "keys go to another epoch: while the second share is waited for"
coffer escrow accept "$MNT/keys" kits/2/epoch.json > said/out
mkfifo late
coffer escrow rotate "$MNT/keys" --rehearsal --share-fd 3 --share-fd 4 3< away/alice.words1 4<> late > said/rotated 2> said/waiting &
rotating=$!
child $rotating
await 10 "the first share to be taken" grep -q "alice: taken" said/waiting
search process $rotating scheme "${KEYS[@]}" "share:away/alice.words1:$LIST"
limits $rotating
kill $rotating
wait $rotating 2> /dev/null || true
coffer escrow rotate "$MNT/keys" --rehearsal --share-fd 3 --share-fd 4 3< away/alice.words1 4< away/bob.words1 > said/rotated 2> said/err || fail "$(cat said/err)"
grep -q "1 key went from epoch 1 to epoch 2" said/rotated || fail "$(cat said/rotated)"
coffer share combine --epoch kits/2/epoch.json --decrypt "$MNT/keys/$ID.2.age" -o away/back.pem --share-fd 3 --share-fd 4 \
    3< away/alice.words2 4< away/carol.words2 2> said/err
cmp away/back.pem away/key.pem

say "a key is recovered, by approval and shares: while the second share is waited for"
for n in anna ben; do ssh-keygen -q -t ed25519 -N '' -C '' -f away/$n; done
for n in anna ben; do echo "$n $(cut -d' ' -f1,2 away/$n.pub) roles=officer"; done > people
coffer people set "$STORE" people -o r > said/out
R=$(echo r/*.request)
for n in anna ben; do ssh-keygen -q -Y sign -n coffer-people -f away/$n < "$R" > "$R.$n" 2> said/err; done
coffer people accept "$STORE" "$R" "$R.anna" "$R.ben" > said/out 2> said/err
rm r/*
coffer escrow recover "$MNT/keys" "$ID" --to "$(age-keygen -y away/owner.key)" --reason practice --as anna --key away/anna --dir r > said/out 2> said/err
coffer approve "$STORE" r/*.request --key away/ben > said/out 2> said/err
coffer escrow recover "$MNT/keys" "$ID" -o mine.age --share-fd 3 --share-fd 4 3< away/alice.words2 4<> late > said/recovered 2> said/waiting &
recovering=$!
child $recovering
await 10 "the first share to be taken" grep -q "alice: taken" said/waiting
search process $recovering scheme "${KEYS[@]}" "${SHARES[@]}"
limits $recovering
kill $recovering
wait $recovering 2> /dev/null || true
coffer escrow recover "$MNT/keys" "$ID" -o mine.age --share-fd 3 --share-fd 4 3< away/alice.words2 4< away/bob.words2 > said/recovered 2> said/err
cmp <(age -d -i away/owner.key mine.age) away/key.pem
search process "$daemon" audit "${KEYS[@]}" "${SHARES[@]}"
same "what came of it is encrypted" "age-encryption.org/v1" "$(head -n 1 mine.age)"
ok "recovered"

# Other roads, on a terminal, looked at when the key was opened and is written: the process is stopped at its first fsync.
cat > road.py <<'PYTHON'
import os, pty, signal, subprocess, sys
out, words, then, memory, needles, command = sys.argv[1], sys.argv[2].split(), sys.argv[3], sys.argv[4], sys.argv[5].split(), sys.argv[6:]
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp("strace", ["strace", "-qq", "-o", out + ".calls", "-e", "trace=fsync", "-e", "inject=fsync:signal=STOP:when=1", *command])
signal.alarm(30)
seen, at = b"", 0
def wait_for(text):
    global seen, at
    while text not in seen[at:]:
        seen += os.read(fd, 65536)
    at = seen.index(text, at) + len(text)
for path in words:
    share = open(path).read().split()
    for i in range(0, len(share), 11):
        wait_for(b"Share, word %d: " % (i + 1))
        os.write(fd, " ".join(share[i : i + 11]).encode() + b"\n")
if then:
    wait_for(b"the return key.")
    subprocess.run(then, shell=True, check=True)
    os.write(fd, b"\n")
while "stopped by SIGSTOP" not in open(out + ".calls").read():
    assert os.waitpid(pid, os.WNOHANG)[0] == 0, os.read(fd, 65536).decode()
child = int(open("/proc/%d/task/%d/children" % (pid, pid)).read())
subprocess.run([sys.executable, memory, "process", str(child), "scheme"] + needles, check=True)
assert "Max core file size        0 " in open("/proc/%d/limits" % child).read()
os.kill(child, signal.SIGCONT)
try:
    while more := os.read(fd, 65536):
        seen += more
except OSError:
    pass
open(out, "wb").write(seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PYTHON
on_road() { # on_road NAME WORDS THEN COMMAND...
    python3 road.py "said/$1.tty" "$2" "$3" "$TOP/tests/memory.py" "${KEYS[*]} ${SHARES[*]}" "${@:4}" > said/out 2> said/err ||
        fail "$1: $(cat said/out said/err)"
}
release() { # release KEY RECIPIENT
    rm -f r/*
    coffer escrow recover "$MNT/keys" "$1" --to "$2" --reason practice --as anna --key away/anna --dir r > said/out 2> said/err
    coffer approve "$STORE" r/*.request --key away/ben > said/out 2> said/err
}
command -v strace > /dev/null || skip "strace is not installed"
say "for the owner of a certificate, on a terminal: when it was opened and encrypted anew"
printf '[req]\ndistinguished_name=d\n[d]\n[x]\nkeyUsage=keyAgreement\n' > conf
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 9 -config conf -keyout away/own.pem -subj /CN=own -extensions x -out own.crt 2> /dev/null
release "$ID" own.crt
on_road cms "away/alice.words2 away/bob.words2" "" coffer escrow recover "$MNT/keys" "$ID" -o mine.p7m --to own.crt
cmp <(openssl cms -decrypt -inform DER -in mine.p7m -inkey away/own.pem) away/key.pem
search process "$daemon" audit "${KEYS[@]}" "${SHARES[@]}"
ok "by CMS"

if command -v swtpm > /dev/null; then
    say "by the TPM, on a terminal"
    mkdir away/tpm sess
    swtpm socket --tpm2 --tpmstate dir="$W/away/tpm" --server type=unixio,path="$W/away/tpm/sock" --ctrl type=unixio,path="$W/away/tpm/sock.ctrl" \
        --flags not-need-init,startup-clear --daemon --pid file="$W/away/tpm/pid"
    child "$(cat away/tpm/pid)"
    export COFFER_TPM=$W/away/tpm/sock
    printf '[quorum]\nsets = alice bob\n' > quorum.ini
    for n in alice bob; do
        openssl ecparam -name prime256v1 -genkey -noout -out away/$n.pem && openssl pkey -in away/$n.pem -pubout -out $n.pub
        printf '[person %s]\nkey = %s.pub\n' $n $n >> quorum.ini
    done
    for n in alice bob; do
        rm -f r/*
        coffer escrow enroll "$MNT/keys" $n $n.pub --p256 --as anna --key away/anna --dir r > said/out 2> said/err || fail "$(cat said/err)"
        coffer approve "$STORE" r/*.request --key away/ben > said/out 2> said/err || fail "$(cat said/err)"
    done
    openssl genpkey -algorithm X25519 -out away/second.pem
    openssl pkey -in away/second.pem -outform DER -out away/second.der
    KEYS=(text:away/second.pem bytes:away/second.der hex:away/second.der)
    coffer escrow put "$MNT/keys" away/second.pem --owner subscriber --level 2 --rehearsal --tpm-quorum quorum.ini --tpm-key second.tpm > said/out 2> said/err ||
        fail "$(cat said/err)"
    SECOND=$(json 'j["key"]' < second.tpm)
    release "$SECOND" "$(age-keygen -y away/owner.key)"
    on_road tpm "" "for n in alice bob; do openssl dgst -sha256 -sign away/\$n.pem -out sess/\$n.sig sess/message; done" \
        coffer escrow recover "$MNT/keys" "$SECOND" -o by-tpm.age --tpm-key second.tpm --dir sess
    cmp <(age -d -i away/owner.key by-tpm.age) away/second.pem
    search process "$daemon" audit "${KEYS[@]}"
    KEYS+=(text:away/key.pem bytes:away/key.der hex:away/key.der)
    ok "by the TPM"
fi

say "a sheet: while it is written, who took the share has no word of it, and who makes the page is locked"
cat > slow.py <<'PYTHON'
import fcntl, os, struct, subprocess, sys, termios # a reader that does not read until it was looked at
r, w = os.pipe()
fcntl.fcntl(w, 1031, 4096)
p = subprocess.Popen(["coffer", "escrow", "sheet", "alice", "--epoch", "kits/2/epoch.json", "--share", "kits/2/alice.age",
                      "--identity", "away/alice.key", "--format", "html"], stdout=w)
os.close(w)
while struct.unpack("i", fcntl.ioctl(r, termios.FIONREAD, b"\0" * 4))[0] < 4096:
    assert p.poll() is None
maker = int(open("/proc/%d/task/%d/children" % (p.pid, p.pid)).read())
subprocess.run([sys.executable, sys.argv[1], "process", str(p.pid), "scheme"] + sys.argv[2:], check=True)
status = dict(line.split(":", 1) for line in open("/proc/%d/status" % maker))
assert int(status["VmLck"].split()[0]) > 0 and int(status["VmSwap"].split()[0]) == 0, status
assert "Max core file size        0 " in open("/proc/%d/limits" % maker).read()
words = b" ".join(open("away/alice.words2", "rb").read().split()[5:8])
for what in "cmdline", "environ":
    assert words not in open("/proc/%d/%s" % (maker, what), "rb").read()
page = b"".join(iter(lambda: os.read(r, 65536), b""))
assert p.wait() == 0 and words.split()[0] in page
PYTHON
python3 slow.py "$TOP/tests/memory.py" "share:away/alice.words2:$LIST" > said/out 2> said/err || fail "$(cat said/err)"
ok "a sheet"
umount_archive
no_file_has "${KEYS[@]}" "${SHARES[@]}"
ok "given out"
