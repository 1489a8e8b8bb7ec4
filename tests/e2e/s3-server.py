#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""An S3 server for tests, in memory: versions, Object Lock, parts; and faults when it is told.

usage: s3-server.py PORTFILE ACCESS SECRET [CERT KEY]

It judges every signature by an implementation of its own. POST /_plan takes a list of faults, each {"match": regex over
"METHOD key?query", "do": what, "times": n, "skip": n}; GET /_log gives the requests since the last time; POST /_do
changes things as the server's root would. What a fault can do is in fault() and after_fault().
"""
import base64
import hashlib
import hmac
import json
import os
import re
import ssl
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from xml.sax.saxutils import escape

lock = threading.Lock()
buckets = {}  # name -> {"objects": {key: [version, ...]}, "uploads": {}}, newest version last
plan, log = [], []
count = 0
ACCESS, SECRET = sys.argv[2], sys.argv[3]


def version():
    global count
    count += 1
    return "v%06d" % count


def sign(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def signature(h, payload):
    """What the Authorization header should end with, from the request as it came."""
    m = re.match(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d+)/([^/]+)/s3/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)$",
                 h.headers.get("authorization", ""))
    if not m or m[1] != ACCESS:
        return None, "InvalidAccessKeyId"
    path, _, query = h.path.partition("?")
    pairs = sorted(tuple(p.split("=", 1)) for p in query.split("&")) if query else []
    names = m[4].split(";")
    for must in ["host", "x-amz-date", "x-amz-content-sha256"]:
        if must not in names:
            return None, "AccessDenied"
    text = "\n".join([h.command, path, "&".join(f"{a}={b}" for a, b in pairs)] +
                     [f"{n}:{' '.join(h.headers[n].split())}" for n in names] + ["", m[4], h.headers["x-amz-content-sha256"]])
    day = sign(("AWS4" + SECRET).encode(), m[2])
    for part in [m[3], "s3", "aws4_request"]:
        day = sign(day, part)
    want = hmac.new(day, "\n".join(["AWS4-HMAC-SHA256", h.headers["x-amz-date"], f"{m[2]}/{m[3]}/s3/aws4_request",
                                    hashlib.sha256(text.encode()).hexdigest()]).encode(), hashlib.sha256).hexdigest()
    if want != m[5]:
        return None, "SignatureDoesNotMatch"
    if hashlib.sha256(payload).hexdigest() != h.headers["x-amz-content-sha256"]:
        return None, "XAmzContentSHA256Mismatch"
    return m[1], None


def xml(root, *parts):
    return f'<?xml version="1.0"?><{root} xmlns="http://s3.example/">{"".join(parts)}</{root}>'.encode()


def tag(name, text):
    return f"<{name}>{escape(str(text))}</{name}>"


def stamp(t=None):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(t))


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes

    def log_message(self, *args):
        pass

    # ---- answers ----

    def answer(self, status, body=b"", headers=None, cut=None):
        self.send_response(status)
        for k, v in (headers or {}).items():
            self.send_header(k, v)
        if not (headers or {}).get("Content-Length"):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.close_connection = True

    def error(self, status, code, headers=None):
        self.answer(status, xml("Error", tag("Code", code), tag("Message", "says the test's server")), headers)

    def fault(self, name):
        """The fault that is planned for this request, or None."""
        with lock:
            for f in plan:
                if f["times"] and re.search(f["match"], name):
                    if f.get("skip"):
                        f["skip"] -= 1
                        continue
                    f["times"] -= 1
                    return f["do"]
        return None

    def do(self):
        split = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(split.query, keep_blank_values=True))
        _, bucket, *rest = urllib.parse.unquote(split.path).split("/", 2)
        key = rest[0] if rest else ""
        n = int(self.headers.get("Content-Length") or 0)
        name = f"{self.command} {key}?{split.query}"
        do = self.fault(name) if not bucket.startswith("_") else None
        if do == "cut-in":  # in the middle of what is sent
            self.rfile.read(n // 2)
            self.close_connection = True
            self.connection.close()
            return
        body = self.rfile.read(n)
        if bucket.startswith("_"):
            return self.admin(bucket, body)
        with lock:
            log.append(name)
        if do == "cut":
            self.close_connection = True
            self.connection.close()
            return
        if do == "500":
            return self.error(500, "InternalError")
        if do == "503":
            return self.error(503, "SlowDown", {"Retry-After": "0"})
        if do == "400":  # encrypted with a key of whoever put it there
            return self.error(400, "InvalidRequest")
        if do == "403":
            return self.error(403, "AccessDenied")
        if do == "501":
            return self.error(501, "NotImplemented")
        if do == "noise":
            return self.answer(200, b"<html>a captive portal</html>")
        if do == "bomb":
            return self.answer(200, b'<!DOCTYPE a [<!ENTITY b "bbbbbbbbbb">]><ListVersionsResult>&b;</ListVersionsResult>')
        if do == "endless":
            return self.answer(200, b"<ListVersionsResult>" + b" " * (5 << 20), {"Content-Length": str(6 << 20)}, cut=6 << 20)
        if do == "redirect":
            return self.error(301, "PermanentRedirect", {"Location": "http://127.0.0.1:1/"})
        _, wrong = signature(self, body)
        if wrong:
            return self.error(403, wrong)
        with lock:
            self.serve(bucket, key, query, body, do)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = do

    # ---- S3 ----

    def serve(self, bucket, key, query, body, do):
        if bucket not in buckets:
            return self.error(404, "NoSuchBucket")
        b = buckets[bucket]
        if not key:
            return self.uploads(b, query) if "uploads" in query else self.list(b, query)
        versions = b["objects"].setdefault(key, [])
        if self.command == "POST":
            return self.post(b, key, query, body)
        if self.command == "PUT" and "uploadId" in query:
            return self.part(b, query, body, do)
        if self.command == "GET" and "uploadId" in query:
            return self.parts(b, query)
        if self.command == "PUT" and not query:
            return self.put(versions, body, do)
        wanted = query.get("versionId")
        found = [v for v in versions if v["id"] == wanted] if wanted else versions[-1:]
        if not found or (found[0]["marker"] and not wanted):
            return self.error(404, "NoSuchKey", {"x-amz-delete-marker": "true"} if found else None)
        if self.command == "PUT":
            return self.change(found[0], query, body, do)
        if self.command == "DELETE":
            return self.delete(versions, found[0], wanted, do)
        return self.get(found[0], do)

    def put(self, versions, body, do):
        if self.headers.get("if-none-match") == "*" and versions and not versions[-1]["marker"]:
            return self.error(412, "PreconditionFailed")
        digest = self.headers.get("x-amz-checksum-sha256")
        if digest and base64.b64decode(digest) != hashlib.sha256(body).digest():
            return self.error(400, "XAmzContentChecksumMismatch")
        md5 = self.headers.get("content-md5")
        if md5 and base64.b64decode(md5) != hashlib.md5(body).digest():
            return self.error(400, "BadDigest")
        v = self.fresh(body, hashlib.md5(body).hexdigest(), self.headers)
        if do == "drop-lock":
            v["until"] = v["mode"] = None
        if do == "truncate":
            v["body"] = v["body"][:-1]
        versions.append(v)
        etag = "0" * 32 if do == "wrong-etag" else v["etag"]
        if do == "lost":  # done, and nobody is told
            self.close_connection = True
            return self.connection.close()
        self.answer(200, headers={"ETag": f'"{etag}"', "x-amz-version-id": v["id"]})

    @staticmethod
    def fresh(body, etag, headers):
        return {"id": version(), "body": body, "etag": etag, "marker": False, "time": stamp(), "sha": headers.get("x-amz-meta-sha256"),
                "mode": headers.get("x-amz-object-lock-mode"), "until": headers.get("x-amz-object-lock-retain-until-date"),
                "hold": headers.get("x-amz-object-lock-legal-hold") == "ON"}

    def change(self, v, query, body, do):
        if "retention" in query:
            until = re.search(rb"<RetainUntilDate>(.*?)</", body)[1].decode()
            if v["until"] and until[:19] < v["until"][:19] and do != "let-shorten":
                return self.error(403, "AccessDenied")
            if do != "drop-lock":
                v["until"], v["mode"] = until, "COMPLIANCE"
        else:
            v["hold"] = b">ON<" in body
        self.answer(200)

    def delete(self, versions, v, wanted, do):
        if not wanted:
            versions.append({"id": version(), "marker": True, "time": stamp()})
            return self.answer(204)
        if not v["marker"] and (v["hold"] or (v["until"] or "") > stamp()) and do != "let-delete":
            return self.error(403, "AccessDenied")
        versions.remove(v)
        return self.answer(204)

    def get(self, v, do):
        if v["marker"]:
            return self.error(405, "MethodNotAllowed", {"x-amz-delete-marker": "true"})
        h = {"ETag": f'"{v["etag"]}"', "x-amz-version-id": v["id"], "x-amz-meta-sha256": v["sha"] or ""}
        if v["until"] and do != "hide-lock":
            h["x-amz-object-lock-mode"] = v["mode"]
            h["x-amz-object-lock-retain-until-date"] = v["until"]
        if v["hold"] and do != "hide-lock":
            h["x-amz-object-lock-legal-hold"] = "ON"
        if do == "other-sha":
            h["x-amz-meta-sha256"] = "0" * 64
        body, status = v["body"], 200
        if do == "flip":
            body = body[:len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1:]
        m = re.match(r"bytes=(\d+)-(\d+)$", self.headers.get("range", ""))
        if m:
            body, status = body[int(m[1]):int(m[2]) + 1], 206
        h["Content-Length"] = str(len(body))
        if do == "more":
            body, h["Content-Length"] = body + b"x" * 100, str(len(body) + 100)
        self.answer(status, body, h, cut=len(body) // 2 if do == "cut-out" else None)

    def list(self, b, query):
        rows, prefix = [], query.get("prefix", "")
        for key in sorted(b["objects"]):
            versions = b["objects"][key]
            if key.startswith(prefix):
                rows += [(key, v, v is versions[-1]) for v in reversed(versions)]
        after, seen = query.get("key-marker"), query.get("version-id-marker")
        if after:
            at = next((i for i, r in enumerate(rows) if r[0] == after and r[1]["id"] == seen), None)
            rows = rows[at + 1:] if at is not None else [r for r in rows if r[0] > after]
        page, more = rows[:7], len(rows) > 7
        quote = urllib.parse.quote
        parts = [tag("IsTruncated", "true" if more else "false")]
        if more:
            parts += [tag("NextKeyMarker", quote(page[-1][0], safe="")), tag("NextVersionIdMarker", page[-1][1]["id"])]
        for key, v, latest in page:
            inner = tag("Key", quote(key, safe="")) + tag("VersionId", v["id"]) + tag("IsLatest", str(latest).lower())
            inner += tag("LastModified", v["time"])
            if not v["marker"]:
                inner += tag("ETag", f'"{v["etag"]}"') + tag("Size", len(v["body"]))
            kind = "DeleteMarker" if v["marker"] else "Version"
            parts.append(f"<{kind}>{inner}</{kind}>")
        self.answer(200, xml("ListVersionsResult", *parts))

    # ---- parts ----

    def uploads(self, b, query):
        self.answer(200, xml("ListMultipartUploadsResult", *(
            f"<Upload>{tag('Key', u['key'])}{tag('UploadId', i)}</Upload>" for i, u in b["uploads"].items()
            if u["key"].startswith(query.get("prefix", "")))))

    def post(self, b, key, query, body):
        if "uploads" in query:
            i = "up-" + version()
            b["uploads"][i] = {"key": key, "headers": dict(self.headers.items()), "parts": {}}
            return self.answer(200, xml("InitiateMultipartUploadResult", tag("UploadId", i)))
        u = b["uploads"].get(query["uploadId"])
        if not u:
            return self.error(404, "NoSuchUpload")
        parts = [u["parts"][n] for n in sorted(u["parts"])]
        named = re.findall(rb'<ETag>"?(\w+)"?</ETag>', body)
        if [p["etag"].encode() for p in parts] != named:
            return self.error(400, "InvalidPart")
        etag = hashlib.md5(b"".join(bytes.fromhex(p["etag"]) for p in parts)).hexdigest() + f"-{len(parts)}"
        headers = {k.lower(): v for k, v in u["headers"].items()}
        headers.pop("x-amz-object-lock-retain-until-date", None)  # as a bucket's default was seen to replace it
        headers.pop("x-amz-object-lock-mode", None)
        b["objects"][key].append(self.fresh(b"".join(p["body"] for p in parts), etag, headers))
        del b["uploads"][query["uploadId"]]
        return self.answer(200, xml("CompleteMultipartUploadResult", tag("ETag", etag)))

    def part(self, b, query, body, do):
        u = b["uploads"].get(query["uploadId"])
        if not u:
            return self.error(404, "NoSuchUpload")
        u["parts"][int(query["partNumber"])] = {"body": body, "etag": hashlib.md5(body).hexdigest()}
        self.answer(200, headers={"ETag": '"%s"' % ("0" * 32 if do == "wrong-etag" else hashlib.md5(body).hexdigest())})

    def parts(self, b, query):
        u = b["uploads"].get(query["uploadId"])
        if not u:
            return self.error(404, "NoSuchUpload")
        self.answer(200, xml("ListPartsResult", *(
            f"<Part>{tag('PartNumber', n)}{tag('Size', len(p['body']))}<ETag>\"{p['etag']}\"</ETag></Part>"
            for n, p in sorted(u["parts"].items()))))

    # ---- the test's own door ----

    def admin(self, what, body):
        global plan, log
        with lock:
            if what == "_plan":
                plan = json.loads(body)
                out = {"left": plan}
            elif what == "_log":
                out, log = log, []
            else:
                out = self.root(json.loads(body))
        self.answer(200, json.dumps(out).encode())

    @staticmethod
    def root(j):
        """make · add KEY BODY [TIME SHA] · of keys that fit (last: the last of them): rm KEYREGEX · tamper KEYREGEX · unlock KEYREGEX · mark KEYREGEX · over KEYREGEX · keys"""
        b = buckets.setdefault(j["bucket"], {"objects": {}, "uploads": {}})
        hit = [k for k in sorted(b["objects"]) if b["objects"][k] and re.search(j.get("key", "$^"), k)]
        for k in hit[-1:] if j.get("last") else hit:
            v = b["objects"][k]
            if j["do"] == "rm":
                del b["objects"][k]
            elif j["do"] == "tamper":
                at = len(v[-1]["body"]) // 2
                v[-1]["body"] = v[-1]["body"][:at] + bytes([v[-1]["body"][at] ^ 1]) + v[-1]["body"][at + 1:]
            elif j["do"] == "unlock":
                v[-1]["until"], v[-1]["hold"] = None, False
            elif j["do"] == "mark":
                v.append({"id": version(), "marker": True, "time": stamp()})
            elif j["do"] == "over":
                v.append(Handler.fresh(b"x" * 1000, "e" * 32, {}))
        if j["do"] == "add":
            v = b["objects"].setdefault(j["key"], [])
            text = base64.b64decode(j["body"])
            v.append(Handler.fresh(text, hashlib.md5(text).hexdigest(), {"x-amz-meta-sha256": j.get("sha")}))
            v[-1]["time"] = j.get("time") or v[-1]["time"]
        return {k: [{"id": x["id"], "marker": x["marker"], "until": x.get("until"), "hold": x.get("hold"), "etag": x.get("etag"),
                     "size": len(x.get("body", b""))} for x in v] for k, v in b["objects"].items() if v}


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(sys.argv[1] + ".new", "w", encoding="ascii") as f:
    f.write(str(server.server_address[1]))
os.rename(sys.argv[1] + ".new", sys.argv[1])
server.serve_forever()
