#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/compliance.md says what is: each command it names exists and is run by a test of its row, each test exists, and its rows are those of the report.

    compliance_page.py COFFER SOURCE ROOT
"""
import os
import re
import subprocess
import sys

coffer, root = sys.argv[1:]
wrong = []
verbs = set(re.findall(r"^  coffer ([a-z-]+) ", subprocess.run([coffer, "help"], capture_output=True, text=True).stdout, re.M))
if not {"verify", "log", "compliance"} <= verbs:
    wrong.append(f"coffer help could not be read: {sorted(verbs)}")



def text_of(path):
    """All of a test: a file, or a folder of them."""
    names = [os.path.join(d, f) for d, _, files in os.walk(path) for f in files] if os.path.isdir(path) else [path]
    out = []
    for one in names:
        with open(one, encoding="utf-8", errors="replace") as file:
            out.append(file.read())
    return "\n".join(out)


rows = {}
with open(os.path.join(root, "docs/compliance.md"), encoding="utf-8") as f:
    for line in f:
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if len(cells) == 5 and re.fullmatch(r"R\d+", cells[0]):
            if cells[0] in rows:
                wrong.append(f"{cells[0]} is there twice")
            rows[cells[0]] = cells
for name, (_, rule, does, command, test) in rows.items():
    verbs_named = re.findall(r"`coffer ([a-z-]+)[ a-z-]*`", command)
    tests_named = re.findall(r"tests/[\w./-]+", test)
    for verb in verbs_named:
        if verb not in verbs:
            wrong.append(f"{name}: there is no coffer {verb}")
    for path in tests_named:
        if not os.path.exists(os.path.join(root, path)):
            wrong.append(f"{name}: there is no {path}")
    # A command that is named is run by one of the tests beside it.
    shown = "\n".join(text_of(os.path.join(root, path)) for path in tests_named if os.path.exists(os.path.join(root, path)))
    for verb in verbs_named:
        if not re.search(rf"\bcoffer {verb}\b", shown):
            wrong.append(f"{name}: none of its tests runs coffer {verb}")
    if "not built yet" not in does and not (verbs_named and tests_named):
        wrong.append(f"{name}: neither a command and a test nor 'not built yet'")
    if bool(verbs_named) != bool(tests_named):
        wrong.append(f"{name}: a command and a test belong together")

with open(os.path.join(root, "tools/compliance-checks.c"), encoding="utf-8") as f:
    reported = re.findall(r'^    \{"(R\d+)", ', f.read(), re.M)
if reported != list(rows):
    wrong.append(f"the page and the report have other rows: {sorted(set(reported) ^ set(rows))}")
for w in wrong:
    print(w)
print(f"{len(rows)} rows, {len(wrong)} wrong")
sys.exit(1 if wrong or len(rows) < 40 else 0)
