"""Ours, the rivals and the floors: how each is started, and how it says that it is done.

Every program can some of these, by having the method:
`share` + `get` (move a file), `check` (verify a file that is there), `compose` (make the description of a file).
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from harness.meter import Process, is_done, is_ready, wait
from harness.torrent import NAME, Source
from harness.tracker import Tracker

OURS, RIVAL, FLOOR = "ours", "rival", "floor"

# Inside the namespace. Not 127.x: transmission refuses such peers. One address each: rivals count peers by address.
HUB = "10.77.0.1"
CONDUCTOR = f"{HUB}:9999"
TRACKER_PORT = 6969
GETTERS_MAX = 16
# Of the hub, of the giver and of the getters.
ADDRESSES = 2 + GETTERS_MAX
PEER_PORT = 6881


def address(index):
    """Of the giver (0) and of the getters (1 …)."""
    return f"10.77.0.{index + 2}"


@dataclass
class Place:
    """Where one run of one program happens."""

    directory: Path
    deadline: float

    def folder(self, *names):
        path = self.directory.joinpath(*names)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def log(self, name):
        return self.folder("logs") / f"{name}.log"

    def environment(self):
        """Keeps configuration and caches of the rivals inside the run."""
        home = str(self.folder("home"))
        return {"HOME": home, "XDG_CONFIG_HOME": home, "XDG_CACHE_HOME": home, "XDG_DATA_HOME": home}


@dataclass
class Run(Place):
    """One run of a transfer, and what it moves."""

    source: Source
    part_size: int
    getters: int
    manifest: Path
    torrent: Path
    tracker: Tracker

    def given(self):
        """A folder that holds the source under its name. A link: giving must not cost a copy."""
        folder = self.folder("give")
        link = folder / NAME
        if not link.exists():
            os.link(self.source.path, link)
        return folder

    def got(self, index):
        return self.folder(f"get-{index}")


class Program:
    """What all have in common."""

    kind = RIVAL

    def missing(self):
        """Why it cannot run here, or None."""
        return None

    def version(self):
        return ""

    def prepare(self, run, index):
        """A getting process that is started before its clock is, or None."""
        return None

    def facts(self, process):
        """What the program itself tells about a run, from its output."""
        return {}


class Command(Program):
    """A program that is found in the search path or in the tools that `--install` made."""

    command = ""
    version_args = ("--version",)

    def __init__(self, tools):
        self.tools = tools
        self.path = shutil.which(self.command, path=f"{tools}/bin:{tools}/venv/bin:{os.environ['PATH']}")

    def missing(self):
        return None if self.path else f"{self.command} is not installed"

    def version(self):
        run = subprocess.run([self.path, *self.version_args], capture_output=True, text=True, timeout=30, check=False)
        return next((line.strip() for line in (run.stdout + run.stderr).splitlines() if line.strip()), "")

    def spawn(self, run, name, args, **options):
        return Process(f"{self.name} ({name})", [self.path, *args], run.log(name), env=run.environment(), **options)


class Orchestra(Program):
    kind = OURS

    def __init__(self, binaries, name="orchestra"):
        self.name = name
        self.composer, self.conductor, self.member = (binaries / name for name in ("composer", "conductor", "member"))

    def missing(self):
        absent = [path for path in (self.composer, self.conductor, self.member) if not path.is_file()]
        return f"{absent[0]} is not there; run cargo build --release, or say --bin DIR" if absent else None

    def version(self):
        out = subprocess.run([self.member, "--version"], capture_output=True, text=True, timeout=30, check=True).stdout
        return out.strip()

    def make_manifest(self, source, part_size, out, log):
        args = [self.composer, source.path, CONDUCTOR, part_size, "-o", out, "--quiet"]
        composer = Process("composer", args, log)
        try:
            wait([composer], is_done, time.monotonic() + 600, "written")
        finally:
            composer.stop()

    def _hub(self, run):
        args = [self.conductor, "--listen", CONDUCTOR, "--logs", run.folder("logs")]
        hub = Process("orchestra (conductor)", args, run.log("conductor"), said=lambda line: "listens on" in line, merge=True)
        wait([hub], is_done, run.deadline, "listening")
        return hub

    def _member(self, run, name, folder, *more):
        # All on one address: the conductor hands out the address that a member came from.
        args = [run.manifest, "--dir", folder, "--listen", f"{HUB}:0", "--json", "--logs", run.folder("logs"), *more]
        return Process(f"orchestra ({name})", [self.member, *args], run.log(name), said=lambda line: '"event":"complete"' in line)

    def share(self, run):
        hub = self._hub(run)
        giver = self._member(run, "give", run.given())
        try:
            wait([giver], is_done, run.deadline, "sharing", beside=[hub])
        except BaseException:
            giver.stop()
            hub.stop()
            raise
        return [giver, hub]

    def get(self, run, index):
        return self._member(run, f"get-{index}", run.got(index))

    def beside_check(self, run):
        return [self._hub(run)]

    def check(self, run):
        return self._member(run, "check", run.given(), "--leave")

    def compose(self, run):
        args = [self.composer, run.source.path, CONDUCTOR, run.part_size, "-o", run.directory / "made.orch", "--quiet"]
        return Process("orchestra (compose)", args, run.log("compose"))

    def facts(self, process):
        events = [json.loads(line) for _, line in process.lines if line.startswith("{")]
        complete = next((event for event in events if event["event"] == "complete"), None)
        facts = {"sent_bytes": events[-1]["up_bytes"], "wasted_bytes": events[-1]["wasted_bytes"]} if events else {}
        if complete:
            facts["first_byte_s"] = complete.get("first_byte_s")
            # `complete` comes when the file is safe on the disk; the rivals' word comes before that.
            if "verified_s" in complete:
                facts["before_sync_s"] = complete["elapsed_s"] - complete["verified_s"]
        return facts


class Libtorrent(Program):
    driver = Path(__file__).parent.parent / "rivals" / "libtorrent_driver.py"

    def __init__(self, interpreter, library, profile):
        self.interpreter, self.library, self.profile = interpreter, library, profile
        self.name = f"libtorrent {'.'.join(library.split('.')[:2])} {profile}"

    def version(self):
        return f"libtorrent {self.library}, driven by {self.interpreter}"

    def _spawn(self, run, name, what, index, torrent, where, *more, **options):
        args = [self.interpreter, "-B", self.driver, what, "--torrent", torrent, "--dir", where, "--profile", self.profile]
        args += ["--listen", f"{address(index)}:{PEER_PORT}", "--part-size", run.part_size, *more]
        # -B and the home folder of the run: nothing is written elsewhere.
        return Process(f"{self.name} ({name})", args, run.log(name), env=run.environment(), **options)

    def share(self, run):
        giver = self._spawn(run, "give", "share", 0, run.torrent, run.given(), said=lambda _: False)
        try:
            wait([giver], is_ready, run.deadline, "sharing")
        except BaseException:
            giver.stop()
            raise
        return [giver]

    def _staged(self, run, name, *args):
        return self._spawn(run, name, *args, said=lambda line: line.startswith("complete"), staged=True)

    def prepare(self, run, index):
        giver = f"{address(0)}:{PEER_PORT}"
        return self._staged(run, f"get-{index}", "get", index, run.torrent, run.got(index), "--peer", giver)

    get = prepare

    def check(self, run):
        return self._staged(run, "check", "check", 0, run.torrent, run.given())

    def compose(self, run):
        return self._staged(run, "compose", "compose", 0, run.directory / "made.torrent", run.source.path)

    def facts(self, process):
        said = dict(line.split(" ", 1) for _, line in process.lines if line.startswith(("complete ", "left ")))
        complete, left = json.loads(said.get("complete", "{}")), json.loads(said.get("left", "{}"))
        facts = {name: complete.get(name) for name in ("first_byte_s", "flush_s")}
        return {**facts, "sent_bytes": left.get("up_bytes")}


def find_libtorrents(tools):
    """One per release: PyPI's from the tools, Debian's of the system's Python, and that of the Python that runs this."""
    found, why = {}, []
    for interpreter in dict.fromkeys([f"{tools}/venv/bin/python3", "/usr/bin/python3", sys.executable]):
        if not os.path.exists(interpreter):
            continue
        asked = [interpreter, "-c", "import libtorrent; print(libtorrent.__version__)"]
        run = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
        if run.returncode == 0:
            found.setdefault(run.stdout.strip(), interpreter)
        else:
            why.append(interpreter)
    return [Libtorrent(at, version, profile) for version, at in found.items() for profile in ("tuned", "default")], why


class Announcing(Command):
    """A client that is found through the tracker, and whose readiness is its announce."""

    def client(self, run, name, index, folder):
        raise NotImplementedError

    def share(self, run):
        giver = self.client(run, "give", 0, run.given())
        # An end of its output is an end of the client, which then announces nothing more.
        if run.tracker.await_complete(run.deadline, giver.read):
            return [giver]
        trouble = giver.failure("did not announce itself as complete")
        giver.stop()
        raise trouble

    def get(self, run, index):
        return self.client(run, f"get-{index}", index, run.got(index))


# Both aria2 and transmission run this when they are complete; it writes to the same pipe as they.
HOOK = "#!/bin/sh\necho harness-complete\n"


def make_hook(run):
    hook = run.folder("home") / "hook"
    if not hook.exists():
        hook.write_text(HOOK)
        hook.chmod(0o755)
    return hook


def hook_said(line):
    return "harness-complete" in line


class Aria2(Announcing):
    name, command = "aria2", "aria2c"

    common = (
        "--no-conf", "--quiet=true", "--console-log-level=error", "--summary-interval=0", "--enable-dht=false",
        "--enable-dht6=false", "--bt-enable-lpd=false", "--enable-peer-exchange=false", "--follow-torrent=true",
        "--file-allocation=falloc", "--disk-cache=64M", "--bt-request-peer-speed-limit=1000M", "--bt-max-peers=0",
        "--allow-overwrite=true", "--seed-ratio=0.0", "--bt-tracker-interval=5", "--disable-ipv6=true",
    )

    def client(self, run, name, index, folder):
        args = [*self.common, f"--interface={address(index)}", f"--listen-port={PEER_PORT}", f"--dir={folder}"]
        if name == "give":
            args += ["--check-integrity=true"]
        args += [f"--on-bt-download-complete={make_hook(run)}", run.torrent]
        return self.spawn(run, name, args, said=hook_said)

    def check(self, run):
        args = [*self.common, "--check-integrity=true", "--hash-check-only=true", f"--dir={run.given()}", run.torrent]
        return self.spawn(run, "check", args)


class Transmission(Announcing):
    name, command = "transmission", "transmission-cli"

    settings = {
        "dht-enabled": False, "lpd-enabled": False, "utp-enabled": False, "pex-enabled": False,
        "port-forwarding-enabled": False, "encryption": 0, "preallocation": 1, "ratio-limit-enabled": False,
        "speed-limit-up-enabled": False, "speed-limit-down-enabled": False, "script-torrent-done-enabled": False,
    }

    def _args(self, run, name, index, folder):
        config = run.folder("home", name)
        own = {**self.settings, "bind-address-ipv4": address(index), "peer-port": PEER_PORT}
        (config / "settings.json").write_text(json.dumps(own))
        return ["-g", config, "-w", folder, "-p", str(PEER_PORT), "-M", "-et", "-U", "-D"]

    def client(self, run, name, index, folder):
        args = [*self._args(run, name, index, folder), "-f", make_hook(run), run.torrent]
        return self.spawn(run, name, args, said=hook_said)

    def check(self, run):
        # It draws its state five times a second, so this is up to 0.2 s late; into a pipe it would be 4 KiB late.
        args = ["-o0", self.path, *self._args(run, "check", 0, run.given()), "-v", run.torrent]
        log, said = run.log("check"), Verified()
        return Process(f"{self.name} (check)", ["stdbuf", *args], log, env=run.environment(), said=said)


class Verified:
    """Means the first `Seeding` after a `Verifying`."""

    def __init__(self):
        self.verifying = False

    def __call__(self, line):
        self.verifying |= "Verifying" in line
        return self.verifying and "Seeding" in line


class Rqbit(Announcing):
    name, command = "rqbit", "rqbit"

    def _args(self, index):
        return [
            "-v", "info", "--disable-dht", "--disable-lsd", "--disable-upnp-port-forward", "--ipv4-only",
            "--listen-ip", "0.0.0.0", "--listen-port", str(PEER_PORT + index), "download", "--disable-http-api",
        ]

    def client(self, run, name, index, folder):
        args = [*self._args(index), "--overwrite", "-o", folder, run.torrent]
        # The port tells them apart: it cannot be bound to one address for both directions.
        return self.spawn(run, name, args, said=lambda line: "torrent finished downloading" in line, merge=True)

    def check(self, run):
        args = [*self._args(0), "--overwrite", "-e", "-o", run.given(), run.torrent]
        return self.spawn(run, "check", args, merge=True)


class Mktorrent(Command):
    name, command, version_args = "mktorrent", "mktorrent", ("-h",)

    def compose(self, run):
        power = str(run.part_size.bit_length() - 1)
        args = ["-t", str(os.cpu_count()), "-l", power, "-a", run.tracker.url, "-o", run.directory / "made.torrent"]
        return self.spawn(run, "compose", [*args, run.source.path])


class Torf(Command):
    name, command = "torf", "torf"

    def compose(self, run):
        args = ["--noconfig", "--yes", "--nomagnet", "--max-piece-size", str(max(1, run.part_size >> 20))]
        return self.spawn(run, "compose", [run.source.path, *args, "-t", run.tracker.url, "-o", run.directory / "made.torrent"])

    def check(self, run):
        return self.spawn(run, "check", ["--noconfig", "-i", run.torrent, run.given() / NAME])


class TransmissionCreate(Command):
    name, command = "transmission-create", "transmission-create"

    def compose(self, run):
        kib = str(run.part_size >> 10)
        return self.spawn(run, "compose", ["-s", kib, "-t", run.tracker.url, "-o", run.directory / "made.torrent", run.source.path])


class Cp(Command):
    name, command, kind = "cp", "cp", FLOOR

    def share(self, run):
        return []

    def get(self, run, index):
        return self.spawn(run, f"get-{index}", [run.source.path, run.got(index) / NAME])


class Sha1sum(Command):
    name, command, kind = "sha1sum", "sha1sum", FLOOR

    def compose(self, run):
        return self.spawn(run, "sum", [run.source.path])

    check = compose


class Hashlib(Program):
    name, kind = "python hashlib", FLOOR

    def version(self):
        return f"Python {sys.version.split()[0]}"

    def compose(self, run):
        code = "import hashlib, sys\nprint(hashlib.file_digest(open(sys.argv[1], 'rb'), 'sha1').hexdigest())"
        return Process(self.name, [sys.executable, "-c", code, run.source.path], run.log("sum"))

    check = compose


def all_programs(builds, tools):
    """In the order of the tables, with the reasons why some are not there; the first of the builds is ours, the others are
    named after their folders."""
    libtorrents, without = find_libtorrents(tools)
    others = [Orchestra(build, f"orchestra {build.name}") for build in builds[1:]]
    programs = [Orchestra(builds[0]), *others, *libtorrents]
    programs += [kind(tools) for kind in (Aria2, Rqbit, Transmission, Mktorrent, Torf, TransmissionCreate)]
    programs += [Cp(tools), Sha1sum(tools), Hashlib()]
    skipped = {program.name: reason for program in programs if (reason := program.missing())}
    if not libtorrents:
        skipped["libtorrent"] = f"no Python can import it: {', '.join(without)}"
    return [program for program in programs if program.name not in skipped], skipped


def short_version(program):
    """Without the year-long tails that some print."""
    return re.sub(r"\s+", " ", program.version())[:80]

