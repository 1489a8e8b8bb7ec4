# SPDX-License-Identifier: Apache-2.0
"""
Damage to a large store, and what `coffer verify` and a mount make of it; tests/e2e/damage.sh calls this.

  damage.py fill DIR SEED ROUND         files below a mounted archive's shelf, for one mount
  damage.py flips SEED COUNT [FIRST]    single flipped bits, spread over every kind of place
  damage.py segments                    segments removed, swapped, doubled, cut, exchanged; bytes where none belong

The environment names what the script made: STORE, MNT, SHELF, KEY, AUDITOR, PRISTINE (a copy of STORE) and
OTHER (a store of another archive). A flip depends on the seed and its number alone: "flips SEED 1 N" repeats
number N. Every flip is judged by verify, and read through a mount where MOUNT_EVERY divides its number
(and wherever a mount has to be refused, which costs little).
"""
import errno
import hashlib
import json
import os
import random
import shutil
import struct
import subprocess
import sys

E = os.environ
HEADER = 128
CHUNK = 65536 + 16
APPEND, HOLE, CHECKPOINT = 7, 8, 16
BLOCK = 131072


class Wrong(Exception):
    pass


def need(true, what):
    if not true:
        raise Wrong(what)


# ---- the store ----


def fill(top, seed, turn):
    """Lines, files of all sizes, holes; some committed, some open."""
    r = random.Random("%s/%s" % (seed, turn))
    fds = {}

    def append(name, data):
        if name not in fds:
            fds[name] = os.open(os.path.join(top, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        need(os.write(fds[name], data) == len(data), "short write")

    os.makedirs(os.path.join(top, "dir-%s" % turn), exist_ok=True)
    for i in range(600):
        append("lines", b"%s %06d %s\n" % (turn.encode(), i, r.randbytes(r.randrange(40)).hex().encode()))
        if i % 8 == 0:
            append("dir-%s/small-%03d" % (turn, i), r.randbytes(r.randrange(1, 4000)))
    for name in ("dir-%s/large-open" % turn, "dir-%s/large-committed" % turn):
        for n in range(12):
            append(name, r.randbytes(r.choice((1 << 20, 300000, 65536, 1 << 20, 1 << 20))))
    append("across", r.randbytes(300000))
    os.ftruncate(fds["across"], os.fstat(fds["across"]).st_size + 100000)
    append("across", r.randbytes(5000))
    for name, fd in fds.items():
        os.close(fd)
        if name.startswith("dir") and ("committed" in name or name.endswith("6")):
            os.chmod(os.path.join(top, name), 0o444)


class Frame:
    def __init__(self, segment, off, raw):
        (self.type, self.sequence, self.object, self.position, self.length, self.stored) = (
            raw[4], *struct.unpack_from("<QQQII", raw, 8))
        (self.public,) = struct.unpack_from("<I", raw, 120)
        self.segment, self.off = segment, off
        self.size = HEADER + self.stored

    @property
    def file(self):
        return "log/%08x.seg" % self.segment


class Store:
    """The pristine store, as docs/format.md says it: where each frame lies, what each file holds."""

    def __init__(self):
        self.root = E["PRISTINE"]
        self.frames, self.used = [], {}
        for name in sorted(os.listdir(self.root + "/log")):
            number, off = int(name[:8], 16), 0
            data = open(self.root + "/log/" + name, "rb").read()
            while data[off:off + 4] == b"COFR":
                self.frames.append(Frame(number, off, data[off:off + HEADER]))
                off += self.frames[-1].size
            self.used[number] = (off, len(data))
        need([f.sequence for f in self.frames] == list(range(len(self.frames))), "frames of the pristine store")
        self.covered = int(open(self.root + "/checkpoint").read().split("\n")[1])
        self.last = max(n for n, (used, _) in self.used.items() if used)
        self.paths, self.inode = {}, {}
        for line in open(E["PRISTINE"] + ".files"):
            inode, size, path = line.rstrip("\n").split(" ", 2)
            self.paths[path] = int(inode), int(size)
            self.inode[int(inode)] = path
        self.times = self.stat_all(self.root)

    @staticmethod
    def stat_all(root):
        out = {}
        for top, _, names in os.walk(root):
            for name in names:
                path = os.path.relpath(os.path.join(top, name), root)
                st = os.lstat(os.path.join(top, name))
                out[path] = (st.st_size, st.st_mtime_ns)
        return out

    def restore(self):
        """The store as it was: whatever has another size or time is copied back."""
        now = self.stat_all(E["STORE"])
        for path in now.keys() - self.times.keys():
            os.unlink(E["STORE"] + "/" + path)
        for path, told in self.times.items():
            if now.get(path) != told:
                os.makedirs(os.path.dirname(E["STORE"] + "/" + path), exist_ok=True)
                shutil.copy2(self.root + "/" + path, E["STORE"] + "/" + path)


def change(path, off, data):
    with open(E["STORE"] + "/" + path, "r+b") as f:
        f.seek(off)
        f.write(data)


# ---- what is asked ----


def verify():
    """(exit code, findings that count, text)"""
    p = subprocess.run(["coffer", "verify", E["STORE"], "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       timeout=300)
    need(p.returncode in (0, 10, 11, 12, 13, 14, 15), "verify ended with %d: %s" % (p.returncode, p.stderr.decode()))
    findings = [f for f in json.loads(p.stdout)["findings"] if not f["note"]]
    for f in findings:
        need(f["text"], "a finding without a sentence")
    return p.returncode, findings


def mount(options=""):
    """(mounted, what was said)"""
    p = subprocess.run(["mount.coffer", E["STORE"], E["MNT"], "-o", "keyfile=" + E["KEY"] + options],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    return p.returncode == 0, p.stdout.decode("utf-8", "replace")


def umount():
    """Also waits for the daemon: by the lock that its end releases."""
    p = subprocess.run(["umount.fuse.coffer", E["MNT"]], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    need(p.returncode == 0, "umount: " + p.stdout.decode())
    subprocess.run(["flock", E["STORE"] + "/lock", "true"], check=True, timeout=300)


def same_or_eio(fd, want, off, n):
    """True: the right bytes. False: EIO. Anything else is wrong."""
    done = 0
    while done < n:
        try:
            got = os.pread(fd, n - done, off + done)
        except OSError as e:
            need(e.errno == errno.EIO, "%s instead of EIO" % errno.errorcode[e.errno])
            return False
        need(got, "the end at %d, where %d bytes more belong" % (off + done, n - done))
        need(got == want[done:done + len(got)], "WRONG BYTES at %d" % (off + done))
        done += len(got)
    return True


def read_file(path, rng, hurt=None, whole=False):
    """
    All of a file in blocks, or some blocks of a large one. hurt: a range where EIO is right, and where all of
    `must` (its second half) has to be EIO. Outside of it every byte must be right.
    """
    content = open(E["PRISTINE"] + ".content/" + path.replace("/", "%"), "rb").read()
    fd = os.open(E["SHELF"] + "/" + path, os.O_RDONLY)
    try:
        size = os.fstat(fd).st_size
        need(size == len(content), "%s has %d bytes instead of %d" % (path, size, len(content)))
        blocks = list(range(0, size, BLOCK))
        if not whole and len(blocks) > 16:
            blocks = sorted(rng.sample(blocks, 8) + [b for b in blocks if hurt and b < hurt[1] and b + BLOCK > hurt[0]])
        for off in blocks:
            n = min(BLOCK, size - off)
            right = same_or_eio(fd, content[off:off + n], off, n)
            overlaps = hurt and off < hurt[1] and off + n > hurt[0]
            need(right or overlaps, "EIO at %d of %s, where nothing is hurt" % (off, path))
        if hurt and hurt[2]:
            need(not same_or_eio(fd, content[hurt[3]:hurt[3] + 1], hurt[3], 1),
                 "%s: the damaged place at %d was read" % (path, hurt[3]))
    finally:
        os.close(fd)


def read_all(store, rng, hurt_inode=None, hurt=None, whole=False):
    names = sorted(os.path.relpath(os.path.join(top, n), E["SHELF"]) for top, _, f in os.walk(E["SHELF"]) for n in f)
    need(names == sorted(store.paths), "other names than before")
    for path, (inode, size) in store.paths.items():
        try:
            read_file(path, rng, hurt if inode == hurt_inode else None, whole)
        except Wrong as e:
            raise Wrong("%s: %s" % (path, e))


# ---- flips ----

KINDS = ["header", "header", "payload", "payload", "large", "note", "checkpoint", "tile", "keys", "seal", "index",
         "archive.conf", "tail"]


class Flip:
    def __init__(self, store, seed, number):
        r = self.rng = random.Random("%s/%d" % (seed, number))
        self.root = store.root
        self.kind = KINDS[number % len(KINDS)]
        self.frame = None
        covered = [f for f in store.frames if f.sequence < store.covered]
        if self.kind == "header":
            self.frame = r.choice(covered)
            at = r.randrange(HEADER)
        elif self.kind in ("payload", "large", "note", "tail"):
            self.frame = r.choice([f for f in (store.frames if self.kind == "tail" else covered) if f.stored and {
                "payload": True, "large": f.length > 60000, "note": f.type == CHECKPOINT,
                "tail": f.sequence >= store.covered}[self.kind]])
            at = HEADER + r.randrange(self.frame.stored)
            if self.kind in ("note", "tail"):
                at = r.randrange(self.frame.size)
        if self.frame:
            self.path, self.off = self.frame.file, self.frame.off + at
            self.at = at
        else:
            folder = {"tile": "tile", "keys": "keys", "seal": "seal", "index": "index"}.get(self.kind)
            files = [folder + "/" + n for n in sorted(os.listdir(store.root + "/" + folder))] if folder else [self.kind]
            self.path = r.choice([f for f in files if os.path.getsize(store.root + "/" + f)])
            self.off = r.randrange(os.path.getsize(store.root + "/" + self.path))
        self.bit = r.randrange(8)
        with open(store.root + "/" + self.path, "rb") as f:
            f.seek(self.off)
            self.byte = f.read(1)[0]

    def __str__(self):
        return "%s: %s, byte %d, bit %d" % (self.kind, self.path, self.off, self.bit)

    def apply(self):
        change(self.path, self.off, bytes([self.byte ^ 1 << self.bit]))

    def expected(self, store):
        """(exit codes of verify, file, offset or None)"""
        if self.frame:
            code = 13 if self.frame.sequence < store.covered else 10
            return (code,), self.path, self.frame.off
        if self.kind in ("keys", "seal", "index"):
            return (0,), None, None
        if self.kind == "tile":
            level, index = int(self.path[5:]), self.off // 32
            if index >= store.covered >> 8 * level or not self.byte ^ 1 << self.bit:
                return (11,), self.path, None  # behind the checkpoint, or as a torn write
            return (13,), self.path, index * 32
        if self.kind == "archive.conf":
            return (13, 14, 15), self.path, None
        return (13,), self.path, None

    def judge(self, store):
        codes, file, offset = self.expected(store)
        code, findings = verify()
        told = json.dumps(findings)[:1500]
        need(code in codes, "verify says %d, not %s: %s" % (code, "/".join(map(str, codes)), told))
        if file is None:
            need(not findings, "findings about what verify cannot see: " + told)
            return
        need(findings, "no finding")
        first = findings[0]
        need(first.get("file") == file, "the first finding is not about %s: %s" % (file, told))
        need(offset is None or first.get("offset") == offset, "not at offset %s: %s" % (offset, told))

    def hurt(self):
        """(inode, (from, to, must be EIO, where)) of what cannot be read any more"""
        f = self.frame
        if f and f.type == HOLE:
            with open("%s/%s" % (self.root, f.file), "rb") as log:
                log.seek(f.off + HEADER)
                end = f.position + int.from_bytes(log.read(8), "little")
            return f.object, (f.position, end, self.at < HEADER, f.position)
        if not f or f.type != APPEND:
            return None, None
        end = f.position + f.length
        if self.at < HEADER + f.public:
            return f.object, (f.position, end, True, f.position)
        chunk = (self.at - HEADER - f.public) // CHUNK * 65536
        return f.object, (f.position + chunk, min(end, f.position + chunk + 65536), True, f.position + chunk)

    def read(self, store, whole):
        mounted, said = mount()
        if self.kind in ("keys", "seal"):
            need(not mounted, "a mount with damaged keys")
            need(self.path in said, "the sentence does not name %s: %s" % (self.path, said))
            return "refused"
        if not mounted:
            need(self.kind == "archive.conf", "refused: " + said)
            need("archive.conf" in said, "the sentence does not name archive.conf: " + said)
            return "refused"
        try:
            if self.kind == "checkpoint":
                need("Mounted read-only" in said and "checkpoint" in said, "not read-only: " + said)
            read_all(store, self.rng, *self.hurt(), whole)
        finally:
            umount()
        return "read-only" if "Mounted read-only" in said else "mounted"


def flips(store, seed, count, first, every):
    told = {}
    for number in range(first, first + count):
        flip = Flip(store, seed, number)
        try:
            flip.apply()
            flip.judge(store)
            how = "verified"
            if count == 1 or number // len(KINDS) % every == 0 or flip.kind in ("keys", "seal", "archive.conf"):
                how = flip.read(store, whole=count == 1 or "COFFER_LONG" in E)
        except (Wrong, subprocess.TimeoutExpired, OSError) as e:
            sys.exit("flip %d of seed %s (%s): %s\nagain: COFFER_SEED=%s COFFER_FLIP=%d damage.sh" %
                     (number, seed, flip, e, seed, number))
        store.restore()
        told[flip.kind, how] = told.get((flip.kind, how), 0) + 1
    for (kind, how), n in sorted(told.items()):
        print("-- %-13s %-10s %4d" % (kind, how, n))


# ---- segments ----


def seg(number):
    return "log/%08x.seg" % number


def copy(source, number):
    shutil.copyfile(source, E["STORE"] + "/" + seg(number))


def segment_cases(store):
    """
    Name, what is done, exit code of verify, file and offset that it names first (None: several do), what a mount is
    ("": for writing; None: for writing, since nothing shows it before it is read, and read-only when the index is
    made anew), what the mount says, and what it says then.
    """
    last, middle = store.last, store.last // 2

    def original(n):
        return store.root + "/" + seg(n)

    def remove(n):
        os.unlink(E["STORE"] + "/" + seg(n))

    def cut(n, to):
        os.truncate(E["STORE"] + "/" + seg(n), to)

    def swap():
        copy(original(middle), middle + 1)
        copy(original(middle + 1), middle)

    def holding(n, off):
        return [f.off for f in store.frames if f.segment == n and f.off + f.size > off][0]

    half, end = store.used[middle][0] // 2, store.used[middle][0]
    used, size = store.used[last]
    late = used - 5000
    torn = "set aside in aside/ (%s from offset %d)"
    ro = "Mounted read-only"
    return [
        ("the first one removed", lambda: remove(0), 13, seg(0), 0, ro, seg(0) + " at offset 0", None),
        ("a middle one removed", lambda: remove(middle), 13, seg(middle), 0, ro, seg(middle) + " at offset 0", None),
        ("the last one removed", lambda: remove(last), 12, seg(last - 1), store.used[last - 1][0], ro,
         "%s at offset %d" % (seg(last - 1), store.used[last - 1][0]), None),
        ("two swapped", swap, 13, seg(middle), 0, ro, seg(middle) + " at offset 0", None),
        ("one doubled, over the next", lambda: copy(original(middle), middle + 1), 13, seg(middle + 1), 0, ro,
         seg(middle + 1) + " at offset 0", None),
        ("the last one doubled, behind it", lambda: copy(original(last), last + 1), 10, seg(last + 1), 0, "",
         torn % (seg(last + 1), 0), None),
        ("an old one doubled, behind the last", lambda: copy(original(0), last + 1), 10, seg(last + 1), 0, "",
         torn % (seg(last + 1), 0), None),
        ("a middle one cut short", lambda: cut(middle, half), 13, seg(middle), holding(middle, half), None,
         "", seg(middle + 1) + " at offset 0"),
        ("a middle one emptied", lambda: cut(middle, 0), 13, seg(middle + 1), 0, ro, seg(middle) + " at offset 0", None),
        ("the last one cut short", lambda: cut(last, late), 13, seg(last), holding(last, late), ro,
         "%s at offset %d" % (seg(last), holding(last, late)), None),
        ("one of another archive", lambda: copy(E["OTHER"] + "/" + seg(middle), middle), 13, seg(middle), 0, ro,
         seg(middle) + " at offset 0", None),
        ("the first of another archive", lambda: copy(E["OTHER"] + "/" + seg(0), 0), 13, None, None, ro,
         "archive.conf is not what frame 0 says", None),
        ("bytes behind the end of a sealed one", lambda: change(seg(middle), end, b"x" * 64), 13, seg(middle), end, None,
         "", "%s at offset %d" % (seg(middle), end)),
        ("bytes behind the end of the last one", lambda: change(seg(last), used + 999, b"x"), 10, seg(last), used + 999, "",
         torn % (seg(last), used), None),
        ("bytes behind a segment's size", lambda: change(seg(last), size + 5, b"x"), 10, seg(last), size, "",
         torn % (seg(last), size), None),
    ]


def some_right(store, lost_all):
    """After segments were lost: no name that was not there, the right bytes or EIO, and something is there."""
    right = 0
    for path in store.paths:
        content = open(E["PRISTINE"] + ".content/" + path.replace("/", "%"), "rb").read()
        try:
            fd = os.open(E["SHELF"] + "/" + path, os.O_RDONLY)
        except OSError as e:
            need(e.errno in (errno.ENOENT, errno.EIO), "%s: %s" % (path, e))
            continue
        try:
            for off in range(0, len(content), BLOCK):
                right += same_or_eio(fd, content[off:off + BLOCK], off, min(BLOCK, len(content) - off))
        finally:
            os.close(fd)
    need(right or lost_all, "nothing can be read")
    names = {os.path.relpath(os.path.join(top, n), E["SHELF"]) for top, _, f in os.walk(E["SHELF"]) for n in f}
    need(names <= store.paths.keys(), "names that nobody made")
    return names


def one_case(store, index, do, code, file, offset, how, said, said_rebuilt):
    do()
    log = {n: st for n, st in Store.stat_all(E["STORE"]).items() if n.startswith("log/")}
    at_open = bool(how)
    if not index:
        shutil.rmtree(E["STORE"] + "/index")
        if how is None:
            how, said = "Mounted read-only", said_rebuilt
    got, findings = verify()
    told = json.dumps(findings)[:1000]
    need(got == code, "verify says %d, not %d: %s" % (got, code, told))
    need(file is None or (findings[0]["file"], findings[0]["offset"]) == (file, offset), "not the place: " + told)
    mounted, told = mount()
    need(mounted, "refused: " + told)
    try:
        need((how or "") in told and said in told, "the mount says: " + told)
        need(bool(how) == ("Mounted read-only" in told), "read-only, or not: " + told)
        names = some_right(store, not index and file in (None, seg(0)))  # the shelf itself is gone
        need(not index or names == store.paths.keys(), "names are missing that the index knows")
    finally:
        umount()
    if at_open:
        now = {n: st for n, st in Store.stat_all(E["STORE"]).items() if n.startswith("log/")}
        need(now == log, "log/ was written to")
        need(not os.listdir(E["STORE"] + "/aside"), "something was set aside")


def segments(store, index):
    for name, *rest in segment_cases(store):
        try:
            one_case(store, index, *rest)
        except (Wrong, subprocess.TimeoutExpired, OSError) as e:
            sys.exit("%s, index %s: %s" % (name, "kept" if index else "removed", e))
        store.restore()
        print("-- " + name)


def main():
    what, args = sys.argv[1], sys.argv[2:]
    if what == "fill":
        fill(*args)
        return
    store = Store()
    if what == "flips":
        flips(store, args[0], int(args[1]), int(args[2]) if len(args) > 2 else 0, int(E["MOUNT_EVERY"]))
    else:
        segments(store, args == ["index"])


if __name__ == "__main__":
    main()
