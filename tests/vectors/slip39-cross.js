#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Cross-vectors of SLIP-39 with the npm package slip39 (0.1.9), which is not of this project.
//
//   NODE_PATH=… slip39-cross.js make > slip39-cross.json    sets of shares that it made: [name, [words…], secret]
//   NODE_PATH=… slip39-cross.js check FILE                  whether it recovers what another implementation made
//
// The passphrase is "cross check" throughout. The unit test escrow reads slip39-cross.json; its program
// slip39-make-shares writes a FILE for check.
"use strict";
const fs = require("fs");
const Slip39 = require("slip39");
const PASS = "cross check";

const SCHEMES = [
  { threshold: 1, groups: [[1, 1]] },
  { threshold: 1, groups: [[2, 3]] },
  { threshold: 1, groups: [[16, 16]] },
  { threshold: 2, groups: [[2, 3], [1, 1], [3, 5]] },
  { threshold: 3, groups: [[1, 1], [2, 2], [2, 4]] },
];

function hex(bytes) {
  return bytes.map((b) => b.toString(16).padStart(2, "0")).join("");
}

// Exactly as many shares as it takes: the first groups, the last members of each.
function choose(slip, scheme) {
  let words = [];
  scheme.groups.forEach(([t, n], i) => {
    if (i >= scheme.threshold) return;
    for (let k = n - t; k < n; k++) words = words.concat(slip.fromPath(`r/${i}/${k}`).mnemonics);
  });
  return words;
}

function make() {
  const all = [];
  for (const length of [16, 18, 32, 64])
    SCHEMES.forEach((scheme, i) => {
      for (const extendable of [0, 1]) {
        const secret = Array.from({ length }, (_, k) => (k * 37 + length + i) & 255);
        const slip = Slip39.fromArray(secret, {
          passphrase: PASS,
          threshold: scheme.threshold,
          groups: scheme.groups.map(([t, n]) => [t, n, ""]),
          iterationExponent: i % 2,
          extendableBackupFlag: extendable,
        });
        all.push([`${length} bytes, scheme ${i + 1}, extendable ${extendable}`, choose(slip, scheme), hex(secret)]);
      }
    });
  console.log(JSON.stringify(all, null, 1));
}

function check(file) {
  let wrong = 0;
  const all = JSON.parse(fs.readFileSync(file, "utf8"));
  for (const [name, words, secret] of all) {
    const got = hex(Array.from(Slip39.recoverSecret(words, PASS)));
    if (got !== secret) {
      console.error(`${name}: ${got} instead of ${secret}`);
      wrong++;
    }
  }
  console.log(`${all.length} sets, ${wrong} wrong`);
  process.exit(wrong || !all.length ? 1 : 0);
}

if (process.argv[2] === "make") make();
else if (process.argv[2] === "check") check(process.argv[3]);
else process.exit(2);
