#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Vaults when things go wrong, with real processes: ten hosts at once, one store from two hosts at once, either end killed, disks
# that are full at either end, a vault's program of another version, a store put back that is behind. Nothing that was confirmed is
# lost, and nothing in part is taken for whole.
. "$(dirname "$0")/lib.sh"
command -v age-keygen > /dev/null || skip "age is not installed"

age-keygen -o "$W/officer" 2> /dev/null
make_store audit certificates -- --recovery "$(age-keygen -y "$W/officer")" --segment-size 256K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
mount_archive
head -c 1500000 /dev/urandom > "$MNT/audit/data"
for i in 1 2 3; do echo "certificate $i" > "$MNT/certificates/c$i"; echo "line $i" > "$MNT/audit/a$i"; done
umount_archive
vault() { coffer-vault init "$W/$1" --name "vault.example/$1" > /dev/null; coffer vault add "${2:-$STORE}" "$1" "dir:$W/$1" > /dev/null; }
behind() { coffer vault list "$1" --json | json "[v['behind'] for v in j if v['vault'] == '$2'][0]"; }
holds() { # holds VAULT: the copy is whole, or not there yet
    [ ! -e "$W/$1/archives/$ID/checkpoint" ] || coffer verify "$W/$1/archives/$ID" > "$W/out" 2>&1 || { cat "$W/out"; fail "the copy at $1"; }
}

say "ten hosts at once, in processes of their own"
coffer-vault init "$W/many" --name vault.example/many > /dev/null
for i in 0 1 2 3 4 5 6 7 8 9; do
    coffer init "$W/host$i" --new-key-file "$W/host$i.key" --no-recovery --shelf audit > /dev/null
    coffer vault add "$W/host$i" many "dir:$W/many" > /dev/null
done
jobs=()
for i in 0 1 2 3 4 5 6 7 8 9; do coffer sync "$W/host$i" many > "$W/out.$i" 2>&1 & jobs+=($!); done
for p in "${jobs[@]}"; do wait "$p" || fail "one of ten: $(cat "$W"/out.?)"; done
same "archives at the vault" 10 "$(coffer-vault status "$W/many" --json | json 'len(j)')"
for i in 0 1 2 3 4 5 6 7 8 9; do
    same "host $i" 0 "$(behind "$W/host$i" many)"
    id=$(coffer status "$W/host$i" --json | json 'j["archive_id"]')
    cmp "$W/host$i/archive.conf" "$W/many/archives/$id/archive.conf" || fail "host $i has another's copy"
done
expect_code 0 coffer-vault scrub "$W/many"

say "the same store from two hosts at once"
vault two
cp -a "$STORE" "$W/same"
coffer sync "$STORE" two > "$W/out.1" 2>&1 & one=$!
coffer sync "$W/same" two > "$W/out.2" 2>&1 & other=$!
codes=0
wait $one || codes=$((codes + $?))
wait $other || codes=$((codes + $?))
[ $codes -le 1 ] || fail "two at once: $(cat "$W/out.1" "$W/out.2")"
[ $codes = 0 ] || cat "$W/out.1" "$W/out.2" | grep -q "in use by coffer-vault" || fail "busy is not said: $(cat "$W/out.1" "$W/out.2")"
holds two
coffer sync "$STORE" two > /dev/null && coffer sync "$W/same" two > /dev/null || fail "one behind the other"
same "no fork" 0 "$(coffer-vault status "$W/two" --json | json 'j[0]["forks"]')"

say "either end killed"
vault killed
for after in 0.03 0.05 0.08 0.11; do
    { timeout -s KILL $after coffer sync "$STORE" killed > "$W/out" 2>&1 || true; } 2> /dev/null # and with it the line
    holds killed
    cp -a "$W/killed" "$W/at" # what the vault had then is gone on from
    coffer sync "$STORE" killed > /dev/null || fail "behind a host that was killed after $after s"
    holds killed
    rm -rf "$W/killed" && mv "$W/at" "$W/killed"
done
for after in 0.01 0.02 0.04; do
    printf '#!/bin/sh\nexec timeout -s KILL %s %s serve %s\n' $after "$BUILD/tools/coffer-vault" "$W/killed" > "$W/dying" && chmod +x "$W/dying"
    sed "s,^url = .*,url = ssh://h/x," -i "$STORE/vaults/killed.conf"
    COFFER_SSH="$W/dying" coffer sync "$STORE" killed > "$W/out" 2>&1 && break # it was quick enough
    grep -q "connection was cut\|other side ended" "$W/out" || fail "a vault that was killed: $(cat "$W/out")"
    holds killed
done
sed "s,^url = .*,url = dir:$W/killed," -i "$STORE/vaults/killed.conf"
coffer sync "$STORE" killed > /dev/null || fail "behind a vault that was killed"
holds killed

say "a full disk at the vault, and at the host"
truncate -s 16M "$W/disk.img"
mkfs.ext4 -q -m 0 -O ^has_journal "$W/disk.img"
mkdir "$W/disk"
mount -o loop "$W/disk.img" "$W/disk" || skip "no loop device can be mounted here"
ln -s "$W/disk/full" "$W/full"
mkdir "$W/disk/full"
vault full
for room in 900 600 300 100 20; do # KiB that are left
    rm -rf "$W/disk/full/archives/$ID"
    free=$(($(stat -f -c '%a * %S / 1024' "$W/disk")))
    [ "$free" -le $room ] || head -c $(((free - room) * 1024)) /dev/zero > "$W/disk/filler"
    expect_code 1 coffer sync "$STORE" full
    grep -q "No space left" "$W/out" || fail "a full vault, $room KiB: $(cat "$W/out")"
    rm "$W/disk/filler"
    holds full
    coffer sync "$STORE" full > "$W/out" 2>&1 || { cat "$W/out"; fail "with space again"; }
    holds full
done
rm -rf "${W:?}/disk/full"
cp -a "$STORE" "$W/disk/store"
vault host "$W/disk/store"
head -c 16M /dev/zero > "$W/disk/filler" 2> /dev/null || true
before=$(cd "$W/disk/store" && find log -type f -exec sha256sum {} + | sha256sum)
coffer sync "$W/disk/store" host > "$W/out" 2>&1 && fail "a full disk at the host: nothing was said"
grep -q "No space left" "$W/out" || fail "a full disk at the host: $(cat "$W/out")"
holds host
rm "$W/disk/filler"
same "the log of a host whose disk was full" "$before" "$(cd "$W/disk/store" && find log -type f -exec sha256sum {} + | sha256sum)"
coffer sync "$W/disk/store" host > /dev/null || fail "the host with space again"
holds host
umount "$W/disk"

say "a vault's program of another version"
# other.py WHAT: answers as a vault of the future (refuses the version), or says something that is not known
cat > "$W/other.py" << 'PY'
import struct, sys
def message(kind, body): sys.stdout.buffer.write(struct.pack("<IB3x", len(body), kind) + body)
head = sys.stdin.buffer.read(8)
hello = sys.stdin.buffer.read(struct.unpack("<I", head[:4])[0])
assert hello[:8] == b"COFVAULT"
if sys.argv[1] == "older": message(10, struct.pack("<H", 2) + b"the vault speaks version 0 of the protocol, not 1")
else: message(77, b"what nobody knows")
sys.stdout.flush()
sys.stdin.buffer.read()
PY
sed "s,^url = .*,url = ssh://h/x," -i "$STORE/vaults/killed.conf"
for what in older newer; do
    printf '#!/bin/sh\nexec python3 %s %s\n' "$W/other.py" $what > "$W/talks" && chmod +x "$W/talks"
    COFFER_SSH="$W/talks" expect_code 1 coffer sync "$STORE" killed
    grep -q "the older one has to be brought up" "$W/out" || fail "$what: $(cat "$W/out")"
    grep -q "coffer-vault --version" "$W/out" || fail "$what does not tell what to do: $(cat "$W/out")"
done
sed "s,^url = .*,url = dir:$W/killed," -i "$STORE/vaults/killed.conf"
python3 - "$W/killed" "$ID" << 'PY' | grep -q "version 1 of the protocol, and what spoke to it version 9" || fail "a host of another version"
import struct, subprocess, sys
body = b"COFVAULT" + struct.pack("<IB3x", 9, 1) + bytes.fromhex(sys.argv[2]) + bytes(16) + b"x"
p = subprocess.run(["coffer-vault", "serve", sys.argv[1]], input=struct.pack("<IB3x", len(body), 1) + body, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
sys.stdout.buffer.write(p.stdout)
PY

say "a store that was put back, and is behind"
cp -a "$STORE" "$W/older"
mount_archive
echo "what the backup has not" > "$MNT/audit/late"
umount_archive
coffer sync "$STORE" killed > /dev/null
expect_code 3 coffer sync "$W/older" killed
grep -q "coffer restore" "$W/out" || fail "behind: it is not said where the rest is: $(cat "$W/out")"
same "nothing of it went to the vault" 0 "$(coffer-vault status "$W/killed" --json | json 'j[0]["forks"]')"
coffer restore "dir:$W/killed" "$W/whole" --archive "$ID" > /dev/null 2>&1 || fail "what is missing"
coffer recover "$W/whole" --identity "$W/officer" --new-key-file "$W/wholekey" > /dev/null 2>&1 || fail "recover"
STORE=$W/whole KEY=$W/wholekey
mount_archive
same "what the older one had not" "what the backup has not" "$(cat "$MNT/audit/late")"
echo "and on" >> "$MNT/audit/late"
umount_archive
coffer vault add "$STORE" killed "dir:$W/killed" > /dev/null
coffer sync "$STORE" killed > /dev/null || fail "it does not go on at its vault"
same "no fork" 0 "$(coffer-vault status "$W/killed" --json | json 'j[0]["forks"]')"
say "a restore that is stopped, killed, torn; and what comes first"
restore() { coffer restore "dir:$W/killed" "$W/r" --archive "$ID" "$@" > "$W/out" 2>&1; }
# A line on which nothing comes any more once so many bytes did.
cat > "$W/part.py" << 'PY'
import os
left = int(os.environ["STALL"])
while left and (b := os.read(0, min(left, 65536))): # head -c gives nothing out before its end
    os.write(1, b)
    left -= len(b)
PY
printf '#!/bin/bash\n"%s" serve "%s" | { python3 -S "%s"; : > "%s"; cat > /dev/null; }\n' "$BUILD/tools/coffer-vault" "$W/killed" "$W/part.py" "$W/stalled" > "$W/stalls"
chmod +x "$W/stalls"
signals=(INT KILL)
for stall in 3000 150001 700000 1400003; do
    for signal in "${signals[@]}"; do
        rm -rf "$W/r" "$W/stalled"
        STALL=$stall COFFER_SSH="$W/stalls" coffer restore ssh://h/x "$W/r" --archive "$ID" > "$W/out" 2>&1 & pid=$!
        await 20 "$stall bytes" test -e "$W/stalled"
        [ $stall -lt 600000 ] || await 20 "a segment" test -s "$W/r/log/00000000.seg"
        code=0
        kill -$signal $pid
        { wait $pid || code=$?; } 2> /dev/null
        if [ $signal = INT ]; then
            same "stopped" 130 $code
            grep -q "The same command goes on where this one was" "$W/out" || fail "stopped: $(cat "$W/out")"
        fi
        [ ! -e "$W/r/checkpoint" ] || fail "a part of it has a head, $stall bytes"
        # the power went with it: of the newest segment only a part, and behind that zeros
        last=$(find "$W/r/log" -name '*.seg' 2> /dev/null | sort | tail -n 1) || true
        if [ -n "$last" ] && [ $signal = KILL ]; then
            size=$(stat -c %s "$last")
            truncate -s $((size * 2 / 3)) "$last" && truncate -s "$size" "$last"
            for t in "$W/r"/tile/*; do truncate -s $(($(stat -c %s "$t") / 2)) "$t"; done
        fi
        restore || { cat "$W/out"; fail "behind a restore that ended after $stall bytes by $signal"; }
        coffer verify "$W/r" > "$W/out" 2>&1 || { cat "$W/out"; fail "what came behind $signal after $stall bytes"; }
    done
done
# made DIR SHELF: the order in which the files came, that shelf first: by the names as they are given. Change times would not tell:
# the clock that they are of stands still for several milliseconds, in which a shelf ends and the next one begins.
made() {
    strace -f -qq -y -e trace=renameat,renameat2 -e signal=none -o "$W/names" "$BUILD/tools/coffer" restore "dir:$W/killed" "$W/r" --archive "$ID" \
        --to "$W/$1" --first "$2" --identity "$W/officer" > "$W/out" 2>&1 || fail "--first $2: $(cat "$W/out")"
    sed -n "s,.*renameat2\\{0\,1\\}([0-9]*<$W/$1/\\([^>/]*\\)>.* = 0\$,\\1,p" "$W/names" | uniq | tr '\n' ' '
}
if command -v strace > /dev/null; then
    same "certificates come first" "certificates audit " "$(made first certificates)"
    same "or audit does" "audit certificates " "$(made plain audit)"
else
    for way in "first certificates" "plain audit"; do
        coffer restore "dir:$W/killed" "$W/r" --archive "$ID" --to "$W/${way% *}" --first "${way#* }" --identity "$W/officer" > "$W/out" 2>&1 || fail "--first"
    done
    say "strace is not installed: in which order they came is not looked at"
fi
diff -r "$W/first" "$W/plain" || fail "the order changes what comes"
ok "faults at either end"
