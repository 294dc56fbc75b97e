"""The workloads, and how one run of one program becomes numbers."""

import contextlib
import os
import time
from dataclasses import dataclass
from fractions import Fraction

from harness.meter import OtherLoad, Trouble, is_done, is_ready, loopback_bytes, touch_memory, touch_page_cache, wait, warm
from harness.torrent import NAME, sha1_of

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

# Buffers of the programs, beside the files that they write.
BUFFERS = 512 * MIB

PARTS_DEFAULT_MAX = 2048


def default_part_size(total):
    """As composer cuts a file when nobody asks for a part size."""
    size = 16 * KIB
    while size < 16 * MIB and total > PARTS_DEFAULT_MAX * size:
        size *= 2
    return size


@dataclass(frozen=True)
class Workload:
    name: str
    title: str
    what: str
    # In units of `--size`; None for what has a size of its own.
    times: int | Fraction | None = 1
    # None: as composer cuts a file of that size.
    part_size: int | None = MIB
    getters: int = 1
    # The table that it is a row of.
    curve: str | None = None

    def size(self, base):
        return MIB if self.times is None else int(self.times * base)

    def parts_of(self, base):
        return self.part_size or default_part_size(self.size(base))


WORKLOADS = {
    workload.name: workload
    for workload in (
        Workload("1to1", "One gets from one", "get"),
        Workload("1to4", "Four get from one, and from one another", "get", getters=4),
        Workload("parts256k", "One gets from one, parts of 256 KiB", "get", part_size=256 * KIB),
        Workload("parts16k", "One gets from one, parts of 16 KiB", "get", part_size=16 * KIB),
        Workload("small", "One gets a file of 1 MiB from one", "get", times=None, part_size=16 * KIB),
        Workload("recheck", "A complete file is verified again", "check"),
        Workload("compose", "The description of a file is made", "compose", times=4),
    )
}


# Rows of one table each. They take hours and tens of gigabytes, so they are run when they are named.
CURVES = {
    "sizes": [
        Workload(f"sizes-{index}", "One gets from one, by the size of the file", "get", times, None, curve="sizes")
        for index, times in enumerate((Fraction(1, 1024), Fraction(1, 64), Fraction(1, 4), 1, 4, 16))
    ],
    # 2^20 parts where `--size` is 1 GiB: the most that there may be.
    "manifest": [Workload("manifest", "One gets from one, as many parts as there may be", "get", 16, 16 * KIB, curve="manifest")],
    # A quarter: with sixteen of them, what is received must find room beside what is sent.
    "members": [
        Workload(f"members-{getters}", "Several get at once", "get", Fraction(1, 4), getters=getters, curve="members")
        for getters in (1, 2, 4, 8, 16)
    ],
}
ALL_CURVES = "curves"


def named(names):
    """The workloads of these names, of all curves where it is said so; without names, those that are no curve."""
    names = [name for word in names or WORKLOADS for name in (CURVES if word == ALL_CURVES else [word])]
    return [workload for name in dict.fromkeys(names) for workload in CURVES.get(name) or [WORKLOADS[name]]]


def measure(program, workload, run):
    """One run; what it returns goes to the JSON as it is."""
    # The givers hold links to it.
    with unchanged(program, [run.source]), contextlib.ExitStack() as ends:
        return _transfer(program, run, ends) if workload.what == "get" else _alone(program, workload, run, ends)


@contextlib.contextmanager
def unchanged(program, sources):
    """Sees that a program did not write to a source, which would spoil all later runs."""
    before = [os.stat(source.path) for source in sources]
    yield
    for source, given in zip(sources, before):
        now = os.stat(source.path)
        is_touched = (now.st_size, now.st_mtime_ns) != (given.st_size, given.st_mtime_ns)
        # rqbit sets the size that the file has already.
        if is_touched and sha1_of(source.path) != source.sha1:
            raise Trouble(f"{program.name} changed the source; what follows would be worth nothing")


def _transfer(program, run, ends):
    givers = program.share(run)
    for giver in givers:
        ends.callback(giver.stop)
    prepared = [program.prepare(run, 1 + index) for index in range(run.getters)]
    for process in filter(None, prepared):
        ends.callback(process.stop)
    wait(list(filter(None, prepared)), is_ready, run.deadline, "ready", beside=givers)
    settle([run.source.path], run.source.directory / "touched", run.getters * run.source.size)

    before = [giver.cpu() for giver in givers]
    bytes_before, load, begin = loopback_bytes(), OtherLoad(), time.monotonic()
    getters = []
    for index, process in enumerate(prepared):
        if process:
            process.go()
        else:
            process = program.get(run, 1 + index)
            ends.callback(process.stop)
        getters.append(process)
    wait(getters, is_done, run.deadline, "complete", beside=givers)
    # Whoever says that the file is complete must not be writing it any more: others read it from here on.
    for getter in getters:
        getter.freeze()
    wire = loopback_bytes() - bytes_before
    give_cpu = sum(giver.cpu() - was for giver, was in zip(givers, before))
    get_cpu = sum(getter.cpu() - getter.base_cpu for getter in getters)
    other = load.share(give_cpu + get_cpu)
    peaks(getters + givers)
    paths = [run.got(1 + index) / NAME for index in range(run.getters)]
    sync = _sync(paths)
    for path in paths:
        _verify(program, run, path)

    for process in getters + givers:
        process.stop()
    told = [program.facts(getter) for getter in getters]
    ends_at = [getter.done_at - fact.get("before_sync_s", 0) for getter, fact in zip(getters, told)]
    result = {
        "wall_s": max(ends_at) - begin,
        "synced_s": max(getter.done_at for getter in getters) - begin + sync,
        "each_s": [end - begin for end in ends_at],
        "get_cpu_s": get_cpu,
        "give_cpu_s": give_cpu,
        "peak_get_kib": max((getter.peak_kib or 0 for getter in getters)) or None,
        "peak_give_kib": givers[0].peak_kib if givers else None,
        "wire_bytes": wire,
        "sent_bytes": program.facts(givers[0]).get("sent_bytes") if givers else None,
        "first_byte_s": _slowest(told, "first_byte_s"),
        "flush_s": _slowest(told, "flush_s"),
        "other_load": other,
    }
    for path in paths:
        # Emptied, not deleted: deleting many files slows down making new ones on ext4; all of it goes at the end.
        os.truncate(path, 0)
    return result


def _slowest(told, name):
    return max((facts[name] for facts in told if facts.get(name) is not None), default=None)


def _alone(program, workload, run, ends):
    beside = getattr(program, "beside_" + workload.what, lambda _: [])(run)
    for process in beside:
        ends.callback(process.stop)
    start = getattr(program, workload.what)
    settle([run.source.path], run.source.directory / "touched", 0)
    load, begin = OtherLoad(), time.monotonic()
    process = start(run)
    ends.callback(process.stop)
    if process.staged:
        wait([process], is_ready, run.deadline, "ready")
        load = OtherLoad()
        process.go()
        begin = process.started_at
    wait([process], is_done, run.deadline, "done", beside=beside)
    cpu = process.cpu() - process.base_cpu
    other = load.share(cpu)
    peaks([process])
    return {
        "wall_s": process.done_at - begin,
        "get_cpu_s": cpu,
        "give_cpu_s": 0.0,
        "peak_get_kib": process.peak_kib,
        "other_load": other,
    }


def settle(paths, scratch, dirtied):
    """What is read stands in the page cache, and memory is at hand that the host took back since the run before.

    `scratch` is a file that stays, empty; the run will write `dirtied` bytes.
    """
    for path in paths:
        warm(path)
    with open("/proc/meminfo", encoding="ascii") as file:
        free = next(int(line.split()[1]) for line in file if line.startswith("MemFree")) * KIB
    # More than what is free would push the files out of the page cache again, and what is not free has been touched.
    size = min(dirtied + BUFFERS, int(free * 0.9))
    touch_memory(size)
    touch_page_cache(scratch, size)


def peaks(processes):
    for process in processes:
        if process.usage is None:
            process.note_peak()


def _sync(paths):
    begin = time.monotonic()
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    return time.monotonic() - begin


def _verify(program, run, path):
    if path.stat().st_size != run.source.size or sha1_of(path) != run.source.sha1:
        raise Trouble(f"{program.name} said that it was complete, but {path} was not the file that was shared")
