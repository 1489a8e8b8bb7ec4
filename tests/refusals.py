#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each reason that something is refused for is named by a test that provokes it.

    tests/refusals.py [SOURCE ROOT]

A reason is the word that the judge, the rules, the archive and the intake of keys give with a refusal. It is looked for where
tests say what they expect: "word" in quotes, (word) as commands print it, or behind the helpers of the end-to-end scripts; of
what the rules say at once also in the table of docs/rules.md, which the test rules-page makes from each cell and compares.
Planted bugs do not count. Before it looks at the tree it checks itself. Exit code 0: all are.
"""
import os
import re
import sys

# What refuses, and which argument is the word.
GIVES = {"judge_no": 1, "rule_refuse": 2, "rule_error": 2, "cof_people_refused": 3, "cof_people_refused_as": 4,
         "refused_here": 4}
# Functions of one file that stand between; 0: the words are in what the function returns.
OF_FILE = {"escrow/intake-rules.c": {"refuse": 1}, "fs/archive/evidence.c": {"refuse": 2}, "fs/archive/human.c": {"refusal": 0},
           "fs/rules/approve-judge-request.c": {"said": 0}}
# Each is an argument that is no word itself: the word comes from a place that is looked at.
PASSED_ON = re.compile(r"^(rule|w\.rule|ret->rule|refusal\(&f, r\))$")
WORD = re.compile(r'"([a-z][a-z0-9]*(?:-[a-z0-9]+)*)"')


def arguments(text, at):
    """The arguments of the call whose parenthesis opens at this place."""
    depth, start, all_, quoted = 0, at + 1, [], False
    for i in range(at, len(text)):
        c = text[i]
        if quoted:
            quoted = c != '"' or text[i - 1] == "\\"
        elif c == '"':
            quoted = True
        elif c in "([{":
            depth += 1
        elif c in ")]}":
            depth -= 1
            if not depth:
                return all_ + [text[start:i].strip()]
        elif c == "," and depth == 1:
            all_.append(text[start:i].strip())
            start = i + 1
    return all_


def body(text, name):
    """What stands in the function of that name."""
    found = re.search(r"^(?:static )?[^\n;]*\b%s\([^;{]*\)\n\{\n(.*?)^\}" % name, text, re.M | re.S)
    return found.group(1) if found else ""


def reasons(text, name):
    """(word, line) of each refusal in this source, and what could not be understood."""
    gives = dict(GIVES, **OF_FILE.get(name, {}))
    for function, place in gives.items():
        if not place:
            for found in WORD.finditer(body(text, function)):
                yield found.group(1), text.index(found.group(0))
            continue
        for call in re.finditer(r"\b%s\(" % function, text):
            before = text[text.rfind("\n", 0, call.start()) + 1:call.start()]
            if re.match(r"(static |inline )*(int|void) $", before):
                continue  # its definition
            of = arguments(text, call.end() - 1)
            words = WORD.findall(of[place]) if len(of) > place else []
            if not words and not PASSED_ON.match(of[place] if len(of) > place else ""):
                raise SystemExit("%s: which reason does this give? %s" % (name, text[call.start():call.start() + 90]))
            for word in words:
                yield word, call.start()


def provoked(text, script):
    """The words that this test expects."""
    words = set(WORD.findall(text))
    if script:
        words |= set(re.findall(r"\(([a-z][a-z0-9-]*)\)", text)) | set(re.findall(r"'([a-z][a-z0-9-]*)'", text))
        words |= set(re.findall(r"\brefused \"?([a-z][a-z0-9-]*)", text))
    return words


def files(top, folders, ends):
    for folder in folders:
        for where, _, names in os.walk(os.path.join(top, folder)):
            for name in sorted(names):
                if name.endswith(ends):
                    path = os.path.join(where, name)
                    with open(path, encoding="utf-8") as f:
                        yield os.path.relpath(path, top), f.read()


def of_the_table(top):
    with open(os.path.join(top, "docs/rules.md"), encoding="utf-8") as f:
        return set(re.findall(r"\| refused(?: and recorded)? \| Coffer \| ([a-z][a-z0-9-]*) \|", f.read()))


def check_itself():
    text = 'static int judge_no(struct x *ret, const char *rule)\n{\n}\nint f(void)\n{\n\treturn a ? judge_no(r, "one", "a, b") : judge_no(g(1, 2), b ? "two"\n : "three");\n}\n'
    assert sorted(w for w, _ in reasons(text, "x.c")) == ["one", "three", "two"]
    assert [w for w, _ in reasons("static const char *refusal(int r)\n{\n\treturn r ? \"four\" : NULL;\n}\n", "fs/archive/human.c")] == ["four"]
    assert provoked('REFUSED(r, w, "five-a");', False) == {"five-a"}
    assert provoked("refused six run; say seven; grep (eight)", True) == {"six", "eight"}


def main():
    top = sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
    check_itself()
    given, expected, table = {}, set(), of_the_table(top)
    for name, text in files(top, ["fs", "escrow", "tools"], ".c"):
        for word, at in reasons(text, name):
            at_once = text[at:].startswith(("rule_refuse", "rule_error"))
            given.setdefault((word, at_once and word in table), "%s:%d" % (name, text.count("\n", 0, at) + 1))
    for name, text in files(top, ["tests/unit", "tests/sim", "tests/e2e"], (".c", ".sh", ".py")):
        expected |= provoked(text, not name.endswith(".c"))
    missing = sorted(key for key in given if not key[1] and key[0] not in expected)
    for key in missing:
        print("%s: nothing is tested to be refused for \"%s\"" % (given[key], key[0]), file=sys.stderr)
    if not missing:
        print("%d reasons, each provoked" % len(given))
    return 1 if missing or len(given) < 80 else 0


if __name__ == "__main__":
    sys.exit(main())
