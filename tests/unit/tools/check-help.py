#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each verb's --help and its manual page name the same options; help fits a terminal; exit codes are as said.

usage: check-help.py COFFER MANDIR
"""
import re
import subprocess
import sys
from pathlib import Path

coffer, pages = sys.argv[1], Path(sys.argv[2])
failures = []


def check(what, ok):
    if not ok:
        failures.append(what)


def run(*args):
    return subprocess.run([coffer, *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)


def help_of(*args):
    """What goes to standard output, and nothing else, with exit code 0."""
    r = run(*args)
    name = " ".join(args) or "coffer alone"
    check(f"{name}: exit code {r.returncode}", r.returncode == 0)
    check(f"{name}: something on standard error: {r.stderr!r}", r.stderr == "")
    for line in r.stdout.splitlines():
        check(f"{name}: a line of {len(line)} columns: {line!r}", len(line) <= 80)
        check(f"{name}: blanks at the end of {line!r}", line == line.rstrip())
    return r.stdout


def options_of_help(text):
    """name -> argument or None"""
    found = re.findall(r"^  --([a-z-]+)(?: ([A-Za-z=|-]+))?(?:$|  )", text, re.M)
    return {name: arg or None for name, arg in found}


def options_of_page(text):
    section = text.split("# OPTIONS", 1)[-1].split("\n# ", 1)[0]
    found = re.findall(r"^\*--([a-z-]+)\*(.*)$", section, re.M)
    return {name: re.sub(r"[_\\ ]", "", rest) or None for name, rest in found}


overview = help_of()
verbs = re.findall(r"^  coffer ([a-z-]+) {2,}\S", overview, re.M)
check(f"verbs are missing in the overview: {verbs}", len(verbs) >= 20 and "self-check" in verbs)
check("--help and help differ from coffer alone", help_of("--help") == overview and help_of("help") == overview)
for verb in list(verbs):  # those of two words are in the help of the first
    verbs += re.findall(rf"^  coffer ({verb} [a-z-]+) {{2,}}\S", help_of(verb, "--help"), re.M)
check(f"no verbs of two words: {verbs}", "escrow epoch" in verbs)
main_page = (pages / "coffer.1.scd").read_text()

for verb in verbs:
    words = verb.split()
    text = help_of(*words, "--help")
    check(f"{verb}: -h and help {verb} differ from --help", help_of(*words, "-h") == text == help_of("help", *words))
    check(f"{verb}: no usage line", text.startswith(f"usage: coffer {verb}"))
    check(f"{verb}: not in coffer(1)", len(words) == 2 or re.search(rf"^\*{verb}\*", main_page, re.M))
    r = run(*words, "--no-such-option")
    check(f"{verb}: an unknown option gives {r.returncode}", r.returncode == 2)
    check(f"{verb}: an unknown option is not named", "--no-such-option" in r.stderr and r.stdout == "")
    options = options_of_help(text)
    check(f"{verb}: --help is not among its options", "help" in options)
    page_name = "coffer-" + "-".join(words)
    page = pages / f"{page_name}.1.scd"
    if not page.exists():
        check(f"{verb}: has options but no manual page", set(options) == {"help"})
        continue
    page_text = page.read_text()
    page_options = options_of_page(page_text)
    for name in sorted(set(options) | set(page_options)):
        check(f"{verb}: --{name} is in --help only", name in page_options)
        check(f"{verb}: --{name} is in the manual page only", name in options)
        if name in options and name in page_options:
            check(f"{verb}: --{name} takes {options[name]} in help, {page_options[name]} in the page",
                  options[name] == page_options[name])
    codes = set(re.findall(r"^ +(\d+)  ", text, re.M)) or set(re.findall(r"(?<![\d-])(\d+) [a-z]", text.split("Exit code:", 1)[-1].split("Options:")[0]))
    page_codes = set(re.findall(r"^\*(\d+)\*$", page_text, re.M))
    check(f"{verb}: exit codes {sorted(codes)} in help, {sorted(page_codes)} in the page", codes and codes == page_codes)
    check(f"{verb}: coffer(1) does not refer to its page", f"*{page_name}*(1)" in main_page)

r = run("stauts")
check("an unknown verb suggests the nearest, with exit code 2", r.returncode == 2 and "did you mean 'status'" in r.stderr)
r = run("xylophone")
check("an unknown verb without a neighbour", r.returncode == 2 and "did you mean" not in r.stderr)

for f in failures:
    print("FAILED:", f)
print(f"{len(verbs)} verbs checked, {len(failures)} failures")
sys.exit(bool(failures))
