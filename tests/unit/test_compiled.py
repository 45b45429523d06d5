"""Methods of dataclasses are compiled once, and nothing else about the classes changes."""

import dataclasses
import sys
from pathlib import Path

import pytest

from starter.compiled import kept_methods


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Plain:
    """Made as always."""

    name: str
    size: int = 3


@pytest.fixture(autouse=True)
def bytecode_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever PYTHONDONTWRITEBYTECODE says where the tests run."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)


def make(path: Path) -> type[Plain]:
    """The same class, made while methods are kept in `path`."""
    with kept_methods(str(path)):

        @dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
        class Plain:
            """Made while methods are kept."""

            name: str
            size: int = 3

    return Plain  # type: ignore[return-value]  # another class, of the same shape


def check(made: type[Plain]) -> None:
    value = made(name="a")
    assert dataclasses.astuple(value) == ("a", 3)
    assert value == made(name="a", size=3) != made(name="b")
    assert hash(value) == hash(Plain(name="a"))
    assert repr(value).endswith("Plain(name='a', size=3)")
    with pytest.raises(dataclasses.FrozenInstanceError):
        value.size = 4  # type: ignore[misc]  # that it is frozen is what is tested


def test_what_was_compiled_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "methods"
    check(make(path))
    first = path.stat()
    check(make(path))
    again = path.stat()
    assert (again.st_ino, again.st_mtime_ns) == (first.st_ino, first.st_mtime_ns), (
        "something was compiled again"
    )
    assert "exec" not in vars(dataclasses)
    assert [entry.name for entry in tmp_path.iterdir()] == ["methods"]


def test_a_damaged_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "methods"
    make(path)
    whole = path.read_bytes()
    hole = whole[: len(whole) // 2] + bytes(64) + whole[len(whole) // 2 + 64 :]
    for damaged in (b"", b"something else", whole[: len(whole) // 2], hole, b"methods 0" + whole[9:]):
        path.write_bytes(damaged)
        check(make(path))
        assert len(path.read_bytes()) == len(whole)


def test_nothing_is_kept_where_nobody_may_write(tmp_path: Path) -> None:
    check(make(tmp_path / "not there" / "methods"))


def test_nothing_is_kept_where_python_keeps_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    check(make(tmp_path / "methods"))
    assert list(tmp_path.iterdir()) == []
