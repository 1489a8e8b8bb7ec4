#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One S3 request, signed here: prints the status and the answer's headers.

usage: s3-ask.py ENDPOINT ACCESS SECRET METHOD /BUCKET[/KEY][?QUERY] [NAME:VALUE ...]
"""
import hashlib
import hmac
import os
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

endpoint, access, secret, method, target, *more = sys.argv[1:]
path, _, query = target.partition("?")
pairs = sorted(urllib.parse.parse_qsl(query, keep_blank_values=True))
query = "&".join(f"{urllib.parse.quote(k, safe='')}={urllib.parse.quote(v, safe='')}" for k, v in pairs)
date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
payload = hashlib.sha256(b"").hexdigest()
headers = {"host": endpoint.split("://")[1], "x-amz-date": date, "x-amz-content-sha256": payload}
headers.update(h.split(":", 1) for h in more)
names = sorted(headers)
text = "\n".join([method, path, query, *(f"{n}:{headers[n]}" for n in names), "", ";".join(names), payload])
scope = f"{date[:8]}/us-east-1/s3/aws4_request"
key = ("AWS4" + secret).encode()
for part in scope.split("/"):
    key = hmac.new(key, part.encode(), hashlib.sha256).digest()
signature = hmac.new(key, f"AWS4-HMAC-SHA256\n{date}\n{scope}\n{hashlib.sha256(text.encode()).hexdigest()}".encode(),
                     hashlib.sha256).hexdigest()
headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={access}/{scope}, SignedHeaders={';'.join(names)}, Signature={signature}"
request = urllib.request.Request(endpoint + path + (f"?{query}" if query else ""), method=method, headers=headers)
try:
    answer = urllib.request.urlopen(request, timeout=60)
except urllib.error.HTTPError as e:
    answer = e
# in one write: whoever reads only the beginning breaks nothing
os.write(1, "".join(f"{line}\n" for line in [answer.status, *(f"{n.lower()}: {v}" for n, v in answer.headers.items())]).encode())
