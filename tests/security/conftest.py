"""One service of root's, and one of an ordinary user's, for all attacks on it; and the user who attacks."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.security.victim import PROJECT, Attacker, User, Victim

NOBODY = User(uid=65534)
ANNA = User(uid=54_321)


def _served(user: User) -> Iterator[Attacker]:
    if os.geteuid() != 0:
        pytest.skip("acting as two other users needs root")
    try:
        for one in (NOBODY, user):
            one.python(PROJECT)
    except LookupError as error:
        pytest.skip(str(error))
    folder = Path(tempfile.mkdtemp(prefix="holdfast-victim-"))  # pytest's own folders are closed to others
    victim = Victim(folder=folder, user=user)
    try:
        with victim.serving():
            attacker = Attacker(user=NOBODY, victim=victim)
            yield attacker
            attacker.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def mallory() -> Iterator[Attacker]:
    """Beside root's service."""
    yield from _served(User(uid=0))


@pytest.fixture(scope="module")
def neighbour() -> Iterator[Attacker]:
    """Beside an ordinary user's service."""
    yield from _served(ANNA)
