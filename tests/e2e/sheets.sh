#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shares on paper: sheets printed, scanned back, typed back; where they may go and where not.
. "$(dirname "$0")/lib.sh"

for tool in age weasyprint zbarimg pdftoppm pdftotext; do command -v $tool > /dev/null || skip "$tool is not installed"; done
cd "$W"
export HOME=$W TMPDIR=$W/disk # whatever the renderer keeps shows below
mkdir disk
mount -t tmpfs tmpfs disk
age-keygen -o carol.key 2> /dev/null
custodian() { printf '[custodian %s]\nperson = Officer <%s> & co\nplace = %s safe\nmedium = paper\nrecipient = %s\n' "$1" "$1" "$1" "$2"; }
{
    printf '[scheme]\nname = root\ngroups = 1\ncall = Duty officer, extension 42\n[group officers]\nthreshold = 2\nmembers = alice, bob, carol\n'
    custodian alice paper; custodian bob paper; custodian carol "$(age-keygen -y carol.key)"
} > scheme.ini
typed() { tr 'A-Z\n' 'a-z ' | sed 's/ *$//'; }
scan() { # scan PDF PAGE: what the code on the page says
    pdftoppm -f "$2" -l "$2" -r 150 -gray "$1" disk/page
    zbarimg -q --nodbus --raw -S*.disable -Sqrcode.enable disk/page-*.pgm
    rm disk/page-*
}
words_of() { # words_of PDF PAGE: from its text, in the order of the numbers
    pdftotext -f "$2" -l "$2" -layout "$1" - | grep -oE '[0-9]+\. +[a-z]{4,8}( |$)' | sort -n | awk '$1 + 0 == ++n {print $2}'
}

say "an epoch with two custodians on paper: sheets before the document, and only into a pipe"
expect_fail "say where the sheets go" coffer escrow epoch --scheme scheme.ini -o none
expect_fail "is a file" coffer escrow epoch --scheme scheme.ini -o none --sheets-fd 3 3> plain
mkdir bin
printf '#!/bin/sh\ncat > /dev/null\necho some text; echo the reason >&2; exit 3\n' > bin/weasyprint
chmod +x bin/weasyprint
if PATH=$W/bin:$PATH coffer escrow epoch --scheme scheme.ini -o failed --sheets-fd 3 3> >(cat > /dev/null) 2> out; then fail "sheets failed, and an epoch was made"; fi
grep -q "weasyprint failed: the reason" out || fail "why it failed is not said: $(cat out)"
[ ! -e failed/epoch.json ] || fail "an epoch whose sheets failed has its document"
mkfifo pipe
cat pipe > disk/sheets.pdf &
coffer escrow epoch --scheme scheme.ini -o kit --sheets-fd 3 --json 3> pipe > made.json 2> said
wait $!
same "pages" 2 "$(pdfinfo disk/sheets.pdf | awk '/^Pages/ {print $2}')"
same "files" "carol.age epoch.json" "$(cd kit && echo *)"
text=$(pdftotext -f 1 -l 1 disk/sheets.pdf -)
[[ $text == *"Officer <alice> & co"* && $text == *"Duty officer, extension 42"* ]] || fail "person and whom to call are not on the sheet: $text"
nonce=$(json 'j["challenges"]["alice"]' < made.json)
[[ ${text//$'\n'/} == *$nonce* ]] || fail "what to confirm with is not on the sheet"
ok "printed"

say "scanned back, typed back"
words_of disk/sheets.pdf 1 | tr '\n' ' ' | sed 's/ $//' > disk/alice
words_of disk/sheets.pdf 2 | tr '\n' ' ' | sed 's/ $//' > disk/bob
same "words" 33 "$(wc -w < disk/alice)"
scan disk/sheets.pdf 1 > disk/code
same "the code is of the words" "$(cat disk/alice)" "$(typed < disk/code)"
same "whose share the code is" alice "$(coffer share check --epoch kit/epoch.json --share-fd 3 --json 3< disk/code | json 'j["custodian"]')"
fingerprint=$(json 'j["custodians"][0]["commitment"]' < kit/epoch.json)
[[ ${text//[$' \n']/} == *$fingerprint* ]] || fail "the sheet's fingerprint is not that of the document"
python3 - disk/alice "$nonce" > typed.out <<'PY'
# Four letters each, one word mistyped at first: what is near to it is said, and nothing is put in its place.
import os, pty, re, sys
words = open(sys.argv[1]).read().split()
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp("coffer", ["coffer", "share", "prove", "--epoch", "kit/epoch.json", "--nonce", sys.argv[2]])
out, seen = b"", 0
def typed(at, line):
    global out, seen
    while not out[seen:].endswith(b"Share, word %d: " % at):
        out += os.read(fd, 4096)
    seen = len(out)
    os.write(fd, line.encode() + b"\n")
for i, w in enumerate(words, 1):
    if i == 7:
        typed(i, w + "q")
    typed(i, w[:4])
try:
    while True:
        out += os.read(fd, 4096)
except OSError:
    pass
assert b"word 7 is not of the list; near to it are" in out and words[6].encode() in out, out
out = re.sub(rb"near to it are[^\n]*", b"", out)
hidden = [w for w in words[:6] + words[7:] if b" " + w.encode() + b"." in out or b"\n" + w.encode() in out]
assert not hidden, (hidden, out)
print(re.sub(r"\033\[[?0-9]*[hlHJ]", "", out.decode()).replace("\r", "").split("\n")[-2])
sys.exit(os.waitpid(pid, 0)[1])
PY
coffer escrow confirm --epoch kit/epoch.json alice "$nonce" "$(tail -1 typed.out)" > out
grep -q "alice has shown" out || fail "$(cat out)"
ok "back"

say "a single sheet: from the age file, in three languages, one page each; into a file only when asked"
sheet() { coffer escrow sheet "$@" --epoch kit/epoch.json; }
for pair in "zh-Hant 金鑰分持" "ko 조각"; do
    set -- $pair
    sheet carol --share kit/carol.age --identity carol.key --language "$1" | cat > disk/carol.pdf
    same "pages in $1" 1 "$(pdfinfo disk/carol.pdf | awk '/^Pages/ {print $2}')"
    [[ $(pdftotext disk/carol.pdf -) == *"$2"* ]] || fail "the sheet is not in $1"
    same "the code in $1" "$(age -d -i carol.key kit/carol.age)" "$(scan disk/carol.pdf 1 | typed)"
done
sheet bob --share-fd 3 --format html 3< disk/bob | cat > disk/bob.html
grep -q "Officer &#60;bob&#62; &#38; co" disk/bob.html || fail "text of the scheme is not escaped"
for w in $(cat disk/bob); do grep -q "</span> $w<" disk/bob.html || fail "$w is not on the page"; done
sed 's/ *\([a-z]\{4\}\)[a-z]*/\1 /g' disk/bob > disk/short
sheet bob --share-fd 3 --format html 3< disk/short | cmp - disk/bob.html
expect_fail "the share of bob, not of alice" bash -o pipefail -c 'coffer escrow sheet alice --epoch kit/epoch.json --share-fd 3 3< disk/bob | cat'
expect_fail "is a file" sh -c 'coffer escrow sheet bob --epoch kit/epoch.json --share-fd 3 3< disk/bob > plain'
expect_fail "is a terminal" script -qec "coffer escrow sheet bob --epoch kit/epoch.json --share-fd 3 3< disk/bob" /dev/null
expect_fail "not installed" sh -c "PATH=$BUILD/tools coffer escrow sheet bob --epoch kit/epoch.json --share-fd 3 -o disk/no.pdf 3< disk/bob"
[ ! -e disk/no.pdf ] || fail "a sheet that failed left a file"
[ ! -s plain ] || fail "words went into a file that nobody asked for"
sheet bob --share-fd 3 --format html -o disk/asked.html 3< disk/bob
cmp disk/asked.html disk/bob.html
same "its mode" 400 "$(stat -c %a disk/asked.html)"
ok "single sheets"

say "nothing of a share anywhere else: no file of this directory, which is also home, has four of the words in a row"
four=$(cut -d' ' -f8-11 disk/bob) upper=$(cut -d' ' -f8-11 disk/bob | tr a-z A-Z)
grep -qF "$four" disk/bob || fail "the search sees nothing"
if grep -rlF -e "$four" -e "$upper" --exclude-dir=disk . ; then fail "words are in a file"; fi
same "left in the directory for temporary files" "alice asked.html bob bob.html carol.pdf code sheets.pdf short" "$(cd disk && echo *)"
umount disk
ok "nothing left"
