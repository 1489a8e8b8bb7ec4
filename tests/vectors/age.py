#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The cases of C2SP/CCTV's age test vectors that apply here (X25519, header, HMAC, payload), made anew by other code than
Coffer's, given to Coffer and to the program age.

usage: age.py AGE-OPEN

The vectors' names and what each is to end in are those of github.com/C2SP/CCTV, folder age. Their files are not copied; these are made
from the same identity, file key and stream of randomness, and where the published text could be had its lines are compared.
Not here, by name: scrypt*, hybrid* and armor* (the envelope has no passphrase, no such stanza and no armor).
Needs python3-cryptography; with the program age that has to judge each of them alike.
"""
import base64
import hashlib
import hmac
import os
import shutil
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

IDENTITY_TEXT = "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"
ALPHABET = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"
BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
FILE_KEY = b"YELLOW SUBMARINE"
LARGE_KEY, LARGE_NONCE = bytes.fromhex("7aa5bdac0e6afeed3dd0a7eccb42af44"), bytes.fromhex("c82f71eb82029b77136399e485e879f4")
CHUNK = 65536


def bech32_bytes(text):
    bits, n, out = 0, 0, bytearray()
    for c in text.rsplit("1", 1)[1][:-6]:
        bits, n = bits << 5 | ALPHABET.index(c), n + 5
        if n >= 8:
            n -= 8
            out.append(bits >> n & 255)
    return bytes(out)


def bech32_text(raw):
    """AGE-SECRET-KEY-1…"""
    def polymod(values):
        c = 1
        for v in values:
            top, c = c >> 25, (c & 0x1ffffff) << 5 ^ v
            for i, g in enumerate((0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3)):
                c ^= g if top >> i & 1 else 0
        return c

    prefix = "age-secret-key-"
    n = int.from_bytes(raw, "big") << 4
    data = [n >> 5 * i & 31 for i in range(51, -1, -1)]
    high = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = polymod(high + data + [0] * 6) ^ 1
    return (prefix + "1" + "".join(ALPHABET[d] for d in data + [check >> 5 * i & 31 for i in range(5, -1, -1)])).upper()


def hkdf(salt, secret, info):
    prk = hmac.digest(salt or bytes(32), secret, "sha256")
    return hmac.digest(prk, info + b"\1", "sha256")


def b64(raw):
    return base64.b64encode(raw).rstrip(b"=").decode()


def not_canonical(text):
    return text[:-1] + BASE64[BASE64.index(text[-1]) + 1]


def multiply(scalar, point):
    try:
        return X25519PrivateKey.from_private_bytes(scalar).exchange(X25519PublicKey.from_public_bytes(point))
    except ValueError:
        return bytes(32)  # a point of low order


def public(scalar):
    return X25519PrivateKey.from_private_bytes(scalar).public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


IDENTITY = bech32_bytes(IDENTITY_TEXT)


class Vector:
    def __init__(self, file_key=FILE_KEY):
        self.stream = Cipher(algorithms.ChaCha20(b"TEST RANDOMNESS TEST RANDOMNESS!", bytes(16)), None).encryptor()
        self.raw, self.plain, self.key, self.counter = b"", b"", file_key, 0
        self.identities = [IDENTITY_TEXT]

    def rand(self, n):
        return self.stream.update(bytes(n))

    def line(self, text):
        self.raw += text.encode("latin-1") + b"\n"

    def unread(self):
        head, last = self.raw[:-1].rsplit(b"\n", 1)
        self.raw = head + b"\n"
        return last.decode("latin-1")

    def version(self):
        self.line("age-encryption.org/v1")
        return self

    def body(self, raw):
        text = b64(raw)
        while len(text) >= 64:
            self.line(text[:64])
            text = text[64:]
        self.line(text)

    def stanza(self, share, identity, *more, word="X25519"):
        key = hkdf(share + public(identity), multiply(identity, share), b"age-encryption.org/v1/X25519")
        self.line(" ".join(("->", word, b64(share), *more)))
        self.body(ChaCha20Poly1305(key).encrypt(bytes(12), self.key, b""))

    def x25519(self, identity=IDENTITY):
        self.stanza(public(self.rand(32)), identity)
        return self

    def mac(self):
        value = hmac.digest(hkdf(b"", self.key, b"header"), self.raw + b"---", "sha256")
        self.line("--- " + b64(value))
        return self

    def nonce(self, nonce=None):
        nonce = self.rand(16) if nonce is None else nonce
        self.stream_key = ChaCha20Poly1305(hkdf(nonce, self.key, b"payload"))
        self.raw += nonce

    def chunk(self, plain, final=False):
        self.plain += plain
        self.raw += self.stream_key.encrypt(self.counter.to_bytes(11, "big") + bytes([final]), plain, b"")
        self.counter += 1

    def payload(self, plain=b"age"):
        self.nonce()
        self.chunk(plain, True)
        return self


def simple():
    return Vector().version().x25519()


def large():
    v = Vector(LARGE_KEY).version().x25519().mac()
    v.nonce(LARGE_NONCE)
    return v


def full(n):
    return bytes([n]) * CHUNK


def flip(v, at):
    at %= len(v.raw)
    v.raw = v.raw[:at] + bytes([v.raw[at] ^ 255]) + v.raw[at + 1:]


def edited(edit, after=None):
    """A line of the stanza edited before the MAC is made (or after it)."""
    v = simple()
    if after:
        v.mac()
    v.line(edit(v.unread()))
    return (v if after else v.mac()).payload()


def stanza(*lines):
    v = simple()
    for text in lines:
        v.line(text)
    return v.mac().payload()


def header_crlf():
    v = simple().mac()
    v.raw = v.raw.replace(b"\n", b"\r\n")
    return v.payload()


def mac_cut():
    return edited(lambda s: s[:8], after=True)


def share(change, *more, word="X25519"):
    v = Vector().version()
    v.stanza(change(public(v.rand(32))), IDENTITY, *more, word=word)
    return v.mac().payload()


def low_order():
    return share(lambda _: bytes(32))


def long_file_key():
    v = Vector(b"A LONGER YELLOW SUBMARINE").version().x25519()
    return v.mac().payload()


def bad_tag():
    v = simple()
    body = bytearray(base64.b64decode(v.unread() + "=="))
    body[-1] ^= 255
    v.line(b64(bytes(body)))
    return v.mac().payload()


def args(change):
    v = simple()
    body, first = v.unread(), v.unread()
    v.line(change(first))
    v.line(body)
    return v.mac().payload()


def several():
    v = Vector().version()
    v.x25519(v.rand(32)).x25519()
    return v.mac().payload()


def grease():
    v = Vector().version()
    v.line("-> grease")
    v.line("")
    v.x25519()
    v.line("-> grease with arguments")
    v.body(b"and a body that takes more than one line of the sixty-four characters")
    return v.mac().payload()


def no_match():
    v = simple()
    v.identities = [bech32_text(v.rand(32))]
    return v.mac().payload()


def chunks(*parts, tail=b"", cut=0):
    v = large()
    for plain, final in parts:
        v.chunk(plain, final)
    v.raw = v.raw[:len(v.raw) - cut] + tail
    return v


def damaged(at, *parts):
    v = chunks(*parts)
    flip(v, at)
    return v


def short_nonce(n):
    v = simple().mac()
    v.raw += v.rand(n)
    return v


def no_mac():
    v = simple()
    v.line("--- ")
    return v.payload()


def bad_mac():
    v = simple().mac()
    raw = bytearray(base64.b64decode(v.unread()[4:] + "="))
    raw[-1] ^= 255
    v.line("--- " + b64(bytes(raw)))
    return v.payload()


def of_version():
    v = Vector()
    v.line("age-encryption.org/v1234")
    return v.x25519().mac().payload()


def nothing():
    v = Vector()
    v.raw = b""
    return v


HEADER, MAC, PAYLOAD, NONE, OPENS = "header failure", "HMAC failure", "payload failure", "no match", "success"
CASES = {
    "empty": (HEADER, nothing),
    "header_crlf": (HEADER, header_crlf),
    "version_unsupported": (HEADER, of_version),
    "hmac_bad": (MAC, bad_mac),
    "hmac_extra_space": (HEADER, lambda: edited(lambda s: s.replace("--- ", "---  "), after=True)),
    "hmac_garbage": (HEADER, lambda: edited(lambda s: s + "AAA", after=True)),
    "hmac_missing": (HEADER, no_mac),
    "hmac_no_space": (HEADER, lambda: edited(lambda s: s.replace("--- ", "---"), after=True)),
    "hmac_not_canonical": (HEADER, lambda: edited(not_canonical, after=True)),
    "hmac_trailing_space": (HEADER, lambda: edited(lambda s: s + " ", after=True)),
    "hmac_truncated": (HEADER, mac_cut),
    "stanza_bad_start": (HEADER, lambda: stanza("-- stanza", "")),
    "stanza_base64_padding": (HEADER, lambda: edited(lambda s: s + "=" * (-len(s) % 4))),
    "stanza_empty_argument": (HEADER, lambda: stanza("-> empty  argument", "")),
    "stanza_empty_body": (OPENS, lambda: stanza("-> empty", "")),
    "stanza_empty_last_line": (OPENS, lambda: stanza("-> stanza", "QUFB" * 16, "")),
    "stanza_invalid_character": (HEADER, lambda: stanza("-> stanza \xe8", "")),
    "stanza_long_line": (HEADER, lambda: stanza("-> stanza", "QUFB" * 17, "")),
    "stanza_missing_body": (HEADER, lambda: stanza("-> empty")),
    "stanza_missing_final_line": (HEADER, lambda: stanza("-> stanza", "QUFB" * 16)),
    "stanza_multiple_short_lines": (HEADER, lambda: stanza("-> stanza", "QUFB", "QUFB")),
    "stanza_no_arguments": (HEADER, lambda: stanza("->", "")),
    "stanza_not_canonical": (HEADER, lambda: stanza("-> stanza", not_canonical("QUE"))),
    "stanza_spurious_cr": (HEADER, lambda: stanza("-> stanza", "QUFB\r")),
    "stanza_valid_characters": (OPENS, lambda: stanza(
        "-> " + " ".join("".join(map(chr, range(i, min(i + 8, 127)))) for i in range(33, 127, 8)), "")),
    "x25519": (OPENS, lambda: simple().mac().payload()),
    "x25519_bad_tag": (NONE, bad_tag),
    "x25519_extra_argument": (HEADER, lambda: args(lambda s: s + " 1234")),
    "x25519_grease": (OPENS, grease),
    "x25519_long_file_key": (HEADER, long_file_key),
    "x25519_long_share": (HEADER, lambda: args(lambda s: s[:10] + b64(base64.b64decode(s[10:] + "=") + b"\0"))),
    "x25519_low_order": (HEADER, low_order),
    "x25519_lowercase": (NONE, lambda: share(lambda s: s, word="x25519")),
    "x25519_multiple_recipients": (OPENS, several),
    "x25519_no_match": (NONE, no_match),
    "x25519_not_canonical_body": (HEADER, lambda: edited(not_canonical)),
    "x25519_not_canonical_share": (HEADER, lambda: args(not_canonical)),
    "x25519_short_share": (HEADER, lambda: args(lambda s: s[:10] + b64(base64.b64decode(s[10:] + "=")[:-1]))),
    "stream_bad_tag": (PAYLOAD, lambda: damaged(-1, (b"age", True))),
    "stream_bad_tag_second_chunk": (PAYLOAD, lambda: damaged(-1, (full(0), False), (b"age", True))),
    "stream_bad_tag_second_chunk_full": (PAYLOAD, lambda: damaged(-1, (full(0), False), (full(1), True))),
    "stream_empty_payload": (OPENS, lambda: chunks((b"", True))),
    "stream_last_chunk_empty": (PAYLOAD, lambda: chunks((full(0), False), (b"", True))),
    "stream_last_chunk_full": (OPENS, lambda: chunks((full(0), True))),
    "stream_last_chunk_full_second": (OPENS, lambda: chunks((full(0), False), (full(1), True))),
    "stream_missing_tag": (PAYLOAD, lambda: chunks((b"age", True), cut=16)),
    "stream_no_chunks": (PAYLOAD, lambda: chunks()),
    "stream_no_final": (PAYLOAD, lambda: chunks((b"age", False))),
    "stream_no_final_full": (PAYLOAD, lambda: chunks((full(0), False))),
    "stream_no_final_two_chunks": (PAYLOAD, lambda: chunks((full(0), False), (b"age", False))),
    "stream_no_final_two_chunks_full": (PAYLOAD, lambda: chunks((full(0), False), (full(1), False))),
    "stream_no_nonce": (HEADER, lambda: short_nonce(0)),
    "stream_short_chunk": (PAYLOAD, lambda: chunks((full(0)[:100], False), (b"age", True))),
    "stream_short_nonce": (HEADER, lambda: short_nonce(12)),
    "stream_short_second_chunk": (PAYLOAD, lambda: chunks((full(0), False), (full(1)[:100], False), (b"age", True))),
    "stream_three_chunks": (OPENS, lambda: chunks((full(0), False), (full(1), False), (b"age", True))),
    "stream_trailing_garbage_long": (PAYLOAD, lambda: chunks((full(0), True), tail=bytes(CHUNK + 16))),
    "stream_trailing_garbage_short": (PAYLOAD, lambda: chunks((full(0), True), tail=bytes(12))),
    "stream_two_chunks": (OPENS, lambda: chunks((full(0), False), (b"age", True))),
    "stream_two_final_chunks": (PAYLOAD, lambda: chunks((full(0), True), (b"age", True))),
}
# What may be said of each. A file that ends in its nonce has a wrong header for CCTV; for us it was cut off.
SAID = {OPENS: ("opened",), HEADER: ("form",), MAC: ("altered",), PAYLOAD: ("altered", "form"), NONE: ("no match",)}
# Lines of the published files, as a check that these are the same vectors.
PUBLISHED = {
    "hmac_missing": b"-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\nhjabGXwSLQ9c3S6Lw2i+S2Tu2fiwQHHslbBN6B41FLE\n--- \n",
    "hmac_truncated": b"FLE\n--- WyJp\n",
    "stream_no_chunks": b"-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n",
}


def age_opens(path, identities, where):
    key = os.path.join(where, "identity")
    with open(key, "w") as f:
        f.write("\n".join(identities) + "\n")
    r = subprocess.run(["age", "-d", "-i", key, path], capture_output=True)
    return hashlib.sha256(r.stdout).hexdigest() if r.returncode == 0 else None


def main():
    program, failures, with_age = sys.argv[1], 0, shutil.which("age")
    where = tempfile.mkdtemp(prefix="coffer-age-")
    try:
        for name, (expected, make) in CASES.items():
            v, path = make(), os.path.join(where, name)
            with open(path, "wb") as f:
                f.write(v.raw)
            want = hashlib.sha256(v.plain).hexdigest()
            said = subprocess.run([program, path, *v.identities], capture_output=True, text=True).stdout.strip()
            right = said == "opened " + want if expected == OPENS else said in SAID[expected]
            right |= name in ("stream_no_nonce", "stream_short_nonce") and said == "altered"
            if name in PUBLISHED and PUBLISHED[name] not in v.raw:
                right, said = False, "not the published vector"
            if with_age and (age_opens(path, v.identities, where) == want) != (expected == OPENS):
                right, said = False, said + "; the program age sees it otherwise"
            if not right:
                failures += 1
                print(f"FAILED: {name}: {expected} expected, {said!r} said")
    finally:
        shutil.rmtree(where)
    print(f"{len(CASES)} vectors, {failures} failures" + ("" if with_age else "; without the program age"))
    sys.exit(bool(failures))


main()
