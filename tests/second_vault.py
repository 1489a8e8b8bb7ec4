# SPDX-License-Identifier: Apache-2.0
"""Of the second reader: records of vaults and copies (docs/format.md 4.2), and the judge on transfers."""
import struct

from second_format import need

WHAT = [None, "met", "transfer", "bucket", "checked", "drill", "retiring", "retired", "bundled", "enrolled", "released", "punctured",
        "handed-over"]
PUBLIC = set(range(220, 228)) | {229, 210, 211, 212, 213, 215, 195, 146, 112}
SIZES = {220: 1, 222: 16, 223: 8, 224: 1, 229: 16, 195: 32, 112: 32}


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
    if int(profile.get("distance", "0")) and (215 not in one or struct.unpack("<I", one[215])[0] < int(profile["distance"])):
        return "went not as far as the policy asks"
    if profile.get("transfer_basis", "no") == "yes" and 225 not in one:
        return "names not what it rests on"
    return None
