#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs what Coffer is built from on Debian 12, and with --tests what its tests use besides.
# Needs root. Does nothing where all of it is there already.
set -euo pipefail

build="gcc libc6-dev meson ninja-build pkg-config scdoc
	libfuse3-dev fuse3 libgcrypt20-dev libgpg-error-dev libtss2-dev liburing-dev libsqlite3-dev
	libjson-c-dev libinih-dev libseccomp-dev libcap-ng-dev libgnutls28-dev libtasn1-6-dev libcurl4-openssl-dev libexpat1-dev libpcre2-dev
	libqrencode-dev libarchive-dev
	e2fsprogs mount util-linux rsyslog bsdutils"
tests="ccache check libsubunit-dev clang-19 libclang-rt-19-dev python3 python3-cryptography attr acl
	rsync tar procps strace git openssl auditd logrotate sqlite3 nbdkit libnbd-bin qemu-utils valgrind patch btrfs-progs
	age swtpm swtpm-tools tpm2-tools gnupg openssh-client ceph-mon ceph-osd radosgw
	nodejs weasyprint fonts-wqy-zenhei fonts-dejavu-core poppler-utils zbar-tools"

wanted=$build
case "${1:-}" in
'') ;;
--tests) wanted="$build $tests" ;;
*) echo "install-deps: unknown option $1; the only one is --tests" >&2; exit 2 ;;
esac

missing=
for p in $wanted; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || missing="$missing $p"
done
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "install-deps: these packages are missing, and installing them needs root:$missing" >&2
    exit 1
fi
export DEBIAN_FRONTEND=noninteractive
echo "Installing:$missing"
apt-get update -qq
# shellcheck disable=SC2086
apt-get install -y -qq --no-install-recommends $missing > /dev/null
