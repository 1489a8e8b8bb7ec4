# SPDX-License-Identifier: Apache-2.0
"""Of the second reader: the records of escrow (docs/format.md 10.1). Who permitted them second_people.py judges."""
import base64
import hashlib
import json
import re
import struct

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from second_format import need

WHAT = [None, "scheme", "epoch", "epoch-valid", "custodian", "custodian-revoked", "key", "release", "attempt", "recovered", "failed",
        "rotated", "revoked", "drill", "medium", "sheet", "share-destroyed", "confirmed", "proposed", "token", "tpm-key", "tpm-key-revoked", "tpm-ended", "tpm-raised"]
SIZES = {190: 1, 191: 8, 192: 4, 193: 32, 194: 16, 195: 32, 196: 32, 197: 8, 198: 32, 199: 8, 200: 1, 205: 1, 206: 8, 207: 8, 254: 32}
PUBLIC = set(range(190, 201)) | {204, 205, 206, 207, 112, 254}
PRIVATE = {201, 202, 203, 208, 209}
SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")  # of P-256, before the point
WITH_FILE = {"scheme", "epoch", "key", "rotated"}


class Escrow:
    def __init__(self, gone, refused):
        self.refused = refused  # what second_people.py says does not count
        self.gone = gone  # keys that were revoked by somebody who may, of second_people.py
        self.records, self.keys, self.epochs, self.revoked, self.used = {}, {}, set(), set(), set()  # keys: if of a rehearsal
        self.things = {}  # media and tokens by name: the newest that is said
        self.raised = set()  # ends of what a TPM opened, that were carried out
        self.drills, self.answered = {}, set()  # begun: object, nonce, by what it is judged, epoch, custodian; those that ended rightly

    def take(self, f, v, private, names):
        """v, private: the fields of both parts by tag, as bytes."""
        need(not set(v) - PUBLIC and not set(private) - PRIVATE, f.where, "has fields of escrow in the wrong part")
        for tag, n in SIZES.items():
            need(len(v.get(tag, bytes(n))) == n, f.where, "has field", tag, "of another size")
        need(190 in v and 191 in v and 0 < v[190][0] < len(WHAT), f.where, "is no record of escrow that is known")
        what, shelf = WHAT[v[190][0]], struct.unpack("<Q", v[191])[0]
        need(names.get(shelf, f).parent == 1, f.where, "is on no shelf")
        need(what in ("epoch-valid", "drill") or (f.object != 0) == (what in WITH_FILE), f.where, "has a file, or lacks one")
        if self.refused and self.refused[-1]["sequence"] == f.sequence:
            return  # it does not count; and so below
        if what in ("release", "attempt", "recovered", "rotated") and (shelf, v.get(194)) in self.gone:
            return
        if f.object:
            n = names.get(f.object, f)
            need(n.state != "open" and n.parent == shelf, f.where, "is about no committed file of its shelf")
            need(not n.readable or n.digest.digest() == v.get(195), f.where, "says another digest than its file has")
        of = self.records.get(struct.unpack("<Q", v[199])[0]) if 199 in v else None
        need(199 not in v or of, f.where, "names a record that is not there")
        epoch = (shelf, v.get(192), v.get(193))
        if what == "epoch-valid":
            need(of and of[190] == b"\x02" and of.get(193) == v.get(193), f.where, "accepts no epoch")
            self.epochs.add(epoch)
        if what in ("key", "rotated"):
            need(epoch in self.epochs and epoch not in self.revoked, f.where, "goes to an epoch that is not in force")
        if what == "key":
            need(v[194] == v[195][:16], f.where, "has another number than its file")
        practice = bool(v.get(197, bytes(8))[4] & 2)
        if (what == "key" and (shelf, v[194]) in self.keys) or (what == "rotated" and self.keys.get((shelf, v[194])) != practice):
            return
        if what == "key":
            self.keys[shelf, v[194]] = practice
        if what in ("release", "attempt", "recovered", "failed"):
            need((shelf, v.get(194)) in self.keys, f.where, "is about a key that is not kept")
        if what in ("attempt", "recovered", "failed"):
            need(of and of[190] == b"\x07" and of[194] == v[194], f.where, "names no release of its key")
            if what == "recovered" and v.get(204) != of[204]:
                return
            need(what == "failed" or v[199] not in self.used, f.where, "uses a release twice")
            self.used |= {v[199]} if what == "recovered" else set()
        if what in ("medium", "token"):
            said = json.loads(private[203])
            need(private[201] and all(isinstance(t, str) for t in said.values()), f.where, "says nothing of a thing")
            need(said["move"] in ("in", "out") and said["place"] and said["by"] if what == "medium" else
                 said["model"] and said["serial"] and said["state"], f.where, "does not say how it is")
            self.things[what, private[201]] = said
        if what in ("tpm-key", "tpm-key-revoked"):
            point = bytes.fromhex(json.loads(private[203])["point"])
            need(private[201] and len(point) == 64 and v[196] == hashlib.sha256(SPKI + point).digest(), f.where, "is of another key than it says")
        if what == "tpm-raised":
            need(of and of[190] == b"\x16" and of[254] == v[254] and of[191] == v[191], f.where, "raises the counter of a TPM without leave")
            need(v[200] != b"\x01" or v[199] not in self.raised, f.where, "carries out an end twice")
            self.raised |= {v[199]} if v[200] == b"\x01" else set()
        if what == "drill":
            self.drill(f, v, private, epoch)
        if what == "revoked" and 194 not in v:
            self.revoked.add(epoch)
        self.records[f.sequence] = v

    def drill(self, f, v, private, epoch):
        need(epoch in self.epochs, f.where, "is a drill of an epoch that never was in force")
        need((199 in v) == (200 in v), f.where, "ends a drill, or begins one")
        if 199 not in v:
            need(206 not in v and 207 not in v and 209 not in private, f.where, "begins a drill with what ends it")
            need(f.object or private[208] and private[201], f.where, "begins a drill with nothing")
            need(not f.object or epoch not in self.revoked, f.where, "is a canary of a revoked epoch")
            need(re.fullmatch("[0-9a-f]{64}", private[203].decode()), f.where, "does not say by what the answer is judged")
            need(f.object or private[208] not in [d[1] for d in self.drills.values()], f.where, "gives out a nonce twice")
            self.drills[f.sequence] = (f.object, private.get(208), private[203].decode(), epoch, private.get(201))
            return
        begun = struct.unpack("<Q", v[199])[0]
        need(begun in self.drills, f.where, "ends no drill")
        canary, nonce, detail, of, name = self.drills[begun]
        need(of == epoch and 207 in v, f.where, "ends a drill of another epoch, or does not say how long it took")
        if v[200] != b"\x01":
            need(v[200] == b"\x02" and 202 in private, f.where, "failed without a reason")
            return
        need(begun not in self.answered, f.where, "answers what was answered")
        self.answered.add(begun)
        if not canary:
            need(private.get(201) == name, f.where, "is the answer of another custodian")
            try:
                Ed25519PublicKey.from_public_bytes(bytes.fromhex(detail)).verify(
                    base64.b64decode(private[209], validate=True), b"coffer/1 share proof\n" + nonce + b"\n")
            except InvalidSignature:
                need(False, f.where, "proves nothing")

    def count(self):
        return {"records": len(self.records), "keys": len(self.keys), "epochs": len(self.epochs), "recovered": len(self.used),
                "drills": len(self.answered), "things": len(self.things)}
