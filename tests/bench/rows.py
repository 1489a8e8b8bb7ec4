# SPDX-License-Identifier: Apache-2.0
"""The rows: what is done, beside whom, and what is aimed at. A measure gives operations or bytes a second."""
import hashlib, io, json, os, shutil, signal, socket, subprocess, tarfile, tempfile, time
from peers import S, Coffer, drop_caches, pin, run, tool, until

MIB = 1 << 20
ALL = "0-%d" % (os.cpu_count() - 1)


class Row:
    """better: "more", or "less" where the figure is a time. aims: {peer: ratio to reach}. subject: whose figure
    is compared with theirs."""
    def __init__(self, text, unit, measure, beside, aims, better="more", repeats=None, subject="coffer"):
        self.subject = subject
        self.text, self.unit, self.measure, self.beside = text, unit, measure, beside.split()
        self.aims, self.better, self.repeats = aims, better, repeats


# ---- writing ----

def writer(peer, size, writers, seconds, total=0, sync="none", where=None):
    return [tool("tests/bench/bench-writer"), where or peer.dir, str(size), str(writers), str(seconds), str(int(total)), sync,
            "seal" if peer.seals else "plain"]


def rate(result, size):
    return (result["bytes"] if size >= 65536 else result["ops"]) / result["seconds"]


def write_row(size, writers, seconds=2.0, total=0, sync="none", pinned=False):
    def measure(peer):
        cpus = "0" if pinned else ALL
        if peer.pid:
            pin(peer.pid, cpus)
        if total:
            os.sync()  # what another peer left to be written would slow this one down
        disk = peer.name == "disk"
        out = run("taskset", "-c", cpus, *writer(peer, size, 4 if disk else writers, 600 if total else seconds * S.scale,
                                                 total * S.scale, "disk" if disk else sync))
        peer.clear()
        return rate(json.loads(out), size)
    return measure


def durable_shelf(peer):
    """Coffer: write(2) alone, on a shelf where each is durable; a peer needs write(2) and fsync(2) for the same."""
    sync, where = ("none", peer.shelf("strict")) if isinstance(peer, Coffer) else ("dsync" if peer.name in ("null-sync", "bare") else "fsync", None)
    if peer.pid:
        pin(peer.pid, ALL)
    out = run("taskset", "-c", ALL, *writer(peer, 128, 16, 2.0 * S.scale, 0, sync, where))
    peer.clear()
    return rate(json.loads(out), 128)


def beside_stream(peer):
    """How many times its p50 alone the p99 of a line is, while a stream of 1 MiB writes runs."""
    seconds = 2.0 * S.scale
    if peer.pid:
        pin(peer.pid, ALL)
    alone = json.loads(run(*writer(peer, 128, 1, seconds)))
    stream = subprocess.Popen(writer(peer, MIB, 1, seconds + 1), stdout=subprocess.DEVNULL)
    until("the stream", 10, lambda: peer.name in ("null", "bare") or any(f.startswith("bench-%d" % stream.pid) for f in os.listdir(peer.dir)), peer.dir)
    both = json.loads(run(*writer(peer, 128, 1, seconds)))
    stream.wait()
    peer.clear()
    return both["p99"] / alone["p50"]


# ---- reading ----

def the_file(peer, name, size, piece, commit=True):
    """Made once: written in such pieces, and committed."""
    path = os.path.join(peer.dir, "%s-%d" % (name, size))
    if os.path.exists(path):
        return path
    block = os.urandom(max(piece, 131072))
    with open(path, "wb", buffering=0) as f:
        for i in range(size // piece):
            f.write(block[i * piece % len(block):][:piece])
        os.fsync(f.fileno())
    if commit:
        peer.commit(path)
    return path


def reader(path, size, pattern, total=0):
    r = json.loads(run("taskset", "-c", ALL, tool("tests/bench/bench-reader"), path, str(size), pattern, str(int(total))))
    return r["bytes"] / r["seconds"]


def read_row(size, cold, pattern="seq", total=0, mib=512, piece=131072):
    def measure(peer):
        if peer.pid:
            pin(peer.pid, ALL)
        path = the_file(peer, "read-%d" % piece, int(mib * MIB * S.scale), piece)
        if cold:
            drop_caches()
        else:
            reader(path, MIB, "seq")
        return reader(path, size, pattern, total * S.scale)
    return measure


def read_open(peer):
    """A file that is open for writing, in the pieces that its reader asks for: 64 KiB."""
    if peer.pid:
        pin(peer.pid, ALL)
    path = the_file(peer, "open", int(256 * MIB * S.scale), 131072, commit=False)
    return reader(path, 65536, "seq")


# ---- programs ----

def rsyslog(peer):
    """Messages a second that rsyslog takes over TCP and has written into one file."""
    messages = int(300000 * S.scale)
    work = tempfile.mkdtemp(dir=S.work)
    target = os.path.join(peer.dir, "rsyslog-%d-%d.log" % (os.getpid(), time.monotonic_ns()))
    conf = os.path.join(work, "conf")
    with open(conf, "w") as f:
        f.write('global(workDirectory="%s")\nmodule(load="imtcp")\n'
                'input(type="imtcp" Address="127.0.0.1" Port="0" ListenPortFileName="%s/port")\n'
                'template(name="t" type="string" string="%%msg%%\\n")\n'
                '*.* action(type="omfile" file="%s" template="t" ioBufferSize="64k")\n' % (work, work, target))
    if peer.pid:
        pin(peer.pid, ALL)
    daemon = subprocess.Popen(["rsyslogd", "-n", "-f", conf, "-i", os.path.join(work, "pid")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        port = os.path.join(work, "port")
        until("rsyslogd", 20, lambda: os.path.exists(port) and os.path.getsize(port) > 0, work)
        block = b"".join(b"<13>Nov 24 12:00:00 host app: message %06d of one that is about as long as such lines are in practice, "
                         b"ip 192.0.2.1\n" % i for i in range(1000))
        line = len(block) // 1000 - len(b"<13>Nov 24 12:00:00 host app:")
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", int(open(port).read()))) as s:
            for _ in range(messages // 1000):
                s.sendall(block)
        until("rsyslogd to write", 120,
              lambda: os.path.exists(target) and os.stat(target).st_size >= messages * line, peer.dir)
        seconds = time.monotonic() - began
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait(30)
    peer.put_away(target)
    return messages / seconds


def tar_file(files):
    path = os.path.join(S.work, "small-%d.tar" % files)
    if not os.path.exists(path):
        with tarfile.open(path, "w") as t:
            for i in range(files):
                info = tarfile.TarInfo("d%03d/file-%06d" % (i // 500, i))
                info.size, info.mode, info.mtime = 1024, 0o644, 1700000000
                t.addfile(info, io.BytesIO(hashlib.sha256(b"%d" % i).digest() * 32))
    return path


def tar_extract(peer):
    """Files a second."""
    files = int(20000 * S.scale)
    source = tar_file(files)
    target = os.path.join(peer.dir, "tar-%d" % time.monotonic_ns())
    os.mkdir(target)
    if peer.pid:
        pin(peer.pid, ALL)
    began = time.monotonic()
    run("tar", "-x", "-f", source, "-C", target)
    seconds = time.monotonic() - began
    peer.put_away(target)
    return files / seconds


def find_list(peer):
    """Names a second, nothing of them in the kernel's caches."""
    files = int(100000 * S.scale)
    top = os.path.join(peer.dir, "tree-%d" % files)
    if not os.path.exists(top):
        for d in range(20):
            os.makedirs(os.path.join(top, "d%02d" % d))
            for i in range(files // 20):
                os.close(os.open(os.path.join(top, "d%02d/file-%06d" % (d, i)), os.O_WRONLY | os.O_CREAT, 0o644))
    if peer.pid:
        pin(peer.pid, ALL)
    drop_caches()
    began = time.monotonic()
    n = run("find", top, "-ls").count("\n")
    seconds = time.monotonic() - began
    if n != files // 20 * 20 + 21:
        raise SystemExit("bench: find saw %d names under %s" % (n, top))
    return n / seconds


W = "gocryptfs securefs ext4+seal"
ROWS = {
    "A": Row("128 B lines, 1 writer", "k/s", write_row(128, 1, pinned=True), "null bare " + W, {"null": 0.85}),
    "B": Row("128 B lines, 4 writers", "k/s", write_row(128, 4), "null bare " + W, {"null": 0.7, "gocryptfs": 5}),
    "A-uring": Row("A over io_uring", "k/s", write_row(128, 1, pinned=True), "null null-uring bare-uring gocryptfs",
                   {"null-uring": 0.75, "null": 1.4}, subject="coffer-uring"),
    "B-uring": Row("B over io_uring", "k/s", write_row(128, 4), "null null-uring bare-uring gocryptfs", {"null-uring": 0.7, "gocryptfs": 9},
                   subject="coffer-uring"),
    "C": Row("4 KiB, 1 writer", "k/s", write_row(4096, 1, pinned=True), "null bare " + W, {"null": 0.75}),
    "D": Row("128 KiB, 1 writer", "MB/s", write_row(131072, 1, 0, 512 * MIB), "null bare " + W, {"gocryptfs": 1.4}),
    "E": Row("1 MiB stream, 1 writer", "MB/s", write_row(MIB, 1, 0, 512 * MIB), "null bare " + W, {"gocryptfs": 1.6}),
    "E2": Row("1 MiB stream, 2 writers", "MB/s", write_row(MIB, 2, 0, 512 * MIB), "null bare " + W, {"gocryptfs": 2}),
    "E-disk": Row("1 MiB stream of 768 MiB and one fsync", "MB/s", write_row(MIB, 1, 0, 768 * MIB, "final"), "ext4 disk bare " + W,
                  {"gocryptfs": 1.4, "ext4": 1.5}),
    "F": Row("128 B, fsync each, 1 writer", "k/s", write_row(128, 1, sync="fsync", pinned=True), "ext4 " + W, {"ext4": 0.95}),
    "G": Row("128 B, fsync each, 16 writers", "k/s", write_row(128, 16, sync="fsync"), "ext4 null null-sync bare " + W, {"ext4": 0.9, "gocryptfs": 4}),
    "G-shelf": Row("128 B, 16 writers, each write durable by policy", "k/s", durable_shelf, "ext4 null null-sync bare gocryptfs", {"ext4": 1.2}),
    "H": Row("128 B, fdatasync each, 64 writers", "k/s", write_row(128, 64, sync="fdatasync"), "ext4 null null-sync bare ext4+seal", {"ext4": 1.8}),
    "A-p99": Row("p99 of A beside a 1 MiB stream, in times its p50 alone", "x", beside_stream, "null bare gocryptfs ext4", {"": 10}, "less"),
    "L": Row("rsyslog over TCP into a file", "k/s", rsyslog, "ext4 null bare gocryptfs", {"ext4": 0.85, "gocryptfs": 3}),
    "I-cold": Row("read 1 MiB, cold, committed", "MB/s", read_row(MIB, True), "ext4 null-cached bare-cached gocryptfs securefs", {"gocryptfs": 2}),
    "K-cold": Row("read 4 KiB in order, cold, committed", "MB/s", read_row(4096, True), "ext4 null-cached bare-cached gocryptfs securefs", {"gocryptfs": 2}),
    "K-lines": Row("read 4 KiB in order, cold, a file of 128 B lines", "MB/s", read_row(4096, True, mib=64, piece=128),
                   "gocryptfs", {"gocryptfs": 0.3}),
    "J": Row("random 4 KiB reads, cold, in 1 GiB, committed", "MB/s", read_row(4096, True, "rand", 48 * MIB, 1024),
             "ext4 gocryptfs securefs", {"gocryptfs": 1.0}),
    "I-warm": Row("read 1 MiB, warm, committed", "MB/s", read_row(MIB, False), "ext4 null-cached", {"ext4": 0.9}),
    "K-warm": Row("read 4 KiB in order, warm, committed", "MB/s", read_row(4096, False), "ext4 null-cached", {"ext4": 0.9}),
    "R-open": Row("read 64 KiB of a file that is open", "MB/s", read_open, "null gocryptfs", {"null": 0.7}),
    "M-tar": Row("tar -x of 20,000 files of 1 KiB", "k/s", tar_extract, "gocryptfs securefs ext4", {"gocryptfs": 1.0}),
    "M-find": Row("find -ls over 100,000 files, cold", "k/s", find_list, "gocryptfs securefs ext4", {"gocryptfs": 1.0}),
}


# ---- without a mount: figures of one store, beside a program ----

def fill(coffer, size, total):
    """A new store of one file, written in such pieces; ended."""
    coffer.start()
    run(*writer(coffer, size, 1, 600, total))
    coffer.stop()


def against_openssl(coffer, piece, repeats):
    """The log's bytes a second through coffer verify, through openssl dgst -sha256 of the same files, and through the hashes
    that verification cannot do without, on all processors."""
    figures = {"coffer": [], "openssl": [], "hashes": []}
    size = sum(map(os.path.getsize, coffer.log_files()))
    for _ in range(repeats):
        for what, command in (("coffer", [tool("tools/coffer"), "verify", coffer.store]),
                              ("openssl", ["openssl", "dgst", "-sha256"] + coffer.log_files()),
                              ("hashes", [tool("tests/bench/bench-hashes"), str(piece)] + coffer.log_files())):
            began = time.monotonic()
            run(*command)
            figures[what].append(size / (time.monotonic() - began))
    return figures


def overhead(coffer, size, total):
    status = json.loads(run(tool("tools/coffer"), "status", coffer.store, "--json"))
    writes = total // size
    return {"piece": size, "writes": writes, "log": status["bytes"] / writes - size,
            "tile": coffer.size_of("tile") / writes, "index": coffer.size_of("index") / writes}


def stores(repeats):
    """Verification and overhead, for large pieces and for lines."""
    results = {}
    for name, size, total, aim in (("64k", 65536, int(512 * MIB * S.scale), 1.6), ("lines", 128, int(128 * MIB * S.scale), 0.8)):
        coffer = Coffer("coffer-" + name)
        fill(coffer, size, total)
        results["verify-" + name] = {
            "row": Row("coffer verify, frames of %s" % ("64 KiB" if size > 128 else "128 B"), "MB/s", None, "openssl", {"openssl": aim}),
            "figures": against_openssl(coffer, size, repeats)}
        results["overhead-" + name] = {"overhead": overhead(coffer, size, total)}
        shutil.rmtree(coffer.store)
    return results
