#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Legal holds through the mount: what they cover, at once and later, what they refuse, and that remounts, a kill in the middle of
# laying one, an index built anew and a second reader agree on it. Events that a retention waits for, and modes.
. "$(dirname "$0")/lib.sh"

attr() { getfattr --only-values --absolute-names -n "user.coffer.$2" "$1" 2> /dev/null || true; }
holds_are() { same "the holds on ${1#"$MNT"/}" "$2" "$(attr "$1" holds)"; }
status() { coffer status "$STORE" --json | json "j.get('$1')"; }
remount() { umount_archive; mount_archive "$@"; }

printf 'retention = 1y\nretain_event = contract-end\n' > "$W/event"
printf 'retention = 1y\nmode = governance\n' > "$W/governance"
printf 'retention = 1y\ncooling_off = 1h\n' > "$W/cooling"
make_store audit other "event:$W/event" "governance:$W/governance" "cooling:$W/cooling"
mount_archive
d=$MNT/audit
mkdir -p "$d/in/deep/er" "$d/out"
for i in $(seq 1 600); do echo "$i" > "$d/in/f$i"; done
for i in 1 2 3; do echo "$i" > "$d/in/deep/er/g$i"; ln -s f1 "$d/in/deep/l$i"; done
echo free > "$d/out/free"
: > "$d/in/empty"
mkdir "$d/in/empty-dir"
chmod a-w "$d/in/f1"
same "holds of a file that has none" 0 "$(attr "$d/in/f1" holds)"

say "beginning"
coffer hold begin --case 2026-17 --reason "the board asks" "$d/in" "$d/nothing" > "$W/out" 2>&1 && fail "a path that is not there"
grep -q "607 files held, 0 skipped" "$W/out" || fail "counts: $(cat "$W/out")"
grep -q "nothing" "$W/out" || fail "what failed is not told: $(cat "$W/out")"
expect_fail "has a hold already" coffer hold begin --case 2026-17 "$d/out"
expect_fail "nothing of it can be held" coffer hold begin --case x "$d/nothing"
for f in "$d/in/f1" "$d/in/f600" "$d/in/deep/er/g3" "$d/in/empty"; do holds_are "$f" 1; done
holds_are "$d/out/free" 0
same "files held" 607 "$(status held)"
coffer hold begin --case second "$d/in/f2" "$d/out/free" "$d/in/f2" --json > "$W/out"
same "counts" "2 0" "$(json 'str(j["processed"]) + " " + str(j["skipped"])' < "$W/out")"
holds_are "$d/in/f2" 2
holds_are "$d/out/free" 1
coffer hold list "$MNT" --json > "$W/list"
same "the list" "second 2026-17" "$(jsonl '" ".join(h["case"] for h in j)' < "$W/list")"
same "the reason" "the board asks" "$(jsonl 'j[1]["reason"]' < "$W/list")"
same "the paths" "audit/in" "$(jsonl '" ".join(j[1]["paths"])' < "$W/list")"

say "what comes later, and what leaves"
echo late > "$d/in/deep/late"
mkdir "$d/in/deep/dir"
echo later > "$d/in/deep/dir/later"
mv "$d/in/f3" "$d/out/f3"
echo in > "$d/out/comes"
mv "$d/out/comes" "$d/in/comes"
mv "$d/in/f4" "$d/in/renamed"
for f in in/deep/late in/deep/dir/later out/f3 in/comes in/renamed; do holds_are "$d/$f" 1; done
echo more >> "$d/out/f3"
same "it grows all the same" "3 more" "$(tr '\n' ' ' < "$d/out/f3" | sed 's/ $//')"

say "what is refused, with the request to file"
expect_fail EPERM rm -f "$d/in/empty"
expect_fail EPERM rmdir "$d/in/empty-dir"
expect_fail EPERM mv "$d/out/free" "$d/out/other"
: > "$d/out/new"
expect_fail EPERM mv "$d/out/new" "$d/in/empty"
rm "$d/out/new"
coffer explain unlink "$d/in/empty" > "$W/out" || true
grep -q "coffer request hold-end" "$W/out" || fail "explain: $(cat "$W/out")"
expect_fail "coffer request hold-end" coffer hold end --case 2026-17 "$MNT"
expect_fail "no hold in force" coffer hold end --case nobody "$MNT"
expect_fail "" as_user coffer hold begin --case theirs "$d/out"
coffer log "$STORE" --json > "$W/log"
same "the attempt is on record" needs-approval "$(jsonl '[f["detail"].split()[1].strip(",;") for f in j if f.get("event") == "refused" and f.get("operation") == "hold-end"][0]' < "$W/log")" || true

say "the same after a remount, and from an index built anew"
cells() { for f in in/f1 in/f2 in/f600 in/deep/er/g1 in/deep/late in/deep/dir/later out/f3 out/free in/comes in/renamed; do
    echo "$f $(attr "$d/$f" holds)"; done; status held; coffer hold list "$MNT"; }
cells > "$W/before"
remount
cells > "$W/after"
cmp "$W/before" "$W/after" || fail "a remount changes holds"
umount_archive
rm -rf "$STORE/index"
mount_archive
cells > "$W/after"
diff "$W/before" "$W/after" || fail "an index built anew has other holds"

say "events and modes"
e=$MNT/event/contract
echo c > "$e"
chmod a-w "$e"
same "the end before the event" infinite "$(attr "$e" retain_until)"
coffer ls --json "$e" | json 'j["event"] + j["mode"]' > "$W/out" 2>&1 || true
coffer explain unlink "$e" > "$W/out" || true
grep -q "event-declare" "$W/out" || fail "explain of a file that waits: $(cat "$W/out")"
g=$MNT/governance/g
echo g > "$g"
chmod a-w "$g"
coffer retain --event merger "$g" > "$W/out"
grep -q "until merger is declared" "$W/out" || fail "retain --event: $(cat "$W/out")"
same "the end before the merger" infinite "$(attr "$g" retain_until)"
expect_fail "another event" coffer retain --event divorce "$g"
c=$MNT/cooling/c
echo c > "$c"
chmod a-w "$c"
coffer log "$STORE" --json > "$W/log"
same "what the COMMIT frames say" "contract-end governance True" \
    "$(jsonl '" ".join([f["event_name"] for f in j if f["type"] == "commit" and "event_name" in f] + [f["retain_mode"] for f in j if f["type"] == "commit" and "retain_mode" in f] + [str(any("binds_from" in f for f in j))])' < "$W/log")"

say "a kill while one is laid: it is in force, and the next mount lists the rest"
mkdir "$d/many"
(cd "$d/many" && for i in $(seq 1 1500); do : > "m$i"; done)
coffer hold begin --case big "$d/many" > "$W/out" 2>&1 &
pid=$!
listed() { coffer log "$STORE" --json | grep -q '"case": *"big"'; }
await 10 "the first frame" listed
kill_daemon
wait $pid || true
umount -l "$MNT"
mount_archive
for i in 1 700 1500; do holds_are "$d/many/m$i" 1; expect_fail EPERM rm -f "$d/many/m$i"; done
laid() { [ "$(status holds_being_laid)" = None ]; }
await 20 "the rest to be listed" laid
same "all of it" 1500 "$(coffer hold list "$MNT" --json | jsonl '[h["processed"] for h in j if h["case"] == "big"][0]')"

if [ -n "$LONG" ]; then
    say "a tree of 100,000 files, in bounded memory"
    mkdir "$d/large"
    python3 -c 'import os, sys
for k in range(100):
    os.mkdir(f"{sys.argv[1]}/{k}")
    for i in range(1000):
        os.close(os.open(f"{sys.argv[1]}/{k}/{i}", os.O_CREAT | os.O_WRONLY))' "$d/large"
    before=$(daemon_anonymous)
    coffer hold begin --case large "$d/large" --json > "$W/out"
    same "files held" 100000 "$(jsonl 'j[-1]["processed"]' < "$W/out")"
    [ "$(jsonl 'len(j)' < "$W/out")" -gt 100 ] || fail "no progress was told"
    after=$(daemon_anonymous)
    [ $((after - before)) -lt 65536 ] || fail "holding took $((after - before)) KiB"
    say "it took $((after - before)) KiB more"
    holds_are "$d/large/99/999" 1
fi
umount_archive
verify_intact
second_reader > "$W/reader.out" || { tail -n 5 "$W/reader.out"; fail "the second reader"; }

if [ -z "${COFFER_TESTCLOCK_BUILD:-}" ] || ! command -v ssh-keygen > /dev/null; then
    say "skipped: what ends by approval needs COFFER_TESTCLOCK_BUILD and ssh-keygen"
    exit 0
fi
say "what ends by approval, with a clock that can be moved"
BUILD=$COFFER_TESTCLOCK_BUILD
PATH=$BUILD/tools:$BUILD/fs:$PATH
export COFFER_TEST_CLOCK=$W/clock
echo 0 > "$COFFER_TEST_CLOCK"
STORE=$W/moved AUDITOR=$W/moved.auditor
mkdir "$W/k" "$W/r"
for name in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$W/k/$name"; done
pub() { cut -d' ' -f1,2 "$W/k/$1.pub"; }
sign() { ssh-keygen -q -Y sign -n "$2" -f "$W/k/$1" < "$3" > "$3.$1" 2> /dev/null; }
printf 'retention = 10d\n' > "$W/kept"
printf 'retention = 10d\nmode = governance\n' > "$W/governed"
printf 'retention = 10d\ncooling_off = 1d\n' > "$W/cools"
printf 'retention = 10d\nretain_event = contract-end\n' > "$W/waits"
printf 'retention = 10d\nremove = rm\n' > "$W/asks"
make_store "asks:$W/asks" "kept:$W/kept" "governed:$W/governed" "cools:$W/cools" "waits:$W/waits" -- --test-clock
{ echo "alice $(pub alice) roles=officer"; echo "bob $(pub bob) roles=officer"; echo "carol $(pub carol) roles=auditor"; } > "$W/people"
coffer people set "$STORE" "$W/people" -o "$W/r" --key-file "$KEY" > "$W/out"
R=$(echo "$W"/r/*.request)
sign alice coffer-people "$R"
sign bob coffer-people "$R"
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" --key-file "$KEY" > "$W/out"
mount_archive
request() { # request ACTION WORD …: by alice, submitted; $R is the document
    rm -f "$W"/r/*
    coffer request "$1" "$STORE" "${@:2}" --as alice --reason test -o "$W/r" > "$W/out" 2>&1 || return 1
    R=$(echo "$W"/r/*.request)
    sign alice coffer-request "$R"
    coffer request submit "$STORE" "$R" --signature "$R.alice" > "$W/out" 2>&1
}
approve() { sign "$1" coffer-approve "$R"; coffer approve "$STORE" "$R" --signature "$R.$1" > "$W/out" 2>&1; }
done_by() { approve "$1" || fail "$(cat "$W/out")"; grep -q ' done' "$W/out" || fail "it was not done: $(cat "$W/out")"; }
refuses() { # refuses TEXT ACTION WORD …: already when it is asked for
    local text=$1
    shift
    if request "$@"; then fail "this was taken: $*"; fi
    grep -q "$text" "$W/out" || fail "$* was not refused for '$text': $(cat "$W/out")"
}
forward() { echo $(($(cat "$COFFER_TEST_CLOCK") + $1 * 86400 * 1000000000)) > "$COFFER_TEST_CLOCK"; }
state() { [ "$(attr "$1" state)" = "$2" ]; }
file() { echo content > "$1"; chmod a-w "$1"; }
k=$MNT/kept
file "$k/held"
file "$k/free"
for f in goes held stays; do file "$MNT/asks/$f"; done
expect_fail EPERM rm -f "$MNT/asks/goes"
coffer hold begin --case 8 "$MNT/asks/held" > /dev/null
for s in governed cools waits; do file "$MNT/$s/f"; done
file "$MNT/waits/g"

say "documents that were written by hand: what their signers are held to is not left out"
by_hand() { # by_hand TEXT EDIT ACTION WORD …: EDIT is of j, the document; it is refused when it is submitted
    rm -f "$W"/r/*
    coffer request "$3" "$STORE" "${@:4}" --as alice --reason test -o "$W/r" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
    R=$(echo "$W"/r/*.request)
    python3 - "$R" "$2" << 'PY'
import json, sys
j = json.load(open(sys.argv[1]))
exec(sys.argv[2])
open(sys.argv[1], "w").write(json.dumps(j, sort_keys=True, separators=(",", ":"), ensure_ascii=False) + "\n")
PY
    sign alice coffer-request "$R"
    expect_fail "$1" coffer request submit "$STORE" "$R" --signature "$R.alice"
}
by_hand "which it does not name" 'j["shelves"] = []' retention-end now governed/f
by_hand "which it does not name" 'del j["shelves"]' retention-end now governed/f
by_hand 'does not say how' 'del j["before"]' retention-end now governed/f
by_hand "names no object" 'del j["objects"]' retention-end now governed/f
by_hand "more than 100,000 objects" 'j["objects"].append([1 << 30, 1 << 22])' retention-end now governed/f
by_hand 'is no longer as it was' 'del j["before"]' shelf-set kept retention=9d
by_hand "names no objects" 'j["objects"] = [[2, 1]]' shelf-set kept retention=9d
by_hand "which the request does not name" 'j["shelves"] = []' hold-end 8
by_hand "names no objects" 'j["objects"] = [[2, 1]]' hold-end 8

say "modes: governance and within the cooling-off, never compliance"
refuses "binds: nobody" retention-end now kept/free
request retention-end now governed/f || fail "$(cat "$W/out")"
state "$MNT/governed/f" committed || fail "one person ended it"
done_by bob
state "$MNT/governed/f" expired || fail "governance: $(attr "$MNT/governed/f" state)"
request retention-end now cools/f || fail "$(cat "$W/out")"
done_by bob
state "$MNT/cools/f" expired || fail "cooling-off: $(attr "$MNT/cools/f" state)"
file "$MNT/cools/late"
forward 2
refuses "binds: nobody" retention-end now cools/late

say "a hold over the end of a retention"
coffer hold begin --case 7 "$k/held" > /dev/null
forward 20
await 10 "the end of the retention" state "$k/free" expired
state "$k/held" committed || fail "what is held is over: $(attr "$k/held" state)"
refuses "on legal hold" remove kept/held
expect_fail "coffer request hold-end" coffer hold end --case 7 "$MNT"
request hold-end 7 || fail "$(cat "$W/out")"
holds_are "$k/held" 1
done_by bob
holds_are "$k/held" 0
state "$k/held" expired || fail "released and not over"
same "events of it" "['hold-begin', 'hold-begin', 'hold-end']" "$(coffer events "$MNT" --json | jsonl '[e["event"] for e in j if e["event"].startswith("hold-")]')"
refuses "no hold in force" hold-end 7

say "removal: refused without the auditor, done with"
expect_fail EPERM rm -f "$k/held"
request remove kept/held || fail "$(cat "$W/out")"
approve bob || fail "$(cat "$W/out")"
[ -e "$k/held" ] || fail "removed without the auditor"
grep -q ' open' "$W/out" || fail "two officers were enough: $(cat "$W/out")"
done_by carol
[ ! -e "$k/held" ] || fail "it is still there"
ls "$k" | grep -q held && fail "its name is still there"
refuses "not over" remove waits/f

say "remove = rm: an rm asks, once for each file; people decide"
refuses "rm asked for nothing" remove --asked # while the retention ran, and where rm is only refused, it asked for nothing
expect_fail EPERM rm -f "$MNT/asks/held"
for i in 1 2 3; do expect_fail EPERM rm -f "$MNT/asks/goes"; done
refuses "on legal hold" remove asks/held
coffer explain unlink "$MNT/asks/goes" > "$W/out" || true
grep -q "coffer request remove --asked" "$W/out" || fail "explain: $(cat "$W/out")"
request remove --asked || fail "$(cat "$W/out")"
grep -q "asks/goes" "${R%.request}.sheet" || fail "the sheet: $(cat "${R%.request}.sheet")"
grep -qE "asks/(held|stays)" "${R%.request}.sheet" && fail "what is held, or was not asked for: $(cat "${R%.request}.sheet")"
approve bob || fail "$(cat "$W/out")"
[ -e "$MNT/asks/goes" ] || fail "removed without the auditor"
done_by carol
[ ! -e "$MNT/asks/goes" ] || fail "it is still there"
refuses "rm asked for nothing" remove --asked
same "what was asked for, each once" "asks/goes" "$(coffer events "$MNT" --json | jsonl '" ".join(e["path"] for e in j if e["event"] == "removal-asked")')"

say "an event, and what counts from it"
state "$MNT/waits/f" committed || fail "over before the event"
refuses "does not wait" event-declare merger now waits/f
request event-declare contract-end now waits/f || fail "$(cat "$W/out")"
same "until the event" infinite "$(attr "$MNT/waits/f" retain_until)"
done_by bob
state "$MNT/waits/f" committed || fail "over with the event"
forward 11
await 10 "the end that counts from the event" state "$MNT/waits/f" expired
state "$MNT/waits/g" committed || fail "an event that was not declared for it"
mkdir "$MNT/waits/more"
file "$MNT/waits/more/h"
echo open > "$MNT/waits/more/open"
rm -f "$W"/r/*
expect_code 2 coffer retain declare contract-end "$MNT/waits/more"
expect_fail "none of these waits" coffer retain declare merger "$MNT/waits/more" --as alice -o "$W/r"
expect_code 1 coffer retain declare contract-end "$MNT/waits/more" "$MNT/waits/f" "$MNT/waits/nothing" --as alice --key "$W/k/alice" -o "$W/r"
grep -q "event contract-end: 1 file named, 2 skipped, 1 failed" "$W/out" || fail "retain declare: $(cat "$W/out")"
R=$(echo "$W"/r/*.request)
grep -q "do not wait for it: 2" "${R%.request}.sheet" || fail "the sheet: $(cat "${R%.request}.sheet")"
same "until it is approved" infinite "$(attr "$MNT/waits/more/h" retain_until)"
done_by bob
[ "$(attr "$MNT/waits/more/h" retain_until)" != infinite ] || fail "it does not count from the event"

for round in remount index; do
    umount_archive
    [ $round = remount ] || rm -r "$STORE/index"
    mount_archive
    holds_are "$k/free" 0
    state "$MNT/governed/f" expired || fail "$round: an end was forgotten"
    state "$MNT/waits/f" expired || fail "$round: a declaration was forgotten"
    state "$MNT/waits/g" committed || fail "$round: an event was forgotten"
    refuses "rm asked for nothing" remove --asked
    [ ! -e "$k/held" ] || fail "$round: what was removed is there again"
done
umount_archive
verify_intact
second_reader > "$W/reader.out" || { tail -n 5 "$W/reader.out"; fail "the second reader"; }
ok "holds"
