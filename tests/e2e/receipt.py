#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""receipt.py STORE KEYFILE VAULTDIR BUILD REQUEST INODES [WORD=VALUE ...]: what the vault of VAULTDIR would sign of these
files (docs/vault-protocol.md 8), with the words as they are said here in the place of the true ones. As a line for
tests/unit/archive/plant where NAME=… is among the words, which is what the host calls that vault."""
import base64
import json
import re
import struct
import subprocess
import sys
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

store, key, vault, build, request, inodes = sys.argv[1:7]
said = dict(w.split("=", 1) for w in sys.argv[7:])
inodes = sorted(int(i) for i in inodes.split(","))
name = said.pop("NAME", None)
log = subprocess.run([build + "/tools/coffer", "log", store, "--key-file", key, "--json"], capture_output=True, text=True, check=True).stdout
ended = {f["object"]: f["sequence"] for f in map(json.loads, log.splitlines()) if f["type"] == "destroy"}
note = open(store + "/checkpoint").read().split("\n")
vkey = re.search(r"^vkey = (.*)$", open(vault + "/vault.conf").read(), re.M).group(1)
ranges = []
for i in inodes:
    if ranges and ranges[-1][0] + ranges[-1][1] == i:
        ranges[-1][1] += 1
    else:
        ranges.append([i, 1])
start = int(said.get("from", 0))
words = {"archive": re.search(r"^id = (.*)$", open(store + "/archive.conf").read(), re.M).group(1).replace("-", ""),
         "vault": vkey, "request": request, "size": note[1], "root": base64.b64decode(note[2]).hex(),
         "first": min(ended[i] for i in inodes if i in ended), "last": max(ended[i] for i in inodes if i in ended),
         "objects": " ".join("%d+%d" % tuple(r) for r in ranges), "from": start, "leaves": sum(start and i >= start for i in inodes),
         "frames": 1, "bytes": 1, "key": "file" if start else "none", "method": "zeros-read-back",
         "begun": "2026-11-26T12:00:00.000Z", "ended": "2026-11-26T12:00:01.000Z"}
words.update(said)
body = "coffer-vault-destroyed/1\n" + "".join(f"{k} {v}\n" for k, v in words.items())
seed = open(vault + "/key", "rb").read()[:32]
text = body + "signature " + base64.b64encode(Ed25519PrivateKey.from_private_bytes(seed).sign(body.encode())).decode() + "\n"
field = lambda tag, v: struct.pack("<BH", tag, len(v)) + v
if name is None:
    sys.stdout.write(text)
else:
    print("24 0", (field(221, name.encode()) + field(210, vkey.encode()) + field(112, bytes.fromhex(request)) + field(245, text.encode())).hex(), "-")
