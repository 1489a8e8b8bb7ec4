#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A second SLIP-0039, of the specification alone: nothing of Coffer is used, so that it shows what foreign tools can do.

    slip39.py official VECTORS LIST          the official vectors: 15 that give their secret, 30 that are refused
    slip39.py secret LIST FILE...            shares in files, one each; prints the secret in hexadecimal
    slip39.py identity LIST FILE...          shares in files, one each; prints the secret as an age identity
The passphrase of both is read from SLIP39_PASSPHRASE. For tests only: its arithmetic takes no constant time.
"""
import hashlib
import hmac
import json
import os
import re
import sys

GEN = [0xE0E040, 0x1C1C080, 0x3838100, 0x7070200, 0xE0E0009, 0x1C0C2412, 0x38086C24, 0x3090FC48, 0x21B1F890, 0x3F3F120]
EXP, LOG = [0] * 255, [0] * 256
x = 1
for i in range(255):
    EXP[i], LOG[x] = x, i
    x = x ^ x << 1  # times 3, which generates the field
    if x > 255:
        x ^= 0x11B


class Refused(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Refused(what)


def polymod(values):
    chk = 1
    for v in values:
        b = chk >> 20
        chk = (chk & 0xFFFFF) << 10 ^ v
        for i in range(10):
            if b >> i & 1:
                chk ^= GEN[i]
    return chk


def read_share(text, words):
    """(common parameters, group index, (member threshold, member index, value))"""
    found = re.findall("[a-z]+", text.lower())
    by_prefix = {w[:4]: n for n, w in enumerate(words)}
    index = []
    for w in found:
        need(w in words or len(w) == 4 and w in by_prefix, "a word is not of the list")
        index.append(by_prefix[w[:4]])
    need(len(index) >= 20, "too short")
    bits = "".join(f"{n:010b}" for n in index)
    field = lambda at, n: int(bits[at : at + n], 2)
    extendable = field(15, 1)
    custom = b"shamir_extendable" if extendable else b"shamir"
    need(polymod(list(custom) + index) == 1, "checksum")
    value = bits[40:-30]
    pad = len(value) % 16
    need(pad <= 8 and "1" not in value[:pad], "padding")
    value = value[pad:]
    group_threshold, groups = field(24, 4) + 1, field(28, 4) + 1
    need(group_threshold <= groups, "group threshold above groups")
    common = (field(0, 15), extendable, field(16, 4), group_threshold, groups, len(value))
    member = (field(36, 4) + 1, field(32, 4), int(value, 2).to_bytes(len(value) // 8, "big"))
    return common, field(20, 4), member


def interpolate(points, at):
    """points: {x: bytes}"""
    n = len(next(iter(points.values())))
    if at in points:
        return points[at]
    out = bytearray(n)
    total = sum(LOG[x ^ at] for x in points)
    for x, y in points.items():
        basis = total - LOG[x ^ at] - sum(LOG[x ^ other] for other in points if other != x)
        for i in range(n):
            if y[i]:
                out[i] ^= EXP[(LOG[y[i]] + basis) % 255]
    return bytes(out)


def together(threshold, points):
    need(len(points) == threshold, "not exactly the threshold")
    if threshold == 1:
        return next(iter(points.values()))
    secret, digest = interpolate(points, 255), interpolate(points, 254)
    need(hmac.new(digest[4:], secret, "sha256").digest()[:4] == digest[:4], "digest")
    return secret


def decrypt(common, master, passphrase):
    ident, extendable, exponent = common[:3]
    salt = b"" if extendable else b"shamir" + ident.to_bytes(2, "big")
    half = len(master) // 2
    left, right = master[:half], master[half:]
    for i in reversed(range(4)):
        f = hashlib.pbkdf2_hmac("sha256", bytes([i]) + passphrase, salt + right, 2500 << exponent, half)
        left, right = right, bytes(a ^ b for a, b in zip(left, f))
    return right + left


def combine(texts, passphrase, words):
    shares = [read_share(t, words) for t in texts]
    need(len({s[0] for s in shares}) == 1, "shares of several sets")
    common = shares[0][0]
    groups = {}
    for _, group, member in shares:
        groups.setdefault(group, []).append(member)
    need(len(groups) == common[3], "not exactly as many groups as needed")
    parts = {}
    for group, members in groups.items():
        need(len({m[0] for m in members}) == 1, "several thresholds in a group")
        need(len({m[1] for m in members}) == len(members), "a member twice")
        parts[group] = together(members[0][0], {m[1]: m[2] for m in members})
    return decrypt(common, together(common[3], parts), passphrase)


def official(path, words):
    good = bad = 0
    for name, texts, secret, *_ in json.load(open(path)):
        try:
            got = combine(texts, b"TREZOR", words).hex()
        except Refused:
            got = ""
        if got != secret:
            sys.exit(f"official vector {name}: {got!r}")
        good, bad = good + (secret != ""), bad + (secret == "")
    if (good, bad) != (15, 30):
        sys.exit(f"{good} good and {bad} bad vectors: 15 and 30 were expected")


def bech32(prefix, data):
    """BIP-173, in upper case as age writes identities."""
    chars, gen = "qpzry9x8gf2tvdw0s3jn54khce6mua7l", [0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3]
    bits = "".join(f"{b:08b}" for b in data)
    five = [int(bits[i : i + 5].ljust(5, "0"), 2) for i in range(0, len(bits), 5)]

    def check(values):
        c = 1
        for v in values:
            top, c = c >> 25, (c & 0x1FFFFFF) << 5 ^ v
            for i in range(5):
                if top >> i & 1:
                    c ^= gen[i]
        return c

    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    c = check(expanded + five + [0] * 6) ^ 1
    return (prefix + "1" + "".join(chars[v] for v in five + [c >> 5 * (5 - i) & 31 for i in range(6)])).upper()


def main():
    action, *rest = sys.argv[1:]
    if action == "official":
        official(rest[0], open(rest[1]).read().split())
        return
    words = open(rest[0]).read().split()
    texts = [open(p).read() for p in rest[1:]]
    try:
        secret = combine(texts, os.environ.get("SLIP39_PASSPHRASE", "").encode(), words)
    except Refused as e:
        sys.exit(f"refused: {e}")
    print(secret.hex() if action == "secret" else bech32("age-secret-key-", secret))


main()
