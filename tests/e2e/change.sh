#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A change: asked for, approved by another, done, checked by a third; what does not follow is refused and on record; what the
# archive noticed itself is named by the change. verify and the second reader judge the same without keys.
. "$(dirname "$0")/lib.sh"

command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
mkdir "$W/k" "$W/r"
for name in alice bob carol dan; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$W/k/$name"; done
{
    for one in alice:officer bob:officer carol:auditor dan:operator; do
        echo "${one%:*} $(cut -d' ' -f1,2 "$W/k/${one%:*}.pub") roles=${one#*:}"
    done
} > "$W/people"
sign() { ssh-keygen -q -Y sign -n "$2" -f "$W/k/$1" < "$3" > "$3.sig" 2> /dev/null; }
OPEN=(--key-file "$KEY")
change() { # change WHAT WHO WORD...
    rm -f "$W"/r/*
    coffer change "$1" "$STORE" "${@:3}" --as "$2" --key "$W/k/$2" -o "$W/r" "${MORE[@]}" > "$W/out" 2>&1
}
accepted() { change "$@" || fail "$(cat "$W/out")"; }
refused() {
    if change "${@:2}"; then fail "this was taken: ${*:2}"; fi
    grep -q "($1)" "$W/out" || fail "not refused for $1: $(cat "$W/out")"
}
state() { coffer change list "$STORE" --json "${MORE[@]}" | jsonl '" ".join(c["state"] + ":" + str(c["open"]) for c in j if "change" in c)'; }
MORE=()

make_store audit
coffer people set "$STORE" "$W/people" -o "$W/r" "${OPEN[@]}" > "$W/out"
R=$(echo "$W"/r/*.request)
for name in alice bob; do sign $name coffer-people "$R" && mv "$R.sig" "$R.$name"; done
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" "${OPEN[@]}" > "$W/out"
mount_archive
echo 'fee,1' > "$W/fees.csv"

say "asked for, signed apart"
coffer change request "$STORE" --as dan --business "fee table" --reason "new rates" --before "1 %" --after "2 %" --attach "$W/fees.csv" \
    -o "$W/r" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
F=$(echo "$W"/r/*.change)
# in words, not one short word: 'fee' is also three digits of a hash
same "what is clear says nothing of it" 0 "$(grep -c 'fee table\|new rates\|fees\.csv' "$F")"
sign dan coffer-event "$F"
expect_code 1 coffer change submit "$STORE" "$F"
sign dan coffer-change "$F"
coffer change submit "$STORE" "$F" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
C=$(sha256sum < "$F" | cut -c1-16)
same "open" "requested:True" "$(state)"

say "in order, each by whom it is for"
refused step done dan "$C"
refused step check carol "$C"
refused same-person approve dan "$C"
refused role approve carol "$C"
if change approve alice 0000000000; then fail "a change that is none was approved"; fi
rm -f "$W"/r/*
coffer change approve "$STORE" "$C" --as alice -o "$W/r" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
F=$(echo "$W"/r/*.change)
sed -i 's/"change":"[0-9a-f]*"/"change":"'"$(printf '%064d' 7)"'"/' "$F" # of one that nobody asked for
sign alice coffer-change "$F"
expect_fail "(unknown-change)" coffer change submit "$STORE" "$F"
same "on record" 1 "$(coffer events "$STORE" --type request-refused --json | grep -c 'change refused (unknown-change)')"
accepted approve alice "$C"
refused step approve bob "$C"
refused step decline bob "$C"
coffer shelf set "$STORE" audit --durability write > "$W/out" 2>&1 || fail "$(cat "$W/out")"
noticed=$(coffer events "$STORE" --type policy-changed --json | jsonl 'j[-1]["sequence"]')
same "noticed, and no change names it" "[$noticed]" "$(coffer change list "$STORE" --json | jsonl '[c["unnamed"] for c in j if "unnamed" in c]')"
accepted done dan "$C" --after "2 %" --attach "$W/fees.csv"
same "named now" "[]" "$(coffer change list "$STORE" --json | jsonl '[c["unnamed"] for c in j if "unnamed" in c]')"
refused same-person check dan "$C"
refused same-person check alice "$C"
accepted check bob "$C" --failed --text "one row is missing"
same "to be done again" "approved:True" "$(state)"
accepted done dan "$C" --text "with all rows"
refused same-person check bob "$C"
accepted check carol "$C"
same "closed" "checked:False" "$(state)"
refused step done dan "$C"
same "none is open" "" "$(coffer change list "$STORE" --open)"
coffer change show "$STORE" "$C" > "$W/show"
for text in "reason: new rates" "before: 1 %" "attached: fees.csv, 6 bytes, SHA-256 $(sha256sum < "$W/fees.csv" | cut -d' ' -f1)" \
    "measured: frame $noticed" "note: one row is missing" "change-checked success by carol"; do
    grep -qF "$text" "$W/show" || fail "not shown: $text in $(cat "$W/show")"
done
same "refusals are events" 12 "$(coffer events "$STORE" --type request-refused --json | jsonl 'len([e for e in j if "change refused" in e["detail"]])')"

say "a batch job, declined; the next mount knows where each stands, without a daemon and with a new index"
accepted request dan --business "nightly run" --reason "totals" --batch
B=$(coffer change list "$STORE" --json | jsonl 'j[-1]["change"]')
accepted request dan --business "another" --reason "later"
D=$(coffer change list "$STORE" --json | jsonl 'j[-1]["change"]')
accepted decline alice "$B" --text "not this week"
umount_archive
rm -rf "$STORE/index"
MORE=("${OPEN[@]}")
refused step approve bob "$B"
accepted approve bob "$D"
same "states" "checked:False declined:False approved:True" "$(state)"
same "a batch" "batch" "$(coffer change list "$STORE" --json "${OPEN[@]}" | jsonl 'j[1]["kind"]')"

say "the policy's span and signers say until when one is owed"
owed() { { coffer due "$STORE" --json "${OPEN[@]}" "$@" || [ $? = 3 ]; } | json '[(o["of"][:16], o["overdue"]) for o in j if o["obligation"] == "change_open"]'; }
policy() { printf '[archive]\nprofile = ours\nchanges = yes\nchange_open = 14d\nchange_signers = %s\n' "$1" > "$W/p.ini"
    coffer policy apply "$STORE" "$W/p.ini" "${OPEN[@]}" > "$W/out" 2>&1 || fail "$(cat "$W/out")"; }
same "without a span none is" "[]" "$(owed)"
policy "requester approver"
same "what is approved is to be done" "[('${D:0:16}', False)]" "$(owed)"
same "and late in three weeks" "[('${D:0:16}', True)]" "$(owed --at "$(date -u -d '+21 days' +%F)")"
accepted done dan "$D"
same "done without a checker: nothing is owed" "[]" "$(owed)"
policy "requester approver checker"
same "a third has to check it" "[('${D:0:16}', False)]" "$(owed)"
verify_intact
second_reader --json > "$W/out" || fail "second reader: $(tail -n 3 "$W/out")"
same "signatures it judged" "13 []" "$(json 'str(j["signatures"]) + " " + str(j["not_permitted"])' < "$W/out")"
ok change
