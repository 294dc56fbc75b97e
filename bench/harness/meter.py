"""What the kernel tells: time, CPU, memory and bytes of processes that this harness started.

Knows nothing of who is measured or why.
"""

import contextlib
import os
import platform
import select
import selectors
import signal
import subprocess
import sys
import time

TICK = 1 / os.sysconf("SC_CLK_TCK")

# How often the peak memory of a process that ends by itself is read: the kernel forgets it at the exit.
PEAK_INTERVAL = 0.02

# How long a process may take to leave after it was asked to.
LEAVE_GRACE = 8.0


class Trouble(Exception):
    """A run that did not work; the text says which program, and where its output is."""


class Process:
    """A child process, with the time of each line that it wrote.

    `said(line)` decides whether a line means "done"; without it, done is a successful exit.
    A `staged` process prepares itself, says `ready`, and begins when it reads a line: its clock starts there.
    """

    def __init__(self, name, args, log, said=None, staged=False, env=None, merge=False, cwd=None):
        self.name, self.said, self.staged = name, said, staged
        self.log = log
        self.lines = []
        self.ready_at = self.done_at = self.ended_at = None
        self.status = self.usage = None
        self.peak_kib = None
        self._rest = b""
        with open(log, "wb") as errors:
            self.started_at = time.monotonic()
            self._child = subprocess.Popen(
                [str(arg) for arg in args],
                stdin=subprocess.PIPE if staged else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merge else errors,
                env={**os.environ, **(env or {})},
                cwd=cwd,
                start_new_session=True,
            )
        self.pid = self._child.pid
        self.out = self._child.stdout
        os.set_blocking(self.out.fileno(), False)
        self.pidfd = os.pidfd_open(self.pid)
        self.base_cpu = 0.0

    def go(self):
        """Starts the clock of a staged process; what it has used up to here does not count."""
        self.base_cpu = self.cpu()
        self.started_at = time.monotonic()
        self._child.stdin.write(b"go\n")
        self._child.stdin.flush()

    def read(self):
        """Takes the lines that are there; False at the end of the output."""
        now = time.monotonic()
        try:
            data = os.read(self.out.fileno(), 1 << 16)
        except BlockingIOError:
            return True
        # Some clients draw their state over the same line.
        *lines, self._rest = (self._rest + data.replace(b"\r", b"\n")).split(b"\n")
        if not data and self._rest:
            lines.append(self._rest)
            self._rest = b""
        for line in (raw.decode("utf-8", "replace") for raw in lines):
            self.lines.append((now, line))
            if self.ready_at is None and line.startswith("ready"):
                self.ready_at = now
            if self.done_at is None and self.said and self.said(line):
                self.done_at = now
        return bool(data)

    def collect(self):
        """Takes the exit of a process that has ended, with all that it used."""
        if self.usage is not None:
            return
        now = time.monotonic()
        _, self.status, self.usage = os.wait4(self.pid, 0)
        # Popen must not wait for it a second time, nor warn about it.
        self._child.returncode = os.waitstatus_to_exitcode(self.status)
        self.ended_at = now
        if self.said is None and self._child.returncode == 0:
            self.done_at = now

    @property
    def code(self):
        """How it ended, as a shell would say it; negative for a signal."""
        return self._child.returncode

    def cpu(self):
        """CPU seconds since the process began, all threads and ended children."""
        if self.usage is not None:
            return self.usage.ru_utime + self.usage.ru_stime
        # The name in parentheses may hold blanks; the fields begin behind it.
        fields = read_text(f"/proc/{self.pid}/stat").rpartition(")")[2].split()
        return sum(int(field) for field in fields[11:15]) * TICK

    def session_cpu(self):
        """As `cpu`, with the helpers that it started and that still run: the process leads a session of its own."""
        if self.usage is not None:
            return self.cpu()
        ticks = 0
        for name in filter(str.isdigit, os.listdir("/proc")):
            # Others come and go meanwhile.
            with contextlib.suppress(OSError):
                fields = read_text(f"/proc/{name}/stat").rpartition(")")[2].split()
                if int(fields[3]) == self.pid:
                    ticks += sum(int(field) for field in fields[11:15])
        return ticks * TICK

    def has_ended(self):
        """Takes its output and its exit, if they are there; never waits."""
        while self.read_more():
            pass
        if self.usage is None and select.select([self.pidfd], [], [], 0)[0]:
            self.collect()
        return self.usage is not None

    def note_peak(self):
        """Reads the highest resident memory so far; of an ended process, the last that was seen."""
        with contextlib.suppress(OSError, ValueError):
            for line in read_text(f"/proc/{self.pid}/status").splitlines():
                if line.startswith("VmHWM:"):
                    self.peak_kib = int(line.split()[1])

    def signal_group(self, number):
        """The process leads a session of its own, so the group holds it and its helpers only."""
        if self.usage is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def freeze(self):
        """Stops it where it stands, until it is asked to leave."""
        self.signal_group(signal.SIGSTOP)

    def stop(self):
        """Asks it to leave, then makes it; its last words are kept. Does nothing the second time."""
        if self.pidfd is None:
            return
        if self.usage is None:
            self.signal_group(signal.SIGTERM)
            self.signal_group(signal.SIGCONT)
            self._await_exit(time.monotonic() + LEAVE_GRACE)
            self.signal_group(signal.SIGKILL)
            self.collect()
        while self.read_more():
            pass
        self.out.close()
        if self._child.stdin:
            self._child.stdin.close()
        os.close(self.pidfd)
        self.pidfd = None

    def _await_exit(self, deadline):
        with selectors.DefaultSelector() as selector:
            selector.register(self.pidfd, selectors.EVENT_READ, "exit")
            selector.register(self.out, selectors.EVENT_READ, "out")
            while (left := deadline - time.monotonic()) > 0:
                what = {key.data for key, _ in selector.select(left)}
                if "exit" in what:
                    return
                if "out" in what and not self.read():
                    selector.unregister(self.out)

    def read_more(self):
        """One more piece of the output if it is there; never waits."""
        before = len(self.lines)
        return self.read() and len(self.lines) > before

    def failure(self, what):
        """What to tell about a run that did not work."""
        tail = [line for _, line in self.lines[-3:]]
        with contextlib.suppress(OSError):
            tail += read_text(self.log).splitlines()[-3:]
        return Trouble(f"{self.name}: {what}; its last words: {' | '.join(tail) or 'none'}")


def wait(processes, attained, deadline, what, beside=()):
    """Reads what the processes write until `attained(process)` holds for each of them.

    Those `beside` them are read as well, for a full pipe would stop them, and must not end meanwhile.
    """
    waiting = {process for process in processes if not attained(process)}
    with selectors.DefaultSelector() as selector:
        for process in (*processes, *beside):
            if process.usage is None:
                selector.register(process.pidfd, selectors.EVENT_READ, (process, "exit"))
                selector.register(process.out, selectors.EVENT_READ, (process, "out"))
        while waiting:
            if (left := deadline - time.monotonic()) <= 0:
                raise next(iter(waiting)).failure(f"not {what} within the deadline")
            leavers = [process for process in waiting if process.said is None and process.usage is None]
            for key, _ in selector.select(min(left, PEAK_INTERVAL) if leavers else left):
                process, kind = key.data
                if kind == "exit":
                    selector.unregister(process.pidfd)
                    process.collect()
                elif not process.read():
                    selector.unregister(process.out)
            for process in leavers:
                process.note_peak()
            for process in waiting:
                if process.usage is not None and not process.read_more() and not attained(process):
                    raise process.failure(f"ended with {process.code} before it was {what}")
            for process in beside:
                if process.usage is not None:
                    raise process.failure(f"ended with {process.code} while it was needed")
            waiting = {process for process in waiting if not attained(process)}


def poll(is_so, processes, deadline, what, pause=0.02):
    """Asks every `pause` seconds until `is_so()`; the processes must not end meanwhile."""
    while not is_so():
        for process in processes:
            if process.has_ended():
                raise process.failure(f"ended with {process.code} before it was {what}")
        if time.monotonic() >= deadline:
            raise processes[0].failure(f"not {what} within the deadline")
        time.sleep(pause)


def is_ready(process):
    return process.ready_at is not None


def is_done(process):
    return process.done_at is not None


class OtherLoad:
    """The CPU seconds that anything else used meanwhile: other people's programs, and the kernel's own threads."""

    def __init__(self):
        self._busy, self._at = self._read(), time.monotonic()

    @staticmethod
    def _read():
        # user nice system idle iowait irq softirq steal
        numbers = [int(word) for word in read_text("/proc/stat").split("\n", 1)[0].split()[1:9]]
        return (sum(numbers) - numbers[3] - numbers[4]) * TICK

    def share(self, own_cpu):
        """As a share of all cores; None for a window that holds too few ticks to tell."""
        wall = time.monotonic() - self._at
        if wall < 10 * TICK:
            return None
        return min(1.0, max(0.0, self._read() - self._busy - own_cpu) / (wall * (os.cpu_count() or 1)))


def loopback_bytes():
    """Bytes that went over the loopback interface of this network namespace, headers included."""
    for line in read_text("/proc/net/dev").splitlines():
        if line.strip().startswith("lo:"):
            return int(line.split(":")[1].split()[0])
    raise Trouble("there is no loopback interface")


def touch_memory(size):
    """Touches and frees memory in a child, so that the host has it at hand when the run needs it."""
    text = "import sys\nn = int(sys.argv[1])\nb = bytearray(n)\nfor i in range(0, n, 4096): b[i] = 1\n"
    subprocess.run([sys.executable, "-c", text, str(size)], check=True, timeout=600)


def touch_page_cache(path, size):
    """Fills the page cache with a file and empties it: what a program writes gets other pages than its memory does.

    Half in large and half in small writes, because the system gives each kind pages of its own. The file stays, empty.
    """
    pattern = os.urandom(1 << 17)
    with open(path, "wb", buffering=0) as file:
        for _ in range(size >> 18):
            file.write(pattern)
            for at in range(0, len(pattern), 1 << 14):
                file.write(pattern[at : at + (1 << 14)])
        file.truncate(0)


def warm(path):
    """Reads a file once, so that it is in the page cache."""
    buffer = bytearray(1 << 22)
    with open(path, "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass


def read_text(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def machine():
    """What the numbers depend on."""
    cpu = [line.split(":")[1].strip() for line in read_text("/proc/cpuinfo").splitlines() if line.startswith("model name")]
    flags = next((line for line in read_text("/proc/cpuinfo").splitlines() if line.startswith("flags")), "").split()
    memory = int(read_text("/proc/meminfo").split()[1]) / (1 << 20)
    return {
        "cpu": cpu[0] if cpu else platform.processor(),
        "cores": os.cpu_count(),
        "sha_extensions": "sha_ni" in flags or "sha1" in flags,
        "memory_gib": round(memory, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
