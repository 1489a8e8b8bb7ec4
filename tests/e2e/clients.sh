#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Tools that have to work on an archive unchanged, for real: syslog-ng and auditd writing, logrotate, tar, rsync, cp --sparse,
# install -p; and those that have to fail clearly, without harm: logrotate's copytruncate, git, sqlite3. What is not installed,
# or cannot run here, is named and left out.
. "$(dirname "$0")/lib.sh"

make_store audit
mount_archive
d=$MNT/audit
have() { command -v "$1" > /dev/null && return; say "left out: $1 is not installed"; false; }
state() { getfattr --only-values -n user.coffer.state --absolute-names "$1"; }
at_least() { [ "$(cat "$1" 2> /dev/null | wc -l)" -ge "$2" ]; }

# syslog-ng's package conflicts with rsyslog's: unpacked beside the system, not installed.
private_syslog_ng() {
    local root=$W/syslog-ng
    mkdir -p "$root/packages"
    chmod 777 "$root/packages" # apt downloads under an account of its own
    (cd "$root/packages" && timeout 120 apt-get download syslog-ng-core libivykis0 libnet1 libpcre3 libwrap0) \
        > "$W/download.out" 2>&1 || return 1
    for package in "$root"/packages/*.deb; do dpkg-deb -x "$package" "$root"; done
    export SYSLOG_NG_LIBRARIES=$root/usr/lib/x86_64-linux-gnu:$root/usr/lib/syslog-ng
    syslog_ng=$root/usr/sbin/syslog-ng modules=$(dirname "$(find "$root" -name libaffile.so)")
    [ -x "$syslog_ng" ] && LD_LIBRARY_PATH=$SYSLOG_NG_LIBRARIES "$syslog_ng" --version > "$W/syslog-ng.version" 2>&1
}

try_syslog_ng() {
    local pid i total=5000 syslog_ng=syslog-ng modules='' options=(--no-caps)
    if ! command -v syslog-ng > /dev/null; then
        private_syslog_ng || { say "left out: syslog-ng is not installed and could not be unpacked"; return; }
        options+=("--module-path=$modules")
    fi
    cat > "$W/syslog-ng.conf" <<CONF
@version: 3.38
options { flush-lines(10); create-dirs(no); keep-hostname(yes); time-reopen(1); stats-freq(0); };
source s { unix-dgram("$W/syslog.sock"); };
destination f { file("$d/\${PROGRAM}.log" template("\$MSG\n") perm(0640)); };
log { source(s); destination(f); };
CONF
    LD_LIBRARY_PATH=${SYSLOG_NG_LIBRARIES:-} "$syslog_ng" -F "${options[@]}" -f "$W/syslog-ng.conf" -R "$W/syslog-ng.persist" -c "$W/syslog-ng.ctl" -p "$W/syslog-ng.pid" \
        > "$W/syslog-ng.out" 2>&1 &
    pid=$!
    child $pid
    await 20 "syslog-ng to listen" test -S "$W/syslog.sock"
    send() { python3 - "$W/syslog.sock" "$1" "$2" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.connect(sys.argv[1])
for i in range(int(sys.argv[2]), int(sys.argv[3])):
    s.send(b"<13>Nov 24 12:00:00 ng%d: entry %06d" % (i % 2, i))
PY
    }
    send 0 $((total / 2))
    await 30 "the first half" at_least "$d/ng0.log" $((total / 4))
    await 30 "the first half" at_least "$d/ng1.log" $((total / 4))
    for i in 0 1; do mv "$d/ng$i.log" "$d/ng$i.log.1"; done
    kill -HUP $pid
    send $((total / 2)) $total
    lines() { [ "$(cat "$d"/ng?.log* 2> /dev/null | wc -l)" -ge $total ]; }
    await 30 "all messages" lines
    cat "$d"/ng?.log* | grep -oE '[0-9]{6}$' | sort > "$W/got"
    seq -f %06g 0 $((total - 1)) | cmp - "$W/got" || fail "syslog-ng: messages lost or doubled"
    [ -e "$d/ng0.log" ] || fail "syslog-ng did not make a new file after SIGHUP"
    kill $pid
    wait $pid || true
    ok "syslog-ng: $total messages, with rotation by rename"
}

# Without the kernel's events: what it logs of connections is written in the same way.
try_auditd() {
    local pid port i
    if pid=$(cat /run/auditd.pid 2> /dev/null) && [ -d "/proc/$pid" ]; then say "left out: an auditd runs already"; return; fi
    port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
    mkdir -p "$W/audit.d/plugins.d"
    cat > "$W/audit.d/auditd.conf" <<CONF
local_events = no
write_logs = yes
log_file = $d/audit.log
log_group = root
log_format = RAW
flush = SYNC
max_log_file = 8
max_log_file_action = IGNORE
space_left = 2
space_left_action = IGNORE
admin_space_left = 1
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
use_libwrap = no
tcp_listen_port = $port
transport = TCP
distribute_network = no
plugin_dir = $W/audit.d/plugins.d
CONF
    chmod 640 "$W/audit.d/auditd.conf"
    auditd -n -c "$W/audit.d" > "$W/auditd.out" 2>&1 < /dev/null &
    pid=$!
    child $pid
    begun() { gone $pid || grep -q DAEMON_START "$d/audit.log"; }
    await 20 "auditd to begin" begun
    if gone $pid; then say "left out: auditd cannot run here: $(tail -n 1 "$W/auditd.out")"; return; fi
    for i in 1 2 3 4 5; do
        timeout 5 bash -c "exec 3<> /dev/tcp/127.0.0.1/$port" || fail "auditd does not listen"
        await 10 "connection $i in its log" at_least "$d/audit.log" $((2 * i))
    done
    kill $pid
    wait $pid || true
    rm -f /run/auditd.pid
    [ "$(grep -c '^type=DAEMON_ACCEPT' "$d/audit.log")" -ge 5 ] || fail "auditd: entries are missing"
    same "auditd's log grows" open "$(state "$d/audit.log")"
    ok "auditd: $(wc -l < "$d/audit.log") entries"
}

# What auditd does when it rotates by itself, call by call: the log is made read-only before it is renamed, which commits
# it. The first time that leaves a committed audit.log.1; the next time that one can no longer move, and auditd would stop
# logging. So max_log_file_action = IGNORE, and logrotate with dateext.
try_auditd_rotation() {
    python3 - "$d" <<'PY' || fail "auditd's rotation"
import errno, os, sys
name = sys.argv[1] + "/rotating.log"
def rename(old, new):
    try:
        os.rename(old, new)
        return 0
    except OSError as e:
        return e.errno
def rotate(last):
    fd = os.open(name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    os.write(fd, b"an entry\n")
    os.fchmod(fd, 0o440)
    try:
        os.fchown(fd, 0, 0)
    except OSError as e: # no error to auditd, a warning
        assert e.errno == errno.EPERM, e
    os.close(fd)
    errors = [rename("%s.%d" % (name, i), "%s.%d" % (name, i + 1)) for i in range(last, 0, -1)]
    return errors + [rename(name, name + ".1")]
first = rotate(0)
assert first == [0], "the first rotation: %s" % first
second = rotate(1)
assert second == [errno.EPERM, errno.EPERM], "the second rotation: %s" % second
assert open(name).read() == open(name + ".1").read() == "an entry\n"
PY
    same "auditd's own rotation commits" committed "$(state "$d/rotating.log.1")"
    ok "auditd's own rotation works once and then fails, without loss"
}

try_logrotate() {
    local sum
    mkdir "$d/rotated"
    rotate() { logrotate --state "$W/logrotate.state" "$W/logrotate.conf" > "$W/logrotate.out" 2>&1; }
    for i in 1 2 3; do
        echo "line $i" >> "$d/rotated/app.log"
        printf '%s {\n  size 1\n  rotate 100\n  create 0640 root root\n  dateext\n  dateformat -%%Y%%m%%d-%s\n  nocompress\n}\n' \
            "$d/rotated/app.log" "$i" > "$W/logrotate.conf"
        rotate || { cat "$W/logrotate.out"; fail "logrotate with create and dateext"; }
        same "the new file" 0 "$(stat -c %s "$d/rotated/app.log")"
    done
    same "the rotated ones" "line 1 line 2 line 3" "$(cat "$d/rotated"/app.log-* | tr '\n' ' ' | sed 's/ $//')"
    ok "logrotate: create, dateext"
    seq 100 > "$d/rotated/cut.log"
    sum=$(sha256sum < "$d/rotated/cut.log")
    printf '%s {\n  size 1\n  rotate 9\n  copytruncate\n}\n' "$d/rotated/cut.log" > "$W/logrotate.conf"
    if rotate; then fail "logrotate's copytruncate did not fail"; fi
    grep -qi "error" "$W/logrotate.out" || fail "copytruncate failed without a word"
    same "what copytruncate wanted to cut" "$sum" "$(sha256sum < "$d/rotated/cut.log")"
    ok "logrotate: copytruncate fails, and says so"
}

make_tree() {
    mkdir "$W/from" "$W/from/dir"
    for i in 1 2 3 4 5 6 7 8; do head -c $((i * 9973)) /dev/urandom > "$W/from/f$i"; done
    ln -s f1 "$W/from/link"
    echo deep > "$W/from/dir/deep"
    chmod 444 "$W/from/f3" "$W/from/dir/deep"
    chmod 640 "$W/from/f2"
    touch -d '2020-02-03 04:05:06' "$W/from"/f?
    truncate -s 2M "$W/from/sparse"
    echo end >> "$W/from/sparse"
}
equal_trees() { diff -r --no-dereference "$W/from" "$1" > "$W/diff" || { cat "$W/diff"; fail "$2"; }; }

try_copies() {
    mkdir "$d/tar"
    tar -C "$W/from" -c . | tar -C "$d/tar" -xp || fail "tar -x"
    equal_trees "$d/tar" "tar -x"
    same "tar: times" "$(stat -c %Y "$W/from/f1")" "$(stat -c %Y "$d/tar/f1")"
    same "tar: a read-only file is committed" committed "$(state "$d/tar/f3")"
    ok "tar"
    cp --sparse=always "$W/from/sparse" "$d/sparse"
    cmp "$W/from/sparse" "$d/sparse"
    cp --sparse=never "$W/from/sparse" "$d/dense"
    cmp "$W/from/sparse" "$d/dense"
    ok "cp --sparse"
    install -p -m 0644 "$W/from/f1" "$d/installed"
    install -p -m 0444 "$W/from/f1" "$d/installed-fixed"
    cmp "$W/from/f1" "$d/installed-fixed"
    same "install -p: times" "$(stat -c %Y "$W/from/f1")" "$(stat -c %Y "$d/installed-fixed")"
    same "install -m 0444" committed "$(state "$d/installed-fixed")"
    same "install -m 0644" open "$(state "$d/installed")"
    ok "install -p"
}

try_rsync() {
    local run
    for run in 1 2; do
        rsync -a --stats "$W/from/" "$d/rsync/" > "$W/rsync.out" 2>&1 || { cat "$W/rsync.out"; fail "rsync -a, run $run"; }
        equal_trees "$d/rsync" "rsync -a, run $run"
    done
    grep -q '^Number of regular files transferred: 0$' "$W/rsync.out" ||
        { cat "$W/rsync.out"; fail "the second rsync -a transferred something"; }
    same "a read-only file" committed "$(state "$d/rsync/f3")"
    same "no temporary names" "" "$(find "$d/rsync" -name '.*.??????')"
    # A temporary name that is committed and then cannot be renamed would be an orphan for years.
    rsync -rlp --chmod=F444 "$W/from/" "$d/rsync-p/" > "$W/rsync.out" 2>&1 || { cat "$W/rsync.out"; fail "rsync -p"; }
    same "no orphans of rsync -p" "" "$(find "$d/rsync-p" -name '.*.??????')"
    same "its files" "$(find "$W/from" -type f | wc -l)" "$(coffer find "$d/rsync-p" --state committed | wc -l)"
    ok "rsync -a twice, rsync -p"
}

try_git() {
    local code=0
    (cd "$d" && GIT_CONFIG_NOSYSTEM=1 HOME=$W git init -q repository) > "$W/git.out" 2>&1 || code=$?
    [ $code != 0 ] || fail "git init did not fail"
    grep -qE 'Operation not permitted|could not|cannot|unable' "$W/git.out" || fail "git says: $(cat "$W/git.out")"
    ok "git init fails clearly"
}

try_sqlite() {
    local code=0
    sqlite3 "$d/data.db" 'create table t (a); insert into t values (1); insert into t values (2);' > "$W/sqlite.out" 2>&1 || code=$?
    [ $code != 0 ] || fail "sqlite3 did not fail"
    grep -qiE 'error|disk|readonly' "$W/sqlite.out" || fail "sqlite3 says: $(cat "$W/sqlite.out")"
    ok "sqlite3 fails clearly: $(head -n 1 "$W/sqlite.out")"
}

make_tree
try_copies
if have rsync; then try_rsync; fi
if have logrotate; then try_logrotate; fi
if have git; then try_git; fi
if have sqlite3; then try_sqlite; fi
if have auditd; then try_auditd; fi
try_auditd_rotation
try_syslog_ng

say "everybody agrees"
(cd "$d" && find . -type f -print0 | sort -z | xargs -0 sha256sum) > "$W/sums"
umount_archive
verify_intact
mount_archive
(cd "$d" && sha256sum --quiet -c "$W/sums") || fail "other content after a remount"
umount_archive
