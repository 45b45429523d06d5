"""A file system that can neither link nor rename without replacing is refused at once, and the unknown is final."""

import ctypes
import errno
import os
from pathlib import Path
from typing import Any, NoReturn

import pytest

from holdfast.crypto.kdf import ScryptParameters
from holdfast.errors import StorageDeniedError, StorageUnavailableError
from holdfast.repository.repository import Repository
from holdfast.storage import durable
from holdfast.storage.local import LocalStorage
from holdfast.storage.os_errors import translate


def refused(*_: Any, **__: Any) -> NoReturn:
    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))


def unknown(_source: str, target: str) -> NoReturn:
    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), target)


def test_init_says_at_once_what_is_lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "link", refused)
    monkeypatch.setattr(durable, "_rename_no_replace", unknown)
    with pytest.raises(StorageDeniedError, match="neither link files nor rename"):
        Repository.init(LocalStorage(tmp_path / "repository"), b"pw", kdf=ScryptParameters.for_tests())
    monkeypatch.undo()
    # Nothing is left that would be in the way of another try, on a file system that can.
    Repository.init(LocalStorage(tmp_path / "repository"), b"pw", kdf=ScryptParameters.for_tests())


def test_without_hard_links_names_are_given_by_renaming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", refused)
    storage = LocalStorage(tmp_path / "repository")
    Repository.init(storage, b"pw", kdf=ScryptParameters.for_tests())
    assert storage.put_new("new", b"one")
    assert not storage.put_new("new", b"other")
    assert storage.get("new", limit_bytes=10) == b"one"


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENODEV, errno.EMFILE])
def test_what_may_pass_is_tried_again(number: int) -> None:
    assert isinstance(translate(OSError(number, os.strerror(number)), "x"), StorageUnavailableError)


@pytest.mark.parametrize(
    "number", [errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EDOM, errno.EUCLEAN, 4_000]
)
def test_what_nobody_knows_is_not(number: int) -> None:
    error = translate(OSError(number, os.strerror(number)), "x")
    assert isinstance(error, StorageDeniedError)
    assert not error.retryable
    assert error.hint


def test_the_kernel_is_asked_to_rename_without_replacing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    with pytest.raises(FileExistsError):
        durable._rename_no_replace(str(tmp_path / "a"), str(tmp_path / "b"))
    assert ctypes.get_errno() in {0, errno.EEXIST}
