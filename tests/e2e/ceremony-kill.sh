#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Ceremonies of each kind, killed at what they write: nothing half-made counts, no share is lost, coffer ceremony continue goes on to
# the end, and nothing of an attempt that failed is left. One kill of each making (COFFER_SEED=N chooses another); in a long run
# recovery and destruction too, and each write, sync, rename and removal.
. "$(dirname "$0")/lib.sh"

command -v age > /dev/null || skip "age is not installed"
command -v ssh-keygen > /dev/null || skip "needs ssh-keygen"
command -v strace > /dev/null || skip "strace is not installed"
cd "$W"
mkdir k
for n in anna ben cleo; do ssh-keygen -q -t ed25519 -N '' -C '' -f k/$n; done
for n in alice bob owner; do age-keygen -o $n.key 2> /dev/null; done
for n in anna:officer ben:officer cleo:auditor; do echo "${n%:*} $(cut -d' ' -f1,2 "k/${n%:*}.pub") roles=${n#*:}"; done > people
scheme() { # scheme PLACE
    printf '[scheme]\nname = root\ngroups = 1\n[group officers]\nthreshold = 2\nmembers = alice, bob\n'
    for n in alice bob; do
        printf '[custodian %s]\nperson = %s\nplace = %s-%s\nmedium = card-%s\nrecipient = %s\n' $n $n $n "$1" $n "$(age-keygen -y $n.key)"
    done
}
scheme safe > scheme.ini
scheme vault > new.ini
words() { age -d -i "$2.key" "$1/$2.age"; }
for _ in 1 2 3 4 5 6; do printf '%s k/%s\n' anna anna ben ben cleo cleo; done > signers
proofs() { # proofs KIT CHALLENGES [NAME]: what each custodian answers
    local n nonce
    json '"\n".join(n + " " + j[n] for n in sorted(j))' < "$2" | while read -r n nonce; do
        [ "$n" = "${3:-$n}" ] || continue
        echo "$n $(coffer share prove --nonce "$nonce" --share-fd 3 3< <(words "$1" "$n"))"
    done
}
# The shares of before, which stay what they were: only who needs them is given them.
with_shares() { "$@" --share-fd 3 --share-fd 4 3< alice.words 4< bob.words; }
plainly() { "$@"; }
H=$W/held

say "what ceremonies are about: an epoch, and a key that is encrypted to it"
coffer escrow epoch --scheme scheme.ini -o old --json > made
json 'json.dumps(j["challenges"])' < made > challenges
proofs old challenges > answers
while read -r n proof; do coffer escrow confirm --epoch old/epoch.json "$n" "$(json "j[\"$n\"]" < challenges)" "$proof" > out; done < answers
for n in alice bob; do words old $n > $n.words; done
R=$(json 'j["recipient"]' < old/epoch.json)
age -r "$R" -o key.age people
ARCHIVE=$(printf 'ab%.0s' {1..16})
ABOUT=(--people people --archive "$ARCHIVE" --epoch old/epoch.json)
combine() { # combine DOCUMENT: the shares of that kit still open the key
    coffer share combine --epoch "$1/epoch.json" --decrypt key.age -o plain --share-fd 3 --share-fd 4 3< <(words "$1" alice) 4< <(words "$1" bob) 2> err ||
        fail "shares were lost: $(cat err)"
    cmp plain people
    rm plain
}

# For each kind: new, what its session is fed, what it may read, what is true at its end.
declare -A NEW=(
    [creation]="coffer ceremony new creation -o $H --people people --archive none --scheme scheme.ini"
    [resharing]="coffer ceremony new resharing -o $H ${ABOUT[*]} --scheme new.ini --number 2"
    [recovery]="coffer ceremony new recovery -o $H ${ABOUT[*]} --decrypt key.age --to $(age-keygen -y owner.key)"
    [destruction]="coffer ceremony new destruction -o $H ${ABOUT[*]}"
)
declare -A READS=([creation]=plainly [resharing]=with_shares [recovery]=with_shares [destruction]=plainly)
kit() { ls -d "$H"/kit-* 2> /dev/null || true; }
fed() { # fed KIND: what its session is answered, whatever it has come to
    local lines=0
    case $1 in
    destruction)
        cat signers
        [ -e "$H/challenges.json" ] || return 0
        lines=$(grep -c '"what":"destroyed"' "$H/transcript" || true)
        proofs old "$H/challenges.json" | tail -n +$((lines + 1)) | while read -r n proof; do printf '%s %s\n%s\n' "$n" "$proof" "$n"; done
        ;;
    recovery) cat signers ;;
    *)
        if [ -e "$(kit)/challenges.json" ] && grep -q '"what":"made"' "$H/transcript"; then proofs "$(kit)" "$(kit)/challenges.json"; fi
        ;;
    esac
    cat signers
}
goes_on() { # goes_on KIND: until it is complete; sessions end where nobody answers any more
    local what code
    for _ in 1 2 3 4; do
        what="${NEW[$1]}" code=0
        if [ -e "$H" ]; then what="coffer ceremony continue $H" && fed "$1" > in; else cat signers > in; fi
        # shellcheck disable=SC2086
        "${READS[$1]}" $what < in > said 2>&1 || code=$?
        [ $code != 0 ] || return 0
        [ $code = 3 ] || fail "$1: $(cat said)"
    done
    fail "$1 does not come to its end: $(cat said)"
}
last() { json "[l[\"$1\"] for l in j[\"lines\"] if l[\"what\"] == \"$2\"][-1]" < shown; }
# Whatever lies in the directory is of what counts.
lies() { (cd "$H" && find . -type f ! -path './sign/*' | sed 's,^./,,' | sort | tr '\n' ' '); }
finish() { # finish KIND
    local n
    goes_on "$1"
    coffer ceremony verify "$H" > out || fail "$1: $(cat out)"
    coffer ceremony show "$H" --json > shown
    case $1 in
    creation | resharing)
        n=$(basename "$(kit)")
        same "$1: what is left" "$([ "$1" = creation ] || echo "document.json ")$n/alice.age $n/bob.age $n/challenges.json $n/epoch.json people scheme.ini sheet.json transcript " "$(lies)"
        same "$1: the document is the one that counts" "$(last document valid)" "$(sha256sum < "$H/$n/epoch.json" | cut -d' ' -f1)"
        [ "$1" = resharing ] || return 0
        same "the secret" "$R" "$(json 'j["recipient"]' < "$H/$n/epoch.json")"
        combine "$H/$n"
        combine old
        ;;
    recovery)
        n=$(cd "$H" && echo delivered-*)
        same "recovery: what is left" "$n document.json input.age people sheet.json transcript " "$(lies)"
        same "recovery: what was delivered is what counts" "$(last output delivered)" "$(sha256sum < "$H/$n" | cut -d' ' -f1)"
        cmp <(age -d -i owner.key "$H/$n") people
        ;;
    destruction)
        same "destruction: what is left" "challenges.json document.json people sheet.json transcript " "$(lies)"
        [ ! -e asked ] || cmp asked "$H/challenges.json" || fail "the custodians were asked something else than before"
        same "destruction: each once" "0 1" "$(json '" ".join(str(l["holder"]) for l in j["lines"] if l["what"] == "destroyed")' < shown)"
        ;;
    esac
}

# ---- kills ----

CALLS=(write fsync rename renameat2 mkdir unlinkat unlink rmdir ftruncate)
begin_at() { # begin_at KIND STATE: the directory as it was there; in: what is answered; asked: what custodians know
    rm -rf "$H" "$H".?????? asked
    [ -z "$2" ] || cp -r "$2" "$H"
    [ ! -e "$H/challenges.json" ] || cp "$H/challenges.json" asked
    if [ -n "$2" ]; then fed "$1" > in; else cat signers > in; fi
}
session() { # session KIND STATE OPTION...: under strace
    local what="${NEW[$1]}"
    [ -z "$2" ] || what="coffer ceremony continue $H"
    # shellcheck disable=SC2086
    "${READS[$1]}" strace -qq "${@:3}" $what < in > said 2>&1
}
dies() { # dies KIND STATE CALL N: fails where the session ended before
    local code=0
    begin_at "$1" "$2"
    { session "$1" "$2" -o /dev/null -e trace="$3" -e inject="$3:signal=KILL:when=$4" || code=$?; } 2> /dev/null
    [ $code = 137 ] || return 1
    [ ! -e "$H" ] || [ -s "$H/transcript" ] || fail "a directory without a transcript"
    [ -e asked ] || [ ! -e "$H/challenges.json" ] || cp "$H/challenges.json" asked
    finish "$1"
    total=$((total + 1))
}
every() { # every KIND STATE: at each call
    local call nth
    for call in "${CALLS[@]}"; do
        nth=1
        while dies "$1" "$2" "$call" $nth; do nth=$((nth + 1)); done
    done
}
calls_of() { # calls_of KIND STATE: in the file calls, in order
    begin_at "$1" "$2"
    session "$1" "$2" -o calls -e signal=none -e trace="$(IFS=,; echo "${CALLS[*]}")" || [ $? = 3 ] || fail "$1: $(cat said)"
}
one_of() { # one_of KIND STATE: at one of its calls
    local call nth
    calls_of "$1" "$2"
    nth=$((RANDOM % $(wc -l < calls) + 1))
    call=$(sed -n "${nth}s/(.*//p" calls)
    nth=$(head -n $nth calls | grep -c "^$call(")
    dies "$1" "$2" "$call" "$nth" || fail "$1 from ${2:-nothing} did not come to the call $nth of $call (COFFER_SEED=$SEED)"
}
SEED=${COFFER_SEED:-1}
RANDOM=$SEED total=0
kills() { # kills KIND STATE...: from each, or from one of them
    local kind=$1
    shift
    if [ -n "$LONG" ]; then
        for state in "$@"; do every "$kind" "$state"; done
    else
        one_of "$kind" "${*:RANDOM % $# + 1:1}"
    fi
}
until_line() { # until_line STATE WHAT: as if it was killed before that line was whole
    sed -i "/\"what\":\"$2\"/,\$d" "$1/transcript"
    printf '{"document":"00' >> "$1/transcript"
}

for kind in creation resharing; do
    say "a $kind: from nothing; with shares of an attempt that is not on record; with what some have confirmed"
    begin_at $kind ""
    session $kind "" -o /dev/null -e trace=none || [ $? = 3 ] || fail "$(cat said)"
    rm -rf made begun && cp -r "$H" made && cp -r "$H" begun
    until_line begun made
    kills $kind "" begun made
    begin_at $kind begun
    finish $kind
    same "the attempt that was not on record" "begun failed begun made" "$(json '" ".join(l["what"] for l in j["lines"] if l["what"] in ("begun", "failed", "made"))' < shown)"
done
ok "makings"
[ -n "$LONG" ] || { ok "killed, $total times (COFFER_SEED=$SEED); recovery and destruction only with COFFER_LONG"; exit 0; }

say "a recovery: from nothing; with a file that was delivered and is not on record"
begin_at recovery ""
session recovery "" -o /dev/null -e trace=none || fail "$(cat said)"
rm -rf begun && cp -r "$H" begun
until_line begun delivered
kills recovery "" begun
begin_at recovery begun
finish recovery
same "the attempt that was not on record" "begun failed begun delivered" "$(json '" ".join(l["what"] for l in j["lines"] if l["what"] in ("begun", "failed", "delivered"))' < shown)"
ok "a recovery"

say "a destruction: from nothing; with custodians who took their questions home, and one share destroyed"
begin_at destruction ""
session destruction "" -o /dev/null -e trace=none || [ $? = 3 ] || fail "$(cat said)"
rm -rf asking && cp -r "$H" asking
begin_at destruction asking
fed destruction | sed -n '/^alice [A-Za-z0-9+/]\{80\}/,/^alice$/p' | head -n 2 > in
session destruction asking -o /dev/null -e trace=none || [ $? = 3 ] || fail "$(cat said)"
rm -rf half && cp -r "$H" half
same "one is destroyed" 1 "$(grep -c '"what":"destroyed"' half/transcript)"
kills destruction "" asking half
begin_at destruction half
finish destruction
ok "a destruction"
combine old
[ -z "$LONG" ] || [ $total -ge 500 ] || fail "only $total kills"
ok "killed, $total times (COFFER_SEED=$SEED)"
