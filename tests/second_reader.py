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
import base64
import hashlib
import hmac
import json
import os
import re
import struct
import sys

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

import second_people  # beside this file

CHUNK, LIMIT = 65536, 1 << 20
(ARCHIVE, MOUNT, UNMOUNT, RECOVERY, ACTOR, CREATE, APPEND, HOLE, PAD, COMMIT, EXTEND, RENAME, REMOVE,
 ATTR, EVENT, CHECKPOINT, HEARTBEAT) = range(1, 18)
POLICY, PEOPLE, REQUEST, APPROVAL, HOLD = 18, 19, 20, 21, 22
COSIGN, CLOCK, STAMP, SHELF = 25, 26, 27, 29
FILE, DIRECTORY, SYMLINK = 1, 2, 3
HEADER = struct.Struct("<4sBBHQQQIIQIIqq32s16sII")
assert HEADER.size == 128


class Wrong(Exception):
    """What does not agree, and where."""


def need(condition, *text):
    if not condition:
        raise Wrong(" ".join(str(t) for t in text))


def sha256(*parts):
    h = hashlib.sha256()
    for part in parts:
        h.update(part)
    return h.digest()


def mac(key, *parts):
    return hmac.digest(key, b"".join(parts), "sha256")


def hkdf(salt, secret, info, n=32):
    key, out, block, i = mac(salt or bytes(32), secret), b"", b"", 1
    while len(out) < n:
        block = mac(key, block, info, bytes([i]))
        out, i = out + block, i + 1
    return out[:n]


def u64(n):
    return struct.pack("<Q", n)


def u64_at(raw, at):
    return struct.unpack_from("<Q", raw, at)[0]


def u32(n):
    return struct.pack("<I", n)


def crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    # Two bytes at a time: each entry of the wide table is two steps of the narrow one.
    wide = [0] * 65536
    for n in range(65536):
        c = table[n & 255] ^ n >> 8
        wide[n] = table[c & 255] ^ c >> 8
    return wide


CRC = crc_table()
WORDS = struct.Struct("<62H")


def crc32c_124(header):
    """Of bytes 0 to 123."""
    c, table = 0xFFFFFFFF, CRC
    for word in WORDS.unpack_from(header):
        c = table[(c ^ word) & 0xFFFF] ^ c >> 16
    return c ^ 0xFFFFFFFF


def read_file(store, name, cap=1 << 30, missing=None):
    try:
        with open(os.path.join(store, name), "rb") as f:
            data = f.read(cap + 1)
    except FileNotFoundError:
        if missing is not None:
            return missing
        raise Wrong(f"{name} is missing") from None
    need(len(data) <= cap, name, "is longer than it may be")
    return data


# ---- Merkle trees (RFC 6962) ----

def tree_head(entries):
    if not entries:
        return sha256()
    level = [sha256(b"\0", e) for e in entries]
    while len(level) > 1:  # the odd one out moves up, which is the split at the largest power of two
        pairs = [sha256(b"\1", level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(level) // 2 * 2:]
    return level[0]


class Tree:
    """All complete subtrees of the leaves so far, by height: the root at any size."""

    def __init__(self):
        self.levels = [[]]

    def add(self, leaf):
        height = 0
        while True:
            if height == len(self.levels):
                self.levels.append([])
            level = self.levels[height]
            level.append(leaf)
            if len(level) % 2:
                return
            leaf, height = sha256(b"\1", level[-2], level[-1]), height + 1

    def root(self, size):
        head = None
        for height, level in enumerate(self.levels):
            if size >> height & 1:
                node = level[(size >> height) - 1]
                head = node if head is None else sha256(b"\1", node, head)
        return head if size else sha256()


# ---- archive.conf and signed notes ----

def unbase64(text, what):
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raw = None
    need(raw is not None and base64.b64encode(raw).decode() == text, what, "is not base64")
    return raw


class Conf:
    KEYS = ["format", "id", "origin", "vkey", "segment_size", "created", "flags"]

    def __init__(self, store):
        self.raw = read_file(store, "archive.conf", 4096)
        text = self.raw.decode("utf-8", "strict")
        lines = text.split("\n")
        need(lines[0] == "[archive]" and lines[-1] == "" and len(lines) == len(self.KEYS) + 2,
             "archive.conf does not have its section and seven lines")
        pairs = [line.split(" = ", 1) for line in lines[1:-1]]
        need([p[0] for p in pairs] == self.KEYS, "archive.conf does not have its keys in order")
        v = {k: value for k, value in pairs}
        need(v["format"] == "1", "archive.conf: format", v["format"], "is not known")
        need(re.fullmatch("[0-9a-f]{32}", v["id"]), "archive.conf: the id is malformed")
        self.id, self.origin = bytes.fromhex(v["id"]), v["origin"]
        need(self.origin and not re.search(r"[\s+]", self.origin), "archive.conf: bad origin")
        self.vkey, self.public = v["vkey"], parse_vkey(v["vkey"], self.origin)
        self.segment = int(v["segment_size"]) if v["segment_size"].isdecimal() else 0
        need(65536 <= self.segment <= 1 << 30 and self.segment % 4096 == 0,
             "archive.conf: segment_size is out of bounds")
        need(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", v["created"]),
             "archive.conf: created is not a time")
        need(v["flags"] in ("0", "1", "2", "3"), "archive.conf: flags are not known")


def key_id(name, algorithm, public):
    return sha256(name.encode(), b"\n", bytes([algorithm]), public)[:4]


def parse_vkey(text, origin):
    name, number, key = (text.split("+", 2) + ["", ""])[:3]
    raw = unbase64(key, "the key of the vkey")
    need(name == origin, "the vkey is not of the origin")
    need(len(raw) == 33 and raw[0] == 1, "the vkey is not an Ed25519 key")
    need(number == key_id(name, 1, raw[1:]).hex(), "the vkey's number does not fit its key")
    return raw[1:]


class Note:
    """A checkpoint: origin, size and root, with the log's signature checked."""

    def __init__(self, raw, conf, where):
        body, mark, signatures = raw.rpartition(b"\n\n")
        need(mark and signatures.endswith(b"\n"), where, "is no signed note")
        need(not re.search(rb"[\x00-\x09\x0b-\x1f]", raw), where, "has control characters")
        signed, seen = body + b"\n", False
        for line in signatures[:-1].split(b"\n"):
            m = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", line.decode("utf-8", "replace"))
            need(m, where, "has a malformed signature line")
            blob = unbase64(m.group(2), where + ": a signature")
            if m.group(1) != conf.origin or blob[:4] != key_id(conf.origin, 1, conf.public):
                continue
            try:
                Ed25519PublicKey.from_public_bytes(conf.public).verify(blob[4:], signed)
            except InvalidSignature:
                raise Wrong(f"{where}: the log's signature is wrong") from None
            seen = True
        need(seen, where, "is not signed by the log")
        lines = signed.decode("utf-8", "strict").split("\n")
        need(len(lines) == 4 and lines[0] == conf.origin, where, "is not a checkpoint of this log")
        need(re.fullmatch("0|[1-9][0-9]*", lines[1]), where, "has a malformed size")
        self.size, self.root = int(lines[1]), unbase64(lines[2], where + ": the root")
        need(len(self.root) == 32, where, "has a root of the wrong length")


# ---- fields ----

TEXT = None
SIZES = {1: 8, 3: 1, 4: 4, 5: 4, 6: 4, 8: 8, 9: 8, 16: 4, 17: 4, 20: 8, 24: 8, 25: 8, 34: 4, 37: 8,
         38: 8, 39: 8, 48: 32, 49: 32, 50: 16, 51: 8, 52: 8, 53: 4, 56: 4, 57: 8, 58: 8, 59: 32,
         65: 8, 66: 8, 67: 8, 68: 12, 69: 8, 71: 8, 73: 8, 74: 8, 77: 32, 79: 25,
         96: 1, 97: 8, 102: 8, 103: 8, 104: 1, 105: 8, 106: 8, 107: 8, 108: 8, 109: 8, 110: 8, 112: 32,
         161: 8, 162: 8, 163: 8}
NAMES = (2, 10)
NEVER = -(1 << 63)
REPEATED = (35, 41, 80, 81, 115, 160)
LEAST = {41: 18, 80: 33, 82: 33}  # bytes that the value has at least


def split_fields(raw, where):
    off = 0
    while off < len(raw):
        need(off + 3 <= len(raw), where, "has a field that is cut short")
        tag, n = struct.unpack_from("<BH", raw, off)
        need(off + 3 + n <= len(raw), where, "has a field that is cut short")
        yield tag, raw[off + 3:off + 3 + n]
        off += 3 + n


def fields(raw, where, *required):
    out = {}
    for tag, value in split_fields(raw, where):
        need(tag not in out or tag in REPEATED, where, "has field", tag, "twice")
        need(len(value) >= LEAST.get(tag, 0), where, "has field", tag, "that is too short")
        need(tag not in SIZES or SIZES[tag] == len(value), where, "has field", tag, "of another size")
        need(tag not in NAMES or 1 <= len(value) <= 255, where, "has a name of another size")
        if tag in SIZES and SIZES[tag] <= 8:
            signed = tag in (8, 24, 25, 38, 39, 51, 66, 67, 73, 74, 102, 103, 105, 106, 110, 161, 162, 163)
            value = int.from_bytes(value, "little", signed=signed)
        out[tag] = value
    for tag in required:
        need(tag in out, where, "lacks field", tag)
    return out


def certificate(raw, where):
    """Field 160: what a file on a certificate shelf says."""
    need(len(raw) >= 53 and 1 <= raw[0] <= 3 and raw[1] < 8 and raw[50] <= 64, where, "has a malformed certificate")
    at = 51 + raw[50]
    need(len(raw) >= at + 2, where, "has a malformed certificate")
    names = at + 2
    subject = names + int.from_bytes(raw[at:names], "little")
    need(subject <= len(raw) and 0 not in raw[names:], where, "has a malformed certificate")
    since, until = struct.unpack_from("<2q", raw, 2)
    return {"kind": {1: "certificate", 2: "crl", 3: "request"}[raw[0]], "flags": raw[1], "not_before": since,
            "not_after": until, "fingerprint": raw[18:50].hex(), "serial": raw[51:at].hex(),
            "subject": raw[names:subject].decode("utf-8", "replace"), "issuer": raw[subject:].decode("utf-8", "replace")}


# ---- keys (section 7) ----

def unseal(key, nonce, sealed, aad, what):
    try:
        return AESGCM(key).decrypt(nonce, sealed, aad)
    except InvalidTag:
        raise Wrong(f"{what} does not open: altered, or the key is another's") from None


WHAT = {0: "opener-events", 1: "opener-failed", 2: "locked", 3: "opener-refused", 4: "unlocked",
        5: "attempts-lost", 16: "opener-added", 17: "opener-removed", 18: "seal-renewed",
        19: "envelope-renewed", 20: "auditors-renewed"}


def note(raw, where):
    """What happened to an opener and no frame tells of yet."""
    need(40 <= len(raw) <= 55 and 0 not in raw[40:], where, "has a malformed note")
    n, count, uid, login, pcrs, first, last = struct.unpack_from("<5I2q", raw, 4)
    return {"event": WHAT.get(raw[0], raw[0]), "how": raw[1], "opener": raw[2], "sets": raw[3],
            "n": n, "count": count, "uid": uid, "login": login, "pcrs": pcrs, "first": first,
            "last": last, "command": os.fsdecode(raw[40:])}


def attempts(store, conf):
    """seal/attempts: (wrong ones in a row, since when it is locked or None, notes)."""
    where = "seal/attempts"
    raw = read_file(store, where, 4096, missing=b"")
    if not raw:
        return 0, None, []
    need(len(raw) >= 64 and raw[:12] == b"COFDOOR1\1\0\0\0", where, "is malformed")
    need(sha256(raw[:-32]) == raw[-32:], where, "is damaged")
    need(struct.unpack_from("<I", raw, 12)[0] == len(raw) - 64, where, "has another length than it says")
    need(raw[16:32] == conf.id, where, "is of another archive")
    failures, locked, notes = 0, None, []
    for tag, value in split_fields(raw[32:-32], where):
        if tag == 1:
            failures, = struct.unpack("<I", value)
        elif tag == 2:
            locked, = struct.unpack("<q", value)
        elif tag in (4, 5):
            notes.append(note(value, where))
    return failures, locked, notes


class Keys:
    def __init__(self, store, conf, key_file):
        self.store, self.conf = store, conf
        self.pages, self.leaves, self.payload = {}, {}, {}
        root, generation, kind, number, wrap = self.open_root(key_file)
        box = self.box("keys/top", 1, root, generation, 0)
        self.entries, self.page_keys, wraps, single = ({}, {}), ({}, {}), {}, {}
        self.secrets, place = [root, wrap, key_file], {}
        self.notes = []
        for tag, value in box:
            if tag in (1, 2):
                self.entries[tag - 1][self.entry(value, "keys/top")] = value[9:]
            elif tag in (3, 4):
                need(len(value) == 48, "keys/top: a page of another length")
                page, gen = struct.unpack_from("<QQ", value)
                self.page_keys[tag - 3][page] = (gen, value[16:])
            elif tag == 9:
                need(len(value) == 37, "keys/top: a wrap key of another length")
                wraps[value[0], struct.unpack_from("<I", value, 1)[0]] = value[5:]
            elif tag in (8, 11):
                need(len(value) == {8: 36, 11: 20}[tag] and tag not in place, "keys/top: field", tag, "is malformed")
                place[tag] = value
            elif tag == 12:
                need(len(value) == 32, "keys/top: a recipient of another length")
            elif tag == 10:
                self.notes.append(note(value, "keys/top"))
            elif tag in (5, 6, 7):
                need(len(value) == 32 and tag not in single, "keys/top: key", tag, "is malformed")
                single[tag] = value
        need(set(single) == {5, 6, 7}, "keys/top lacks a key")
        need(wraps.get((kind, number)) == wrap, "keys/top does not hold the wrap key of the opener")
        self.secrets += [*single.values(), *wraps.values()]
        signing = Ed25519PrivateKey.from_private_bytes(single[6]).public_key()
        need(signing.public_bytes(Encoding.Raw, PublicFormat.Raw) == conf.public,
             "the signing key of keys/top is not the vkey's")
        self.in_tpm = len(place) == 2
        need(len(place) in (0, 2), "keys/top has one of the fields 8 and 11 without the other")
        if self.in_tpm:
            self.secrets.append(place[8][4:])
            self.epoch = self.lineage = self.epoch_secret = self.mixed = None
            return
        epoch = dict(self.box("keys/epoch", 4, single[7], None, 0))
        need(len(epoch.get(16, b"")) == 84, "keys/epoch lacks its field")
        self.epoch, self.lineage = struct.unpack_from("<QI", epoch[16])
        self.epoch_secret = epoch[16][12:44]
        self.mixed = u64_at(epoch[16], 44), epoch[16][52:]
        need(self.epoch_generation == self.epoch, "keys/epoch: the generation is not the epoch")

    def open_root(self, key_file):
        need(32 <= len(key_file) <= 4096, "the key file does not have 32 to 4096 bytes")
        tried, last = 0, None
        for name in sorted(os.listdir(os.path.join(self.store, "seal"))):
            m = re.fullmatch(r"file-(\d+)", name)
            if not m:
                continue
            where = "seal/" + name
            raw = read_file(self.store, where, 200)
            need(len(raw) == 200 and raw[:8] == b"COFSEAL1" and raw[8:12] == b"\2\1\0\0" and
                 raw[12:24] == bytes(12), where, "is malformed")
            need(raw[24:40] == self.conf.id, where, "is of another archive")
            kek = hkdf(raw[40:72], key_file, b"coffer/1 opener file")
            tried += 1
            try:
                wrap = unseal(kek, raw[72:84], raw[84:132], raw[:72], where)
                root = unseal(wrap, raw[140:152], raw[152:200], raw[:72] + raw[132:140], where)
            except Wrong as e:
                last = e
                continue
            return root, struct.unpack_from("<Q", raw, 132)[0], 2, int(m.group(1)), wrap
        raise last or Wrong("seal/ has no opener of kind file")

    def box(self, name, kind, key, generation, page):
        raw = read_file(self.store, name, 1 << 26)
        need(len(raw) >= 76 and raw[:8] == b"COFKEYS1", name, "is malformed")
        need(raw[8:12] == bytes([kind, 1, 0, 0]), name, "is of another kind or version")
        length, = struct.unpack_from("<I", raw, 12)
        gen, number = struct.unpack_from("<QQ", raw, 32)
        need(len(raw) == 76 + length, name, "has another length than it says")
        need(raw[16:32] == self.conf.id, name, "is of another archive")
        need(number == page, name, "is of another page")
        need(generation in (None, gen), name, "is of another generation")
        if kind == 4:
            self.epoch_generation = gen
        return list(split_fields(unseal(key, raw[48:60], raw[60:], raw[:60], name), name))

    @staticmethod
    def entry(value, where):
        need(len(value) == 41 and value[0] <= 12, where, "has a malformed entry")
        depth, prefix = value[0], struct.unpack_from("<Q", value, 1)[0]
        need(prefix >> 4 * depth == 0, where, "has an entry with a malformed prefix")
        return depth, prefix

    def page(self, tree, number):
        if (tree, number) not in self.pages:
            entries = {}
            if number in self.page_keys[tree]:
                generation, key = self.page_keys[tree][number]
                name = f"keys/{'hr'[tree]}-{number:08x}"
                for tag, value in self.box(name, 2 + tree, key, generation, number):
                    if tag == tree + 1:
                        entries[self.entry(value, name)] = value[9:]
            self.pages[tree, number] = entries
        return self.pages[tree, number]

    def leaf(self, tree, ino):
        """The seed of an inode number, None when it was destroyed."""
        for depth in range(13):
            at = (depth, ino >> 4 * (12 - depth))
            seed = (self.entries[tree] if depth <= 8 else self.page(tree, ino >> 16)).get(at)
            if seed is None:
                continue
            for level in range(depth, 12):
                seed = mac(seed, b"coffer/1 tree", bytes([ino >> 4 * (11 - level) & 15]))
            return seed
        return None

    def payload_key(self, ino, mount, salt):
        """(key, cipher, commitment), or None when what it comes from was destroyed."""
        found = self.payload.get((ino, mount))
        if not found:
            if ino not in self.leaves:
                h, r = self.leaf(0, ino), self.leaf(1, ino)
                self.leaves[ino] = h and r and hkdf(None, h + r, b"coffer/1 file key" + u64(ino))
            if not self.leaves[ino]:
                return None
            what = self.conf.id + u64(ino) + u32(mount)
            key = hkdf(salt, self.leaves[ino], b"coffer/1 payload key" + what)
            found = key, AESGCM(key), mac(key, b"coffer/1 commitment", what)
            self.payload[ino, mount] = found
        return found


# ---- frames (section 3) ----

class Frame:
    __slots__ = ("type", "flags", "sequence", "object", "position", "length", "stored", "counter",
                 "mount", "actor", "retention", "record", "payload_hash", "tag", "public_length",
                 "header", "segment", "offset", "public", "chunks", "where")

    def __init__(self, header, segment, offset):
        (magic, self.type, version, self.flags, self.sequence, self.object, self.position,
         self.length, self.stored, self.counter, self.mount, self.actor, self.retention,
         self.record, self.payload_hash, self.tag, self.public_length,
         check) = HEADER.unpack(header)
        self.header, self.segment, self.offset = header, segment, offset
        self.where = f"log/{segment:08x}.seg, offset {offset}: frame {self.sequence}"
        need(magic == b"COFR", f"log/{segment:08x}.seg, offset {offset}: no frame begins here")
        need(check == crc32c_124(header), self.where, "has a wrong check")
        need(version == 1 and self.type, self.where, "is of a version or type that is not known")
        need(not self.flags & ~1, self.where, "has unknown flags")
        need(self.length <= LIMIT and self.public_length <= LIMIT, self.where, "is too long")
        need(self.stored == self.public_length + self.length + 16 * self.count(), self.where,
             "has lengths that do not fit each other")
        need(self.length or not self.counter, self.where, "has a counter and no chunk")
        need(not self.flags or self.public_length >= 32, self.where, "has no room for its commitment")

    def count(self):
        return (self.length + CHUNK - 1) // CHUNK

    def take(self, payload):
        self.public, self.chunks = payload[:self.public_length], []
        at = self.public_length
        for k in range(self.count()):
            n = min(CHUNK, self.length - k * CHUNK) + 16
            self.chunks.append(payload[at:at + n])
            at += n
        entries = ([self.public] if self.public else []) + self.chunks
        need(tree_head(entries) == self.payload_hash, self.where, "has a payload that was altered")

    def open(self, cipher, archive_id):
        out, digest = [], sha256(self.public)
        head = archive_id + struct.pack("<BBHIQQI", self.type, 1, self.flags, self.mount,
                                        self.object, self.position, self.length)
        for k, sealed in enumerate(self.chunks):
            aad = head + u32(k) + u64(self.counter) + digest
            try:
                out.append(cipher.decrypt(u32(self.mount) + u64(self.counter + k), sealed, aad))
            except InvalidTag:
                raise Wrong(f"{self.where} does not decrypt (chunk {k})") from None
        return b"".join(out)

    def rest(self):
        """The public part behind the commitment."""
        return self.public[32:] if self.flags & 1 else self.public


def zeros(data):
    return not data.strip(b"\0")


def frames(store, conf):
    """All frames in order, and that nothing else is in log/."""
    names = sorted(n for n in os.listdir(os.path.join(store, "log")) if not n.endswith(".new"))
    need(names, "log/ is empty")
    for i, name in enumerate(names):
        need(name == f"{i:08x}.seg", "log/ has", name, f"where {i:08x}.seg should be")
    ended = False
    for i, name in enumerate(names):
        data = read_file(store, "log/" + name, conf.segment)
        at = 0
        while at + 4 <= len(data) and data[at:at + 4] != bytes(4):
            need(not ended, f"log/{name} has frames behind a segment that ended the log")
            need(at + 128 <= len(data), f"log/{name}, offset {at}: a frame is cut short")
            f = Frame(data[at:at + 128], i, at)
            need(at + 128 + f.stored <= len(data), f.where, "is cut short")
            f.take(data[at + 128:at + 128 + f.stored])
            yield f
            at += 128 + f.stored
        need(zeros(data[at:]), f"log/{name}, offset {at}: something lies behind the last frame")
        # Only behind the last frame of all may a segment be wholly zero.
        ended = ended or at == 0


# ---- files ----

class Node:
    def __init__(self, ino, kind, parent, name, mode, uid, gid):
        self.ino, self.kind, self.parent, self.name = ino, kind, parent, name
        self.mode, self.uid, self.gid = mode, uid, gid
        self.children, self.size, self.target = {}, 0, b""
        self.digest, self.pieces = hashlib.sha256(), []
        self.state, self.until, self.xattrs, self.readable = "open", None, {}, True
        self.least, self.follows, self.certificates = None, None, []


class Holds:
    """Which legal holds cover which inode (section 4)."""

    def __init__(self):
        self.in_force, self.ever, self.of = {}, 0, {}

    def take(self, f, v, private, names):
        hold = f.sequence if v[96] == 1 else v.get(97)
        need(v[96] in (1, 2, 3, 4) and hold is not None, f.where, "is a malformed hold")
        if v[96] == 1:
            need(98 in v and 99 in private, f.where, "begins a hold of nothing")
            self.in_force[hold] = {"case": private[99].decode("utf-8", "strict"), "laid": False}
            self.ever += 1
        need(hold in self.in_force, f.where, "is about a hold that is not in force")
        raw = v.get(98, b"")
        need(len(raw) % 16 == 0, f.where, "has malformed ranges")
        for first, count in struct.iter_unpack("<QQ", raw):
            need(count <= 256, f.where, "covers too much")
            for ino in range(first, first + count):
                names.get(ino, f)
                self.of.setdefault(ino, set()).add(hold)
        if v[96] == 3:
            need(112 in v, f.where, "ends a hold without a request")
            del self.in_force[hold]
        elif v[96] == 4:
            need(107 in v and 108 in v and 109 in v, f.where, "lacks its counts")
            self.in_force[hold]["laid"] = True

    def go_with(self, f, v):
        ids = v.get(100, b"")
        need(len(ids) % 8 == 0, f.where, "has malformed holds")
        for (hold,) in struct.iter_unpack("<Q", ids):
            need(hold < f.sequence, f.where, "has a hold of later")
            self.of.setdefault(f.object, set()).add(hold)

    def on(self, ino):
        return len(self.of.get(ino, set()) & set(self.in_force))


class Names:
    """The tree of names, as the frames make it (section 4)."""

    def __init__(self):
        self.nodes = {1: Node(1, DIRECTORY, 0, b"", 0o755, 0, 0)}
        self.last_ino = 1
        self.latest, self.longest = NEVER, 0  # end and validity of all certificates

    def get(self, ino, f, kind=None):
        need(ino in self.nodes, f.where, "is about inode", ino, "which is not there")
        n = self.nodes[ino]
        need(kind in (None, n.kind), f.where, "is about an inode of another kind")
        return n

    def free(self, n):
        parent = self.nodes[n.parent]
        del parent.children[n.name]
        del self.nodes[n.ino]

    def create(self, f, v):
        need(self.last_ino < f.object < 1 << 48, f.where, "creates an inode number that is used up")
        parent = self.get(v[1], f, DIRECTORY)
        need(v[3] in (FILE, DIRECTORY, SYMLINK), f.where, "creates an unknown kind")
        need(parent.ino != 1 or v[3] == DIRECTORY, f.where, "creates what is no shelf in the root")
        need(v[2] not in parent.children, f.where, "creates a name that exists")
        need(b"/" not in v[2] and b"\0" not in v[2] and v[2] not in (b".", b".."), f.where,
             "creates a name that cannot be")
        need((v[3] == SYMLINK) == (7 in v), f.where, "has a target, or lacks one")
        need(v[4] <= 0o7777, f.where, "has a malformed mode")
        n = Node(f.object, v[3], parent.ino, v[2], v[4], v[5], v[6])
        n.target = v.get(7, b"")
        self.nodes[n.ino] = parent.children[n.name] = n
        self.last_ino = n.ino

    def rename(self, f, v):
        n, old, new = self.get(f.object, f), self.get(v[1], f), self.get(v[9], f, DIRECTORY)
        need(old.children.get(v[2]) is n, f.where, "renames from a name that is another's")
        there = new.children.get(v[10])
        if there:
            need(there is not n and there.kind == n.kind and not there.children and
                 not there.size, f.where, "replaces something that is not empty")
            self.free(there)
        up = new
        while up.ino != 1:
            need(up is not n, f.where, "moves a directory into itself")
            up = self.nodes[up.parent]
        del old.children[n.name]
        n.parent, n.name = new.ino, v[10]
        new.children[n.name] = n

    def remove(self, f, v):
        n = self.get(f.object, f)
        need(n.parent == v[1] and n.name == v[2], f.where, "removes another name")
        need(not n.children, f.where, "removes a directory that is not empty")
        self.free(n)

    def append(self, f, length, plain):
        n = self.get(f.object, f, FILE)
        need(n.state == "open", f.where, "appends to a committed file")
        need(f.position == n.size, f.where, "does not begin where the file ended")
        need(0 < length < 1 << 63, f.where, "has no length")
        n.size += length
        n.pieces.append((f, length) if f.type == HOLE else (f, None))
        if plain is None and f.type == APPEND:
            n.readable = False
        elif f.type == APPEND:
            n.digest.update(plain)
        else:
            for at in range(0, length, LIMIT):
                n.digest.update(bytes(min(LIMIT, length - at)))

    def commit(self, f, v):
        n = self.get(f.object, f, FILE)
        need(n.state == "open" and f.position == n.size, f.where, "commits another length")
        n.state, n.mode = "committed", v.get(4, n.mode)
        n.until = v.get(24, n.until)
        n.least, n.follows = v.get(103), (f.retention, v[163]) if 163 in v else None
        self.latest = max(self.latest, v.get(161, self.latest))
        self.longest = max(self.longest, v.get(162, 0))

    def end(self, n):
        """When it ends: what was granted, what is demanded, and what certificates demand of what follows them."""
        if n.until in (None, NEVER):
            return n.until
        ends = [n.until] + ([n.least] if n.least is not None else [])
        if n.follows:
            ends += [self.latest + n.follows[1]] if self.latest != NEVER else []
            ends += [n.follows[0] + self.longest] if self.longest else []
        return min(max(ends), (1 << 63) - (2 if n.until != (1 << 63) - 1 else 1))

    def attr(self, f, v):
        n = self.get(f.object, f)
        n.mode, n.uid, n.gid = v.get(4, n.mode), v.get(5, n.uid), v.get(6, n.gid)
        if 11 in v:
            n.xattrs[v[11]] = v.get(12, b"")

    def walk(self):
        todo = [(b"", self.nodes[1])]
        while todo:
            path, n = todo.pop()
            if n.ino != 1:
                yield path, n
            below = path + b"/" if path else b""
            todo += [(below + name, n.children[name]) for name in sorted(n.children, reverse=True)]


# ---- the whole store ----

NO_OBJECT = {ARCHIVE, MOUNT, UNMOUNT, RECOVERY, ACTOR, PAD, CHECKPOINT, HEARTBEAT, CLOCK, STAMP, POLICY, PEOPLE, REQUEST, APPROVAL}
POSITIONED = {ACTOR, APPEND, HOLE, COMMIT, CHECKPOINT, STAMP}
KNOWN = set(range(1, 18)) | {POLICY, PEOPLE, REQUEST, APPROVAL, CLOCK, STAMP, SHELF}
REQUIRED = {CREATE: (1, 2, 3, 4, 5, 6), RENAME: (1, 2, 9, 10), REMOVE: (1, 2), EVENT: (32,)}


class Store:
    """All of it: reading once from the first frame to the last, and what must hold at the end."""

    def __init__(self, path, key_file, auditor):
        self.path, self.conf = path, Conf(path)
        self.keys = Keys(path, self.conf, key_file)
        self.tree, self.names = Tree(), Names()
        self.note = Note(read_file(path, "checkpoint", 65536), self.conf, "checkpoint")
        self.size, self.bytes, self.tail, self.opaque, self.destroyed = 0, 0, 0, 0, 0
        self.stamps, self.proven = 0, -1 << 63
        self.mount, self.salt, self.epoch, self.actors = 0, None, None, 0
        self.lineage, self.anchor = None, (None, 0)
        self.counters, self.committed, self.events, self.salts = {}, set(), 0, {}
        self.holds, self.waits = Holds(), {}
        self.policies = {}  # of shelves: SHA-256
        self.people = second_people.Judge(self.conf.id, self.tree.root)
        self.policy_digests = 0  # EVENT frames with a digest of all of them
        self.openers = []  # what EVENT frames say of openers
        self.last_note, self.clean, self.owes_recovery, self.previous = 0, True, False, None
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
            if f.sequence >= self.note.size and f.type not in (CHECKPOINT, COSIGN):
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
        elif f.type == ACTOR:
            fields(plain, f.where)
            self.actors += 1
            need(f.position == self.actors, f.where, "is not the next actor")
        elif f.type in (APPEND, HOLE):
            self.stretch(f, plain)
        elif f.type == RECOVERY:
            self.check_aside(f, fields(f.rest(), f.where, 58))
        elif f.type in (CREATE, RENAME, REMOVE, ATTR, EVENT):
            v = fields(plain, f.where, *REQUIRED.get(f.type, ()))
            self.events += f.type == EVENT
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
        elif f.type != PAD:
            fields(f.rest(), f.where)

    def judge_people(self, f):
        """Section 9, from the public part alone."""
        if f.type in (POLICY, PEOPLE, REQUEST, APPROVAL, SHELF, CLOCK):
            self.people.proven = max(0, self.proven)
            self.people.take(f, f.record, list(split_fields(f.rest(), f.where)))

    def decrypt(self, f):
        """The private part; None when the key was destroyed."""
        if f.length:
            taken = self.counters.setdefault(f.mount, [])
            taken.append((f.counter, f.count()))
        ino = f.object if f.type == APPEND else 0
        if not f.length and not f.flags:
            return b""
        key = self.keys.payload_key(ino, f.mount, self.salt)
        if not key:
            self.destroyed += 1
            return None
        if f.type == APPEND and (ino, f.mount) not in self.committed:
            need(f.flags & 1, f.where, "is the first of its file and mount and has no commitment")
            self.committed.add((ino, f.mount))
        need(not f.flags or f.public[:32] == key[2], f.where, "has a wrong key commitment")
        return f.open(key[1], self.conf.id)

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
        need(v[74] >= 0 and v[73] + v[74] >= self.proven, f.where, "is dated before an earlier proof")
        if 77 in v:
            self.proven = max(self.proven, v[73] - v[74])
        self.stamps += 1

    def finish(self):
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
            "opaque": s.opaque, "destroyed": s.destroyed, "stamps": s.stamps, "seal_checked": bool(s.secrets),
            "requests": len(s.people.requests), "signatures": s.people.signatures, "not_permitted": s.people.not_permitted,
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
    auditor = None
    if args.auditor_secret:
        with open(args.auditor_secret, "rb") as f:
            auditor = f.read(4096)
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
