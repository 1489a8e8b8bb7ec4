# SPDX-License-Identifier: Apache-2.0
"""Ed25519 (RFC 8032) and AES-256-GCM (SP 800-38D) for second_evidence.py: by python3-cryptography where it is there, else,
or with COFFER_SECOND_SLOW in the environment, in the plain Python below, from the standards alone."""
import hashlib
import hmac
import os

try:
    if os.environ.get("COFFER_SECOND_SLOW"):
        raise ImportError
    from cryptography.exceptions import InvalidSignature, InvalidTag
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
except ImportError:
    AESGCM = None


def hmac_sha256(key, text):
    return hmac.new(key, text, hashlib.sha256).digest()


# ---- Ed25519 ----

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def add(a, b):
    """Extended coordinates, RFC 8032 5.1.4."""
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    h, i, j, k = f - e, d - c, d + c, f + e
    return h * i % P, j * k % P, i * j % P, h * k % P


def times(n, point):
    r = (0, 1, 1, 0)
    while n:
        if n & 1:
            r = add(r, point)
        point, n = add(point, point), n >> 1
    return r


def decode(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT % P
    if (x * x - x2) % P or (not x and sign):
        return None
    if x & 1 != sign:
        x = P - x
    return x, y, 1, x * y % P


BASE = decode((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))


def ed25519_verify(public, text, signature):
    if AESGCM:
        try:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, text)
            return True
        except (InvalidSignature, ValueError):
            return False
    a, r, s = decode(public), decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + text).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0


# ---- AES-256-GCM ----

def double(b):
    return b << 1 ^ (0x11b if b & 0x80 else 0)


def make_box():
    """The S-box: inverses in GF(2^8), and FIPS 197's affine map."""
    box, p, q = [0x63] + [0] * 255, 1, 1
    while True:
        p ^= double(p)
        q ^= q << 1
        q ^= q << 2
        q ^= q << 4
        q &= 255
        if q & 0x80:
            q ^= 9
        v = q | q << 8
        box[p] = (q ^ v >> 7 ^ v >> 6 ^ v >> 5 ^ v >> 4) & 255 ^ 0x63
        if p == 1:
            return box


BOX = make_box()
TWICE = [double(b) & 255 for b in range(256)]


def expand(key):
    w, r = [list(key[i:i + 4]) for i in range(0, 32, 4)], 1
    for i in range(8, 60):
        t = list(w[i - 1])
        if i % 8 == 0:
            t = [BOX[t[1]] ^ r, BOX[t[2]], BOX[t[3]], BOX[t[0]]]
            r = double(r) & 255
        elif i % 8 == 4:
            t = [BOX[b] for b in t]
        w.append([a ^ b for a, b in zip(w[i - 8], t)])
    return [sum(w[4 * i:4 * i + 4], []) for i in range(15)]


def encrypt(keys, block):
    s = [a ^ b for a, b in zip(block, keys[0])]
    for n in range(1, 15):
        s = [BOX[s[(i + 4 * (i % 4)) % 16]] for i in range(16)]
        if n < 14:
            m = []
            for c in range(0, 16, 4):
                a = s[c:c + 4]
                t = a[0] ^ a[1] ^ a[2] ^ a[3]
                m += [a[i] ^ t ^ TWICE[a[i] ^ a[(i + 1) % 4]] for i in range(4)]
            s = m
        s = [a ^ b for a, b in zip(s, keys[n])]
    return bytes(s)


def gmul(x, h):
    z = 0
    for i in range(127, -1, -1):
        if x >> i & 1:
            z ^= h
        h = h >> 1 ^ (0xe1 << 120 if h & 1 else 0)
    return z


def aes_gcm_open(key, nonce, sealed, aad):
    """The plaintext, or None."""
    if AESGCM:
        try:
            return AESGCM(key).decrypt(nonce, sealed, aad)
        except InvalidTag:
            return None
    keys, text, tag = expand(key), sealed[:-16], sealed[-16:]
    h = int.from_bytes(encrypt(keys, bytes(16)), "big")
    y = 0
    lengths = (len(aad) * 8).to_bytes(8, "big") + (len(text) * 8).to_bytes(8, "big")
    data = aad + bytes(-len(aad) % 16) + text + bytes(-len(text) % 16) + lengths
    for i in range(0, len(data), 16):
        y = gmul(y ^ int.from_bytes(data[i:i + 16], "big"), h)
    if bytes(a ^ b for a, b in zip(y.to_bytes(16, "big"), encrypt(keys, nonce + b"\0\0\0\1"))) != tag:
        return None
    plain = b""
    for i in range(0, len(text), 16):
        stream = encrypt(keys, nonce + (2 + i // 16).to_bytes(4, "big"))
        plain += bytes(a ^ b for a, b in zip(text[i:i + 16], stream))
    return plain
