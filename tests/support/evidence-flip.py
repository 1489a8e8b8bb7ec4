#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Changes one byte of a bundle after the other and asks a verifier each time; none may go unnoticed.

    evidence-flip.py BUNDLE SCRATCH STEP COMMAND...

Each STEP-th byte (1: all), and of every kind of place the first; COMMAND gets the changed copy as {}. Prints how many bytes were
tried; exit code 1 with the offset of the first that was not found out (exit code of COMMAND other than 13 or 15; of the
format's own name, 1 with a sentence).
"""
import random
import subprocess
import sys


def main():
    bundle, scratch, step, command = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4:]
    data = bytearray(open(bundle, "rb").read())
    rng = random.Random(20261125)
    tried = 0
    for at in range(rng.randrange(step), len(data), step):
        bit = 1 << rng.randrange(8)
        data[at] ^= bit
        with open(scratch, "wb") as f:
            f.write(data)
        data[at] ^= bit
        ran = subprocess.run([scratch if word == "{}" else word for word in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        tried += 1
        if ran.returncode not in (13, 15) and not (ran.returncode == 1 and b"a format that" in ran.stdout):
            print(f"byte {at}, bit {bit}: exit code {ran.returncode}")
            return 1
    print(tried)
    return 0


sys.exit(main())
