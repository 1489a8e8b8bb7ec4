#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ceremonies: held where there is no archive, carried over into one; rehearsed; interrupted on a terminal (ceremony-kill.sh kills them).
. "$(dirname "$0")/lib.sh"

command -v age > /dev/null || skip "age is not installed"
command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
cd "$W"
mkdir k
for n in anna ben cleo mallory; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$n; done
for n in alice bob owner; do age-keygen -o $n.key 2> /dev/null; done
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
{ echo "anna $(pub anna) roles=officer"; echo "ben $(pub ben) roles=officer"; echo "cleo $(pub cleo) roles=auditor"; } > people
scheme() { # scheme PLACE
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob\n'
    for n in alice bob; do
        printf '[custodian %s]\nperson = %s\nplace = %s-%s\nmedium = card-%s\nrecipient = %s\n' $n $n $n "$1" $n "$(age-keygen -y $n.key)"
    done
}
scheme safe > scheme.ini
words() { age -d -i "$2.key" "$1/$2.age"; }
all() { printf '%s k/%s\n' anna anna ben ben cleo cleo; }
signers() { for i in 1 2 3 4 5 6; do all; done; }
ceremony() { coffer ceremony "$@" 2> err; }
# What it asks each custodian, as they answer it: proofs DIR KIT CHALLENGES
proofs() {
    local n nonce
    json '"\n".join(n + " " + j[n] for n in sorted(j))' < "$3" | while read -r n nonce; do
        echo "$n $(coffer share prove --nonce "$nonce" --share-fd 3 3< <(words "$2" "$n"))"
    done
}
stopped() { expect_code 3 "$@"; }
state() { ceremony show "$1" --json | json "$2"; }

say "a creation where there is no archive: roll call, told and confirmed before it happens, signed at the end"
expect_fail "two others who confirm" coffer ceremony new creation -o held --people people --archive none --scheme scheme.ini --with anna --with cleo
expect_code 2 coffer ceremony new recovery -o held --people people --archive none --scheme scheme.ini
stopped ceremony new creation -o held --people people --archive none --scheme scheme.ini --reason "the first epoch" --place Taipei < /dev/null
[ ! -e held/kit-1 ] || fail "something was made before anybody was there"
expect_fail "is there already" coffer ceremony new creation -o held --people people --archive none --scheme scheme.ini
# Signed elsewhere, offline: only the statement goes there, only the signature comes back.
mkdir stick
cp held/sign/00-anna stick && ssh-keygen -q -Y sign -n coffer-ceremony -f k/anna stick/00-anna 2> err && cp stick/00-anna.sig held/sign
ssh-keygen -q -Y sign -n coffer-ceremony -f k/mallory held/sign/00-ben 2> err
ssh-keygen -q -Y sign -n coffer-rehearsal -f k/cleo held/sign/00-cleo 2> err
stopped ceremony continue held < /dev/null
grep -q "anna has signed" out && grep -q "ben signed does not count: .*wrong-key" out && grep -q "cleo signed does not count: .*wrong-purpose" out || fail "$(cat out)"
same "who is there" "['anna']" "$(state held 'j["present"]')"
rm held/sign/00-ben.sig held/sign/00-cleo.sig
{ echo go; echo stop; } > in
stopped ceremony continue held < in
grep -q "It takes an auditor who has signed, and two others" out || fail "it went on without them: $(cat out)"
cp -r held other && sed -i 's/Taipei/Tainan/' other/sheet.json
{ all; } > in
expect_fail "sheet.json was altered" coffer ceremony continue other < in
printf 'ben k/ben\ncleo k/cleo\nanna k/anna\ncleo k/cleo\nanna k/anna\nstop\n' > in
stopped ceremony continue held < in
for told in "archive: none" "epoch: 1" "reason: the first epoch" "custodians: alice bob"; do grep -qF "  $told" out || fail "the plan does not tell $told: $(cat out)"; done
same "one of two has confirmed, and not the auditor" "present present present told agreed" "$(state held '" ".join(l["what"] for l in j["lines"][1:])')"
[ ! -e held/kit-1 ] || fail "something was made that one confirmed"
signers > in
stopped ceremony continue held < in
same "made" "alice.age bob.age challenges.json epoch.json" "$(cd held/kit-1 && echo *)"
expect_fail "not complete: the step confirm" coffer ceremony verify held
words held/kit-1 alice > words-of-alice
same "no word of a share is in what is kept" "" "$(grep -rlF "$(cut -d' ' -f5-7 words-of-alice)" held || true)"
rm words-of-alice
same "reason and place are in the sheet only" held/sheet.json "$(grep -rlE "the first epoch|Taipei" held)"
echo "alice $(coffer share prove --nonce "$(json 'j["bob"]' < held/kit-1/challenges.json)" --share-fd 3 3< <(words held/kit-1 alice))" > in
stopped ceremony continue held < in
grep -q "What alice signed does not count" out || fail "an answer to another's question: $(cat out)"
rm -rf other && cp -r held other
sed -i 's/"epoch":1/"epoch":7/' other/kit-1/epoch.json && expect_fail "is not the document that was made" coffer ceremony continue other < /dev/null
proofs held held/kit-1 held/kit-1/challenges.json > answers
head -n 1 answers > in
stopped ceremony continue held < in
# Killed between the document and the line: the line is made up for, and nobody is asked again.
rm -rf other && cp -r held other && sed -i '$d' other/transcript
stopped ceremony continue other < /dev/null
same "confirmed" "confirmed 0" "$(state other 'j["lines"][-1]["what"] + " " + str(j["lines"][-1]["holder"])')"
{ tail -n 1 answers; all; } > in
ceremony continue held < in > out || fail "$(cat out err)"
grep -q "The ceremony is complete" out || fail "$(cat out)"
ceremony verify held > out || fail "$(cat err)"
grep -q "creation .*: [0-9]* lines, whole and signed" out || fail "$(cat out)"
same "the epoch is valid" "True []" "$(coffer ceremony show held --json | json 'j["complete"], [l for l in j["lines"] if l["what"] == "failed"]' | tr -d '(),')"
cp -r held whole
ceremony continue held < /dev/null > out
grep -q "is complete" out || fail "one that is complete: $(cat out)"
cmp held/transcript whole/transcript
python3 "$TOP/tests/second_ceremony.py" held/transcript --people people > second
same "the second reader" "creation none complete" "$(json 'j["kind"] + " " + j["archive"] + (" complete" if j["complete"] else "")' < second)"
ok "a creation"

say "changed, cut, forged: refused by each reader with its reason"
refused() { # refused WHAT NEW-DIR
    expect_fail "$1" coffer ceremony verify "$2"
    [ -n "$LONG" ] || [ "$1" = signature ] || [ "$1" = "line 5" ] || return 0
    if python3 "$TOP/tests/second_ceremony.py" "$2/transcript" --people people > second 2>&1; then fail "the second reader took it: $1"; fi
}
copy() { rm -rf other && cp -r whole other; }
copy && sed -i '5s/"plan"/"make"/' other/transcript && refused "line 5" other
copy && sed -i '3d' other/transcript && refused "does not follow the line before" other
copy && sed -i '$d' other/transcript && refused "cleo has not signed the end" other
copy && sed -i '$s/\(SIGNATURE-----\\n.\{200\}\)\(.\)/\1\2\2/' other/transcript && refused "signature" other
copy && head -c -20 whole/transcript > other/transcript && refused "cut off" other
copy && sed -i 's/roles=auditor/roles=custodian/' other/people && expect_fail "another people file" coffer ceremony verify other
ok "refused"

say "carried over: once, by the archive's own people; another archive's, an altered one and an incomplete one are not"
make_store audit -- --recovery held/kit-1/epoch.json
OPEN=(--key-file "$KEY")
mkdir r
expect_fail "nobody is enrolled (no-people)" coffer ceremony submit "$STORE" held "${OPEN[@]}"
same "on record" 1 "$(coffer events "$STORE" --type request-refused --json "${OPEN[@]}" | grep -c 'ceremony refused (no-people)')"
coffer people set "$STORE" people -o r "${OPEN[@]}" > out
R=$(echo r/*.request)
for n in anna ben; do ssh-keygen -q -Y sign -n coffer-people -f k/$n < "$R" > "$R.$n" 2> /dev/null; done
coffer people accept "$STORE" "$R" "$R.anna" "$R.ben" "${OPEN[@]}" > out
mount_archive
copy && sed -i '$d' other/transcript && expect_fail "cleo has not signed the end (incomplete)" coffer ceremony submit "$STORE" other
copy && sed -i '3d' other/transcript && expect_fail "(altered)" coffer ceremony submit "$STORE" other
copy && sed -i 's/Taipei/Tainan/' other/sheet.json && expect_fail "(other-sheet)" coffer ceremony submit "$STORE" other
coffer ceremony submit "$STORE" held > out
grep -q "The transcript of this creation is on record" out || fail "$(cat out)"
expect_fail "in the chain already (replay)" coffer ceremony submit "$STORE" held
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
ok "carried over"

say "a rehearsal says so everywhere, and is nothing else"
{ signers; } > in
stopped ceremony new creation -o practice --rehearsal --people people --archive "$ID" --scheme scheme.ini --language ko < in
grep -q "예행연습입니다" out && grep -q "coffer-rehearsal" out || fail "$(cat out)"
same "the epoch is one" True "$(json 'j["rehearsal"]' < practice/kit-1/epoch.json)"
if [ -n "$LONG" ]; then proofs practice practice/kit-1 practice/kit-1/challenges.json > in; else printf 'abandon\nabandon\n' > in; fi
all >> in
ceremony continue practice --language zh-Hant < in > out || fail "$(cat out)"
grep -q "儀式完成" out || fail "$(cat out)"
copy && sed 's/"rehearsal":true/"rehearsal":false/' practice/transcript > other/transcript && refused "line 2" other
expect_fail "nothing is rehearsed with it" coffer ceremony new resharing -o no --rehearsal --people people --archive "$ID" --scheme scheme.ini --number 2 --epoch held/kit-1/epoch.json
expect_fail "is a rehearsal" coffer ceremony new destruction -o no --people people --archive "$ID" --epoch practice/kit-1/epoch.json
coffer ceremony submit "$STORE" practice > out
grep -q "a REHEARSAL, which counts as nothing else" out || fail "$(cat out)"
same "events" "ceremony ceremony-rehearsal" "$(coffer events "$STORE" --json | jsonl '" ".join(e["event"] for e in j if e["event"].startswith("ceremony"))')"
ok "a rehearsal"

say "resharing, recovery, destruction"
scheme vault > new.ini
signers > in
E=held/kit-1/epoch.json
shares() { "$@" --share-fd 3 --share-fd 4 3< <(words held/kit-1 alice) 4< <(words held/kit-1 bob); }
stopped shares coffer ceremony new resharing -o again --people people --archive "$ID" --scheme new.ini --number 2 --epoch $E < in
same "of the same secret" "$(json 'j["recipient"]' < $E)" "$(json 'j["recipient"]' < again/kit-1/epoch.json)"
{ proofs again again/kit-1 again/kit-1/challenges.json; all; } > in
ceremony continue again < in > out || fail "$(cat out)"
age -r "$(json 'j["recipient"]' < $E)" -o key.age scheme.ini
signers > in
one() { "$@" --share-fd 3 3< <(words held/kit-1 alice); }
stopped one coffer ceremony new recovery -o rec --people people --archive "$ID" --epoch $E --decrypt key.age --to "$(age-keygen -y owner.key)" < in
grep -q "of it counts: not enough shares" out && [ ! -e rec/delivered-1.age ] || fail "$(cat out)"
shares coffer ceremony continue rec < in > out 2> err || fail "$(cat out err)"
same "the attempts" "begun failed begun" "$(state rec '" ".join([l["what"] for l in j["lines"] if l["what"] in ("begun", "failed")][-3:])')"
cmp <(age -d -i owner.key "$(echo rec/delivered-*.age)") scheme.ini
{ all; all; all; } > in
stopped coffer ceremony new destruction -o end --people people --archive "$ID" --epoch $E --custodian bob < in
cp -r end drawn # as a version before drew it
sed -i 's/erase-....-/destroy-aaaa-/g' drawn/challenges.json
{ proofs drawn held/kit-1 drawn/challenges.json | grep ^bob; echo bob; all; } > in
ceremony continue drawn < in > out || fail "$(cat out)"
coffer ceremony show drawn | grep -q "share 2, by a proof that is bound to no ceremony" || fail "not told: $(coffer ceremony show drawn)"
proofs end held/kit-1 end/challenges.json > answers
{ grep ^alice answers; grep ^bob answers; echo bob; all; } > in
ceremony continue end < in > out || fail "$(cat out)"
grep -q "Destroy the share of bob now" out || fail "$(cat out)"
same "one share" 1 "$(state end 'len([l for l in j["lines"] if l["what"] == "destroyed"])')"
coffer ceremony show end | grep -q "bound to no" && fail "told: $(coffer ceremony show end)"
for d in end drawn; do python3 "$TOP/tests/second_ceremony.py" $d/transcript --people people > second || fail "$d: $(cat second)"; done
python3 - "$TOP/tests" << 'PY' || fail "a proof for another ceremony"
import json, sys
sys.path.insert(0, sys.argv[1])
from second_ceremony import Refused, Transcript, canonical
lines = open("end/transcript", "rb").read().split(b"\n")
at = next(i for i, l in enumerate(lines) if b'"what":"destroyed"' in l)
there = json.loads(lines[at])
for challenge in (there["challenge"], "erase-aaaa" + there["challenge"][10:]):
    try:
        Transcript(b"\n".join(lines[:at]) + b"\n" + canonical({**there, "challenge": challenge}))
        assert challenge == there["challenge"]
    except Refused as e:
        assert challenge != there["challenge"] and "something else" in str(e), e
PY
for d in again rec end; do coffer ceremony submit "$STORE" $d > out; done
sed "s/$ID/$(printf 'ab%.0s' {1..16})/" end/transcript > other/transcript
expect_fail "(altered)" coffer ceremony submit "$STORE" other
{ all; all; } > in
stopped coffer ceremony new destruction -o foreign --people people --archive "$(printf 'ab%.0s' {1..16})" --epoch $E --custodian bob < in
{ echo abandon; echo abandon; all; } > in
ceremony continue foreign < in > out || fail "$(cat out)"
expect_fail "for another archive (wrong-archive)" coffer ceremony submit "$STORE" foreign
coffer ceremony list "$STORE" > list
same "listed" "creation creation resharing recovery destruction" "$(awk '{print $3}' list | tr '\n' ' ' | sed 's/ $//')"
same "rehearsals among them" 1 "$(grep -c REHEARSAL list)"
umount_archive
verify_intact
second_reader --json > reader
same "the second reader of the archive" "4 1 []" "$(json 'j["ceremonies"]["held"], j["ceremonies"]["rehearsed"], j["not_permitted"]' < reader | tr -d '(),')"
rm -rf "$STORE/index"
same "listed without an index" 5 "$(coffer ceremony list "$STORE" "${OPEN[@]}" | wc -l)"
expect_fail "in the chain already" coffer ceremony submit "$STORE" end "${OPEN[@]}"
ok "the others"

say "on a terminal: hostile sizes, Ctrl-Z, Ctrl-C at a question and while shares are typed; it goes on"
cat > terminal.py <<'PY'
import fcntl, os, pty, re, signal, struct, sys, termios
ending, *command = sys.argv[1:]
pid, fd = pty.fork()
if pid == 0:  # as a shell does it: a process group of its own, which may be stopped
    os.environ["TERM"] = "xterm"
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
        os.execvp("coffer", command)
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            break
        os.tcsetpgrp(0, os.getpgrp())
        os.write(1, b"<stopped>")
        os.tcsetpgrp(0, job)
        os.kill(job, signal.SIGCONT)
    os.tcsetpgrp(0, os.getpgrp())
    os.write(1, b"<echo>" if termios.tcgetattr(0)[3] & termios.ECHO else b"<no echo>")
    os._exit(os.waitstatus_to_exitcode(status))
signal.alarm(120)
out, seen = b"", 0
def wait_for(text):
    global out, seen
    while text not in out[seen:]:
        out += os.read(fd, 65536)
    seen = out.index(text, seen) + len(text)
def size(rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
def words(name):
    text = open(name).read().split()
    for at in range(0, len(text), 11):
        wait_for(b"Share, word %d: " % (at + 1))
        os.write(fd, " ".join(text[at : at + 11]).encode() + b"\n")
size(0, 0)
if ending == "roll":
    wait_for(b"stop> ")
    os.write(fd, b"\x1a")
    wait_for(b"<stopped>")
    size(1, 1)
    for name in ("anna", "ben"):
        os.write(fd, f"{name} k/{name}\n".encode())
        wait_for(name.encode() + b" has signed")
        wait_for(b"stop> ")
    size(65535, 65535)
    os.write(fd, b"\x03")
else:
    for name in ("cleo", "anna", "ben", "anna", "ben")[0 if ending == "shares" else 5 :]:
        wait_for(b"> ")
        os.write(fd, f"{name} k/{name}\n".encode())
        wait_for(name.encode() + b" has signed")
    size(2, 3)
    words("alice.words")
    wait_for(b"alice: taken")
    if ending == "shares":
        wait_for(b"word 1: ")
        os.write(fd, b"\x03")
    else:
        words("bob.words")
        for name in ("anna", "ben", "cleo"):
            wait_for(b"> ")
            os.write(fd, f"{name} k/{name}\n".encode())
try:
    while more := os.read(fd, 65536):
        out += more
except OSError:
    pass
text = out.decode()
assert text.endswith("<echo>"), text
for name in ("alice.words", "bob.words"):
    w = open(name).read().split()
    assert not any(" ".join(w[i : i + 3]) in text for i in range(30)), name
print(re.sub(r"\033\[[?0-9]*[hlHJ]", "", text).replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
PY
for n in alice bob; do words held/kit-1 $n > $n.words; done
expect_code 3 python3 terminal.py roll coffer ceremony new recovery -o term --people people --archive "$ID" --epoch $E --decrypt key.age --to "$(age-keygen -y owner.key)"
grep -q "Stopped. It goes on by" out || fail "$(cat out)"
same "who has signed" "['anna', 'ben']" "$(state term 'j["present"]')"
expect_code 3 python3 terminal.py shares coffer ceremony continue term
same "the attempt is on record" "begun failed stopped" "$(state term '" ".join(l["what"] for l in j["lines"][-2:]) + " " + j["lines"][-1]["reason"]')"
python3 terminal.py end coffer ceremony continue term > out || fail "$(cat out)"
cmp <(age -d -i owner.key term/delivered-2.age) scheme.ini
ceremony verify term > out || fail "$(cat err)"
ok "on a terminal"

say "what is opened is what the first line names, also if another file lies there once the custodians have typed"
mkfifo typing
signers > in
(exec 3< typing && exec coffer ceremony new recovery -o swapped --people people --archive "$ID" --epoch $E --decrypt key.age \
    --to "$(age-keygen -y owner.key)" --share-fd 3 --share-fd 4 4< bob.words < in > swap.out 2>&1) &
typist=$!
exec 9> typing
await 20 "a share to be asked for" grep -q '^0 0x3 ' /proc/$typist/syscall
age -r "$(json 'j["recipient"]' < $E)" -o swapped/input.age people
cat alice.words >&9
exec 9>&-
wait $typist && fail "another file was opened: $(cat swap.out)"
grep -q "is not the file that was agreed to" swap.out || fail "$(cat swap.out)"
ls swapped/delivered-* > out 2>&1 && fail "something was delivered: $(cat out)"
rm alice.words bob.words
ok "another file"

if [ -n "$LONG" ]; then # a minute of key generation
    say "so many large keys that the end could not be signed: said before anything is made"
    mkdir many
    seq 16 | xargs -P "$(nproc)" -I{} ssh-keygen -q -t rsa -b 4096 -N '' -C '' -f many/p{}
    for i in $(seq 16); do echo "p$i $(cut -d' ' -f1,2 many/p$i.pub) roles=$([ "$i" = 16 ] && echo auditor || echo officer)"; done > many/people
    for _ in 1 2 3 4; do for i in $(seq 16); do echo "p$i many/p$i"; done; done > in
    expect_fail "would become longer than a frame takes" coffer ceremony new creation -o many/held --people many/people --archive none --scheme scheme.ini < in
    [ ! -e many/held/kit-1 ] || fail "shares were made whose ceremony cannot end"
    ok "too many large keys"
fi
