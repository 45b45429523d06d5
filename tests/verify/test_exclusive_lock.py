"""The exclusive lock: alone, or not at all."""

import threading
from pathlib import Path

import pytest

from holdfast.errors import LockLostError, RepositoryLockedError
from holdfast.repository.exclusive import ExclusiveLock
from tests.support.engine import new_session, open_session


def test_it_excludes_and_is_excluded(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        with session.hold(), pytest.raises(RepositoryLockedError, match="in use"):
            ExclusiveLock(session.repository).__enter__()
        session.close()
        with ExclusiveLock(session.repository) as lock, open_session(tmp_path / "repository") as other:
            lock.check()
            with pytest.raises(RepositoryLockedError, match="locked exclusively"), other.hold():
                pass
            with pytest.raises(RepositoryLockedError):
                ExclusiveLock(other.repository).__enter__()
        with session.hold():
            pass
        with pytest.raises(LockLostError):
            lock.check()


def test_it_waits_for_others_to_go(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        holding, leave = threading.Event(), threading.Event()

        def hold() -> None:
            with session.hold():
                holding.set()
                leave.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        holding.wait()
        leave.set()
        with ExclusiveLock(session.repository, wait_s=30):
            pass
        thread.join()
