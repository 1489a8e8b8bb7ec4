#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# A time-stamping authority for tests, made of openssl's.
#   tsa.sh make DIR                      its certificates: ca.pem, tsa.pem, other-ca.pem, plain.pem (not for stamping), short.pem
#   tsa.sh answer DIR QUERY ANSWER [precise]   what it answers to a query; precise: to the millisecond
#   tsa.sh sign DIR NAME CONTENT TOKEN [MD]   a token with any content, signed by NAME (tsa, plain, short)
set -euo pipefail
what=$1 dir=$2

certificate() { # NAME EXTENSIONS ISSUER [KEY]: an EC key (or another) and a certificate for ten years
    openssl req -new -newkey ${4:-ec -pkeyopt ec_paramgen_curve:P-256} -nodes -keyout "$dir/$1.key" -subj "/O=Test/CN=$1" \
        -out "$dir/$1.csr" 2> /dev/null
    if [ "$1" = "$3" ]; then
        openssl x509 -req -in "$dir/$1.csr" -signkey "$dir/$1.key" -days 3650 -extfile "$dir/config" -extensions "$2" \
            -out "$dir/$1.pem" 2> /dev/null
    else
        openssl x509 -req -in "$dir/$1.csr" -CA "$dir/$3.pem" -CAkey "$dir/$3.key" -CAcreateserial -days 3650 \
            -extfile "$dir/config" -extensions "$2" -out "$dir/$1.pem" 2> /dev/null
    fi
}

case $what in
make)
    mkdir -p "$dir"
    cat > "$dir/config" <<END
[ca]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
[stamping]
basicConstraints = CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,timeStamping
[plain]
basicConstraints = CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = critical,codeSigning
[tsa]
default_tsa = authority
[authority]
serial = $dir/serial
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha384
accuracy = secs:1, millisecs:250
ess_cert_id_chain = no
ess_cert_id_alg = sha256
[precise]
serial = $dir/serial
signer_cert = $dir/tsa.pem
signer_key = $dir/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = millisecs:1
clock_precision_digits = 3
ess_cert_id_alg = sha256
END
    echo 01 > "$dir/serial"
    certificate ca ca ca
    certificate other-ca ca other-ca
    certificate tsa stamping ca
    certificate plain plain ca
    certificate short stamping ca rsa:1024
    ;;
answer)
    openssl ts -reply -config "$dir/config" -section "${5:-authority}" -queryfile "$3" -out "$4" 2> /dev/null
    ;;
sign)
    openssl cms -sign -nodetach -binary -outform DER -econtent_type 1.2.840.113549.1.9.16.1.4 -cades -md "${6:-sha256}" \
        -signer "$dir/$3.pem" -inkey "$dir/$3.key" -in "$4" -out "$5" 2> /dev/null
    ;;
*) exit 2 ;;
esac
