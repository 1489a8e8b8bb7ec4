#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Objects that somebody with a bucket's keys could put beside an archive's, from a store's log.

usage: s3-forge.py STORE ARCHIVE HOW SEGMENT [FROM TO]

Writes {"key": …, "body": base64} to standard output. HOW: later, one frame dated a second later, with its checks right · version,
its first frame of a version that nobody knows · payload, the last byte of the longest payload changed · longer, all of it and the
last frame once more behind it, with the next number. FROM, TO: a piece of these bytes, else the segment.
"""
import base64
import hashlib
import json
import struct
import sys

store, archive, how, number = sys.argv[1:4] + [int(sys.argv[4])]


def crc32c(data):
    c = 0xffffffff
    for b in data:
        c ^= b
        for _ in range(8):
            c = c >> 1 ^ (0x82f63b78 if c & 1 else 0)
    return c ^ 0xffffffff


with open(f"{store}/log/{number:08x}.seg", "rb") as f:
    log = bytearray(f.read())
frames, at = [], 0
while at + 128 <= len(log) and log[at:at + 4] == b"COFR":
    frames.append((at, 128 + struct.unpack_from("<I", log, at + 36)[0]))
    at += frames[-1][1]
end = at
first, last = (int(sys.argv[5]), int(sys.argv[6])) if len(sys.argv) > 6 else (0, end)
log = log[:last]
frames = [f for f in frames if f[0] >= first and f[0] + f[1] <= last]


def checked(at):
    struct.pack_into("<I", log, at + 124, crc32c(log[at:at + 124]))


if how == "later":
    at = frames[len(frames) // 2][0]
    struct.pack_into("<Q", log, at + 64, struct.unpack_from("<Q", log, at + 64)[0] + 10**9)
    checked(at)
elif how == "version":
    log[frames[0][0] + 5] = 2
    checked(frames[0][0])
elif how == "payload":
    at, n = max(frames, key=lambda f: f[1] if log[f[0] + 4] == 7 else 0)
    log[at + n - 1] ^= 1
elif how == "longer":
    at, n = frames[-1]
    log += log[at:at + n]
    struct.pack_into("<Q", log, last + 8, struct.unpack_from("<Q", log, at + 8)[0] + 1)
    checked(last)
body = bytes(log[first:])
digest = hashlib.sha256(body).hexdigest()
if len(sys.argv) > 6:
    key = f"{archive}/piece/{number:08x}-{first:08x}-{len(body):08x}-{digest}"
else:
    key = f"{archive}/segment/{number:08x}-{digest}"
print(json.dumps({"key": key, "body": base64.b64encode(body).decode()}))
