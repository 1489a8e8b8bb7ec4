#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a mounted archive refuses and allows, by real system calls and tools, as root and as an ordinary user: the documented
# errno, bytes unchanged, every refusal on record once; and what has to work unchanged does.
. "$(dirname "$0")/lib.sh"

rounds=3
[ -z "$LONG" ] || rounds=40
make_store audit certificates
mount_archive
d=$MNT/audit

say "refused, as root and as an ordinary user"
mkdir "$d/root" "$d/user"
chown 65534:65534 "$d/user"
cp "$SUPPORT/refuse" "$W/refuse" # nobody need not reach the build directory
"$W/refuse" "$MNT" "$d/root" > "$W/as-root" || { cat "$W/as-root"; fail "root's attempts"; }
"$W/refuse" "$MNT" "$d/user" 65534 > "$W/as-user" || { cat "$W/as-user"; fail "a user's attempts"; }
grep skipped "$W/as-root" || true
by_root=$(sed -n 's/^\([0-9]*\) refused by the archive$/\1/p' "$W/as-root")
by_user=$(sed -n 's/^\([0-9]*\) refused by the archive$/\1/p' "$W/as-user")
[ "$by_root" -gt 80 ] && [ "$by_user" -gt 60 ] || fail "only $by_root and $by_user attempts were made"

say "the same with the usual tools"
tools=0
state() { getfattr --only-values -n user.coffer.state --absolute-names "$1"; }
no() {
    local errno=$1
    shift
    expect_fail "$errno" "$@"
    tools=$((tools + 1))
}
seq 1000 > "$d/file"
sum=$(sha256sum < "$d/file")
no EPERM rm -f "$d/file"
no EPERM truncate -s 0 "$d/file"
no EPERM truncate -s -1 "$d/file"
no EPERM dd if=/dev/zero of="$d/file" bs=16 count=1 conv=notrunc status=none
no EPERM sh -c "echo gone > $d/file"
no EPERM bash -c "exec 3<> $d/file; echo gone >&3"
no EPERM cp --remove-destination "$W/as-root" "$d/file"
no EPERM mv -f "$d/root/other" "$d/file"
no EPERM ln "$d/file" "$d/hard"
no EPERM mkfifo "$d/fifo"
no EPERM fallocate -p -o 0 -l 4096 "$d/file"
no EPERM setfattr -n user.coffer.state -v open "$d/file"
no EPERM touch "$MNT/loose"
no EPERM mkdir "$MNT/shelf"
no EPERM rmdir "$d"
no EPERM mv "$d" "$MNT/renamed"
expect_fail ENOTEMPTY rmdir "$d/root"
expect_fail EPERM as_user chattr -a "$d/user/open"
same "content" "$sum" "$(sha256sum < "$d/file")"
same "lsattr of an open file" a "$(lsattr "$d/file" | cut -d ' ' -f 1 | tr -d -)"
chmod a-w "$d/file"
same "lsattr of a committed file" i "$(lsattr "$d/file" | cut -d ' ' -f 1 | tr -d -)"
same "its state" committed "$(state "$d/file")"
no EPERM rm -f "$d/file"
no EPERM sh -c "echo more >> $d/file"
no EPERM chmod u+w "$d/file"
no EPERM chown 65534 "$d/file"
no EPERM touch "$d/file"
no EPERM mv "$d/file" "$d/other"
expect_fail EACCES as_user sh -c "echo more >> $d/file"
same "content of the committed file" "$sum" "$(sha256sum < "$d/file")"

say "what has to work"
(
    cd "$d/user" || exit 1
    for what in append holes sync; do as_user "$SUPPORT/accept" $what "accept-$what"; done
    for what in aio uring; do
        code=0
        "$SUPPORT/accept" $what "accept-$what" "$rounds" || code=$?
        [ $code = 0 ] || [ $code = 77 ] || fail "accept $what"
        [ $code = 0 ] || say "this kernel has no $what"
    done
)
mkdir "$d/many"
(cd "$d/many" && seq -f 'n%.0f' 0 9999 | xargs touch)
"$SUPPORT/accept" list "$d/many" 10000
same "ls of 10,000 names" 10000 "$(ls "$d/many" | wc -l)"
same "find of 10,000 names" 10000 "$(find "$d/many" -type f | wc -l)"

say "tools that write"
mkdir "$W/from" "$d/to"
for i in $(seq 40); do head -c $((i * 997)) /dev/urandom > "$W/from/f$i"; done
truncate -s 3M "$W/from/sparse"
echo end >> "$W/from/sparse"
ln -s f1 "$W/from/link"
mkdir "$W/from/dir"
echo deep > "$W/from/dir/deep"
touch -d '2020-02-03 04:05:06.789' "$W/from/f1"
chmod 640 "$W/from/f2"
chmod 444 "$W/from/f3"
equal_trees() { diff -r --no-dereference "$W/from" "$1" > "$W/diff" || { cat "$W/diff"; fail "$2"; }; }
cp -a "$W/from" "$d/to/cp"
equal_trees "$d/to/cp" "cp -a"
same "cp -a: times" "$(stat -c %Y.%y "$W/from/f1")" "$(stat -c %Y.%y "$d/to/cp/f1")"
same "cp -a: modes" 640 "$(stat -c %a "$d/to/cp/f2")"
# cp and tar make the copy of a read-only file without any write bit, and set its mode once it is complete: that commits.
same "cp -a of a read-only file" 444 "$(stat -c %a "$d/to/cp/f3")"
same "its state" committed "$(state "$d/to/cp/f3")"
cp --sparse=always "$W/from/sparse" "$d/to/sparse"
cmp "$W/from/sparse" "$d/to/sparse"
install -p -m 0600 "$W/from/f1" "$d/to/installed"
cmp "$W/from/f1" "$d/to/installed"
install -p -m 0444 "$W/from/f1" "$d/to/installed-fixed"
cmp "$W/from/f1" "$d/to/installed-fixed"
same "install -m 0444 commits" committed "$(state "$d/to/installed-fixed")"
same "install -p: times" "$(stat -c %Y "$W/from/f1")" "$(stat -c %Y "$d/to/installed")"
mkdir "$d/to/tar"
tar -C "$W/from" -c . | tar -C "$d/to/tar" -x
equal_trees "$d/to/tar" "tar -x"
cp -a "$W/from" "$W/moved"
mv "$W/moved" "$d/to/moved"
equal_trees "$d/to/moved" "mv from another filesystem"
[ ! -e "$W/moved" ] || fail "mv left its source"
if command -v rsync > /dev/null; then
    rsync -a "$W/from/" "$d/to/rsync/"
    equal_trees "$d/to/rsync" "rsync -a"
    same "rsync -a of a read-only file" committed "$(state "$d/to/rsync/f3")"
    [ -z "$(find "$d/to/rsync" -name '.*.??????')" ] || fail "rsync left temporary names"
    rsync -a "$W/from/" "$d/to/rsync/" # again: nothing to do, nothing refused
    equal_trees "$d/to/rsync" "rsync -a, again"
fi
as_user sh -c "echo one | tee -a $d/user/tee > /dev/null; echo two >> $d/user/tee"
same "tee -a and >>" "one two" "$(tr '\n' ' ' < "$d/user/tee" | sed 's/ $//')"
ln -s file "$d/symbolic"
same "a symbolic link" file "$(readlink "$d/symbolic")"
same "through it" "$sum" "$(sha256sum < "$d/symbolic")"
: > "$d/nothing"
rm "$d/nothing"
mkdir "$d/empty"
mv "$d/empty" "$d/renamed"
rmdir "$d/renamed"

say "rotation by rename, and who follows it"
echo first > "$d/log"
tail -n +1 -s 0.1 -F "$d/log" > "$W/tail" 2> /dev/null &
tail=$!
child $tail
await 10 "tail to show the first line" grep -q first "$W/tail"
exec {writer}>> "$d/log"
mv "$d/log" "$d/log.1"
echo second >&"$writer" # into the renamed file
exec {writer}>&-
echo third >> "$d/log"
await 10 "tail to follow the new file" grep -q third "$W/tail"
same "the old file" "first second" "$(tr '\n' ' ' < "$d/log.1" | sed 's/ $//')"
same "the new file" third "$(cat "$d/log")"
kill $tail
wait $tail || true

say "programs that need more fail clearly, and spoil nothing"
if command -v git > /dev/null; then
    expect_fail "" git -C "$d/to" -c init.defaultBranch=main init -q repository
fi
if python3 -c 'import sqlite3' 2> /dev/null; then
    expect_fail "Error" python3 -c "
import sqlite3
c = sqlite3.connect('$d/to/data.db')
c.execute('create table t (x)')
for i in range(100):
    c.execute('insert into t values (?)', (i,))
    c.commit()"
fi

say "figures of the filesystem"
df "$MNT" > /dev/null
read -r total free available < <(stat -f -c '%b %f %a' "$MNT")
[ "$total" -gt 0 ] && [ "$free" -le "$total" ] && [ "$available" -le "$free" ] || fail "statfs: $total $free $available"
same "the longest name" 255 "$(stat -f -c %l "$MNT")"
name=$(printf 'n%.0s' $(seq 255))
echo x > "$d/$name"
same "a name of 255 bytes" x "$(cat "$d/$name")"
expect_fail "File name too long" touch "$d/${name}n"

say "after a remount everything is as it was"
(cd "$d" && find . -type f -print0 | sort -z | xargs -0 sha256sum) > "$W/before"
# A directory's time is kept to the second only, for rows' sake: without it.
attributes() { (cd "$d" && find . -type d -printf '%P %y %m %U %G\n' -o -printf '%P %y %m %U %G %s %T@ %l\n' | sort); }
attributes > "$W/before-stat"
umount_archive
verify_intact
mount_archive
(cd "$d" && find . -type f -print0 | sort -z | xargs -0 sha256sum) > "$W/after"
attributes > "$W/after-stat"
cmp "$W/before" "$W/after"
diff "$W/before-stat" "$W/after-stat" > "$W/diff" || { head "$W/diff"; fail "attributes differ after a remount"; }
no EPERM rm -f "$d/file"
umount_archive

say "every refusal is on record"
coffer log "$STORE" --key-file "$KEY" --events --json > "$W/events"
python3 - "$W/events" "$by_root" "$by_user" <<'PY' || fail "the events"
import collections, json, sys
by_root, by_user = int(sys.argv[2]), int(sys.argv[3])
events = [json.loads(line) for line in open(sys.argv[1])]
refused = [e for e in events if e.get("event") == "refused"]
count = collections.Counter()
kinds = collections.defaultdict(set)
for e in refused:
    a = e["actor"]
    count[a["command"], a["uid"]] += e.get("count", 1)
    kinds[a["uid"]].add(e.get("operation"))
    assert e["errno"] == "EPERM", e
    assert e.get("reason") or e.get("detail", "").startswith("rule ") or "several" in e.get("detail", ""), e
bad = 0
for who, n in ((("refuse", 0), by_root), (("refuse", 65534), by_user)):
    if count[who] != n:
        print("%s: %d refusals on record, %d were made" % (who, count[who], n))
        bad = 1
for uid in (0, 65534):
    want = {"write", "truncate", "fallocate", "unlink", "rename", "link", "mknod", "setxattr", "chmod", "utimes"}
    if want - kinds[uid]:
        print("uid %d: nothing on record of %s" % (uid, want - kinds[uid]))
        bad = 1
for command in ("rm", "truncate", "dd", "ln", "mkfifo", "mv", "chmod", "chown", "touch"):
    if not count[command, 0]:
        print("nothing on record of %s" % command)
        bad = 1
if not any(e.get("path") == "audit/file" and e.get("operation") == "unlink" for e in refused):
    print("the refused rm of audit/file is not on record by its name")
    bad = 1
sys.exit(bad)
PY
say "$by_root and $by_user attempts by system calls, $tools by tools"
