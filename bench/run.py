"""Runs Orchestra and other programs side by side; see README.md beside this file."""

import argparse
import contextlib
import os
import re
import sys
import time
from pathlib import Path

from harness import session
from harness.install import install
from harness.meter import Trouble
from harness.programs import HUB, OURS, TRACKER_PORT, Run, all_programs, short_version
from harness.report import markdown
from harness.session import REPOSITORY, tell
from harness.torrent import make_source, make_torrent
from harness.tracker import Tracker
from harness.workloads import ALL_CURVES, CURVES, MIB, WORKLOADS, measure, named


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    names = (*WORKLOADS, *CURVES, ALL_CURVES)
    parser.add_argument("workload", nargs="*", metavar="WORKLOAD", help=f"of {', '.join(names)} [default: those before {names[len(WORKLOADS)]}]")
    session.add_arguments(parser, runs=5, deadline=600, out="RESULTS.md")
    parser.add_argument("--size", type=session.size_from(MIB), default=1 << 30, help="of the file; compose takes four times that, the curves up to sixteen times [default: 1G]")
    parser.add_argument("--only", action="append", default=[], metavar="TEXT", help="only programs whose name holds TEXT, and ours")
    parser.add_argument("--skip", action="append", default=[], metavar="TEXT", help="not the programs whose name holds TEXT")
    parser.add_argument("--bin", type=Path, default=REPOSITORY / "target/release", help="where ours are [default: target/release]")
    parser.add_argument("--also", type=Path, action="append", default=[], metavar="DIR", help="another build of ours, to compare with; may be repeated")
    parser.add_argument("--install", action="store_true", help="get missing rivals from apt and PyPI first")
    parser.add_argument("--install-rqbit", action="store_true", help="rqbit from crates.io, too (builds for minutes)")
    arguments = parser.parse_args(argv)
    for name in arguments.workload:
        if name not in names:
            parser.error(f"no workload {name}; there are {', '.join(names)}")
    return arguments


def main():
    arguments = parse(sys.argv[1:])
    if arguments.render:
        return session.render(arguments, markdown)

    def get_rivals():
        if arguments.install or arguments.install_rqbit:
            install(arguments.tools.absolute(), arguments.install_rqbit)

    code = session.enter(get_rivals)
    if code is not None:
        return code
    programs, skipped = all_programs([place.absolute() for place in (arguments.bin, *arguments.also)], arguments.tools.absolute())
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

    document = session.in_work_folder(arguments, lambda work: run_all(arguments, programs, skipped, work))
    return session.exit_code(document)


def wanted(program, arguments):
    if any(text in program.name for text in arguments.skip):
        return False
    return program.kind == OURS or not arguments.only or any(text in program.name for text in arguments.only)


def run_all(arguments, programs, skipped, work):
    document = {**session.heading(programs, skipped, work), "workloads": {}}
    tracker = Tracker(HUB, TRACKER_PORT)
    sources = {}
    try:
        for workload in named(arguments.workload):
            document["workloads"][workload.name] = run_workload(arguments, workload, programs, tracker, sources, work)
            # After each workload, so that an interrupted evening is not lost.
            session.write(arguments, document, markdown)
    finally:
        tracker.close()
    return document


def run_workload(arguments, workload, programs, tracker, sources, work):
    total, part_size = workload.size(arguments.size), workload.parts_of(arguments.size)
    told = {"size": total, "part_size": part_size, "getters": workload.getters, "programs": []}
    need = (workload.getters if workload.what == "get" else 0) * total + (0 if total in sources else total)
    if lack := session.lack_of_room(work, need):
        told["skipped"] = lack
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

    def once(program, round_number):
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
            return measure(program, workload, run)
        except Trouble:
            empty(run)
            raise

    entries = session.play(arguments, workload.name, able, once, arguments.patience)
    return {**told, "programs": entries}


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


if __name__ == "__main__":
    sys.exit(main())
