#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Retention through the mount: each way to commit, what was asked and what was granted, extension only, infinite, shelves made
# and made stronger at run time; all of it the same after a remount, after the index was built anew, and for the second reader.
# With COFFER_TESTCLOCK_BUILD (a build with -Dtest_clock=true): expired files stay immutable, and autocommit comes when it is due.
. "$(dirname "$0")/lib.sh"

attr() { getfattr --only-values --absolute-names -n "user.coffer.$2" "$1" 2> /dev/null || true; }
until_of() { attr "$1" retain_until; }
state_is() { same "the state of ${1##*/}" "$2" "$(attr "$1" state)"; }
epoch() { date -u -d "$1" +%s; }
# from_now FILE SECONDS: its end is that far from now, give or take a minute.
from_now() {
    local left
    left=$(($(epoch "$(until_of "$1")") - $(date +%s)))
    [ $((left - $2)) -ge -60 ] && [ $((left - $2)) -le 60 ] ||
        fail "${1##*/} is kept until $(until_of "$1"), $left s from now instead of $2"
}
new() { echo content > "$1"; }
day=86400

printf 'retention = 10d\nretention_min = 2d\nretention_max = 100d\n' > "$W/clamped"
printf 'retention = 10d\nretention_min = 2d\nretention_max = 100d\nstrict = yes\n' > "$W/strict"
echo 'retention = 10d' > "$W/endless"
make_store "clamped:$W/clamped" "strict:$W/strict" "endless:$W/endless" plain
mount_archive
d=$MNT/clamped

say "each way to commit, with the shelf's default"
for way in chmod commit chattr; do new "$d/$way"; done
chmod a-w "$d/chmod"
coffer commit "$d/commit" > "$W/out"
grep -q "kept until" "$W/out" || fail "coffer commit does not say until when: $(cat "$W/out")"
chattr +i "$d/chattr"
: > "$d/empty"
chmod a-w "$d/empty"
state_is "$d/empty" open
coffer commit "$d/empty"
for way in chmod commit chattr empty; do
    state_is "$d/$way" committed
    from_now "$d/$way" $((10 * day))
    same "it was not asked for: $way" none "$(attr "$d/$way" asked_until)"
done
expect_code 1 coffer commit "$d/commit"
grep -q "committed already" "$W/out" || fail "committing twice: $(cat "$W/out")"

say "asked for and granted"
for ask in 5d 1h 500d; do new "$d/asked-$ask"; done
touch -a -d '+5 days' "$d/asked-5d"
touch -a -d '+1 hour' "$d/asked-1h"
touch -a -d '+500 days' "$d/asked-500d"
for ask in 5d 1h 500d; do chmod a-w "$d/asked-$ask"; done
from_now "$d/asked-5d" $((5 * day))
from_now "$d/asked-1h" $((2 * day))
from_now "$d/asked-500d" $((100 * day))
[ "$(epoch "$(attr "$d/asked-500d" asked_until)")" -gt $(($(date +%s) + 400 * day)) ] || fail "what was asked for is not kept"
new "$d/past"
touch -a -d '2001-01-01' "$d/past"
chmod a-w "$d/past"
from_now "$d/past" $((10 * day))
new "$d/tool"
coffer commit --for 20d "$d/tool" > /dev/null
from_now "$d/tool" $((20 * day))
new "$d/attribute"
setfattr -n system.coffer.retain_until -v "$(date -u -d '+30 days' +%Y-%m-%dT%H:%M:%SZ)" "$d/attribute"
state_is "$d/attribute" committed
from_now "$d/attribute" $((30 * day))
same "atime shows the end" "$(epoch "$(until_of "$d/tool")")" "$(stat -c %X "$d/tool")"
new "$MNT/strict/short"
expect_code 1 coffer commit --for 1h "$MNT/strict/short"
state_is "$MNT/strict/short" open
new "$MNT/plain/ever"
chmod a-w "$MNT/plain/ever"
state_is "$MNT/plain/ever" committed
same "a shelf without retention" none "$(until_of "$MNT/plain/ever")"
new "$MNT/endless/infinite"
coffer commit --infinite "$MNT/endless/infinite" > /dev/null
same "infinite" infinite "$(until_of "$MNT/endless/infinite")"
expect_code 1 coffer retain --for 100y "$MNT/endless/infinite"

say "extension only"
before=$(until_of "$d/tool")
expect_code 1 coffer retain --for 5d "$d/tool"
grep -q "it is kept until $before, and a retention is never shortened" "$W/out" || fail "retain does not say why: $(cat "$W/out")"
expect_fail EPERM touch -a -d '+3 days' "$d/tool"
expect_fail EPERM touch "$d/tool"
expect_fail EPERM touch -d '+60 days' "$d/tool"
expect_fail EPERM setfattr -x user.coffer.retain_until "$d/tool"
chmod a-w "$d/tool" # says nothing new
same "refused and unchanged" "$before" "$(until_of "$d/tool")"
coffer retain --for 40d "$d/tool" > /dev/null
from_now "$d/tool" $((40 * day))
touch -a -d '+50 days' "$d/tool"
from_now "$d/tool" $((50 * day))
setfattr -n user.immutable.until -v "$(date -u -d '+60 days' +%Y-%m-%dT%H:%M:%SZ)" "$d/tool"
from_now "$d/tool" $((60 * day))
expect_fail EPERM rm -f "$d/tool"
expect_fail EPERM sh -c "echo more >> $d/tool"

say "explained"
coffer explain unlink "$d/tool" --json > "$W/json"
same "why not" "(False, 'EPERM', 'committed')" "$(json '(j["allowed"], j["errno"], j["state"])' < "$W/json")"
same "until when" "$(until_of "$d/tool")" "$(json 'j["retain_until"]' < "$W/json")"
coffer explain write "$d/tool" --offset 0 --as nobody > "$W/out"
grep -q "refused" "$W/out" || fail "explain write: $(cat "$W/out")"

say "shelves"
coffer shelf add "$MNT" later --retention 7d --retention-max 30d --quota-files 3 > /dev/null
new "$MNT/later/a"
chmod a-w "$MNT/later/a"
from_now "$MNT/later/a" $((7 * day))
expect_code 1 coffer shelf add "$MNT" later --retention 7d
expect_code 1 coffer shelf set "$MNT" later --retention 6d
grep -q "stronger" "$W/out" || fail "a weaker policy: $(cat "$W/out")"
coffer shelf set "$MNT" later --retention 8d --retention-min 8d > /dev/null
new "$MNT/later/b"
chmod a-w "$MNT/later/b"
from_now "$MNT/later/b" $((8 * day))
new "$MNT/later/c"
expect_fail "Disk quota exceeded" touch "$MNT/later/d"
coffer shelf list "$MNT" --json > "$W/json"
same "their names" "['clamped', 'endless', 'later', 'plain', 'strict']" "$(jsonl 'sorted(e["name"] for e in j)' < "$W/json")"
same "files of it" 3 "$(jsonl '[e["files"] for e in j if e["name"] == "later"][0]' < "$W/json")"

say "found"
same "open files" "$MNT/later/c $MNT/strict/short" "$(coffer find "$MNT" --state open | sort | tr '\n' ' ' | sed 's/ $//')"
same "what ends first" "$d/asked-1h" "$(coffer find "$d" --expires-before "$(date -u -d '+3 days' +%F)")"

say "the same after a remount, with a new index, and for the second reader"
picture() { coffer ls -R --json "$MNT" | python3 -c 'import json, sys
for l in sys.stdin:
    e = json.loads(l)
    print(e["path"], e.get("state"), e.get("retain_until"), e.get("asked_until"), e.get("committed_at"), e.get("leaf"), e["mode"])'; }
picture > "$W/before"
umount_archive
verify_intact
second_reader --list > "$W/second"
for f in clamped/tool clamped/asked-500d endless/infinite later/b; do grep -q " $f\$" "$W/second" || fail "the second reader lacks $f"; done
mount_archive
picture | diff "$W/before" - > "$W/diff" || { cat "$W/diff"; fail "different after a remount"; }
umount_archive
rm -r "$STORE/index"
mount_archive
picture | diff "$W/before" - > "$W/diff" || { cat "$W/diff"; fail "different with a new index"; }
expect_fail "Disk quota exceeded" touch "$MNT/later/d"
umount_archive
coffer shelf show "$STORE" later --key-file "$KEY" | grep -q '^retention = 8d$' || fail "the policy without a daemon"
verify_intact

if [ -z "${COFFER_TESTCLOCK_BUILD:-}" ]; then
    say "skipped: expiry and autocommit need COFFER_TESTCLOCK_BUILD"
    exit 0
fi
say "with a clock that can be moved"
BUILD=$COFFER_TESTCLOCK_BUILD
PATH=$BUILD/tools:$BUILD/fs:$PATH
export COFFER_TEST_CLOCK=$W/clock
echo 0 > "$COFFER_TEST_CLOCK"
STORE=$W/moved AUDITOR=$W/moved.auditor
printf 'retention = 10d\nautocommit = 1d\n' > "$W/moving"
make_store "moving:$W/moving" -- --test-clock
mount_archive
d=$MNT/moving
new "$d/ends"
new "$d/idle"
chmod a-w "$d/ends"
forward() { # forward DAYS: as many days further, and until the daemon has seen it
    local now
    now=$(cat "$COFFER_TEST_CLOCK")
    echo $((now + $1 * day * 1000000000)) > "$COFFER_TEST_CLOCK"
}
forward 2
state() { [ "$(attr "$1" state)" = "$2" ]; }
await 10 "autocommit" state "$d/idle" committed
state_is "$d/ends" committed
forward 20
await 10 "the end of the retention" state "$d/ends" expired
state_is "$d/idle" expired
for attempt in "rm -f $d/ends" "truncate -s 0 $d/ends" "chmod u+w $d/ends" "mv $d/ends $d/gone"; do
    # shellcheck disable=SC2086
    expect_fail EPERM $attempt
done
expect_fail EPERM sh -c "echo more >> $d/ends"
coffer retain --for 5d "$d/ends" > /dev/null
state_is "$d/ends" committed
umount_archive
mount_archive
state_is "$d/ends" committed
state_is "$d/idle" expired
umount_archive
verify_intact
