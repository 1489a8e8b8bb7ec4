#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Images of a disk as power cuts leave it, from a log of all its writes (dm-log-writes' format, which
QEMU's blklogwrites driver writes: a superblock, then for each entry a sector of four little-endian
numbers - sector, sectors, flags, bytes of data - and the data).

  logwrites.py count LOG                     entries so far
  logwrites.py image BASE LOG N SEED OUT     BASE with the first N entries: everything up to the last
                                             flush among them, and of what came later each write or not,
                                             as the seed says (seed 0: all)
"""
import os
import random
import struct
import sys

MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8


def superblock(log):
    log.seek(0)
    magic, version, entries, sector = struct.unpack("<QQQI", log.read(28))
    if magic != MAGIC or version != 1:
        sys.exit("logwrites: this is no log of writes")
    return entries, sector


def entries_of(log, n):
    entries, size = superblock(log)
    if n > entries:
        sys.exit("logwrites: there are %d entries, not %d" % (entries, n))
    at = size
    for _ in range(n):
        log.seek(at)
        sector, sectors, flags, _ = struct.unpack("<QQQQ", log.read(32))
        at += size
        data = b""
        if sectors and not flags & (DISCARD | MARK):
            log.seek(at)
            data = log.read(sectors * size)
            at += sectors * size
        yield sector * size, sectors * size, flags, data


def image(base, log, n, seed, out):
    entries = list(entries_of(log, n))
    last = max([i for i, e in enumerate(entries) if e[2] & FLUSH], default=-1)
    dice = random.Random(seed)
    fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(base, "rb") as f:
        while piece := f.read(1 << 20):
            if piece.count(0) == len(piece):
                os.lseek(fd, len(piece), os.SEEK_CUR)
            else:
                os.write(fd, piece)
    os.ftruncate(fd, os.stat(base).st_size)
    for i, (offset, length, flags, data) in enumerate(entries):
        if i > last and not flags & FUA and seed and dice.random() < 0.5:
            continue
        os.pwrite(fd, bytes(length) if flags & DISCARD else data, offset)
    os.close(fd)


def main():
    with open(sys.argv[3 if sys.argv[1] == "image" else 2], "rb") as log:
        if sys.argv[1] == "count":
            print(superblock(log)[0])
        else:
            image(sys.argv[2], log, int(sys.argv[4]), int(sys.argv[5]), sys.argv[6])


main()
