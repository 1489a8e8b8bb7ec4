# SPDX-License-Identifier: Apache-2.0
"""Of the second reader: files, names, retention and holds, as the frames make them (docs/format.md 4)."""
import hashlib
import struct

from second_format import APPEND, DIRECTORY, FILE, HOLE, LIMIT, NEVER, SYMLINK, need


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
        self.in_force, self.over, self.ever, self.of = {}, set(), 0, {}

    def take(self, f, v, private, names):
        hold = f.sequence if v[96] == 1 else v.get(97)
        need(v[96] in (1, 2, 3, 4) and hold is not None, f.where, "is a malformed hold")
        if v[96] == 1:
            need(98 in v and 99 in private, f.where, "begins a hold of nothing")
            self.in_force[hold] = {"case": private[99].decode("utf-8", "strict"), "laid": False}
            self.ever += 1
        if v[96] in (2, 4) and hold in self.over:
            return  # it was being listed while its end was written
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
            self.over.add(hold)
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
        self.gone = {}  # that were removed: their content may be destroyed later
        self.latest, self.longest = NEVER, 0  # end and validity of all certificates

    def get(self, ino, f, kind=None):
        need(ino in self.nodes, f.where, "is about inode", ino, "which is not there")
        n = self.nodes[ino]
        need(kind in (None, n.kind), f.where, "is about an inode of another kind")
        return n

    def free(self, n):
        parent = self.nodes[n.parent]
        del parent.children[n.name]
        self.gone[n.ino] = self.nodes.pop(n.ino)

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
        need(n.kind != FILE or n.state != "open" or not n.size, f.where, "removes an open file that has content")
        self.free(n)

    def append(self, f, length, plain):
        n = self.get(f.object, f, FILE)
        if n.state != "open":  # the judge tells of it
            return
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
        if n.state != "open":
            return
        need(f.position == n.size, f.where, "commits another length")
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
