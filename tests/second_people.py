# SPDX-License-Identifier: Apache-2.0
"""The judge of docs/format.md 9 once more, for the second reader: people, requests, approvals and what is done by
them, from public parts alone. Signatures are judged by ssh-keygen. What is not permitted is listed, with the
frame and why; it is no error of the store's."""
import base64
import datetime
import hashlib
import json
import os
import re
import struct
import subprocess
import tempfile

import second_vault  # beside this file
from second_objects import Objects, Refused, instant, want
from second_rules import keeps_mode, keys, shelf, span, weaker, weaker_archive

CLOCK, POLICY, PEOPLE, REQUEST, APPROVAL, SHELF, EVENT, ESCROW, VAULT, CEREMONY, RECEIPT = 26, 18, 19, 20, 21, 29, 15, 30, 31, 32, 24
APPROVE, REFUSE, DONE, FAILED = 1, 2, 3, 4
EXCLUSIVE = "auditor+operator auditor+officer auditor+custodian"
ROLES = {"auditor", "custodian", "officer", "operator", "vault"}
LINE = re.compile(r'([A-Za-z0-9._@+][A-Za-z0-9._@+-]{0,62}) +(?:((?:cert-authority|(?:namespaces|valid-after|valid-before)="[^"\\]+")'
                  r'(?:,(?:cert-authority|(?:namespaces|valid-after|valid-before)="[^"\\]+"))*) +)?((?:sk-)?(?:ssh|ecdsa)-[a-z0-9@.-]+) +([A-Za-z0-9+/=]+)(?: +(.*))?')
KEYS = {"people-set": "approve_people", "profile-set": "approve_profile", "clock-catch-up": "approve_clock"}
SHELF_KEYS = {"shelf-set": "approve_policy", "hold-end": "approve_hold_end", "remove": "approve_remove", "destroy": "approve_remove",
              "retention-end": "approve_retention_end", "event-declare": "approve_retention_end",
              "escrow-accept": "approve_escrow", "escrow-release": "approve_escrow"}
DEFAULT = {"deviation": "5s", "approve_remove": "2 auditor", "approve_destroy": "2 auditor", "approve_clock": "2 officer", "jurisdictions": "", "forbidden_jurisdictions": "", "distance": "0", "transfer_basis": "no"}

STEPS = {"change-requested": None, "change-approved": "change-requested", "change-declined": "change-requested",
         "change-done": "change-approved", "change-checked": "change-done"}  # what comes before


def canonical(doc):
    return json.dumps(doc, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def strings(raw):
    out = []
    while raw:
        n = struct.unpack(">I", raw[:4])[0]
        out.append(raw[4:4 + n])
        raw = raw[4 + n:]
    return out


def material(kind, parts):
    """What a key consists of; parts: the strings behind its kind (and nonce)."""
    if "ed25519" in kind:
        return hashlib.sha256(b"ed25519\0" + parts[0]).digest()
    if "ecdsa" in kind:
        return hashlib.sha256(b"ecdsa\0" + parts[1]).digest()
    return hashlib.sha256(b"rsa\0" + parts[1].lstrip(b"\0")).digest()


def want_key(kind, blob):
    """9.1: a key of a people file is whole, of the kind that its line says, and of no less than 2048 bits where it is RSA."""
    parts = strings(blob)
    want(b"".join(struct.pack(">I", len(p)) + p for p in parts) == blob and parts[0].decode() == kind, "a damaged key")
    want("ed25519" not in kind or len(parts[1]) == 32, "no point")
    want("ecdsa" not in kind or (len(parts[2]) in (65, 97, 133) and parts[2][0] == 4), "no point")
    want("rsa" not in kind or int.from_bytes(parts[2], "big").bit_length() >= 2048, "an RSA key of less than 2048 bits")


def key_of(blob):
    kind = blob[4:4 + struct.unpack(">I", blob[:4])[0]].decode()
    rest = blob[4 + len(kind):]
    if "-cert-" in kind:
        rest = rest[4 + struct.unpack(">I", rest[:4])[0]:]  # nonce
        many = {"ed25519": 1, "ecdsa": 2, "rsa": 2}[next(k for k in ("ed25519", "ecdsa", "rsa") if k in kind)]
        parts = []
        for _ in range(many):
            n = struct.unpack(">I", rest[:4])[0]
            parts.append(rest[4:4 + n])
            rest = rest[4 + n:]
        return kind, material(kind, parts)
    return kind, material(kind, strings(rest))


class Signature:
    def __init__(self, armored):
        body = re.sub(rb"-----(BEGIN|END) SSH SIGNATURE-----|\s", b"", armored)
        raw = base64.b64decode(body, validate=True)
        want(raw[:10] == b"SSHSIG\0\0\0\1", "is no SSH signature")
        key, purpose, _, _, signature = strings(raw[10:])
        self.purpose = purpose.decode()
        self.kind, self.key = key_of(key)
        n = sum(4 + len(s) for s in [signature[4:4 + struct.unpack(">I", signature[:4])[0]]])
        n += 4 + struct.unpack(">I", signature[n:n + 4])[0]
        self.flags = signature[n] if self.kind.startswith("sk-") else None


class People:
    def __init__(self, text, revoked, exclusive):
        self.text, self.revoked = text, revoked
        self.roles, self.verify, self.vaults, keys = {}, set(), {}, {}  # vaults: who runs that one
        want(text.endswith(b"\n") and len(text) <= 40000, "people without a last newline, or too many")
        want(not re.search(rb"[\0-\x09\x0b-\x1f\x7f]", text), "no lines of text")
        for line in text.decode("utf-8").split("\n")[:-1]:
            if not line or line.startswith("#"):
                continue
            m = LINE.fullmatch(line)
            want(m, "a line of the people file cannot be read")
            name, options, kind, key, words = m.groups()
            words = (words or "").split(" ")
            roles = [w[6:].split(",") for w in words if w.startswith("roles=")]
            want(len(roles) == 1, "a line of the people file without roles")
            want(set(roles[0]) <= ROLES and len(set(roles[0])) == len(roles[0]), "a role that is none, or twice")
            want("verify-required" not in words or kind.startswith("sk-"), "nothing verifies a person there")
            want(base64.b64encode(base64.b64decode(key)).decode() == key, "another base64 than there is of that")
            want_key(kind, base64.b64decode(key, validate=True))
            want(self.roles.setdefault(name, set(roles[0])) == set(roles[0]), "a person with two sets of roles")
            digest = key_of(base64.b64decode(key, validate=True))[1]
            authority = "cert-authority" in (options or "")
            want(digest not in keys or (authority and keys[digest]), "one key, two lines")
            keys[digest] = authority
            if roles[0] == ["vault"] and kind == "ssh-ed25519" and not authority:
                self.vaults[digest] = name.rpartition("@")[2] or name
            if "verify-required" in words:
                self.verify.add(digest)
        for roles in self.roles.values():
            want("vault" not in roles or roles == {"vault"}, "a vault with other roles")
            for pair in exclusive.split():
                want(not set(pair.split("+")) <= roles, "roles that exclude each other")
        want(sum("officer" in r for r in self.roles.values()) >= 2, "fewer than two officers")


class Request:
    def __init__(self, raw):
        self.raw, self.id = raw, hashlib.sha256(raw).digest()
        self.doc = json.loads(raw)
        want(canonical(self.doc) == raw, "the document is not canonical")
        want(None not in self.doc.values(), "a null")
        want(sum(n for _, n in self.doc.get("objects", [])) <= 100000, "more than 100,000 objects")
        self.state, self.signers = "open", []
        self.until = None  # of a release that waits: retention time
        self.stale = False  # it failed because an object had changed, and nobody said so yet


class Judge:
    def __init__(self, archive_id, root):
        self.archive, self.root = archive_id.hex(), root
        self.people, self.requests, self.policies, self.profile = None, {}, {}, {}
        self.proven, self.not_permitted, self.signatures, self.forms = 0, [], 0, {}
        self.changes, self.shelf_changes = {}, {}
        self.ceremonies = {}  # by id: whether it was a rehearsal
        self.made = set()  # by ceremonies that were none: epoch key, number, document of an epoch
        self.files = {}  # of keys of escrow: by digest, which shelves and keys
        self.kept = {}  # shelf and key of escrow: the epoch key of its newest file, and whether that epoch is a rehearsal
        self.proposed = {}  # records that propose one of escrow, by number: as what, and their public fields
        self.gone, self.released = set(), {}  # keys of escrow that were revoked: shelf, key; for whom each release is
        self.reviewed = {"review": 0, "failed-logins": 0}  # the frame that the next one begins with
        self.escrowed = set()  # requests by which a record of escrow was made
        self.carried_out = set()  # those by which people or a policy changed
        self.objects, self.archive_policy = Objects(self), None
        self.cosigns = {}  # of each vault's key: sequence, time, retention time of the frame
        self.vaults, self.receipts = set(), set()  # keys that records name; receipts that are there

    def take(self, f, record, pairs):
        """pairs: tag and value of each field of the public part; record: the frame's record time."""
        self.now = max(record, self.proven)
        self.fastest = max(self.now, f.retention)
        self.sequence = f.sequence
        one = {}
        for tag, value in pairs:
            one.setdefault(tag, value)
        act = {PEOPLE: self.set_people, REQUEST: self.request, APPROVAL: self.approval, SHELF: self.shelf,
               POLICY: self.policy, CLOCK: self.clock, EVENT: self.event, ESCROW: self.escrow, VAULT: self.vault,
               CEREMONY: self.ceremony, RECEIPT: self.receipt}.get(f.type)
        try:
            if act:
                act(f, one, [v for t, v in pairs if t == 115])
                if f.type == ESCROW and f.object:
                    self.objects.escrowed.add(f.object)
            elif f.type in self.objects.acts:
                self.objects.acts[f.type](f, one)
        except (Refused, LookupError, ValueError, TypeError, AttributeError, RecursionError, OverflowError, struct.error) as e:
            self.not_permitted.append({"sequence": f.sequence, "why": str(e)})

    def verify(self, people, value, purpose, document):
        name, armored = value.split(b"\0", 1)
        name, s = name.decode(), Signature(armored)
        want(name in people.roles and people.roles[name] != {"vault"}, name + " may not sign")
        want(s.purpose == purpose, "signed for " + s.purpose)
        if s.flags is not None:
            want(s.flags & 1, "nobody touched the key")
            want(s.key not in people.verify or s.flags & 4, "the person was not verified")
        when = datetime.datetime.fromtimestamp(self.now // 10**9, datetime.timezone.utc).strftime("%Y%m%d%H%M%SZ")
        with tempfile.TemporaryDirectory() as d:
            for file, content in (("people", people.text), ("signature", armored), ("revoked", people.revoked)):
                with open(os.path.join(d, file), "wb") as f:
                    f.write(content)
            done = subprocess.run(["ssh-keygen", "-Y", "verify", "-n", purpose, "-I", name, "-f", d + "/people", "-s",
                                   d + "/signature", "-O", "verify-time=" + when] + (["-r", d + "/revoked"] if people.revoked else []),
                                  input=document, capture_output=True, env={**os.environ, "TZ": "UTC0"})
        want(done.returncode == 0, "the signature of " + name + " does not count")
        self.signatures += 1
        return name, s.key

    def document(self, q):
        d = q.doc
        want(d["archive"] == self.archive, "for another archive")
        created, expires = instant(d["created"]), instant(d["expires"])
        want(self.fastest < expires, "expired")
        want(0 <= created < expires <= created + 90 * 86400 * 10**9, "lives too long")
        want(d["head"]["size"] <= self.sequence and self.root(d["head"]["size"]).hex() == d["head"]["root"],
             "a head that is none of this log")

    def before(self, q):
        kind, has = q.doc["action"], q.doc.get("before")
        now = None
        if kind == "people-set":
            now = hashlib.sha256(self.people.text + b"\0" + self.people.revoked).hexdigest()
        elif kind == "shelf-set":
            now = hashlib.sha256(self.policies[q.doc["shelves"][0]]).hexdigest()
        elif kind == "profile-set" and self.archive_policy is not None:
            now = self.policy_digest
        want(now is None or now == has, "what it changes is not as it was")

    @staticmethod
    def key(policy, name):
        return keys(policy).get(name, DEFAULT.get(name, "2"))

    def rule(self, doc):
        kind = doc["action"]
        if kind in KEYS:
            texts = [self.profile.get(KEYS[kind], DEFAULT.get(KEYS[kind], "2"))]
        else:
            want(kind in SHELF_KEYS, "an unknown action")
            texts = [DEFAULT.get(SHELF_KEYS[kind], "2")]
            held = self.objects.held_on(doc) if kind == "hold-end" else set()
            texts += [self.key(self.policies[n], SHELF_KEYS[kind]) for n in {*doc.get("shelves", []), *self.objects.shelves(doc), *held}]
        if kind == "destroy":
            texts.append(self.profile.get("approve_destroy", DEFAULT["approve_destroy"]))
            texts += [self.key(self.policies[n], "approve_retention_end") for n in {*doc.get("shelves", []), *self.objects.shelves(doc)}]
        return max(int(t.split()[0]) for t in texts), {r for t in texts for r in t.split()[1:]}

    def permits(self, one, *kinds):
        if 112 not in one:
            return None
        q = self.requests.get(one[112])
        want(q and q.state == "approved" and q.doc["action"] in kinds, "names no request that permits it")
        return q

    def once(self, q):
        """9.3: of people and policies; what it changes is as it was when it was asked for."""
        if q:
            want(q.id not in self.carried_out, "carried out before")
            self.before(q)

    def exclusive(self):
        return EXCLUSIVE if self.archive_policy is None else self.archive_policy["exclusive"]

    def set_people(self, f, one, signatures):
        people = People(one[113], one.get(114, b""), self.exclusive())
        if self.people:
            q = self.permits(one, "people-set")
            want(q, "people change by request")
        else:
            q = Request(one[116])
            want(q.doc["action"] == "people-first", "not the first people's document")
            self.document(q)
            signed = {self.verify(people, v, "coffer-people", q.raw)[0] for v in signatures}
            want({n for n, r in people.roles.items() if "officer" in r} <= signed, "not every officer signed")
        want(q.doc["people"].encode() == people.text and q.doc.get("revoked", "").encode() == people.revoked, "other people were signed")
        if self.people:
            self.once(q)
            self.carried_out.add(q.id)
        self.people = people
        for r in self.requests.values():
            r.state = "failed" if r.state == "open" else r.state

    def request(self, f, one, signatures):
        want(self.people, "no people yet")
        q = Request(one[116])
        self.document(q)
        want(instant(q.doc["expires"]) <= self.fastest + 91 * 86400 * 10**9, "made later than now, and open for more than 90 days")
        want(q.id not in self.requests, "replayed")
        self.rule(q.doc)
        name, key = self.verify(self.people, signatures[0], "coffer-request", q.raw)
        want(name == q.doc["author"], "not signed by its author")
        if q.doc["action"] == "people-set":
            People(q.doc["people"].encode(), q.doc.get("revoked", "").encode(), self.exclusive())
        self.before(q)
        q.signers.append((name, key))
        self.requests[q.id] = q

    def approval(self, f, one, signatures):
        q, verdict = self.requests[one[112]], one[119][0]
        if verdict == FAILED and q.stale:
            q.stale = False
            return
        if verdict in (DONE, FAILED):
            want(q.state == "approved", "an outcome of what is " + q.state)
            q.state = "done" if verdict == DONE else "failed"
            return
        if verdict == REFUSE and q.state == "approved" and q.until is not None and q.id not in self.escrowed:
            self.veto(q, signatures)
            return
        want(q.state == "open", "the request is " + q.state)
        self.document(q)
        name, key = self.verify(self.people, signatures[0], "coffer-approve" if verdict == APPROVE else "coffer-refuse", q.raw)
        if verdict == REFUSE:
            q.state = "refused"
            return
        want(name not in [n for n, _ in q.signers] and key not in [k for _, k in q.signers], "signed it already")
        self.before(q)
        q.signers.append((name, key))
        persons, roles = self.rule(q.doc)
        if len(q.signers) >= persons and roles <= set().union(*(self.people.roles[n] for n, _ in q.signers)):
            q.stale = self.objects.changed_since(q.doc)
            q.state = "failed" if q.stale else "approved"
            if q.doc["action"] == "escrow-release":
                delay = max(span(shelf(self.policies[n])["release_delay"]) for n in q.doc["shelves"])
                q.until = f.retention + delay if delay else None

    def veto(self, q, signatures):
        """9.3: of a release that waits; by whoever has a role that the rule names."""
        name, _ = self.verify(self.people, signatures[0], "coffer-refuse", q.raw)
        want(self.people.roles[name] & (self.rule(q.doc)[1] or {"officer", "custodian"}), name + " may not veto")
        q.state = "refused"

    def shelf(self, f, one, signatures):
        q = self.permits(one, "shelf-set")
        want(not q or (q.doc["policy"].encode() == one[27] and q.doc["shelves"][0] == f.object), "another policy was approved")
        self.once(q)
        then, before = shelf(one[27]), self.policies.get(f.object)
        if before is not None:
            want(keeps_mode(shelf(before), then), "a shelf of compliance stays one")
            want(q or not weaker(shelf(before), then), "a weaker policy of a shelf, without leave")
        self.carried_out |= {q.id} if q else set()
        self.shelf_changes[f.object] = f.retention, before
        self.policies[f.object] = one[27]

    def policy(self, f, one, signatures):
        q = self.permits(one, "profile-set")
        want(not q or q.doc["profile"].encode() == one[27], "another profile was approved")
        self.once(q)
        then = keys(one[27])
        want(q or self.archive_policy is None or not weaker_archive(self.archive_policy, then), "a weaker policy, without leave")
        self.carried_out |= {q.id} if q else set()
        self.archive_policy, self.policy_digest = then, hashlib.sha256(one[27]).hexdigest()
        self.profile = {k: self.key(one[27], k) for k in (*KEYS.values(), "approve_destroy", "deviation", "jurisdictions", "forbidden_jurisdictions", "distance", "transfer_basis")}

    def event(self, f, one, signatures):
        """What a person signed: the form is public, once, of this archive."""
        if not {147, 148, 149, 155} & one.keys():
            return
        raw = one[148]
        doc = json.loads(raw)
        want(self.people, "there are no people")
        want(canonical(doc) in (raw, raw.rstrip(b"\n")), "a form that is not canonical")
        want(None not in doc.values(), "a null")
        want(doc["archive"] == self.archive and doc["version"] == 1, "a form for another archive")
        want(raw not in self.forms, "a form that is there already")
        reviews = "to" in doc
        want(reviews == (149 in one), "a review that does not say in both places what it looked at")
        changes = doc["event"] in STEPS
        want(changes == (155 in one), "a step of a change that does not say of which")
        name, key = self.verify(self.people, doc["signer"].encode() + b"\0" + one[147],
                                "coffer-review" if reviews else "coffer-change" if changes else "coffer-event", raw)
        if changes:
            self.change(doc, one[155], raw, name, key)
        if reviews:
            self.review(f, doc, one, name)
        self.forms[raw] = f.sequence

    def change(self, doc, number, raw, name, key):
        step, roles = doc["event"], self.people.roles[name]
        if step == "change-requested":
            want(hashlib.sha256(raw).digest() == number and number not in self.changes, "asked for already, or another's name")
            self.changes[number] = [step, {name: key}]
            return
        want(bytes.fromhex(doc["change"]) == number and number in self.changes, "a change that nobody asked for")
        change = self.changes[number]
        want(change[0] == STEPS[step], step + " of what is at " + change[0])
        took_part = name in change[1] or key in change[1].values()
        want(took_part or len(change[1]) < 8, "too many took part")
        if step != "change-done":
            want(not took_part, name + " took part already")
            want(roles & ({"officer", "auditor"} if step == "change-checked" else {"officer"}), name + " may not")
        change[1].setdefault(name, key)
        change[0] = "change-approved" if step == "change-checked" and doc.get("outcome") != "success" else step

    def review(self, f, doc, one, name):
        start, end, head = doc["from"], doc["to"], doc["head"]
        want(doc["event"] in self.reviewed, "a range, and no review")
        want(struct.unpack("<Q", one[149])[0] == end, "another end than its form says")
        want(self.people.roles[name] & {"auditor", "officer"}, name + " may not review")
        want(start == self.reviewed[doc["event"]] and start <= end < f.sequence, "frames left out, or looked at twice")
        want(head["size"] == end + 1 and self.root(end + 1).hex() == head["root"], "a head that is none of this log")
        self.reviewed[doc["event"]] = end + 1

    def clock(self, f, one, signatures):
        if 124 not in one or 112 in one:
            q = self.permits(one, "clock-catch-up")
            want(not q or struct.unpack("<q", one[124])[0] == instant(q.doc["to"]), "another time was approved")
            return
        want(len(one.get(216, b"")) == 16, "retention time goes on by nobody's leave")
        before, after = struct.unpack("<q", one[123])[0], struct.unpack("<q", one[124])[0]
        want(before <= f.retention, "a retention time before that is not there yet")
        said = {k: c for s in struct.unpack("<2Q", one[216]) for k, c in self.cosigns.items() if c[0] == s}
        enrolled = self.people.vaults if self.people else {}
        run_by = [enrolled.get(hashlib.sha256(b"ed25519\0" + k).digest()) for k in said]
        want(len(said) == 2 and all(run_by) and run_by[0] != run_by[1], "vaults that people did not enroll, or of one administration")
        said = list(said.values())
        by = [c[1] + max(0, before - c[2]) for c in said]
        want(max(by) - min(by) <= span(self.profile.get("deviation", "5s")), "vaults that do not agree")
        want(after <= min(by), "retention time ahead of the vaults")

    def vault(self, f, one, signatures):
        if 210 in one:
            self.vaults.add(second_vault.public_key(one[210]))
        wrong = second_vault.went_wrong(self.profile, one)
        want(not wrong, wrong)

    def escrow(self, f, one, signatures):
        """docs/format.md 10.1: which records need a request, and that they do what it says."""
        what, shelf = one[190][0], struct.unpack("<Q", one[191])[0]
        names = {3: "epoch-valid", 4: "custodian", 5: "custodian-revoked", 12: "revoked", 20: "tpm-key", 21: "tpm-key-revoked", 22: "tpm-ended"}
        if what not in names and what != 7:
            want(112 not in one, "a request that permits nothing of that kind")
            if what in (6, 11):
                practice, before = bool(one.get(197, bytes(8))[4] & 2), self.kept.get((shelf, one[194]))
                want(what == 11 or not before, "a key that was taken in before")
                want(what == 6 or before, "a key that was never taken in")
                want(what == 6 or practice == before[1], "a key of a rehearsal, or none, became the other")
                want(what == 6 or (shelf, one[194]) not in self.gone, "a key that was revoked")
                others = self.files.setdefault(one[195], set())
                want(f.object and all(key == one[194] and on != shelf for on, key in others), "a file that was of a key before")
                others.add((shelf, one[194]))
                self.kept[shelf, one[194]] = one[193], practice
            if what in (2, 18):
                self.proposed[f.sequence] = 3 if what == 2 else (one.get(205) or b"\0")[0], self.accepted_fields(one)
            if what in (8, 9):
                want((shelf, one[194]) not in self.gone, "a key that was revoked")
                want(what == 8 or self.released.get(struct.unpack("<Q", one[199])[0]) == one.get(204), "for somebody else than it was released to")
            return
        if what == 3 and 112 not in one and one.get(197, bytes(8))[4] & 2:
            return
        q = self.permits(one, "escrow-release" if what == 7 else "escrow-accept")
        want(q and q.id not in self.escrowed, "a second record by one request")
        want(q and q.doc["shelves"][0] == shelf, "not approved for this shelf")
        want(what != 7 or q.until is None or f.retention >= q.until, "released before its delay is over")
        want((q.doc["key"], q.doc["recipient"]) == (one[194].hex(), one[204].decode()) if what == 7 else
             (q.doc["record"], q.doc["what"]) == (struct.unpack("<Q", one[199])[0], names[what]), "something else of escrow was approved")
        if (self.archive_policy or {}).get("escrow_ceremony") == "yes":
            key, practice = self.kept.get((shelf, one.get(194)), (None, True))
            practised = what == 3 and bool(one.get(197, bytes(8))[4] & 2)  # 10.2 is about a record 3 without rehearsal
            want(what != 3 or practised or (one[193], struct.unpack("<I", one[192])[0], one[195]) in self.made, "no ceremony that made this epoch is on record")
            want(what != 7 or practice or key in {m[0] for m in self.made}, "a key of an epoch that no ceremony made")
        want(what != 7 or (shelf, one[194]) not in self.gone, "a key that was revoked")
        want(what != 7 or (shelf, one[194]) in self.kept, "a key that was never taken in")
        if what != 7:
            kind, fields = self.proposed.get(q.doc["record"], (0, {}))
            want(kind == what, "accepts what no record before it proposes")
            mine = self.accepted_fields(one)
            other = [tag for tag in sorted({*fields, *mine}) if fields.get(tag) != mine.get(tag)]
            want(not other, f"its field {next(iter(other), '')} is not that of record {q.doc['record']}, which was accepted")
        self.escrowed.add(q.id)
        if what == 7:
            self.released[f.sequence] = one[204]
        if what == 12 and 194 in one:
            self.gone.add((shelf, one[194]))

    @staticmethod
    def accepted_fields(one):
        """10.1: those that a record has from the one that it accepts."""
        return {tag: value for tag, value in one.items() if tag > 190 and tag not in (199, 205)}

    def receipt(self, f, one, signatures):
        """4.5: what a vault signed, of this log, once, and of files that ended so under the head that it names."""
        r = second_vault.Receipt(one[245])
        want(one[210] == r.vault and one[112] == r.request, "the frame says another thing than its receipt")
        want(one[245] not in self.receipts, "a receipt that is there already")
        want(r.archive.hex() == self.archive, "for another archive")
        want(r.key in self.vaults | set(self.cosigns), "of a vault that nobody knows")
        q = self.requests[r.request]
        want(q.doc["action"] == "destroy" and q.state in ("approved", "done", "failed"), "for a request that destroyed nothing")
        want(r.size <= f.sequence and self.root(r.size) == r.root, "a head that is none of this log")
        ended = [self.objects.destroyed[ino] for ino in r.inodes()]
        want(all(by == r.request and at < r.size for at, by in ended), "files that did not end by that request under that head")
        want((min(ended)[0], max(ended)[0]) == (r.first, r.last), "other frames than those that ended them")
        want(r.leaves == (sum(ino >= r.start for ino in r.inodes()) if r.start else 0), "keys that are left")
        self.receipts.add(one[245])

    def ceremony(self, f, one, signatures):
        """10.2: the whole transcript, of this archive, once."""
        import second_ceremony  # which is built on this file

        t = second_ceremony.Transcript(one[230])
        kinds = list(second_ceremony.STEPS)
        want(one[231].hex() == t.digests[0] and kinds[one[232][0] - 1] == t.kind, "the frame says another thing than its transcript")
        want(one[233][0] == t.rehearsal + 2 * (t.closing == "abandoned"), "the frame says another thing than its transcript")
        want(t.archive in ("none", self.archive), "for another archive")
        want(one[231] not in self.ceremonies and self.people, "there already, or nobody is enrolled")
        t.judge(self.people, lambda name, armored, purpose, statement: self.verify(self.people, name.encode() + b"\0" + armored, purpose, statement)[1])
        self.ceremonies[one[231]] = t.rehearsal
        valid = [line["document"] for line in t.lines if line["what"] == "valid"]
        if valid and not t.rehearsal and t.closing == "done":
            key = [line for line in t.lines if line["what"] == "made"][-1]["epoch_key"]
            self.made.add((bytes.fromhex(key), t.lines[0]["epoch"], bytes.fromhex(valid[0])))
