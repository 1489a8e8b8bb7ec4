#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The daemon killed with SIGKILL (and before that sometimes stopped, or stopped and continued) while 8 writers write to one file and 16 to
# their own, 8 rounds (3 over io_uring, 100 in the long run): nothing
# acknowledged is missing after the remount, the recovery is on record, verify says intact.
. "$(dirname "$0")/lib.sh"

rounds=8
[ -z "$TRANSPORT" ] || rounds=3
[ -z "$LONG" ] || rounds=100
make_store audit -- --segment-size 4194304

written() { # written ACKS N: whether that many lines were acknowledged in all
    python3 - "$1" "$2" <<'PY'
import struct, sys
data = open(sys.argv[1], "rb").read()[:256 * 8]
sys.exit(sum(struct.unpack("<%dQ" % (len(data) // 8), data)) < int(sys.argv[2]))
PY
}

state_of() { grep -q "^State:.$2" "/proc/$1/status"; }
stop_daemon() {
    kill -STOP "$(daemon_pid)"
    await 20 "the daemon to stop" state_of "$(daemon_pid)" T
}

files=0
for round in $(seq "$rounds"); do
    mount_archive
    a=$MNT/audit/r$round-one b=$MNT/audit/r$round-own
    mkdir "$a" "$b"
    stress write "$W/acks-one" "$a" 8 1 0 50 &
    one=$!
    child $one
    stress write "$W/acks-own" "$b" 16 0 0 4 &
    own=$!
    child $own
    # The place of the kill moves with the round.
    await 60 "lines to be written" written "$W/acks-one" $((200 + round * 37))
    await 60 "lines to be written" written "$W/acks-own" $((100 + round * 53))
    case $((round % 3)) in
    1) stop_daemon; kill -CONT "$(daemon_pid)"; await 60 "more lines" written "$W/acks-one" $((300 + round * 37)) ;;
    2) stop_daemon ;;
    esac
    kill_daemon
    code=0; wait $one || code=$?
    same "the writers to one file saw an error" 3 $code
    code=0; wait $own || code=$?
    same "the writers to own files saw an error" 3 $code
    mount_archive # clears the stale mount by itself
    stress check "$W/acks-one" "$a" 8 1
    stress check "$W/acks-own" "$b" 16 0
    # A writer of which nothing was acknowledged may not have made its file yet.
    files=$((files + $(find "$a" "$b" -type f | wc -l)))
    umount_archive
    verify_intact
done
same "recoveries on record" "$rounds" "$(coffer log "$STORE" --key-file "$KEY" --json |
    jsonl 'sum(1 for e in j if e["type"] == "recovery")')"
second_reader --list > "$W/list"
same "files the second reader sees" "$files" "$(grep -c '/f[0-9]*$' "$W/list")"
say "$rounds rounds"
