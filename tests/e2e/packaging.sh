#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What is installed for systemd: the user and directory are made in a root of their own, the example of a unit is judged by
# systemd, and an archive of that user's mounts with a daemon that is that user. About 3 s.
. "$(dirname "$0")/lib.sh"
command -v systemd-sysusers > /dev/null && command -v systemd-analyze > /dev/null || skip "systemd is not installed"

root=$W/root
mkdir -p "$root/etc"
DESTDIR=$root meson install -C "$BUILD" --no-rebuild --quiet > /dev/null
conf() { find "$root" -path "*/$1.d/coffer.conf"; }
[ -s "$(conf sysusers)" ] && [ -s "$(conf tmpfiles)" ] || fail "not installed"
systemd-sysusers --root="$root" "$(conf sysusers)" 2> /dev/null
grep -q "^coffer:.*:/var/lib/coffer:" "$root/etc/passwd" || fail "no user: $(cat "$root/etc/passwd")"
grep -q "^tss:.*coffer" "$root/etc/group" || fail "not in the TPM's group: $(cat "$root/etc/group")"
systemd-tmpfiles --root="$root" --create "$(conf tmpfiles)"
same "the directory" "700 $(sed -n 's/^coffer:[^:]*:\([0-9]*\):.*/\1/p' "$root/etc/passwd")" "$(stat -c '%a %u' "$root/var/lib/coffer")"
cmp "$(find "$root" -name verify.html)" "$TOP/tools/evidence/verify.html" || fail "the page for evidence is not installed"
ok "user and directory"

unit=$(find "$root" -name archive.mount)
[ -s "$unit" ] || fail "the unit is not installed"
cp "$unit" "$W/archive.mount"
systemd-analyze verify --man=no "$W/archive.mount" > "$W/out" 2>&1 || { cat "$W/out"; fail "the unit"; }
if grep "archive.mount" "$W/out"; then fail "systemd says something of the unit"; fi
for line in Type=coffer After=dev-tpmrm0.device; do grep -qx "$line" "$unit" || fail "no $line"; done
for unit in coffer-vault-look@.service coffer-vault-look@.timer; do
    cp "$(find "$root" -name $unit)" "$W/${unit/@/@srv-vault}" || fail "$unit is not installed"
done
sed -i "s,^ExecStart=coffer-vault,ExecStart=$BUILD/tools/coffer-vault," "$W/coffer-vault-look@srv-vault.service"
systemd-analyze verify --man=no "$W/coffer-vault-look@srv-vault.timer" "$W/coffer-vault-look@srv-vault.service" > "$W/out" 2>&1 || { cat "$W/out"; fail "the units of a vault"; }
if grep "coffer-vault" "$W/out"; then fail "systemd says something of the units of a vault"; fi
ok "the units"

(umask 077; head -c 32 /dev/urandom > "$KEY")
chmod 755 "$W"
coffer init "$STORE" --owner nobody --shelf audit --key-file "$KEY" > /dev/null
mount.coffer "$STORE" "$MNT" -o "key-file=$KEY"
same "who the daemon is" "$(id -u nobody)" "$(awk '/^Uid:/ {print $2}' "/proc/$(daemon_pid)/status")"
umount_archive
ok "a daemon of the archive's owner"
