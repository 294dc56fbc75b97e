"""Measures how soon a change in one folder is in the others, side by side; see README.md beside this file."""

import argparse
import sys
import time
from pathlib import Path

from harness import session
from harness.folder_programs import APT, Scene, all_contenders
from harness.folder_report import markdown
from harness.folder_workloads import SMALL_FILE, WORKLOADS, ManyFiles, Material, Nothing, empty, measure
from harness.install import install_apt
from harness.programs import OURS, short_version
from harness.session import REPOSITORY, tell
from harness.workloads import MIB


def parse(argv):
    parser = argparse.ArgumentParser(description=__doc__)
    session.add_arguments(parser, runs=3, deadline=300, out="FOLDERS.md")
    parser.add_argument("--only", action="append", default=[], choices=WORKLOADS, metavar="WORKLOAD", help=f"of {', '.join(WORKLOADS)} [default: all]")
    parser.add_argument("--contenders", metavar="A,B", help="only these: full names, or a first word such as rsync for all of its variants [default: all]")
    parser.add_argument("--size", type=session.size_from(MIB), default=1 << 30, help="of the large files [default: 1G]")
    parser.add_argument("--files", type=int, default=10_000, help="how many small files [default: 10000]")
    parser.add_argument("--idle", type=float, default=60, metavar="S", help="how long nothing happens in `nothing` [default: 60]")
    parser.add_argument("--ensemble", type=Path, default=REPOSITORY / "target/release/ensemble", help="ours [default: target/release/ensemble]")
    parser.add_argument("--install", action="store_true", help=f"get {', '.join(APT)} from apt first")
    arguments = parser.parse_args(argv)
    for name in ("runs", "files"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name}: at least 1")
    return arguments


def main():
    arguments = parse(sys.argv[1:])
    if arguments.render:
        return session.render(arguments, markdown)
    code = session.enter(lambda: arguments.install and install_apt(APT))
    if code is not None:
        return code
    contenders, skipped = all_contenders(arguments.ensemble.absolute(), arguments.tools.absolute())
    for name, why in skipped.items():
        tell(f"SKIPPED: {name}: {why}")
    if not any(contender.kind == OURS for contender in contenders):
        tell("SKIPPED: ours is not there, so only the others are measured")
    contenders = [contender for contender in contenders if wanted(contender, arguments)]
    for contender in contenders:
        tell(f"{contender.name}: {short_version(contender)}")
    if arguments.list:
        return 0
    if not contenders:
        tell("nobody is left to be measured")
        return 1
    return session.exit_code(session.in_work_folder(arguments, lambda work: run_all(arguments, contenders, skipped, work)))


def wanted(contender, arguments):
    if arguments.contenders is None:
        return True
    names = arguments.contenders.lower().split(",")
    return contender.name.lower() in names or contender.name.lower().replace(",", "").split()[0] in names


def run_all(arguments, contenders, skipped, work):
    document = {**session.heading(contenders, skipped, work), "workloads": {}}
    material = Material(work, arguments.size, arguments.files, arguments.idle)
    for name in arguments.only or WORKLOADS:
        document["workloads"][name] = run_workload(arguments, WORKLOADS[name], contenders, material)
        # After each workload, so that an interrupted evening is not lost.
        session.write(arguments, document, markdown, prefix="folders-")
    return document


def run_workload(arguments, workload, contenders, material):
    has_many = workload.change is ManyFiles
    told = {
        "size": material.size,
        "files": material.files if has_many else None,
        "idle_s": material.idle_s if workload.change is Nothing else None,
        "others": workload.others,
        "programs": [],
    }
    able = [contender for contender in contenders if contender.can(workload.name, workload.change.needs_watching)]
    # Two sources, and for each folder what was, what is, and what is on its way; small files stay until the end.
    each = material.files * SMALL_FILE * arguments.runs * len(able) if has_many else 3 * material.size
    if lack := session.lack_of_room(material.work, 2 * material.size + (1 + workload.others) * each):
        tell(f"SKIPPED: {workload.name}: {lack}")
        return {**told, "skipped": lack}
    folder = material.work / workload.name
    folder.mkdir()

    def once(contender, round_number):
        name = contender.name.replace(" ", "-").replace(",", "")
        scene = Scene(folder / f"{round_number}-{name}", time.monotonic() + arguments.deadline, workload.others)
        scene.directory.mkdir()
        try:
            return measure(contender, workload, scene, material)
        finally:
            empty(scene, material)

    entries = session.play(arguments, workload.name, able, once, arguments.patience + (told["idle_s"] or 0))
    syncs = {contender.name: contender.syncs for contender in able}
    return {**told, "programs": [{**entry, "syncs": syncs[entry["name"]]} for entry in entries]}


if __name__ == "__main__":
    sys.exit(main())
