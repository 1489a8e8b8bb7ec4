# SPDX-License-Identifier: Apache-2.0
"""Of the second reader: what the bytes of a store mean without keys: archive.conf, notes, the tree, fields, frames (docs/format.md 2 to 6)."""
import base64
import hashlib
import hmac
import os
import re
import struct

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CHUNK, LIMIT = 65536, 1 << 20
(ARCHIVE, MOUNT, UNMOUNT, RECOVERY, ACTOR, CREATE, APPEND, HOLE, PAD, COMMIT, EXTEND, RENAME, REMOVE,
 ATTR, EVENT, CHECKPOINT, HEARTBEAT) = range(1, 18)
POLICY, PEOPLE, REQUEST, APPROVAL, HOLD, DESTROY, RECEIPT = 18, 19, 20, 21, 22, 23, 24
COSIGN, CLOCK, STAMP, SHELF, ESCROW, VAULT, CEREMONY = 25, 26, 27, 29, 30, 31, 32
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


class Cosignature:
    """The vault's line under a note (C2SP cosignature/v1), checked with the key that the frame names."""

    def __init__(self, raw, vkey, where):
        body, _, signatures = raw.rpartition(b"\n\n")
        self.name, number, key = (vkey.decode("utf-8", "strict").split("+", 2) + ["", ""])[:3]
        key = unbase64(key, where + ": the vault's key")
        need(len(key) == 33 and key[0] == 4 and number == key_id(self.name, 4, key[1:]).hex(), where, "names no vault's key")
        self.key, self.time = key[1:], None
        for line in signatures[:-1].split(b"\n"):
            m = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", line.decode("utf-8", "replace"))
            blob = unbase64(m.group(2), where + ": a signature")
            if m.group(1) != self.name or blob[:4] != key_id(self.name, 4, self.key):
                continue
            need(len(blob) == 76, where, "has a malformed cosignature")
            self.time = int.from_bytes(blob[4:12], "big")
            try:
                Ed25519PublicKey.from_public_bytes(self.key).verify(
                    blob[12:], b"cosignature/v1\ntime %d\n" % self.time + body + b"\n")
            except InvalidSignature:
                raise Wrong(f"{where}: the vault's cosignature is wrong") from None
        need(self.time is not None, where, "is not signed by the vault that it names")


# ---- fields ----

TEXT = None
SIZES = {234: 8, 235: 8, 253: 8, 1: 8, 3: 1, 4: 4, 5: 4, 6: 4, 8: 8, 9: 8, 16: 4, 17: 4, 20: 8, 24: 8, 25: 8, 34: 4, 37: 8,
         38: 8, 39: 8, 48: 32, 49: 32, 50: 16, 51: 8, 52: 8, 53: 4, 56: 4, 57: 8, 58: 8, 59: 32,
         65: 8, 66: 8, 67: 8, 68: 12, 69: 8, 71: 8, 73: 8, 74: 8, 77: 32, 79: 25,
         96: 1, 97: 8, 102: 8, 103: 8, 104: 1, 105: 8, 106: 8, 107: 8, 108: 8, 109: 8, 110: 8, 112: 32,
         161: 8, 162: 8, 163: 8, 123: 8, 124: 8, 214: 4, 215: 4, 231: 32, 232: 1, 233: 1}
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
            signed = tag in (8, 24, 25, 38, 39, 51, 66, 67, 73, 74, 102, 103, 105, 106, 110, 161, 162, 163, 123, 124)
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


# ---- frames (section 3) ----

class Frame:
    __slots__ = ("type", "flags", "sequence", "object", "position", "length", "stored", "counter",
                 "mount", "actor", "retention", "record", "payload_hash", "tag", "public_length",
                 "header", "segment", "offset", "public", "chunks", "where", "ended")

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
        self.ended = tree_head(entries) != self.payload_hash
        self.need_payload(not self.ended or self.type == APPEND)  # of a file that was destroyed later: see second_reader.py

    def need_payload(self, there):
        need(there, self.where, "has a payload that was altered")

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
