# SPDX-License-Identifier: Apache-2.0
"""Of the second reader: which policy promises no less than another (docs/format.md 9.4). weaker() and weaker_archive()
give what would be weaker, or nothing."""
import re

INFINITE = (1 << 63) - 1
UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
APPROVE = {"approve_hold_end": "2", "approve_remove": "2 auditor", "approve_retention_end": "2", "approve_policy": "2",
           "approve_escrow": "2"}
SHELF = {"durability": "sync", "refuse": "perm", "retention": "", "retention_min": "0s", "retention_max": "infinite", "strict": "no",
         "autocommit": "0s", "quota": "0", "quota_files": "0", "staging": "no", "record_kind": "", "mode": "compliance",
         "cooling_off": "0s", "retain_event": "", "retain_follows": "none", "certificates": "no", "retain_margin": "0s",
         "read_events": "no", "silence": "0s", "leak_guard": "off", "remove": "request",
         "release_delay": "0s", **APPROVE}
# of a whole archive: what a key may do without a request
ARCHIVE = {
    "stay": "profile successor",
    "words more": "sources coverage_by change_signers exclusive forbidden_jurisdictions incident_to incident_pass_to evidence_exchange restore_first compromise_to",
    "words fewer": "openers jurisdictions",
    "rule": "approve_redact approve_clock approve_people approve_profile approve_destroy",
    "number more": "level coverage vault_grade record_kinds persons aes_bits rsa_bits ecc_bits hash_bits tls key_persons share_places survive "
                   "module_root module_sub places distance",
    "number fewer": "lockout",
    "number from": "incident_least incident_pass_on",
    "yes": "immutable_point changes auditor_secret measured_boot disclosure_basis ca_key_backup physical_backup ceremony_auditor escrow_ceremony "
           "hardware_officers transfer_basis retirement_statement destroy_agreement incident_hold",
    "no": "subscriber_backup plaintext_keys network remote_access",
    "longer": "on_site fire_rating rekey_root rekey_sub",
}


def span(text):
    m = re.fullmatch(r"(\d+)(s|min|h|d|w|y)", text)
    return INFINITE if text == "infinite" else min(INFINITE, int(m.group(1)) * UNITS[m.group(2)] * 10**9)


def size(text):
    return int(text.rstrip("KMGT")) << 10 * (" KMGT".index(text[-1]) if text[-1] in "KMGT" else 0)


def rule(text):
    return int(text.split()[0]), set(text.split()[1:])


def keys(raw):
    """Of an INI text: its keys. Whole lines of remarks say nothing."""
    out = {}
    for line in raw.decode("utf-8").split("\n"):
        if line.strip() and line.strip()[0] not in "#;[":
            k, v = line.split("=", 1)
            out[k.strip()] = v.strip()
    return out


def shelf(raw):
    p = keys(raw)
    if set(p) - set(SHELF):
        raise ValueError("a shelf's policy has keys that are not known")
    return {**SHELF, **p}


def fewer(a, b):
    return rule(b)[0] < rule(a)[0] or not rule(a)[1] <= rule(b)[1]


def later(a, b):
    """Spans that may become shorter; 0: never, or not at all."""
    return span(a) and (not span(b) or span(b) > span(a))


def less(a, b):
    return b and (not a or b < a)


def weaker(a, b):
    yes = lambda k: a[k] == "yes" and b[k] == "no"
    both = a["retention"] and b["retention"]
    endless = b["retention"] and span(b["retention_min"]) == INFINITE
    guard = ("off", "report", "refuse")
    found = {
        "durability": a["durability"] == "write" and b["durability"] == "sync",
        "retention": (not a["retention"] and b["retention"] and not endless) or (a["retention"] and not b["retention"])
                     or (both and span(b["retention"]) < span(a["retention"])),
        "retention_min": both and span(b["retention_min"]) < span(a["retention_min"]),
        "retention_max": both and span(b["retention_max"]) < span(a["retention_max"]),
        "strict": both and yes("strict"), "autocommit": later(a["autocommit"], b["autocommit"]),
        "quota": less(size(a["quota"]), size(b["quota"])), "quota_files": less(int(a["quota_files"]), int(b["quota_files"])),
        "staging": (a["staging"], b["staging"]) == ("no", "yes"), "record_kind": a["record_kind"] not in ("", b["record_kind"]),
        "mode": mode_lost(a, b), "cooling_off": span(b["cooling_off"]) > span(a["cooling_off"]),
        "retain_event": a["retain_event"] not in ("", b["retain_event"]),
        "retain_follows": (a["retain_follows"], b["retain_follows"]) == ("certificates", "none"),
        "certificates": yes("certificates"), "retain_margin": span(b["retain_margin"]) < span(a["retain_margin"]),
        "read_events": yes("read_events"), "silence": later(a["silence"], b["silence"]),
        "leak_guard": guard.index(b["leak_guard"]) < guard.index(a["leak_guard"]),
        "remove": (a["remove"], b["remove"]) == ("request", "rm"),
        "release_delay": span(b["release_delay"]) < span(a["release_delay"]),
        **{k: fewer(a[k], b[k]) for k in APPROVE},
    }
    return next((k for k, is_weaker in found.items() if is_weaker), None)


def mode_lost(a, b):
    return (a["mode"], b["mode"]) == ("compliance", "governance")


def keeps_mode(a, b):
    """What compliance promised stays, whoever approves."""
    return a["mode"] != "compliance" or (b["mode"] == "compliance" and span(b["cooling_off"]) <= span(a["cooling_off"]))


def number(text):
    return [int(n) for n in text.split(".")]


CHANGES = {
    "stay": lambda a, b: a not in ("", b),
    "words more": lambda a, b: not set(a.split()) <= set(b.split()),
    "words fewer": lambda a, b: a and (not b or not set(b.split()) <= set(a.split())),
    "rule": fewer,
    "number more": lambda a, b: number(b) < number(a),
    "number fewer": lambda a, b: number(b) > number(a),
    "number from": lambda a, b: int(a) and (not int(b) or int(b) > int(a)),
    "yes": lambda a, b: (a, b) == ("yes", "no"),
    "no": lambda a, b: (a, b) == ("no", "yes"),
    "shorter": later,
    "longer": lambda a, b: span(b) < span(a),
}


KIND = {k: kind for kind, names in ARCHIVE.items() for k in names.split()}  # all others are spans that may become shorter


def weaker_archive(a, b):
    """Of texts with all keys; one that only the newer has is of a later version."""
    return next((k for k in a if k not in b or CHANGES[KIND.get(k, "shorter")](a[k], b[k])), None)
