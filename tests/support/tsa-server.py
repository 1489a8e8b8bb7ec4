#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A time-stamping authority on loopback, of tests/support/tsa.sh, and ways to misbehave.

    tsa-server.py DIR PORTFILE      serves until it is ended; writes its port

Paths: /ok · /text (another type) · /missing (404) · /moved (302) · /large (more than anybody takes) ·
/cut (ends in the middle) · /old (the first answer of /ok once more)
"""
import http.server
import os
import subprocess
import sys
import tempfile

DIR, PORTFILE = sys.argv[1:3]
TSA = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tsa.sh")
REPLY = "application/timestamp-reply"
first = []


def answer(query):
    with tempfile.TemporaryDirectory(dir=DIR) as where:
        with open(where + "/query", "wb") as f:
            f.write(query)
        subprocess.run([TSA, "answer", DIR, where + "/query", where + "/answer"], check=True)
        with open(where + "/answer", "rb") as f:
            return f.read()


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def give(self, status, kind, body, length=None, more=()):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self):
        query = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Content-Type"] != "application/timestamp-query":
            return self.give(415, "text/plain", b"")
        if self.path == "/text":
            return self.give(200, "text/html", b"<p>please log in</p>")
        if self.path == "/missing":
            return self.give(404, "text/plain", b"")
        if self.path == "/moved":
            return self.give(302, "text/plain", b"", more=[("Location", "/ok")])
        if self.path == "/large":
            return self.give(200, REPLY, b"0" * 200000)
        body = answer(query)
        first.append(body)
        if self.path == "/cut":
            return self.give(200, REPLY, body[:100], length=len(body))
        self.give(200, REPLY, first[0] if self.path == "/old" else body)


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(PORTFILE + ".new", "w") as f:
    f.write(str(server.server_address[1]))
os.rename(PORTFILE + ".new", PORTFILE)
server.serve_forever()
