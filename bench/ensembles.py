#!/usr/bin/env python3
"""What is promised of an ensemble's folders, at full size: members that are killed, very many files, and three members
that nobody told of each other.

    sudo python3 bench/ensembles.py kills [--rounds 100] [--size 1G] [--seed 1]
    sudo python3 bench/ensembles.py many [--files 100000]
    sudo python3 bench/ensembles.py lan [--rounds 20]

The members run in network namespaces of their own, in a folder that is removed at the end: two on one host, or three
hosts on a bridge. The exit code is 1 if something does not hold; what was seen is printed in any case.
"""

import argparse
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PROGRAM = pathlib.Path(__file__).resolve().parent.parent / "target" / "release" / "ensemble"
NAMES = ("a", "b")
PORTS = {"a": 10001, "b": 10002}
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
# Longer than anything takes, unless something hangs.
PATIENCE = 180


def size(text):
    return int(text[:-1]) * UNITS[text[-1]] if text[-1] in UNITS else int(text)


class Pair:
    """Two folders, and a member for each."""

    def __init__(self, root):
        self.root = pathlib.Path(root)
        self.members = {}
        for name in NAMES:
            (self.root / name).mkdir()

    def start(self, name):
        other = NAMES[1 - NAMES.index(name)]
        command = [PROGRAM, name, "--listen", f"127.0.0.1:{PORTS[name]}", "--member", f"127.0.0.1:{PORTS[other]}"]
        command += ["--no-lan", "--quiet"]
        if (self.root / "key").exists():
            command += ["--key-file", "key"]
        self.members[name] = subprocess.Popen(command, cwd=self.root)
        if not (self.root / "key").exists():
            until("it has a key", lambda: (self.root / name / ".orchestra" / "key").exists())
            shutil.copy(self.root / name / ".orchestra" / "key", self.root / "key")

    def kill(self, name):
        self.members[name].send_signal(signal.SIGKILL)
        self.members[name].wait()

    def stop(self):
        for member in self.members.values():
            member.terminate()
        for member in self.members.values():
            member.wait()

    def status(self, name):
        asked = subprocess.run([PROGRAM, "status", name, "--json"], cwd=self.root, capture_output=True, text=True)
        return json.loads(asked.stdout) if asked.returncode == 0 else {}

    def memory(self, name):
        """The most memory that a member had, in MiB."""
        with open(f"/proc/{self.members[name].pid}/status") as status:
            line = next(line for line in status if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def cpu(self, name):
        """Seconds."""
        with open(f"/proc/{self.members[name].pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def until(what, is_so, pause=0.02):
    since = time.monotonic()
    while not is_so():
        if time.monotonic() - since > PATIENCE:
            raise SystemExit(f"never: {what}")
        time.sleep(pause)


def wire():
    """Bytes on the loopback of this namespace, each packet once, with headers."""
    with open("/proc/net/dev") as devices:
        line = next(line for line in devices if line.strip().startswith("lo:"))
    return int(line.split(":")[1].split()[0])


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "blake2b").digest()


def names(folder):
    return {entry.name: entry.stat().st_size for entry in os.scandir(folder) if entry.name != ".orchestra"}


def write_noise(path, offset, count):
    with open(path, "r+b" if path.exists() else "wb") as file:
        file.seek(offset)
        for at in range(0, count, 1 << 20):
            file.write(os.urandom(min(1 << 20, count - at)))


def kills(pair, rounds, length, seed):
    rng = random.Random(seed)
    ours, theirs = (pair.root / name / "big" for name in NAMES)
    for name in NAMES:
        pair.start(name)
    write_noise(pair.root / "staged", 0, length)
    os.rename(pair.root / "staged", ours)
    until("the file is there", lambda: theirs.exists() and digest(ours) == digest(theirs))
    before, changed, half = wire(), 0, 0
    part = length // 8
    for number in range(rounds):
        write_noise(ours, rng.randrange(length - part), part)
        (pair.root / "a" / f"small{number}").write_text(str(number))
        changed += part
        time.sleep(rng.uniform(0, 2.5))
        victim = rng.choice(NAMES)
        pair.kill(victim)
        half += theirs.stat().st_size != length
        pair.start(victim)
        same = lambda: names(pair.root / "a") == names(pair.root / "b") and (
            ours.stat().st_mtime_ns == theirs.stat().st_mtime_ns)
        until(f"the same tree after round {number}", same)
        for name in NAMES:
            # A month of replaced gibibytes would fill the disk.
            for day in (pair.root / name / ".orchestra" / "archive").iterdir():
                shutil.rmtree(day, ignore_errors=True)
        if digest(ours) != digest(theirs):
            raise SystemExit(f"different bytes after round {number}")
    share = (wire() - before) / changed
    extra = len(names(pair.root / "b")) - rounds - 1
    print(f"{rounds} kills: the same tree each time; {half} half files; {extra} files too many; "
          f"{share:.3f} bytes on the wire for each that changed")
    return half == 0 and extra == 0 and share <= 1.1


def many(pair, count):
    for folder in range(count // 1000):
        path = pair.root / "a" / f"folder{folder}"
        path.mkdir()
        for number in range(1000):
            (path / f"file{number}").write_bytes(os.urandom(1024))
    began = time.monotonic()
    for name in NAMES:
        pair.start(name)

    def united():
        time.sleep(0.5)
        status = pair.status("b")
        return status.get("files") == count and status.get("united")

    until("in unison", united)
    took = time.monotonic() - began
    peak = max(pair.memory(name) for name in NAMES)
    time.sleep(10)
    before, bytes_before = [pair.cpu(name) for name in NAMES], wire()
    time.sleep(60)
    idle = max(pair.cpu(name) - then for name, then in zip(NAMES, before)) / 60 * 100
    idle_bytes = wire() - bytes_before
    most = 64 + count * 256 / (1 << 20)
    print(f"{count} files of 1 KiB in unison after {took:.1f} s; at most {peak:.0f} MiB each (bar {most:.0f}); "
          f"idle {idle:.2f} % of a core, {idle_bytes} bytes a minute")
    return peak <= most and idle < 1 and idle_bytes <= 16 << 10


class Lan:
    """Hosts on one bridge, which is in this namespace; a host is a process that holds a namespace."""

    def __init__(self, count):
        self.hosts = []
        run("ip link add bridge type bridge mcast_snooping 0")
        run("ip link set bridge up")
        for number in range(1, count + 1):
            holder = subprocess.Popen(["unshare", "--net", "sh", "-c", "echo there; exec sleep infinity"],
                                      stdout=subprocess.PIPE)
            self.hosts.append(holder)
            # From here on its namespace is its own.
            holder.stdout.readline()
            run(f"ip link add port{number} type veth peer name eth0 netns {holder.pid}")
            run(f"ip link set port{number} master bridge up")
            for line in ("link set lo up", f"address add 10.77.0.{number}/24 dev eth0", "link set eth0 up"):
                run(f"nsenter -t {holder.pid} -n ip {line}")

    def command(self, number, command):
        """The same command, on a host."""
        return ["nsenter", "-t", str(self.hosts[number].pid), "-n", *command]

    def end(self):
        for host in self.hosts:
            host.kill()
            host.wait()


def run(line):
    subprocess.run(line.split(), check=True)


def lan(root, rounds):
    """Three members that find each other: how long until three folders are one, and until a file that is saved on one
    of them is whole on the others. Each round begins with other files, and with members that know of nobody."""
    united, everywhere, members = [], [], []
    network = Lan(3)
    try:
        (root / "first").mkdir()
        founder = subprocess.Popen([PROGRAM, root / "first", "--no-lan", "--quiet"], cwd=root)
        until("there is a key", (root / "first" / ".orchestra" / "key").exists)
        founder.terminate()
        founder.wait()
        for number in range(rounds):
            base = root / str(number)
            folders = [base / name for name in "abc"]
            for folder in folders:
                (folder / "in").mkdir(parents=True)
                (folder / f"from-{folder.name}").write_bytes(os.urandom(1 << 16))
                (folder / "in" / "all").write_text("the same")

            def start(more):
                commands = [[PROGRAM, folder, "--key-file", root / "first" / ".orchestra" / "key", *more]
                            for folder in folders]
                return [subprocess.Popen(network.command(at, command), stdout=subprocess.DEVNULL, cwd=base)
                        for at, command in enumerate(commands)]

            began = time.monotonic()
            members = start(["--quiet"])
            until("one tree", lambda: all(len(names(folder)) == 4 for folder in folders), 0.005)
            united.append(time.monotonic() - began)
            time.sleep(2)
            for folder in folders:
                content = os.urandom(1 << 20)
                name = f"saved-{folder.name}"
                began = time.monotonic()
                (folder / name).write_bytes(content)
                until("it is everywhere", lambda: all(names(other).get(name) == len(content) for other in folders),
                      0.005)
                everywhere.append(time.monotonic() - began)
                if any((other / name).read_bytes() != content for other in folders):
                    raise SystemExit("a file arrived that is not what was saved")
                time.sleep(1)
            for member in members:
                member.terminate()
            if any(member.wait() != 0 for member in members):
                raise SystemExit("a member did not leave well")
            once = start(["--once", "--expect", "3", "--json"])
            if any(member.wait(PATIENCE) != 0 for member in once):
                raise SystemExit("`--once --expect 3` did not exit with 0")
    finally:
        for member in members:
            member.kill()
            member.wait()
        network.end()
    print(f"{rounds} rounds of three members: one tree after {statistics.median(united):.2f} s (at most "
          f"{max(united):.2f}); 1 MiB saved, whole at the two others after {statistics.median(everywhere):.2f} s "
          f"(at most {max(everywhere):.2f})")
    return max(united) < 5 and max(everywhere) <= 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["kills", "many", "lan"])
    parser.add_argument("--rounds", type=int, help="100 kills, or 20 times three members")
    parser.add_argument("--size", type=size, default=1 << 30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--dir", default=PROGRAM.parent.parent, help="where the folders are, for a while")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:
        inside = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        os.execvp(inside[0], inside + [sys.executable, *sys.argv, "--inside"])
    with tempfile.TemporaryDirectory(dir=options.dir) as root:
        if options.what == "lan":
            sys.exit(0 if lan(pathlib.Path(root), options.rounds or 20) else 1)
        pair = Pair(root)
        try:
            if options.what == "kills":
                holds = kills(pair, options.rounds or 100, options.size, options.seed)
            else:
                holds = many(pair, options.files)
        finally:
            pair.stop()
    sys.exit(0 if holds else 1)


if __name__ == "__main__":
    main()
