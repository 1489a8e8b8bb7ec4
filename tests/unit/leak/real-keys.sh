#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Keys as the programs make them: openssl, ssh-keygen, age-keygen and gpg write, leak-find has to see them.
#   real-keys.sh LEAK-FIND      about 2 seconds
set -euo pipefail
find=$(realpath "$1")
dir=$(mktemp -d)
trap 'GNUPGHOME=$dir/gnupg gpgconf --kill all 2> /dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"

# expect KIND FILE: one secret of this kind, from the first byte of the file's key, in pieces of 100 and of 5000 bytes
expect() {
    local piece got
    for piece in 100 5000; do
        { echo "2026-11-25T01:02:03Z node7 app: follows"; cat "$2"; echo; echo "2026-11-25T01:02:04Z more"; } > text
        got=$("$find" $piece < text | cut -d' ' -f1 | sort -u)
        [ "$got" = "$1" ] || { echo "$2 in pieces of $piece: '$got' instead of '$1'" >&2; exit 1; }
    done
}

openssl genpkey -quiet -algorithm ed25519 -out ed25519 2> /dev/null || openssl genpkey -algorithm ed25519 -out ed25519
openssl genpkey -algorithm rsa -pkeyopt rsa_keygen_bits:2048 -out rsa 2> /dev/null
openssl rsa -in rsa -traditional -out pkcs1 2> /dev/null
openssl rsa -in rsa -traditional -aes128 -passout pass:x -out pkcs1-locked 2> /dev/null
openssl pkcs8 -topk8 -in rsa -passout pass:x -out pkcs8-locked
openssl ecparam -name prime256v1 -genkey -noout -out ec
openssl ecparam -name secp256k1 -genkey -noout -out ec-koblitz
for f in ed25519 rsa pkcs1 ec ec-koblitz; do expect pem $f; done
expect pem-encrypted pkcs1-locked
expect pem-encrypted pkcs8-locked

openssl pkey -in ed25519 -outform der -out ed25519.der
openssl pkcs8 -topk8 -nocrypt -in rsa -outform der -out rsa.der
openssl rsa -in rsa -traditional -outform der -out pkcs1.der 2> /dev/null
openssl ec -in ec -outform der -out ec.der 2> /dev/null
for f in ed25519 rsa pkcs1 ec; do expect der $f.der; done

ssh-keygen -q -t ed25519 -N '' -f ssh
ssh-keygen -q -t rsa -b 2048 -N secret -f ssh-locked
expect openssh ssh
expect openssh ssh-locked
expect '' ssh.pub

age-keygen -o age 2> /dev/null
expect age age

# public halves, certificates and requests are no leak
openssl pkey -in rsa -pubout -out public
openssl req -x509 -key rsa -subj /CN=x -days 1 -out certificate
openssl req -new -key ec -subj /CN=x -out request
openssl x509 -in certificate -outform der -out certificate.der
for f in public certificate request certificate.der; do expect '' $f; done

if command -v gpg > /dev/null; then
    mkdir -m 700 gnupg
    export GNUPGHOME=$dir/gnupg
    gpg -q --batch --pinentry-mode loopback --passphrase '' --quick-generate-key x@example.com ed25519 sign never 2> /dev/null
    gpg -q --batch --pinentry-mode loopback --passphrase '' --armor --export-secret-keys > pgp
    gpg -q --armor --export > pgp-public
    expect pgp pgp
    expect '' pgp-public
fi
echo "all found"
