#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a bare Debian 12 (as root) to a running archive with rsyslog writing into it.
#   tools/quickstart.sh            installs, builds, makes the archive, shows what it does, leaves it running
#   tools/quickstart.sh --stop     ends it (the archive stays)
#   tools/quickstart.sh --purge    ends it and removes the archive and its keys
set -euo pipefail
cd "$(dirname "$0")/.."

base=${COFFER_DEMO:-/var/lib/coffer-demo}
store=$base/store key=$base/key auditor=$base/auditor-secret conf=$base/rsyslog.conf
pidfile=$base/rsyslogd.pid mnt=${COFFER_DEMO_MNT:-/mnt/coffer-demo}
build=${COFFER_BUILD:-build}

say() { printf '\n== %s\n' "$*"; }
die() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }
show() { printf '$ %s\n' "$*"; "$@"; }
# Runs a command that has to be refused, and shows how.
refused() {
    printf '$ %s\n' "$*"
    if "$@" 2>&1; then die "this was not refused: $*"; fi
}
# Waits for a condition, at most 30 seconds.
await() {
    local what=$1 end=$((SECONDS + 30))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || die "waited 30 s for $what"
        read -rt 0.05 <> <(:) || true
    done
}
stop() {
    local pid=
    [ ! -s "$pidfile" ] || pid=$(cat "$pidfile") # it removes the file when it ends
    if [ -n "$pid" ] && kill -0 "$pid" 2>/dev/null; then
        kill "$pid"
        await "rsyslogd to end" sh -c "! kill -0 $pid"
        echo "rsyslogd stopped"
    fi
    rm -f "$pidfile"
    if mountpoint -q "$mnt"; then
        umount "$mnt"
        echo "$mnt unmounted; the archive stays in $store"
    fi
}

[ "$(id -u)" = 0 ] || die "needs root (it installs packages and mounts)"
case "${1:-}" in
'') ;;
--stop) stop; exit ;;
--purge)
    stop
    if [ -d "$mnt" ]; then chattr -i "$mnt" 2>/dev/null || true; rmdir "$mnt"; fi
    [ ! -e "$base" ] || rm -r "$base"
    echo "$base removed"
    exit ;;
*) die "unknown option $1; options are --stop and --purge" ;;
esac
! mountpoint -q "$mnt" || die "$mnt is mounted already; end it with: tools/quickstart.sh --stop"

say "Packages, build, installation"
tools/install-deps.sh
[ -d "$build" ] || meson setup "$build" --prefix=/usr -Dtests=false >/dev/null
ninja -C "$build" | tail -n 1
meson install -C "$build" --quiet --no-rebuild
coffer version

mkdir -p "$base" "$mnt"
chmod 700 "$base"
if [ -e "$store/archive.conf" ]; then
    say "The archive in $store is used again"
else
    say "An archive with two shelves"
    show coffer init "$store" --shelf audit --shelf certificates --new-key-file "$key" --auditor-secret "$auditor"
fi

say "Mounting it"
show mount -t coffer "$store" "$mnt" -o "key-file=$key"

say "A private rsyslog whose files lie on it"
cat > "$conf" <<CONF
module(load="imuxsock" SysSock.Use="off")
module(load="imtcp")
input(type="imuxsock" Socket="$base/log.sock" CreatePath="on")
input(type="imtcp" Address="127.0.0.1" Port="0" ListenPortFileName="$base/port")
template(name="perprogram" type="string" string="$mnt/audit/%PROGRAMNAME%.log")
*.* action(type="omfile" dynaFile="perprogram" fileCreateMode="0640")
CONF
rm -f "$base/port" "$base/log.sock"
rsyslogd -f "$conf" -i "$pidfile"
await "rsyslogd to listen" test -s "$base/port" -a -S "$base/log.sock"
port=$(cat "$base/port")
echo "rsyslogd $(cat "$pidfile") listens on $base/log.sock and 127.0.0.1:$port"

say "Real messages: this machine's own package log over the socket, a thousand over TCP"
lines=$(tail -n 500 /var/log/dpkg.log 2>/dev/null | sed '/^$/d' || true)
[ -n "$lines" ] || lines=$(getent passwd)
n=$(printf '%s\n' "$lines" | wc -l)
have() { { cat "$mnt/audit/$1.log" 2>/dev/null || true; } | wc -l; }
dpkg0=$(have dpkg) app0=$(have app)
printf '%s\n' "$lines" | logger -u "$base/log.sock" -t dpkg
seq -f 'order %g accepted' 1000 | logger -T -n 127.0.0.1 -P "$port" -t app --octet-count
arrived() { [ "$(have dpkg)" -ge $((dpkg0 + n)) ] && [ "$(have app)" -ge $((app0 + 1000)) ]; }
await "$n and 1000 messages" arrived
show ls -l "$mnt/audit"
show tail -n 2 "$mnt/audit/app.log"

say "What root cannot do"
refused rm -f "$mnt/audit/app.log"
refused truncate -s 0 "$mnt/audit/app.log"
refused dd if=/dev/zero of="$mnt/audit/app.log" bs=16 count=1 conv=notrunc status=none
echo forged > "$base/forged"
refused mv -f "$base/forged" "$mnt/audit/app.log"
rm -f "$base/forged"

say "What is on record of that"
show coffer log "$store" --events | tail -n 6

say "Who wrote what"
show coffer blame "$mnt/audit/app.log" | tail -n 3

say "Is it all there, unaltered?"
show coffer verify "$store" --auditor-secret "$auditor"
show coffer status "$store"

cat <<END

It keeps running. Send it something:   logger -u $base/log.sock -t me "hello"
Read it:                               cat $mnt/audit/me.log
End it:                                tools/quickstart.sh --stop
END
