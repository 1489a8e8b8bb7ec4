#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks a store's newest checkpoint against its tiles with a C2SP verifier key, as any tool that speaks RFC 6962 and C2SP
signed notes would: no part of it knows Coffer. Usage: checkpoint_check.py STORE VKEY"""
import base64, hashlib, sys
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def die(text):
    sys.exit("checkpoint_check: " + text)


def open_note(data, vkey):
    name, key_id, key = vkey.split("+", 2)
    key = base64.b64decode(key, validate=True)
    if key[0] != 1 or len(key) != 33:
        die("not an Ed25519 verifier key")
    if hashlib.sha256(name.encode() + b"\n" + key).digest()[:4].hex() != key_id:
        die("the verifier key's id is not that of its key")
    text, separator, signatures = data.partition("\n\n")
    if not separator:
        die("no signatures")
    text += "\n"
    for line in signatures.splitlines():
        dash, signer, blob = line.split(" ")
        blob = base64.b64decode(blob, validate=True)
        if dash == "\u2014" and signer == name and blob[:4].hex() == key_id:
            try:
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(blob[4:], text.encode())
            except InvalidSignature:
                die("the signature is wrong")
            return text
    die("not signed by this key")


def root(leaves):
    """RFC 6962 2.1, by adding leaf after leaf to a stack of complete subtrees."""
    stack = []
    for leaf in leaves:
        size = 1
        while stack and stack[-1][0] == size:
            leaf = hashlib.sha256(b"\x01" + stack.pop()[1] + leaf).digest()
            size *= 2
        stack.append((size, leaf))
    if not stack:
        return hashlib.sha256(b"").digest()
    value = stack.pop()[1]
    while stack:
        value = hashlib.sha256(b"\x01" + stack.pop()[1] + value).digest()
    return value


def main():
    store, vkey = sys.argv[1:]
    with open(store + "/checkpoint", encoding="utf-8", newline="") as f:
        origin, size, want, *_ = open_note(f.read(), vkey).split("\n")
    if origin != vkey.split("+")[0]:
        die("the origin is not the key's name")
    size = int(size)
    with open(store + "/tile/0", "rb") as f:
        tiles = f.read(32 * size)
    if len(tiles) != 32 * size:
        die("tile/0 holds %d leaves, the checkpoint covers %d" % (len(tiles) // 32, size))
    got = root(tiles[i:i + 32] for i in range(0, 32 * size, 32))
    if got != base64.b64decode(want, validate=True):
        die("the tree's root is not the one that was signed")
    print("%d leaves, signed by %s" % (size, origin))


main()
