# SPDX-License-Identifier: Apache-2.0
"""verify.html in Chromium, over its DevTools' pipe: a bundle is chosen as a person would, and what the page then shows is printed.

   evidence-browser.py PAGE BUNDLE [KEY ...]      first line: the class of the verdict; then all text of the page

Fails if the page asks for anything but itself, or says anything on its console."""
import json, os, shutil, subprocess, sys, tempfile


class Browser:
    def __init__(self, home):
        to_r, self.to = os.pipe()
        self.back, back_w = os.pipe()

        def pipes(): # it reads descriptor 3 and writes 4
            os.dup2(os.dup(to_r), 13), os.dup2(os.dup(back_w), 14)
            os.dup2(13, 3), os.dup2(14, 4)
        # --no-sandbox: the tests are root's, and the page is ours.
        self.process = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--user-data-dir=" + home, "--remote-debugging-pipe", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_r), os.close(back_w)
        self.n, self.left, self.seen, self.session = 0, b"", [], None

    def message(self):
        while b"\0" not in self.left:
            got = os.read(self.back, 1 << 16)
            if not got:
                raise SystemExit("the browser ended")
            self.left += got
        one, self.left = self.left.split(b"\0", 1)
        return json.loads(one)

    def call(self, method, **params):
        self.n += 1
        say = {"id": self.n, "method": method, "params": params}
        if self.session:
            say["sessionId"] = self.session
        os.write(self.to, json.dumps(say).encode() + b"\0")
        while True:
            m = self.message()
            if m.get("id") == self.n:
                if "error" in m:
                    raise SystemExit("%s: %s" % (method, m["error"]))
                return m["result"]
            self.seen.append(m)

    def until(self, method):
        while not any(m.get("method") == method for m in self.seen):
            self.seen.append(self.message())

    def value(self, script):
        r = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in r:
            raise SystemExit("%s: %s" % (script, r["exceptionDetails"]))
        return r["result"].get("value")


def main(page, bundle, *keys):
    home = tempfile.mkdtemp()
    b = Browser(home)
    try:
        target = b.call("Target.createTarget", url="about:blank")["targetId"]
        b.session = b.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "DOM", "Log"):
            b.call(domain + ".enable")
        b.call("Page.navigate", url="file://" + os.path.abspath(page))
        b.until("Page.loadEventFired")
        b.value("document.getElementById('keys').value = %s" % json.dumps("\n".join(keys)))
        root = b.call("DOM.getDocument")["root"]["nodeId"]
        choose = b.call("DOM.querySelector", nodeId=root, selector="#file")["nodeId"]
        b.call("DOM.setFileInputFiles", nodeId=choose, files=[os.path.abspath(bundle)])
        # The verdict's class is empty while it is being checked.
        kind = b.value("new Promise(done => { const look = () => { const v = document.getElementById('verdict');"
                       " if (!v.hidden && v.className) done(v.className); else requestAnimationFrame(look); }; look(); })")
        print(kind)
        print(b.value("document.body.innerText"))
        own = "file://" + os.path.abspath(page)
        asked = [m["params"]["request"]["url"] for m in b.seen if m.get("method") == "Network.requestWillBeSent"]
        said = [m for m in b.seen if m.get("method") in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded")]
        if [u for u in asked if u != own] or said:
            raise SystemExit("it asked for %s and said %s" % (asked, said))
        if own not in asked:
            raise SystemExit("requests are not seen: %s" % asked)
    finally:
        b.process.kill()
        b.process.wait()
        shutil.rmtree(home, ignore_errors=True)


main(*sys.argv[1:])
