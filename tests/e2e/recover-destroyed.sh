#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# An archive that comes back from a copy which still has the sealed bytes of what people destroyed since: they go as its keys are
# recovered, as in the live archive, also where that was cut off or failed; and only what counts by the log's own people goes.
. "$(dirname "$0")/lib.sh"
command -v age-keygen > /dev/null && command -v ssh-keygen > /dev/null || skip "needs age and ssh-keygen"

cd "$W" || exit 1
mkdir k r
for name in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C '' -f "k/$name"; done
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
sign() { ssh-keygen -q -Y sign -n "$2" -f "k/$1" < "$3" > "$3.$1" 2> /dev/null; }
age-keygen -o custodians 2> /dev/null
printf 'retention = 0s\n' > short
make_store short:short -- --recovery "$(age-keygen -y custodians)" --segment-size 64K
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')
{ echo "alice $(pub alice) roles=officer"; echo "bob $(pub bob) roles=officer"; echo "carol $(pub carol) roles=auditor"; } > people
coffer people set "$STORE" people -o r --key-file "$KEY" > out
R=$(echo r/*.request)
sign alice coffer-people "$R"
sign bob coffer-people "$R"
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" --key-file "$KEY" > out
coffer-vault init "$W/b" --name vault.example/b > out
coffer vault add "$STORE" b "dir:$W/b" > out
mount_archive
for f in secret kept; do
    head -c 200000 /dev/urandom > $f
    cp $f "$MNT/short/$f"
    chmod a-w "$MNT/short/$f"
done
SECRET=$(stat -c %i "$MNT/short/secret") KEPT=$(stat -c %i "$MNT/short/kept") SHORT=$(stat -c %i "$MNT/short")
coffer sync "$STORE" b > out 2>&1 || fail "sync: $(cat out)"
cp -a "b/archives/$ID/log" sealed
cp "$STORE/checkpoint" early
rm -f r/*
coffer request destroy "$STORE" short/secret --as alice --key k/alice -o r > out 2>&1 || fail "not asked: $(cat out)"
coffer approve "$STORE" "$(echo r/*.request)" --key k/carol > out 2>&1 && grep -q ' done' out || fail "not destroyed: $(cat out)"
coffer sync "$STORE" b > out 2>&1 || fail "sync: $(cat out)"
umount_archive

# What went from the live archive, 48 bytes of each stretch; and then each of them in a log: lost (none) or how many.
python3 - "$W/sealed" "$STORE/log" > samples << 'PY'
import os, sys
for name in sorted(os.listdir(sys.argv[1])):
    was, now = (open(f"{d}/{name}", "rb").read() for d in sys.argv[1:3])
    at = 0
    while at < min(len(was), len(now)):
        sealed, over = was[at:at + 48], now[at:at + 48]
        if not any(over) and len(set(sealed)) > 16:
            print(sealed.hex())
            at += 4096
        else:
            at += 1
PY
[ "$(wc -l < samples)" -ge 40 ] || fail "few samples: $(wc -l < samples)"
left() { # left STORE
    python3 - "$1/log" << 'PY'
import os, sys
log = b"".join(open(f"{sys.argv[1]}/{n}", "rb").read() for n in sorted(os.listdir(sys.argv[1])))
print(sum(bytes.fromhex(l) in log for l in open("samples")))
PY
}
same "in the live archive" 0 "$(left "$STORE")"
same "at the vault" 0 "$(left "b/archives/$ID")"

say "a vault that was put back: it gives the sealed bytes along with the frames that destroyed them"
python3 - "$W/sealed" "b/archives/$ID/log" << 'PY'
import os, sys
for name in os.listdir(sys.argv[1]):
    was = open(f"{sys.argv[1]}/{name}", "rb").read()
    with open(f"{sys.argv[2]}/{name}", "r+b") as f:
        f.write(was)
PY
LIVE=$STORE ALL=$(wc -l < samples)
restore() { coffer restore "dir:$W/b" "$@" --archive "$ID" > out 2>&1 || fail "restore: $(cat out)"; }
restore "$W/came"
same "what came" "$ALL" "$(left came)"
again() { rm -rf "$W/back" "$W/backkey"; cp -a came back; STORE=$W/back KEY=$W/backkey; } # as it came, once more
recovered() { coffer recover "$STORE" --identity custodians --new-key-file "$KEY" > out 2>&1; }
holds() { # holds: it is mounted, gives what was kept, and both judges take it
    mount_archive
    cmp kept "$MNT/short/kept"
    expect_fail ENODATA cat "$MNT/short/secret"
    coffer events "$STORE" --type restore --json > events
    umount_archive
    same "what is due" 0 "$(find "$STORE/keys" -name ended | wc -l)"
    same "left" 0 "$(left "$STORE")"
    coffer verify "$STORE" > out 2>&1 || fail "verify: $(cat out)"
    second_reader --json > reader || fail "second reader: $(cat reader)"
}
again
recovered || fail "recover: $(cat out)"
grep -q "What people destroyed is gone from this copy too: 1 file, " out || fail "it said: $(cat out)"
same "left" 0 "$(left back)"
holds
grep -q "1 destroyed files: [0-9]* frames, 20.* bytes of this copy overwritten and read back" events || fail "not on record: $(cat events)"
mount_archive
same "on record once" 1 "$(coffer events "$STORE" --type restore --json | grep -c 'destroyed files')"
umount_archive

say "files that are copied out: the bytes go there too"
restore "$W/out-store" --to "$W/to" --identity custodians
grep -q "What people destroyed is gone from this copy too: 1 file, " out || fail "it said: $(cat out)"
same "left" 0 "$(left out-store)"
cmp kept to/short/kept
grep -q "1 file, .*; of 1 file the content was destroyed" out || fail "it said: $(cat out)"
[ ! -e to/short/secret ] || fail "something is in its place"

say "a drill: what is destroyed here and there is no difference"
STORE=$LIVE KEY=$W/key
mount_archive
coffer restore b "$W/drill" --drill "$STORE" --identity custodians > out 2>&1 || fail "drill: $(cat out)"
grep -q "the content of 1 is destroyed here and there" out || fail "drill: $(cat out)"
umount_archive

say "a log in which a frame is damaged: nothing is overwritten, and it stays due"
again
last=$(python3 -c 'import os; s = sorted(os.listdir("back/log"))[-1]; print("back/log/" + s)')
cp "$last" whole
flip "$last" 40 # in the first frame's header
recovered || fail "recover: $(cat out)"
grep -q "no byte was overwritten in this copy" out || fail "it said: $(cat out)"
same "left" "$ALL" "$(left back)"
same "due" "due" "$(cat back/keys/ended)"
cp whole "$last"
coffer recover "$STORE" --identity custodians --key-file "$KEY" > out 2>&1 || fail "once more: $(cat out)"
same "left" 0 "$(left back)"
holds
grep -q "1 destroyed files" events || fail "not on record: $(cat events)"

say "a log that was whole again before a mount: that takes the keys out too, and then the bytes"
leads() { # leads INODE: which of the trees lead to it
    python3 - "$TOP/tests" "$STORE" "$KEY" "$1" << 'PY'
import sys
sys.path.insert(0, sys.argv[1])
from second_format import Conf
from second_keys import Keys
keys = Keys(sys.argv[2], Conf(sys.argv[2]), open(sys.argv[3], "rb").read())
print("".join("HR"[t] for t in (0, 1) if keys.leaf(t, int(sys.argv[4]))))
PY
}
again
flip "$last" 40
recovered || fail "recover: $(cat out)"
same "what leads to it" "HR" "$(leads "$SECRET")"
cp whole "$last"
holds
same "what leads to it" "" "$(leads "$SECRET")"
same "what leads to what is kept" "HR" "$(leads "$KEPT")"
grep -q "1 destroyed files" events || fail "not on record: $(cat events)"

say "a checkpoint of before the frames that destroy: it stays due, and the next mount goes on"
again
cp early back/checkpoint
recovered || fail "recover: $(cat out)"
grep -q "1 frame behind the checkpoint destroys" out || fail "it said: $(cat out)"
same "left" "$ALL" "$(left back)"
same "due" "due" "$(cat back/keys/ended)"
holds
grep -q "1 destroyed files" events || fail "not on record: $(cat events)"

say "what was done is not believed to who has no keys, however long"
for forged in "9 destroyed files: 9 frames, 9 bytes of this copy overwritten and read back" "$(head -c 5000 /dev/zero | tr '\0' x)"; do
    again
    recovered || fail "recover: $(cat out)"
    python3 - "$W/sealed" "back/log" << 'PY'
import os, sys
for name in os.listdir(sys.argv[1]):
    with open(f"{sys.argv[2]}/{name}", "r+b") as f:
        f.write(open(f"{sys.argv[1]}/{name}", "rb").read())
PY
    same "left" "$ALL" "$(left back)"
    printf '%s\n%064d\n' "$forged" 0 > back/keys/ended
    holds
    same "on record" "1" "$(jsonl '[e["detail"].split()[0] for e in j if "destroyed files" in e["detail"]][0]' < events)"
done

say "a log whose last segment is missing: what it says to destroy is not known, and that is due as well"
again
last=$(python3 -c 'import os; s = sorted(os.listdir("back/log"))[-1]; print("back/log/" + s)')
rm "$last"
recovered || true # whether it can be mounted is another question
same "due" "due" "$(cat back/keys/ended 2>&1)"

say "a frame that destroys what nobody permitted: its file keeps its bytes, and it is said"
STORE=$LIVE KEY=$W/key
python3 - "$KEPT" > lines << 'PY'
import struct, sys
field = lambda tag, v: struct.pack("<BH", tag, len(v)) + v
print(f"23 {sys.argv[1]}:200000", (field(112, bytes(32)) + field(234, struct.pack("<Q", 1)) + field(235, struct.pack("<Q", 1))).hex(), "-")
PY
rm -rf forged forgedkey
cp -a "$LIVE" forged
"$BUILD/tests/unit/archive/plant" "$W/forged" "$KEY" < lines > planted || fail "not planted"
sum() { cat "$1"/log/*.seg | tr -d '\0' | wc -c; }
LIVEKEY=$KEY STORE=$W/forged KEY=$W/forgedkey
was=$(sum forged)
recovered || fail "recover: $(cat out)"
grep -q "1 frame of the log ends files and was permitted by nobody" out || fail "it said: $(cat out)"
grep -q "gone from this copy too: 1 file, " out || fail "it said: $(cat out)"
same "bytes of what is kept" "$was" "$(sum forged)"

say "copied out, what nobody permitted to be taken out is named, and the exit code says so"
coffer-vault init "$W/z" --name vault.example/z > z.init
bundle() { # bundle NAME: of that store, which no vault judged
    coffer vault add "$1" z bundle: --vkey "$(grep -o 'vault.example/z+[^ ]*' z.init | head -n 1)" > out
    coffer sync "$1" z --bundle "$W/bundle-$1" > out 2>&1 || fail "bundle: $(cat out)"
}
taken() { # taken NAME WANTED...: what is copied out of it
    rm -rf back to
    coffer restore "$W/bundle-$1" "$W/back" --archive "$ID" --to "$W/to" --identity custodians "${@:2}" > out 2>&1
}
bundle forged
taken forged && fail "exit 0: $(cat out)"
grep -q "short/kept, inode $KEPT is missing: destroy frame $(cat planted), which nobody permitted" out || fail "it said: $(cat out)"
grep -q "1 file is missing that nobody permitted to be taken out" out || fail "it said: $(cat out)"
taken forged --size "$(cat planted)" || fail "as it was before: $(cat out)"
cmp kept to/short/kept
mount_archive
coffer restore "$W/bundle-forged" "$W/drill" --drill "$STORE" --identity custodians > out 2>&1 && fail "a drill that went well: $(cat out)"
grep -q "1 file is missing that nobody permitted to be taken out" out || fail "it said: $(cat out)"
umount_archive
cp -a "$LIVE" removed
python3 - "$KEPT" "$SHORT" > lines << 'PY'
import struct, sys
field = lambda tag, v: struct.pack("<BH", tag, len(v)) + v
print(f"13 {sys.argv[1]} -", (field(1, struct.pack("<Q", int(sys.argv[2]))) + field(2, b"kept")).hex())
PY
"$BUILD/tests/unit/archive/plant" "$W/removed" "$LIVEKEY" < lines > planted || fail "not planted"
bundle removed
taken removed && fail "exit 0: $(cat out)"
grep -q "short/kept, inode $KEPT is missing: remove frame $(cat planted), which nobody permitted" out || fail "it said: $(cat out)"
taken removed --size "$(cat planted)" || fail "as it was before: $(cat out)"
cmp kept to/short/kept

say "cut off and failed at each write: the mount goes on, or the same command"
command -v strace > /dev/null || { ok "recover-destroyed, without interruptions: strace is not installed"; exit 0; }
traced() { # traced SEGMENT INJECTION
    strace -f -qq -o trace -P "$STORE/log/$1" -e trace=pwritev,fdatasync,fallocate -e "inject=$2" "$(command -v coffer)" recover "$STORE" \
        --identity custodians --new-key-file "$KEY" > out 2>&1
}
cut=0
for call in pwritev fdatasync fallocate; do
    for n in 1 2; do
        again
        { traced 00000001.seg "$call:signal=KILL:when=$n" && continue; } 2> /dev/null
        cut=$((cut + 1))
        same "due, cut at $call $n" "due" "$(cat back/keys/ended)"
        if [ $((cut % 2)) = 0 ]; then
            coffer recover "$STORE" --identity custodians --key-file "$KEY" > out 2>&1 || fail "once more: $(cat out)"
            same "left, cut at $call $n" 0 "$(left back)"
        fi
        holds
        grep -q "1 destroyed files" events || fail "not on record: $(cat events)"
    done
done
[ $cut -ge 3 ] || fail "cut $cut times: $(cat trace)"
again
traced 00000001.seg "pwritev:error=EIO:when=1" && fail "an error is not told"
grep -q "are recovered, and what the log destroyed is not gone from this copy yet.*The next mount goes on" out || fail "it said: $(cat out)"
holds
ok recover-destroyed
