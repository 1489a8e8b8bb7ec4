#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Each profile but gpki-4 (first-year.sh) as its user walks it: made, mounted, written to by what it prints, and asked by every
# verb that looks ahead; what the clauses say then.
. "$(dirname "$0")/lib.sh"
export COFFER_PROFILES=$TOP/profiles
(umask 077; head -c 32 /dev/urandom > "$KEY")
dir=$W
# Of each: its shelves, how much is due, kinds of events and of records that it asks for, rules that this version has nothing for.
# All of them with COFFER_LONG.
walk() { # walk PROFILE SHELVES DUE EVENTS RECORDS NOT-BUILT
    local p=$1
    STORE=$dir/$p AUDITOR=$dir/$p.auditor
    say "$p"
    coffer init "$STORE" --profile "$p" --trial --key-file "$KEY" --auditor-secret "$AUDITOR" > "$W/sources" 2>&1 || fail "$(cat "$W/sources")"
    for part in rsyslog auditd; do
        [ "$p" = plain ] || grep -q "^# --- $part" "$W/sources" || fail "$p: no lines for $part: $(cat "$W/sources")"
    done
    mount_archive
    same "shelves" "$2" "$(find "$MNT" -mindepth 1 -maxdepth 1 -type d | wc -l)"
    for shelf in "$MNT"/*; do
        echo "the first record" > "$shelf/1"
        chmod a-w "$shelf/1"
        expect_fail EPERM rm "$shelf/1"
    done
    coffer due "$STORE" --json > "$W/due" || [ $? = 3 ] || fail due
    same "due" "$3" "$(json 'len(j)' < "$W/due")"
    if [ "$4" = 0 ]; then
        expect_code 2 coffer coverage "$STORE"
        expect_code 2 coffer coverage "$STORE" --records
    else
        expect_code 10 coffer coverage "$STORE" --json
        same "kinds of events" "$4" "$(wc -l < "$W/out")"
        expect_code 0 coffer coverage "$STORE" --records --json
        same "kinds of records, each with something in it" "$5 $5" "$(jsonl '" ".join(map(str, [len(j), sum(k["count"] > 0 for k in j)]))' < "$W/out")"
    fi
    coffer plan "$STORE" --json > "$W/plan" || fail plan
    same "shelves in the plan" "$2" "$(jsonl 'sum("shelf" in o for o in j)' < "$W/plan")"
    expect_code 0 coffer calendar "$STORE"
    coffer compliance "$STORE" --json > "$W/report" || [ $? = 3 ] || fail compliance
    same "rows without evidence" 0 "$(json 'sum(not r["evidence"] for r in j["rows"])' < "$W/report")"
    same "nothing for these" "$6" "$(json '" ".join(sorted({r["rule"] for r in j["rows"] if r["finding"] == "FAIL" and r["evidence"].startswith("this version")}))' < "$W/report")"
    same "clauses" True "$(json "(len(j['rows']) > 0) == ('$p' != 'plain')" < "$W/report")"
    umount_archive
    verify_intact
}
walk gpki-3 16 15 60 16 ""
walk vasp 6 17 0 0 ""
if [ -n "$LONG" ]; then
    walk gpki-1 9 3 13 9 ""
    walk gpki-2 16 9 44 16 ""
    walk securities 5 17 0 0 ""
    walk insurance 5 12 0 0 ""
    walk plain 1 0 0 0 ""
fi
ok walks
