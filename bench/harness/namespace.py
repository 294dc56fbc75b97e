"""A network namespace that holds nothing but loopback, and a process namespace that ends all it holds."""

import os
import shutil
import signal
import subprocess
import sys
import threading

from harness.programs import ADDRESSES, HUB

# Set for the process inside; `check` does not believe it.
INSIDE = "ORCHESTRA_BENCH_INSIDE"

# How long the one inside may take to stop its programs and delete its files.
LEAVE_GRACE = 60


def is_inside():
    return os.environ.get(INSIDE) == "1"


def reenter(argv):
    """Runs this program again inside fresh namespaces, and returns its exit code."""
    for tool in ("unshare", "ip"):
        if not shutil.which(tool):
            sys.exit(f"CANNOT RUN: `{tool}` is missing (Debian: apt-get install util-linux iproute2)")
    enter = ["unshare", "--net", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        enter.insert(1, "--map-root-user")
    probe = subprocess.run([*enter, "true"], capture_output=True, text=True, timeout=30, check=False)
    if probe.returncode != 0:
        sys.exit(
            "CANNOT RUN: a network namespace needs root (or user namespaces), so that no rival reaches the network "
            f"and nothing else is measured: {probe.stderr.strip()}\nTry: sudo python3 {argv[0]} …"
        )
    environment = {**os.environ, INSIDE: "1"}
    inner = subprocess.Popen([*enter, sys.executable, "-B", *argv], env=environment, stdin=subprocess.PIPE)
    try:
        while True:
            try:
                return inner.wait()
            except KeyboardInterrupt:
                # The terminal has told the inner one too; it cleans up.
                continue
    finally:
        # However this one ends, even killed, the pipe closes, and `leave_with_parent` sees it.
        inner.stdin.close()
        try:
            inner.wait(LEAVE_GRACE)
        except subprocess.TimeoutExpired:
            inner.kill()


def leave_with_parent():
    """Ends this process in the orderly way as soon as the one outside is gone."""

    def watch():
        # Not by `sys.stdin`: its lock would be held when the interpreter ends.
        os.read(0, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def bring_up():
    """Loopback with an address for each process; refuses to go on where anything else is to be reached."""
    # A fresh namespace has nothing up. (Some kernels put tunnels into each, but they are down.)
    up = subprocess.run(["ip", "-o", "link", "show", "up"], capture_output=True, text=True, timeout=30, check=True).stdout
    if up:
        sys.exit(f"CANNOT RUN: this is not a fresh network namespace, for these are up already:\n{up}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True, timeout=30)
    prefix = HUB.rsplit(".", 1)[0]
    for last in range(1, ADDRESSES + 1):
        subprocess.run(["ip", "address", "add", f"{prefix}.{last}/32", "dev", "lo"], check=True, timeout=30)
