#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The coffer command end to end: init, status, verify, log, blame, help and completion; what they refuse, and how they say it.
. "$(dirname "$0")/lib.sh"

# says CODE TEXT COMMAND …: ends with CODE, and its output holds TEXT; the output is in $output.
says() {
    local code=$1 text=$2
    shift 2
    expect_code "$code" "$@"
    output=$(cat "$W/out")
    case $output in
    *"$text"*) ok "$code, '$text'" ;;
    *) fail "'$text' is not said by: $*: $output" ;;
    esac
}
equal() { # equal WHAT GOT WANT
    same "$1" "$3" "$2"
    ok "$1"
}
holds() { # holds WHAT COMMAND …
    local what=$1
    shift
    "$@" || fail "$what: $*"
    ok "$what"
}
no_escapes() {
    ! LC_ALL=C grep -q $'[\033\x9b]' "$1" || fail "$1 holds bytes that steer a terminal"
}

say "without an archive"
says 0 "coffer init" coffer
says 0 "usage: coffer verify" coffer help verify
says 0 "coffer " coffer --version
says 2 "did you mean 'verify'" coffer veryfi
says 2 "did you mean '--json'" coffer status --jsno x
says 2 "STORE|PATH is missing" coffer status
says 1 "does not exist" coffer status "$W/nothing"
says 1 "does not exist" coffer verify "$W/nothing"
mkdir "$W/empty"
says 1 "neither an archive" coffer status "$W/empty"
says 1 "neither an archive" coffer log "$W/empty"
says 15 "not an archive" coffer verify "$W/empty"
says 1 "not on a mounted archive" coffer blame /etc/passwd
says 1 "cannot look at" coffer blame "$W/nothing"

say "init refuses, and leaves nothing"
key=$W/some-key
head -c 32 /dev/urandom > "$key"
head -c 31 /dev/urandom > "$W/short"
new=$W/new
says 2 "at least one shelf" coffer init "$new" --key-file "$key"
says 2 "only one of" coffer init "$new" --shelf a --key-file "$key" --passphrase-fd 0
says 1 "--new-key-file $W/missing makes it" coffer init "$new" --shelf a --key-file "$W/missing"
says 1 "31 bytes" coffer init "$new" --shelf a --key-file "$W/short"
says 1 "lies in the store" coffer init "$new" --shelf a --new-key-file "$new/key"
says 1 "exists already" coffer init "$new" --shelf a --new-key-file "$key"
says 1 "may not lie in the store" coffer init "$new" --shelf a --key-file "$key" --auditor-secret "$new/auditor"
says 1 "named twice" coffer init "$new" --shelf a --shelf a --new-key-file "$W/k2" --auditor-secret "$W/a2"
says 1 "cannot be the name of a shelf" coffer init "$new" --shelf a/b --key-file "$key"
says 1 "origin" coffer init "$new" --shelf a --key-file "$key" --origin "a b"
says 1 "64 KiB to 1 GiB" coffer init "$new" --shelf a --key-file "$key" --segment-size 5K
echo "durability = never" > "$W/policy"
says 1 "durability" coffer init "$new" --shelf a --key-file "$key" --policy "a=$W/policy"
says 1 "no --shelf has that name" coffer init "$new" --shelf a --key-file "$key" --policy "b=$W/policy"
says 1 "make the one above it first" coffer init "$W/no/such/store" --shelf a --key-file "$key"
for left in "$new" "$W/k2" "$W/a2"; do
    [ ! -e "$left" ] || fail "$left was left behind"
done
touch "$W/empty/something"
says 1 "is not empty" coffer init "$W/empty" --shelf a --key-file "$key"
equal "what was there is still there" "$(ls -A "$W/empty")" something
rm "$W/empty/something"
head -c 32 /dev/urandom > "$W/empty/key"
mv "$W/empty/key" "$W/empty.key"

say "init"
echo "durability = write" > "$W/policy"
coffer init "$STORE" --shelf audit --shelf certificates --new-key-file "$KEY" \
    --auditor-secret "$AUDITOR" --origin log.example/cli --policy "audit=$W/policy" > "$W/init.out"
cat "$W/init.out"
equal "mode of the key file" "$(stat -c '%a %s' "$KEY")" "400 32"
equal "mode of the auditor secret" "$(stat -c '%a' "$AUDITOR")" 400
equal "its form" "$(grep -cE '^coffer-auditor-secret-1 [0-9a-f]{32} [0-9a-f]{64}$' "$AUDITOR")" 1
equal "mode of the store" "$(stat -c %a "$STORE")" 700
vkey=$(grep -oE '^  log\.example/cli\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+$' "$W/init.out" | tr -d ' ')
[ -n "$vkey" ] || fail "init printed no verifier key"
holds "the mount line" grep -qF "mount -t coffer $STORE /mnt/store -o key-file=$KEY" "$W/init.out"
holds "the fstab line" grep -qF "$STORE /mnt/store coffer key-file=$KEY,nofail 0 0" "$W/init.out"
says 0 "nobody holds the auditor secret" coffer init "$W/empty" --shelf audit --key-file "$W/empty.key"
says 1 "holds an archive already" coffer init "$STORE" --shelf audit --key-file "$key"

say "not mounted"
says 0 "Warning: a key file opens this archive" coffer status "$STORE"
coffer status "$STORE" --json > "$W/status"
python3 -m json.tool "$W/status" > /dev/null
equal "vkey" "$(json 'j["vkey"]' < "$W/status")" "$vkey"
equal "state" "$(json 'j["mounted"], j["clean"], j["weak_opener"]' < "$W/status")" "(False, True, True)"
says 1 "takes its key file: name it with --key-file" coffer log "$STORE"
says 1 "wrong key file" coffer log "$STORE" --key-file "$key"
says 1 "not mounted" coffer log "$STORE" --follow --key-file "$KEY"
coffer log "$STORE" --key-file "$KEY" --json > "$W/log"
python3 -m json.tool --json-lines "$W/log" > /dev/null
equal "types" "$(jsonl '" ".join(e["type"] for e in j)' < "$W/log")" \
    "archive mount create shelf create shelf unmount checkpoint"
equal "from and limit" "$(coffer log "$STORE" --key-file "$KEY" --from 2 --limit 2 --json |
    python3 -c 'import json, sys; print([json.loads(x)["sequence"] for x in sys.stdin])')" "[2, 3]"
says 0 "all seals hold" coffer verify "$STORE" --vkey "$vkey" --auditor-secret "$AUDITOR"

say "mounted"
mount_archive
daemon=$(daemon_pid)
shelf=$MNT/audit
odd=$'odd \033[2Jname'
printf 'one\n' >> "$shelf/a.log"
bash -c "printf 'two\n' >> '$shelf/a.log'"
echo x > "$shelf/$odd"
expect_fail EPERM rm -f "$shelf/a.log"
for where in "$STORE" "$MNT" "$shelf/a.log"; do
    coffer status "$where" --json > "$W/status"
    equal "status of ${where#"$W/"}" \
        "$(json 'j["mounted"], j["mountpoint"], j["pid"], j["vkey"], j["store"]' < "$W/status")" \
        "(True, '$MNT', $daemon, '$vkey', '$STORE')"
done
says 0 "by process $daemon" coffer status "$MNT"
mkdir "$W/second"
expect_fail "pid $daemon" mount.coffer "$STORE" "$W/second" -o "keyfile=$KEY,noimmutable"
ok "a second mount is told who holds the store"
says 1 "holds an archive already" coffer init "$STORE" --shelf audit --key-file "$key"
mkdir "$W/run2"
says 1 "is in use by pid $daemon" env COFFER_RUN_DIR="$W/run2" coffer log "$STORE" --key-file "$KEY"
says 0 "held by pid $daemon" env COFFER_RUN_DIR="$W/run2" coffer status "$STORE"
says 1 "ermission denied" as_user coffer status "$STORE"

say "log"
coffer log "$STORE" --json > "$W/log"
python3 -m json.tool --json-lines "$W/log" > /dev/null
equal "numbered in order" "$(jsonl '[e["sequence"] for e in j] == list(range(len(j)))' < "$W/log")" True
coffer log "$STORE" > "$W/log.text"
no_escapes "$W/log.text"
no_escapes "$W/log"
holds "the odd name, escaped" grep -qF 'odd \x1b[2Jname' "$W/log.text"
coffer log "$STORE" --events --json > "$W/events"
holds "keys that are loaded are on record" grep -q '"event":"key-loaded"' "$W/events"
equal "the refusal" "$(jsonl '[(e["event"], e["operation"], e["errno"], e["path"], e["actor"]["command"]) for e in j if e["event"] not in ("policies", "key-loaded")]' < "$W/events")" \
    "[('refused', 'unlink', 'EPERM', 'audit/a.log', 'rm')]"
says 0 "refused unlink audit/a.log: EPERM" coffer log "$MNT" --events
equal "a reader that leaves" "$(coffer log "$STORE" | head -n 1 | wc -l)" 1
says 1 "standard output" sh -c "coffer status '$STORE' > /dev/full"

coffer log "$STORE" --follow --json --from "$(wc -l < "$W/log")" > "$W/followed" &
follower=$!
child $follower
echo three >> "$shelf/later.log"
await 10 "the frame" grep -q '"path":"audit/later.log"' "$W/followed"
ok "follow shows what comes"

say "blame"
coffer blame "$shelf/a.log" --json > "$W/blame"
python3 -m json.tool --json-lines "$W/blame" > /dev/null
equal "stretches" "$(jsonl '[(e["offset"], e["length"], e["uid"], e["command"]) for e in j]' < "$W/blame")" \
    "[(0, 4, 0, 'bash'), (4, 4, 0, 'bash')]"
equal "by two processes" "$(jsonl 'j[0]["pid"] == '$$' and j[1]["pid"] != j[0]["pid"]' < "$W/blame")" True
says 0 "OFFSET" coffer blame "$shelf/a.log"
says 1 "no regular file" coffer blame "$shelf"
(cd "$shelf" && coffer blame a.log > "$W/blame.text")
equal "by a relative name" "$(wc -l < "$W/blame.text")" 3

say "verify"
for i in {1..40}; do echo "line $i" >> "$shelf/later.log"; done
coffer verify "$MNT" --vkey "$vkey" --auditor-secret "$AUDITOR" --json > "$W/verify"
python3 -m json.tool "$W/verify" > /dev/null
equal "beside the daemon" "$(json 'j["verdict"], j["exit_code"], j["live"], j["seal_checked"]' < "$W/verify")" \
    "('intact', 0, True, True)"
expect_fail "" grep "not looked at" "$W/verify"
ok "what was just written is looked at"
umount_archive
await 10 "the follower to end" gone "$follower"
wait $follower || fail "follow ended with $?"
ok "follow ends with the mount"
says 0 "intact" coffer verify "$STORE" --auditor-secret "$AUDITOR"
says 2 "verifier key" coffer verify "$STORE" --vkey nonsense
other=$(coffer status "$W/empty" --json | python3 -c 'import json, sys; print(json.load(sys.stdin)["vkey"])')
says 14 "wrong key" coffer verify "$STORE" --vkey "$other"
says 1 "no auditor secret" coffer verify "$STORE" --auditor-secret "$key"
says 1 "cannot open the auditor secret" coffer verify "$STORE" --auditor-secret "$W/nothing"
sed 's/ [0-9a-f]* / 00000000000000000000000000000000 /' "$AUDITOR" > "$W/other.auditor"
says 14 "another archive" coffer verify "$STORE" --auditor-secret "$W/other.auditor"
cp -a "$STORE" "$W/bad"
# a byte of the second frame's header
python3 - "$W/bad/log/00000000.seg" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(700)
    b = f.read(1)
    f.seek(700)
    f.write(bytes([b[0] ^ 1]))
PY
says 13 "log/00000000.seg at offset" coffer verify "$W/bad"
code=0
coffer verify "$W/bad" --json > "$W/verify" || code=$?
equal "its exit code" "$code" 13
equal "its findings" "$(json 'j["verdict"], j["exit_code"], j["findings"][0]["file"], "offset" in j["findings"][0]' < "$W/verify")" \
    "('tampered', 13, 'log/00000000.seg', True)"
rm -r "$W/bad"
cp -a "$STORE" "$W/bad"
rm "$W/bad/archive.conf"
says 11 "archive.conf: is missing" coffer verify "$W/bad"

say "verify from a checkpoint on"
cp "$STORE/checkpoint" "$W/kept.note"
says 0 "intact" coffer verify "$STORE" --since "$W/kept.note"
mount_archive
echo since >> "$shelf/since.log"
umount_archive
says 0 "Only frames from $(sed -n 2p "$W/kept.note") on were read" coffer verify "$STORE" --since "$W/kept.note"
coffer verify "$STORE" --since "$W/kept.note" --json > "$W/verify"
equal "where it began" "$(json 'j["since"] == j["since_checkpoint"] == '"$(sed -n 2p "$W/kept.note")" < "$W/verify")" True
says 14 "not signed by this archive" coffer verify "$STORE" --since "$W/empty/checkpoint"
says 1 "is no checkpoint" coffer verify "$STORE" --since "$W/policy"
says 1 "cannot read the checkpoint" coffer verify "$STORE" --since "$W/nothing"

say "files, retention and shelves"
echo "retention = 3d" > "$W/policy"
coffer init "$W/kept" --shelf "kept:$W/policy" --key-file "$W/empty.key" > "$W/init.out"
says 0 "retention = 3d" coffer shelf show "$W/kept" kept --key-file "$W/empty.key"
says 0 "3d" coffer shelf list "$W/kept" --key-file "$W/empty.key"
says 1 "a policy only becomes stronger, but retention would be shorter" \
    coffer shelf set "$W/kept" kept --retention 2d --key-file "$W/empty.key"
says 0 "retention = 4d" coffer shelf set "$W/kept" kept --retention 4d --key-file "$W/empty.key"
says 0 "retention = 1y" coffer shelf add "$W/kept" more --retention 1y --key-file "$W/empty.key"
says 1 "a shelf 'more' already" coffer shelf add "$W/kept" more --key-file "$W/empty.key"
says 1 "there is no shelf 'none'" coffer shelf show "$W/kept" none --key-file "$W/empty.key"
says 1 "retention_min" coffer shelf add "$W/kept" bad --retention-min 1d --key-file "$W/empty.key"
says 2 "did you mean 'list'" coffer shelf lst "$W/kept"
says 2 "say what becomes stronger" coffer shelf set "$W/kept" kept
says 0 "intact" coffer verify "$W/kept"
mount_archive
says 0 "open" coffer ls "$shelf"
says 0 "$shelf/a.log" coffer ls -R "$MNT"
says 1 "not on a mounted archive" coffer ls /tmp
says 0 "allowed" coffer explain write "$shelf/since.log"
says 0 "rule: append-only" coffer explain write "$shelf/since.log" --offset 0
says 0 "refused" coffer explain unlink "$shelf/since.log" --as nobody
says 2 "did you mean 'unlink'" coffer explain unlnk "$shelf/since.log"
says 2 "only one of" coffer commit "$shelf/since.log" --infinite --for 1d
says 2 "--for takes" coffer commit "$shelf/since.log" --for soon
says 1 "coffer commit commits it" coffer retain "$shelf/since.log" --for 1d
says 0 "committed $shelf/since.log, kept for ever" coffer commit "$shelf/since.log"
says 1 "is committed already" coffer commit "$shelf/since.log"
says 0 "committed  for ever " coffer ls "$shelf"
says 0 "it is kept for ever" coffer explain unlink "$shelf/since.log"
says 1 "refused: it is kept for ever, and an end would take from that" coffer retain "$shelf/since.log" --for 1d
cp "$(command -v coffer)" "$W/coffer" # nobody need not reach the build directory
says 1 "refused: only its owner and root may keep it longer" as_user "$W/coffer" retain "$shelf/since.log" --for 1d
says 1 "no regular file" coffer commit "$shelf"
says 0 "$shelf/since.log" coffer find "$MNT" --state committed
says 2 "--state takes" coffer find "$MNT" --state closed
says 2 "--expires-before takes a date" coffer find "$MNT" --expires-before soon
equal "find and xargs" "$(coffer find "$shelf" -0 --name 'odd*' | xargs -0 cat)" x
coffer ls --json --digest "$shelf/since.log" > "$W/ls"
equal "its digest" "$(json 'j["digest"]' < "$W/ls")" "$(sha256sum < "$shelf/since.log" | cut -d ' ' -f 1)"
umount_archive

say "a daemon that was killed"
mount_archive
echo more >> "$shelf/a.log"
kill_daemon
says 0 "is gone; mount it again: mount -t coffer $STORE $MNT" coffer status "$MNT"
says 1 "mount it again: mount -t coffer $STORE $MNT" coffer blame "$shelf/a.log"
says 0 "not cleanly unmounted" coffer status "$STORE"
code=0
coffer verify "$STORE" > "$W/out" || code=$?
case $code in 0 | 10) ok "verify says $code after a kill" ;; *) fail "verify says $code: $(cat "$W/out")" ;; esac
mount_archive
umount_archive
says 0 "1 recovery" coffer verify "$STORE" --auditor-secret "$AUDITOR"

say "passphrases"
secret='correct horse'
printf '%s\n' "$secret" | coffer init "$W/phrase" --shelf a --passphrase-fd 0 > "$W/init.out"
! grep -qF "$secret" "$W/init.out" || fail "the passphrase was printed"
holds "the fstab line of a passphrase" grep -qF "coffer noauto 0 0" "$W/init.out"
coffer status "$W/phrase" --json > "$W/status"
equal "no weak opener" "$(json 'j["openers"], j["weak_opener"]' < "$W/status")" "(['passphrase'], False)"
says 1 "wrong passphrase" coffer log "$W/phrase" --passphrase-fd 0 <<< "wrong"
says 0 "checkpoint" coffer log "$W/phrase" --passphrase-fd 0 <<< "$secret"
mkdir "$W/credentials"
printf %s "$secret" > "$W/credentials/coffer"
says 0 "checkpoint" env CREDENTIALS_DIRECTORY="$W/credentials" coffer log "$W/phrase" --credential coffer
says 1 "no terminal" setsid -w coffer log "$W/phrase"

say "passphrases from a terminal"
cat > "$W/terminal.py" <<'PY'
# terminal.py "ANSWER|ANSWER" COMMAND…: answers prompts (": " at the end) on a terminal of its own.
import os, pty, sys
answers, command = sys.argv[1].split("|"), sys.argv[2:]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(command[0], command)
seen = b""
while True:
    try:
        data = os.read(fd, 4096)
    except OSError:
        break
    if not data:
        break
    seen += data
    if data.endswith(b": ") and answers:
        os.write(fd, answers.pop(0).encode())
_, status = os.waitpid(pid, 0)
sys.stdout.write(seen.decode().replace("\r", ""))
sys.exit(os.waitstatus_to_exitcode(status) if not os.WIFSIGNALED(status) else 99)
PY
typed() { python3 "$W/terminal.py" "$@"; }
says 1 "differ; nothing was made" typed $'one\n|two\n' coffer init "$W/typed" --shelf a
[ ! -e "$W/typed" ] || fail "a store was left behind"
says 1 "interrupted" typed $'\003' coffer init "$W/typed" --shelf a
[ ! -e "$W/typed" ] || fail "a store was left behind"
says 1 "no passphrase" typed $'\n' coffer init "$W/typed" --shelf a
says 0 "Made an archive" typed $'tYpEd\n|tYpEd\n' coffer init "$W/typed" --shelf a
[[ $output != *tYpEd* ]] || fail "the terminal showed the passphrase"
says 0 "checkpoint" typed $'tYpEd\n' coffer log "$W/typed"
says 0 "checkpoint" coffer log "$W/typed" --passphrase-fd 0 <<< tYpEd

say "completion"
complete_words() {
    bash -c 'source <(coffer completion bash); COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _coffer 2> /dev/null
        printf "%s\n" "${COMPREPLY[@]}" | sort | tr "\n" " "' bash "$@"
}
equal "verbs" "$(complete_words coffer ver)" "verify version "
equal "options" "$(complete_words coffer verify --)" "--auditor-key --auditor-secret --help --json --since --tpm --tsa-ca --vault-key --vkey "
equal "nothing for a plain value" "$(complete_words coffer init --shelf '')" " "
equal "verbs of help" "$(complete_words coffer help bl)" "blame "
equal "actions" "$(complete_words coffer seal re)" "recovery-renew remove renew "
equal "choices" "$(complete_words coffer log store --seal '')" "file passphrase tpm2 "
equal "choices of the help's word" "$(complete_words coffer shelf set store x --strict '')" "no yes "
equal "actions of escrow" "$(complete_words coffer escrow c)" "check confirm "
equal "each verb of two words is an action of its first" "" "$(comm -13 <(complete_words coffer escrow '' | tr ' ' '\n' | sort) \
    <(coffer escrow --help | sed -n 's/^  coffer escrow \([a-z-]*\)  .*/\1/p' | sort))"
equal "options of a verb of two words" "$(complete_words coffer escrow confirm --)" "--epoch --help --json "
equal "shells" "$(complete_words coffer completion '')" "bash "
mkdir "$W/files"
touch "$W/files/one two" "$W/files/other"
equal "files" "$(cd "$W/files" && complete_words coffer status o)" "one two other "
equal "files of an option" "$(cd "$W/files" && complete_words coffer log --key-file ot)" "other "
