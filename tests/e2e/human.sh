#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What people did, on record by their signature: made and signed apart, brought once; what does not count is refused and on
# record; coffer due takes it as done.
. "$(dirname "$0")/lib.sh"

command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
mkdir "$W/k" "$W/r"
for name in alice bob carol mallory; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$W/k/$name"; done
{
    for one in alice:officer bob:officer carol:auditor; do
        echo "${one%:*} $(cut -d' ' -f1,2 "$W/k/${one%:*}.pub") roles=${one#*:}"
    done
} > "$W/people"
sign() { ssh-keygen -q -Y sign -n "$2" -f "$W/k/$1" < "$3" > "$3.sig" 2> /dev/null; }
form() { # form WHO WORD... : $F is the form
    rm -f "$W"/r/*
    coffer event add "$STORE" --as "$1" -o "$W/r" "${@:2}" > "$W/out" || fail "$(cat "$W/out")"
    F=$(echo "$W"/r/*.event)
}
OPEN=(--key-file "$KEY")

printf "retention = 10y\nretention_min = 30d\n" > "$W/policy"
make_store audit "rules:$W/policy"
form carol --type audit --text "nobody is enrolled yet"
sign carol coffer-event "$F"
expect_code 1 coffer event submit "$STORE" "$F" "${OPEN[@]}"
coffer people set "$STORE" "$W/people" -o "$W/r" "${OPEN[@]}" > "$W/out"
R=$(echo "$W"/r/*.request)
for name in alice bob; do sign $name coffer-people "$R" && mv "$R.sig" "$R.$name"; done
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" "${OPEN[@]}" > "$W/out"

mount_archive
say "made and signed apart, brought through the daemon"
form carol --type audit --catalogue A.14.6 --object "cabinet 3" --place "Seoul" --text $'yearly audit\nnothing found' \
    --time 2026-01-02T03:04:05Z
same "what is clear says nothing of it" 0 "$(grep -c 'cabinet\|nothing' "$F")"
same "the sheet is the one that is named" "$(sha256sum < "${F%.event}.sheet" | cut -d' ' -f1)" "$(json 'j["sheet"]' < "$F")"
sign carol coffer-event "$F"
coffer event submit "$STORE" "$F" > "$W/out"
same "on record" "audit A.14.6 success person carol cabinet 3 Seoul 2026-01-02" "$(coffer events "$STORE" --json --type audit |
    jsonl '" ".join([j[0]["event"], j[0]["catalogue"], j[0]["outcome"], j[0]["source"], j[0]["signer"], j[0]["path"], j[0]["place"],
    j[0]["claimed_time"][:10]])')"

say "what is refused, each on record"
refused() {
    expect_code 1 coffer event submit "$STORE" "${@:2}"
    grep -q "($1)" "$W/out" || fail "not refused for $1: $(cat "$W/out")"
}
refused repeated "$F"
form carol --type audit --text "by another's key"
sign mallory coffer-event "$F"
refused signature "$F"
sign carol coffer-approve "$F"
refused signature "$F"
sign carol coffer-event "$F"
sed -i 's/another/changed/' "${F%.event}.sheet"
refused form "$F"
form carol --type refused --text "what Coffer says"
sign carol coffer-event "$F"
refused form "$F"
form carol --type audit --text later --time 2099-01-01
sign carol coffer-event "$F"
refused form "$F"
form carol --type audit --text elsewhere
sed -i 's/"archive":"../"archive":"00/' "$F"
sign carol coffer-event "$F"
refused form "$F"
same "on record" 8 "$(coffer events "$STORE" --type request-refused | wc -l)"
same "one audit" 1 "$(coffer events "$STORE" --type audit | wc -l)"
expect_code 2 coffer event add "$STORE" --as carol
expect_code 2 coffer event add "$STORE" --as carol --text x --catalogue B.1

for f in bare ends few held kept late later other; do echo $f > "$MNT/rules/$f"; done
chmod a-w "$MNT"/rules/*
: > "$MNT/rules/open"
: > "$MNT/rules/idle"
: > "$MNT/rules/fresh"

say "at once, without a daemon; the chain tells it to a stranger without keys"
umount_archive
coffer event add "$STORE" --type report --as alice --text "to the head" --key "$W/k/alice" -o "$W/r" "${OPEN[@]}" > "$W/out"
same "two" "audit report" "$(coffer events "$STORE" --json --source person "${OPEN[@]}" | jsonl '" ".join(e["event"] for e in j)')"
coffer events "$STORE" --json --type report "${OPEN[@]}" > "$W/event"
json 'j["form"]' < "$W/event" | sed '/^$/d' > "$W/form"
json 'j["signature"]' < "$W/event" > "$W/form.sig"
ssh-keygen -q -Y verify -f "$W/people" -I alice -n coffer-event -s "$W/form.sig" < "$W/form" > "$W/out" || fail "$(cat "$W/out")"
verify_intact
second_reader --json > "$W/out" || fail "second reader: $(tail -n 3 "$W/out")"
same "signatures it judged" "4 []" "$(json 'str(j["signatures"]) + " " + str(j["not_permitted"])' < "$W/out")"

say "a daemon that asked no rules: two judges without keys find each frame that nobody permitted"
cp -r "$STORE" "$W/planted"
python3 "$TOP/tests/e2e/judges.py" "$W/planted" "$KEY" "$W/k" "$BUILD" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
say "$(cat "$W/out")"
ok human
