"""Gets the rivals from the package registries: apt, PyPI and, when asked, crates.io."""

import os
import shutil
import subprocess
import sys

APT = ("python3-libtorrent", "aria2", "transmission-cli", "mktorrent")
PYPI = ("libtorrent", "torf-cli")


def install(tools, with_rqbit):
    """What cannot be had is told and left out; the runs list it as skipped."""
    install_apt(APT)
    venv = tools / "venv"
    if not venv.exists():
        _try([sys.executable, "-m", "venv", venv])
    for package in PYPI:
        _try([venv / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", package])
    if with_rqbit and not shutil.which("rqbit") and not (tools / "bin" / "rqbit").exists():
        # Without its web pages, which need node to build, and its database.
        _try(["cargo", "install", "rqbit", "--locked", "--root", tools, "--no-default-features", "--features", "default-tls"])


def install_apt(packages):
    if not shutil.which("apt-get"):
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    _try(["apt-get", "update", "-qq"], environment)
    # One at a time: a missing one must not keep the others away.
    for package in packages:
        _try(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], environment)


def _try(command, environment=None):
    text = " ".join(str(word) for word in command)
    print(f"install: {text}", file=sys.stderr)
    try:
        done = subprocess.run([str(word) for word in command], env=environment, stdout=sys.stderr, timeout=3600, check=False)
    except OSError as error:
        print(f"install: FAILED, {error}", file=sys.stderr)
        return
    if done.returncode != 0:
        print(f"install: FAILED with {done.returncode}: {text}", file=sys.stderr)
