#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Forged evidence bundles, each with one defect and with manifests that fit.

    evidence-forge.py BUNDLE DIR TESTS     from a bundle with one file; and from a log of its own, which it signs itself

Writes DIR/f-NAME.tar and prints for each NAME, the exit code that a verifier without keys has to have, and a word of the
sentence that tells what is wrong (or -). Needs python3-cryptography.
"""
import base64
import hashlib
import json
import re
import struct
import sys
import tarfile

sys.path.insert(0, sys.argv[3])
import second_evidence as s  # noqa: E402

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402
from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: E402
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: E402

mtime = 0


def write(name, entries, code=13, word="-"):
    """A bag of these entries, with the tags that belong to them."""
    out, lines, tags, octets, count = b"", b"", b"", 0, 0
    entries = [e for e in entries if e[0].startswith("data/") or e[0] == "bagit.txt"]
    about = json.loads(dict(entries)["data/bundle.json"])
    for path, data in entries:
        line = f"{hashlib.sha256(data).hexdigest()}  {path}\n".encode()
        if path.startswith("data/"):
            lines, octets, count = lines + line, octets + len(data), count + 1
        else:
            tags += line
    info = (f"Bagging-Date: {about['created'][:10]}\nBag-Software-Agent: coffer\nExternal-Identifier: coffer:{about['archive']}:"
            f"{about['disclosure']}\nPayload-Oxum: {octets}.{count}\nSource-Organization: {about['origin']}\n").encode()
    for path, data in (("manifest-sha256.txt", lines), ("bag-info.txt", info)):
        tags += f"{hashlib.sha256(data).hexdigest()}  {path}\n".encode()
        entries.append((path, data))
    entries.append(("tagmanifest-sha256.txt", tags))
    for path, data in entries:
        out += s.header("coffer-evidence/" + path, len(data), mtime) + data + bytes(-len(data) % 512)
    out += bytes(1024)
    with open(f"{sys.argv[2]}/f-{name}.tar", "wb") as f:
        f.write(out + bytes(-len(out) % 10240))
    print(name, code, word)


def flip(at):
    return lambda d: d[:at % len(d)] + bytes([d[at % len(d)] ^ 1]) + d[at % len(d) + 1:]


def of_bundle():
    """What is there, changed."""
    global mtime
    t = tarfile.open(sys.argv[1])
    whole = [(m.name[16:], t.extractfile(m).read()) for m in t.getmembers()]
    mtime = int(t.getmembers()[0].mtime)
    key = json.loads(dict(whole)["data/files/1/file.json"])["keys"][0]["key"]

    def changed(name, match, how, word="-", only=None):
        write(name, [(p, how(d) if match in p and (only is None or only == p) else d) for p, d in whole], 13, word)

    def other_hash(d):
        lines = d.split(b"\n")
        lines[2] = base64.b64encode(bytes([base64.b64decode(lines[2])[0] ^ 1]) + base64.b64decode(lines[2])[1:])
        return b"\n".join(lines)

    def later(d):  # the last header's record time, its check made good
        p = bytearray(d)
        p[32 + 64] ^= 1
        p[32 + 124:32 + 128] = struct.pack("<I", s.crc32c(bytes(p[32:32 + 124])))
        return bytes(p)

    frames = sorted(p for p, d in whole if p.endswith(".frames"))
    big = max((len(d), p) for p, d in whole if p.endswith(".frames"))[1]
    write("same", whole, 11)
    changed("content", "/content/", flip(3), "content")
    changed("frames", ".frames", flip(32 + 80), "frame")
    changed("time", ".frames", later, "log")
    changed("public", ".frames", flip(-1), "payload", frames[-1])
    changed("sealed", ".frames", flip(-10), "payload", big)
    changed("proof", ".tlog-proof", lambda d: d.replace(b"\nindex ", b"\nindex 1"), "proof")
    changed("hash", ".tlog-proof", other_hash, "log", frames[-1][:-7] + ".tlog-proof")
    changed("checkpoint", "data/checkpoint", lambda d: d.replace(b"\n", b"\n1", 1), "checkpoint")
    changed("size", "file.json", lambda d: re.sub(rb'"size":([0-9])', rb'"size":9\1', d))
    changed("key", "file.json", lambda d: d.replace(key.encode(), ("0" * 64).encode()), "key")
    changed("archive", "bundle.json", lambda d: d.replace(d[d.index(b'"archive":"') + 11:][:32], b"0" * 32))
    write("missing", [(p, d) for p, d in whole if not p.startswith(big[:-7]) and "first" not in p], 13, "frame")
    write("twice", [e for e in whole for _ in range(1 + (e[0] == "data/checkpoint"))])
    write("extra", whole[:-3] + [("data/files/1/more", b"x")] + whole[-3:])
    write("order", whole[:2] + [whole[3], whole[2]] + whole[4:])


# ---- a log of its own ----

class Log:
    """Frames of one file, and a bundle of all of them: each in a run of its own, or all in one."""

    def __init__(self):
        self.sign = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        raw = b"\1" + self.sign.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.id = hashlib.sha256(b"forged/log\n" + raw).digest()[:4]
        self.vkey = f"forged/log+{self.id.hex()}+{base64.b64encode(raw).decode()}"
        self.archive, self.key, self.frames = bytes(16), bytes(range(100, 132)), []
        self.conf = f"[archive]\nformat = 1\nid = {self.archive.hex()}\norigin = forged/log\nvkey = {self.vkey}\nsegment_size = 65536\n" \
            "created = 2031-01-01T00:00:00.000Z\nflags = 0\n"

    def commitment(self, key=None, ino=5, mount=1):
        return s.second_cipher.hmac_sha256(key or self.key, b"coffer/1 commitment" + self.archive + struct.pack("<QI", ino, mount))

    def add(self, kind, ino=0, position=0, public=b"", plain=b"", mount=1, flags=0, key=None, sequence=None, counter=None):
        n, chunks = len(self.frames), [plain[i:i + 65536] for i in range(0, len(plain), 65536)]
        sequence, counter = n if sequence is None else sequence, (1000 * n if chunks else 0) if counter is None else counter
        sealed = [AESGCM(key or self.key).encrypt(
            struct.pack("<IQ", mount, counter + k), p,
            self.archive + struct.pack("<BBHIQQIIQ", kind, 1, flags, mount, ino, position, len(plain), k, counter) + s.sha256(public))
            for k, p in enumerate(chunks)]
        leaves = [s.sha256(b"\0", p) for p in ([public] if public else []) + sealed]
        head = struct.pack("<IBBHQQQIIQIIqq32s16sI", 0x52464f43, kind, 1, flags, sequence, ino, position, len(plain),
                           len(public) + len(plain) + 16 * len(chunks), counter, mount, 0, 10**18 + n, 10**18 + n, s.tree(leaves), bytes(16), len(public))
        head += struct.pack("<I", s.crc32c(head))
        body = public + b"".join(sealed) if kind == s.APPEND else public + b"".join(leaves[bool(public):])
        self.frames.append((sequence, head, body))
        return self

    def start(self):
        return self.add(s.ARCHIVE, public=self.conf.encode(), mount=0).add(s.CREATE, 5, plain=b"names")

    def append(self, text, position=0, **more):
        more.setdefault("public", self.commitment())
        return self.add(s.APPEND, 5, position, plain=text, flags=1 if more["public"] else 0, **more)

    def commit(self, position, **more):
        return self.add(s.COMMIT, 5, position, public=b"\x18\x08\x00" + struct.pack("<q", 2 * 10**18), **more)

    def bundle(self, name, content, code=13, word="-", keys=None, leave=(), tree=None, split=False, ino=5):
        leaf, leaves, previous = bytes(32), [], []
        for _, head, _ in self.frames:
            previous.append(leaf)
            leaf = s.sha256(b"\0", head, leaf)
            leaves.append(leaf)
        n = tree or len(leaves)
        text = f"forged/log\n{n}\n{base64.b64encode(s.tree(leaves[:n])).decode()}\n".encode()
        note = text + b"\n\xe2\x80\x94 forged/log " + base64.b64encode(self.id + self.sign.sign(text)) + b"\n"
        about = {"archive": self.archive.hex(), "created": "2031-01-02T00:00:00.000Z", "disclosure": 9, "files": 1, "format": "coffer-evidence/1",
                 "log": self.vkey, "origin": "forged/log", "tree": n, "vaults": []}
        file = {"actors": [], "ino": ino, "keys": [{"key": k.hex(), "mount": m} for m, k in (keys if keys is not None else {1: self.key}).items()],
                "path": "a/b", "size": len(content), "state": "committed"}
        canonical = [json.dumps(o, sort_keys=True, separators=(",", ":")).encode() + b"\n" for o in (about, file)]
        entries = [("bagit.txt", b"BagIt-Version: 1.0\nTag-File-Character-Encoding: UTF-8\n"), ("data/README.txt", b"forged\n"),
                   ("data/bundle.json", canonical[0]), ("data/checkpoint", note), ("data/files/1/file.json", canonical[1]),
                   ("data/files/1/content/b", content)]
        runs = []
        for i in range(len(self.frames)):
            if i in leave:
                continue
            if runs and runs[-1][-1] == i - 1 and not split:
                runs[-1].append(i)
            else:
                runs.append([i])
        for run in runs:
            last = run[-1]
            entries.append((f"data/files/1/{self.frames[last][0]:020}.frames", previous[run[0]] + b"".join(self.frames[i][1] + self.frames[i][2] for i in run)))
            hashes = "".join(base64.b64encode(h).decode() + "\n" for h in path(last, leaves[:n])) if last < n else ""
            entries.append((f"data/files/1/{self.frames[last][0]:020}.tlog-proof", f"c2sp.org/tlog-proof@v1\nindex {last}\n{hashes}\n".encode() + note))
        write(name, entries, code, word)


def path(m, leaves):
    """RFC 6962 2.1.1"""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return path(m, leaves[:k]) + [s.tree(leaves[k:])] if m < k else path(m - k, leaves[k:]) + [s.tree(leaves[:k])]


def of_log():
    a, b = b"one " * 20000, b"two"
    log = Log().start().append(a).append(b, len(a), public=b"").commit(len(a) + 3)
    log.bundle("log", a + b, 11)
    log.bundle("log-split", a + b, 11, split=True)
    log.bundle("log-left-out", a, leave=(3,))  # the commit says how long it was
    log.bundle("log-no-create", a + b, leave=(1,))
    log.bundle("log-no-archive", a + b, leave=(0,))
    log.bundle("log-behind", a + b, word="checkpoint", tree=4)
    log.bundle("log-other-file", a + b, ino=6, word="file")
    log.bundle("log-key-too-many", a + b, keys={1: log.key, 2: log.key}, word="key")
    log.bundle("log-no-key", a + b, keys={}, word="key")
    Log().start().append(a, public=b"").commit(len(a)).bundle("log-uncommitted-key", a, word="commit")
    other = Log()
    other.start().append(a, public=other.commitment(bytes(32))).commit(len(a)).bundle("log-other-commitment", a, word="commit")
    Log().start().append(a).append(b, len(a) + 1).commit(len(a) + 4).bundle("log-gap", a + b"x" + b)
    Log().start().append(a).append(b, len(a) - 1).commit(len(a) + 2).bundle("log-overlap", a[:-1] + b + b"x")
    Log().start().append(a).commit(len(a)).append(b, len(a)).bundle("log-after-commit", a + b, word="grow")
    Log().start().append(a).add(s.CREATE, 5).commit(len(a)).bundle("log-made-twice", a, word="once")
    Log().start().append(a).commit(len(a) - 1).bundle("log-commits-less", a)
    Log().start().append(a).add(s.EXTEND, 7, public=b"\x18\x08\x00" + bytes(8)).commit(len(a)).bundle("log-of-others", a, word="not of this file")
    Log().start().add(s.HOLE, 5, 0, public=struct.pack("<Q", 70000)).append(b, 70000).commit(70003).bundle("log-hole", bytes(70000) + b, 11)
    Log().start().add(s.HOLE, 5, 0, public=struct.pack("<Q", 1 << 62)).commit(1 << 62).bundle("log-endless-hole", b"x", keys={})
    Log().start().append(a).append(b, len(a), sequence=2).commit(len(a) + 3).bundle("log-sequence", a + b, word="place")
    Log().start().append(a).append(b, len(a) + 5).commit(len(a) + 3).bundle("log-moved", a + b, word="go on")
    Log().start().append(b).commit(3, counter=4).bundle("log-counter", b, word="counter")
    Log().start().append(b, counter=(1 << 64) - 1).commit(3).bundle("log-counter-over", b, word="counter")
    Log().start().commit(0).bundle("log-empty", b"", 11, keys={})


of_bundle()
of_log()
