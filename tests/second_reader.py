#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A second implementation of a reader for Coffer stores, written from docs/format.md alone.

Checks archive.conf, every frame, the chain, the tree, checkpoints, tiles, keys and (with the
auditor's secret) the seal; decrypts everything, rebuilds the names and says what is in the store.
Exit 0 when all of it agrees; 1 with one sentence of what is wrong and where; 2 for misuse.

Needs Python 3.9 and python3-cryptography. Openers of kind passphrase are not supported: Argon2id is
not in that library. Contents are decrypted in memory one frame at a time.
"""
import argparse
import json
import os
import re
import struct
import sys

import second_people  # beside this file
from second_format import (
    ACTOR, APPEND, APPROVAL, ARCHIVE, ATTR, CEREMONY, CHECKPOINT, CLOCK, COMMIT, COSIGN, CREATE, Conf, DESTROY, Cosignature, DIRECTORY, ESCROW, EVENT,
    EXTEND, FILE, HEARTBEAT, HOLD, HOLE, LIMIT, MOUNT, NEVER, Note, PAD, PEOPLE, POLICY, RECEIPT, RECOVERY, REMOVE,
    RENAME, REQUEST, SHELF, STAMP, SYMLINK, Tree, UNMOUNT, VAULT, Wrong, certificate, fields, frames, hkdf, mac,
    need, read_file, sha256, split_fields, u64, u64_at)
from second_escrow import Escrow
from second_keys import Keys, WHAT, attempts, note
from second_names import Holds, Names
from second_objects import instant
from second_vault import VaultRecords


# ---- the whole store ----

NO_OBJECT = {ARCHIVE, MOUNT, UNMOUNT, RECOVERY, ACTOR, PAD, CHECKPOINT, HEARTBEAT, COSIGN, CLOCK, STAMP, POLICY, PEOPLE, REQUEST, APPROVAL, VAULT, CEREMONY, RECEIPT}
POSITIONED = {ACTOR, APPEND, HOLE, COMMIT, DESTROY, CHECKPOINT, COSIGN, STAMP, VAULT}
KNOWN = set(range(1, 18)) | {POLICY, PEOPLE, REQUEST, APPROVAL, HOLD, DESTROY, COSIGN, CLOCK, STAMP, SHELF, ESCROW, VAULT, CEREMONY, RECEIPT}
REQUIRED = {CREATE: (1, 2, 3, 4, 5, 6), RENAME: (1, 2, 9, 10), REMOVE: (1, 2), EVENT: (32,)}


class Store:
    """All of it: reading once from the first frame to the last, and what must hold at the end."""

    def __init__(self, path, key_file, auditor):
        self.path, self.conf = path, Conf(path)
        self.keys = Keys(path, self.conf, key_file)
        self.tree, self.names = Tree(), Names()
        self.note = Note(read_file(path, "checkpoint", 65536), self.conf, "checkpoint")
        self.size, self.bytes, self.tail, self.opaque, self.destroyed = 0, 0, 0, 0, 0
        self.stamps, self.cosigns, self.proven, self.last_proof = 0, 0, -1 << 63, -1 << 63
        self.vaults = {}  # of each key: time and size of what it said last
        self.mount, self.salt, self.epoch, self.actors = 0, None, None, 0
        self.lineage, self.anchor = None, (None, 0)
        self.counters, self.committed, self.events, self.salts = {}, set(), 0, {}
        self.holds, self.waits = Holds(), {}
        self.vault_records = VaultRecords()
        self.people = second_people.Judge(self.conf.id, self.tree.root)
        self.escrow = Escrow(self.people.gone, self.people.not_permitted)
        self.policies, self.policy_digests = {}, 0  # of shelves: SHA-256; EVENT frames with a digest of all of them
        self.openers = []  # what EVENT frames say of openers
        self.last_note, self.clean, self.owes_recovery, self.previous = 0, True, False, None
        self.ended, self.destroyers = {}, {}  # of each object: the last frame whose payload is none; its DESTROY frame
        self.secrets = {1: self.auditor_secret(auditor)} if auditor else {}
        self.seal = None
        # the seal's mixing: of the epoch at hand, and what the next mount may prove, by frame; values need the secret
        self.follows, self.mixed, self.newest, self.first_epoch = {}, {}, None, None

    def auditor_secret(self, raw):
        m = re.fullmatch(rb"coffer-auditor-secret-1 ([0-9a-f]{32}) ([0-9a-f]{64})\n?", raw)
        need(m, "the auditor's file is malformed")
        need(bytes.fromhex(m.group(1).decode()) == self.conf.id, "the auditor's file is of another archive")
        return bytes.fromhex(m.group(2).decode())

    def epoch_secret(self, epoch):
        need(1 <= epoch < 1 << 32, "epoch", epoch, "cannot be")
        at = max(e for e in self.secrets if e <= epoch)
        while at < epoch:
            self.secrets[at + 1] = hkdf(None, self.secrets[at], b"coffer/1 seal epoch")
            at += 1
        return self.secrets[epoch]

    def start_seal(self, epoch, salt):
        if self.secrets:
            self.seal = hkdf(salt, self.epoch_secret(epoch), b"coffer/1 seal mount" + self.conf.id)

    def check_seal(self, f, previous):
        if not self.seal:
            return
        bare = f.header[:104] + bytes(16) + f.header[120:124] + bytes(4)
        need(mac(self.seal, bare, previous)[:16] == f.tag, f.where, "has a wrong seal tag")
        self.seal = sha256(b"\2", self.seal)

    def check_mixed(self, f, v, again):
        """A MOUNT frame: which frame it follows on, and the proof."""
        if self.epoch == self.first_epoch:
            need(70 not in v, f.where, "is the first of its lineage, and follows on a mixing")
            return
        need(len(v.get(70, b"")) == 24, f.where, "does not say at which frame its seal was mixed")
        at, proof = u64_at(v[70], 0), v[70][8:]
        if not again:
            need(at in self.mixed, f.where, "follows on frame", at, "which the seal was not mixed at, or not last")
            self.follows = {at: self.mixed[at]}
        need(at in self.follows, f.where, "follows on another frame than the one whose epoch it repeats")
        if self.follows[at]:
            want = mac(self.follows[at], b"coffer/1 seal mixed", self.conf.id, v[48], u64(at))
            need(want[:16] == proof, f.where, "does not prove what it follows on")

    def mix(self, f):
        """Behind a MOUNT or CHECKPOINT frame's own tag."""
        label = b"coffer/1 seal mix"
        if f.type == MOUNT:
            self.mixed = {f.sequence: self.seal and hkdf(None, self.seal, label)}
        elif 70 in (v := fields(f.rest(), f.where)):
            on = u64_at(v[70], 0)
            need(on in self.mixed, f.where, "mixes the seal behind another frame than the last, or the one before")
            self.mixed = {on: self.mixed[on], f.sequence: self.seal and hkdf(self.seal, self.mixed[on], label)}
        else:
            return
        self.newest = f.sequence

    def read(self):
        leaf, retention = bytes(32), -1 << 63
        for f in frames(self.path, self.conf):
            need(f.sequence == self.size, f.where, "has another sequence than", self.size)
            need(f.retention >= retention, f.where, "turns the retention time back")
            retention = f.retention
            self.begin(f)
            self.check_seal(f, leaf)
            if f.type in (MOUNT, CHECKPOINT):
                self.mix(f)
            leaf = sha256(b"\0", f.header, leaf)
            self.tree.add(leaf)
            self.size, self.bytes = self.size + 1, self.bytes + 128 + f.stored
            if f.sequence >= self.note.size and f.type not in (CHECKPOINT, COSIGN) and not (f.type == VAULT and f.position):
                self.tail += 1
            self.judge(f)
            if f.type != CHECKPOINT:
                self.clean = f.type == UNMOUNT
            self.previous = f
        self.finish()

    def begin(self, f):
        """Mounts and actors: what the header refers to."""
        if f.sequence == 0:
            need(f.type == ARCHIVE and f.mount == 0 and f.actor == 0, f.where, "is not ARCHIVE")
            self.start_seal(1, bytes(32))
            return
        need(f.type != ARCHIVE, f.where, "is a second ARCHIVE")
        if f.type in (MOUNT, CHECKPOINT, RECOVERY):
            self.check_anchor(f, fields(f.rest(), f.where))
        if f.type == MOUNT:
            self.start_mount(f, fields(f.rest(), f.where, 48, 49, 52, 53))
        need(self.mount, f.where, "comes before any MOUNT")
        need(f.mount == self.mount, f.where, "names another mount than", self.mount)
        need(f.actor <= self.actors, f.where, "names an actor that is not known")

    def check_anchor(self, f, v):
        has = [tag in v for tag in (65, 68, 69)]
        need(all(has) or not any(has), f.where, "has only a part of the anchor's fields")
        need(f.type == RECOVERY or 71 not in v, f.where, "counts what is unproven")
        if all(has):
            counter, value = self.anchor
            need(counter != v[68] or value <= v[65], f.where, "has an anchor that goes back")
            self.anchor = v[68], v[65]

    def start_mount(self, f, v):
        epoch, lineage = v[52], v[53]
        if self.mount and lineage != self.lineage:
            need(lineage == self.lineage + 1, f.where, "skips a lineage")
            self.secrets = {}  # the keys were recovered: the auditor's secret leads no further
            self.seal = None
        if lineage != self.lineage:
            self.first_epoch = epoch
        self.lineage = lineage
        again = epoch == self.epoch
        if self.mount == 0:
            need(f.sequence == 1 and epoch == 1, f.where, "is not the mount of init at epoch 1")
        elif epoch == self.epoch:
            need(self.previous.type == MOUNT, f.where, "repeats an epoch that was used")
        else:
            need(epoch == self.epoch + 1, f.where, "does not have the next epoch")
        self.mount, self.epoch, self.salt, self.actors = self.mount + 1, epoch, v[48], 0
        self.check_mixed(f, v, again)
        need(self.salt not in self.salts.values(), f.where, "repeats the salt of an earlier mount")
        self.salts[self.mount] = self.salt
        self.start_seal(epoch, self.salt)
        key = self.keys.payload_key(0, self.mount, self.salt)
        need(key and key[2] == v[49], f.where, "has a wrong commitment to the metadata key")
        self.owes_recovery = self.mount > 1 and not self.clean

    def judge(self, f):
        if self.owes_recovery and f.type not in (MOUNT, CHECKPOINT):
            need(f.type == RECOVERY, f.where, "follows a mount after an unclean end: RECOVERY is missing")
            self.owes_recovery = False
        if f.type not in KNOWN:
            self.opaque += 1
            return
        need(not f.object or f.type not in NO_OBJECT, f.where, "has an object")
        need(not f.position or f.type in POSITIONED, f.where, "has a position")
        plain = self.decrypt(f)
        self.judge_people(f)
        if f.type == ARCHIVE:
            need(f.rest() == self.conf.raw, "archive.conf is not what frame 0 says")
        elif f.type == CHECKPOINT:
            self.check_note(f, fields(f.rest(), f.where, 64))
        elif f.type == STAMP:
            self.check_stamp(f, fields(f.rest(), f.where, 64, 72, 73, 74, 75, 76))
        elif f.type == COSIGN:
            self.check_cosign(f, fields(f.rest(), f.where, 64, 73, 210))
        elif f.type == ACTOR:
            fields(plain, f.where)
            self.actors += 1
            need(f.position == self.actors, f.where, "is not the next actor")
        elif f.type in (APPEND, HOLE):
            self.stretch(f, plain)
        elif f.type == DESTROY:
            self.destroy(f, fields(f.rest(), f.where, 112, 234, 235))
        elif f.type == RECOVERY:
            self.check_aside(f, fields(f.rest(), f.where, 58))
        elif f.type in (CREATE, RENAME, REMOVE, ATTR, EVENT):
            v = fields(plain, f.where, *REQUIRED.get(f.type, ()))
            self.events += f.type == EVENT
            if f.type == EVENT and 118 in v:
                form = json.loads(dict(split_fields(f.rest(), f.where))[148])
                need(sha256(v[118]).hex() == form["sheet"], f.where, "has another sheet than its form names")
                need(len(list(split_fields(plain, f.where))) == len(v), f.where, "says something twice")
                sheet = json.loads(v[118])
                said = {32: form["event"], 140: form.get("catalogue"), 141: form["outcome"], 143: "person", 144: form["signer"],
                        35: sheet.get("object"), 145: sheet.get("place"), 40: sheet.get("text")}
                need(all((v[t].decode() if t in v else None) == text for t, text in said.items()), f.where, "says another thing than its form")
                need(int.from_bytes(v.get(146, b""), "little", signed=True) == instant(form["time"]), f.where, "claims another time than its form")
            need(f.type != EVENT or v.get(143) != b"person" or 118 in v, f.where, "is a person's, and nobody signed it")
            if f.type == EVENT and v[32] == b"policies" and 84 in v:
                need(v[84] == sha256(b"".join(struct.pack("<Q", i) + p for i, p in sorted(self.policies.items()))),
                     f.where, "has another digest of the policies in force")
                self.policy_digests += 1
            if f.type == EVENT and v.get(32, b"").decode("utf-8", "strict") in WHAT.values():
                self.openers.append({name: v[tag].decode("utf-8", "strict") for tag, name in
                                     ((32, "event"), (36, "reason"), (40, "detail")) if tag in v})
            change = {CREATE: self.names.create, RENAME: self.names.rename,
                      REMOVE: self.names.remove, ATTR: self.names.attr}.get(f.type)
            if change:
                change(f, v)
            if f.type in (CREATE, RENAME):
                self.holds.go_with(f, fields(f.rest(), f.where))
        elif f.type in (COMMIT, EXTEND):
            v = {**fields(f.rest(), f.where), **fields(plain, f.where)}
            if f.type == COMMIT:
                self.names.commit(f, v)
                self.names.get(f.object, f, FILE).certificates = [
                    certificate(value, f.where) for tag, value in split_fields(plain, f.where) if tag == 160]
            else:
                n = self.names.get(f.object, f, FILE)
                n.least = max(v[103], NEVER if n.least is None else n.least) if 103 in v else n.least
                n.until = max(n.until, v[24]) if 24 in v and 112 not in v and n.until is not None else v.get(24)
            if 101 in v:
                need(1 <= len(v[101]) <= 31, f.where, "names no event")
                self.waits[f.object] = 102 not in v
            need(v.get(104, 0) in (0, 1), f.where, "has an unknown mode")
        elif f.type == SHELF:
            n = self.names.get(f.object, f, DIRECTORY)
            v = fields(plain, f.where, 2)
            policy = fields(f.rest(), f.where, 27)[27]
            policy.decode("utf-8", "strict")
            self.policies[f.object] = sha256(policy)
            need(n.parent == 1 and n.name == v[2], f.where, "is about another directory")
        elif f.type == HOLD:
            self.holds.take(f, fields(f.rest(), f.where, 96), fields(plain, f.where), self.names)
        elif f.type == VAULT:
            self.vault_records.take(f, fields(f.rest(), f.where), fields(plain, f.where))
        elif f.type == RECEIPT:
            fields(f.rest(), f.where, 112, 210, 221, 245)
        elif f.type == ESCROW:
            self.escrow.take(f, fields(f.rest(), f.where), fields(plain, f.where), self.names)
        elif f.type == CEREMONY:
            opened = json.loads(fields(f.rest(), f.where, 230, 231, 232, 233)[230].split(b"\n")[0])
            need(sha256(fields(plain, f.where, 118)[118]).hex() == opened["sheet"], f.where, "has another sheet than its transcript names")
        elif f.type != PAD:
            fields(f.rest(), f.where)

    def judge_people(self, f):
        """Section 9, from the public part alone."""
        if f.type in (POLICY, PEOPLE, REQUEST, APPROVAL, SHELF, CLOCK, EVENT, ESCROW, VAULT, CEREMONY, RECEIPT, CREATE, RENAME, REMOVE, COMMIT, EXTEND, HOLD, DESTROY, APPEND, HOLE):
            self.people.proven = max(0, self.proven)
            self.people.take(f, f.record, [] if f.type in (APPEND, HOLE) else list(split_fields(f.rest(), f.where)))

    def decrypt(self, f):
        """The private part; None when the key was destroyed."""
        if f.length:
            taken = self.counters.setdefault(f.mount, [])
            taken.append((f.counter, f.count()))
        ino = f.object if f.type == APPEND else 0
        if not f.length and not f.flags:
            return b""
        key = self.keys.payload_key(ino, f.mount, self.salt)
        f.need_payload(not f.ended or not key)  # keys go before bytes
        if f.ended:
            self.ended[f.object] = f.sequence, self.ended.get(f.object, (0, 0))[1] + 1, f
        if not key:
            self.destroyed += 1
            return None
        if f.type == APPEND and (ino, f.mount) not in self.committed:
            need(f.flags & 1, f.where, "is the first of its file and mount and has no commitment")
            self.committed.add((ino, f.mount))
        need(not f.flags or f.public[:32] == key[2], f.where, "has a wrong key commitment")
        return f.open(key[1], self.conf.id)

    def destroy(self, f, v):
        """What it says of the file's frames; whether it was permitted second_objects.py judges."""
        n = self.names.gone.get(f.object) or self.names.get(f.object, f, FILE)
        sealed = [p.stored - p.public_length for p, hole in n.pieces if hole is None]
        need(f.position == n.size and (v[234], v[235]) == (len(sealed), sum(sealed)), f.where, "says another length than its file has")
        if f.sequence not in [p["sequence"] for p in self.people.not_permitted]:
            self.destroyers[f.object] = f.sequence, v[112], f.where, len(sealed)
        n.readable = False

    def stretch(self, f, plain):
        if f.type == APPEND:
            self.names.append(f, f.length, plain)
        else:
            need(len(f.rest()) == 8 and not f.length, f.where, "is a malformed hole")
            self.names.append(f, int.from_bytes(f.rest(), "little"), None)
        f.public, f.chunks, f.header = b"", [], b""  # content is read again when asked for

    def check_aside(self, f, v):
        """What recovery cut off is in aside/. Of several segments there are several files: then only that."""
        if not v[58]:
            return
        start = f"{v.get(56, 0):08x}-{v.get(57, 0):x}-"
        files = [read_file(self.path, "aside/" + name)
                 for name in os.listdir(os.path.join(self.path, "aside")) if name.startswith(start)]
        need(files, f.where, "says that something was set aside, and it is not in aside/")
        whole = [data for data in files if len(data) == v[58]]
        need(not whole or any(sha256(data) == v.get(59) for data in whole), f.where,
             "says another digest than what lies in aside/")

    def check_note(self, f, v):
        note = Note(v[64], self.conf, f.where)
        need(note.size == f.position, f.where, "has a note of another size than its position")
        need(self.last_note <= note.size <= f.sequence, f.where, "has a note of an impossible size")
        need(note.root == self.tree.root(note.size), f.where, "has a note with another root")
        self.last_note = note.size

    def check_stamp(self, f, v):
        """What it covers, and the order of proofs. The token itself is left to those who read CMS."""
        note = Note(v[64], self.conf, f.where)
        need(note.size == f.position and note.size <= f.sequence, f.where, "stamps a note of an impossible size")
        need(note.root == self.tree.root(note.size), f.where, "stamps a note with another root")
        need(sha256(v[64]) in v[72], f.where, "has a token for something else")
        need(v[74] >= 0 and v[73] + v[74] >= self.last_proof, f.where, "is dated before an earlier proof")
        if 77 in v:
            self.last_proof = v[73] - v[74]
            self.proven = max(self.proven, self.last_proof)
        self.stamps += 1

    def check_cosign(self, f, v):
        """Both signatures, what it covers, and that no vault goes back."""
        note, said = Note(v[64], self.conf, f.where), Cosignature(v[64], v[210], f.where)
        need(note.size == f.position and note.size <= f.sequence, f.where, "has a note of an impossible size")
        need(note.root == self.tree.root(note.size), f.where, "has a note with another root")
        need(v[73] == said.time * 10**9, f.where, "has another time than its note")
        need(v.get(214, 0) in (0, 1), f.where, "is neither elsewhere nor here")
        time, size = self.vaults.get(said.key, (0, 0))
        need(said.time >= time and note.size >= size, f.where, "is older than what that vault said before")
        self.vaults[said.key] = said.time, note.size
        self.last_proof = v[73] - 10**9
        self.proven = max(self.proven, self.last_proof)
        self.people.cosigns[said.key] = f.sequence, v[73], f.retention
        self.cosigns += 1

    def finish(self):
        for ino, (last, _, f) in self.ended.items():
            f.need_payload(self.destroyers.get(ino, (-1,))[0] > last)
        for ino, (_, request, where, frames_of) in self.destroyers.items():
            if self.people.requests[request].state == "done":
                need(self.keys.leaf(0, ino) is None and self.keys.leaf(1, ino) is None, where, "is done, and the file's key is there still")
                need(self.ended.get(ino, (0, 0))[1] == frames_of, where, "is done, and bytes of the file are there still")
        need(self.size >= 2, "the log ends before its first mount")
        need(self.note.size <= self.size, "checkpoint covers", self.note.size, "frames, and there are",
             self.size, "(the log was cut)")
        need(self.note.root == self.tree.root(self.note.size), "checkpoint has another root than the log")
        need(self.note.size >= self.last_note, "checkpoint is older than one in the log")
        check_tiles(self.path, self.tree, self.size, self.note.size if self.clean else 0)
        need(self.keys.in_tpm or self.keys.epoch in (self.epoch + 1, self.epoch),
             "keys/epoch does not follow the last mount")
        if self.secrets and not self.keys.in_tpm:
            need(self.epoch_secret(self.keys.epoch) == self.keys.epoch_secret,
                 "keys/epoch has another secret than the auditor's leads to")
        if not self.keys.in_tpm and self.keys.lineage == self.lineage and self.keys.epoch == self.epoch + 1:
            at, value = self.keys.mixed
            need(at in self.mixed, "keys/epoch was mixed at another frame than the log says")
            need(not self.mixed[at] or self.mixed[at] == value, "keys/epoch was mixed with something else")
        for mount, taken in self.counters.items():
            end = 0
            for first, n in sorted(taken):
                need(first >= end, "mount", mount, "used counter", first, "twice")
                end = first + n

    def content(self, path):
        for there, n in self.names.walk():
            if there == path.lstrip(b"/"):
                break
        else:
            raise Wrong(f"{os.fsdecode(path)} is not in the store")
        need(n.kind == FILE, os.fsdecode(path), "is not a file")
        need(n.readable, os.fsdecode(path), "was destroyed")
        for f, hole in n.pieces:
            if hole is not None:
                yield from (bytes(min(LIMIT, hole - at)) for at in range(0, hole, LIMIT))
                continue
            with open(os.path.join(self.path, f"log/{f.segment:08x}.seg"), "rb") as segment:
                segment.seek(f.offset + 128)
                f.take(segment.read(f.stored))
            yield f.open(self.keys.payload_key(n.ino, f.mount, self.salts[f.mount])[1], self.conf.id)
            f.public, f.chunks = b"", []


    def search_keys(self, also=None):
        """That no file of the store, and of the directory `also`, has a part of any key in clear."""
        k = self.keys
        secrets = list(k.secrets) + list(self.secrets.values()) + [k.epoch_secret]
        secrets += [s for e in (*k.entries, *k.pages.values()) for s in e.values()]
        secrets += [s for s in k.leaves.values() if s] + [p[0] for p in k.payload.values()]
        secrets += [v[1] for keys in k.page_keys for v in keys.values()]
        parts, seen = {s[i:i + 10] for s in secrets for i in range(0, 23, 11)}, set()
        for top in [self.path] + [also] * bool(also):
            for where in (os.path.relpath(os.path.join(d, n), top) for d, _, names in os.walk(top) for n in names):
                data = pages_once(read_file(top, where, 1 << 32), seen)
                for part in parts:
                    need(part not in data, where, "holds a part of a key in clear")
        return len(secrets)


def pages_once(data, seen):
    """The pages of data that were not seen before, each with the nine bytes behind it: whatever of ten bytes lies
    in data lies in these, or in what was given before. Memory is mostly the same pages again, and zeros."""
    new = []
    for at in range(0, len(data), 4096):
        page = data[at:at + 4096 + 9]
        if page not in seen:
            seen.add(page)
            new.append(page)
    return b"".join(new)


def check_tiles(store, tree, size, at_least):
    for level in range(8):
        raw = read_file(store, f"tile/{level}", missing=b"")
        have = tree.levels[8 * level] if 8 * level < len(tree.levels) else []
        need(len(raw) % 32 == 0, f"tile/{level} is not whole hashes")
        need(len(raw) // 32 <= size >> 8 * level, f"tile/{level} has hashes of frames that are not there")
        need(len(raw) // 32 >= at_least >> 8 * level, f"tile/{level} lacks hashes below the checkpoint")
        for i in range(len(raw) // 32):
            need(raw[32 * i:32 * i + 32] == have[i], f"tile/{level}: hash {i} is another")


def checkpoint_only(store, vkey):
    conf = Conf(store)
    need(vkey in (None, conf.vkey), "archive.conf has another vkey than the one given")
    note = Note(read_file(store, "checkpoint", 65536), conf, "checkpoint")
    leaves, tree = read_file(store, "tile/0", missing=b""), Tree()
    need(len(leaves) >= 32 * note.size, "tile/0 does not reach to the checkpoint")
    for i in range(len(leaves) // 32):
        tree.add(leaves[32 * i:32 * i + 32])
    check_tiles(store, tree, len(leaves) // 32, note.size)
    need(tree.root(note.size) == note.root, "the tiles do not give the root of the checkpoint")
    return {"checkpoint": note.size, "root": note.root.hex(), "origin": conf.origin}


# ---- output ----

def describe(path, n, end=None):
    kind = {FILE: "file", DIRECTORY: "directory", SYMLINK: "symlink"}[n.kind]
    d = {"path": os.fsdecode(path), "inode": n.ino, "kind": kind, "mode": n.mode, "uid": n.uid,
         "gid": n.gid}
    if n.kind == FILE:
        d.update(size=n.size, state=n.state, retain_until=n.until, end=end, certificates=n.certificates,
                 sha256=n.digest.hexdigest() if n.readable else None)
    elif n.kind == SYMLINK:
        d["target"] = os.fsdecode(n.target)
    return d


def summary(s):
    failures, locked, pending = attempts(s.path, s.conf)
    return {"opener_events": s.openers, "pending": pending + s.keys.notes, "failures": failures, "locked": locked,
            "frames": s.size, "bytes": s.bytes, "checkpoint": s.note.size,
            "root": s.note.root.hex(), "tail": s.tail, "mounts": s.mount, "events": s.events, "policy_digests": s.policy_digests,
            "opaque": s.opaque, "destroyed": s.destroyed, "stamps": s.stamps, "cosignatures": s.cosigns, "seal_checked": bool(s.secrets),
            "escrow": s.escrow.count(), "vault_records": s.vault_records.count(),
            "ceremonies": {"held": list(s.people.ceremonies.values()).count(False), "rehearsed": list(s.people.ceremonies.values()).count(True)}, "requests": len(s.people.requests), "signatures": s.people.signatures, "not_permitted": s.people.not_permitted,
            "files": [describe(path, n, s.names.end(n)) for path, n in s.names.walk()]}


def text(out, with_list):
    if with_list:
        for d in out["files"]:
            path = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in d["path"])
            print(f"{d.get('sha256') or d['kind']}  {d.get('size', '-')}  {path}")
        return
    print(f"{out['frames']} frames in {out['bytes']} bytes, {out['mounts']} mounts, "
          f"{len(out['files'])} names. All agree with the checkpoint over {out['checkpoint']} frames"
          + (f"; {out['tail']} frames behind it are not sealed yet" if out["tail"] else "")
          + ("; seal checked." if out["seal_checked"] else "; seal not checked."))


def run(args):
    if args.checkpoint_only:
        out = checkpoint_only(args.store, args.vkey)
        print(json.dumps(out) if args.json else
              f"The tiles give the checkpoint's root over {out['checkpoint']} frames.")
        return
    with open(args.key_file, "rb") as f:
        key_file = f.read(4097)
    with open(args.auditor_secret or os.devnull, "rb") as f:
        auditor = f.read(4096) or None
    s = Store(args.store, key_file, auditor)
    need(args.vkey in (None, s.conf.vkey), "archive.conf has another vkey than the one given")
    s.read()
    if args.search_keys:
        print(f"No part of any of {s.search_keys(args.search_also)} keys lies in a file of the store.")
    elif args.cat is not None:
        for piece in s.content(os.fsencode(args.cat)):
            sys.stdout.buffer.write(piece)
    elif args.json:
        print(json.dumps(summary(s)))
    else:
        text(summary(s), args.list)


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("store", metavar="STORE")
    p.add_argument("--key-file", metavar="FILE", help="the key file of an opener of kind file")
    p.add_argument("--auditor-secret", metavar="FILE", help="checks the seal too")
    p.add_argument("--vkey", help="what archive.conf must say")
    p.add_argument("--json", action="store_true")
    p.add_argument("--list", action="store_true", help="SHA-256, size and path of each file")
    p.add_argument("--cat", metavar="PATH", help="writes the content of one file")
    p.add_argument("--search-keys", action="store_true",
                   help="checks that no file of the store has a part of a key in clear")
    p.add_argument("--search-also", metavar="DIR", help="files that are searched too")
    p.add_argument("--checkpoint-only", action="store_true",
                   help="the checkpoint against the tiles, without any key")
    args = p.parse_args()
    if not args.checkpoint_only and not args.key_file:
        p.error("--key-file is needed (passphrase openers are not supported: no Argon2id here)")
    try:
        run(args)
        sys.stdout.flush()
    except (Wrong, OSError, UnicodeDecodeError) as e:
        print(f"second_reader: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
