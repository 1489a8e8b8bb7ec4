#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A witness written from c2sp.org/tlog-witness, tlog-cosignature and RFC 9162 alone, over HTTPS, and one who asks a witness.

    witness.py serve STATE PORTFILE LOG-VKEY CERT KEY [CGI COMMAND...]
        prints its verifier key. With a command: answers by it instead (one HTTP request over standard input and output)
    witness.py key SEED-HEX NAME              the verifier key
    witness.py ask VKEY FILE COMMAND...       posts FILE to the command; checks that 200 is a cosignature by VKEY. Prints status, body
"""
import base64, hashlib, http.server, json, os, ssl, subprocess, sys, time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def node(a, b):
    return hashlib.sha256(b"\x01" + a + b).digest()


def consistent(m, n, root1, root2, proof):
    """RFC 9162 2.1.4.2."""
    if m == n:
        return not proof and root1 == root2
    if m == 0:
        return not proof
    proof = list(proof)
    if m & (m - 1) == 0:
        proof.insert(0, root1)
    if not proof:
        return False
    fn, sn = m - 1, n - 1
    while fn & 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = proof[0]
    for c in proof[1:]:
        if sn == 0:
            return False
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return fr == root1 and sr == root2 and sn == 0


def key_of(vkey, algorithm):
    name, key_id, blob = vkey.split("+", 2)
    blob = base64.b64decode(blob, validate=True)
    assert blob[0] == algorithm and hashlib.sha256(name.encode() + b"\n" + blob).digest()[:4].hex() == key_id
    return name, bytes.fromhex(key_id), Ed25519PublicKey.from_public_bytes(blob[1:])


def vkey_of(name, private, algorithm):
    blob = bytes([algorithm]) + private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return "%s+%s+%s" % (name, hashlib.sha256(name.encode() + b"\n" + blob).digest()[:4].hex(), base64.b64encode(blob).decode())


def signatures(note):
    text, _, lines = note.rpartition("\n\n")
    for line in lines.splitlines():
        dash, name, blob = line.split(" ")
        assert dash == "\u2014"
        yield name, base64.b64decode(blob, validate=True)


class Witness:
    def __init__(self, state, log):
        self.path, self.log = state, key_of(log, 1)
        seed = hashlib.sha256(b"a witness for tests " + state.encode()).digest()
        self.private = Ed25519PrivateKey.from_private_bytes(seed)
        self.vkey = vkey_of("witness.example/w", self.private, 4)
        self.seen = json.load(open(state)) if os.path.exists(state) else {"size": 0, "root": ""}

    def add_checkpoint(self, body):
        head, _, note = body.decode().partition("\n\n")
        first, *proof = head.split("\n")
        if not first.startswith("old ") or len(proof) > 63:
            return 400, "text/plain", b"malformed\n"
        old, proof = int(first[4:]), [base64.b64decode(p, validate=True) for p in proof]
        text = note.rpartition("\n\n")[0] + "\n"
        origin, size, root = text.split("\n")[:3]
        size, root = int(size), base64.b64decode(root)
        if origin != self.log[0]:
            return 404, "text/plain", b"unknown\n"
        good = False
        for name, blob in signatures(note):
            if name == self.log[0] and blob[:4] == self.log[1]:
                try:
                    self.log[2].verify(blob[4:], text.encode())
                    good = True
                except InvalidSignature:
                    pass
        if not good:
            return 403, "text/plain", b"no signature\n"
        if old > size:
            return 400, "text/plain", b"old above size\n"
        before = self.seen["size"], bytes.fromhex(self.seen["root"])
        if old != before[0] or (old == size and root != before[1]):
            return 409, "text/x.tlog.size", b"%d\n" % before[0]
        if old and not consistent(old, size, before[1], root, proof):
            return 422, "text/plain", b"proof\n"
        self.seen = {"size": size, "root": root.hex()}
        with open(self.path + ".new", "w") as f:
            json.dump(self.seen, f)
            f.flush()
            os.fsync(f.fileno())
        os.rename(self.path + ".new", self.path)
        now = int(time.time())
        signed = self.private.sign(b"cosignature/v1\ntime %d\n" % now + text.encode())
        name, key_id, _ = key_of(self.vkey, 4)
        line = "\u2014 %s %s\n" % (name, base64.b64encode(key_id + now.to_bytes(8, "big") + signed).decode())
        return 200, "text/plain", line.encode()


def serve(state, portfile, log, cert, key, *command):
    witness = Witness(state, log)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *a):
            pass

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if command:
                request = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (self.path.encode(), len(body)) + body
                self.wfile.write(subprocess.run(command, input=request, stdout=subprocess.PIPE).stdout)
                return
            status, kind, text = witness.add_checkpoint(body) if self.path.endswith("/add-checkpoint") else (404, "text/plain", b"")
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    if cert:  # without TLS, for this host itself
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(cert, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    with open(portfile + ".new", "w") as f:
        f.write("%d %s\n" % (server.server_address[1], witness.vkey))
    os.rename(portfile + ".new", portfile)

    def quiet(*a):
        pass

    server.handle_error = quiet
    server.serve_forever()


def ask(vkey, path, *command):
    body = open(path, "rb").read()
    request = b"POST /add-checkpoint HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    answer = subprocess.run(command, input=request, stdout=subprocess.PIPE, check=True).stdout
    head, _, text = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ")[1])
    assert b"Content-Length: %d\r\n" % len(text) in head + b"\r\n"
    if status == 200:
        name, key_id, public = key_of(vkey, 4)
        note = body.decode().partition("\n\n")[2]
        signed = note.rpartition("\n\n")[0] + "\n"
        (signer, blob), = signatures("\n\n" + text.decode())
        assert signer == name and blob[:4] == key_id and len(blob) == 76
        public.verify(blob[12:], b"cosignature/v1\ntime %d\n" % int.from_bytes(blob[4:12], "big") + signed.encode())
        text = b"cosigned"
    print(status, text.decode().strip())


if sys.argv[1] == "serve":
    serve(*sys.argv[2:])
elif sys.argv[1] == "ask":
    ask(*sys.argv[2:])
