// SPDX-License-Identifier: Apache-2.0
// Runs what verify.html runs, out of the page itself, with node: evidence-page.js VERIFY.HTML COMMAND...
//   check BUNDLE KEY...          prints what it finds as JSON; exit code as coffer evidence check
//   flip BUNDLE STEP KEY...      changes every STEP-th byte; exit code 1 with the first that is not found out
//   codes LIST                   of many, each with the exit code that it has to have
//   ui BUNDLE KEY...             what the page shows, over the few calls of a document that it makes; dropped, then chosen
//   plain                        SHA-256, SHA-512 and Ed25519 of its own against node's
'use strict';
const fs = require('fs'), nodeCrypto = require('crypto'), vm = require('vm');
const [page, command, ...args] = process.argv.slice(2);
const script = /<script>\n([^]*)<\/script>/.exec(fs.readFileSync(page, 'utf8'))[1];
// A browser's globals that the page uses, and no others: no fetch, no require, no file.
const context = {TextEncoder, TextDecoder, atob, btoa, crypto: nodeCrypto.webcrypto, Uint8Array, BigInt, DataView, Error};
if (process.env.NO_ED25519) context.crypto = {subtle: {importKey: (f, k, a, ...rest) => a.name === 'Ed25519' ? Promise.reject(new Error('no'))
  : nodeCrypto.webcrypto.subtle.importKey(f, k, a, ...rest), decrypt: (...a) => nodeCrypto.webcrypto.subtle.decrypt(...a)}};
class Element {
  constructor() { Object.assign(this, {children: [], on: {}, className: '', words: '', value: '', hidden: true}); }
  set textContent(words) { this.words = words; this.children = []; }
  get textContent() { return this.words + this.children.map(c => '\n' + c.textContent).join(''); }
  appendChild(e) { this.children.push(e); }
  addEventListener(name, fn) { this.on[name] = fn; }
}
const elements = {};
if (command === 'ui') context.document = {createElement: () => new Element(), getElementById: id => elements[id] || (elements[id] = new Element())};
vm.createContext(context);
const Evidence = vm.runInContext(script + '\nEvidence', context);

function blob(bytes) { // as a File of a browser
  return {size: bytes.length, slice: (a, b) => ({arrayBuffer: async () => { const p = bytes.subarray(a, b); return p.buffer.slice(p.byteOffset, p.byteOffset + p.length); }})};
}
async function check(bundle, ...keys) {
  const r = await Evidence.check(blob(fs.readFileSync(bundle)), keys);
  console.log(JSON.stringify(r, (_, v) => typeof v === 'bigint' ? String(v) : v));
  return r.code;
}
async function flip(bundle, step, ...keys) {
  const bytes = fs.readFileSync(bundle);
  let seed = 7, tried = 0;
  const draw = n => { seed = (seed * 1103515245 + 12345) % 2147483648; return seed % n; };
  if ((await Evidence.check(blob(bytes), keys)).code !== 0) return 1;
  for (let at = draw(+step); at < bytes.length; at += +step, tried++) {
    const bit = 1 << draw(8);
    bytes[at] ^= bit;
    const r = await Evidence.check(blob(bytes), keys);
    bytes[at] ^= bit;
    if (r.code !== 13 && r.code !== 15 && !(r.code === 1 && /a format that/.test(r.text))) { console.log('byte', at, 'bit', bit, r); return 1; }
  }
  console.log(tried);
  return 0;
}
async function codes(list) { // lines: CODE, BUNDLE, KEY..., with tabs between
  for (const line of fs.readFileSync(list, 'utf8').trimEnd().split('\n')) {
    const [code, bundle, ...keys] = line.split('\t'), r = await Evidence.check(blob(fs.readFileSync(bundle)), keys);
    if (r.code !== +code) { console.log(line, r); return 1; }
  }
  return 0;
}
async function ui(bundle, ...keys) {
  const file = blob(fs.readFileSync(bundle)), shown = [];
  for (const id of ['keys', 'file', 'drop', 'verdict', 'about']) context.document.getElementById(id);
  elements.keys.value = keys.join('\n');
  for (const [where, what, event] of [['drop', 'drop', {preventDefault() {}, dataTransfer: {files: [file]}}], ['file', 'change', {target: {files: [file]}}]]) {
    elements.verdict.className = 'none';
    elements[where].on[what](event);
    while (elements.verdict.className === 'none' || elements.verdict.words.startsWith('Checking')) await new Promise(done => setImmediate(done));
    shown.push(elements.verdict.className + '\n' + elements.verdict.textContent + elements.about.textContent);
  }
  if (shown[0] !== shown[1]) return 1;
  console.log(shown[0]);
  return 0;
}
async function plain() {
  for (const n of [0, 1, 55, 56, 63, 64, 65, 111, 112, 127, 128, 129, 1000, 65536]) {
    const p = nodeCrypto.randomBytes(n);
    for (const name of ['sha256', 'sha512'])
      if (Buffer.compare(Buffer.from(Evidence[name](p)), nodeCrypto.createHash(name).update(p).digest())) throw new Error(name + ' of ' + n);
  }
  for (let i = 0; i < 8; i++) {
    const {publicKey, privateKey} = nodeCrypto.generateKeyPairSync('ed25519'), m = nodeCrypto.randomBytes(100 * i);
    const key = publicKey.export({format: 'der', type: 'spki'}).subarray(12), s = nodeCrypto.sign(null, m, privateKey);
    if (!Evidence.ed25519Plain(key, m, s)) throw new Error('a good signature is refused');
    s[8 * i] ^= 1;
    if (Evidence.ed25519Plain(key, m, s)) throw new Error('a bad signature is taken');
  }
  return 0;
}
({check, flip, codes, ui, plain}[command])(...args).then(code => process.exit(code), e => { console.error(e); process.exit(99); });
