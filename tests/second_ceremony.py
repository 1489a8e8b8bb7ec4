#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Transcripts of ceremonies, read by docs/format.md 10.2 once more: the chain, the order of lines, who signed what. Signatures are
judged by ssh-keygen; proofs of shares need no key but the commitment in the line.

usage: second_ceremony.py TRANSCRIPT --people FILE [--archive ID]
"""
import base64
import datetime
import hashlib
import json
import re
import subprocess
import sys
import tempfile

from second_people import EXCLUSIVE, People, Refused, Signature, canonical, want

STEPS = {"creation": ["plan", "make", "confirm"], "resharing": ["plan", "make", "confirm"], "recovery": ["plan", "deliver"],
         "destruction": ["plan", "destroy"]}
HEX64, HEX32, NAME = "[0-9a-f]{64}", "[0-9a-f]{32}", "[A-Za-z0-9._@+][A-Za-z0-9._@+-]{0,62}"
SIGNATURE = r"-----BEGIN SSH SIGNATURE-----\n[A-Za-z0-9+/=\n]+\n-----END SSH SIGNATURE-----\n"
SIGNED = {"by": NAME, "signature": SIGNATURE}
KEYS = {"opened": {"archive": HEX32 + "|none", "epoch": int, "format": "coffer-ceremony/1", "kind": "|".join(STEPS), "nonce": HEX32, "people": HEX64,
                   "rehearsal": bool, "roll": list, "sheet": HEX64},
        "present": SIGNED, "told": {"step": "plan|make|confirm|deliver|destroy"}, "agreed": SIGNED, "begun": {"attempt": int},
        "failed": {"reason": "stopped|refused"}, "made": {"document": HEX64, "epoch_key": HEX64}, "confirmed": {"holder": int},
        "valid": {"document": HEX64}, "delivered": {"output": HEX64},
        "destroyed": {"challenge": "(erase|destroy)(-[a-km-np-z2-9]{4}){6}", "commitment": HEX64, "holder": int, "proof": "[A-Za-z0-9+/]{86}=="},
        "closing": {"outcome": "done|abandoned"}, "signed": SIGNED}
OF_KIND = {"creation": {"holders": int, "scheme": HEX64},
           "resharing": {"document": HEX64, "epoch_key": HEX64, "holders": int, "old": int, "scheme": HEX64},
           "recovery": {"document": HEX64, "epoch_key": HEX64, "input": HEX64, "to": "age1[a-z0-9]{58}"},
           "destruction": {"document": HEX64, "epoch_key": HEX64, "holders": int, "which": list}}


def has_form(value, form):
    if isinstance(form, type):
        return type(value) is form
    return isinstance(value, str) and re.fullmatch(form, value) is not None


class Transcript:
    """Its lines; signatures: (who, what, statement, armored). judge() says of those whether they count."""

    def __init__(self, raw):
        self.raw, self.lines, self.signatures, self.digests = raw, [], [], []
        self.present, self.agreed, self.signed, self.holders = [], [], [], set()
        self.step, self.told, self.attempt, self.open, self.closing, self.complete = 0, False, 0, False, None, False
        want(raw.endswith(b"\n") and len(raw) <= 60000, "no end, or too long")
        previous, last = "0" * 64, ""
        for n, text in enumerate(raw.split(b"\n")[:-1]):
            line = json.loads(text)
            want(canonical(line) == text + b"\n", f"line {n} is not canonical")
            want((line["n"], line["previous"]) == (n, previous) and n < 512, f"line {n} does not follow")
            want(re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z", line["time"]), f"line {n} has no time")
            want(line["time"] >= last, f"line {n} is before the line before")
            keys = {**KEYS[line["what"]], **(OF_KIND[line["kind"]] if line["what"] == "opened" else {})}
            want(set(line) == set(keys) | {"n", "previous", "time", "what"}, f"line {n} has other keys")
            want(all(has_form(line[k], form) for k, form in keys.items()), f"line {n} has a value of another form")
            want((n == 0) == (line["what"] == "opened"), f"line {n} opens it, or does not")
            want(all((0 if key == "holder" else 1) <= value < 2 ** 31 for key, value in line.items() if type(value) is int and key != "n"),
                 f"line {n} has a number that is none")
            getattr(self, "on_" + line["what"])(line)
            self.lines.append(line)
            self.digests.append(hashlib.sha256(text + b"\n").hexdigest())
            previous, last = self.digests[-1], line["time"]
        want(self.lines, "nothing is there")

    def on_opened(self, o):
        self.kind, self.rehearsal, self.archive, self.steps, self.which = o["kind"], o["rehearsal"], o["archive"], STEPS[o["kind"]], None
        self.roll, self.total = o["roll"], o.get("holders", 0)
        want(2 <= len(set(self.roll)) == len(self.roll) <= 24, "a roll with too few, or with somebody twice")
        want(self.archive != "none" or self.kind == "creation", "for no archive")
        if "which" in o:
            self.which = o["which"]
            want(self.which == sorted(set(self.which)) and self.which and self.which[-1] < self.total, "names other holders")

    def sign(self, line, done):
        about = max(i for i, x in enumerate(self.lines) if x["what"] in ("opened", "told", "closing"))
        want(line["by"] in self.roll and line["by"] not in done, line["by"] + " signs twice, or is not expected")
        statement = {"by": line["by"], "ceremony": self.digests[0], "does": line["what"], "format": "coffer-ceremony-statement/1",
                     "head": self.digests[about], "kind": self.kind, "rehearsal": self.rehearsal}
        if line["what"] == "agreed":
            statement["step"] = self.lines[about]["step"]
        if line["what"] == "signed":
            statement["outcome"] = self.lines[about]["outcome"]
        done.append(line["by"])
        self.signatures.append((line["by"], line["what"], canonical(statement), line["signature"].encode()))

    def now(self):
        return self.steps[self.step] if self.step < len(self.steps) else None

    def next(self):
        self.step, self.told, self.attempt, self.open, self.agreed, self.holders = self.step + 1, False, 0, False, [], set()

    def may(self, *steps):
        want(self.told and len(self.agreed) >= 2 and self.now() in steps and not self.closing, "something that two have not confirmed")

    def on_present(self, line):
        want(not (self.told or self.step or self.closing), "present after the roll call")
        self.sign(line, self.present)

    def on_told(self, line):
        if self.told and self.now() == "plan" and len(self.agreed) >= 2:
            self.next()  # two confirmed the plan: that is all of it
        want(not self.told and self.now() == line["step"] and not self.closing and len(self.present) >= 3, "another step is next")
        self.told = True

    def on_agreed(self, line):
        want(self.told and not self.attempt and line["by"] in self.present and not self.closing, "confirmed what was not told")
        self.sign(line, self.agreed)

    def on_signed(self, line):
        want(self.closing and line["by"] in self.present, "signed before the end")
        self.sign(line, self.signed)
        self.complete = set(self.signed) == set(self.present)

    def on_begun(self, line):
        self.may("make", "deliver")
        want(line["attempt"] == self.attempt + 1, "attempts are not counted")
        self.attempt, self.open = line["attempt"], True

    def on_failed(self, line):
        want(self.open and not self.closing, "failed, and was not begun")
        self.open = False

    def on_made(self, line):
        self.may("make")
        want(self.open and (self.kind != "resharing" or line["epoch_key"] == self.lines[0]["epoch_key"]), "not begun, or another secret")
        self.next()

    def on_delivered(self, line):
        self.may("deliver")
        want(self.open, "not begun")
        self.next()

    def holder(self, line):
        want(line["holder"] < self.total and line["holder"] not in self.holders, "a share twice")
        self.holders.add(line["holder"])

    def on_confirmed(self, line):
        self.may("confirm")
        self.holder(line)

    def on_valid(self, line):
        self.may("confirm")
        want(len(self.holders) == self.total, "valid before all have confirmed")
        self.next()

    def challenge(self, holder):
        about = f"coffer/1 share erase\n{self.digests[0]}\n{self.lines[0]['document']}\n{holder}\n"
        bits = int.from_bytes(hashlib.sha256(about.encode()).digest()[:15], "big")
        said = "".join("abcdefghijkmnpqrstuvwxyz23456789"[bits >> 5 * (23 - i) & 31] for i in range(24))
        return "-".join(["erase"] + [said[i:i + 4] for i in range(0, 24, 4)])

    def on_destroyed(self, line):
        self.may("destroy")
        want(line["holder"] in self.which, "another share")
        self.holder(line)
        if line["challenge"].startswith("erase-"):
            want(line["challenge"] == self.challenge(line["holder"]), "the proof was made for something else")
        message = f"coffer/1 share proof\n{line['challenge']}\n".encode()
        want(ed25519(bytes.fromhex(line["commitment"]), message, base64.b64decode(line["proof"])), "the share was not there")
        if sorted(self.holders) == self.which:
            self.next()

    def on_closing(self, line):
        want(not self.closing and (self.told or self.step), "closes before it began")
        want(line["outcome"] == "abandoned" or self.now() is None, "closes before its end")
        self.closing = line["outcome"]

    def judge(self, people, verify):
        """verify(name, armored, purpose, statement) -> key; raises what does not count."""
        keys = {}
        for name, what, statement, armored in self.signatures:
            key = verify(name, armored, "coffer-rehearsal" if self.rehearsal else "coffer-ceremony", statement)
            if what == "present":
                want(key not in keys.values(), "one key, two persons")
                keys[name] = key
            want(keys[name] == key, name + " has another key than at the roll call")
            want(what != "agreed" or "auditor" not in people.roles[name], name + " watches, and confirms")
        auditors = [n for n in self.present if "auditor" in people.roles[n]]
        want(auditors and len(self.present) - len(auditors) >= 2, "no auditor, or fewer than two others")
        want(self.complete, "not complete")


# ---- Ed25519, RFC 8032 ----

P, Q = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    k = D * x1 * x2 * y1 * y2
    return (x1 * y2 + x2 * y1) * pow(1 + k, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - k, -1, P) % P


def times(n, point):
    out = (0, 1)
    while n:
        out = add(out, point) if n & 1 else out
        point, n = add(point, point), n >> 1
    return out


def point(raw):
    y = int.from_bytes(raw, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    xx = (y * y - 1) * pow(D * y * y + 1, -1, P)
    x = pow(xx, (P + 3) // 8, P)
    if (x * x - xx) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    want((x * x - xx) % P == 0 and y < P, "no point")
    return (P - x if x & 1 != sign else x), y


def ed25519(public, message, signature):
    base = point(bytes.fromhex("58" + "66" * 31))
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    h = int.from_bytes(hashlib.sha512(r + public + message).digest(), "little") % Q
    return len(signature) == 64 and s < Q and times(s, base) == add(point(r), times(h, point(public)))


# ---- alone ----

def ssh_keygen(people, when):
    def verify(name, armored, purpose, statement):
        want(name in people.roles and people.roles[name] != {"vault"}, name + " may not sign")
        with tempfile.TemporaryDirectory() as d:
            for file, content in (("people", people.text), ("signature", armored)):
                with open(f"{d}/{file}", "wb") as f:
                    f.write(content)
            done = subprocess.run(["ssh-keygen", "-Y", "verify", "-n", purpose, "-I", name, "-f", d + "/people", "-s", d + "/signature",
                                   "-O", "verify-time=" + when], input=statement, capture_output=True, check=False)
        want(done.returncode == 0, f"the signature of {name} does not count")
        return Signature(armored).key
    return verify


def main(args):
    path, people, archive = args[0], None, None
    for option, value in zip(args[1::2], args[2::2]):
        people, archive = (value, archive) if option == "--people" else (people, value)
    with open(path, "rb") as f:
        t = Transcript(f.read())
    with open(people, "rb") as f:
        text = f.read()
    want(hashlib.sha256(text).hexdigest() == t.lines[0]["people"], "another people file")
    when = datetime.datetime.fromisoformat(t.lines[-1]["time"].replace("Z", "+00:00")).strftime("%Y%m%d%H%M%SZ")
    everybody = People(text, b"", EXCLUSIVE)
    t.judge(everybody, ssh_keygen(everybody, when))
    want(archive in (None, t.archive), "of another archive")
    print(json.dumps({"ceremony": t.digests[0], "kind": t.kind, "archive": t.archive, "rehearsal": t.rehearsal, "complete": t.complete,
                      "outcome": t.closing, "present": t.present}))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Refused, KeyError, ValueError, IndexError) as e:
        sys.exit(f"{sys.argv[1]}: {e}")
