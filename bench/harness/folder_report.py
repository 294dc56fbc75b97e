"""Numbers of folders to Markdown."""

from harness.folder_workloads import SMALL_FILE, WORKLOADS
from harness.programs import FLOOR, OURS
from harness.report import head, largest, median, named, number, percent, ratio, remarks, size_text, spread, table_head
from harness.workloads import MIB

# Those that have a column in the first table; variants stand in the other tables.
COLUMNS = ("ensemble", "Syncthing", "rsync", "Unison", "cp")
OUR_NAME, COMPARED = COLUMNS[0], ("Syncthing", "rsync")


def markdown(documents):
    """All that is told by one or several result files; of a workload that is in several, the last counts."""
    lines = head(documents, "# Folders", "folders.py")
    measured = {name: workload for document in documents for name, workload in document["workloads"].items()}
    skipped = {name: workload["skipped"] for name, workload in measured.items() if workload.get("skipped")}
    lines += [f"- **skipped**: `{name}` ({why})" for name, why in skipped.items()]
    measured = {name: measured[name] for name in WORKLOADS if name in measured and name not in skipped}
    lines += ["", "## Seconds until the change is there", "", *_overview(measured)]
    for name, workload in measured.items():
        lines += ["", f"## `{name}`: {WORKLOADS[name].title}", "", f"{_described(workload)}.", "", *_table(workload)]
    return "\n".join(lines) + "\n"


def _overview(measured):
    columns = [
        ("workload", lambda name, _: WORKLOADS[name].title),
        *((column, lambda _, walls, column=column: number(walls.get(column))) for column in COLUMNS),
        *((f"ours ÷ {rival}", lambda _, walls, rival=rival: ratio(walls.get(OUR_NAME), walls.get(rival))) for rival in COMPARED),
    ]
    lines = table_head(columns, columns[0][0])
    for name, workload in measured.items():
        if name == "nothing":
            continue
        walls = {entry["name"]: median(entry, "wall_s") for entry in workload["programs"]}
        lines.append("| " + " | ".join(cell(name, walls) for _, cell in columns) + " |")
    return lines


def _described(workload):
    what = [size_text(workload["size"])]
    if workload["files"]:
        what = [f"{workload['files']} files of {size_text(SMALL_FILE)}"]
    if workload["idle_s"]:
        what.append(f"watched for {workload['idle_s']:g} s")
    return ", ".join([*what, f"{1 + workload['others']} folders"])


def _table(workload):
    entries = [entry for entry in workload["programs"] if entry["runs"]]
    walls = {entry["name"]: median(entry, "wall_s") for entry in entries}
    columns = [
        ("program", lambda entry: f"**{entry['name']}**" if entry["kind"] == OURS else named(entry)),
        ("runs", lambda entry: str(len(entry["runs"]))),
        ("wall s: median (min … max)", lambda entry: spread(entry, "wall_s")),
        *((f"× {rival}", lambda entry, rival=rival: ratio(median(entry, "wall_s"), walls.get(rival))) for rival in COMPARED),
        ("on disk s", lambda entry: number(median(entry, "synced_s"))),
        ("syncs", lambda entry: "yes" if entry["syncs"] else "no"),
        ("MiB over loopback", lambda entry: number(median(entry, "wire_bytes"), 1 / MIB, 3)),
        ("CPU s", lambda entry: number(median(entry, "cpu_s"))),
        ("other load", lambda entry: percent(largest(entry, "other_load"))),
    ]
    in_order = sorted(entries, key=lambda entry: (entry["kind"] == FLOOR, walls[entry["name"]]))
    rows = ["| " + " | ".join(cell(entry) for _, cell in columns) + " |" for entry in in_order]
    return [*table_head(columns), *rows, *remarks(workload)]
