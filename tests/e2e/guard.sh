#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What the daemon gives up: root, capabilities, system calls, files, inherited things; as the owner of STORE it serves
# everybody as before. And what its mounts say of what it is made of. 15 s.
. "$(dirname "$0")/lib.sh"

sanitized=$(ldd "$BUILD/fs/cofferfs" | grep -o asan || true)
field() { awk -v f="$1:" '$1 == f {print $2}' "/proc/$2/status"; }
root_part() { pgrep -P "$1" -x cofferfs-root || true; }
sign_part() { pgrep -P "$1" -x cofferfs-sign || true; }
# The last event of this kind that the log has: its detail.
event() { coffer log "$STORE" --json "${@:2}" | EVENT=$1 jsonl '([""] + [e.get("detail", "") for e in j if e["type"] == "event" and e.get("event") == os.environ["EVENT"]])[-1]'; }
jsonl() { python3 -c 'import json, os, sys; j = [json.loads(l) for l in sys.stdin]; print(eval(sys.argv[1]))' "$1"; }

confined() { # confined PID UID
    same "uid" "$2" "$(field Uid "$1")"
    same "no_new_privs" 1 "$(field NoNewPrivs "$1")"
    same "seccomp" 2 "$(field Seccomp "$1")"
    [ -n "$sanitized" ] || for set in CapInh CapPrm CapEff CapBnd CapAmb; do
        same "$set" 0000000000000000 "$(field $set "$1")"
    done
    same "core limit" 0 "$(awk '/^Max core file size/ {print $5}' "/proc/$1/limits")"
    same "not to be dumped: what /proc shows of it is root's" root "$(stat -c %U "/proc/$1/environ")"
}

say "a store of root's"
make_store audit
exec 9< "$KEY" 8< /etc/passwd
ulimit -c unlimited # else there would be nothing to take away
SECRET=in-the-environment LD_BIND_NOW=1 mount_archive
exec 9<&- 8<&-
pid=$(daemon_pid)
confined "$pid" 0
grep -aq in-the-environment "/proc/$pid/environ" && fail "a variable that is none of its own is kept"
for fd in /proc/"$pid"/fd/*; do
    to=$(readlink "$fd")
    case $to in
    /dev/null | /dev/fuse | socket:* | "$STORE" | "$STORE"/* | anon_inode:* | /proc/*/comm | pipe:*) ;;
    *) [ -n "$sanitized" ] || fail "the daemon has an open descriptor of $to" ;;
    esac
done
lists() { [ "$(field Seccomp_filters "$pid")" = 2 ]; }
[ -z "$(field Seccomp_filters "$pid")" ] || await 10 "what only a start needs to be closed" lists # Linux 5.9 tells it
sign=$(sign_part "$pid")
same "the part that runs ssh-keygen: one" 1 "$(wc -w <<< "$sign")"
same "its capabilities: none" 0000000000000000 "$([ -n "$sanitized" ] && echo 0000000000000000 || field CapPrm "$sign")"
grep -q secretmem "/proc/$sign/maps" && fail "the part that runs ssh-keygen has memory for keys"
for fd in /proc/"$sign"/fd/*; do
    to=$(readlink "$fd")
    case $to in /dev/null | socket:*) ;; *) fail "the part that runs ssh-keygen has an open descriptor of $to" ;; esac
done
same "and no other part" 2 "$(pgrep -P "$pid" | wc -l)"
part=$(root_part "$pid")
same "the privileged part: one" 1 "$(wc -w <<< "$part")"
same "its threads" 1 "$(field Threads "$part")"
same "its capabilities: mounting, and the way to the mount point" 0000000000200004 "$(field CapPrm "$part")"
grep -q secretmem "/proc/$part/maps" && fail "the privileged part has memory for keys"
for fd in /proc/"$part"/fd/*; do
    to=$(readlink "$fd")
    case $to in /dev/null | socket:*) ;; *) fail "the privileged part has an open descriptor of $to" ;; esac
done
ok "rights, descriptors, variables"

say "key memory is out of reach, of root too"
if grep -q secretmem "/proc/$pid/maps"; then
    expect_fail "" dd if="/proc/$pid/mem" of=/dev/null bs=4096 count=1 iflag=skip_bytes \
        skip=$((16#$(awk '/secretmem/ {split($1, a, "-"); print a[1]; exit}' "/proc/$pid/maps")))
    same "status says where keys are" memfd_secret "$(coffer status "$STORE" --json | json 'j["guard"]["keys"]')"
fi
expect_fail "" as_user cat "/proc/$pid/maps"

# Sanitizers keep a right of root's in the daemon, which self-check finds.
well=$([ -n "$sanitized" ] && echo 3 || echo 0)
say "self-check"
expect_code "$well" coffer self-check "$STORE"
cp "$W/out" "$W/check"
grep -q "^Daemon.*uid 0" "$W/check" || { cat "$W/check"; fail "self-check does not tell of the daemon"; }
coffer self-check "$STORE" --json > "$W/check.json" || [ $well = 3 ]
same "the digest of the daemon's program" "$(sha256sum < "$BUILD/fs/cofferfs" | cut -d ' ' -f 1)" "$(json 'j["daemon"]["measured"][0]["sha256"]' < "$W/check.json")"
same "the digest of coffer itself" "$(sha256sum < "$BUILD/tools/coffer" | cut -d ' ' -f 1)" "$(json 'j["program"]["measured"][0]["sha256"]' < "$W/check.json")"
same "modules" "coffer libgcrypt tpm2-tss" "$(json '" ".join(m["name"] for m in j["program"]["modules"])' < "$W/check.json")"
[ -n "$sanitized" ] || same "findings" "[]" "$(json 'j["findings"]' < "$W/check.json")"
libgcrypt=$(json '[m["path"] for m in j["daemon"]["measured"] if "libgcrypt" in m["path"]][0]' < "$W/check.json")
umount_archive
same "the MOUNT frame has it" "$(sha256sum < "$libgcrypt" | cut -d ' ' -f 1)" \
    "$(coffer log "$STORE" --key-file "$KEY" --json | jsonl '[m["sha256"] for e in j if e["type"] == "mount" and "measured" in e for m in e["measured"] if "libgcrypt" in m["text"]][0]')"

same "policies: a digest at the first mount of a daemon, and it is right" 1 \
    "$(second_reader --json | json 'j["policy_digests"]')"
same "the same digests in self-check" "$(json '"\n".join(sorted(s["name"] + ": SHA-256 " + s["policy_sha256"] for s in j["shelves"]))' < "$W/check.json")" \
    "$(event policies --key-file "$KEY" | sort)"

say "nothing changed: no event; another program: one, which names it"
mount_archive
same "no event" "" "$(event changed)"
umount_archive
mkdir "$W/other"
cp "$BUILD/fs/mount.coffer" "$W/other/"
cp "$BUILD/fs/cofferfs" "$W/other/"
printf 'x' >> "$W/other/cofferfs"
"$W/other/mount.coffer" "$STORE" "$MNT" -o "keyfile=$KEY"
was=$(sha256sum < "$BUILD/fs/cofferfs" | cut -d ' ' -f 1) is=$(sha256sum < "$W/other/cofferfs" | cut -d ' ' -f 1)
same "the event" "cofferfs: SHA-256 was $was, is $is" "$(event changed)"
expect_code "$well" coffer self-check "$STORE"
printf 'y' > "$W/other/new"
mv "$W/other/new" "$W/other/cofferfs"
expect_code 3 coffer self-check "$STORE"
grep -q "cofferfs.*changed on the disk" "$W/out" || { cat "$W/out"; fail "self-check misses a program that was exchanged"; }
same "on record, as a failure" "failure A.17.2 alert True" "$(coffer events "$STORE" --type self-check --json |
    jsonl '" ".join(j[-1][k] for k in ("outcome", "catalogue", "severity")) + " " + str("changed on the disk" in j[-1]["detail"])')"
umount_archive

say "unconfined is on record and shown"
mount_archive unconfined
pid=$(daemon_pid)
same "seccomp" 0 "$(field Seccomp "$pid")"
same "no capabilities all the same" 1 "$(field NoNewPrivs "$pid")"
[[ $(event unconfined) == *unconfined* ]] || fail "no event: $(event unconfined)"
[[ $(event changed) == *unconfined* ]] || fail "no change: $(event changed)"
expect_code 3 coffer self-check "$STORE"
coffer status "$STORE" | grep -q "Warning.*unconfined" || fail "status does not warn"
umount_archive

say "a store of an ordinary user: the daemon is that user's, and serves everybody"
chown -R 65534:65534 "$STORE"
mount_archive
pid=$(daemon_pid)
confined "$pid" 65534
chmod 777 "$MNT/audit"
echo of root >> "$MNT/audit/root"
as_user bash -c "echo of nobody >> $MNT/audit/nobody"
setpriv --reuid 1234 --regid 1234 --clear-groups bash -c "echo of 1234 >> $MNT/audit/1234"
same "read by root" "of 1234" "$(cat "$MNT/audit/1234")"
expect_fail EPERM truncate -s 0 "$MNT/audit/root"
same "who wrote" "0 65534 1234" "$(for f in root nobody 1234; do coffer blame "$MNT/audit/$f" --json | json 'j["uid"]'; done | xargs)"
same "the daemon's own user may not ask: the socket is root's" 1 "$(as_user coffer status "$STORE" > /dev/null 2>&1; echo $?)"
umount_archive
verify_intact
same "nothing of root's in the store" "" "$(find "$STORE" -not -user 65534)"
mount_archive "index=$W/index-of-nobody"
same "the owner of an index elsewhere" 65534 "$(stat -c %u "$W/index-of-nobody")"
umount_archive

say "SIGTERM, stop: unmounted though the daemon is not root"
mount_archive
pid=$(daemon_pid)
kill -TERM "$pid"
await 20 "the daemon to end" gone "$pid"
mountpoint -q "$MNT" && fail "still mounted after SIGTERM"
same "the socket is gone" 0 "$(find "$COFFER_RUN_DIR" -name '*.sock' | wc -l)"
mount_archive
pid=$(daemon_pid) part=$(root_part "$(daemon_pid)") sign=$(sign_part "$(daemon_pid)")
kill -KILL "$pid"
await 20 "the privileged part to end with a killed daemon" gone "$part"
await 20 "and the one that runs ssh-keygen" gone "$sign"
expect_fail ENOTCONN stat "$MNT/audit"
mount_archive
same "what the killed daemon took" "of root" "$(cat "$MNT/audit/root")"
umount_archive
verify_intact

if [ -n "$sanitized" ]; then
    say "skipped: verbs that act as the owner, for LeakSanitizer cannot look at them"
    exit 0
fi
say "verbs of root on it leave it its owner's"
coffer shelf add "$STORE" more --key-file "$KEY" > /dev/null
same "nothing of root's in the store" "" "$(find "$STORE" -not -user 65534)"
mount_archive
[ -d "$MNT/more" ] || fail "no shelf"
umount_archive

say "init for a user"
rm -rf "$STORE" "$AUDITOR"
make_store audit -- --owner nobody
same "nothing of root's in the store" "" "$(find "$STORE" -not -user 65534)"
mount_archive
same "uid" 65534 "$(field Uid "$(daemon_pid)")"
umount_archive
verify_intact
rm -rf "$STORE" "$AUDITOR"
echo right > "$W/pass"
coffer init "$STORE" --shelf audit --owner nobody --passphrase-fd 0 < "$W/pass" > /dev/null
expect_fail "" coffer log "$STORE" --passphrase-fd 0 <<< wrong
[ -e "$STORE/seal/attempts" ] || fail "the try was not counted"
same "nothing of root's in the store, a try counted by root neither" "" "$(find "$STORE" -not -user 65534)"
expect_fail "no such user" coffer init "$W/none" --shelf a --key-file "$KEY" --owner no-such-user
