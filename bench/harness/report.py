"""Numbers to Markdown."""

import statistics

from harness.programs import FLOOR, OURS, RIVAL
from harness.workloads import GIB, MIB, WORKLOADS

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
    for name in WORKLOADS:
        for document in documents:
            if name in document["workloads"]:
                lines += ["", *_table(WORKLOADS[name], document["workloads"][name])]
    return "\n".join(lines) + "\n"


def _table(workload, measured):
    programs = [entry for entry in measured["programs"] if entry["runs"]]
    size, part = measured["size"], measured["part_size"]
    best = min((_median(entry, "wall_s") for entry in programs if entry["kind"] == RIVAL), default=None)
    best_synced = min((_median(entry, "synced_s") for entry in programs if entry["kind"] == RIVAL and _median(entry, "synced_s")), default=None)
    columns = [("program", lambda entry: f"**{entry['name']}**" if entry["kind"] == OURS else _named(entry))]
    columns += [
        ("runs", lambda entry: str(len(entry["runs"]))),
        ("wall s: median (min … max)", lambda entry: _spread(entry, "wall_s")),
        ("× fastest rival", lambda entry: _ratio(_median(entry, "wall_s"), best)),
    ]
    if workload.what == "get":
        columns += [
            ("on disk s", lambda entry: _number(_median(entry, "synced_s"))),
            ("× fastest rival", lambda entry: _ratio(_median(entry, "synced_s"), best_synced)),
            ("first byte ms", lambda entry: _number(_median(entry, "first_byte_s"), 1000)),
            ("CPU s get", lambda entry: _number(_median(entry, "get_cpu_s"))),
            ("CPU s give", lambda entry: _number(_median(entry, "give_cpu_s"))),
        ]
    moved = size * workload.getters
    columns += [
        ("CPU s/GiB", lambda entry: _number(_median(entry, "cpu_s"), GIB / moved)),
    ]
    if workload.what == "get":
        columns += [
            ("peak MiB get", lambda entry: _number(_largest(entry, "peak_get_kib"), 1 / 1024, 0)),
            ("peak MiB give", lambda entry: _number(_largest(entry, "peak_give_kib"), 1 / 1024, 0)),
            ("on the wire ÷ got", lambda entry: _number(_median(entry, "wire_bytes"), 1 / moved, 3)),
            ("giver sent ÷ file", lambda entry: _number(_median(entry, "sent_bytes"), 1 / size, 3)),
        ]
    else:
        columns += [
            ("GB/s", lambda entry: _number(size / 1e9 / _median(entry, "wall_s"))),
            ("peak MiB", lambda entry: _number(_largest(entry, "peak_get_kib"), 1 / 1024, 0)),
        ]
    columns += [("other load", lambda entry: percent(_largest(entry, "other_load")))]

    lines = [f"## `{workload.name}`: {workload.title}", "", f"{_size(size)}, parts of {_size(part)}.", ""]
    lines.append("| " + " | ".join(title for title, _ in columns) + " |")
    lines.append("|---" + "|---:" * (len(columns) - 1) + "|")
    for entry in sorted(programs, key=lambda entry: (entry["kind"] == FLOOR, _median(entry, "wall_s"))):
        lines.append("| " + " | ".join(cell(entry) for _, cell in columns) + " |")
    for entry in measured["programs"]:
        for text in entry["troubles"]:
            lines += ["", f"**{entry['name']} failed**: {text}"]
        if entry.get("given_up"):
            lines += ["", f"{entry['name']} was not run again: {entry['given_up']}."]
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
