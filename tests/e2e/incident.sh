#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Incidents: opened, graded, reported, closed, each step signed; the countdown is told by alarms as it goes by, also after a
# remount; due, compliance and the STIX bundle say the same.
. "$(dirname "$0")/lib.sh"

command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
mkdir "$W/k" "$W/r" "$W/hook"
chown nobody "$W/hook"
for name in alice bob carol; do ssh-keygen -q -t ed25519 -N '' -C '' -f "$W/k/$name"; done
for one in alice:officer bob:officer carol:auditor; do
    echo "${one%:*} $(cut -d' ' -f1,2 "$W/k/${one%:*}.pub") roles=${one#*:}"
done > "$W/people"
sign() { ssh-keygen -q -Y sign -n "$2" -f "$W/k/$1" < "$3" > "$3.sig" 2> /dev/null; }
OPEN=(--key-file "$KEY")
incident() { coffer incident "$1" "$STORE" "${@:3}" --as "$2" --key "$W/k/$2" -o "$W/r" > "$W/out" 2>&1 || fail "$(cat "$W/out")"; }
# of INCIDENT EXPRESSION: of its line
of() { coffer incident list "$STORE" --json "${MORE[@]}" | jsonl "[i for i in j if i[\"incident\"].startswith(\"$1\")][0]$2"; }
told() { of "$1" "[\"reports\"]" | python3 -c 'import ast, sys
print(*sorted(r["to"] + ("+" if "told" in r else "-") + ("!" if r["late"] else "") for r in ast.literal_eval(sys.stdin.read())))'; }
verdict() {
    coffer compliance "$STORE" --json > "$W/report" "${MORE[@]}" || true
    json '" ".join(dict(sorted((r["rule"], r["finding"]) for r in j["rows"] if r["rule"] in ("R61", "R64"))).values())' < "$W/report"
}
cat > "$W/tell" <<SH
#!/bin/bash
IFS= read -r line || [ -n "\$line" ]
printf '%s\n' "\$line" >> "$W/hook/out"
SH
chmod 755 "$W/tell"
alarmed() { await 20 "an alarm: $1" grep -q "incident-due.*$1" "$W/hook/out"; }
MORE=()

make_store audit
coffer people set "$STORE" "$W/people" -o "$W/r" "${OPEN[@]}" > "$W/out"
R=$(echo "$W"/r/*.request)
for name in alice bob; do sign $name coffer-people "$R" && mv "$R.sig" "$R.$name"; done
coffer people accept "$STORE" "$R" "$R.alice" "$R.bob" "${OPEN[@]}" > "$W/out"
printf '[archive]\nprofile = mine\nsources = gpki cert\nincident_least = 1\nincident_pass_on = 3\nincident_to = sector-team\nincident_pass_to = authority
incident_within_1 = 3d\nincident_within_2 = 3d\nincident_within_3 = 1d\nincident_within_4 = 1h\ncompromise_within = 6s\ncompromise_to = superior-ca\n' > "$W/mine.ini"
coffer policy apply "$STORE" "$W/mine.ini" "${OPEN[@]}" > "$W/out" || fail "$(cat "$W/out")"
mount_archive "hook=$W/tell"

say "a suspected key: who is to be told, told by alarms when it is opened, at half of the time, and when it is over"
same "none yet" "MANUAL MANUAL" "$(verdict)"
expect_code 2 coffer incident open "$STORE" --as alice --kind key-compromise --impact 5,0,0 --text x
expect_code 2 coffer incident open "$STORE" --as alice --kind burglary --impact 1,0,0 --text x
incident open alice --kind key-compromise --impact 4,1,0 --text 'the seal of the module is broken' --contact 'duty officer'
K=$(coffer incident list "$STORE" --json | jsonl 'j[0]["incident"]')
same "named by its form" "$K" "$(sha256sum < "$(echo "$W"/r/*.incident)" | cut -d' ' -f1)"
same "what is clear says nothing of it" 0 "$(grep -c 'seal\|duty' "$(echo "$W"/r/*.incident)")"
rm -f "$W"/r/*
alarmed "sector-team is to be told by"
alarmed "superior-ca is to be told by"
same "owed" "authority- sector-team- superior-ca-" "$(told "$K")"
alarmed "superior-ca was to be told by"
same "that it is over is said once" 1 "$(grep -c 'incident-due.*superior-ca was' "$W/hook/out")"
# Opened and half; one, where the machine was so slow that half was over when it was opened.
left=$(grep 'incident-due.*superior-ca is' "$W/hook/out" | head -n 1 | sed 's/.*, in \([0-9]*\).*/\1/')
same "how often before" $((left >= 3 ? 2 : 1)) "$(grep -c 'incident-due.*superior-ca is' "$W/hook/out")"
same "severities" "crit warning" "$(grep 'incident-due.*superior-ca' "$W/hook/out" | jsonl '" ".join(sorted({e["severity"] for e in j}))')"
same "late" "authority- sector-team- superior-ca-!" "$(told "$K")"
expect_code 3 coffer due "$STORE"
coffer due "$STORE" --json > "$W/due" || true
same "due" "R61:False:sector-team R64:True:superior-ca" "$(json '" ".join(sorted(":".join((d["rule"], str(d["overdue"]), d["of"].split()[0]))
    for d in j if d["obligation"] == "incident" and not d["of"].startswith("authority")))' < "$W/due")"
same "not told in time" "PASS FAIL" "$(verdict)"

# Whole seconds are what forms say: one made within the second of the limit is in time.
over=$(date +%s)
later() { [ "$(date +%s)" -gt "$over" ]; }
await 3 "the second to be over" later
say "told, too late; the sector team in time; another incident, graded down, so that nobody passes it on"
incident report alice "$K" --to superior-ca
incident report alice "$K" --to sector-team
same "told" "authority- sector-team+ superior-ca+!" "$(told "$K")"
same "too late stays so" "PASS FAIL" "$(verdict)"
incident open bob --kind leak --impact 0,0,3 --text 'a disk is missing'
L=$(coffer incident list "$STORE" --json | jsonl 'j[1]["incident"]')
same "passed on" "authority- sector-team-" "$(told "$L")"
incident grade bob "$L" --impact 0,0,1
same "graded down" "sector-team-" "$(told "$L")"
incident grade bob "$L" --impact 0,0,1 --cross-sector
same "cross-sector" "authority- sector-team-" "$(told "$L")"
incident grade bob "$L" --impact 0,0,1
# Told before the limit, put on record now.
incident report bob "$L" --to sector-team
incident close bob "$L" --text 'found again'
same "closed, nobody is left to be told" "False" "$(of "$L" '["open"]')"
incident report alice "$K" --to authority
incident close alice "$K" --text 'key destroyed' --measures 'a new key'
same "none is open" "" "$(coffer incident list "$STORE" --open)"

say "not what somebody else signed, not twice, not of an incident that there is not"
rm -f "$W"/r/*
coffer incident open "$STORE" --as alice --kind outage --impact 0,0,1 --text 'no power' -o "$W/r" > "$W/out"
F=$(echo "$W"/r/*.incident)
sign bob coffer-event "$F"
expect_code 1 coffer incident submit "$STORE" "$F"
sign alice coffer-event "$F"
coffer incident submit "$STORE" "$F" > "$W/out" || fail "$(cat "$W/out")"
expect_code 1 coffer incident submit "$STORE" "$F"
expect_code 1 coffer incident close "$STORE" 0000000000 --as bob --text x --key "$W/k/bob" -o "$W/r"
incident open bob --kind outage --impact 0,0,1 --text x --found 2200-01-01T00:00:00Z
same "noticed no later than it was said" True "$(coffer incident list "$STORE" --json | jsonl 'j[-1]["found"] < "2200"')"
coffer incident show "$STORE" "$K" > "$W/show"
for text in "LATE    superior-ca (R64)" "told    sector-team (R61)" "note: the seal of the module is broken" "measures: a new key" \
    "incident-closed by alice"; do
    grep -qF "$text" "$W/show" || fail "not shown: $text in $(cat "$W/show")"
done

say "STIX 2.1: the same each time, and each reference is of an object in it"
coffer incident show "$STORE" "$K" --stix > "$W/stix"
coffer incident show "$STORE" "$K" --stix | cmp - "$W/stix" || fail "another bundle the second time"
python3 - "$W/stix" <<'PY' || fail "the bundle"
import base64, json, re, sys
b = json.load(open(sys.argv[1]))
must = {"incident": {"name"}, "observed-data": {"first_observed", "last_observed", "number_observed", "object_refs"},
        "report": {"name", "published", "object_refs"}, "identity": {"name"}, "artifact": {"payload_bin"},
        "extension-definition": {"created_by_ref", "name", "schema", "version", "extension_types"}}
assert b["type"] == "bundle" and set(b) == {"type", "id", "objects"}
ids = [o["id"] for o in b["objects"]]
assert len(set(ids)) == len(ids)
time = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
for o in [b] + b["objects"]:
    kind, uuid = o["id"].split("--")
    assert kind == o["type"] and re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", uuid), o["id"]
for o in b["objects"]:
    assert o["spec_version"] == "2.1" and must[o["type"]] <= set(o), o
    if o["type"] != "artifact":
        assert time.fullmatch(o["created"]) and time.fullmatch(o["modified"])
    for ref in o.get("object_refs", []) + [o[k] for k in o if k.endswith("_ref")]:
        assert ref in ids, ref
    for e in o.get("extensions", {}):
        assert e in ids, e
kinds = [o["type"] for o in b["objects"]]
assert kinds.count("incident") == 1 and kinds.count("observed-data") == 5 == kinds.count("artifact"), kinds
forms = [json.loads(base64.b64decode(o["payload_bin"])) for o in b["objects"] if o["type"] == "artifact"]
assert [f["event"] for f in forms] == ["incident-opened"] + 3 * ["incident-reported"] + ["incident-closed"]
PY

say "its records: kept by a hold that is named by it, handed over as a bundle with the steps in STIX"
preserved() { coffer compliance "$STORE" --json > "$W/report" || true; json '[r["finding"] + " " + r["evidence"].split()[0] for r in j["rows"] if r["rule"] == "R62"][0]' < "$W/report"; }
echo "what happened" > "$MNT/audit/log"
chmod a-w "$MNT/audit/log"
same "nothing keeps them" "FAIL 4" "$(preserved)"
expect_fail "no hold is of this incident" coffer evidence make "$STORE" --incident "$K" --to sector-team --basis 'annex 5' --out "$W/k.tar"
for i in $(coffer incident list "$STORE" --json | jsonl '" ".join(i["incident"][:8] for i in j)'); do
    [ "$i" = "${K:0:8}" ] || coffer hold begin --case "incident $i" "$MNT/audit/log" > /dev/null
done
same "but for one" "FAIL 1" "$(preserved)"
coffer hold begin --case "incident ${K:0:8}, the module" "$MNT/audit" > /dev/null
same "each" "PASS the" "$(preserved)"
coffer evidence make "$STORE" --incident "${K:0:12}" --to sector-team --basis 'annex 5' --out "$W/k.tar" > "$W/out" 2>&1 || fail "$(cat "$W/out")"
coffer evidence check "$W/k.tar" --log-key "$(coffer status "$STORE" --json | json 'j["vkey"]')" --json > "$W/checked" || [ $? = 10 ] || fail "$(cat "$W/checked")"
same "the held file, and whose it is" "('$K', 'audit/log', 1)" "$(json '(j["bundle_claimed"]["incident"], j["files"][0]["path_claimed"], j["files"][0]["holds_begun"] and 1)' < "$W/checked")"
tar xOf "$W/k.tar" coffer-evidence/data/stix.json | cmp - "$W/stix" || fail "the steps in it are others"
python3 "$TOP/tests/second_evidence.py" "$W/k.tar" > /dev/null || [ $? = 11 ] || fail "the second verifier"

say "the next mount, with a new index, counts on: what is over and was not told is said again, what was told is not"
incident open alice --kind key-compromise --impact 0,2,0 --text 'once more'
umount_archive
rm -rf "$STORE/index"
MORE=("${OPEN[@]}")
same "without a daemon" "5 PASS FAIL" "$(coffer incident list "$STORE" --json "${OPEN[@]}" | wc -l) $(verdict)"
: > "$W/hook/out"
MORE=()
mount_archive "hook=$W/tell"
alarmed "superior-ca was to be told by"
same "of the last one only" "1 0" "$(grep -c 'incident-due.*superior-ca was' "$W/hook/out") $(grep -c "incident-due.*${K:0:16}" "$W/hook/out")"
umount_archive
verify_intact
ok incident
