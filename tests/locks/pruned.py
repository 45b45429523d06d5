"""What somebody does who thinks that we are dead: removes our lock, forgets, and prunes with stock restic."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from tests.support.engine import PASSWORD


def forget_and_prune(repository: Path, snapshots: Iterable[str]) -> None:
    """Without these snapshots, every pack that holds anything else is written anew."""
    for arguments in (
        ("unlock", "--remove-all"),
        ("forget", *snapshots),
        ("unlock", "--remove-all"),  # a lease that notices takes its lock again
        ("prune", "--max-unused", "0"),
    ):
        command = ["restic", "--no-cache", "-q", "-r", str(repository), *arguments]
        environment = {
            "RESTIC_PASSWORD": PASSWORD.decode(),
            "PATH": os.environ["PATH"],
            "HOME": "/nonexistent",
        }
        subprocess.run(command, check=True, capture_output=True, env=environment, timeout=120)
