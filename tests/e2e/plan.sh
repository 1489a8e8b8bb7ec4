#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What a policy would lock is what it locks once it is in force; the calendar's months, rekey dates and CRLs; the same with
# and without a daemon; nothing is changed by a look.
. "$(dirname "$0")/lib.sh"
python3 -c 'import cryptography' 2> /dev/null || skip "no python3-cryptography"
export COFFER_PROFILES=$TOP/profiles
python3 "$TOP/tests/support/certs.py" "$W/made" ca.pem sub.pem d2049.pem crl.pem crl-3.pem crl-4.pem
NOW=2030-06-15
day() { date -u -d "$NOW + $1" +%F; }
until_of() { getfattr --absolute-names --only-values -n user.coffer.retain_until "$MNT/$1"; }

make_store plain
mount_archive
coffer shelf add "$STORE" logs --retention 30d --retention-min 10d --retention-max 5y > /dev/null
coffer shelf add "$STORE" certs --certificates yes --retention 10d --retain-margin 3d > /dev/null
coffer shelf add "$STORE" follow --retention 10d > /dev/null
echo one > "$MNT/logs/committed"
chmod 444 "$MNT/logs/committed"
echo open > "$MNT/logs/open"
echo asked > "$MNT/logs/asked"
touch -a -d 2032-01-02T03:04:05Z "$MNT/logs/asked"
echo x > "$MNT/plain/x"
cp "$W/made/d2049.pem" "$MNT/certs/"
echo f > "$MNT/follow/f"
chmod 444 "$MNT/follow/f"
mkdir "$MNT/certs/ca"
keep() { cp "$W/made/$1" "$MNT/certs/ca/" && chattr +i "$MNT/certs/ca/$1"; }
keep ca.pem
coffer compliance "$STORE" --profile gpki-2 --json "${OPEN[@]}" > "$W/out" || [ $? = 3 ] || fail "compliance"
same "a CA, and no CRL to look at" "MANUAL True" \
    "$(json '[r["finding"] + " " + str("no CRL is" in r["evidence"]) for r in j["rows"] if r["rule"] == "R32"][0]' < "$W/out")"
keep sub.pem
keep crl.pem

say "what is in force"
frames() { coffer status "$STORE" --json | json 'j["frames"]'; }
plan() { # plan FILTER WORD...: of the shelves by name
    coffer plan "$STORE" "${OPEN[@]}" --json "${@:2}" > "$W/plan" || [ $? = 3 ] || fail "plan ${*:2}"
    python3 -c 'import json, sys
s, f = {}, {}
for o in map(json.loads, sys.stdin):
    (s if "shelf" in o else f)[o.get("shelf") or o["path"]] = o
print(eval(sys.argv[1]))' "$1" < "$W/plan"
}
look() {
    same "a default" "$(day "30 days")" "$(plan 's["logs"]["open"]["from"][:10]' --at $NOW)"
    same "what was asked for" "2032-01-02 asked" "$(plan 'f["logs/asked"]["until"][:10] + " " + f["logs/asked"]["rule"]' --at $NOW --files)"
    same "without an end" "1 none" "$(plan 'str(s["plain"]["open"]["for_ever"]) + " " + f["plain/x"]["until"]' --files)"
    same "a certificate's" "2050-01-03T23:59:59.000Z least" "$(plan 'f["certs/d2049.pem"]["until"] + " " + f["certs/d2049.pem"]["rule"]' --files)"
    same "what is committed" "1 0" "$(plan '" ".join(str(s["logs"]["committed"][k]) for k in ("files", "longer"))')"

    say "another policy of one shelf"
    same "longer" "$(day "730 days")" "$(plan 's["logs"]["open"]["to"][:10]' --shelf logs --set retention=2y --set retention_min=2y --at $NOW)"
    same "an event" 2 "$(plan 's["logs"]["open"]["by_event"]' --shelf logs --set retain_event=contract-end)"
    same "strict" 1 "$(plan 's["logs"]["open"]["refused"]' --shelf logs --set strict=yes --set retention_max=1y --at $NOW)"
    same "weaker" True "$(plan '"shorter" in s["logs"]["weaker"]' --shelf logs --set retention_min=1d)"
    expect_code 3 coffer plan "$STORE" "${OPEN[@]}" --shelf logs --set retention_min=1d
    follows=$(plan 's["follow"]["committed"]["longer_to"]' --shelf follow --set retain_follows=certificates)
    same "of how many" 1 "$(json 'j["committed"]["longer"]' < <(grep '"follow"' "$W/plan"))"

    say "a profile"
    same "shelves that would be made" "[True, False, False, 20]" "$(plan '[s["audit"]["planned"], s["audit"]["exists"], s["plain"]["planned"], len(s)]' gpki-4)"

    say "the calendar"
    expect_code 0 coffer calendar "$STORE" "${OPEN[@]}" --json --months 400
    cp "$W/out" "$W/calendar"
    same "months" "[1, 0]" "$(json '[j["months"]["2040-01"]["certificates"], j["for_ever"]["files"]]' < "$W/calendar")"
    same "files" 5 "$(json 'sum(j[k]["files"] for k in ("later", "expired")) + sum(m["files"] for m in j["months"].values())' < "$W/calendar")"
    same "open" 4 "$(json 'j["open"]["files"]' < "$W/calendar")"
    same "no policy, no rekey" None "$(json 'j["rekey"][0].get("due")' < "$W/calendar")"
    same "the log's bytes" True "$(json 'sum(m.get("log_bytes", 0) for m in j["months"].values()) == j["space"]["log_bytes"] > 1000' < "$W/calendar")"
    same "space" "[True, 0]" "$(json '[j["space"]["free_bytes"] > 0, j["space"]["bytes_a_day"]]' < "$W/calendar")"
}
OPEN=()
before=$(frames)
look
# A look changes nothing: but for checkpoints, which come of themselves.
same "frames of a look" 0 "$(coffer log "$STORE" --from "$before" --json | jsonl 'sum(e["type"] != "checkpoint" for e in j)')"

say "what was planned is what happens"
at=$(plan 's["logs"]["open"]["from"][:10]')
chmod 444 "$MNT/logs/open" "$MNT/logs/asked" "$MNT/certs/d2049.pem"
same "the default" "$at" "$(until_of logs/open | cut -c1-10)"
same "the certificate's" 2050-01-03T23:59:59.000Z "$(until_of certs/d2049.pem)"
follows=$(plan 's["follow"]["committed"]["longer_to"]' --shelf follow --set retain_follows=certificates)
coffer shelf set "$STORE" follow --retain-follows certificates > /dev/null
same "what follows" "$follows" "$(until_of follow/f)"
umount_archive
mount_archive

say "rekey dates and CRLs by a policy"
printf '[archive]\nprofile = mine\nrekey_root = 92d\nrekey_sub = 61d\ncrl = 1d\n' > "$W/mine.ini"
coffer policy apply "$STORE" "$W/mine.ini" > /dev/null
rekeys() { coffer calendar "$STORE" "${OPEN[@]}" --json --crl --at "$1" > "$W/out" || [ $? = 3 ]; json '" ".join(k["due"][:10] + ("!" if k["overdue"] else "") for k in j["rekey"])' < "$W/out"; }
want=$(openssl x509 -in "$W/made/sub.pem" -noout -enddate | sed 's/.*=//')
subs=$(date -u -d "$want - 61 days" +%F)
first=$(rekeys 2026-01-01)
[[ $first == *2039-10-01* ]] || fail "the root's date: $first"
[[ $first == *$subs* ]] || fail "the subordinate's date: $first, not $subs"
expect_code 3 coffer calendar "$STORE" --crl --json --at 2039-01-01
same "an old CRL" True "$(json 'j["crls"][0]["overdue"]' < "$W/out")"
expect_code 0 coffer calendar "$STORE" --crl --at 2020-02-01
[[ $(rekeys 2039-12-01) == *"2039-10-01!"* ]] || fail "an overdue key: $(cat "$W/out")"
[[ $(rekeys 2040-12-01) == *"2039-10-01 "* || $(rekeys 2040-12-01) == *"2039-10-01" ]] || fail "one that has ended: $(cat "$W/out")"
coffer calendar "$STORE" --crl --at 2039-01-01 > "$W/text" || [ $? = 3 ]
grep -q '^OVERDUE .*CRL: CN=test ca' "$W/text" || fail "text: $(cat "$W/text")"

say "when an issuer had no CRL in force"
no_crl() { coffer gaps "$STORE" "${OPEN[@]}" --crl --json > "$W/out" && fail "there are gaps"; jsonl '" ".join(e["kind"] + ":" + e["issuer"] + ":" + e["from"][5:13] + ":" + e.get("to", "-")[5:13] for e in j)' < "$W/out"; }
cp "$W/made/crl-4.pem" "$W/made/crl-3.pem" "$MNT/certs/ca/" && chmod 444 "$MNT/certs/ca/crl-4.pem" "$MNT/certs/ca/crl-3.pem"
want_gaps="no-crl:CN=test ca,O=Made:01-02T00:01-03T00 no-crl:CN=test ca,O=Made:01-05T00:"
same "of the policy's day" "$want_gaps" "$(no_crl)"
coffer gaps "$STORE" --crl --least 7d > "$W/text" && fail "one goes on"
grep -q '^2026-01-05T.*(goes on) *no-crl .*CN=test ca' "$W/text" && [ "$(wc -l < "$W/text")" = 1 ] || fail "text: $(cat "$W/text")"

expect_code 2 coffer plan "$STORE" --set retention=1y
expect_code 2 coffer plan "$STORE" --shelf logs --set nonsense=1
expect_code 1 coffer plan "$STORE" --shelf none
expect_code 2 coffer calendar "$STORE" --months 0

say "without a daemon"
umount_archive
OPEN=(--key-file "$KEY")
same "the same certificates" "2050-01-03" "$(plan 's["certs"]["committed"]["to"][:10]')"
same "the same gaps" "$want_gaps" "$(no_crl)"
[[ $(rekeys 2026-01-01) == "$first" ]] || fail "other dates: $(rekeys 2026-01-01)"
verify_intact
ok plan
