# SPDX-License-Identifier: Apache-2.0
"""Of the second reader: from a key file to the keys of frames, and what happened to openers (docs/format.md 7)."""
import os
import re
import struct

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from second_format import Wrong, hkdf, mac, need, read_file, sha256, split_fields, u32, u64, u64_at


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
