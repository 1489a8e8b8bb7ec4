#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A hardware key in software: sk-ssh-ed25519@openssh.com with user verification.

    sk-sign.py KEY.pem PURPOSE FILE    signs FILE to FILE.sig; makes KEY.pem, and KEY.pem.pub, if it is not there
"""
import base64
import hashlib
import os
import struct
import subprocess
import sys

PRESENT_AND_VERIFIED = 5


def string(b):
    return struct.pack(">I", len(b)) + b


def openssl(*args):
    return subprocess.run(["openssl", *args], check=True, capture_output=True).stdout


pem = sys.argv[1]
if not os.path.exists(pem):
    openssl("genpkey", "-algorithm", "ed25519", "-out", pem)
kind, application = b"sk-ssh-ed25519@openssh.com", b"ssh:"
public = openssl("pkey", "-in", pem, "-pubout", "-outform", "DER")[-32:]
blob = string(kind) + string(public) + string(application)
with open(pem + ".pub", "w") as f:
    f.write(kind.decode() + " " + base64.b64encode(blob).decode() + "\n")
if len(sys.argv) == 4:
    purpose, name = sys.argv[2].encode(), sys.argv[3]
    with open(name, "rb") as f:
        digest = hashlib.sha512(f.read()).digest()
    body = string(purpose) + string(b"") + string(b"sha512")
    flags = bytes([PRESENT_AND_VERIFIED]) + struct.pack(">I", 1)
    data = hashlib.sha256(application).digest() + flags + hashlib.sha256(b"SSHSIG" + body + string(digest)).digest()
    with open(name + ".data", "wb") as f:
        f.write(data)
    raw = openssl("pkeyutl", "-sign", "-inkey", pem, "-rawin", "-in", name + ".data")
    os.unlink(name + ".data")
    out = b"SSHSIG" + struct.pack(">I", 1) + string(blob) + body + string(string(kind) + string(raw) + flags)
    text = base64.b64encode(out).decode()
    with open(name + ".sig", "w") as f:
        f.write("-----BEGIN SSH SIGNATURE-----\n" + "\n".join(text[i:i + 70] for i in range(0, len(text), 70)) +
                "\n-----END SSH SIGNATURE-----\n")
