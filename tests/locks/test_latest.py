"""`latest` and a newest snapshot that cannot be read: nobody knows its time, and no older one is taken unasked."""

from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError
from holdfast.ids import SnapshotId
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import find_snapshot
from holdfast.verify.documents import VerifyOrder
from holdfast.verify.opening import choose_snapshots
from tests.support.engine import EngineRun, new_session

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "emptied": lambda _: b"",
    "cut": lambda stored: stored[:-1],
    "changed": lambda stored: stored[:-1] + bytes([stored[-1] ^ 1]),
}


def find(session: RepositorySession, *, ignore_damaged: bool) -> SnapshotId:
    return find_snapshot(session.repository, "latest", ignore_damaged=ignore_damaged).id


def choose(session: RepositorySession, *, ignore_damaged: bool) -> SnapshotId:
    (chosen,) = choose_snapshots(session, VerifyOrder(snapshots=("latest",), ignore_damaged=ignore_damaged))
    return chosen.id


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("latest", [find, choose])
def test_it_is_named_and_the_older_one_taken_only_when_asked(
    tmp_path: Path, latest: Callable[..., SnapshotId], damage: str
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "f").touch()
    with new_session(tmp_path / "repository") as session:
        older, newest = (EngineRun.of(session, source, run_id=run).run().snapshot for run in ("1", "2"))
        path = tmp_path / "repository" / "snapshots" / newest.hex()
        stored = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(DAMAGE[damage](stored))
        with pytest.raises(HoldfastError, match=newest.hex()[:8]):
            latest(session, ignore_damaged=False)
        assert latest(session, ignore_damaged=True) == older
