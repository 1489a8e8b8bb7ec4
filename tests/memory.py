#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Looks for secrets where they must not be: in a process's memory as root can read it, its arguments and environment, in files.

    memory.py dump PID PREFIX                     each mapping that can be read into a file PREFIX-ADDRESS
    memory.py process PID SEEN NEEDLE...          none of the needles in the process; SEEN has to be there, else nothing is looked at
    memory.py files DIR NEEDLE...                 none in any file below DIR

A needle is bytes:FILE (any part of the content, by pieces of 12), text:FILE (each line of 16 or more characters), share:FILE:LIST (a SLIP-39
share's words behind those that all of a set begin with, its value, its words' numbers) or hex:FILE (the content in hexadecimal).
"""
import os
import re
import sys

PIECE = 12


def mappings(pid):
    """(line of maps, bytes, or None for secret memory) of each mapping that ought to be readable."""
    with open(f"/proc/{pid}/mem", "rb", 0) as mem, open(f"/proc/{pid}/maps") as maps:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (r?)", line)
            begin, end = int(m[1], 16), int(m[2], 16)
            if not m[3] or "[v" in line:
                continue
            try:
                mem.seek(begin)
                data = b"".join(iter(lambda: mem.read(min(1 << 20, end - mem.tell())), b""))
            except OSError:
                if "secretmem" not in line:
                    raise
                yield line, None  # not even root reads it there
                continue
            if "secretmem" in line:
                sys.exit("secret memory was read: " + line)
            yield line, data


def share(path, list_path):
    words, names = open(path).read().split(), open(list_path).read().split()
    index = [names.index(w) for w in words]
    value = int("".join(f"{i:010b}" for i in index)[40:-30], 2)
    return {"words of " + path: " ".join(words[5:8]).encode(), "the value of " + path: value.to_bytes(32, "big")[:PIECE],
            "word numbers of " + path: b"".join(i.to_bytes(2, "little") for i in index[5:11])}


def needles(args):
    out = {}
    for arg in args:
        kind, path = arg.split(":", 1)
        if kind == "share":
            out.update(share(*path.split(":")))
            continue
        data = open(path, "rb").read()
        if kind == "text":
            out.update({f"line {n} of {path}": line for n, line in enumerate(data.splitlines()) if len(line) >= 16 and not line.startswith(b"-----")})
        elif kind == "hex":
            out[path + " in hexadecimal"] = data.hex().encode()[:32]
        else:
            out.update({f"bytes {i} of {path}": data[i:i + PIECE] for i in range(0, len(data) - PIECE + 1, 4)})
    if not out:
        sys.exit("nothing to look for")
    return out


def look(data, look_for, where):
    for what, needle in look_for.items():
        if needle in data:
            sys.exit(f"{where} holds {what}")


def process(pid, seen, look_for):
    kept = secret = 0
    found = False
    for line, data in mappings(pid):
        if data is None:
            secret += 1
            continue
        kept += 1
        found = found or seen.encode() in data
        look(data, look_for, f"process {pid}, {line.strip()},")
    for what in ("cmdline", "environ"):
        with open(f"/proc/{pid}/{what}", "rb") as f:
            look(f.read().replace(b"\0", b" "), look_for, what)
    if not found or kept < 5:
        sys.exit(f"the search sees nothing: {seen} is not in {kept} mappings")
    print(kept, "mappings read,", secret, "of secret memory not")


def dump(pid, prefix):
    kept = secret = 0
    for line, data in mappings(pid):
        secret += data is None
        if data and data.strip(b"\0"):
            with open(f"{prefix}-{line.split('-')[0]}", "wb") as f:
                f.write(data)
            kept += 1
    print(kept, "mappings read,", secret, "of secret memory not")


def files(top, look_for):
    n = 0
    for d, _, names in os.walk(top):
        for name in names:
            path = os.path.join(d, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as f:
                    look(f.read(), look_for, path)
                n += 1
    if not n:
        sys.exit("no file is below " + top)
    print(n, "files read")


if __name__ == "__main__":
    action, *rest = sys.argv[1:]
    if action == "dump":
        dump(*rest)
    elif action == "process":
        process(rest[0], rest[1], needles(rest[2:]))
    else:
        files(rest[0], needles(rest[1:]))
