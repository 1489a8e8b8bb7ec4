#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The rules' whole table through a mount: every cell is tried by real system calls, by the person it names. Errno, what became of
# the object, and what is on record of the attempt have to be what the rules say, from which the table is printed here.
. "$(dirname "$0")/lib.sh"

"$BUILD/tests/unit/rules/rules-table" --tsv > "$W/table.tsv" || fail "rules-table"
# A rule that was changed by mistake changes the table too: the page, which people have read, tells.
"$BUILD/tests/unit/rules/rules-table" --check "$TOP/docs/rules.md" || fail "docs/rules.md and the rules differ"
sed -n '/^```$/,/^```$/{/^```$/d;p;}' "$TOP/docs/rules.md" > "$W/policy" # the one that the table is made for
grep -q '^retention = ' "$W/policy" || fail "docs/rules.md does not say the policy"

# Files that are over have had a short retention; then the shelf gets the table's policy, which is stronger.
printf 'retention = 1s\nretention_max = 20y\n' > "$W/main"
(cat "$W/policy"; echo 'strict = yes') > "$W/strict"
printf 'quota = 100\nquota_files = 1\n' > "$W/quota"
echo 'refuse = rofs' > "$W/rofs"
echo 'staging = yes' > "$W/staging"
printf 'retention = 10y\nautocommit = 1s\n' > "$W/idle"
make_store "main:$W/main" "strict:$W/strict" "quota:$W/quota" "rofs:$W/rofs" "staging:$W/staging" "idle:$W/idle" \
    "shelf:$W/policy" "weaker:$W/policy" plain other
mount_archive
chmod 777 "$MNT"/{main,strict,quota,rofs,staging,idle,plain,other}

id=$(coffer status "$STORE" --json | json 'j["archive_id"]')
code=0
"$SUPPORT/table" "$W/table.tsv" "$MNT" "$id" "$W/policy" "$W/attempts" > "$W/table.out" || code=$?
grep -E '^(FAILED|skipped|not tried)' "$W/table.out" || true
tail -n 1 "$W/table.out"

umount_archive
verify_intact
coffer log "$STORE" --key-file "$KEY" --json > "$W/log"
python3 - "$W/attempts" "$W/log" "$W/table.out" <<'PY' || code=1
import collections, json, sys
names = "key state who call pid errno effect recorded rule operation reason path".split()
attempts = [dict(zip(names, line.rstrip("\n").split("\t"))) for line in open(sys.argv[1])]
frames = [json.loads(line) for line in open(sys.argv[2])]
uids = {"owner": 7001, "other": 8001, "root": 0}
failed = 0
def fail(a, text):
    global failed
    failed += 1
    print("FAILED on record: %s, %s, by %s (%s): %s" % (a["key"], a["state"], a["who"], a["call"], text))

# One process made all attempts on a cell: what the log says of it is what it says of the cell.
of_pid, left = collections.defaultdict(list), 0
for f in frames:
    pid = f.get("actor", {}).get("pid")
    if pid is not None:
        of_pid[pid].append(f)
    elif f.get("event") == "refused":
        left += 1
if left:
    print("FAILED on record: %d refusals of nobody" % left)
    failed += 1
kinds = {"append": "append", "hole": "hole", "create": "create", "attr": "attr", "commit": "commit", "extend": "extend",
         "ask": "attr", "rename": "rename", "remove": "remove", "shelf": "shelf"}
cells = collections.OrderedDict()
for a in attempts:
    cells.setdefault((a["key"], a["state"], a["who"]), []).append(a)
tried = {int(a["pid"]) for a in attempts}
events = 0
for ways in cells.values():
    a, pid = ways[0], int(ways[0]["pid"])
    # Who renames a file once has committed it before, and that as root.
    its = [f for f in of_pid[pid] if a["key"] != "rename-once" or f["type"] not in ("commit", "actor")]
    mine = [f for f in its if f["actor"]["uid"] == uids[a["who"]]]
    if len(mine) != len(its):
        fail(a, "what it did is on record under another account")
    want, paths = collections.Counter(), collections.defaultdict(set)
    got, got_paths = collections.Counter(), collections.defaultdict(set)
    for w in ways:
        if w["recorded"] == "recorded":
            k = w["operation"], w["errno"], w["rule"]
            want[k] += 1
            paths[k].add(w["path"])
    for f in mine:
        if f.get("event") != "refused":
            continue
        rule = f["detail"].split()[1].rstrip(",;") if f.get("detail", "").startswith("rule ") else f.get("rule")
        k = f["operation"], f["errno"], rule
        got[k] += f.get("count", 1)
        got_paths[k] |= {e["path"] for e in f.get("names", [])} | ({f["path"]} if "path" in f else set())
        texts = {w["reason"] for w in ways if w["reason"]}
        if f.get("reason") and texts and f["reason"] not in texts:
            fail(a, "another reason is on record: %s" % f["reason"])
        events += 1
    if want != got:
        fail(a, "refusals on record are %s, not %s" % (dict(got), dict(want)))
    elif any(paths[k] != got_paths[k] for k in want):
        fail(a, "paths on record are %s, not %s" % (dict(got_paths), dict(paths)))
    done = {f["type"] for f in mine} - {"event", "actor", "attr" if a["effect"] == "commit" else ""}
    expected = {kinds[w["effect"]] for w in ways if w["effect"] in kinds}
    if a["key"] == "shelf-add":
        done -= {"create"}
    if a["effect"] == "hole":
        done -= {"append"}
        expected = {"hole"}
    if done != expected:
        fail(a, "frames on record are %s, not %s" % (sorted(done), sorted(expected)))
for pid, fs in of_pid.items():
    if pid not in tried and any(f.get("event") == "refused" for f in fs):
        print("FAILED on record: refusals of a process that makes no attempts: %s" % fs[0]["actor"])
        failed += 1
print("%d events, %d cells, %d attempts on record compared, %d failed" % (events, len(cells), len(attempts), failed))
sys.exit(failed != 0)
PY
[ $code = 0 ] || fail "the mount and the rules differ"
