# SPDX-License-Identifier: Apache-2.0
"""Plants frames that nobody permitted among ones that people did, in a copy of an archive, with unit/archive/plant: each has to
be found by coffer verify, by its rule, and by the second reader, and nothing else.

  judges.py STORE KEYFILE KEYS BUILD    KEYS: private keys of alice, bob (officers) and carol (auditor), as people are

The store has a shelf "rules" of compliance with retention_min and files bare, ends, few, held, kept, late, later and other, committed, and "open", "idle" and "fresh", which are empty and were not; and a form that
alice signed is in its log.
"""
import base64
import hashlib
import json
import os
import re
import struct
import subprocess
import sys
import time

STORE, KEY, KEYS, BUILD = sys.argv[1:]
TOP = os.path.join(os.path.dirname(__file__), "..", "..")
APPEND, HOLE, COMMIT, EXTEND, REMOVE, EVENT, POLICY, PEOPLE, REQUEST, APPROVAL, HOLD, CLOCK, SHELF = 7, 8, 10, 11, 13, 15, 18, 19, 20, 21, 22, 26, 29


def run(*args, **more):
    done = subprocess.run(args, capture_output=True, **more)
    if done.returncode and args[1] != "verify":  # which says 1 where it found something
        sys.exit(f"{' '.join(args[:2])}: {done.stderr.decode()}")
    return done.stdout


def reader():
    return json.loads(run("python3", TOP + "/tests/second_reader.py", STORE, "--key-file", KEY, "--json"))


def field(tag, value):
    value = value.encode() if isinstance(value, str) else struct.pack("<Q", value) if isinstance(value, int) else value
    return struct.pack("<BH", tag, len(value)) + value


def signed(tag, who, purpose, text):
    armored = run("ssh-keygen", "-q", "-Y", "sign", "-n", purpose, "-f", f"{KEYS}/{who}", input=text)
    return field(tag, who.encode() + b"\0" + armored)


def stamp(t, fraction=""):
    return time.strftime("%Y-%m-%dT%H:%M:%S" + fraction + "Z", time.gmtime(t))


class Log:
    """The frames of the log, as docs/format.md 3 has them: to be written again."""

    def __init__(self):
        self.frames = []
        for name in sorted(os.listdir(STORE + "/log")):
            with open(f"{STORE}/log/{name}", "rb") as f:
                raw = f.read()
            at = 0
            while raw[at:at + 4] == b"COFR":
                stored, public = struct.unpack_from("<I", raw, at + 36)[0], struct.unpack_from("<I", raw, at + 120)[0]
                self.frames.append((raw[at + 4], struct.unpack_from("<Q", raw, at + 16)[0], raw[at + 128:at + 128 + public]))
                at += 128 + stored

    def first(self, kind, has=b""):
        return next(f for f in self.frames if f[0] == kind and has in f[2])


class Plan:
    def __init__(self, log):
        with open(STORE + "/archive.conf") as f:
            self.archive = re.search(r"^id = ([0-9a-f]{32})$", f.read(), re.M).group(1)
        with open(STORE + "/checkpoint") as f:
            note = f.read().split("\n")
        self.head = {"size": int(note[1]), "root": base64.b64decode(note[2]).hex()}
        self.log, self.lines, self.wanted = log, [], {}  # of each line that breaks something: rule of coffer verify

    def put(self, kind, ino, public=b"", private=b"", breaks=None):
        if breaks:
            self.wanted[len(self.lines)] = breaks
        self.lines.append(f"{kind} {ino} {public.hex() or '-'} {private.hex() or '-'}")

    def request(self, action, signers, breaks=None, refused=None, **keys):
        """A request by alice, in the log, and approvals of it. Its id."""
        now = int(time.time())
        doc = {"action": action, "archive": self.archive, "author": "alice", "created": stamp(now), "expires": stamp(now + 86400),
               "head": self.head, "nonce": os.urandom(16).hex(), "sheet": "00" * 32, "version": 1, **keys}
        text = json.dumps(doc, sort_keys=True, separators=(",", ":")).encode() + b"\n"
        number = hashlib.sha256(text).digest()
        self.put(REQUEST, 0, field(112, number) + field(116, text.decode()) + signed(115, "alice", "coffer-request", text), breaks=refused)
        for who in signers:
            self.put(APPROVAL, 0, field(112, number) + field(119, b"\1") + signed(115, who, "coffer-approve", text), breaks=breaks)
        return field(112, number)

    def again(self, kind, breaks, has=b"", private=b""):
        frame = self.log.first(kind, has)
        self.put(frame[0], frame[1], frame[2], private, breaks=breaks)

    def size(self, i):
        """Which frame line i becomes: behind the MOUNT frame of who plants it."""
        return len(self.log.frames) + 1 + i


def plan_of(names, shelf, policy):
    whole_policy = run(BUILD + "/tools/coffer", "policy", "show", STORE, "--key-file", KEY)
    p = Plan(Log())
    ino = lambda n: names["rules/" + n]["inode"]
    of = lambda n: field(1, shelf) + field(2, n)
    until = lambda t: field(24, struct.pack("<q", t))
    named = lambda n: {"objects": [[ino(n), 1]], "shelves": [shelf], "before": "00" * 32}
    day, now, old = 86400 * 10**9, time.time_ns(), 978307200 * 10**9  # old: 2001-01-01
    merger = lambda t: field(101, "merger") + field(102, struct.pack("<q", t))
    hold = lambda n: p.put(HOLD, 0, field(96, b"\1") + field(98, struct.pack("<QQ", ino(n), 1)), field(99, n))

    # holds
    hold("open")
    p.put(REMOVE, ino("open"), b"", of("open"), breaks="held")
    hold("held")
    ends = p.request("hold-end", ["bob"], hold=p.size(0), shelves=[shelf])
    p.put(HOLD, 0, field(96, b"\3") + field(97, p.size(2)) + ends, breaks="wrong-document")
    p.put(HOLD, 0, field(96, b"\3") + field(97, p.size(0)) + field(112, bytes(32)), breaks="unknown-request")
    # removals
    p.put(REMOVE, ino("bare"), b"", of("bare"), breaks="not-approved")
    officers = p.request("remove", ["bob"], **named("few"))
    p.put(REMOVE, ino("few"), officers, of("few"), breaks="not-approved")
    whole = p.request("remove", ["bob", "carol"], **named("kept"))
    p.put(EXTEND, ino("kept"), whole + until(now), breaks="wrong-action")
    p.put(REMOVE, ino("other"), whole, of("other"), breaks="wrong-document")
    p.put(REMOVE, ino("kept"), whole, of("kept"), breaks="retained")
    holding = p.request("remove", ["bob", "carol"], **named("later"))
    hold("later")
    p.put(REMOVE, ino("later"), holding, of("later"), breaks="held")
    # retentions
    ends = p.request("retention-end", ["bob"], until="2001-01-01T00:00:00Z", **named("ends"))
    p.put(EXTEND, ino("ends"), ends + until(old), breaks="compliance")
    p.put(EXTEND, ino("ends"), ends + until(old + day), breaks="wrong-document")
    declares = p.request("event-declare", ["bob"], event="merger", happened="2001-01-01T00:00:00Z", **named("ends"))
    p.put(EXTEND, ino("ends"), declares + until(now) + merger(old + day), breaks="wrong-document")
    p.put(EXTEND, ino("ends"), declares + until(old) + merger(old), breaks="compliance")
    p.put(EXTEND, ino("ends"), until(1 << 62) + merger(old), breaks="not-approved")
    # what changed since it was asked for: the request fails, and that is no offence; what names it is
    p.put(EXTEND, ino("late"), until((1 << 62) + day))
    late = p.request("retention-end", ["bob"], until="2001-01-01T00:00:00Z", **named("late"))
    p.put(EXTEND, ino("late"), late + until(old), breaks="finished")
    # policies
    shorter = re.sub("retention = [0-9]*y", "retention = 40d", policy)
    p.put(SHELF, shelf, field(27, shorter), field(2, "rules"), breaks="not-approved")
    p.put(SHELF, shelf, field(27, policy + "mode = governance\n"), field(2, "rules"), breaks="compliance")
    changed = p.request("shelf-set", ["bob"], policy=shorter, shelves=[shelf], before=hashlib.sha256(policy.encode()).hexdigest())
    other = p.request("shelf-set", ["bob"], policy=policy + "silence = 9d\n", shelves=[shelf], before=hashlib.sha256(policy.encode()).hexdigest())
    p.put(SHELF, shelf, changed + field(27, shorter.replace("40d", "41d")), field(2, "rules"), breaks="wrong-document")
    # what was approved is done once, and to what it was approved for
    p.put(SHELF, shelf, changed + field(27, shorter), field(2, "rules"))
    p.put(SHELF, shelf, other + field(27, policy + "silence = 9d\n"), field(2, "rules"), breaks="changed-object")
    p.put(SHELF, shelf, field(27, policy), field(2, "rules"))
    p.put(SHELF, shelf, changed + field(27, shorter), field(2, "rules"), breaks="finished")
    stricter = re.sub(b"(?m)^places = .*$", b"places = 3", whole_policy)
    p.put(POLICY, 0, field(27, stricter.decode()))
    p.put(POLICY, 0, field(27, stricter.replace(b"places = 3", b"places = 2").decode()), breaks="not-approved")
    p.put(CLOCK, 0, field(123, struct.pack("<q", now)) + field(124, struct.pack("<q", now + day)), breaks="not-approved")
    # what is committed grows no more, and is committed once; and for as long as its shelf asks for at least
    commits = lambda n, t: (COMMIT, ino(n), until(t) + field(25, struct.pack("<q", t)) + field(26, "asked") + field(122, shelf))
    p.put(HOLE, ino("ends"), struct.pack("<Q", 4096), breaks="after-commit")
    p.put(APPEND, ino("ends"), b"", b"more", breaks="after-commit")
    p.put(*commits("ends", now), breaks="after-commit")
    p.put(*commits("fresh", now + day), breaks="retention-min")
    # a hold ends by the rule of the shelf where its files lie, whether its request names that one or not
    p.put(SHELF, shelf, field(27, policy + "approve_hold_end = 2 auditor\n"), field(2, "rules"))
    begun = p.size(len(p.lines))
    hold("ends")
    ends = p.request("hold-end", ["bob"], hold=begun)
    p.put(HOLD, 0, field(96, b"\3") + field(97, begun) + ends, breaks="not-approved")
    begun = p.size(len(p.lines))
    hold("ends")
    ends = p.request("hold-end", ["carol"], hold=begun, created=stamp(time.time(), ".25"), expires=stamp(time.time() + 86400, ".75"))
    p.put(HOLD, 0, field(96, b"\3") + field(97, begun) + ends)
    # what is listed behind its end is held no more
    begun = p.size(len(p.lines))
    hold("idle")
    ends = p.request("hold-end", ["bob"], hold=begun)
    p.put(HOLD, 0, field(96, b"\3") + field(97, begun) + ends)
    p.put(HOLD, 0, field(96, b"\2") + field(97, begun) + field(98, struct.pack("<QQ", ino("idle"), 1)))
    p.put(REMOVE, ino("idle"), b"", of("idle"))
    # dated later than any clock, and so open for longer than 90 days
    p.request("hold-end", [], refused="created", hold=begun, created=stamp(time.time() + 30 * 86400), expires=stamp(time.time() + 120 * 86400))
    # once more what is there already
    asked = next(line for line in p.lines if line.startswith(f"{REQUEST} "))
    approved = next(line for line in p.lines if line.startswith(f"{APPROVAL} "))
    for line, rule in ((asked, "replay"), (approved, "finished")):
        p.wanted[len(p.lines)] = rule
        p.lines.append(line)
    p.again(PEOPLE, "not-approved")
    # a policy has more than one text; and what is no request's or form's document at all
    p.put(SHELF, shelf, field(27, policy + "approve_hold_end\t= 3 auditor\n"), field(2, "rules"))
    covered = p.size(len(p.lines))
    hold("held")
    two = p.request("hold-end", ["carol"], hold=covered, shelves=[shelf])
    p.put(HOLD, 0, field(96, b"\3") + field(97, covered) + two, breaks="not-approved")
    p.put(REQUEST, 0, field(116, '{"objects":5}\n') + field(115, b"alice\0none"), breaks="malformed")
    p.put(EVENT, 0, field(147, "none") + field(148, "[1]\n"), field(32, "audit"), breaks="form")
    # what is null is there for one who looks for keys, and is not for one who looks for values
    p.request("clock-catch-up", [], refused="malformed", objects=None, to="2031-01-01T00:00:00Z")
    p.request("clock-catch-up", [], refused="malformed", objects={"of": 5}, to="2031-01-01T00:00:00Z")
    # people who are none: by what a line may have, by its roles, by its key
    people = p.log.first(PEOPLE)[2]
    at = people.index(b"alice ")
    people = people[at:at + struct.unpack_from("<H", people, at - 2)[0]].decode()
    kind, key = people.split("\n")[0].split(" ")[1:3]
    for line in (f"dora {kind} {key[:-6]}AAAAAA roles=operator\r", f"dora {kind} {key[:-6]}AAAAAA roles=operator,operator", f"dora {kind} {key[:-6]}AAAAAA roles=king",
                 f"dora {kind} {key[:-6]}AAAAAA verify-required roles=operator", f"dora {kind} {key[:-8]} roles=operator", f"dora ssh-rsa {key[:-6]}AAAAAA roles=operator"):
        p.request("people-set", [], refused="people", people=people + line + "\n", before=hashlib.sha256(people.encode() + b"\0").hexdigest())
    p.again(EVENT, "repeated", has=b'"event"', private=field(32, "audit"))
    return p


def main():
    before = reader()
    if before["not_permitted"]:
        sys.exit(f"the archive is not clean before: {before['not_permitted']}")
    names = {d["path"]: d for d in before["files"]}
    shelf = names["rules"]["inode"]
    frame = Log().first(SHELF, b"retention")
    p = plan_of(names, shelf, frame[2][3:].decode())
    planted = run(BUILD + "/tests/unit/archive/plant", STORE, KEY, input="\n".join(p.lines).encode() + b"\n").decode().split()
    if len(planted) != len(p.lines):
        sys.exit(f"{len(planted)} of {len(p.lines)} frames were written")
    if int(planted[0]) != p.size(0):
        sys.exit(f"the first is frame {planted[0]}, not {p.size(0)}")
    wanted = {int(planted[i]): rule for i, rule in p.wanted.items()}
    found = json.loads(run(BUILD + "/tools/coffer", "verify", STORE, "--json"))["findings"]
    first = {f["sequence"]: re.search(r"\(([a-z-]+)\)", f["text"]).group(1) for f in found if "sequence" in f}
    second = {e["sequence"]: e["why"] for e in reader()["not_permitted"]}
    for sequence in sorted({*wanted, *first, *second}):
        if wanted.get(sequence) != first.get(sequence) or (sequence in wanted) != (sequence in second):
            line = planted.index(str(sequence)) if str(sequence) in planted else None
            print(f"frame {sequence}, line {line} ({p.lines[line][:12] if line is not None else 'not planted'}): planted as {wanted.get(sequence)}, "
                  f"coffer verify says {first.get(sequence)}, the second reader {second.get(sequence)}")
            sys.exit(1)
    print(f"{len(wanted)} breaks planted, and found by both")


main()
