#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Vaults for real: one on other disks, one behind OpenSSH's sshd and a forced command; a burnt host comes back from a vault and
# the recovery envelope; an old state, a fork, a cut line, a vault that is not the one that was met.
. "$(dirname "$0")/lib.sh"
command -v age-keygen > /dev/null || skip "age is not installed"

# Which is needed further down, and takes its time.
mkdir "$W/deb"
if [ -z "$(command -v sshd)" ]; then (cd "$W/deb" && exec timeout 120 apt-get download openssh-server libwrap0) > "$W/apt.out" 2>&1 & fetching=$!; fi
age-keygen -o "$W/officer" 2> /dev/null
make_store audit -- --recovery "$(age-keygen -y "$W/officer")" --segment-size 64K
coffer init "$W/foreign" --new-key-file "$W/foreignkey" --shelf audit > /dev/null
ID=$(coffer status "$STORE" --json | json 'j["archive_id"]')

# ---- a vault, and what it is told ----
coffer-vault | grep -q "forced command" || fail "coffer-vault alone does not help"
expect_code 2 coffer-vault init "$W/b"
expect_fail "LAT,LON,NAME" coffer-vault init "$W/b" --name vault.example/b --place Kaohsiung
expect_fail "ISO 3166" coffer-vault init "$W/b" --name vault.example/b --jurisdiction taiwan
[ ! -e "$W/b" ] || fail "an init that failed left something behind"
expect_fail "takes 1 to 4" coffer-vault init "$W/b" --name vault.example/b --grade 0
[ ! -e "$W/b" ] || fail "an init that failed left something behind"
coffer-vault init "$W/b" --name vault.example/b --grade 2 --place 22.62,120.30,Kaohsiung --jurisdiction TW > "$W/init.out"
VKEY=$(grep -o 'vault.example/b+[^ ]*' "$W/init.out" | head -n 1)
expect_fail "a vault already" coffer-vault init "$W/b" --name vault.example/b
same "mode of the key" 600 "$(stat -c %a "$W/b/key")"
coffer status "$STORE" | grep -q "^Vaults *none" || fail "status does not tell that there is no vault"
expect_fail "coffer vault add" coffer sync "$STORE"
expect_fail "no way to a vault" coffer vault add "$STORE" b gopher://vault.example/
expect_fail "no name for a vault" coffer vault add "$STORE" ../b "dir:$W/b"
expect_fail "is no vault" coffer vault add "$STORE" b "dir:$W/none"
expect_fail "not the one that was given" coffer vault add "$STORE" b "dir:$W/b" --vkey "$(sed 's/+[0-9a-f]*+.*//' <<< "$VKEY")+$(coffer-vault init "$W/other" --name vault.example/b | grep -o 'b+[^ ]*' | head -n 1 | cut -d+ -f2-)"
coffer vault add "$STORE" b "dir:$W/b" --vkey "$VKEY" > "$W/out"
grep -q Kaohsiung "$W/out" || fail "add does not tell the place: $(cat "$W/out")"
same "what a question leaves at the vault" "" "$(ls -A "$W/b/archives")"
coffer status "$STORE" | grep -q "^Vault *b .*nothing confirmed.*; grade 2$" || fail "status does not name the vault"
coffer vault list "$STORE" | grep -q "nothing confirmed yet" || fail "list: $(coffer vault list "$STORE")"
ok "a vault is made, met and named"

# ---- beside a mount ----
mount_archive
head -c 400000 /dev/urandom > "$W/data"
cp "$W/data" "$MNT/audit/data"
for i in $(seq 200); do echo "line $i"; done > "$MNT/audit/log"
coffer commit "$MNT/audit/data" > /dev/null
await 20 "a checkpoint of all" sh -c "coffer sync '$STORE' b --json > '$W/sync' && coffer vault list '$STORE' --json |
    python3 -c 'import json,sys; v=json.load(sys.stdin)[0]; sys.exit(v[\"size\"] < 20 or v[\"behind\"] > 0)'"
umount_archive
coffer sync "$STORE" b --json > "$W/sync"
jsonl 'j[0]["vault"] == "b" and j[0]["frames"] > 0 or sys.exit("sync says " + str(j))' < "$W/sync" > /dev/null
coffer status "$STORE" | grep -q "^Vault *b at 22.62,120.30,Kaohsiung: confirmed [0-9]* frames at .*, 0 behind" || fail "status: $(coffer status "$STORE")"
coffer sync "$STORE" | grep -q "has all" || fail "a second sync found something missing"
same "behind" 0 "$(coffer vault list "$STORE" --json | json 'j[0]["behind"]')"
coffer verify "$W/b/archives/$ID" > "$W/out" || { cat "$W/out"; fail "the copy does not verify"; }
coffer-vault status "$W/b" | grep -q "TW, grade 2$" || fail "status of the vault does not state its grade"
coffer-vault status "$W/b" | grep -q "$ID" || fail "status of the vault"
coffer-vault status "$W/b" | grep -q "never scrubbed" || fail "status before a scrub: $(coffer-vault status "$W/b")"
same "scrub" 0 "$(coffer-vault scrub "$W/b" > "$W/out"; echo $?)"
coffer-vault status "$W/b" | grep -q "^  last scrub 20.*Z intact" || fail "status behind a scrub: $(coffer-vault status "$W/b")"
same "archives" "$ID $(sed -n 2p "$W/b/archives/$ID/checkpoint") $(cat "$W/b/archives/$ID"/log/*.seg | wc -c)" \
    "$(coffer-vault archives "$W/b" --json | json '" ".join(str(j[0][k]) for k in ("archive", "size", "bytes"))')"
coffer-vault archives "$W/b" | grep -q "^$ID  .* frames, " || fail "archives: $(coffer-vault archives "$W/b")"
same "received" 1 "$(tail -n 1 "$W/b/archives/$ID/received" | jsonl 'len(j)')"
for s in "$W/b/archives/$ID"/log/*.seg; do
    cmp -n "$(stat -c %s "$s")" "$s" "$STORE/log/$(basename "$s")" || fail "$(basename "$s") differs"
done
if grep -rqF "line 17" "$W/b"; then fail "the vault has plaintext"; fi
ok "a sync beside a mount; the copy verifies without any key"

# ---- no faster than was said ----
coffer-vault init "$W/slow" --name vault.example/slow > /dev/null
cp -a "$STORE" "$W/limited"
coffer vault add "$W/limited" slow "dir:$W/slow" > /dev/null
began=$(date +%s%N)
coffer sync "$W/limited" slow --limit 800K > "$W/out" || { cat "$W/out"; fail "a sync with a limit"; }
took=$((($(date +%s%N) - began) / 1000000)) least=$(($(cat "$W/slow/archives/$ID"/log/*.seg | wc -c) * 1000 / 819200))
[ "$least" -gt 400 ] && [ "$took" -ge "$least" ] || fail "--limit 800K: $took ms, and no less than $least were due"
ok "a limit of bytes a second"

# ---- over ssh: a key that may do nothing else ----
sshd=$(command -v sshd || true)
if [ -z "$sshd" ] && wait "$fetching"; then
    for p in "$W/deb"/*.deb; do dpkg -x "$p" "$W/openssh"; done
    [ ! -x "$W/openssh/usr/sbin/sshd" ] || sshd=$W/openssh/usr/sbin/sshd
fi
private() { LD_LIBRARY_PATH=${W}/openssh/usr/lib/x86_64-linux-gnu:${W}/openssh/lib/x86_64-linux-gnu "$@"; }
# Without the package there is no user for its separated part.
if [ -n "$sshd" ] && ! getent passwd sshd > /dev/null; then
    { cat /etc/passwd; echo "sshd:x:100:65534::/run/sshd:/usr/sbin/nologin"; } > "$W/passwd"
    mount --bind "$W/passwd" /etc/passwd # in this script's own namespace
fi
if [ -n "$sshd" ] && private "$sshd" -V 2>&1 | grep -qi openssh; then
    mkdir -p /run/sshd
    ssh-keygen -q -t ed25519 -N '' -f "$W/hostkey"
    ssh-keygen -q -t ed25519 -N '' -f "$W/userkey"
    echo "command=\"$BUILD/tools/coffer-vault serve $W/c --archive $ID\",restrict $(cat "$W/userkey.pub")" > "$W/authorized"
    cat > "$W/sshd.conf" << END
HostKey $W/hostkey
AuthorizedKeysFile $W/authorized
StrictModes no
UsePAM no
PidFile none
PermitRootLogin forced-commands-only
END
    cat > "$W/ssh.conf" << END
Host vault.example
    User root
    IdentityFile $W/userkey
    IdentitiesOnly yes
    UserKnownHostsFile $W/known
    StrictHostKeyChecking accept-new
    ProxyCommand env LD_LIBRARY_PATH=$W/openssh/usr/lib/x86_64-linux-gnu:$W/openssh/lib/x86_64-linux-gnu $sshd -i -f $W/sshd.conf
END
    cp "$W/ssh.conf" "$W/ssh.conf.before"
    export COFFER_SSH="ssh -F $W/ssh.conf"
    coffer-vault init "$W/c" --name vault.example/c > /dev/null
    coffer vault add "$STORE" far ssh://root@vault.example/anything > "$W/out" 2>&1 || { cat "$W/out"; fail "add over ssh"; }
    coffer sync "$STORE" far > "$W/out" 2>&1 || { cat "$W/out"; fail "sync over ssh"; }
    coffer verify "$W/c/archives/$ID" > /dev/null || fail "the copy behind ssh does not verify"
    # nothing else can be done with that key, nor for another archive
    expect_fail "" ssh -F "$W/ssh.conf" vault.example touch "$W/intruded" < /dev/null
    [ ! -e "$W/intruded" ] || fail "the key did something else"
    expect_fail "for another archive" coffer vault add "$W/foreign" far ssh://root@vault.example/anything
    # a connection that ssh keeps: the next sync begins none, and nobody waits for it to end
    plain_ssh=$COFFER_SSH
    export COFFER_SSH="$plain_ssh -o ControlMaster=auto -o ControlPersist=60 -o ControlPath=$W/kept"
    timeout 60 coffer sync "$STORE" far > "$W/out" 2>&1 || { cat "$W/out"; fail "sync over ssh that stays"; }
    $COFFER_SSH -O check vault.example 2> "$W/out" || fail "the connection did not stay: $(cat "$W/out")"
    sed -i "s/^    ProxyCommand .*/    ProxyCommand false/" "$W/ssh.conf" # another one could not be made
    timeout 60 coffer sync "$STORE" far > "$W/out" 2>&1 || { cat "$W/out"; fail "sync over the connection that stayed"; }
    expect_fail "" ssh -o "ControlPath=$W/kept" vault.example touch "$W/intruded" < /dev/null
    [ ! -e "$W/intruded" ] || fail "over the kept connection something else was done"
    $COFFER_SSH -O exit vault.example 2> "$W/out" || fail "$(cat "$W/out")"
    expect_fail "" coffer sync "$STORE" far
    cp "$W/ssh.conf.before" "$W/ssh.conf"
    COFFER_SSH=$plain_ssh
    ok "over sshd with a forced command"
else
    say "left out: openssh-server is not installed and could not be unpacked"
fi

# ---- what is not an extension ----
cp -a "$STORE" "$W/older"
cp -a "$STORE" "$W/twin" # which nobody tells that it is behind
mount_archive
echo more >> "$MNT/audit/log"
umount_archive
coffer sync "$STORE" b > /dev/null
expect_code 3 coffer sync "$W/older" b
grep -q "older state" "$W/out" || fail "behind: $(cat "$W/out")"
(STORE=$W/twin; mount_archive; for i in 1 2 3 4 5 6 7 8 9; do echo "another history $i" >> "$MNT/audit/log"; done; umount_archive)
expect_code 4 coffer sync "$W/twin" b
grep -q "two histories" "$W/out" || fail "fork: $(cat "$W/out")"
same "heads of forks kept" 1 "$(find "$W/b/archives/$ID/forks" -name '*.note' | wc -l)"
expect_code 3 coffer-vault status "$W/b"
grep -q FORKED "$W/out" || fail "the vault's status does not tell of the fork"
same "the vault's copy" 0 "$(coffer verify "$W/b/archives/$ID" > /dev/null; echo $?)"
mv "$W/b" "$W/b.away" && mv "$W/other" "$W/b"
expect_fail "another vault" coffer sync "$STORE" b
mv "$W/b" "$W/other" && mv "$W/b.away" "$W/b"
coffer sync "$STORE" b > /dev/null
ok "an old state, a fork, another vault"

# ---- damage at the vault is seen, and names the archive ----
cp -a "$W/b" "$W/hurt"
flip "$W/hurt/archives/$ID/log/00000000.seg" 3000
expect_code 13 coffer-vault scrub "$W/hurt"
grep -q tampered "$W/out" || fail "scrub: $(cat "$W/out")"
ok "scrub"

[ -z "$LONG" ] || KILLS=60
# ---- parts of it, from two vaults that each lost something ----
digest=$(sha256sum < "$W/data")
VKEY_D=$(coffer-vault init "$W/d" --name vault.example/d | grep -o 'vault.example/d+[^ ]*' | head -n 1)
coffer vault add "$STORE" d "dir:$W/d" > /dev/null
SIZE=$(coffer sync "$STORE" d --json | jsonl 'j[0]["size"]')
mount_archive
mkdir "$MNT/audit/below" && echo nested > "$MNT/audit/below/one" && echo "a last line" >> "$MNT/audit/log"
umount_archive
coffer sync "$STORE" b > /dev/null
cp "$W/d/archives/$ID/checkpoint" "$W/d.note"
restore() { coffer restore "$@" --archive "$ID" > "$W/out" 2> "$W/err"; }
code() { local c=0; "$@" || c=$?; echo $c; }
same "restore from one vault" 0 "$(code restore "dir:$W/b" "$W/r1")"
grep -q "Freshness is not proven" "$W/out" || fail "one vault: $(cat "$W/out")"
same "a head that is behind" 0 "$(code restore "dir:$W/b" "$W/r1" --head "$W/d.note")"
grep -q "Freshness is not proven" "$W/out" || fail "an older head proves nothing: $(cat "$W/out")"
cp "$W/b/archives/$ID/checkpoint" "$W/b.note"
same "a vault that is behind" 3 "$(code restore "dir:$W/d" "$W/r2" --head "$W/b.note")"
grep -q "NOT THE NEWEST" "$W/out" || fail "behind: $(cat "$W/out")"
coffer sync "$STORE" > /dev/null || true
same "another vault has the same" 0 "$(code restore "dir:$W/b" "dir:$W/d" "$W/r3")"
grep -q "claimed, not proven" "$W/out" || fail "no keys given: $(cat "$W/out")"
rm -rf "$W/r3"
same "and says so with its key" 0 "$(code restore "dir:$W/b" "dir:$W/d" "$W/r3" --vkey "$VKEY" --vkey "$VKEY_D")"
grep -q "Freshness is proven by" "$W/out" || fail "with keys: $(cat "$W/out")"
cp -a "$W/b" "$W/hurt-b" && cp -a "$W/d" "$W/hurt-d"
flip "$W/hurt-b/archives/$ID/log/00000001.seg" 9000
flip "$W/hurt-b/archives/$ID/log/00000004.seg" 0
flip "$W/hurt-d/archives/$ID/log/00000003.seg" 30000
flip "$W/hurt-d/archives/$ID/log/00000001.seg" 50000
expect_fail "cannot be had whole" coffer restore "dir:$W/hurt-b" "dir:$W/hurt-b" "$W/r4" --archive "$ID"
rm -rf "$W/r4"
same "two damaged vaults" 0 "$(code restore "dir:$W/hurt-b" "dir:$W/hurt-d" "$W/r4")"
coffer verify "$W/r4" > "$W/out" || { cat "$W/out"; fail "what two damaged vaults gave does not verify"; }
cp -a "$W/b" "$W/hashes"
flip "$W/hashes/archives/$ID/tile/0" 96
flip "$W/hashes/archives/$ID/tile/0" $((32 * ($(sed -n 2p "$W/b.note") - 1)))
same "a vault whose stored hashes are damaged" 0 "$(code restore "dir:$W/hashes" "$W/r5")"
coffer verify "$W/r5" > /dev/null || fail "from damaged hashes"
coffer verify "$W/hashes/archives/$ID" > /dev/null || fail "the hashes of the vault were not made anew"
flip "$W/hashes/archives/$ID/tile/0" 96 # which no session needs
expect_code 13 coffer-vault scrub "$W/hashes"
grep -q "made anew" "$W/out" || fail "scrub of hashes: $(cat "$W/out")"
expect_code 3 coffer-vault scrub "$W/hashes" # the fork of before
rm -rf "$W/r5" "$W/hashes"
flip "$W/r4/log/00000002.seg" 20000
same "a byte that went wrong behind the transfer" 1 "$(code restore "dir:$W/b" "$W/r4" --to "$W/never" --identity "$W/officer")"
grep -q "nothing of it was given out" "$W/err" || fail "tampered: $(cat "$W/err")"
[ ! -e "$W/never" ] || fail "something was given out"
same "one file" 0 "$(code restore "dir:$W/b" "$W/r3" --to "$W/one" --file audit/data --identity "$W/officer" --auditor-secret "$AUDITOR")"
same "its content" "$digest" "$(sha256sum < "$W/one/audit/data")"
same "and nothing else" audit/data "$(cd "$W/one" && find . -type f | sed 's,./,,')"
grep -q "all seals" "$W/out" || fail "seals: $(cat "$W/out")"
[ ! -e "$W/r3/scratch" ] && [ ! -e "$W/r3/keys" ] || fail "keys were left behind"
expect_fail "not in the archive" coffer restore "dir:$W/b" "$W/r3" --archive "$ID" --to "$W/two" --file audit/below --size "$SIZE" --identity "$W/officer"
same "as it was" 0 "$(code restore "dir:$W/b" "$W/r3" --to "$W/then" --size "$SIZE" --shelf audit --identity "$W/officer")"
same "the last line then" more "$(tail -n 1 "$W/then/audit/log")"
same "everything" 0 "$(code restore "dir:$W/b" "$W/r3" --to "$W/all" --identity "$W/officer" --first audit)"
same "a nested file" nested "$(cat "$W/all/audit/below/one")"
same "the last line" "a last line" "$(tail -n 1 "$W/all/audit/log")"
for i in $(seq "${KILLS:-2}"); do # killed at some points, with all that it has begun
    rm -rf "${W:?}/k$((i % 3))"
    for after in 0.0$((i % 10))$i 0.1$i; do
        timeout -s KILL "$after" coffer restore "dir:$W/hurt-b" "dir:$W/hurt-d" "$W/k$((i % 3))" --archive "$ID" --to "$W/killed" \
            --identity "$W/officer" > "$W/out" 2>&1 || true
    done
    same "behind a kill" 0 "$(code restore "dir:$W/hurt-b" "dir:$W/hurt-d" "$W/k$((i % 3))" --to "$W/killed" --identity "$W/officer")"
    diff -r "$W/all" "$W/killed" || fail "what a restore that was killed made whole is another"
    [ $((i % 2)) = 0 ] || rm -rf "$W/killed"
done
same "once more" 0 "$(code restore "dir:$W/b" "$W/r3" --to "$W/all" --identity "$W/officer")"
grep -q "were there already" "$W/out" || fail "a second run: $(cat "$W/out")"
echo other > "$W/all/audit/below/one"
expect_fail EEXIST coffer restore "dir:$W/b" "$W/r3" --archive "$ID" --to "$W/all" --identity "$W/officer"
same "what was in the way" other "$(cat "$W/all/audit/below/one")"
say "a drill"
drill() { coffer restore "$@" --drill "$STORE" --identity "$W/officer" > "$W/out" 2> "$W/err"; }
same "beside no mount" 1 "$(code drill b "$W/scratch")"
grep -q "is not mounted" "$W/err" || fail "a drill without a mount: $(cat "$W/err")"
mount_archive
same "a drill" 0 "$(code drill b "$W/scratch")"
[ ! -e "$W/scratch" ] || fail "the scratch place is still there"
coffer events "$STORE" --type restore-drill --json | jsonl '"are the same" in j[-1]["detail"] and "took" in j[-1]["detail"] or sys.exit(str(j))' > /dev/null
coffer events "$STORE" --type vault-drill --json | jsonl 'j[-1]["took_ns"] > 0 and j[-1]["name"] == "b" or sys.exit(str(j))' > /dev/null
same "a vault that lost something" 1 "$(code drill "dir:$W/hurt-b" "$W/scratch")"
[ ! -e "$W/scratch" ] || fail "the scratch place of a drill that failed is still there"
coffer events "$STORE" --type restore-drill-failed | grep -q "cannot be had whole\|do not give its checkpoint\|is not in the log" ||
    fail "no event: $(coffer events "$STORE" --type restore-drill-failed)"
age-keygen -o "$W/stranger" 2> /dev/null
expect_fail "" coffer restore b "$W/scratch" --drill "$STORE" --identity "$W/stranger"
same "drills that failed on record" 2 "$(coffer events "$STORE" --type restore-drill-failed --json | jsonl 'len(j)')"
COFFER_PROFILES=$TOP/profiles coffer compliance "$STORE" --profile insurance > "$W/compliance" || true
tr -s ' \n' ' ' < "$W/compliance" | grep -q "the last restore that was tried failed" || fail "compliance does not judge the drill: $(cat "$W/compliance")"
umount_archive
flip "$STORE/log/00000002.seg" 20000
mount_archive
same "a live archive that is damaged" 1 "$(code drill b "$W/scratch")"
grep -q "differ: audit/data: the live archive cannot read it" "$W/err" || fail "damage of the live archive: $(cat "$W/err")"
umount_archive
flip "$STORE/log/00000002.seg" 20000
coffer sync "$STORE" > /dev/null || true
ok "from two damaged vaults; a file, a shelf, an earlier size; fresh or not"

# ---- a vault is left ----
coffer-vault init "$W/left" --name vault.example/left > /dev/null
coffer vault add "$STORE" left "dir:$W/left" > /dev/null
coffer sync "$STORE" left > /dev/null
expect_fail "does not say in its own log" coffer-vault destroy "$W/left" --archive "$ID"
cp -a "$W/left" "$W/forged"
coffer-vault destroy "$W/forged" --archive "$ID" --unasked > "$W/early" 2> /dev/null
coffer vault retire "$STORE" left > "$W/out"
grep -q "coffer-vault destroy DIR" "$W/out" || fail "retire does not tell what is next: $(cat "$W/out")"
coffer status "$STORE" | grep -q "^Vault *left: being retired since" || fail "status: $(coffer status "$STORE")"
coffer sync "$STORE" > "$W/out" || true
if grep -q "^left" "$W/out"; then fail "sync still sends to a vault that is left"; fi
mount_archive
await 20 "what waited to go on record" test ! -e "$STORE/vaults/pending"
coffer due "$STORE" --json > "$W/due" || true
same "due tells of it" "vault left" "$(json '[o["of"] for o in j if o["obligation"] == "vault_receipt"][0]' < "$W/due")"
coffer sync "$STORE" left > /dev/null
expect_fail "it is older" coffer vault retire "$STORE" left --receipt "$W/early"
mv "$W/left/key" "$W/key.left" && cp "$W/other/key" "$W/left/key"
expect_fail "not the key" coffer-vault destroy "$W/left" --archive "$ID"
mv "$W/key.left" "$W/left/key"
coffer-vault destroy "$W/left" --archive "$ID" > "$W/receipt" 2> /dev/null
[ ! -e "$W/left/archives/$ID" ] || fail "the copy is still there"
grep -q "^asked yes$" "$W/receipt" || fail "receipt: $(cat "$W/receipt")"
coffer-vault destroy "$W/left" --archive "$ID" 2> /dev/null | cmp - "$W/receipt" || fail "a second destroy gives another receipt"
expect_fail "destroyed what it had" coffer sync "$STORE" left
sed 's/^bytes [0-9]*/bytes 1/' "$W/receipt" > "$W/altered"
expect_fail "altered" coffer vault retire "$STORE" left --receipt "$W/altered"
echo waiting > "$STORE/vaults/left.keys" # the tree R that it was not brought any more
ln "$STORE/vaults/left.keys" "$W/waiting"
coffer vault retire "$STORE" left --receipt "$W/receipt" > "$W/out" || fail "the receipt: $(cat "$W/out")"
[ ! -e "$STORE/vaults/left.keys" ] && [ "$(tr -d '\0' < "$W/waiting" | wc -c)" = 0 ] || fail "what waited for it is there still"
coffer due "$STORE" --json > "$W/due" || true
same "due" 0 "$(json 'sum(o["obligation"] == "vault_receipt" for o in j)' < "$W/due")"
coffer events "$STORE" --type vault-retired --json | jsonl '"coffer-vault-receipt/1" in j[-1]["document"] or sys.exit(str(j))' > /dev/null
if coffer status "$STORE" | grep -q "^Vault *left"; then fail "a retired vault is still listed"; fi
umount_archive
coffer sync "$STORE" b > /dev/null || true
ok "a vault is left: an open item until it signed that it destroyed what it had"

# ---- the host burns ----
expect_fail "no copy of archive" coffer restore "dir:$W/other" "$W/new" --archive "$ID"
rm -rf "$W/new"
LOGKEY=$(coffer status "$STORE" --json | json 'j["vkey"]')
mount_archive
coffer runbook "$STORE" > "$W/runbook" || fail "runbook"
grep -q "The last drill that went well brought" "$W/runbook" || fail "the runbook does not estimate by the drill: $(cat "$W/runbook")"
umount_archive
coffer sync "$STORE" > /dev/null || true
coffer handover give "$STORE" --to "the successor" > "$W/handover"
sed -n '/^   coffer restore .$/,/^$/p' "$W/runbook" > "$W/steps"
sed -i "s,$STORE ,$W/by-runbook ," "$W/steps"
bash -e "$W/steps" > "$W/out" 2>&1 || { cat "$W/steps" "$W/out"; fail "the runbook's own command"; }
grep -q "Freshness is proven" "$W/out" || fail "by the runbook: $(cat "$W/out")"
coffer verify "$W/by-runbook" > /dev/null || fail "what the runbook's command brought"
rm -rf "$STORE" "$KEY"
expect_fail "another key" coffer restore "dir:$W/b" "$W/new" --archive "$ID" --log-vkey "$(sed -n 's/^vkey = //p' "$W/foreign/archive.conf")"
rm -rf "$W/new"
coffer restore "dir:$W/b" "$STORE" --archive "$ID" --vkey "$VKEY" --log-vkey "$LOGKEY" > "$W/out" 2>&1 || { cat "$W/out"; fail "restore"; }
grep -q "coffer recover" "$W/out" || fail "restore does not tell what is next"
coffer verify "$STORE" > /dev/null || fail "what was restored does not verify"
expect_fail "" coffer restore "dir:$W/other" "$STORE" --archive "$ID"
coffer recover "$STORE" --identity "$W/officer" --new-key-file "$KEY" > "$W/out" 2>&1 || { cat "$W/out"; fail "recover"; }
mount_archive
same "the file that came back" "$digest" "$(sha256sum < "$MNT/audit/data")"
umount_archive
expect_code 3 coffer handover take "$STORE" "$W/handover"
grep -q "^done  new keys" "$W/out" && grep -q "^OPEN  new people" "$W/out" && grep -q "^OPEN  a new recovery envelope" "$W/out" || fail "handover: $(cat "$W/out")"
sed 's/^size [0-9]*/size 7/' "$W/handover" > "$W/h2"
expect_fail "not what its signed head says" coffer handover take "$STORE" "$W/h2"
sed 's/^archive ..../archive 0000/' "$W/handover" > "$W/h3"
expect_fail "not this one" coffer handover take "$STORE" "$W/h3"
expect_fail "it is not complete" coffer handover take "$W/r1" "$W/handover"
age-keygen -o "$W/officer2" 2> /dev/null
coffer seal recovery-renew "$STORE" --key-file "$KEY" --recovery "$(age-keygen -y "$W/officer2")" > "$W/out" 2>&1 || { cat "$W/out"; fail "recovery-renew"; }
mount_archive
ssh-keygen -q -t ed25519 -N '' -f "$W/alice"; ssh-keygen -q -t ed25519 -N '' -f "$W/bob"
printf 'alice %s roles=officer\nbob %s roles=officer\n' "$(cut -d' ' -f1,2 "$W/alice.pub")" "$(cut -d' ' -f1,2 "$W/bob.pub")" > "$W/people"
mkdir "$W/requests"
coffer people set "$STORE" "$W/people" -o "$W/requests" > /dev/null
R=$(echo "$W"/requests/*.request)
for n in alice bob; do ssh-keygen -q -Y sign -n coffer-people -f "$W/$n" < "$R" > "$R.$n" 2> /dev/null; done
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" > /dev/null
coffer handover take "$STORE" "$W/handover" > "$W/out" 2>&1 || fail "handover, complete: $(cat "$W/out")"
coffer events "$STORE" --type vault-handed-over --json | jsonl '"coffer-handover/1" in j[-1]["document"] or sys.exit(str(j))' > /dev/null
tail -n 1 "$MNT/audit/log" | grep -q "a last line" || fail "the last line is not there"
echo "after the fire" >> "$MNT/audit/log"
umount_archive
coffer vault add "$STORE" b "dir:$W/b" --vkey "$VKEY" > /dev/null
coffer sync "$STORE" b > /dev/null || fail "the restored archive does not go on at its vault"
expect_fail "is an archive already" coffer restore "dir:$W/b" "$STORE" --archive "$ID"
ok "a burnt host comes back, and goes on"
