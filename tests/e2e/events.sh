#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Events of a mounted archive: what Coffer sees itself has its kind of the catalogue, filters find it, and what comes is seen
# as it comes; without a daemon the same are found.
. "$(dirname "$0")/lib.sh"

ids() { jsonl '" ".join(e.get("catalogue", "-") + ":" + e["event"] for e in j)'; }

make_store audit keys
mount_archive

say "what a mount is: system started, keys loaded"
same "of the mount" "A.14.6:mount A.4.1:key-loaded" "$(coffer events "$STORE" --json --catalogue A.14.6 --limit 2 | tail -n 1 |
    ids) $(coffer events "$MNT" --json --type key-loaded | ids)"

same "who mounted" "0 mount.coffer True" "$(coffer events "$STORE" --json --type mount | jsonl '" ".join(str(j[-1]["actor"][k])
    for k in ("uid", "command")) + " " + str(j[-1]["actor"]["pid"] > 1)')"
same "by who mounted" 1 "$(coffer events "$STORE" --actor mount.coffer --type mount | wc -l)"

say "as it comes: a refused attempt, with who and what, and the sum of all is one line"
coffer events "$STORE" --follow --severity warning > "$W/follow" &
child $!
echo line >> "$MNT/audit/a.log"
expect_fail EPERM rm "$MNT/audit/a.log"
await 10 "the refusal at the follower" grep -q 'A.1.2   refused failure unlink audit/a.log' "$W/follow"
same "by kind" 1 "$(coffer events "$STORE" --catalogue A.1 --type refused | wc -l)"
same "by path" 1 "$(coffer events "$STORE" --path audit/a.log --type refused | wc -l)"
same "by actor" 1 "$(coffer events "$STORE" --actor rm | wc -l)"
same "not before the future" 0 "$(coffer events "$STORE" --since 2100-01-01 | wc -l)"
same "within the last hour" 1 "$(coffer events "$STORE" --since 1h --type refused | wc -l)"
expect_code 2 coffer events "$STORE" --catalogue B.1
expect_code 2 coffer events "$STORE" --severity bad
expect_code 2 coffer events "$STORE" --json --syslog

say "a policy that changed, old and new"
coffer shelf set "$STORE" audit --durability write > /dev/null
same "kind and values" "A.1.1 audit durability: sync -> write" "$(coffer events "$STORE" --json --type policy-changed |
    jsonl '" ".join([j[0]["catalogue"], j[0]["path"], j[0]["detail"].split(chr(10))[0]])')"

say "as syslog: lines of RFC 5424"
mkdir "$MNT/audit/a\"]\\ b"
expect_fail EPERM truncate -s 0 "$MNT/audit/a.log"
echo x > "$MNT/audit/"$'n\n<0>1 "]' && expect_fail EPERM rm "$MNT/audit/"$'n\n<0>1 "]'
coffer events "$STORE" --syslog | python3 -c '
import re, sys
form = re.compile(rb"<\d{1,3}>1 (-|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) [!-~]{1,255} coffer - [!-~]{1,32} "
                  rb"\[coffer@32473( [A-Za-z]+=\"([^\"\\\]]|\\.)*\")+\]( .*)?\n")
lines = sys.stdin.buffer.readlines()
bad = [l for l in lines if not form.fullmatch(l)]
assert lines and not bad, bad
' || fail "not of RFC 5424"

say "every opening for reading, where the shelf says so: who, which file"
echo secret > "$MNT/keys/k"
cat "$MNT/keys/k" > /dev/null
same "not asked for" 0 "$(coffer events "$STORE" --type read | wc -l)"
same "nor queries" 0 "$(coffer events "$STORE" --type queried | wc -l)"
coffer shelf set "$STORE" keys --read-events yes > /dev/null
chmod 444 "$MNT/keys/k"
for i in 1 2 3; do cat "$MNT/keys/k" > /dev/null; done
expect_fail "" sh -c ': < "$1"' sh "$MNT/keys/none"
echo more > "$MNT/keys/l"
same "readings" "open keys/k cat success 3" "$(coffer events "$STORE" --json --type read | jsonl '" ".join([j[0]["operation"],
    j[0]["path"], j[0]["actor"]["command"], j[0]["outcome"], str(len(j))])')"
coffer log "$STORE" > /dev/null
coffer blame "$MNT/keys/k" > /dev/null
same "queries: who, of what" "['blame coffer success', 'events coffer success', 'log coffer success']" "$(coffer events "$STORE" --json --type queried |
    jsonl 'sorted({" ".join([e["operation"], e["actor"]["command"], e["outcome"]]) for e in j})')"
same "by path" 3 "$(coffer events "$STORE" --path keys/k --type read --actor cat | wc -l)"

say "the same as a file: grows, is nobody else's, and changes by no hand"
E=$MNT/.coffer/events
tail -n +1 -s 0.1 -f "$E" > "$W/tail" 2> /dev/null &
child $!
tail=$!
coffer events "$STORE" --json > "$W/live"
same "the file" "" "$(head -n "$(wc -l < "$W/live")" "$E" | diff - "$W/live")"
same "from the middle" "" "$(dd if="$E" bs=1 skip=100 count=300 status=none | cmp - <(head -c 400 "$W/live" | tail -c 300))"
same "each opening of it is on record" "dd head" "$(coffer events "$STORE" --json --type queried |
    jsonl '" ".join(sorted({e["actor"]["command"] for e in j if e["operation"] == "events-file"} - {"tail"}))')"
same "not listed" "" "$(find "$MNT" -maxdepth 1 -name .coffer)"
same "in it" events "$(ls "$MNT/.coffer")"
expect_fail EPERM rm "$E"
await 10 "the refusal at tail -f" grep -q "is Coffer's own" "$W/tail"
expect_fail EEXIST mkdir "$MNT/.coffer"
expect_fail EPERM rmdir "$MNT/.coffer"
expect_fail EPERM touch "$MNT/.coffer/more"
expect_fail EPERM sh -c 'echo x >> "$1"' sh "$E"
expect_fail EPERM truncate -s 0 "$E"
expect_fail EPERM mv "$E" "$MNT/audit/e"
expect_fail EPERM mv "$MNT/audit/a.log" "$MNT/.coffer/a.log"
expect_fail EPERM mv "$MNT/audit" "$MNT/.coffer"
expect_fail EPERM chmod 666 "$E"
expect_fail EACCES as_user cat "$E"
expect_fail "" coffer shelf add "$STORE" .coffer
same "attempts on record" "True" "$(jsonl 'any(e["event"] == "refused" and ".coffer/events" in str(e) for e in j)' < "$E")"
kill "$tail"
wait "$tail" 2> /dev/null || true

say "without a daemon the same"
coffer events "$STORE" --json > "$W/live"
umount_archive
coffer events "$STORE" --json --key-file "$KEY" > "$W/offline"
same "lines" "" "$(diff <(head -n "$(wc -l < "$W/live")" "$W/offline") "$W/live")"
same "and the end" "unmount" "$(tail -n 1 "$W/offline" | json 'j["event"]')"

say "gaps: unmounted now, and killed; beside a daemon and without a key"
expect_code 10 coffer gaps "$STORE" --json --key-file "$KEY"
same "goes on" "unmounted -" "$(tail -n 1 "$W/out" | json 'j["kind"] + " " + j.get("to", "-")')"
mount_archive heartbeat=1
frames() { coffer status "$STORE" --json | json 'j["frames"]'; } # not the log: asking for that is on record here, and no silence
before=$(frames)
beat() { [ "$(frames)" -gt $((before + 4)) ]; } # more than the checkpoint that comes anyway
await 20 "a heartbeat" beat
coffer log "$STORE" | grep -q heartbeat || fail "frames in silence, and none is a heartbeat"
kill_daemon
umount -l "$MNT"
mount_archive
expect_code 10 coffer gaps "$STORE" --json
same "kinds" "unmounted unmounted killed" "$(jsonl '" ".join(e["kind"] for e in j)' < "$W/out")"
same "none goes on" "True" "$(jsonl 'all("to" in e for e in j)' < "$W/out")"
expect_code 0 coffer gaps "$STORE" --least 1h
umount_archive
verify_intact
ok events
