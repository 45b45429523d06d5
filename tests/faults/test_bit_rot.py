"""Every kind of stored file, damaged in every simple way: opening the repository or a full verification finds it.

Rows 12 and 13 of the fault list, for a whole repository; tests/verify says what a verification tells about damage.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.repository.snapshots import list_snapshots
from holdfast.terms import VerifyLevel
from holdfast.verify.snapshot import verify_snapshot
from tests.support.engine import open_session
from tests.support.faults import Place

SNAPSHOTS = 2


def flip(path: Path, *, at: float) -> None:
    """Flip one bit at this fraction of the file."""
    content = bytearray(path.read_bytes())
    content[int(at * (len(content) - 1))] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "first bit": lambda path: flip(path, at=0.0),
    "a bit in the middle": lambda path: flip(path, at=0.5),
    "last bit": lambda path: flip(path, at=1.0),
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "emptied": lambda path: path.write_bytes(b""),
    "deleted": lambda path: path.unlink(),
}
SHORT = ("a bit in the middle", "deleted")


def is_found(repository: Path) -> bool:
    """Whether a typed error or a report tells of damage, or a snapshot is missing from the list."""
    try:
        with open_session(repository) as session:
            snapshots = list_snapshots(session.repository)
            reports = [
                asyncio.run(verify_snapshot(session, stored.id, VerifyLevel.FULL)) for stored in snapshots
            ]
    except HoldfastError:
        return True
    return len(reports) < SNAPSHOTS or not all(report.ok for report in reports)


def stored_files(repository: Path) -> list[Path]:
    """Those that a snapshot needs."""
    return [path for path in sorted(repository.rglob("*")) if path.is_file() and path.parent.name != "locks"]


@pytest.mark.parametrize(
    "damage",
    [damage if damage in SHORT else pytest.param(damage, marks=pytest.mark.faults) for damage in DAMAGES],
)
def test_damage_in_any_file_is_found(place: Place, template: Place, damage: str) -> None:
    place.reset(template, to="whole")
    assert not is_found(place.repository)
    spare = place.folder / "spare"
    names = [path.relative_to(place.repository) for path in stored_files(place.repository)]
    assert {name.parts[0] for name in names} == {"config", "keys", "index", "snapshots", "data"}
    missed = []
    for name in names:
        path = place.repository / name
        shutil.copy2(path, spare)
        path.chmod(0o600)
        DAMAGES[damage](path)
        if not is_found(place.repository):
            missed.append(name)
        path.unlink(missing_ok=True)
        shutil.copy2(spare, path)
    assert missed == []


def test_two_packs_that_have_changed_places_are_found(place: Place, template: Place) -> None:
    place.reset(template, to="whole")
    first, second, *_ = [path for path in stored_files(place.repository) if "data" in path.parts]
    aside = place.folder / "aside"
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    assert is_found(place.repository)
