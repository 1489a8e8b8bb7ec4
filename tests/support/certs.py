#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes certificates, CRLs and requests for tests: certs.py DIR [NAME ...], all of them or those named.

Dates are fixed, keys are new each time. What the module refuses to make, openssl makes.
"""
import datetime
import os
import subprocess
import sys

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER


def utc(*a):
    return datetime.datetime(*a)


def name(cn, kind=None):
    cn = x509.NameAttribute(NameOID.COMMON_NAME, cn, *([kind] if kind else []))
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Made"), cn])


CA_KEY = ec.generate_private_key(ec.SECP256R1())
CA_NAME = name("test ca")


def certificate(subject, until, since=utc(2020, 1, 1), serial=4711, key=None, ca=False, issuer=CA_NAME):
    key = key or CA_KEY
    own = issuer == subject
    return (x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(key.public_key())
            .serial_number(serial).not_valid_before(since).not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(key if own else CA_KEY, None if own and isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()))


def crl(this, next_, number, serials=(1, 2)):
    b = (x509.CertificateRevocationListBuilder().issuer_name(CA_NAME).last_update(this).next_update(next_))
    if number is not None:
        b = b.add_extension(x509.CRLNumber(number), critical=False)
    for s in serials:
        b = b.add_revoked_certificate(x509.RevokedCertificateBuilder().serial_number(s).revocation_date(this).build())
    return b.sign(CA_KEY, hashes.SHA256())


def put(where, data):
    with open(where, "wb") as f:
        f.write(data)


def openssl(*args):
    subprocess.run(["openssl", *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def by_openssl(where, subject, *more):
    openssl("req", "-x509", "-nodes", "-keyout", where + ".key", "-out", where, "-days", "30", "-subj", subject, *more)


EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def bundle(where):
    a = certificate(name("first"), utc(2031, 1, 1), serial=1).public_bytes(PEM)
    b = certificate(name("second"), utc(2035, 6, 7, 8, 9, 10), serial=2).public_bytes(PEM)
    key = CA_KEY.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    put(where, b"subject=first\r\n\r\n" + a + b"some text between -----BEGIN CERTIFICATE----- them\n" + key + b +
        crl(utc(2026, 1, 1), utc(2026, 1, 2), 77).public_bytes(PEM) + b"and behind")


def one(d, what):
    where = os.path.join(d, what)
    base = what.split(".")[0]
    enc = DER if what.endswith(".der") else PEM
    dates = {"d2049": utc(2049, 12, 31, 23, 59, 59), "d2050": utc(2050, 1, 1), "d2300": utc(2300, 1, 1),
             "d9998": utc(9998, 1, 1), "d9999": utc(9999, 12, 31, 23, 59, 59), "d1969": utc(1969, 12, 31)}
    if base in dates:
        since = utc(1960, 1, 1) if base == "d1969" else utc(2020, 1, 1)
        put(where, certificate(name(base), dates[base], since).public_bytes(enc))
    elif base == "ecdsa":
        put(where, certificate(name("ecdsa"), utc(2030, 1, 2, 3, 4, 5), serial=0x4a11).public_bytes(enc))
    elif base == "high": # its DER begins with a zero
        put(where, certificate(name("high"), utc(2030, 1, 2), serial=0xf00d).public_bytes(enc))
    elif base == "old": # issued for longer than any other, and not the one that ends last
        put(where, certificate(name("old"), utc(2045, 1, 1), utc(1990, 1, 1)).public_bytes(enc))
    elif base == "template": # of many-certs.c
        put(where, certificate(name("user-0000000"), utc(2030, 1, 1), serial=0x7e7e7e7e7e7e7e7e).public_bytes(enc))
    elif base == "rsa":
        put(where, certificate(name("rsa"), utc(2030, 1, 2), key=rsa.generate_private_key(65537, 2048)).public_bytes(enc))
    elif base == "ed25519":
        n = name("ed25519")
        put(where, certificate(n, utc(2030, 1, 2), key=ed25519.Ed25519PrivateKey.generate(), issuer=n).public_bytes(enc))
    elif base == "ca":
        put(where, certificate(CA_NAME, utc(2040, 1, 1), serial=9, ca=True).public_bytes(enc))
    elif base == "sub":
        put(where, certificate(name("sub ca"), utc(2034, 1, 1), serial=10, ca=True).public_bytes(enc))
    elif base == "utf8":
        put(where, certificate(name("\u017b\u00f3\u0142w \u9df2"), utc(2030, 1, 2)).public_bytes(enc))
    elif base == "teletex":
        put(where, certificate(name("tele tex", _ASN1Type.T61String), utc(2030, 1, 2)).public_bytes(enc))
    elif base == "nameless":
        put(where, certificate(x509.Name([]), utc(2030, 1, 2)).public_bytes(enc))
    elif base == "crl":
        put(where, crl(utc(2026, 1, 1), utc(2026, 1, 2, 12), 0x1234).public_bytes(enc))
    elif base == "request":
        put(where, x509.CertificateSigningRequestBuilder().subject_name(name("asks"))
            .sign(CA_KEY, hashes.SHA256()).public_bytes(enc))
    elif base == "chain":
        put(where, pkcs7.serialize_certificates(
            [certificate(name("leaf"), utc(2028, 1, 1), serial=21), certificate(CA_NAME, utc(2040, 1, 1), serial=9, ca=True)], enc))
    elif base == "bare":
        put(where, crl(utc(2026, 1, 1), utc(2026, 1, 2), None).public_bytes(enc))
    elif base.startswith("crl-"): # of that day of January 2026, for a day and a half
        day = int(base[4:])
        put(where, crl(utc(2026, 1, day), utc(2026, 1, day + 1, 12), 0x1234 + day).public_bytes(enc))
    elif base == "crls": # a chain of a CRL and a certificate
        put(where + ".1", crl(utc(2026, 1, 1), utc(2026, 1, 3), 5).public_bytes(PEM))
        put(where + ".2", certificate(name("test cb"), utc(2025, 1, 1), serial=3).public_bytes(PEM))
        openssl("crl2pkcs7", "-in", where + ".1", "-certfile", where + ".2", "-out", where)
    elif base == "bundle":
        bundle(where)
    elif base == "pss":
        by_openssl(where, "/CN=pss", "-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss")
    elif base == "negative":
        by_openssl(where, "/CN=negative", *EC, "-set_serial", "-5")
    elif base == "long":
        by_openssl(where, "/CN=long", *EC, "-set_serial", "0x" + "7f" * 64)
    elif base == "longer":
        by_openssl(where, "/CN=longer", *EC, "-set_serial", "0x" + "7f" * 65)
    else:
        sys.exit(f"certs.py: no {what}")


ALL = ["ecdsa.pem", "ecdsa.der", "rsa.pem", "ed25519.pem", "pss.pem", "ca.pem", "sub.pem", "d2049.pem", "d2050.der",
       "d2300.pem", "d9998.pem", "d9999.der", "d1969.pem", "utf8.pem", "teletex.pem", "nameless.pem", "crl.pem", "crl.der",
       "request.pem", "request.der", "chain.pem", "chain.der", "bare.pem", "crls.pem",
       "bundle.pem", "negative.pem", "long.pem", "longer.pem"]


def main():
    d = sys.argv[1]
    os.makedirs(d, exist_ok=True)
    for what in sys.argv[2:] or ALL:
        one(d, what)


if __name__ == "__main__":
    main()
