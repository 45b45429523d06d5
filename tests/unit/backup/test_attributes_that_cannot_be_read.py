"""A fault in the attributes of one entry costs the attributes, told, and neither the entry nor the snapshot."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.backup.documents import CommitResult
from holdfast.backup.report import file_records
from holdfast.file_list import FileAction
from holdfast.repository.session import RepositorySession
from tests.support.engine import EngineRun, new_session
from tests.support.restore import restore

Fault = Callable[[pytest.MonkeyPatch, Path, int], None]


def _unlistable(patch: pytest.MonkeyPatch, bad: Path, number: int) -> None:
    listed = os.listxattr

    def fail(path: int | bytes, *, follow_symlinks: bool = True) -> list[str]:
        if _is(path, bad):
            raise OSError(number, os.strerror(number))
        return listed(path, follow_symlinks=follow_symlinks)

    patch.setattr(os, "listxattr", fail)


def _unreadable(patch: pytest.MonkeyPatch, bad: Path, number: int) -> None:
    got = os.getxattr

    def fail(path: int | bytes, name: str, *, follow_symlinks: bool = True) -> bytes:
        if _is(path, bad) and name == "user.bad":
            raise OSError(number, os.strerror(number))
        return got(path, name, follow_symlinks=follow_symlinks)

    patch.setattr(os, "getxattr", fail)


def _is(path: int | bytes, bad: Path) -> bool:
    status = os.stat(path, follow_symlinks=isinstance(path, int))
    return (status.st_dev, status.st_ino) == (bad.lstat().st_dev, bad.lstat().st_ino)


def back_up(session: RepositorySession, source: Path, run_id: str) -> tuple[CommitResult, dict[bytes, str]]:
    """The result, and what is told of paths that are stored."""
    run = EngineRun.of(session, source, run_id=run_id)
    result = run.run(close=False)
    pages = run.select()
    records = file_records(run.backup, len(pages), sum(page.shards for page in pages))
    return result, {r.path: r.message for r in records if r.action is FileAction.WARNING}


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.E2BIG])
@pytest.mark.parametrize("fault", [_unlistable, _unreadable])
@pytest.mark.parametrize("name", ["small", "large", "folder"])
def test_the_content_is_stored_and_the_loss_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: Fault, number: int
) -> None:
    source = tmp_path / "source"
    (source / "folder").mkdir(parents=True)
    (source / "folder" / "inside").write_bytes(b"inside")
    (source / "small").write_bytes(b"small")
    (source / "large").write_bytes(os.urandom(9 << 20) if name == "large" else b"large")
    try:
        os.setxattr(source / name, "user.bad", b"lost")
        os.setxattr(source / name, "user.good", b"kept")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    with new_session(tmp_path / "repository") as session:
        with monkeypatch.context() as patch:
            fault(patch, source / name, number)
            for run_id in ("first", "again"):  # nor is it forgotten because nothing has changed
                result, told = back_up(session, source, run_id)
                assert result.partial
                assert (result.totals.files, result.totals.errors) == (3, 1)
                assert list(told) == [bytes(source / name)]
                assert os.strerror(number) in told[bytes(source / name)]
        restored = restore(session, tmp_path / "target", snapshot=f"latest:{source}")
        assert not restored.finished.partial
        there = tmp_path / "target" / name
        assert there.is_dir() or there.read_bytes() == (source / name).read_bytes()
        kept = [] if fault is _unlistable else ["user.good"]
        assert [attribute for attribute in os.listxattr(there) if attribute.startswith("user.")] == kept
        result, told = back_up(session, source, "whole")
        assert (result.partial, told) == (False, {})
        whole = restore(session, tmp_path / "whole", snapshot=f"latest:{source}")
        assert os.getxattr(tmp_path / "whole" / name, "user.bad") == b"lost"
        assert not whole.finished.partial


def test_above_a_source_it_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What only leads to a source is not backed up; its attributes are nobody's loss."""
    source = tmp_path / "above" / "source"
    source.mkdir(parents=True)
    (source / "file").write_bytes(b"content")
    _unlistable(monkeypatch, tmp_path / "above", errno.EIO)
    with new_session(tmp_path / "repository") as session:
        result, told = back_up(session, source, "run")
    assert (result.totals.files, result.totals.errors, result.partial, told) == (1, 0, False, {})
