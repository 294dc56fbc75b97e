"""What changes in a folder, and how one run of one contender becomes numbers."""

import contextlib
import hashlib
import os
import random
import select
import shutil
import subprocess
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.meter import OtherLoad, Trouble, loopback_bytes, poll
from harness.torrent import BLOCK, NAME, make_source, sha1_of, write_synced
from harness.workloads import KIB, MIB, settle, unchanged

SMALL_FILE = 4 * KIB
INSERTED = KIB

# No hour, for Unison takes times that are an hour apart for the same time, as summer is on some file systems.
BASE_AGE_S = 100_000

# How often the other folders are looked at: a few stats.
LOOK_PAUSE_S = 0.002
# A directory of many files takes longer to look at, and must not keep the cores busy.
LIST_PAUSE_S = 0.02
LIST_SHARE = 10

# How often it is seen whether all programs still run.
CHECK_PAUSE_S = 0.05

# Programs that watch are left alone until they did next to nothing for so long.
QUIET_S = 2.0
QUIET_CPU_S = 0.1
QUIET_BYTES = 16 * KIB


class Material:
    """What the workloads put into folders; made when first asked for."""

    def __init__(self, work, size, files, idle_s):
        self.work, self.size, self.files, self.idle_s = work, size, files, idle_s

    @cached_property
    def random(self):
        return make_source(self.work / "source-random", self.size)

    @cached_property
    def log(self):
        return make_source(self.work / "source-log", self.size, log_blocks(self.size))

    @cached_property
    def small(self):
        """The contents of all small files, one after another."""
        return os.urandom(self.files * SMALL_FILE)

    def sources(self):
        """Files that were made so far. Links to them go into folders; nobody may change them."""
        return [self.__dict__[name] for name in ("random", "log") if name in self.__dict__]

    @cached_property
    def changed_sha1(self):
        """Of the random file after its byte was changed."""
        digest = hashlib.sha1()
        for block in changed_blocks(self.random.path):
            digest.update(block)
        return digest.hexdigest()

    @property
    def scratch(self):
        return self.work / "touched"


def log_blocks(size):
    """Lines of a made-up service; no two are alike."""
    draw = random.Random(1)
    modules = ("http", "store", "auth", "queue", "mailer", "scheduler")
    phrases = ("request served", "cache miss, asked the store", "session renewed", "retry after timeout", "job done", "slow query")
    tails = [
        f"{draw.choice(('INFO', 'INFO', 'INFO', 'DEBUG', 'WARN'))} {draw.choice(modules)}: {draw.choice(phrases)} "
        f"path=/api/v2/{draw.choice(modules)}/{draw.randrange(500)} user={draw.randrange(20000)} status={draw.choice((200, 200, 204, 404))} "
        'agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"'
        for _ in range(500)
    ]
    at, written = 1_700_000_000_000, 0
    while written < size:
        lines = []
        for tail in draw.choices(tails, k=20_000):
            at += 3
            lines.append(f"{at} node-{at % 7} {tail} took={at * 7919 % 997}ms\n")
        block = "".join(lines).encode()[: size - written]
        written += len(block)
        yield block


class Change:
    """One change of folder 0, from what all folders have before to what they must have afterwards."""

    pause = LOOK_PAUSE_S
    needs_watching = False

    def __init__(self, scene, material):
        self.scene, self.material = scene, material

    def prepare(self):
        """Fills the folders, and makes everything ready for `make`."""

    def make(self):
        """The change itself: one call to the system, or nearly so."""
        raise NotImplementedError

    def has_arrived(self, folder):
        """A cheap look."""
        raise NotImplementedError

    def check(self, folder):
        """What is wrong in a folder in which it has arrived, or None."""
        raise NotImplementedError

    def reads(self):
        """Files that a program may have to read."""
        return []

    def dirtied(self):
        """Bytes that are to be written."""
        return self.scene.others * self.material.size


class FileChange(Change):
    """A change of one large file."""

    # Under which it is in the end.
    final = NAME

    @property
    def mine(self):
        return self.scene.node(0) / NAME

    def put_base(self):
        """The random file in all folders, as if it had been there for a while."""
        at = time.time_ns() - BASE_AGE_S * 10**9
        for node in self.scene.nodes:
            shutil.copyfile(self.material.random.path, node / NAME)
            os.utime(node / NAME, ns=(at, at))
        self.before = [os.stat(node / NAME) for node in self.scene.nodes]

    def reads(self):
        return [path for node in self.scene.nodes if (path := node / NAME).exists()]

    def expected(self):
        """Size and SHA-1."""
        return self.material.random.size, self.material.random.sha1

    def has_arrived(self, folder):
        return size_of(folder / self.final) == self.expected()[0]

    def check(self, folder):
        path = folder / self.final
        size, sha1 = self.expected()
        if size_of(path) != size:
            return f"{path} has {size_of(path)} bytes and not {size}"
        return None if sha1_of(path) == sha1 else f"{path} has the right size and the wrong content"


class NewFile(FileChange):
    @property
    def source(self):
        return self.material.random

    def expected(self):
        return self.source.size, self.source.sha1

    def prepare(self):
        # A link: giving must not cost a copy.
        os.link(self.source.path, self.scene.staged / NAME)

    def make(self):
        os.rename(self.scene.staged / NAME, self.mine)

    def reads(self):
        return [self.source.path]


class NewLog(NewFile):
    @property
    def source(self):
        return self.material.log


class ByteChanged(FileChange):
    def prepare(self):
        self.put_base()
        self.at = self.material.size // 2
        self.expected()

    def expected(self):
        return self.material.random.size, self.material.changed_sha1

    def make(self):
        with open(self.mine, "r+b", buffering=0) as file:
            file.seek(self.at)
            was = file.read(1)
            file.seek(self.at)
            file.write(flipped(was))

    def has_arrived(self, folder):
        # Only a file that is another one than before is opened: opening is an event for those that watch.
        now, before = status_of(folder / NAME), self.before[self.scene.nodes.index(folder)]
        if now is None or (now.st_ino, now.st_size, now.st_mtime_ns) == (before.st_ino, before.st_size, before.st_mtime_ns):
            return False
        return now.st_size == before.st_size and byte_at(folder / NAME, self.at) == byte_at(self.mine, self.at)


class Inserted(FileChange):
    def prepare(self):
        self.put_base()
        self.sha1 = write_synced(self.scene.staged / NAME, self._blocks())

    def _blocks(self):
        yield os.urandom(INSERTED)
        yield from blocks_of(self.material.random.path)

    def expected(self):
        return self.material.size + INSERTED, self.sha1

    def make(self):
        os.rename(self.scene.staged / NAME, self.mine)


class Renamed(FileChange):
    final = "renamed.bin"

    def prepare(self):
        self.put_base()

    def make(self):
        os.rename(self.mine, self.scene.node(0) / self.final)

    def has_arrived(self, folder):
        return super().has_arrived(folder) and size_of(folder / NAME) is None


class Touched(FileChange):
    needs_watching = True

    def prepare(self):
        self.put_base()

    def make(self):
        os.utime(self.mine)

    def has_arrived(self, folder):
        now = status_of(folder / NAME)
        return now is not None and now.st_mtime_ns == os.stat(self.mine).st_mtime_ns


class Copied(FileChange):
    needs_watching = True
    final = "copy.bin"

    def prepare(self):
        self.put_base()
        shutil.copyfile(self.mine, self.scene.staged / self.final)

    def make(self):
        os.rename(self.scene.staged / self.final, self.scene.node(0) / self.final)


class Nothing(FileChange):
    """No change, to see what is sent all the same."""

    needs_watching = True
    pause = 0.1

    def prepare(self):
        self.put_base()

    def make(self):
        self.until = time.monotonic() + self.material.idle_s

    def has_arrived(self, folder):
        return time.monotonic() >= self.until

    def dirtied(self):
        return 0


class ManyFiles(Change):
    """A directory of many small files."""

    pause = LIST_PAUSE_S
    folder = "small"

    def prepare(self):
        staged = self.scene.staged / self.folder
        staged.mkdir()
        for name, content in self._contents():
            (staged / name).write_bytes(content)

    def _contents(self):
        for index in range(self.material.files):
            yield f"file-{index:06}", self.material.small[index * SMALL_FILE : (index + 1) * SMALL_FILE]

    def make(self):
        os.rename(self.scene.staged / self.folder, self.scene.node(0) / self.folder)

    def has_arrived(self, folder):
        begin = time.monotonic()
        try:
            # Programs write under other names first, with a dot before them.
            count = sum(name.startswith("file-") for name in os.listdir(folder / self.folder))
        except FileNotFoundError:
            return False
        self.pause = max(LIST_PAUSE_S, LIST_SHARE * (time.monotonic() - begin))
        return count == self.material.files

    def check(self, folder):
        for name, content in self._contents():
            path = folder / self.folder / name
            if path.read_bytes() != content:
                return f"{path} has the wrong content"
        return None

    def dirtied(self):
        return self.scene.others * self.material.files * SMALL_FILE


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    change: type
    others: int = 1


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("new", "A new file of random bytes", NewFile),
        Workload("byte", "One byte changed in it", ByteChanged),
        Workload("insert", "1 KiB inserted at its front", Inserted),
        Workload("rename", "It is renamed", Renamed),
        Workload("small", "Many files of 4 KiB", ManyFiles),
        Workload("log", "A new file of log text", NewLog),
        Workload("new-2", "The new file, to two others at once", NewFile, others=2),
        Workload("small-2", "The small files, to two others at once", ManyFiles, others=2),
        Workload("touch", "Only its time changes", Touched),
        Workload("copy", "It is copied within the folder", Copied),
        Workload("nothing", "Nothing changes for a while", Nothing),
    )
}


def measure(contender, workload, scene, material):
    """One run; what it returns goes to the JSON as it is."""
    change = workload.change(scene, material)
    change.prepare()
    with unchanged(contender, material.sources()), contextlib.ExitStack() as ends:
        standing = contender.start(scene, ends)
        if contender.watches:
            _see_it_work(scene, standing)
        # What was written for the preparation is not to be written during the run.
        os.sync()
        settle(change.reads(), material.scratch, change.dirtied())
        if contender.watches:
            _await_quiet(scene, standing)
        return _play(contender, scene, change, standing, ends)


def _play(contender, scene, change, standing, ends):
    cpu_before = sum(process.session_cpu() for process in standing)
    bytes_before, load, begin = loopback_bytes(), OtherLoad(), time.monotonic()
    change.make()
    commands = contender.act(scene)
    for command in commands:
        ends.callback(command.stop)
    arrivals = _await_arrival(contender, scene, change, standing, commands)
    processes = [*standing, *commands]
    cpu = sum(process.session_cpu() for process in processes) - cpu_before
    wire = loopback_bytes() - bytes_before
    other = load.share(cpu)
    # Whoever has shown a file under its name must not be writing it any more: others read it from here on.
    for process in processes:
        process.freeze()
    wall = max(arrivals) - begin
    on_disk = wall if contender.syncs else wall + _sync(scene)
    for folder in scene.other_nodes:
        try:
            wrong = change.check(folder) or _other_names(scene.node(0), folder)
        except OSError as error:
            wrong = str(error)
        if wrong:
            raise Trouble(f"{contender.name}: {wrong}")
    return {
        "wall_s": wall,
        "synced_s": on_disk,
        "each_s": [arrival - begin for arrival in arrivals],
        "cpu_s": cpu,
        "wire_bytes": wire,
        "other_load": other,
    }


def _await_arrival(contender, scene, change, standing, commands):
    """When the change had arrived in each of the other folders."""
    arrivals = [None] * scene.others
    next_check = 0.0
    while True:
        now = time.monotonic()
        if now >= next_check:
            _check(standing, commands, now, scene.deadline)
            next_check = now + CHECK_PAUSE_S
        are_over = bool(commands) and all(command.has_ended() for command in commands)
        for index, folder in enumerate(scene.other_nodes):
            if arrivals[index] is None and change.has_arrived(folder):
                if not contender.writes_in_place:
                    arrivals[index] = time.monotonic()
                elif commands[index].has_ended():
                    arrivals[index] = commands[index].ended_at
        if None not in arrivals:
            return arrivals
        if are_over:
            missing = [str(folder) for folder, arrival in zip(scene.other_nodes, arrivals) if arrival is None]
            raise commands[0].failure(f"ended with {commands[0].code}, but the change is not in {', '.join(missing)}")
        select.select([command.pidfd for command in commands if command.usage is None], [], [], change.pause)


def _check(standing, commands, now, deadline):
    """All is as it should be while the change is on its way; full pipes would stop the programs, so they are read."""
    for process in (*standing, *commands):
        if process.has_ended() and (process in standing or process.code != 0):
            raise process.failure(f"ended with {process.code} before the change had arrived")
    if now >= deadline:
        raise (commands or standing)[0].failure("the change had not arrived within the deadline")


def _see_it_work(scene, standing):
    """A first small file goes through, so that those that watch are known to see and to send."""
    name = "first.txt"
    (scene.staged / name).write_text("a first change\n")
    os.rename(scene.staged / name, scene.node(0) / name)
    size = size_of(scene.node(0) / name)
    poll(lambda: all(size_of(folder / name) == size for folder in scene.other_nodes), standing, scene.deadline, "seeing a first change")


def _await_quiet(scene, standing):
    """Whatever they still do for what came before must not be measured."""

    def used():
        return sum(process.session_cpu() for process in standing), loopback_bytes(), time.monotonic()

    last = used()

    def is_quiet():
        nonlocal last
        now = used()
        if now[0] - last[0] > QUIET_CPU_S or now[1] - last[1] > QUIET_BYTES:
            last = now
        return now[2] - last[2] >= QUIET_S

    poll(is_quiet, standing, scene.deadline, "quiet", pause=0.1)


def _sync(scene):
    """Seconds until the file system has everything on the disk."""
    begin = time.monotonic()
    subprocess.run(["sync", "-f", scene.directory], check=True, timeout=600)
    return time.monotonic() - begin


def _other_names(ours, theirs):
    """Which visible names differ between two folders: copies of conflicts, or what should be gone. None if none do."""
    names = [{name for name in os.listdir(folder) if not name.startswith(".")} for folder in (ours, theirs)]
    return f"names that are only on one side: {', '.join(sorted(names[0] ^ names[1]))}" if names[0] != names[1] else None


def empty(scene, material):
    """Frees the disk, by emptying large files; deleting many files slows down making new ones on ext4. Sources stay."""
    kept = {source.path.stat().st_ino for source in material.sources()}
    for directory, _, names in os.walk(scene.directory):
        for path in (Path(directory, name) for name in names):
            with contextlib.suppress(OSError):
                status = path.lstat()
                if status.st_size >= MIB and status.st_ino not in kept and not path.is_symlink():
                    os.truncate(path, 0)


def blocks_of(path):
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            yield block


def changed_blocks(path):
    """The content with the byte in its middle changed."""
    middle, at = os.stat(path).st_size // 2, 0
    for block in blocks_of(path):
        if at <= middle < at + len(block):
            index = middle - at
            block = block[:index] + flipped(block[index : index + 1]) + block[index + 1 :]
        at += len(block)
        yield block


def flipped(byte):
    return bytes([byte[0] ^ 0xFF])


def byte_at(path, at):
    with open(path, "rb", buffering=0) as file:
        return os.pread(file.fileno(), 1, at)


def status_of(path):
    """Of a file that is there; None for one that is not."""
    try:
        return os.stat(path)
    except FileNotFoundError:
        return None


def size_of(path):
    status = status_of(path)
    return status and status.st_size
