"""Numbers to Markdown."""

import statistics
from dataclasses import dataclass

from harness.programs import FLOOR, OURS, RIVAL
from harness.workloads import CURVES, GIB, MIB, WORKLOADS

NOTHING = "–"


def markdown(documents):
    """All that is told by one or several result files, in the order of the workloads."""
    first = documents[0]
    machine = first["machine"]
    sha = "with" if machine["sha_extensions"] else "without"
    lines = [
        "# Results",
        "",
        "Made by `bench/run.py`; [README.md](README.md) says how to read it. Only ratios within one table count.",
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


def _measured(document, workloads):
    found = [document["workloads"][workload.name] for workload in workloads if workload.name in document["workloads"]]
    return [measured for measured in found if not measured.get("skipped")]


def _table(workload, measured):
    size, part = measured["size"], measured["part_size"]
    lines = [f"## `{workload.name}`: {workload.title}", "", f"{_size(size)}, parts of {_size(part)}.", ""]
    columns = _columns(workload.what)
    lines += _head(columns)
    lines += _rows(columns, workload.getters, measured)
    return [*lines, *_remarks(measured)]


def _curve(name, workload, points):
    """One table of several workloads, each of which is a point."""
    columns = [
        ("file", lambda _, point: _size(point.size)),
        ("parts", lambda _, point: f"{-(-point.size // point.part_size)} of {_size(point.part_size)}"),
        ("getting", lambda _, point: str(point.getters)),
        *_columns(workload.what),
    ]
    lines = [f"## `{name}`: {workload.title}", "", *_head(columns)]
    for measured in points:
        lines += _rows(columns, measured["getters"], measured)
    for measured in points:
        lines += _remarks(measured, f"{_size(measured['size'])}, {measured['getters']} getting: ")
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
        ("program", lambda entry, _: f"**{entry['name']}**" if entry["kind"] == OURS else _named(entry)),
        ("runs", lambda entry, _: str(len(entry["runs"]))),
        ("wall s: median (min … max)", lambda entry, _: _spread(entry, "wall_s")),
        ("× fastest rival", lambda entry, point: _ratio(_median(entry, "wall_s"), point.best)),
    ]
    if what == "get":
        columns += [
            ("on disk s", lambda entry, _: _number(_median(entry, "synced_s"))),
            ("× fastest rival", lambda entry, point: _ratio(_median(entry, "synced_s"), point.best_synced)),
            ("first byte ms", lambda entry, _: _number(_median(entry, "first_byte_s"), 1000)),
            ("CPU s get", lambda entry, _: _number(_median(entry, "get_cpu_s"))),
            ("CPU s give", lambda entry, _: _number(_median(entry, "give_cpu_s"))),
        ]
    columns += [
        ("CPU s/GiB", lambda entry, point: _number(_median(entry, "cpu_s"), GIB / point.moved)),
    ]
    if what == "get":
        columns += [
            ("peak MiB get", lambda entry, _: _number(_largest(entry, "peak_get_kib"), 1 / 1024, 0)),
            ("peak MiB give", lambda entry, _: _number(_largest(entry, "peak_give_kib"), 1 / 1024, 0)),
            ("on the wire ÷ got", lambda entry, point: _number(_median(entry, "wire_bytes"), 1 / point.moved, 3)),
            ("giver sent ÷ file", lambda entry, point: _number(_median(entry, "sent_bytes"), 1 / point.size, 3)),
        ]
    else:
        columns += [
            ("GB/s", lambda entry, point: _number(point.size / 1e9 / _median(entry, "wall_s"))),
            ("peak MiB", lambda entry, _: _number(_largest(entry, "peak_get_kib"), 1 / 1024, 0)),
        ]
    return [*columns, ("other load", lambda entry, _: percent(_largest(entry, "other_load")))]


def _head(columns):
    left = next(index for index, (title, _) in enumerate(columns) if title == "program")
    rules = ["---" if index == left else "---:" for index in range(len(columns))]
    return ["| " + " | ".join(title for title, _ in columns) + " |", "|" + "|".join(rules) + "|"]


def _rows(columns, getters, measured):
    programs = [entry for entry in measured["programs"] if entry["runs"]]
    rivals = [entry for entry in programs if entry["kind"] == RIVAL]
    point = Point(
        size=measured["size"],
        part_size=measured["part_size"],
        getters=getters,
        best=min((_median(entry, "wall_s") for entry in rivals), default=None),
        best_synced=min((synced for entry in rivals if (synced := _median(entry, "synced_s"))), default=None),
    )
    in_order = sorted(programs, key=lambda entry: (entry["kind"] == FLOOR, _median(entry, "wall_s")))
    return ["| " + " | ".join(cell(entry, point) for _, cell in columns) + " |" for entry in in_order]


def _remarks(measured, where=""):
    lines = []
    for entry in measured["programs"]:
        for text in entry["troubles"]:
            lines += ["", f"{where}**{entry['name']} failed**: {text}"]
        if entry.get("given_up"):
            lines += ["", f"{where}{entry['name']} was not run again: {entry['given_up']}."]
    return lines


def _named(entry):
    return f"{entry['name']} (floor)" if entry["kind"] == FLOOR else entry["name"]


def _values(entry, key):
    if key == "cpu_s":
        return [run["get_cpu_s"] + run["give_cpu_s"] for run in entry["runs"]]
    return [run[key] for run in entry["runs"] if run.get(key) is not None]


def _median(entry, key):
    values = _values(entry, key)
    return statistics.median(values) if values else None


def _largest(entry, key):
    return max(_values(entry, key), default=None)


def _spread(entry, key):
    values = _values(entry, key)
    return f"{_number(statistics.median(values))} ({_number(min(values))} … {_number(max(values))})"


def _ratio(value, base):
    return f"{value / base:.2f}" if value and base else NOTHING


def _number(value, factor=1.0, digits=None):
    if value is None:
        return NOTHING
    value *= factor
    if digits is None:
        digits = 3 if value < 1 else 2 if value < 100 else 0
    return f"{value:.{digits}f}"


def percent(share):
    return NOTHING if share is None else f"{100 * share:.0f} %"


def _size(count):
    for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:g} {name}"
    return f"{count} bytes"
