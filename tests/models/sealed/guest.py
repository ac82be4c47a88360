#!/usr/bin/python3 -IB
"""The first and only process of the machine: does to a sealed store what can be done to one, and prints what the verifier then said."""

import contextlib
import ctypes
import fcntl
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import time
import traceback

LIBC = ctypes.CDLL(None, use_errno=True)
FINIT_MODULE, FIBMAP, BLOCK = 313, 1, 4096
BOUND = "/run/citadelle/models"
NOTE = f"{BOUND}.seals"
TUNE = next((path for path in ("/usr/sbin/tune2fs", "/sbin/tune2fs") if os.path.exists(path)), "")


def start():
    """What an ordinary system has mounted by now."""
    for mount in ("proc /proc", "sysfs /sys", "tmpfs /run", "tmpfs /tmp", "devtmpfs /dev"):
        kind, place = mount.split()
        subprocess.run(["mount", "-t", kind, kind, place], check=True)
    for name in sorted(os.listdir("/modules")):
        module = os.open(f"/modules/{name}", os.O_RDONLY)
        if LIBC.syscall(FINIT_MODULE, module, b"", 0) and ctypes.get_errno() != 17:
            raise OSError(ctypes.get_errno(), f"module {name}")
        os.close(module)
    for disk, place in (("/dev/vda", "/verity"), ("/dev/vdb", "/plain")):
        while not os.path.exists(disk):
            time.sleep(0.05)
        subprocess.run(["mount", "-t", "ext4", disk, place], check=True)


def verify(action, *more, place="/verity"):
    """The program as hosts run it; `seconds` is the whole of it."""
    paths = {"store": f"{place}/store", "lock": f"{place}/lock.json", "select": "/none"}
    paths |= {"target": BOUND, "floor": "/run/floor"}
    paths |= {"verdict": "/run/citadelle/verdict/models.json", "metrics": "/run/metrics/models.prom"}
    words = ["/usr/bin/python3", "-I", "-B", "/verify.py", action, "--json", *more]
    begun = time.monotonic()
    done = subprocess.run(
        [*words, *(f"--{name}={path}" for name, path in paths.items())], stdout=subprocess.PIPE, check=False
    )
    seconds = time.monotonic() - begun
    report = json.loads(done.stdout)
    print(f"{time.monotonic():7.1f} s of this machine: {action} {' '.join(more)}: {done.returncode}", flush=True)
    codes = sorted({finding["code"] for finding in report["findings"]})
    told = {"code": done.returncode, "codes": codes, "bound": sorted(os.listdir(BOUND)), "seconds": seconds}
    return told | {"bytes": report["bytes"], "seal": report["seal"]}


def largest(folder):
    """Its largest file: the weights."""
    return max((f"{folder}/{name}" for name in os.listdir(folder)), key=os.path.getsize)


class Disk:
    """The weights, and what lies below them: a byte flipped there goes past the file system."""

    def __init__(self):
        self.path = largest("/verity/store/blobs")
        self.size = os.path.getsize(self.path)

    def flip(self, position):
        """Of the file; beyond its end lie the hash tree and its descriptor (64 KiB aligned, fs/ext4/verity.c). Nothing stays in memory."""
        with open(self.path, "rb") as file:
            number = fcntl.ioctl(file, FIBMAP, struct.pack("i", position // BLOCK))
        block = struct.unpack("i", number)[0]
        if not block:
            raise ValueError(f"no block there: {position}")
        os.sync()
        with open("/dev/vda", "r+b", buffering=0) as disk:
            at = block * BLOCK + position % BLOCK
            old = os.pread(disk.fileno(), 1, at)
            os.pwrite(disk.fileno(), bytes([old[0] ^ 1]), at)
            os.fsync(disk.fileno())
        forget()

    def tree(self):
        """Where it begins."""
        return -(-self.size // 65536) * 65536

    def descriptor(self):
        """Where it begins: behind all levels of the tree, on a block of its own (version 1, SHA-256: its first bytes)."""
        blocks, total = -(-self.size // BLOCK), 0
        while blocks > 1:
            blocks = -(-blocks * 32 // BLOCK)
            total += blocks
        return self.tree() + total * BLOCK


def forget():
    """Have the kernel drop what it keeps of files in memory, their inodes too."""
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")


def reads(position):
    """What an engine gets of the bound file there: by reading, and through a mapping (a signal's number below zero)."""
    file = os.open(largest(f"{BOUND}/blobs"), os.O_RDONLY)
    try:
        os.pread(file, 1, position)
        by_read = 0
    except OSError as error:
        by_read = error.errno
    child = os.fork()
    if not child:
        with mmap.mmap(file, 0, prot=mmap.PROT_READ) as there:
            os._exit(there[position] and 0)
    status = os.waitpid(child, 0)[1]
    os.close(file)
    return [by_read, os.waitstatus_to_exitcode(status)]


def refused(action):
    """The number of its error; 0 where there is none."""
    try:
        action()
    except OSError as error:
        return error.errno
    return 0


def sealed(disk, found):
    """Sealed, accepted unread, and closed to every writer."""
    found["bind"], found["recheck"] = verify("bind"), verify("recheck")
    found["write"] = refused(lambda: os.close(os.open(disk.path, os.O_RDWR)))
    found["truncate"] = refused(lambda: os.truncate(disk.path, 1))


def times(found):
    """Seconds of the whole program, best of three, where all is sealed."""
    verify("bind")
    for way, words in (("held", []), ("read", ["--read"])):
        found[way] = min(verify("recheck", *words)["seconds"] for _ in range(3))


def notes(found):
    """A note that is not this boot's own counts for nothing; after a full reading it is written anew."""
    with open(NOTE) as file:
        good = file.read()

    def other(text, mode=0o644, owner=0):
        with open(NOTE, "w") as file:
            file.write(text)
        os.chmod(NOTE, mode)
        os.chown(NOTE, owner, 0)
        return [verify("recheck")["bytes"], verify("recheck")["bytes"]]

    boot = json.loads(good)["boot"]
    found["note of another boot"] = other(good.replace(boot, boot[::-1]))
    found["note that others can write"] = other(good, mode=0o666)
    os.unlink(NOTE)
    found["note of another user"] = other(good, owner=1000)
    os.unlink(NOTE)
    os.symlink("/tmp/note", NOTE)
    found["note behind a link"] = other(good)
    found["note that is none"] = other("{}")
    os.unlink(NOTE)
    found["no note"] = [verify("recheck")["bytes"], verify("recheck")["bytes"]]


def files(disk, found):
    """Another file in the place of the weights."""
    aside, fresh = "/verity/aside", "/verity/fresh"
    os.rename(disk.path, aside)

    def other(source):
        shutil.copyfile(source, fresh)
        os.chmod(fresh, 0o644)
        os.rename(fresh, disk.path)

    other(aside)
    found["same bytes, no seal"] = verify("recheck")
    with open(disk.path, "r+b"):
        found["open for writing"] = verify("bind")
    found["sealed again"], found["and held"] = verify("bind"), verify("recheck")
    other("/verity/evil")
    found["other bytes, no seal"] = verify("recheck")
    other(aside)
    verify("bind")
    other("/verity/evil")
    sys.path.insert(0, "/")
    import verify as program

    file = os.open(disk.path, os.O_RDONLY)
    program.seal(file)
    found["another tree"] = len(program.measured(file))
    os.close(file)
    found["other bytes, sealed"] = verify("recheck")
    os.rename(aside, disk.path)
    found["back"] = verify("bind")


def below(disk, found):
    """A byte flipped past the file system: no read gives it, whatever the gate says."""
    middle = disk.size // 2
    for name, position in (("data", middle), ("tree", disk.tree() + 8), ("descriptor", disk.descriptor() + 16)):
        disk.flip(position)
        found[f"flipped {name}: recheck"] = verify("recheck")
        if found[f"flipped {name}: recheck"]["bound"]:
            found[f"flipped {name}: engine"] = [reads(middle), reads(0)]
        forget()
        found[f"flipped {name}: read"] = verify("recheck", "--read")
        disk.flip(position)
        found[f"flipped {name}: back"] = verify("bind")


def judge(found):
    """All that can be done to it."""
    found["plain"], found["plain again"] = verify("bind", place="/plain"), verify("recheck", place="/plain")
    disk = Disk()
    sealed(disk, found)
    notes(found)
    files(disk, found)
    below(disk, found)
    allowed(found)


def allowed(found):
    """The file system that had no fs-verity gets it while it is mounted, as docs/models.md says."""
    done = subprocess.run(
        [TUNE, "-O", "verity", "/dev/vdb"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )
    found["tune2fs"] = [done.returncode, done.stdout.decode()]
    found["allowed"], found["allowed, held"] = verify("bind", place="/plain"), verify("recheck", place="/plain")


def main():
    found = {}
    try:
        start()
        found["kernel"] = os.uname().release
        judge(found) if sys.argv[1:] != ["times"] else times(found)
    except BaseException:  # the machine must end, and tell
        traceback.print_exc()
    print("\nRESULT", json.dumps(found), flush=True)
    with contextlib.suppress(OSError):
        os.sync()
    LIBC.reboot(0x4321FEDC)


if __name__ == "__main__":
    main()
