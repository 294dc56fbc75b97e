"""Runs Orchestra and other programs side by side; see README.md beside this file."""

import argparse
import contextlib
import datetime
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from harness import namespace
from harness.install import install
from harness.meter import Trouble, machine
from harness.programs import HUB, OURS, TRACKER_PORT, Run, all_programs, short_version
from harness.report import markdown, percent
from harness.torrent import make_source, make_torrent
from harness.tracker import Tracker
from harness.workloads import ALL_CURVES, CURVES, MIB, WORKLOADS, measure, named

BENCH = Path(__file__).resolve().parent
REPOSITORY = BENCH.parent


def size(text):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
    value = int(number) * unit
    if value < MIB:
        raise argparse.ArgumentTypeError("at least 1M")
    return value


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    names = (*WORKLOADS, *CURVES, ALL_CURVES)
    parser.add_argument("workload", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(names)} [default: those before {names[len(WORKLOADS)]}]")
    parser.add_argument("--runs", type=int, default=5, help="of each program [default: 5]")
    parser.add_argument("--size", type=size, default=1 << 30, help="of the file; compose takes four times that, the curves up to sixteen times [default: 1G]")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="only programs whose name holds TEXT, and ours")
    parser.add_argument("--skip", action="append", default=[], metavar="TEXT", help="not the programs whose name holds TEXT")
    parser.add_argument("--patience", type=float, default=60, metavar="S", help="a program that took longer is not run again [default: 60]")
    parser.add_argument("--deadline", type=float, default=600, metavar="S", help="of one run [default: 600]")
    parser.add_argument("--bin", type=Path, default=REPOSITORY / "target/release", help="where ours are [default: target/release]")
    parser.add_argument("--tools", type=Path, default=REPOSITORY / "target/bench/tools", help="where --install puts rivals")
    parser.add_argument("--dir", type=Path, default=REPOSITORY / "target/bench", help="where the work folder is made [default: target/bench]")
    parser.add_argument("--out", type=Path, default=BENCH / "RESULTS.md", help="the table [default: bench/RESULTS.md]")
    parser.add_argument("--json", type=Path, help="the raw numbers [default: bench/results/DATE.json]")
    parser.add_argument("--install", action="store_true", help="get missing rivals from apt and PyPI first")
    parser.add_argument("--install-rqbit", action="store_true", help="rqbit from crates.io, too (builds for minutes)")
    parser.add_argument("--list", action="store_true", help="say which programs are there, and leave")
    parser.add_argument("--render", nargs="+", type=Path, metavar="JSON", help="make the table of these raw numbers, and leave")
    arguments = parser.parse_args(argv)
    for name in arguments.workload:
        if name not in names:
            parser.error(f"no workload {name}; there are {', '.join(names)}")
    return arguments


def main():
    # A terminated harness cleans up as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    arguments = parse(sys.argv[1:])
    if sys.version_info < (3, 11):
        sys.exit("CANNOT RUN: needs Python 3.11 or newer")
    if arguments.render:
        arguments.out.write_text(markdown([json.loads(path.read_text()) for path in arguments.render]))
        return 0
    if not namespace.is_inside():
        if arguments.install or arguments.install_rqbit:
            install(arguments.tools.absolute(), arguments.install_rqbit)
        return namespace.reenter(sys.argv)
    namespace.leave_with_parent()
    namespace.bring_up()
    programs, skipped = all_programs(arguments.bin.absolute(), arguments.tools.absolute())
    for name, why in skipped.items():
        tell(f"SKIPPED: {name}: {why}")
    programs = [program for program in programs if wanted(program, arguments)]
    for program in programs:
        tell(f"{program.name}: {short_version(program)}")
    if not any(program.kind == OURS for program in programs):
        tell("ours is not there, so there is nothing to compare")
        return 1
    if arguments.list:
        return 0

    arguments.dir.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="work-", dir=arguments.dir.absolute()))
    try:
        document = run_all(arguments, programs, skipped, work)
    finally:
        shutil.rmtree(work)
    measured = document["workloads"].values()
    failures = [entry for workload in measured for entry in workload["programs"] if entry["troubles"]]
    return 1 if failures or any(workload.get("skipped") for workload in measured) else 0


def wanted(program, arguments):
    if any(text in program.name for text in arguments.skip):
        return False
    return program.kind == OURS or not arguments.only or any(text in program.name for text in arguments.only)


def run_all(arguments, programs, skipped, work):
    document = {
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
        "command": shlex.join(["python3", "bench/run.py", *sys.argv[1:]]),
        "revision": revision(),
        "machine": {**machine(), "file_system": file_system(work)},
        "versions": {program.name: short_version(program) for program in programs},
        "skipped": skipped,
        "workloads": {},
    }
    tracker = Tracker(HUB, TRACKER_PORT)
    sources = {}
    try:
        for workload in named(arguments.workload):
            document["workloads"][workload.name] = run_workload(arguments, workload, programs, tracker, sources, work)
            # After each workload, so that an interrupted evening is not lost.
            write(arguments, document)
    finally:
        tracker.close()
    return document


def run_workload(arguments, workload, programs, tracker, sources, work):
    total, part_size = workload.size(arguments.size), workload.parts_of(arguments.size)
    told = {"size": total, "part_size": part_size, "getters": workload.getters, "programs": []}
    need = (workload.getters if workload.what == "get" else 0) * total + (0 if total in sources else total)
    free = shutil.disk_usage(work).free
    if need + (1 << 30) > free:
        told["skipped"] = f"it needs {need >> 20} MiB on the disk of {work}, and a gibibyte to spare; {free >> 20} are free"
        tell(f"SKIPPED: {workload.name}: {told['skipped']}")
        return told
    if total not in sources:
        tell(f"{workload.name}: makes a file of {total >> 20} MiB")
        sources[total] = make_source(work / f"source-{total}", total)
    source = sources[total]

    folder = work / workload.name
    folder.mkdir()
    able = [program for program in programs if hasattr(program, "share" if workload.what == "get" else workload.what)]
    if workload.curve and not arguments.only:
        able = ours_and_the_fastest(able)
    ours = next(program for program in able if program.kind == OURS)
    torrent = make_torrent(source, part_size, tracker.url, folder / "data.torrent")
    manifest = folder / "data.bin.orch"
    ours.make_manifest(source, part_size, manifest, folder / "composer.log")

    entries = {program.name: {"name": program.name, "kind": program.kind, "runs": [], "troubles": []} for program in able}
    for round_number in range(arguments.runs):
        # Each round begins with another one, so that nobody always follows the same neighbour.
        turn = round_number % len(able)
        for program in able[turn:] + able[:turn]:
            entry = entries[program.name]
            if entry.get("given_up") or entry["troubles"]:
                continue
            tracker.forget()
            run = Run(
                directory=folder / f"{round_number}-{program.name.replace(' ', '-')}",
                source=source,
                part_size=part_size,
                getters=workload.getters,
                manifest=manifest,
                torrent=torrent,
                tracker=tracker,
                deadline=time.monotonic() + arguments.deadline,
            )
            run.directory.mkdir()
            try:
                result = measure(program, workload, run)
            except Trouble as trouble:
                entry["troubles"].append(str(trouble))
                tell(f"{workload.name}: FAILED: {trouble}")
                empty(run)
                continue
            entry["runs"].append(result)
            tell(f"{workload.name} {round_number + 1}/{arguments.runs} {program.name}: {result['wall_s']:.3f} s, "
                 f"CPU {result['get_cpu_s'] + result['give_cpu_s']:.2f} s, other load {percent(result['other_load'])}")
            if result["wall_s"] > arguments.patience:
                entry["given_up"] = f"it took {result['wall_s']:.0f} s, more than the patience of {arguments.patience:.0f} s"
    return {**told, "programs": list(entries.values())}


def ours_and_the_fastest(programs):
    """Without the many: a curve has many points. libtorrent, tuned, has been the fastest so far."""
    fastest = next((program for program in programs if re.fullmatch("libtorrent .* tuned", program.name)), None)
    return [program for program in programs if program.kind == OURS or program is fastest]


def empty(run):
    """Frees the disk of a failed run; its logs stay until the end. Links to the source are left alone."""
    for index in range(run.getters):
        for path in run.got(1 + index).iterdir():
            with contextlib.suppress(OSError):
                os.truncate(path, 0)


def write(arguments, document):
    raw = arguments.json or BENCH / "results" / f"{document['date'].replace(':', '')[:17]}.json"
    raw.parent.mkdir(parents=True, exist_ok=True)
    raw.write_text(json.dumps(document, indent=1) + "\n")
    arguments.out.write_text(markdown([document]))


def revision():
    asked = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=10"]
    run = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=False)
    return run.stdout.strip() or "unknown"


def file_system(path):
    run = subprocess.run(["df", "--output=fstype", str(path)], capture_output=True, text=True, timeout=30, check=False)
    return (run.stdout.split() or ["unknown"])[-1]


def tell(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
