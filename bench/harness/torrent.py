"""The file that is moved, and the `.torrent` that describes it to the rivals."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

BLOCK = 8 << 20
NAME = "data.bin"


@dataclass(frozen=True)
class Source:
    """A file that is given, and its digest."""

    directory: Path
    size: int
    sha1: str

    @property
    def path(self):
        return self.directory / NAME


def make_source(directory, size, blocks=None):
    """A file of random bytes, or of these `blocks`, which are `size` bytes long."""
    directory.mkdir(parents=True)
    return Source(directory, size, write_synced(directory / NAME, blocks or random_blocks(size)))


def random_blocks(size):
    for start in range(0, size, BLOCK):
        yield os.urandom(min(BLOCK, size - start))


def write_synced(path, blocks):
    """Makes a file of these blocks, safe on the disk, and returns its SHA-1."""
    digest = hashlib.sha1()
    with open(path, "xb") as file:
        for block in blocks:
            digest.update(block)
            file.write(block)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def sha1_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def bencode(value):
    if isinstance(value, int):
        return b"i%de" % value
    if isinstance(value, str):
        value = value.encode()
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    # Keys stand in the order of their bytes.
    items = sorted((key.encode(), item) for key, item in value.items())
    return b"d" + b"".join(bencode(key) + bencode(item) for key, item in items) + b"e"


def make_torrent(source, part_size, tracker_url, out):
    digests = []
    with open(source.path, "rb") as file:
        while part := file.read(part_size):
            digests.append(hashlib.sha1(part).digest())
    info = {"length": source.size, "name": NAME, "piece length": part_size, "pieces": b"".join(digests)}
    out.write_bytes(bencode({"announce": tracker_url, "info": info}))
    return out
