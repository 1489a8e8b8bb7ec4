#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds the arrows between the folders (docs/design.md, section 4) over the #include lines.

    tests/layers.py [SOURCE ROOT]

- a folder includes headers of itself, of base and of the folders its row names, nothing else;
- of another folder only the public headers listed here;
- a vendor's header only in its home;
- no file includes a .c file or climbs with "..", and quoted includes name files that exist.

Tests may include every public header, and of the folder they test the private ones too. Before
this looks at the tree it checks itself on includes that must be refused. Exit code 0: all holds.
"""
import os
import re
import sys

# What a folder may include besides itself and base.
ARROWS = {
    "base": [],
    "crypto": [],
    "fs/io": [],
    "fs/log": ["fs/io", "crypto"],
    "fs/index": ["fs/log", "crypto"],
    "fs/rules": ["crypto"],  # a request's id is a hash
    "fs/sshsig": ["fs/rules"],
    "fs/leak": ["crypto"],
    "fs/archive": ["fs/rules", "fs/leak", "fs/log", "fs/index", "fs/io", "crypto"],
    "fs/control": ["fs/archive"],
    "fs/mount": ["fs/archive"],
    "fs/guard": ["crypto"],
    "escrow": ["crypto"],
    "tools/import": ["fs/rules", "crypto"],
    "tools/vault": ["fs/sshsig", "fs/archive", "fs/rules", "fs/log", "fs/io", "crypto"],
    "tools/s3": ["tools/vault", "fs/log", "fs/io", "crypto"],
    "tools/evidence": ["tools/vault", "fs/log", "fs/io", "crypto"],
    # the programs
    "fs": ["fs/mount", "fs/control", "fs/guard", "fs/sshsig", "fs/archive", "fs/rules", "fs/log", "fs/index", "fs/io", "crypto"],
    "tools": ["tools/import", "tools/evidence", "tools/s3", "tools/vault", "escrow", "fs/mount", "fs/control", "fs/guard", "fs/sshsig", "fs/archive", "fs/rules", "fs/log", "fs/index", "fs/io", "crypto"],
}

# Headers that other folders may include; every other header is its folder's own.
PUBLIC = {
    "base": ["base.h", "json.h"],
    "crypto": ["age.h", "cert.h", "cms.h", "crypto.h", "keytree.h", "leaves.h", "merkle.h", "note.h", "passphrase.h", "private-key.h", "quorum.h", "seal.h", "stamp.h", "tpm.h"],
    "fs/io": ["io.h"],
    "fs/log": ["log.h"],
    "fs/index": ["index.h"],
    "fs/rules": ["approve.h", "catalogue.h", "ceremony.h", "incident.h", "inodes.h", "place.h", "profile.h", "receipt.h", "rules.h"],
    "fs/sshsig": ["sshsig.h"],
    "fs/leak": ["leak.h"],
    "fs/archive": ["archive.h"],
    "escrow": ["epoch.h", "intake.h", "proof.h", "scheme.h", "sheet.h", "slip39.h"],
    "fs/control": ["control.h"],
    "fs/guard": ["guard.h"],
    "fs/mount": ["attach.h", "mount.h", "point.h"],
    "tools/import": ["import.h"],
    "tools/vault": ["bundle.h", "vault.h"],
    "tools/s3": ["copy.h", "s3.h"],
    "tools/evidence": ["evidence.h"],
}
PUBLIC_TO_TESTS = {"fs/io": ["sim.h"], "fs/mount": ["uring.h"]}

# Single includes across a border, each with its reason.
ALLOWED = {
    # mount.coffer asks who holds the store's lock, and has no archive to ask through
    ("fs/mount/point.c", "fs/io/io.h"),
}

VENDORS = [  # header, home
    (r"gcrypt\.h|gpg-error\.h", "crypto"),
    (r"tss2/.*\.h", "crypto"),
    (r"gnutls/.*\.h", "crypto/stamp.c"),
    (r"libtasn1\.h", "crypto/stamp-asn.c"),
    (r"curl/.*\.h", "tools/http.c"),
    (r"expat\.h", "tools/s3/xml.c"),
    (r"pcre2\.h", "tools/import"),
    (r"qrencode\.h", "escrow/sheet-qr.c"),
    (r"sqlite3(ext)?\.h", "fs/index"),
    (r"(fuse3?/)?(fuse|fuse_lowlevel|fuse_common|fuse_opt)\.h", "fs/mount"),
    (r"liburing(/.*)?\.h", "fs/mount/uring-queue.c"),
    (r"seccomp\.h|cap-ng\.h", "fs/guard"),
    (r"json-c/.*|json\.h|json_.*\.h", "base"),
    (r"ini\.h|INIReader\.h", "base"),
    (r"check\.h", "tests"),
]
# Single files that may include what has its home elsewhere.
VENDORS_AWAY = {
    "crypto/stamp.c": "crypto/stamp.c",
    "crypto/cert.c": "crypto/stamp.c",
    "crypto/cms-recipient.c": "crypto/stamp.c",
    "crypto/p256.c": "crypto/stamp.c",
    "crypto/private-key.c": "crypto/stamp.c",
    "crypto/private-key-ssh.c": "crypto/stamp.c",
    "crypto/private-key-ssh.h": "crypto/stamp.c",
    "crypto/public-use.c": "crypto/stamp.c",
    "crypto/stamp-asn.c": "crypto/stamp-asn.c",
    "crypto/asn1-array.c": "crypto/stamp-asn.c",  # run while building
    "tools/http.c": "tools/http.c",
    "escrow/sheet-qr.c": "escrow/sheet-qr.c",
    "tools/s3/request.c": "tools/http.c",  # a client that signs, and streams
    "tools/s3/xml.c": "tools/s3/xml.c",
    "fs/mount/uring-queue.c": "fs/mount/uring-queue.c",  # requests over io_uring
    # programs of tests that stand beside the product, not on it
    "tests/bench/nullfs.c": "fs/mount",  # a null filesystem to compare with
    "tests/bench/writer.c": "crypto",  # an application that encrypts by itself, to compare with
    "tests/support/accept.c": "fs/mount/uring-queue.c",  # a client that uses io_uring
}
# Other tests that look inside: of fs/archive, and each fuzz target into its parser's folder.
INSIDE = {"tests/sim": ["fs/archive"], "tests/fuzz": list(ARROWS)}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def folder_of(path, folders):
    """The longest folder of the table that holds this file, or "tests", or None."""
    best = None
    for folder in list(folders) + ["tests"]:
        if path.startswith(folder + "/") and (best is None or len(folder) > len(best)):
            best = folder
    return best


def tested(path):
    """The folders whose insides a test may see: tests/unit/log/x.c sees those of fs/log."""
    parts = path.split("/")
    if len(parts) > 3 and parts[1] == "unit":
        return [folder for folder in ARROWS if folder.split("/")[-1] == parts[2]]
    return INSIDE.get("/".join(parts[:2]), [])


def vendor_fault(path, home, header):
    for pattern, its_home in VENDORS:
        if not re.fullmatch(pattern, header):
            continue
        if home == its_home or VENDORS_AWAY.get(path) == its_home:
            return None
        return f"<{header}> is included in {its_home} only"
    return None


def quoted_fault(path, home, header, exists):
    if header.endswith(".c") and home != "tests":
        return "a .c file is no header"
    if ".." in header.split("/"):
        if home != "tests":
            return "paths begin at the top of the source, without .."
        header = os.path.normpath(os.path.join(os.path.dirname(path), header))
    beside = os.path.join(os.path.dirname(path), header)
    target = header if folder_of(header, ARROWS) else beside if exists(beside) else None
    if target is None or not exists(target):
        return f'"{header}" is no file of the source; vendors\' headers go in <>'
    there = folder_of(target, ARROWS)
    if there == home:
        return None
    if there == "tests":
        return "the product includes nothing of its tests"
    name = os.path.relpath(target, there)
    if home == "tests":
        if there in tested(path) or there not in PUBLIC:
            return None
        if name in PUBLIC.get(there, []) + PUBLIC_TO_TESTS.get(there, []):
            return None
        return f"{target} is private to {there}"
    if (path, target) in ALLOWED:
        return None
    if there != "base" and there not in ARROWS[home]:
        return f"no arrow leads from {home} to {there}"
    if name not in PUBLIC.get(there, []):
        return f"{target} is private to {there}"
    return None


def fault(path, line, exists):
    """What is wrong with this line of this file, or None."""
    match = INCLUDE.match(line)
    if not match:
        return None
    home = folder_of(path, ARROWS)
    if home is None:
        return "this folder is not in the table of tests/layers.py"
    kind, header = match.groups()
    if kind == "<":
        if folder_of(header, ARROWS) and exists(header):
            return "own headers go in quotation marks"
        return vendor_fault(path, home, header)
    return vendor_fault(path, home, header) or quoted_fault(path, home, header, exists)


REFUSED = [
    ("base/buf.c", '#include "crypto/crypto.h"'),
    ("crypto/hash.c", '#include "fs/io/io.h"'),
    ("fs/io/io.c", '#include "crypto/crypto.h"'),
    ("fs/log/chain.c", '#include "fs/archive/archive.h"'),
    ("fs/log/chain.c", '#include "fs/io/impl.h"'),
    ("fs/log/chain.c", '#include "crypto/private.h"'),
    ("fs/log/chain.c", '#include "fs/io/sim.h"'),
    ("fs/rules/rules.c", '#include "fs/io/io.h"'),
    ("fs/rules/rules.c", '#include "fs/log/log.h"'),
    ("fs/archive/write.c", '#include "fs/mount/mount.h"'),
    ("fs/archive/write.c", "#include <fuse_lowlevel.h>"),
    ("fs/archive/write.c", "#  include <fuse3/fuse_lowlevel.h>"),
    ("fs/mount/mount.c", '#include "fs/log/log.h"'),
    ("fs/mount/mount.c", "#include <sqlite3.h>"),
    ("fs/mount/mount.c", "#include <liburing.h>"),
    ("fs/control/server.c", "#include <json-c/json.h>"),
    ("fs/log/conf.c", "#include <ini.h>"),
    ("fs/log/commit.c", "#include <liburing.h>"),
    ("fs/log/commit.c", "#include <gcrypt.h>"),
    ("fs/archive/keys.c", "#include <tss2/tss2_esys.h>"),
    ("crypto/seal.c", "#include <gnutls/x509.h>"),
    ("tools/cmd-verify.c", "#include <curl/curl.h>"),
    ("tools/coffer.c", '#include "crypto/private.h"'),
    ("tools/coffer.c", '#include "../base/base.h"'),
    ("tools/coffer.c", '#include "base/buf.c"'),
    ("tools/coffer.c", "#include <check.h>"),
    ("tools/coffer.c", "#include <base/base.h>"),
    ("tools/coffer.c", '#include "no-such.h"'),
    ("tests/unit/log/test-log.c", '#include "crypto/private.h"'),
    ("tests/unit/log/test-log.c", "#include <gcrypt.h>"),
    ("tests/sim/world.c", '#include "fs/log/internal.h"'),
    ("tests/support/stress.c", "#include <liburing.h>"),
    ("fs/mount/mount.c", '#include "fs/io/io.h"'),
    ("fs/cofferfs.c", "#include <seccomp.h>"),
    ("fs/guard/paths.c", '#include "fs/io/io.h"'),
    ("fresh/new.c", '#include "base/base.h"'),
]
ACCEPTED = [
    ("base/buf.c", "#include <stdio.h>"),
    ("fs/io/io.c", '#include "base/base.h"'),
    ("fs/log/chain.c", '#include "fs/io/io.h"'),
    ("fs/log/chain.c", '#include "fs/log/internal.h"'),
    ("fs/mount/uring-queue.c", "#include <liburing.h>"),
    ("tools/coffer.c", '#include "fs/archive/archive.h"'),
    ("tests/unit/crypto/test-cipher.c", '#include "crypto/private.h"'),
    ("tests/unit/log/test-log.c", '#include "fs/io/sim.h"'),
    ("tools/coffer.c", "/* #include <gcrypt.h> is not for here */"),
]


def check_self():
    """Planted includes: the headers that they name are taken to exist, but for one."""
    exists = lambda p: not p.endswith("no-such.h")
    wrong = [c for c in REFUSED if fault(*c, exists) is None]
    wrong += [c for c in ACCEPTED if fault(*c, exists) is not None]
    for path, line in wrong:
        print(f"layers.py itself is wrong about {path}: {line}", file=sys.stderr)
    return not wrong


def sources(root):
    for top in ["base", "crypto", "escrow", "fs", "tools", "tests"]:
        for where, dirs, names in os.walk(os.path.join(root, top)):
            dirs.sort()
            for name in sorted(names):
                if name.endswith((".c", ".h")):
                    yield os.path.relpath(os.path.join(where, name), root)


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(__file__), "..")
    exists = lambda p: os.path.isfile(os.path.join(root, p))
    if not check_self():
        return 1
    files = faults = 0
    for path in sources(root):
        files += 1
        with open(os.path.join(root, path), encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                why = fault(path, line, exists)
                if why:
                    faults += 1
                    print(f"{path}:{number}: {line.strip()}: {why}", file=sys.stderr)
    if files < 100:
        print(f"only {files} files found under {root}", file=sys.stderr)
        return 1
    print(f"{files} files, {faults} includes against the arrows")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
