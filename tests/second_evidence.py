#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A second verifier of evidence bundles, written from docs/evidence.md alone.

    second_evidence.py FILE.tar [--log-key KEY] [--vault-key KEY]... [--json]

Needs Python 3.9; without python3-cryptography it takes the ciphers from second_cipher.py beside it, which are slow. Exit
codes: 0 proven by a vault whose key was given, 1 a format that is not known, 10 signed by the log alone, 11 the keys are only claimed, 13 tampered, 14
signed by none of the keys that were given, 15 no bundle, 2 misuse. Memory does not grow with the files.
"""
import argparse
import base64
import binascii
import hashlib
import json
import re
import struct
import sys

import second_cipher  # beside this file

PROVEN, SELF_SIGNED, CLAIMED, TAMPERED, WRONG_KEY, NO_BUNDLE = 0, 10, 11, 13, 14, 15
BLOCK, RECORD, CHUNK = 512, 10240, 65536
BAG = "coffer-evidence/"
ARCHIVE, CREATE, APPEND, HOLE, COMMIT, EXTEND, HOLD, COSIGN, STAMP = 1, 6, 7, 8, 10, 11, 22, 25, 27
NAME = re.compile(r"[A-Za-z0-9._/-]{1,99}")
LABEL = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,59}")


class Wrong(Exception):
    """What is wrong, and where."""


class Unknown(Exception):
    """A format that this program does not know."""


class NoBundle(Exception):
    """It does not begin as one."""


def need(ok, *words):
    if not ok:
        raise Wrong(" ".join(str(w) for w in words))


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


# ---- the tar ----

def octal(digits, value):
    return b"%0*o\0" % (digits, value)


def header(name, size, mtime):
    """The one form of a header."""
    big = size >= 1 << 33
    fields = [name.encode().ljust(100, b"\0"), octal(7, 0o644), octal(7, 0), octal(7, 0),
              b"\x80\0\0\0" + struct.pack(">Q", size) if big else octal(11, size), octal(11, mtime), b" " * 8, b"0", bytes(100),
              b"ustar\x0000", bytes(64), octal(7, 0), octal(7, 0), bytes(167)]
    block = b"".join(fields)
    return block[:148] + octal(6, sum(block)) + b" " + block[156:]


class Tar:
    """Entries in order; every byte is looked at."""

    def __init__(self, file):
        self.file, self.at, self.mtime, self.peeked = file, 0, None, None
        file.seek(0, 2)
        self.size = file.tell()
        file.seek(0)

    def take(self, n):
        p = self.file.read(n)
        need(len(p) == n, "it ends at byte", self.size, "in the middle of something")
        self.at += n
        return p

    def peek(self):
        """(name, size), or None at the end."""
        if self.peeked is None:
            block = self.take(BLOCK)
            if block == bytes(BLOCK):
                self.at -= BLOCK
                self.file.seek(self.at)
                return None
            where = f"byte {self.at - BLOCK}:"
            name = block[:99].split(b"\0")[0].decode("ascii", "replace")
            digits = block[136:147]
            need(re.fullmatch(rb"[0-7]{11}", digits), where, "no header")
            mtime = int(digits, 8)
            if block[124] & 0x80:
                size = struct.unpack(">Q", block[128:136])[0]
            else:
                need(re.fullmatch(rb"[0-7]{11}", block[124:135]), where, "no header")
                size = int(block[124:135], 8)
            need(NAME.fullmatch(name) and name[0] != "/" and "//" not in name and "/.." not in name, where, "a name that cannot be")
            need(size < 1 << 63 and header(name, size, mtime) == block, where, "no header of the one form")
            need(name.startswith(BAG) and self.mtime in (None, mtime), where, "an entry outside of the bag, or of another date")
            need(-(-size // BLOCK) * BLOCK <= self.size - self.at, name, "is cut off")
            self.mtime, self.peeked = mtime, (name[len(BAG):], size)
        return self.peeked

    def end(self):
        want = -(-(self.at + 2 * BLOCK) // RECORD) * RECORD
        need(self.size == want, "it is", self.size, "bytes long, not", want)
        while self.at < self.size:
            need(self.take(BLOCK) == bytes(BLOCK), "bytes stand behind its end")


class Entry:
    """One entry while it is read."""

    def __init__(self, tar, name=None):
        got = tar.peek()
        need(got is not None, name or "an entry", "is missing")
        need(name is None or got[0] == name, name, "is missing:", got[0], "is in its place")
        tar.peeked = None
        self.tar, (self.name, self.size) = tar, got
        self.left, self.hash = self.size, hashlib.sha256()

    def read(self, n):
        need(n <= self.left, self.name, "is too short")
        p = self.tar.take(n)
        self.left -= n
        self.hash.update(p)
        return p

    def end(self):
        while self.left:
            self.read(min(self.left, CHUNK))
        pad = -self.size % BLOCK
        need(self.tar.take(pad) == bytes(pad), self.name, "has bytes behind it")
        return self.hash.digest()


# ---- notes and proofs ----

class Key:
    def __init__(self, text):
        m = re.fullmatch(r"([^ +\n]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)", text or "")
        need(m, "a key is malformed")
        self.name, raw = m.group(1), unbase64(m.group(3))
        need(len(raw) == 33 and raw[0] in (1, 4), "a key is of a kind that is not known")
        self.kind, self.public = raw[0], raw[1:]
        self.id = sha256(self.name.encode(), b"\n", raw)[:4]
        need(self.id.hex() == m.group(2), "a key's number is not its own")

    def same(self, other):
        return (self.name, self.kind, self.public) == (other.name, other.kind, other.public)


def unbase64(text):
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Wrong("malformed base64") from None
    need(base64.b64encode(raw).decode() == (text if isinstance(text, str) else text.decode()), "base64 that is not canonical")
    return raw


def signers(note, keys):
    """Of each key None, or the time in seconds (0 of a log's)."""
    at = note.rfind(b"\n\n")
    need(at > 0, "a note without signatures")
    text, found = note[:at + 1], [None] * len(keys)
    for line in note[at + 2:].split(b"\n")[:-1]:
        m = re.fullmatch("\u2014 ([^ +]+) ([A-Za-z0-9+/=]+)", line.decode("utf-8", "replace"))
        need(m, "a signature line that is none")
        raw = unbase64(m.group(2))
        for i, k in enumerate(keys):
            if k.name != m.group(1) or raw[:4] != k.id:
                continue
            if k.kind == 1:
                need(len(raw) == 68 and second_cipher.ed25519_verify(k.public, text, raw[4:]), "a signature of", k.name, "does not hold")
                found[i] = 0
            else:
                need(len(raw) == 76, "a cosignature of another length")
                time = struct.unpack(">Q", raw[4:12])[0]
                signed = b"cosignature/v1\ntime %d\n" % time + text
                need(second_cipher.ed25519_verify(k.public, signed, raw[12:]), "a signature of", k.name, "does not hold")
                found[i] = time
    return found


class Head:
    def __init__(self, note, log):
        need(signers(note, [log]) == [0], "the head is not signed by the log")
        lines = note[:note.rfind(b"\n\n") + 1].decode().split("\n")
        need(len(lines) == 4 and lines[0] == log.name and not lines[3] and re.fullmatch(r"0|[1-9][0-9]{0,18}", lines[1]), "a head that is none")
        self.size, self.root = int(lines[1]), unbase64(lines[2])
        need(len(self.root) == 32, "a root of another length")


class Proof:
    def __init__(self, text):
        m = re.match(rb"c2sp\.org/tlog-proof@v1\nindex (0|[1-9][0-9]{0,18})\n((?:[A-Za-z0-9+/=]{44}\n){0,64})\n", text)
        need(m, "a proof that is none")
        self.index, self.note = int(m.group(1)), text[m.end():]
        self.hashes = [unbase64(line) for line in m.group(2).split(b"\n")[:-1]]
        need(all(len(h) == 32 for h in self.hashes), "a hash of another length")

    def holds(self, leaf, head):
        """RFC 9162 2.1.3.2"""
        if self.index >= head.size:
            return False
        fn, sn, r = self.index, head.size - 1, leaf
        for p in self.hashes:
            if sn == 0:
                return False
            if fn & 1 or fn == sn:
                r = sha256(b"\1", p, r)
                while fn and not fn & 1:
                    fn, sn = fn >> 1, sn >> 1
            else:
                r = sha256(b"\1", r, p)
            fn, sn = fn >> 1, sn >> 1
        return sn == 0 and r == head.root


# ---- frames ----

def tree(leaves):
    if not leaves:
        return sha256(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\1", tree(leaves[:k]), tree(leaves[k:]))


CRC = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
    CRC.append(n)


def crc32c(p):
    c = 0xffffffff
    for b in p:
        c = CRC[(c ^ b) & 255] ^ c >> 8
    return c ^ 0xffffffff


class Frame:
    def __init__(self, raw, where):
        (magic, self.type, self.version, self.flags, self.sequence, self.object, self.position, self.length, self.stored, self.counter,
         self.mount, self.actor, self.retention, self.record, self.hash, _, self.public_length, check) = struct.unpack(
             "<IBBHQQQIIQIIqq32s16sII", raw)
        self.raw, self.where = raw, f"{where}: frame {self.sequence}"
        self.chunks = -(-self.length // CHUNK)
        need(magic == 0x52464f43 and check == crc32c(raw[:124]), where, ": no frame stands where one should")
        need(self.length <= 1 << 20 and self.public_length <= 1 << 20 and
             self.stored == self.public_length + self.length + 16 * self.chunks, self.where, "has lengths that do not fit")
        need(self.counter + self.chunks < 1 << 64 if self.chunks else not self.counter, self.where, "has a counter that cannot be")
        need(not self.flags & 1 or self.public_length >= 32, self.where, "has no room for its commitment")

    def read(self, entry):
        """The body, checked against the payload hash: (public part, sealed chunks or their leaf hashes)."""
        self.public = entry.read(self.public_length)
        leaves, self.sealed = [sha256(b"\0", self.public)] if self.public else [], []
        for k in range(self.chunks):
            if self.type == APPEND:
                self.sealed.append(entry.read(min(CHUNK, self.length - k * CHUNK) + 16))
                leaves.append(sha256(b"\0", self.sealed[-1]))
            else:
                leaves.append(entry.read(32))
        need(tree(leaves) == self.hash, self.where, "has a payload that is not the one of its header")

    def open(self, key, archive):
        for k, sealed in enumerate(self.sealed):
            aad = (archive + struct.pack("<BBHIQQIIQ", self.type, self.version, self.flags, self.mount, self.object, self.position,
                                         self.length, k, self.counter) + sha256(self.public))
            plain = second_cipher.aes_gcm_open(key, struct.pack("<IQ", self.mount, self.counter + k), sealed, aad)
            need(plain is not None, self.where, "does not open with the key that is given")
            yield plain

    def fields(self, where):
        v, at, p = {}, 32 if self.flags & 1 else 0, self.public
        while at < len(p):
            need(len(p) - at >= 3, where, "has a field that is cut")
            tag, n = p[at], p[at + 1] | p[at + 2] << 8
            need(len(p) - at - 3 >= n, where, "has a field that is cut")
            v.setdefault(tag, p[at + 3:at + 3 + n])
            at += 3 + n
        return v


# ---- one file ----

class File:
    def __init__(self, bundle, number):
        self.b, self.prefix = bundle, f"data/files/{number}/"
        self.about = bundle.json(self.prefix + "file.json", 16 << 20)
        self.seen = {"number": number, "path_claimed": self.about.get("path"), "size": self.about.get("size"), "ino": self.about.get("ino")}
        need(isinstance(self.about.get("path"), str) and whole(self.about.get("size"), 0) and whole(self.about.get("ino"), 2),
             self.prefix + "file.json: inode, size or path is missing")
        self.keys, self.used = {}, set()
        last = 0
        for one in self.about.get("keys", []):
            need(isinstance(one, dict) and whole(one.get("mount"), last + 1) and re.fullmatch(r"[0-9a-f]{64}", one.get("key", "")),
                 self.prefix + "file.json: its keys are malformed")
            last = one["mount"]
            self.keys[last] = bytes.fromhex(one["key"])
        self.content, self.position, self.last, self.leaf = hashlib.sha256(), 0, None, None
        self.create = self.commit = None
        self.leaves, self.archive = {}, False
        self.times = {}

    def read(self):
        e = Entry(self.b.tar)
        name = e.name[len(self.prefix):]
        need(e.name.startswith(self.prefix) and name.startswith("content/") and LABEL.fullmatch(name[8:]), "the content should stand at", e.name)
        need(e.size == self.about["size"], e.name, "has another size than file.json says")
        digest = self.b.end(e)
        proven = False
        while (got := self.b.tar.peek()) and got[0].startswith(self.prefix):
            need(not proven, got[0], ": nothing should stand behind the first proof")
            if got[0] == self.prefix + "first.tlog-proof":
                proven = True
                self.first()
            else:
                self.run()
        need(got, "manifest-sha256.txt is missing")
        need(self.archive and self.create is not None, self.prefix, "the frame that made it is missing")
        need(self.position == self.about["size"], self.prefix, "frames are missing")
        need(self.content.digest() == digest, self.prefix, "the content is not what the frames give")
        need(self.used == set(self.keys), self.prefix, "a key opens nothing")
        self.seen["sha256"] = digest.hex()
        self.seen.update(self.times)
        return self.seen

    def run(self):
        e = Entry(self.b.tar)
        self.leaf, first = e.read(32), True
        while e.left or first:
            f = Frame(e.read(128), e.name)
            need(self.last is None or (f.sequence > self.last if first else f.sequence == self.last + 1), f.where, "is not in its place")
            need(f.sequence < self.b.head.size, f.where, "is behind the checkpoint")
            f.read(e)
            self.leaf = sha256(b"\0", f.raw, self.leaf)
            self.last, first = f.sequence, False
            self.take(f)
        need(e.name == f"{self.prefix}{self.last:020}.frames", e.name, "is named by another frame than its last")
        self.b.end(e)
        e = Entry(self.b.tar, f"{self.prefix}{self.last:020}.tlog-proof")
        p = Proof(e.read(min(e.size, 1 << 17)))
        need(p.note == self.b.note, e.name, "leads to another head than the bundle's")
        need(p.index == self.last and p.holds(self.leaf, self.b.head), e.name, "the frames are not in the log at this place")
        self.b.end(e)

    def take(self, f):
        if not self.archive:
            conf = f.public.decode("utf-8", "replace")
            need(f.type == ARCHIVE and f.sequence == 0, f.where, "should be the archive's first")
            need(f"\nid = {self.b.archive.hex()}\n" in conf and f"\nvkey = {self.b.about['log']}\n" in conf, f.where,
                 "names another archive or key than bundle.json")
            self.archive = True
            return
        ours = f.object == self.about["ino"]
        if f.type in (APPEND, HOLE):
            self.piece(f, ours)
        elif f.type == COMMIT:
            need(ours and self.create is not None and self.commit is None and f.position == self.position, f.where, "commits at another size")
            self.commit, self.leaves[f.sequence] = f.sequence, self.leaf
            self.times["committed"] = f.record
        elif f.type == HOLD:
            what = f.fields(f.where).get(96, b"")
            need(len(what) == 1, f.where, "is a hold that says nothing")
        elif f.type == COSIGN:
            self.cosign(f)
        elif f.type != STAMP:
            need(ours, f.where, "is not of this file")
            if f.type == CREATE:
                need(self.create is None, f.where, "makes the file once more")
                self.create, self.leaves[f.sequence] = f.sequence, self.leaf
                self.times["created"] = f.record

    def piece(self, f, ours):
        need(ours and self.create is not None and self.commit is None, f.where, "is not of this file, or not of the time when it could grow")
        n = f.length if f.type == APPEND else struct.unpack("<Q", f.public)[0] if len(f.public) == 8 else 0
        need(f.position == self.position and 0 < n <= self.about["size"] - self.position, f.where, "does not go on where the one before ended")
        self.position += n
        self.times.setdefault("first_write", f.record)
        self.times["last_write"] = f.record
        if f.type == HOLE:
            while n:
                k = min(n, CHUNK)
                self.content.update(bytes(k))
                n -= k
            return
        need(f.mount in self.keys, f.where, "is under a key that is not there")
        key = self.keys[f.mount]
        need(f.mount in self.used or f.flags & 1, f.where, "is the first of its mount, and does not commit to its key")
        if f.flags & 1:
            label = b"coffer/1 commitment" + self.b.archive + struct.pack("<QI", f.object, f.mount)
            need(f.public[:32] == second_cipher.hmac_sha256(key, label), f.where, "commits to another key than the one that is given")
        self.used.add(f.mount)
        for plain in f.open(key, self.b.archive):
            self.content.update(plain)

    def cosign(self, f):
        v = f.fields(f.where)
        vault = Key(v.get(210, b"").decode("utf-8", "replace"))
        found = signers(v.get(64, b""), [self.b.log, vault])
        need(None not in found, f.where, "has a cosignature that does not hold")
        if self.create is None and any(vault.same(k) for k in self.b.vaults):
            self.times["not_before"] = (found[1] - 1) * 10**9

    def first(self):
        e = Entry(self.b.tar)
        p = Proof(e.read(min(e.size, 1 << 17)))
        need(p.index in self.leaves, e.name, "is no proof for this file")
        need(p.holds(self.leaves[p.index], Head(p.note, self.b.log)), e.name, "the file was not in the log at this place")
        times = [t for t in signers(p.note, self.b.vaults) if t]
        if times and p.index == self.commit:
            self.times["existed_at"] = max(times) * 10**9
        self.b.end(e)


def whole(v, least):
    return isinstance(v, int) and not isinstance(v, bool) and v >= least


# ---- the bundle ----

class Bundle:
    def __init__(self, file, log, vaults):
        self.tar, self.given, self.vaults = Tar(file), log, vaults
        self.manifest, self.tags, self.octets, self.count, self.lines = hashlib.sha256(), b"", 0, 0, []

    def end(self, entry):
        digest = entry.end()
        line = f"{digest.hex()}  {entry.name}\n".encode()
        if entry.name.startswith("data/"):
            self.manifest.update(line)
            self.octets, self.count = self.octets + entry.size, self.count + 1
        else:
            self.tags += line
        return digest

    def text(self, name, most):
        e = Entry(self.tar, name)
        need(e.size <= most, name, "is too long")
        p = e.read(e.size)
        self.end(e)
        return p

    def json(self, name, most):
        p = self.text(name, most)
        try:
            o = json.loads(p)
        except ValueError:
            raise Wrong(name + ": it is no JSON") from None
        need(isinstance(o, dict), name, "is no object")
        return o

    def check(self, seen):
        try:
            first = self.tar.peek()
        except Wrong:
            raise NoBundle() from None
        if not first or first[0] != "bagit.txt":
            raise NoBundle()
        need(self.text("bagit.txt", 1024) == b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n", "bagit.txt is another")
        self.text("data/README.txt", 65536)
        self.head_of()
        if self.tar.peek() and self.tar.peek()[0] == "data/stix.json":
            self.text("data/stix.json", 16 << 20)
        for number in range(1, self.about["files"] + 1):
            seen.append(File(self, number).read())
        text = self.text_hash("manifest-sha256.txt")
        need(text == self.manifest.digest(), "manifest-sha256.txt is not the manifest of what is there")
        info = (f"Bagging-Date: {self.about['created'][:10]}\nBag-Software-Agent: coffer\nExternal-Identifier: coffer:{self.about['archive']}:"
                f"{self.about['disclosure']}\nPayload-Oxum: {self.octets}.{self.count}\nSource-Organization: {self.about['origin']}\n")
        need(self.text("bag-info.txt", 65536) == info.encode(), "bag-info.txt is not what follows from the rest")
        tags = self.tags
        need(self.text("tagmanifest-sha256.txt", 65536) == tags, "tagmanifest-sha256.txt is not what follows from the rest")
        self.tar.end()

    def text_hash(self, name):
        return self.end(Entry(self.tar, name))

    def head_of(self):
        self.about = a = self.json("data/bundle.json", 65536)
        if a.get("format") != "coffer-evidence/1":
            raise Unknown()
        need(re.fullmatch(r"[0-9a-f]{32}", a.get("archive", "")) and all(whole(a.get(k), 1) for k in ("tree", "files", "disclosure")) and
             isinstance(a.get("created"), str) and len(a["created"]) >= 10, "data/bundle.json: something is missing or cannot be")
        self.archive, self.log = bytes.fromhex(a["archive"]), Key(a.get("log"))
        need(self.log.kind == 1 and a.get("origin") == self.log.name, "data/bundle.json: the log has another name")
        self.note = self.text("data/checkpoint", 65536)
        self.head = Head(self.note, self.log)
        need(self.head.size == a["tree"], "data/checkpoint is of another size than bundle.json says")
        claimed = [Key(k) for k in a.get("vaults", [])]
        need(None not in signers(self.note, claimed), "data/checkpoint: a signature under it does not hold")
        self.at = max([(t, k.name) for t, k in zip(signers(self.note, self.vaults), self.vaults) if t], default=None)

    def verdict(self):
        log = self.given and self.given.same(self.log)
        if self.given and not log:
            return WRONG_KEY, "the log's key that was given is not the one that signed this"
        if self.at:
            return PROVEN, f"proven by an independent signature of {self.at[1]} at {self.at[0]}"
        if log:
            return SELF_SIGNED, "self-signed: the host could have rewritten this"
        if self.vaults:
            return WRONG_KEY, "none of the keys that were given signed this"
        return CLAIMED, "the keys in it are only claimed"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    p.add_argument("file")
    p.add_argument("--log-key", type=Key)
    p.add_argument("--vault-key", type=Key, action="append", default=[])
    p.add_argument("--json", action="store_true")
    a = p.parse_args()
    seen = []
    with open(a.file, "rb") as file:
        bundle = Bundle(file, a.log_key, a.vault_key)
        try:
            bundle.check(seen)
            code, text = bundle.verdict()
        except NoBundle:
            code, text = NO_BUNDLE, "it does not begin as an evidence bundle does"
        except Unknown:
            code, text = 1, "the bundle is of a format that is not known"
        except (Wrong, UnicodeDecodeError) as wrong:
            code, text = TAMPERED, "tampered: " + str(wrong)
    if a.json:
        print(json.dumps({"code": code, "text": text, "files": seen if code not in (1, TAMPERED) else []}))
    else:
        print(text)
    return code


if __name__ == "__main__":
    sys.exit(main())
