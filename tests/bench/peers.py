# SPDX-License-Identifier: Apache-2.0
"""The filesystems that are measured: Coffer, and what it is measured beside."""
import ctypes, json, os, select, shutil, subprocess, sys, time


class Setting:
    """One run: where it works, what it measures with, how long."""
    build = work = None
    scale = 1.0           # of durations and sizes
    coffer_options = ""   # more mount options for Coffer
    transport = ""        # a word for the report: how Coffer was mounted


S = Setting()


def tool(name):
    return os.path.join(S.build, name)


def run(*args, **kw):
    p = subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **kw)
    if p.returncode:
        sys.exit("bench: %s: exit code %d: %s" % (" ".join(args[:6]), p.returncode, p.stderr.strip()[-400:]))
    return p.stdout


def until(what, seconds, test, directory=None):
    """Until test() holds: looked at again when something is mounted, or changes in the directory."""
    end = time.monotonic() + seconds
    mounts = os.open("/proc/self/mountinfo", os.O_RDONLY)
    libc = ctypes.CDLL(None, use_errno=True)
    changes = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if directory and libc.inotify_add_watch(changes, os.fsencode(directory), 0x2 | 0x80 | 0x100) < 0:  # modified, moved to, made
        sys.exit("bench: cannot watch %s: %s" % (directory, os.strerror(ctypes.get_errno())))
    while not test():
        left = end - time.monotonic()
        if left <= 0:
            sys.exit("bench: waited %d s for %s" % (seconds, what))
        if select.select([changes], [], [mounts], left)[0]:
            os.read(changes, 65536)
        os.lseek(mounts, 0, os.SEEK_SET)
    os.close(changes)
    os.close(mounts)


def ended(pid):
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    if not select.select([fd], [], [], 60)[0]:
        sys.exit("bench: waited 60 s for the daemon to end")
    os.close(fd)


def pin(pid, cpus):
    subprocess.run(["taskset", "-a", "-c", "-p", cpus, str(pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def drop_caches():
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as f:
        f.write("3")


def own_namespace():
    """Starts again where no other process can hold our mounts, which would keep their daemons."""
    if "COFFER_BENCH_OWN" not in os.environ:
        os.environ["COFFER_BENCH_OWN"] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable] + sys.argv)


class Peer:
    """A directory to write into; pid is of whoever serves it, or None."""
    name = needs = pid = None
    lacks = staticmethod(lambda: None)  # why it cannot be measured here
    keeps = False        # what was written cannot be removed
    seals = False        # the writer encrypts by itself
    direct = False       # reads of open files do not come from the page cache

    def __init__(self):
        self.base = os.path.join(S.work, self.name)
        self.mountpoint = self.dir = os.path.join(self.base, "mnt")
        os.makedirs(self.dir)

    def is_mounted(self):
        return os.path.ismount(self.mountpoint)

    def start(self):
        pass

    def stop(self):
        pass

    def commit(self, path):
        pass

    def shelf(self, name):
        return self.dir

    def put_away(self, path):
        """What was measured makes room for the next."""
        if not self.keeps:
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def clear(self):
        for f in os.listdir(self.dir) if not self.keeps else []:
            if f.startswith("bench-"):
                self.put_away(os.path.join(self.dir, f))


class Ext4(Peer):
    name = "ext4"


class Sealed(Peer):
    """An application that encrypts for itself: AES-256-GCM of each write, then write(2) on ext4."""
    name = "ext4+seal"
    seals = True


class Disk(Peer):
    """The disk alone: what is there is written over, O_DIRECT, four writes of 1 MiB at a time."""
    name = "disk"


class Served(Peer):
    def spawn(self, *args, **kw):
        self.process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kw)
        until("%s to mount" % self.name, 20, self.is_mounted)
        self.pid = self.process.pid

    def stop(self):
        if self.is_mounted():
            subprocess.run(["umount", self.dir], check=False, stderr=subprocess.DEVNULL)
        self.process.wait(60)


class Null(Served):
    """A FUSE filesystem that keeps nothing: the floor that every other one stands on."""
    name = "null"
    keeps = True
    direct = True
    mode = []

    def start(self):
        self.spawn(tool("tests/bench/nullfs"), self.dir, *self.mode)


class NullCached(Null):
    """The same with the kernel's page cache, as committed files have it."""
    name = "null-cached"
    direct = False
    mode = ["cached"]


def no_uring():
    switch = "/sys/module/fuse/parameters/enable_uring"
    if not os.path.exists(switch):
        return "this kernel has no FUSE over io_uring"
    with open(switch) as f:
        return None if f.read().strip() == "Y" else switch + " is not Y"


class NullSync(Null):
    """The same, but what is durable is on a disk: group commit through FUSE and nothing else."""
    name = "null-sync"

    def start(self):
        self.spawn(tool("tests/bench/nullfs"), self.dir, "sync", os.path.join(self.base, "log"))


class Bare(Null):
    """The same, but each write is sealed, chained and given to the kernel: what the design does not go without, and no more."""
    name = "bare"
    mode = ["bare"]

    def start(self):
        log = os.path.join(self.base, "log")
        os.makedirs(log)
        self.spawn(tool("tests/bench/nullfs"), self.dir, *self.mode, log)


class NullUring(Null):
    """The same over io_uring. Its threads choose their processors: that of the caller."""
    name = "null-uring"
    mode = ["uring"]
    lacks = staticmethod(no_uring)

    def start(self):
        super().start()
        self.pid = None


class BareCached(Bare):
    """The same with the kernel's page cache and the read-ahead that an archive's mount asks for."""
    name = "bare-cached"
    direct = False
    mode = ["bare-cached"]

    def start(self):
        super().start()
        device = os.stat(self.dir).st_dev
        with open("/sys/class/bdi/%d:%d/read_ahead_kb" % (os.major(device), os.minor(device)), "w") as f:
            f.write("2048")


class BareUring(Bare):
    name = "bare-uring"
    mode = ["bare-uring"]
    lacks = staticmethod(no_uring)

    def start(self):
        super().start()
        self.pid = None


class Gocryptfs(Served):
    name = needs = "gocryptfs"

    def start(self):
        cipher = os.path.join(self.base, "cipher")
        os.makedirs(cipher, exist_ok=True)
        if not os.listdir(cipher):
            run("gocryptfs", "-init", "-q", "-scryptn", "10", "-extpass", "echo bench", cipher)
        self.spawn("gocryptfs", "-q", "-fg", "-extpass", "echo bench", cipher, self.dir)


class Securefs(Served):
    name = needs = "securefs"

    def start(self):
        cipher = os.path.join(self.base, "cipher")
        if not os.path.exists(cipher):
            os.makedirs(cipher)
            run("securefs", "create", "--pass", "bench", "--rounds", "1", cipher)
        self.spawn("securefs", "mount", "--pass", "bench", cipher, self.dir)


class Coffer(Peer):
    """An archive with a shelf "bench", and one "strict" where each write is durable."""
    name = "coffer"
    transport = ""
    keeps = True
    direct = True

    def __init__(self, name=None):
        self.name = name or self.name
        super().__init__()
        self.store = os.path.join(self.base, "store")
        self.key = os.path.join(self.base, "key")
        with open(self.key, "wb") as f:
            f.write(os.urandom(32))
        os.chmod(self.key, 0o600)
        self.make()

    def make(self):
        policy = os.path.join(self.base, "policy")
        with open(policy, "w") as f:
            f.write("durability = write\n")
        run(tool("tools/coffer"), "init", self.store, "--shelf", "bench", "--shelf", "strict:" + policy,
            "--key-file", self.key)

    def start(self):
        options = ",".join(filter(None, ("keyfile=%s,noimmutable" % self.key, S.coffer_options, self.transport)))
        began = time.monotonic()
        run(tool("fs/mount.coffer"), self.store, self.mountpoint, "-o", options)
        self.mount_seconds = time.monotonic() - began
        self.dir = self.shelf("bench")
        with open(os.path.join(self.store, "lock")) as f:
            self.pid = int(f.read().split("pid ")[1].split()[0])

    def stop(self):
        if self.is_mounted():
            run(tool("fs/umount.fuse.coffer"), self.mountpoint)
        if self.pid:
            ended(self.pid)

    def commit(self, path):
        os.chmod(path, 0o444)

    def shelf(self, name):
        return os.path.join(self.mountpoint, name)

    def renew(self):
        """Nothing can be deleted, so a run that needs room begins a new store."""
        self.stop()
        shutil.rmtree(self.store)
        self.make()
        self.start()

    def log_files(self):
        log = os.path.join(self.store, "log")
        return [os.path.join(log, f) for f in sorted(os.listdir(log))]

    def size_of(self, part):
        top = os.path.join(self.store, part)
        return sum(os.path.getsize(os.path.join(d, f)) for d, _, names in os.walk(top) for f in names)

    def anonymous_mib(self):
        with open("/proc/%d/status" % self.pid) as f:
            return next(int(l.split()[1]) for l in f if l.startswith("RssAnon")) / 1024


class CofferUring(Coffer):
    name = "coffer-uring"
    transport = "transport=uring"
    lacks = staticmethod(no_uring)

    def start(self):
        super().start()
        self.pid = None  # as with NullUring
        status = json.loads(run(tool("tools/coffer"), "status", self.store, "--json"))
        if status["transport"] != "uring":
            sys.exit("bench: coffer-uring is not mounted over io_uring")


KINDS = (Ext4, Disk, Sealed, Null, NullCached, NullSync, NullUring, Bare, BareCached, BareUring, Gocryptfs, Securefs, CofferUring, Coffer)
