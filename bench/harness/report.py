"""Numbers to Markdown."""

import statistics
from dataclasses import dataclass

from harness.programs import FLOOR, OURS, RIVAL
from harness.workloads import CURVES, GIB, MIB, WORKLOADS

NOTHING = "–"


def markdown(documents):
    """All that is told by one or several result files, in the order of the workloads."""
    lines = head(documents, "# Results", "run.py")
    for document in documents:
        for name, measured in document["workloads"].items():
            if measured.get("skipped"):
                lines += [f"- **skipped**: `{name}` ({measured['skipped']})"]
    for name in WORKLOADS:
        for document in documents:
            if measured := _measured(document, [WORKLOADS[name]]):
                lines += ["", *_table(WORKLOADS[name], measured[0])]
    for name, points in CURVES.items():
        for document in documents:
            if measured := _measured(document, points):
                lines += ["", *_curve(name, points[0], measured)]
    return "\n".join(lines) + "\n"


def head(documents, title, script):
    """Where and with what the numbers were made."""
    first = documents[0]
    machine = first["machine"]
    sha = "with" if machine["sha_extensions"] else "without"
    lines = [
        title,
        "",
        f"Made by `bench/{script}`; [README.md](README.md) says how to read it. Only ratios within one table count.",
        "",
        f"- machine: {machine['cpu']}, {machine['cores']} cores, {sha} SHA extensions, {machine['memory_gib']} GiB memory, "
        f"Linux {machine['kernel']}, files on {machine['file_system']}",
    ]
    for document in documents:
        lines.append(f"- {document['date']}, revision {document['revision']}: `{document['command']}`")
    versions = {name: text for document in documents for name, text in document["versions"].items()}
    lines += ["- programs: " + "; ".join(f"{name}: {text}" for name, text in versions.items())]
    skipped = {name: why for document in documents for name, why in document["skipped"].items()}
    if skipped:
        lines += ["- **skipped**: " + "; ".join(f"{name} ({why})" for name, why in skipped.items())]
    return lines


def _measured(document, workloads):
    found = [document["workloads"][workload.name] for workload in workloads if workload.name in document["workloads"]]
    return [measured for measured in found if not measured.get("skipped")]


def _table(workload, measured):
    size, part = measured["size"], measured["part_size"]
    lines = [f"## `{workload.name}`: {workload.title}", "", f"{size_text(size)}, parts of {size_text(part)}.", ""]
    columns = _columns(workload.what)
    lines += table_head(columns)
    lines += _rows(columns, workload.getters, measured)
    return [*lines, *remarks(measured)]


def _curve(name, workload, points):
    """One table of several workloads, each of which is a point."""
    columns = [
        ("file", lambda _, point: size_text(point.size)),
        ("parts", lambda _, point: f"{-(-point.size // point.part_size)} of {size_text(point.part_size)}"),
        ("getting", lambda _, point: str(point.getters)),
        *_columns(workload.what),
    ]
    lines = [f"## `{name}`: {workload.title}", "", *table_head(columns)]
    for measured in points:
        lines += _rows(columns, measured["getters"], measured)
    for measured in points:
        lines += remarks(measured, f"{size_text(measured['size'])}, {measured['getters']} getting: ")
    return lines


@dataclass(frozen=True)
class Point:
    """What the cells of one workload have in common."""

    size: int
    part_size: int
    getters: int
    best: float | None
    best_synced: float | None

    @property
    def moved(self):
        return self.size * self.getters


def _columns(what):
    """Titles, and what makes a cell of the numbers of one program."""
    columns = [
        ("program", lambda entry, _: f"**{entry['name']}**" if entry["kind"] == OURS else named(entry)),
        ("runs", lambda entry, _: str(len(entry["runs"]))),
        ("wall s: median (min … max)", lambda entry, _: spread(entry, "wall_s")),
        ("× fastest rival", lambda entry, point: ratio(median(entry, "wall_s"), point.best)),
    ]
    if what == "get":
        columns += [
            ("on disk s", lambda entry, _: number(median(entry, "synced_s"))),
            ("× fastest rival", lambda entry, point: ratio(median(entry, "synced_s"), point.best_synced)),
            ("first byte ms", lambda entry, _: number(median(entry, "first_byte_s"), 1000)),
            ("CPU s get", lambda entry, _: number(median(entry, "get_cpu_s"))),
            ("CPU s give", lambda entry, _: number(median(entry, "give_cpu_s"))),
        ]
    columns += [
        ("CPU s/GiB", lambda entry, point: number(median(entry, "cpu_s"), GIB / point.moved)),
    ]
    if what == "get":
        columns += [
            ("peak MiB get", lambda entry, _: number(largest(entry, "peak_get_kib"), 1 / 1024, 0)),
            ("peak MiB give", lambda entry, _: number(largest(entry, "peak_give_kib"), 1 / 1024, 0)),
            ("on the wire ÷ got", lambda entry, point: number(median(entry, "wire_bytes"), 1 / point.moved, 3)),
            ("giver sent ÷ file", lambda entry, point: number(median(entry, "sent_bytes"), 1 / point.size, 3)),
        ]
    else:
        columns += [
            ("GB/s", lambda entry, point: number(point.size / 1e9 / median(entry, "wall_s"))),
            ("peak MiB", lambda entry, _: number(largest(entry, "peak_get_kib"), 1 / 1024, 0)),
        ]
    return [*columns, ("other load", lambda entry, _: percent(largest(entry, "other_load")))]


def table_head(columns, left_one="program"):
    left = next(index for index, (title, _) in enumerate(columns) if title == left_one)
    rules = ["---" if index == left else "---:" for index in range(len(columns))]
    return ["| " + " | ".join(title for title, _ in columns) + " |", "|" + "|".join(rules) + "|"]


def _rows(columns, getters, measured):
    programs = [entry for entry in measured["programs"] if entry["runs"]]
    rivals = [entry for entry in programs if entry["kind"] == RIVAL]
    point = Point(
        size=measured["size"],
        part_size=measured["part_size"],
        getters=getters,
        best=min((median(entry, "wall_s") for entry in rivals), default=None),
        best_synced=min((synced for entry in rivals if (synced := median(entry, "synced_s"))), default=None),
    )
    in_order = sorted(programs, key=lambda entry: (entry["kind"] == FLOOR, median(entry, "wall_s")))
    return ["| " + " | ".join(cell(entry, point) for _, cell in columns) + " |" for entry in in_order]


def remarks(measured, where=""):
    lines = []
    for entry in measured["programs"]:
        for text in entry["troubles"]:
            lines += ["", f"{where}**{entry['name']} failed**: {text}"]
        if entry.get("given_up"):
            lines += ["", f"{where}{entry['name']} was not run again: {entry['given_up']}."]
    return lines


def named(entry):
    return f"{entry['name']} (floor)" if entry["kind"] == FLOOR else entry["name"]


def cpu_of(run):
    """CPU seconds of all processes of a program; transfers tell them for getters and givers apart."""
    return run["cpu_s"] if "cpu_s" in run else run["get_cpu_s"] + run["give_cpu_s"]


def _values(entry, key):
    if key == "cpu_s":
        return [cpu_of(run) for run in entry["runs"]]
    return [run[key] for run in entry["runs"] if run.get(key) is not None]


def median(entry, key):
    values = _values(entry, key)
    return statistics.median(values) if values else None


def largest(entry, key):
    return max(_values(entry, key), default=None)


def spread(entry, key):
    values = _values(entry, key)
    return f"{number(statistics.median(values))} ({number(min(values))} … {number(max(values))})"


def ratio(value, base):
    return f"{value / base:.2f}" if value and base else NOTHING


def number(value, factor=1.0, digits=None):
    if value is None:
        return NOTHING
    value *= factor
    if digits is None:
        digits = 3 if value < 1 else 2 if value < 100 else 0
    return f"{value:.{digits}f}"


def percent(share):
    return NOTHING if share is None else f"{100 * share:.0f} %"


def size_text(count):
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:g} {name}"
    return f"{count} bytes"
