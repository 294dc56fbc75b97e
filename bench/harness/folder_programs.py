"""Who keeps folders alike: how each is started, and what its user does after a change.

Some watch their folders, so that nobody does anything after a change; the others are run then, and look for the change.
"""

import json
import os
import socket
import subprocess
import urllib.request
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

from harness.meter import Process, is_done, poll, wait
from harness.programs import FLOOR, OURS, Command, Place, Program, address

APT = ("rsync", "syncthing", "unison")

OUR_PORT = 7700
RSYNC_PORT = 8730
UNISON_PORT = 7711
SYNCTHING_PORT = 22000
SYNCTHING_API_PORT = 8384
# Whoever is in the namespace may know it.
SYNCTHING_API_KEY = "bench"
# The least that takes effect: in whole seconds up to 1.20.
SYNCTHING_WATCH_DELAY_S = 1

# How long one question to a program may take.
ASK_TIMEOUT = 10


@dataclass
class Scene(Place):
    """One run: folder 0 is changed, and the others follow."""

    others: int

    def node(self, index):
        return self.folder(f"folder-{index}")

    @property
    def nodes(self):
        return [self.node(index) for index in range(1 + self.others)]

    @property
    def other_nodes(self):
        return self.nodes[1:]

    @property
    def staged(self):
        """Where a change is made ready: on the same file system, beside the folders."""
        return self.folder("staged")


class Contender:
    """What all have in common, beside a `Program`."""

    # Whether what it wrote is safe on the disk when it is there under its name.
    syncs = False
    # Whether a file may stand under its name half written, so that only the program's exit tells that it is whole.
    writes_in_place = False
    # Whether it sees a change by itself.
    watches = False
    # The workloads that it runs in; None for all.
    workloads = None

    def start(self, scene, ends):
        """Processes that are there before the change, ready, with all folders alike. `ends` takes what stops them."""
        return []

    def act(self, scene):
        """What the user starts after the change: one process for each other folder."""
        return []

    def can(self, name, needs_watching):
        return (self.watches or not needs_watching) and (self.workloads is None or name in self.workloads)


def begun(process, ends):
    ends.callback(process.stop)
    return process


class Ensemble(Contender, Program):
    name, kind = "ensemble", OURS
    syncs = watches = True

    def __init__(self, path):
        self.path = path

    def missing(self):
        return None if self.path.is_file() else f"{self.path} is not there; run cargo build --release, or say --ensemble FILE"

    def version(self):
        run = subprocess.run([self.path, "--version"], capture_output=True, text=True, timeout=ASK_TIMEOUT, check=False)
        return run.stdout.strip()

    def start(self, scene, ends):
        members = [self._member(scene, ends, 0)]
        key = scene.folder("home") / "key"

        def tells_key():
            asked = [self.path, "key", scene.node(0)]
            run = subprocess.run(asked, capture_output=True, timeout=ASK_TIMEOUT, check=False, env={**os.environ, **scene.environment()})
            key.write_bytes(run.stdout)
            return run.returncode == 0 and run.stdout.strip()

        key.touch(mode=0o600)
        poll(tells_key, members, scene.deadline, "telling its key", pause=0.1)
        for index in range(1, 1 + scene.others):
            before = [word for other in range(index) for word in ("--member", f"{address(other)}:{OUR_PORT}")]
            members.append(self._member(scene, ends, index, "--key-file", key, *before))
        return members

    def _member(self, scene, ends, index, *more):
        args = [self.path, scene.node(index), "--listen", f"{address(index)}:{OUR_PORT}", "--no-lan", "--json"]
        args += ["--logs", scene.folder("logs"), *more]
        log = scene.log(f"ensemble-{index}")
        return begun(Process(f"ensemble ({index})", args, log, said=lambda _: False, env=scene.environment()), ends)


class Syncthing(Contender, Command):
    command = "syncthing"
    syncs = watches = True

    def __init__(self, tools, name="Syncthing", compression="metadata", workloads=None):
        super().__init__(tools)
        self.name, self.compression, self.workloads = name, compression, workloads

    def start(self, scene, ends):
        indices = range(1 + scene.others)
        devices = [self._generate(scene, ends, index) for index in indices]
        for index in indices:
            (scene.node(index) / ".stfolder").mkdir()
            (self._home(scene, index) / "config.xml").write_text(self._config(scene, devices, index))
        members = [self._serve(scene, ends, index) for index in indices]
        poll(lambda: all(self._is_alike(index, devices) for index in indices), members, scene.deadline, "alike and idle", pause=0.2)
        return members

    def _home(self, scene, index):
        return scene.folder("home", f"syncthing-{index}")

    def _generate(self, scene, ends, index):
        home = self._home(scene, index)
        process = begun(self.spawn(scene, f"generate-{index}", ["generate", "--home", home]), ends)
        wait([process], is_done, scene.deadline, "generated")
        return ElementTree.parse(home / "config.xml").getroot().find("device").get("id")

    def _serve(self, scene, ends, index):
        args = ["serve", "--home", self._home(scene, index), "--no-browser", "--no-restart"]
        return begun(self.spawn(scene, f"serve-{index}", args, said=lambda _: False), ends)

    def _config(self, scene, devices, me):
        """Everybody at an address that is given here; nothing leaves the namespace, and nothing is looked for."""
        root = ElementTree.Element("configuration", version="35")
        attributes = {
            "id": "bench", "path": str(scene.node(me)), "type": "sendreceive", "rescanIntervalS": "86400",
            "fsWatcherEnabled": "true", "fsWatcherDelayS": str(SYNCTHING_WATCH_DELAY_S),
        }
        folder = ElementTree.SubElement(root, "folder", attributes)
        for index, device in enumerate(devices):
            ElementTree.SubElement(folder, "device", id=device)
            about = {"id": device, "name": f"node-{index}", "compression": self.compression}
            told = ElementTree.SubElement(root, "device", about)
            ElementTree.SubElement(told, "address").text = f"tcp://{address(index)}:{SYNCTHING_PORT}"
        gui = ElementTree.SubElement(root, "gui", enabled="true", tls="false")
        ElementTree.SubElement(gui, "address").text = f"{address(me)}:{SYNCTHING_API_PORT}"
        ElementTree.SubElement(gui, "apikey").text = SYNCTHING_API_KEY
        options = ElementTree.SubElement(root, "options")
        for name, value in {
            "listenAddress": f"tcp://{address(me)}:{SYNCTHING_PORT}", "globalAnnounceEnabled": "false",
            "localAnnounceEnabled": "false", "relaysEnabled": "false", "natEnabled": "false", "urAccepted": "-1",
            "autoUpgradeIntervalH": "0", "crashReportingEnabled": "false", "startBrowser": "false",
            "reconnectionIntervalS": "5",
            # As nice as the others are; it also keeps it in the process group that the harness stops.
            "setLowPriority": "false",
        }.items():
            ElementTree.SubElement(options, name).text = value
        return ElementTree.tostring(root, encoding="unicode")

    def _is_alike(self, index, devices):
        try:
            connections = self._ask(index, "system/connections")["connections"]
            status = self._ask(index, "db/status?folder=bench")
            peers = [device for other, device in enumerate(devices) if other != index]
            told = [self._ask(index, f"db/completion?folder=bench&device={device}") for device in peers]
        except (OSError, ValueError):
            # Not listening yet, or not yet with that folder.
            return False
        return (
            all(connections.get(device, {}).get("connected") for device in peers)
            and status["state"] == "idle"
            and status["needTotalItems"] == 0
            and status["globalFiles"] == status["localFiles"]
            and not status.get("watchError")
            and all(one["completion"] == 100 for one in told)
        )

    @staticmethod
    def _ask(index, what):
        url = f"http://{address(index)}:{SYNCTHING_API_PORT}/rest/{what}"
        # Not through a proxy that the environment names.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(url, headers={"X-API-Key": SYNCTHING_API_KEY})
        with opener.open(request, timeout=ASK_TIMEOUT) as answer:
            return json.load(answer)


class Rsync(Contender, Command):
    command = "rsync"

    def __init__(self, tools, *flags, workloads=None, in_place=False):
        super().__init__(tools)
        self.flags, self.workloads, self.writes_in_place = flags, workloads, in_place
        self.name = " ".join(["rsync", *(flag for flag in flags if not flag.startswith("--delete"))])

    def start(self, scene, ends):
        return [self._daemon(scene, ends, index) for index in range(1, 1 + scene.others)]

    def _daemon(self, scene, ends, index):
        config = scene.folder("home") / f"rsyncd-{index}.conf"
        config.write_text(
            f"use chroot = no\nuid = {os.getuid()}\ngid = {os.getgid()}\nreverse lookup = no\n"
            f"log file = {scene.log(f'rsyncd-{index}-own')}\n[folder]\npath = {scene.node(index)}\nread only = no\n"
        )
        args = ["--daemon", "--no-detach", f"--config={config}", f"--address={address(index)}", f"--port={RSYNC_PORT}"]
        daemon = begun(self.spawn(scene, f"daemon-{index}", args, said=lambda _: False), ends)
        poll(lambda: listens(address(index), RSYNC_PORT), [daemon], scene.deadline, "listening")
        return daemon

    def act(self, scene):
        return [
            self.spawn(scene, f"to-{index}", ["-a", *self.flags, f"{scene.node(0)}/", f"rsync://{address(index)}:{RSYNC_PORT}/folder/"])
            for index in range(1, 1 + scene.others)
        ]


class Unison(Contender, Command):
    """Debian's package has no `unison-fsmonitor`, so it cannot watch; each run looks for changes on both sides."""

    name, command, version_args = "Unison", "unison", ("-version",)

    def start(self, scene, ends):
        servers = [self._server(scene, ends, index) for index in range(1, 1 + scene.others)]
        # The first run of a pair only writes down that both are alike.
        first = [begun(client, ends) for client in self.act(scene)]
        wait(first, is_done, scene.deadline, "alike", beside=servers)
        return servers

    def _server(self, scene, ends, index):
        log, env = scene.log(f"server-{index}"), self._environment(scene, index)
        args = [self.path, "-socket", str(UNISON_PORT + index)]
        server = begun(Process(f"Unison (server {index})", args, log, said=lambda _: False, env=env), ends)
        # Whoever connects is its client, so it is not asked by connecting.
        poll(lambda: is_bound(UNISON_PORT + index), [server], scene.deadline, "listening")
        return server

    def act(self, scene):
        return [self._client(scene, index) for index in range(1, 1 + scene.others)]

    def _client(self, scene, index):
        there = f"socket://{address(index)}:{UNISON_PORT + index}/{scene.node(index)}"
        args = [self.path, scene.node(0), there, "-ui", "text", "-batch", "-times", "-terse", "-confirmbigdel=false"]
        args += ["-logfile", scene.log(f"own-{index}")]
        # Each pair with archives of its own, so that two runs at once do not wait for one another.
        env = self._environment(scene, f"client-{index}")
        return Process(f"Unison (to {index})", args, scene.log(f"to-{index}"), env=env, merge=True)

    @staticmethod
    def _environment(scene, who):
        # No name of this computer is looked up.
        return {**scene.environment(), "UNISON": str(scene.folder("home", f"unison-{who}")), "UNISONLOCALHOSTNAME": "bench"}


class Cp(Contender, Command):
    name, command, kind = "cp", "cp", FLOOR
    writes_in_place = True
    # It knows no names that are gone.
    workloads = ("new", "byte", "insert", "small", "log", "new-2", "small-2")

    def act(self, scene):
        return [self.spawn(scene, f"to-{index}", ["-a", f"{scene.node(0)}/.", scene.node(index)]) for index in range(1, 1 + scene.others)]


def listens(host, port):
    try:
        socket.create_connection((host, port), timeout=ASK_TIMEOUT).close()
    except OSError:
        return False
    return True


def is_bound(port):
    """Whether anybody in this namespace listens there."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with open(table, encoding="ascii") as file:
            for line in file:
                fields = line.split()
                # 0A is the state of a listening socket.
                if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                    return True
    return False


def all_contenders(ensemble, tools):
    """In the order of the tables, with the reasons why some are not there."""
    contenders = [
        Ensemble(ensemble),
        Syncthing(tools),
        Syncthing(tools, "Syncthing, compressing", "always", ("log",)),
        Rsync(tools, "--delete"),
        Rsync(tools, "--inplace", "--delete", workloads=("byte", "insert"), in_place=True),
        Rsync(tools, "-z", "--delete", workloads=("log",)),
        # The file that is gone is what it takes the content from, so it must be deleted last.
        Rsync(tools, "--fuzzy", "--delete-after", workloads=("rename",)),
        Unison(tools),
        Cp(tools),
    ]
    skipped = {contender.name: reason for contender in contenders if (reason := contender.missing())}
    return [contender for contender in contenders if contender.name not in skipped], skipped
