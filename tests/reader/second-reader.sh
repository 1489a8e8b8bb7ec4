#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A store made by the program is read by the second reader, which must find what was written; and not
# when anything in it is altered.
set -euo pipefail
make_store=$1 reader=$2
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
python=/usr/bin/python3
"$python" -c 'import cryptography' 2> /dev/null || python=python3
"$python" -c 'import cryptography' 2> /dev/null || { echo "skipped: no python3-cryptography"; exit 77; }
read_store() { "$python" "$reader" "$1" --key-file "$W/key" --auditor-secret "$W/auditor" "${@:2}"; }
fail() { echo "$*"; exit 1; }

"$make_store" "$W" "${COF_LINES:-3000}"
read_store "$W/store"
read_store "$W/store" --list > "$W/list"
while IFS= read -r line; do
    grep -qxF -- "$line" "$W/list" || fail "not found: $line"
done < "$W/expected"
# Files beside those expected: the one with strange bytes in its name.
[ "$(grep -c '^[0-9a-f]\{64\} ' "$W/list")" = "$(($(wc -l < "$W/expected") + 1))" ] || fail "other files than expected"
read_store "$W/store" --cat keys/large | sha256sum | grep -q "$(awk '/keys\/large/ {print $1}' "$W/expected")" || fail "--cat"
"$python" "$reader" "$W/store" --checkpoint-only
read_store "$W/store" --search-keys

# Every file of the format: a flipped bit is seen.
for f in archive.conf checkpoint keys/top keys/epoch seal/file-* tile/0 log/00000000.seg log/00000001.seg; do
    f=$(cd "$W/store" && echo $f)
    cp -r "$W/store" "$W/bad"
    "$python" - "$W/bad/$f" <<'PY'
import sys
with open(sys.argv[1], "r+b") as f:
    n = len(f.read().rstrip(b"\0"))
    f.seek(n // 2)
    b = f.read(1)[0]
    f.seek(n // 2)
    f.write(bytes([b ^ 4]))
PY
    if read_store "$W/bad" > /dev/null 2> "$W/said"; then fail "$f: altered, and not seen"; fi
    grep -q '^second_reader: ..' "$W/said" || { cat "$W/said"; fail "$f: no sentence"; }
    echo "$f: $(cut -c1-100 "$W/said")"
    rm -r "$W/bad"
done
# A log that ends early: in a frame, in front of one, without its last segment.
last=$(cd "$W/store/log" && ls | tail -1)
for how in frame zeros segment; do
    cp -r "$W/store" "$W/bad"
    "$python" - "$W/bad/log/$last" $how <<'PY'
import os, sys
path, how = sys.argv[1:]
if how == "segment":
    os.remove(path)
else:
    data = open(path, "rb").read()
    end = len(data.rstrip(b"\0")) - 200
    # Cut inside the last frame; or all of the segment's frames gone but the first kilobyte's.
    end = end if how == "frame" else data.index(b"COFR", 1024)
    open(path, "wb").write(data[:end] + bytes(len(data) - end))
PY
    if read_store "$W/bad" > /dev/null 2> "$W/said"; then fail "cut ($how): not seen"; fi
    echo "cut ($how): $(cut -c1-100 "$W/said")"
    rm -r "$W/bad"
done
# Another's key, another's auditor.
head -c 48 /dev/urandom > "$W/other"
if "$python" "$reader" "$W/store" --key-file "$W/other" > /dev/null 2>&1; then fail "opened with another key"; fi
awk '{print $1, $2, substr($3, 3) "ab"}' "$W/auditor" > "$W/other"
if "$python" "$reader" "$W/store" --key-file "$W/key" --auditor-secret "$W/other" > /dev/null 2> "$W/said"; then
    fail "another's auditor secret"
fi
grep -q "seal tag" "$W/said" || fail "another's auditor secret: $(cat "$W/said")"
echo "second reader: all found, all alterations seen"
