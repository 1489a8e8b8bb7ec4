# SPDX-License-Identifier: Apache-2.0
"""Of the second reader's judge: files from public parts alone (docs/format.md 4 and 9.3). What a COMMIT frame granted, which
holds cover an inode, and whether an EXTEND, REMOVE or HOLD frame had leave for what it did."""
import datetime
import re
import struct

from second_format import APPEND, COMMIT, CREATE, DESTROY, EXTEND, HOLD, HOLE, REMOVE, RENAME
from second_rules import shelf, span

LEAST, MOST = -1 << 63, (1 << 63) - 1
SLACK = 3600 * 10**9  # what a ruling may lie before its frame


class Refused(Exception):
    pass


def want(condition, why):
    if not condition:
        raise Refused(why)


def i64(one, tag, missing=LEAST):
    return struct.unpack("<q", one[tag])[0] if tag in one else missing


def u64(one, tag, missing=0):
    return struct.unpack("<Q", one[tag])[0] if tag in one else missing


def instant(text):
    """RFC 3339 in UTC, to the nanosecond."""
    m = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text)
    want(m, "a time that cannot be read")
    whole = datetime.datetime.strptime(m.group(1), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=datetime.timezone.utc)
    return (whole - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)) // datetime.timedelta(seconds=1) * 10**9 + int((m.group(2) or "").ljust(9, "0"))


class File:
    """Of a committed file: until when, and what may change that."""

    def __init__(self, f, one):
        self.at, self.shelf, self.until, self.least = f.retention, u64(one, 122), i64(one, 24), i64(one, 103)
        self.governance, self.binds, self.margin = one.get(104, b"\0") == b"\1", i64(one, 105, 0), i64(one, 163)
        self.waits = 101 in one


def earlier(one, other):
    """LEAST says that it never ends, which is later than any."""
    return one != LEAST and (other == LEAST or one < other)


class Objects:
    def __init__(self, judge):
        self.judge, self.files, self.last, self.written = judge, {}, {}, {}
        self.over = set()  # holds that have ended
        self.holds, self.on = {}, {}  # ranges of each hold in force; of an inode: holds, each as often as it is listed
        self.latest, self.longest = LEAST, 0
        self.removed, self.escrowed = set(), set()
        self.destroyed = {}  # by inode: sequence of its DESTROY frame, id of the request
        self.acts = {DESTROY: self.destroy, COMMIT: self.commit, EXTEND: self.extend, REMOVE: self.remove, HOLD: self.hold, CREATE: self.place, RENAME: self.place,
                     APPEND: self.grow, HOLE: self.grow}

    def changed_since(self, doc):
        """Whether a frame behind the head that a request names is about one of its objects."""
        return any(self.last.get(ino, -1) >= doc["head"]["size"] for first, n in doc.get("objects", []) for ino in range(first, first + n))

    def shelves(self, doc):
        return {self.files[ino].shelf for first, n in doc.get("objects", []) for ino in range(first, first + n) if ino in self.files} - {0}

    def held_on(self, doc):
        """The shelves in which files are known to lie that the hold of this document covers."""
        return {self.files[ino].shelf for ino in self.holds.get(doc.get("hold"), []) if ino in self.files} & set(self.judge.policies)

    def policy(self, file):
        raw = self.judge.policies.get(file.shelf)
        return shelf(raw) if raw is not None else None

    def end(self, file):
        p, margin = self.policy(file), file.margin
        if p and p["retain_follows"] == "certificates":
            margin = max(margin, span(p["retain_margin"]))
        if file.until == LEAST:
            return MOST  # never
        ends = [file.until, file.least]
        if margin != LEAST and file.until != MOST:
            ends += [min(self.latest + margin, MOST - 1)] if self.latest != LEAST else []
            ends += [min(file.at + self.longest, MOST - 1)] if self.longest else []
        return max(ends)

    def grow(self, f, one):
        want(f.object not in self.files, "a committed file that grows")
        self.written[f.object] = f.retention

    def least(self, f, one, file):
        """Whether it promises as long as its shelf asks for at least; that may have changed a moment before."""
        p, since, before = self.policy(file), *self.judge.shelf_changes.get(file.shelf, (LEAST, None))
        if not p or not p["retention"] or file.until in (LEAST, MOST):
            return
        least = span(p["retention_min"])
        if since > f.retention - SLACK and before is not None:
            before = shelf(before)
            least = min(least, span(before["retention_min"]) if before["retention"] else 0)
        counted = f.retention
        if one.get(26) == b"autocommit":  # since it was idle for as long as its shelf said
            counted = min(counted, self.written.get(f.object, LEAST) + span(p["autocommit"]))
        want(least != MOST and file.until >= min(counted - SLACK + least, MOST - 1), "kept for less than its shelf asks for at least")

    def commit(self, f, one):
        want(f.object not in self.files, "committed twice")
        self.latest, self.longest = max(self.latest, i64(one, 161)), max(self.longest, i64(one, 162, 0))
        self.files[f.object] = file = File(f, one)
        self.last[f.object] = f.sequence
        self.least(f, one, file)

    def named(self, f, one, *actions):
        """The request that the frame carries out, which has to name its inode; None where it names none."""
        if 112 not in one:
            return None
        q = self.judge.permits(one, *actions)
        want(any(first <= f.object < first + n for first, n in q.doc["objects"]), "another file than the approved one")
        return q

    def extend(self, f, one):
        q, file, until = self.named(f, one, "retention-end", "event-declare"), self.files.get(f.object), i64(one, 24)
        want(q or 102 not in one, "an event that nobody declared")
        if q and q.doc["action"] == "retention-end":
            want(until == instant(q.doc["until"]) and 101 not in one, "another end than the approved one")
            if file and earlier(until, file.until):
                p = self.policy(file)
                want(f.retention < file.binds or (file.governance and (not p or p["mode"] == "governance")),
                     "nobody ends a retention of compliance")
        elif q:
            want(one.get(101) == q.doc["event"].encode() and i64(one, 102) == instant(q.doc["happened"]), "another event than the approved one")
            want(not file or file.waits or not earlier(until, file.until), "an event that nothing waits for ends a retention")
        if not file:
            return
        if 101 in one:
            file.waits = 102 not in one
        elif q:
            file.waits = False
        if q or not earlier(until, file.until):
            file.until, self.last[f.object] = until, f.sequence

    def remove(self, f, one):
        q, file = self.named(f, one, "remove"), self.files.get(f.object)
        want(not self.on.get(f.object), "removed while it is on hold")
        if file:
            want(q, "a committed file that goes without leave")
            want(not file.waits and self.end(file) <= f.retention, "a file whose retention is not over")
        self.removed.add(f.object)

    def destroy(self, f, one):
        q, file = self.named(f, one, "destroy"), self.files.get(f.object)
        want(q, "content that ends without leave")
        want(f.object not in self.destroyed, "destroyed a second time")
        want(not self.on.get(f.object), "destroyed while it is on hold")
        if f.object not in self.removed:
            want(file, "a file that was neither committed nor removed")
            p = self.policy(file)
            by_quorum = f.retention < file.binds or (file.governance and (not p or p["mode"] == "governance"))
            own = f.object in self.escrowed and (file.until == LEAST or by_quorum) and file.least <= f.retention
            want(not file.waits and (own or self.end(file) <= f.retention), "a file whose retention is not over")
        self.destroyed[f.object] = f.sequence, q.id
        self.last[f.object] = f.sequence

    def cover(self, f, hold, raw):
        self.holds.setdefault(hold, [])
        for first, n in struct.iter_unpack("<QQ", raw):
            for ino in range(first, first + n):
                self.holds[hold].append(ino)
                self.on.setdefault(ino, []).append(hold)
                self.last[ino] = f.sequence

    def place(self, f, one):
        for (hold,) in struct.iter_unpack("<Q", one.get(100, b"")):
            if hold in self.holds:
                self.cover(f, hold, struct.pack("<QQ", f.object, 1))

    def hold(self, f, one):
        what, hold = one[96][0], u64(one, 97, f.sequence)
        want(what in (1, 2, 3, 4), "a hold frame of no kind")
        if what == 2 and hold in self.over:  # it was listing while the end was written
            for first, n in struct.iter_unpack("<QQ", one.get(98, b"")):
                self.last.update((ino, f.sequence) for ino in range(first, first + n))
            return
        if what in (1, 2):
            self.cover(f, hold, one.get(98, b""))
        elif what == 3:
            q = 112 in one and self.judge.permits(one, "hold-end")
            want(q and q.doc["hold"] == hold, "a hold that ends without leave")
            if hold in self.holds:
                self.over.add(hold)
            for ino in self.holds.pop(hold, []):
                self.on[ino].remove(hold)
                self.last[ino] = f.sequence
