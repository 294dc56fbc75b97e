"""What the programs of this folder share around the measuring: arguments, namespaces, what goes at the head of a document."""

import argparse
import datetime
import json
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from harness import namespace
from harness.meter import Trouble, machine
from harness.programs import short_version
from harness.report import cpu_of, percent

BENCH = Path(__file__).resolve().parent.parent
REPOSITORY = BENCH.parent


def size_from(least):
    """A reader of sizes such as `64M` that takes nothing smaller than `least` bytes."""

    def size(text):
        units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
        number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
        value = int(number) * unit
        if value < least:
            raise argparse.ArgumentTypeError(f"at least {least} bytes")
        return value

    return size


def add_arguments(parser, runs, deadline, out):
    parser.add_argument("--runs", type=int, default=runs, help=f"of each program [default: {runs}]")
    parser.add_argument("--patience", type=float, default=60, metavar="S", help="a program that took longer is not run again [default: 60]")
    parser.add_argument("--deadline", type=float, default=deadline, metavar="S", help=f"of one run [default: {deadline}]")
    parser.add_argument("--tools", type=Path, default=REPOSITORY / "target/bench/tools", help="where --install puts rivals")
    parser.add_argument("--dir", type=Path, default=REPOSITORY / "target/bench", help="where the work folder is made [default: target/bench]")
    parser.add_argument("--out", "--output", type=Path, default=BENCH / out, help=f"the table [default: bench/{out}]")
    parser.add_argument("--json", type=Path, help="the raw numbers [default: bench/results/DATE.json]")
    parser.add_argument("--list", action="store_true", help="say which programs are there, and leave")
    parser.add_argument("--render", nargs="+", type=Path, metavar="JSON", help="make the table of these raw numbers, and leave")


def enter(install):
    """Goes into fresh namespaces. None inside them; outside, the exit code of the one who was there.

    `install` is called outside, where the package registries are to be reached.
    """
    # A terminated harness cleans up as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if sys.version_info < (3, 11):
        sys.exit("CANNOT RUN: needs Python 3.11 or newer")
    if not namespace.is_inside():
        install()
        return namespace.reenter(sys.argv)
    namespace.leave_with_parent()
    namespace.bring_up()
    return None


def in_work_folder(arguments, what):
    """Calls `what(folder)` with a folder that is gone afterwards; returns what it returns."""
    arguments.dir.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=arguments.dir.absolute()))
    try:
        return what(work)
    finally:
        shutil.rmtree(work)


def heading(programs, skipped, work):
    """The head of a document of raw numbers."""
    script = Path(sys.argv[0]).name
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(["python3", f"bench/{script}", *sys.argv[1:]]),
        "revision": revision(),
        "machine": {**machine(), "file_system": file_system(work)},
        "versions": {program.name: short_version(program) for program in programs},
        "skipped": skipped,
    }


def write(arguments, document, markdown, prefix=""):
    raw = arguments.json or BENCH / "results" / f"{prefix}{document['date'].replace(':', '')[:17]}.json"
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.write_text(json.dumps(document, indent=1) + "\n")
    arguments.out.write_text(markdown([document]))


def render(arguments, markdown):
    arguments.out.write_text(markdown([json.loads(path.read_text()) for path in arguments.render]))
    return 0


def revision():
    asked = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=10"]
    run = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    return run.stdout.strip() or "unknown"


def file_system(path):
    run = subprocess.run(["df", "--output=fstype", str(path)], capture_output=True, text=True, timeout=30, check=False)
    return (run.stdout.split() or ["unknown"])[-1]


def play(arguments, name, programs, once, patience):
    """Calls `once(program, round)` for all programs, round after round; returns what belongs into the document.

    A program that failed, or that took longer than the patience, is not run again.
    """
    entries = {program.name: {"name": program.name, "kind": program.kind, "runs": [], "troubles": []} for program in programs}
    for round_number in range(arguments.runs):
        # Each round begins with another one, so that nobody always follows the same neighbour.
        turn = round_number % max(1, len(programs))
        for program in programs[turn:] + programs[:turn]:
            entry = entries[program.name]
            if entry.get("given_up") or entry["troubles"]:
                continue
            try:
                result = once(program, round_number)
            except Trouble as trouble:
                entry["troubles"].append(str(trouble))
                tell(f"{name}: FAILED: {trouble}")
                continue
            entry["runs"].append(result)
            tell(f"{name} {round_number + 1}/{arguments.runs} {program.name}: {result['wall_s']:.3f} s, "
                 f"CPU {cpu_of(result):.2f} s, other load {percent(result['other_load'])}")
            if result["wall_s"] > patience:
                entry["given_up"] = f"it took {result['wall_s']:.0f} s, more than the patience of {patience:.0f} s"
    return list(entries.values())


def exit_code(document):
    """1 if a program failed or a workload was left out."""
    measured = document["workloads"].values()
    failures = [entry for workload in measured for entry in workload.get("programs", []) if entry["troubles"]]
    return 1 if failures or any(workload.get("skipped") for workload in measured) else 0


def lack_of_room(folder, need):
    """Why the disk does not hold `need` bytes more, or None."""
    free = shutil.disk_usage(folder).free
    if need + (1 << 30) <= free:
        return None
    return f"it needs {need >> 20} MiB on the disk of {folder}, and a gibibyte to spare; {free >> 20} are free"


def tell(text):
    print(text, file=sys.stderr, flush=True)
