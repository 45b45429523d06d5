"""Work that is over leaves nothing to the collector of cycles.

In a worker that lives for long, the collector hardly ever looks at everything: little of what a run makes is tracked by
it. A cycle that leads to an index and its trees would keep them, some 60 MiB after 46,000 files, again for each run.
"""

import gc
import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.repository.session import RepositorySession
from tests.support.engine import EngineRun, new_session
from tests.support.restore import restore
from tests.support.verification import verify


@pytest.fixture
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def let_go(session: RepositorySession) -> list[str]:
    """What stays of index and cached trees after the session has let go of them."""
    with session.hold() as held:
        index, loader = weakref.ref(held.index), weakref.ref(held.loader)
        del held
    session.lease.close()
    assert session.rest()
    return ["index"] * (index() is not None) + ["trees"] * (loader() is not None)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    for name in ("a/small", "a/b/deeper", "large"):
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode() * (3_000_000 if name == "large" else 1))
    return tmp_path / "source"


@pytest.mark.usefixtures("no_collector")
def test_a_backup_leaves_nothing(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        for run_id in ("everything", "nothing changed"):
            EngineRun.of(session, source, run_id=run_id).run()
            assert not let_go(session)


@pytest.mark.usefixtures("no_collector")
def test_a_restore_leaves_nothing(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        EngineRun.of(session, source).run()
        restore(session, tmp_path / "target")
        assert not let_go(session)


@pytest.mark.usefixtures("no_collector")
def test_a_verification_leaves_nothing(tmp_path: Path, source: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        EngineRun.of(session, source).run()
        verify(session)
        assert not let_go(session)


def test_no_descriptor_stays_open(tmp_path: Path, source: Path) -> None:
    """A worker that leaks one for each file ends at its limit, weeks later."""
    with new_session(tmp_path / "repository") as session:
        open_ones: list[int] = []
        for run_id in ("first", "second"):
            EngineRun.of(session, source, run_id=run_id, strategy="full").run()
            verify(session, f"verify-{run_id}")
            restored = restore(session, tmp_path / run_id, snapshot=f"latest:{source}")
            assert restored.verified is not None
            assert restored.verified.files == 3 + 2, "and the two directories"
            open_ones.append(len(os.listdir("/proc/self/fd")))
    assert open_ones[0] == open_ones[1]
