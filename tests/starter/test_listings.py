"""Every listing command, on terminals of several widths and into a pipe: nothing is wider, and nothing is lost."""

import io
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len

from holdfast.starter.main import main
from tests.support.listings import LISTINGS, LONG, WIDE, Terminal, environment, make


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A host with long, wide and odd names, in every state; its environment for this process."""
    folder = tmp_path_factory.mktemp("listings")
    make(folder)
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("RESTIC_", "HOLDFAST_")):
                patch.delenv(name)
        for name, value in {**environment(folder), "TERM": "dumb"}.items():
            patch.setenv(name, value)
        time.tzset()
        yield folder
    time.tzset()


def said(stream: io.TextIOWrapper, *command: str) -> str:
    """What a command in this process writes to a stream, complaints and all."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        patch.setattr(sys, "stderr", stream)
        code = main(command)
    assert code == 0 or command[0] == "status", command  # whose code tells how the sources stand
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_the_terminal(host: Path, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for command in LISTINGS:
        text = said(Terminal(), *command)
        assert text, command
        wide = [line for line in text.splitlines() if cell_len(line) > width]
        assert not wide, (command, wide)


def test_a_pipe_gets_all_of_it(host: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    texts = {
        command: said(io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), *command) for command in LISTINGS
    }
    assert not any("…" in text or "not shown" in text for text in texts.values())
    snapshots = texts["-r", "home", "snapshots"]
    assert all(
        word in snapshots
        for word in (f"/srv/{LONG}/{LONG}", f"/home/alice/{WIDE}/{WIDE}", "partial", "9 snapshots")
    )
    assert f"/{LONG}/{LONG}/{WIDE}/the last report.pdf" in texts["-r", "home", "ls"]
    runs = texts["runs",].splitlines()
    assert len(runs) == 12 + 4
    assert "StorageFullError" in texts["runs",]
    assert {len(line.split("(CET/CEST)")) for line in runs} == {1, 2}


@pytest.mark.parametrize(
    ("command", "hint"),
    [
        (("-r", "home", "snapshots", "--host", "venvs"), 'Did you mean "venus"?'),
        (("-r", "home", "snapshots", "--path", "/ect"), 'Did you mean "/etc"?'),
        (("-r", "home", "snapshots", "--tag", "nightly,nihgtly"), 'Did you mean "nightly"?'),
        (("-r", "home", "snapshots", "xyz"), "`holdfast snapshots` without it"),
        (("-r", "home", "ls", "--host", "venvs"), 'Did you mean "venus"?'),
        (("-r", "home", "ls", "latest", "/tmq"), 'Did you mean "tmp"?'),
        (("-r", "home", "ls", "latest", "/tmp/h0ldfast"), "Known here for /tmp/: "),  # noqa: S108 - inside a snapshot
        (("-r", "home", "stats", "--host", "venvs"), 'Did you mean "venus"?'),
        (("-r", "home", "tag", "--host", "venvs", "--add", "x"), 'Did you mean "venus"?'),
        (("-r", "home", "forget", "--dry-run", "--host", "venvs"), 'Did you mean "venus"?'),
        (("runs", "--source", "document"), 'Did you mean "documents"?'),
        (("drills", "--source", "document"), 'Did you mean "documents"?'),
    ],
)
def test_a_name_that_is_not_there_is_an_error_with_a_suggestion(
    host: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], hint: str
) -> None:
    assert main(command) == 1
    error = capsys.readouterr().err
    assert error.startswith("Error: ")
    assert hint in error
