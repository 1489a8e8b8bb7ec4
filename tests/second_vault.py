# SPDX-License-Identifier: Apache-2.0
"""Of the second reader: records of vaults and copies (docs/format.md 4.2), and the judge on transfers."""
import base64
import re
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from second_format import need

WHAT = [None, "met", "transfer", "bucket", "checked", "drill", "retiring", "retired", "bundled", "enrolled", "released", "punctured",
        "handed-over"]
PUBLIC = set(range(220, 228)) | {229, 210, 211, 212, 213, 215, 195, 146, 112}
SIZES = {220: 1, 222: 16, 223: 8, 224: 1, 229: 16, 195: 32, 112: 32}


RECEIPT = re.compile(
    rb"(coffer-vault-destroyed/1\narchive ([0-9a-f]{32})\nvault (\S+)\nrequest ([0-9a-f]{64})\nsize (\d+)\nroot ([0-9a-f]{64})\nfirst (\d+)\n"
    rb"last (\d+)\nobjects ((?:\d+\+\d+ )*\d+\+\d+)\nfrom (\d+)\nleaves (\d+)\nframes (\d+)\nbytes (\d+)\nkey (none|file|tpm2)\n"
    rb"method zeros-read-back\nbegun (\S+)\nended (\S+)\n)signature (\S+)\n")


def public_key(vkey):
    """32 bytes of a C2SP verifier key of kind cosignature/v1."""
    raw = base64.b64decode(vkey.split(b"+", 2)[2], validate=True)
    if len(raw) != 33 or raw[0] != 4:
        raise ValueError("a vault's key of another kind")
    return raw[1:]


class Receipt:
    """docs/vault-protocol.md 8: what a vault signed of content that it destroyed. ValueError: it is none."""

    def __init__(self, raw):
        m = RECEIPT.fullmatch(raw)
        if not m:
            raise ValueError("no receipt")
        said, self.vault, key = m.group(1), m.group(3), public_key(m.group(3))
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(m.group(17), validate=True), said)
        except InvalidSignature:
            raise ValueError("a receipt that its vault did not sign") from None
        self.key, self.archive, self.request, self.root = key, *(bytes.fromhex(m.group(i).decode()) for i in (2, 4, 6))
        self.size, self.first, self.last, self.start, self.leaves, self.frames, self.bytes = (int(m.group(i)) for i in (5, 7, 8, 10, 11, 12, 13))
        self.ranges = [tuple(map(int, one.split(b"+"))) for one in m.group(9).split(b" ")]
        ends = [0] + [first + n for first, n in self.ranges]
        if any(not n or first <= end for (first, n), end in zip(self.ranges, ends)) or not self.first <= self.last < self.size:
            raise ValueError("a receipt whose numbers cannot be")

    def inodes(self):
        return [ino for first, n in self.ranges for ino in range(first, first + n)]


class VaultRecords:
    def __init__(self):
        self.of = {}

    def take(self, f, v, private):
        need(not set(v) - PUBLIC and not set(private) - {228}, f.where, "has fields of vaults in the wrong part")
        for tag, n in SIZES.items():
            need(len(v.get(tag, bytes(n))) == n, f.where, "has field", tag, "of another size")
        need(220 in v and 221 in v and 0 < v[220][0] < len(WHAT), f.where, "is no record of a vault that is known")
        what = WHAT[v[220][0]]
        need(v.get(224, b"\x01")[0] in (1, 2), f.where, "has an unknown outcome")
        if what == "transfer":
            start, end = struct.unpack("<QQ", v[222])
            need(start <= end == f.position and 223 in v and 224 in v, f.where, "does not say what was transferred")
            need(end <= f.sequence, f.where, "tells of frames that are not there yet")
        else:
            need(not f.position, f.where, "has a position")
        self.of[what] = self.of.get(what, 0) + 1

    def count(self):
        return self.of


def went_wrong(profile, one):
    """What the policy in force has against a transfer; None: nothing."""
    if one[220][0] != 2:
        return None
    allowed, where = profile.get("jurisdictions", "").split(), one.get(212, b"").decode()
    if allowed and where not in allowed and ("-" not in where or where.partition("-")[0] not in allowed):
        return "went where the policy lets nothing go"
    forbidden, country = profile.get("forbidden_jurisdictions", "").split(), where.partition("-")[0]
    if forbidden and (not where or {where, country} & set(forbidden) or any(f.startswith(where + "-") for f in forbidden)):
        return "went where the policy forbids it"
    if int(profile.get("distance", "0")) and (215 not in one or struct.unpack("<I", one[215])[0] < int(profile["distance"])):
        return "went not as far as the policy asks"
    if profile.get("transfer_basis", "no") == "yes" and 225 not in one:
        return "names not what it rests on"
    return None
