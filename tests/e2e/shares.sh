#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What custodians do with their shares: check, prove, combine; and the same recovery with foreign tools alone.
. "$(dirname "$0")/lib.sh"

LIST=$TOP/fs/leak/lists/slip39.txt
command -v age > /dev/null || skip "age is not installed"
age-keygen -o "$W/dora.key" 2> /dev/null
dora=$(age-keygen -y "$W/dora.key")
custodian() { printf '[custodian %s]\nperson = %s\nplace = %s\nmedium = paper\nrecipient = %s\n' "$1" "$1" "$2" "${3:-paper}"; }
{
    printf '[scheme]\nname = root\ngroups = 2\n[group officers]\nthreshold = 2\nmembers = alice, bob, carol\n'
    printf '[group board]\nthreshold = 1\nmembers = dora\n'
    custodian alice north; custodian bob south; custodian carol east; custodian dora west "$dora"
} > "$W/scheme.ini"
mkdir "$W/kit" "$W/other"
escrow-make "$W/scheme.ini" "$W/kit"
escrow-make "$W/scheme.ini" "$W/other"
E=$W/kit/epoch.json
recipient=$(json 'j["recipient"]' < "$E")
age -d -i "$W/dora.key" "$W/kit/dora.age" > "$W/kit/dora.words"
echo "the escrowed key, mark-Pq93-of-it" > "$W/plain"
age -r "$recipient" -o "$W/kit/key.age" "$W/plain"

say "check"
out=$(coffer share check --share-fd 3 3< "$W/kit/bob.words")
[[ $out == *"member 2 of group 1"* ]] || fail "check: $out"
out=$(coffer share check --epoch "$E" --share-fd 3 3< "$W/kit/bob.words")
[[ $out == *"the share of bob in epoch 1"* ]] || fail "check --epoch: $out"
same "a custodian's name in JSON" carol "$(coffer share check --epoch "$E" --share-fd 3 --json 3< "$W/kit/carol.words" | json 'j["custodian"]')"
coffer share check --share-fd 3 > /dev/null 3< "$W/kit/bob.forged"
expect_fail "not the share that bob was given" coffer share check --epoch "$E" --share-fd 3 3< "$W/kit/bob.forged"
expect_fail "of another set" coffer share check --epoch "$E" --share-fd 3 3< "$W/other/bob.words"
sed 's/^[a-z]* [a-z]*/academic acid/' "$W/kit/bob.words" > "$W/wrong"
expect_fail "do not fit together" coffer share check --share-fd 3 3< "$W/wrong"
sed 's/ [a-z]* / xyzzyq /' "$W/kit/bob.words" > "$W/wrong"
expect_fail "word 2 is not of the list" coffer share check --share-fd 3 3< "$W/wrong"
expect_code 2 coffer share check --reveal
expect_code 2 coffer share prove
expect_code 2 coffer share prove --nonce drill-1
expect_code 2 coffer share combine --reveal
expect_code 2 coffer share combine --epoch "$E" --reveal --decrypt x -o y
expect_code 2 coffer share other
ok "check"

say "prove: the words typed on a terminal, with mistakes, and none of them shown"
nonce=drill-abcd-efgh-2345-abcd-efgh-2345
proof=$(coffer share prove --nonce $nonce --share-fd 3 3< "$W/kit/alice.words")
python3 - "$W/kit/alice.words" "$nonce" "$proof" <<'PY'
import os, pty, re, sys
words = open(sys.argv[1]).read().split()
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp("coffer", ["coffer", "share", "prove", "--nonce", sys.argv[2]])
out, seen = b"", 0
def wait_for(prompt):
    global out, seen
    while not out[seen:].endswith(prompt):
        out += os.read(fd, 4096)
    seen = len(out)
def typed(at, line):
    wait_for(b"Share, word %d: " % at)
    os.write(fd, line.encode() + b"\n")
typed(1, words[0][:4].upper() if len(words[0]) > 4 else words[0])
typed(2, "academi")        # a letter short: not taken, and not put right
typed(2, "academic")       # of the list, and not of this share
typed(3, "-")
typed(2, " ".join(f"{i + 2}. {w}" for i, w in enumerate(words[1:9])))
for i, w in enumerate(words[9:], 10):
    typed(i, w[:4])
try:
    while True:
        out += os.read(fd, 4096)
except OSError:
    pass
text = re.sub(r"\033\[[?0-9]*[hlHJ]", "", out.decode())
_, code = os.waitpid(pid, 0)
assert code == 0, text
assert text.strip().endswith(sys.argv[3]), text
assert "near to it are academic" in text, text
rest = re.sub(r"Share, word \d+: ", "", text.replace(sys.argv[3], ""))
rest = re.sub(r"word 2 is not of the list.*", "", rest)
assert not rest.strip(), rest
PY
[ "$proof" != "$(coffer share prove --nonce drill-abcd-efgh-2345-abcd-efgh-2346 --share-fd 3 3< "$W/kit/alice.words")" ] ||
    fail "the same proof for another nonce"
ok "prove"

say "combine"
want=$(sha256sum < "$W/plain")
combine() { coffer share combine --epoch "$E" "$@" 3< "$W/kit/${A:-alice}.words" 4< "$W/kit/${B:-carol}.words" 5< "$W/kit/dora.words" 6< "$W/kit/bob.forged"; }
combine --share-fd 5 --share-fd 6 --share-fd 4 --share-fd 3 --decrypt "$W/kit/key.age" -o "$W/got" 2> "$W/said"
same "the decrypted key" "$want" "$(sha256sum < "$W/got")"
same "its mode" 400 "$(stat -c %a "$W/got")"
grep -q "not the share that bob was given" "$W/said" || fail "the wrong share was not named: $(cat "$W/said")"
grep -q "a new epoch and new shares are due" "$W/said" || fail "nothing was said of a new epoch"
expect_fail "exists already" combine --share-fd 3 --share-fd 4 --share-fd 5 --decrypt "$W/kit/key.age" -o "$W/got"
expect_fail "group officers needs 1 more: of bob, carol" combine --share-fd 3 --share-fd 5 --decrypt "$W/kit/key.age" -o "$W/less"
expect_fail "group board needs 1 more: of dora" combine --share-fd 3 --share-fd 4 --decrypt "$W/kit/key.age" -o "$W/less"
[ ! -e "$W/less" ] || fail "a file was made of too few shares"
age-keygen -o "$W/erin.key" 2> /dev/null
combine --share-fd 3 --share-fd 4 --share-fd 5 --decrypt "$W/kit/key.age" --to "$(age-keygen -y "$W/erin.key")" -o "$W/for-erin" 2> /dev/null
same "encrypted again" "$want" "$(age -d -i "$W/erin.key" "$W/for-erin" | sha256sum)"
if grep -q mark-Pq93 "$W/for-erin"; then fail "plaintext in what is encrypted again"; fi
expect_fail "not encrypted to this epoch" combine --share-fd 3 --share-fd 4 --share-fd 5 --decrypt "$W/kit/dora.age" -o "$W/less"
mkdir "$W/locked"
escrow-make "$W/scheme.ini" "$W/locked" "a passphrase"
age -d -i "$W/dora.key" "$W/locked/dora.age" > "$W/locked/dora.words"
revealed() {
    coffer share combine --epoch "$W/locked/epoch.json" --share-fd 3 --share-fd 4 --share-fd 5 --reveal --passphrase-fd 6 \
        3< "$W/locked/alice.words" 4< "$W/locked/bob.words" 5< "$W/locked/dora.words" 6< <(echo "$1")
}
expect_fail "the passphrase is another one" revealed "another one"
revealed "a passphrase" > "$W/identity" 2> /dev/null
same "the revealed identity is the epoch's" "$(json 'j["recipient"]' < "$W/locked/epoch.json")" "$(age-keygen -y "$W/identity")"
ok "combine"

say "nothing of a share in the memory that can be read, in arguments or environment, while a quorum is waited for"
mkfifo "$W/late"
coffer share combine --epoch "$E" --share-fd 3 --share-fd 4 --decrypt "$W/kit/key.age" -o "$W/late.out" 3< "$W/kit/alice.words" 4<> "$W/late" \
    2> "$W/waiting" &
waiting=$!
child $waiting
await 10 "the first share to be taken" grep -q "alice: taken" "$W/waiting"
python3 "$TOP/tests/memory.py" process $waiting epoch.json "share:$W/kit/alice.words:$LIST"
same "core limit" 0 "$(awk '/^Max core file size/ {print $5}' /proc/$waiting/limits)"
kill $waiting
wait $waiting 2> /dev/null || true
[ ! -e "$W/late.out" ] || fail "a file was made of one share"
ok "memory"

say "foreign tools alone: an independent SLIP-39 and age"
python3 "$TOP/tests/slip39.py" official "$TOP/tests/vectors/slip39-official.json" "$LIST"
for pair in "alice bob" "alice carol" "carol bob"; do
    # As typed from paper: numbered, four letters of each word.
    for name in $pair; do tr ' ' '\n' < "$W/kit/$name.words" | cut -c1-4 | nl > "$W/typed-$name"; done
    set -- $pair
    python3 "$TOP/tests/slip39.py" identity "$LIST" "$W/typed-$1" "$W/typed-$2" "$W/kit/dora.words" > "$W/foreign.key"
    same "the foreign identity of $pair" "$recipient" "$(age-keygen -y "$W/foreign.key")"
    same "recovered by $pair" "$want" "$(age -d -i "$W/foreign.key" "$W/kit/key.age" | sha256sum)"
done
expect_fail "refused: not exactly the threshold" python3 "$TOP/tests/slip39.py" identity "$LIST" "$W/kit/alice.words" "$W/kit/dora.words"
SLIP39_PASSPHRASE="a passphrase" python3 "$TOP/tests/slip39.py" identity "$LIST" "$W/locked/"{alice,carol,dora}.words > "$W/foreign.key"
same "with a passphrase" "$(json 'j["recipient"]' < "$W/locked/epoch.json")" "$(age-keygen -y "$W/foreign.key")"
ok "foreign tools"
