"""A tree with telling names, and the two judges of a backup: rsync, and stock restic."""

import os
import subprocess
import time
from pathlib import Path
from random import Random
from typing import Final

MIB: Final = 1 << 20
CANARY: Final = b"canary"


def plant(folder: Path, *, files: int = 40, large_bytes: int = 3 * MIB) -> None:
    """Some directories with small files, a link, and one large file; all names have the canary in them."""
    random = Random(7)
    for number in range(files):
        directory = folder / f"canary-dir-{number % 5}"
        directory.mkdir(exist_ok=True)
        (directory / f"canary-file-{number}").write_bytes(random.randbytes(number * 37))
    with (folder / "canary-large").open("wb") as large:
        for start in range(0, large_bytes, MIB):
            large.write(random.randbytes(min(MIB, large_bytes - start)))
    (folder / "canary-link").symlink_to("canary-large")


def same(left: Path, right: Path) -> bool:
    """Whether rsync finds nothing to do between two trees."""
    command = ["rsync", "-aHAXn", "--checksum", "--delete", "--itemize-changes", f"{left}/", f"{right}/"]
    return subprocess.run(command, check=True, capture_output=True).stdout == b""


def restic(repository: Path, password: bytes, *arguments: str) -> str:
    """What stock restic prints; it must succeed. Waits until workers have given up their locks, which linger."""
    while any((repository / "locks").iterdir()):
        time.sleep(0.05)
    environment = {
        "RESTIC_PASSWORD": os.fsdecode(password),
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": "/nonexistent",
    }
    command = ["restic", "--no-cache", "-r", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True, env=environment, text=True).stdout
