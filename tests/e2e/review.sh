#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Reviews: what happened since the last one, grouped and explained; signed apart, brought once; none reviewed twice or
# skipped, also when two are made at once. Logins by day. coffer due, verify and the second reader see the same.
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
review() { # review WHO WORD... : $F is the form, signed
    rm -f "$W"/r/*
    coffer review make "$STORE" --as "$1" -o "$W/r" "${@:2}" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
    F=$(echo "$W"/r/*.review)
    sign "$1" coffer-review "$F"
}
refused() {
    expect_code 1 coffer review submit "$STORE" "${@:2}"
    grep -q "($1)" "$W/out" || fail "not refused for $1: $(cat "$W/out")"
}
due() { coffer due "$STORE" --json "$@" | json 'dict(sorted((o["obligation"], o["last"]) for o in j))'; }

make_store audit
printf '[archive]\nreview = 30d\nfailed_logins = 1d\n' > "$W/profile.ini"
coffer policy apply "$STORE" "$W/profile.ini" "${OPEN[@]}" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
coffer people set "$STORE" "$W/people" -o "$W/r" "${OPEN[@]}" > "$W/out"
R=$(echo "$W"/r/*.request)
for name in alice bob; do sign $name coffer-people "$R" && mv "$R.sig" "$R.$name"; done
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" "${OPEN[@]}" > "$W/out"
mount_archive
echo one > "$MNT/audit/one"
for _ in 1 2 3; do expect_fail EPERM rm "$MNT/audit/one"; done

say "what nobody has looked at yet, in groups, explained"
coffer review show "$STORE" --json > "$W/show"
same "from the beginning" 0 "$(json 'j["from"]' < "$W/show")"
same "the refusal, with what it means" "warning failure A.1.2 an operation was refused|any attempt to delete or modify the audit log" \
    "$(json '[" ".join([g["severity"], g["outcome"], g["catalogue"], g["means"]]) + "|" + g["kind"] for g in j["groups"] if g["event"] == "refused"][0]' < "$W/show")"
same "the worst first" True "$(json '(lambda s: s == sorted(s))([["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"].index(g["severity"]) for g in j["groups"]])' < "$W/show")"
same "all are counted" True "$(json 'sum(g["events"] for g in j["groups"]) + j["others"] == j["events"]' < "$W/show")"
coffer review show "$STORE" > "$W/out"
grep -q "an operation was refused" "$W/out" || fail "$(cat "$W/out")"

say "an event of that name is no review, and moves no date"
expect_code 1 coffer event add "$STORE" --type review --as carol --text "all fine" --key "$W/k/carol" -o "$W"
grep -q "coffer review" "$W/out" || fail "$(cat "$W/out")"
same "not done" "{'failed_logins': None, 'review': None}" "$(due)"

say "signed apart, brought once"
review carol --notes $'three refusals, by root\nexplained'
same "what is clear says nothing of it" 0 "$(grep -c 'refus' "$F")"
same "the sheet is the one that is named" "$(sha256sum < "${F%.review}.sheet" | cut -d' ' -f1)" "$(json 'j["sheet"]' < "$F")"
coffer review submit "$STORE" "$F" > "$W/out" || fail "$(cat "$W/out")"
refused range "$F"
same "who, from where, to where" "carol 0 $(json 'j["to"]' < "$F") three refusals, by root
explained" "$(coffer review list "$STORE" --json | jsonl '" ".join([j[0]["signer"], str(j[0]["from"]), str(j[0]["to"]), j[0]["notes"]])')"
due | grep -q "'review': '20" || fail "due does not take it as done: $(due)"
due | grep -q "'failed_logins': None" || fail "failed logins were not looked at: $(due)"

say "two at once: one counts"
review carol
cp "$F" "$W/first.review"; cp "$F.sig" "$W/first.review.sig"; cp "${F%.review}.sheet" "$W/first.sheet"
review alice
coffer review submit "$STORE" "$W/first.review" > "$W/one" 2>&1 & a=$!
coffer review submit "$STORE" "$F" > "$W/two" 2>&1 & b=$!
codes=0
wait $a || codes=$((codes + 1))
wait $b || codes=$((codes + 1))
same "refused" "1 1" "$codes $(cat "$W/one" "$W/two" | grep -c '(range)')"

say "who may not, and what is not signed for it"
review dan
refused role "$F"
review carol
sign bob coffer-review "$F"
refused signature "$F"
sign carol coffer-event "$F"
refused signature "$F"
sed -i 's/"root":"../"root":"00/' "$F"
sign carol coffer-review "$F"
refused wrong-head "$F"
review carol
sed -i 's/"from":[0-9]*/"from":0/' "$F"
sign carol coffer-review "$F"
refused range "$F"
sed -i 's/"from":[0-9]*,//' "$F"
sign carol coffer-review "$F"
expect_code 1 coffer review submit "$STORE" "$F"
same "one more is on record" 2 "$(coffer review list "$STORE" | wc -l)"
same "refusals are events" 8 "$(coffer events "$STORE" --type request-refused --json | jsonl 'len([e for e in j if "review refused" in e["detail"]])')"

say "logins, by day"
cat > "$W/ssh.log" <<'LOG'
2026-11-24T04:41:00.123456+00:00 host sshd[100]: Failed password for alice from 10.0.0.9 port 40000 ssh2
2026-11-24T04:41:02.123456+00:00 host sshd[100]: Failed password for alice from 10.0.0.9 port 40000 ssh2
2026-11-24T04:41:04.123456+00:00 host sshd[100]: Failed password for alice from 10.0.0.9 port 40000 ssh2
2026-11-24T04:42:00.123456+00:00 host sshd[101]: Accepted password for alice from 10.0.0.9 port 40001 ssh2
2026-11-25T04:41:00.123456+00:00 host sshd[102]: Failed password for invalid user mallory from 10.0.0.10 port 40000 ssh2
LOG
coffer import-events "$STORE" "$W/ssh.log" --source "$TOP/sources/sshd.ini" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
coffer review show "$STORE" --logins --json > "$W/show"
same "days" "2026-11-24 alice 10.0.0.9 3 1|2026-11-25 mallory 10.0.0.10 1 0" \
    "$(json '"|".join(" ".join(str(r[k]) for k in ("day", "who", "place", "failed", "succeeded")) for r in j["logins"] if r["source"] == "sshd")' < "$W/show")"
same "guessed?" "success-after-failures alice 3" "$(json '"|".join(" ".join([f["finding"], f.get("who", f.get("place", "")), str(f["count"])]) for f in j["findings"])' < "$W/show")"
review alice --logins --notes "asked alice"
coffer review submit "$STORE" "$F" > "$W/out" || fail "$(cat "$W/out")"
due | grep -q "'failed_logins': '20" || fail "due does not take it as done: $(due)"
coffer review show "$STORE" --logins --json > "$W/show"
same "looked at" "[]" "$(json 'j["findings"]' < "$W/show")"

say "without a daemon; the next mount goes on where the last review ended"
umount_archive
coffer review make "$STORE" --as bob --key "$W/k/bob" -o "$W/r" "${OPEN[@]}" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
mount_archive
rm -rf "$STORE/index"
umount_archive
mount_archive
review carol
ends=$(coffer review list "$STORE" --json | jsonl 'j[-1]["to"]')
same "behind the last one" $((ends + 1)) "$(json 'j["from"]' < "$F")"
coffer review submit "$STORE" "$F" > "$W/out" || fail "$(cat "$W/out")"
same "one behind the other" True "$(coffer review list "$STORE" --json | jsonl 'all(a["to"] + 1 == b["from"] for a, b in zip(j, j[1:])) and j[0]["from"] == 0 and len(j) == 4')"
umount_archive
verify_intact
second_reader --json > "$W/out" || fail "second reader: $(tail -n 3 "$W/out")"
same "signatures it judged" "7 []" "$(json 'str(j["signatures"]) + " " + str(j["not_permitted"])' < "$W/out")"
ok review
