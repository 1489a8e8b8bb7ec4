#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Two shelves of escrow in one archive, each with an epoch of the same number: what is due and what compliance finds is of the
# right one, and an epoch that was revoked is in force nowhere; by the daemon and from the store.
. "$(dirname "$0")/lib.sh"

command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
cd "$W"
mkdir k r
for n in anna ben; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$n; done
pub() { cut -d' ' -f1,2 "k/$1.pub"; }
scheme() {
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = %s, %s\n' "$1" "$2"
    for n in "$@"; do printf '[custodian %s]\nperson = %s\nplace = %s-safe\nmedium = paper\nrecipient = paper\n' "$n" "$n" "$n"; done
}
epoch() { # epoch SHELF NAME NAME: made, confirmed, on the shelf; $E is its record
    local n nonce=confirm-abcd-efgh-2345-abcd-efgh-2345
    scheme "$2" "$3" > "$1.ini"
    mkdir "kit-$1"
    escrow-make "$1.ini" "kit-$1"
    for n in "$2" "$3"; do
        coffer escrow confirm --epoch "kit-$1/epoch.json" "$n" $nonce "$(coffer share prove --nonce $nonce --share-fd 3 3< "kit-$1/$n.words")" > out
    done
    coffer escrow init "$MNT/$1" --scheme "$1.ini" > out
    coffer escrow accept "$MNT/$1" "kit-$1/epoch.json" --json > accepted
    E=$(json 'j["sequence"]' < accepted)
}
decide() { # decide: the one request in r/, approved by ben
    R=$(echo r/*.request)
    coffer approve "$STORE" "$R" --key k/ben > out
    grep -q ' done' out || fail "$(cat out)"
    rm -f r/*
}

make_store audit
mount_archive
{ echo "anna $(pub anna) roles=officer"; echo "ben $(pub ben) roles=officer"; } > people
coffer people set "$STORE" people -o r > out
R=$(echo r/*.request)
for n in anna ben; do ssh-keygen -q -Y sign -n coffer-people -f k/$n < "$R" > "$R.$n" 2> /dev/null; done
coffer people accept "$STORE" "$R" "$R.anna" "$R.ben" > out
rm -f r/*
printf '[archive]\nescrow_drill = 30d\nescrow_full_drill = 300d\n' > drills.ini
coffer policy apply "$STORE" drills.ini > out
for s in first second; do
    [ $s = first ] && who="alice bob" || who="alice carol"
    # shellcheck disable=SC2086
    epoch $s $who
    coffer request escrow-accept "$STORE" $s "$E" --as anna --key k/anna -o r > out
    decide
done

say "due and compliance tell the shelves apart"
due() { coffer due "$STORE" --json "$@" > due || true; json '" | ".join(sorted(o["of"] for o in j if o["obligation"].startswith("escrow_") and "of" in o))' < due; }
finds() { COFFER_PROFILES=$TOP/profiles coffer compliance "$STORE" --profile gpki-4 --json "$@" > report || true; json '" | ".join(sorted(r["evidence"] for r in j["rows"] if "epoch" in r["evidence"] and r["rule"] in ("R24", "R25")))' < report; }
same "both" "alice, bob of epoch 1 of first | alice, carol of epoch 1 of second | epoch 1 of first | epoch 1 of second" "$(due)"
finds > out
grep -q "epoch 1 of first is in force" out || fail "$(cat out)"
# What is said of alice on one shelf says nothing of hers on the other.
coffer escrow revoke "$MNT/second" custodian alice --reason left --as anna --key k/anna --dir r > out
decide
same "of the second" "alice, bob of epoch 1 of first | carol of epoch 1 of second | epoch 1 of first | epoch 1 of second" "$(due)"
ok "two shelves"

say "an epoch that was revoked is in force nowhere"
coffer escrow revoke "$MNT/first" epoch 1 --reason "its shares were seen" --as anna --key k/anna --dir r > out
decide
left="carol of epoch 1 of second | epoch 1 of second"
same "by the daemon" "$left" "$(due)"
finds > out
grep -q "epoch 1 of second is in force" out || fail "$(cat out)"
grep -q "of first" out && fail "what was revoked counts: $(cat out)"
umount_archive
same "from the store" "$left" "$(due --key-file "$KEY")"
mount_archive
coffer escrow revoke "$MNT/second" epoch 1 --reason "its shares were seen" --as anna --key k/anna --dir r > out
decide
same "none" "" "$(due)"
finds > out
grep -q "no epoch of escrow is in force" out || fail "$(cat out)"
coffer events "$STORE" --type escrow-revoked --json > events
same "an event names the shelf by its number" "2 []" "$(jsonl '(len({e["shelf_ino"] for e in j}), [e for e in j if "shelf" in e])' < events | tr -d '()' | sed 's/, / /')"
umount_archive
ok "revoked"
