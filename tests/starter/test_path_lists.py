"""Lists of paths (`--files-from` and its variants) are read as restic reads them."""

import io
import os
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.starter.commands.backup import BackupOptions
from holdfast.starter.requests.path_lists import PathLists, expanded
from holdfast.starter.requests.sources import chosen_sources
from holdfast.starter.shell.invocation import Invocation


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("HOLDFAST_CONFIG", "")
    monkeypatch.chdir(tmp_path)
    for name in ("b.c", ".hidden.c", "a.c", "a.h", "[x]", "*"):
        (tmp_path / name).write_text(name)
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "deep" / "z.c").write_text("z")


def roots(options: BackupOptions) -> list[str]:
    (source,) = chosen_sources(Invocation.of(options), options)
    assert source.order is not None
    return [os.fsdecode(root) for root in source.order.spec.roots]


@pytest.mark.parametrize(
    ("pattern", "meant"),
    [
        ("*.c", [".hidden.c", "a.c", "b.c"]),
        ("[^a].c", ["b.c"]),
        ("a.?", ["a.c", "a.h"]),
        (r"\[x\]", ["[x]"]),
        (r"\*", ["*"]),
        ("*/*/*.c", ["sub/deep/z.c"]),
        ("sub/deep", ["sub/deep"]),
        ("gone", []),
        ("a.c/*", []),
    ],
)
def test_patterns_are_gos(pattern: str, meant: list[str], tmp_path: Path) -> None:
    assert expanded(pattern) == meant
    assert expanded(f"{tmp_path}/{pattern}") == [f"{tmp_path}/{name}" for name in meant]


def test_a_list_of_patterns_has_comments_and_a_list_of_lines_has_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("patterns").write_text("\ufeff# comment\n  *.h \n\nnone*\n", encoding="utf-8")
    Path("lines").write_bytes(b"# comment\n a.h \n\ngone\n~/x\n")
    found = roots(BackupOptions(files_from=("patterns",), files_from_verbatim=("lines",), paths=("b.c",)))
    assert found == [f"{tmp_path}/{name}" for name in ("a.h", "# comment", " a.h ", "gone", "~/x", "b.c")]
    assert "pattern 'none*' does not match any files, skipping" in capsys.readouterr().err


def test_raw_names_are_bytes_and_each_has_its_end(tmp_path: Path) -> None:
    Path("raw").write_bytes(b"line\nfeed\0\xff\0/etc/../etc/hosts\0")
    assert roots(BackupOptions(files_from_raw=("raw",))) == [
        f"{tmp_path}/line\nfeed",
        f"{tmp_path}/{os.fsdecode(bytes([255]))}",
        "/etc/hosts",
    ]
    for broken in (b"a\0b", b"a\0\0"):
        Path("raw").write_bytes(broken)
        with pytest.raises(UsageError, match="--files-from-raw"):
            roots(BackupOptions(files_from_raw=("raw",)))


def test_standard_input_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"a\nb\r\n")))
    lists = PathLists()
    assert list(lists.lines("--files-from-verbatim", "-")) == [b"a", b"b"]
    with pytest.raises(UsageError, match="read for --files-from-verbatim already"):
        list(lists.names("--files-from-raw", "-"))


def test_a_list_that_names_nothing_is_refused() -> None:
    Path("patterns").write_text("none*\n")
    for options in (BackupOptions(files_from=("patterns",)), BackupOptions()):
        with pytest.raises(UsageError, match="nothing is named"):
            roots(options)
    with pytest.raises(UsageError, match="missing cannot be read"):
        roots(BackupOptions(files_from_raw=("missing",)))
