"""A stream is handed over once, and stored only when it is known to be whole; a command is begun for each attempt."""

import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest

from holdfast.backup.documents import CommitResult
from holdfast.backup.store.handed_stream import OUTPUT, connected
from holdfast.errors import SourceMissingError, StreamBrokenError
from holdfast.repository.session import RepositorySession
from holdfast.starter.main import main
from holdfast.starter.requests.stream import Door
from tests.support.engine import PASSWORD, EngineRun, make_repository, new_session

DATA = Random(7).randbytes(3_000_000)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[RepositorySession]:
    with new_session(tmp_path / "repository", small=True) as opened:
        yield opened


def stream_run(
    session: RepositorySession, door: Door, *, run_id: str = "run", allow_empty: bool = False
) -> EngineRun:
    run = EngineRun.of(
        session, Path("/data.bin"), run_id=run_id, door=str(door.path), allow_empty=allow_empty
    )
    run.open()
    return run


def finish(run: EngineRun) -> CommitResult:
    pages = run.select()
    run.store(0)
    result = run.commit(pages).result
    assert result is not None
    return result


@contextmanager
def written(data: bytes) -> Iterator[int]:
    """The reading end of a pipe into which this is written."""
    reading, writing = os.pipe()

    def write() -> None:
        with open(writing, "wb") as pipe:
            pipe.write(data)

    writer = threading.Thread(target=write)
    writer.start()
    yield reading
    writer.join()
    os.close(reading)


def test_standard_input_is_stored_and_given_away_once(session: RepositorySession, tmp_path: Path) -> None:
    long = tmp_path / ("deep" * 30)  # a socket's path has at most 107 bytes
    with written(DATA) as stdin, Door(long, stdin=stdin) as door:
        run = stream_run(session, door)
        done = finish(run)
        assert os.get_blocking(stdin)
        again = stream_run(session, door, run_id="again")
        again.select()
        with pytest.raises(StreamBrokenError, match="cannot be read again"):
            again.store(0)
    assert (done.totals.files, done.totals.bytes_total) == (1, len(DATA))
    assert not door.path.exists()
    with pytest.raises(StreamBrokenError, match="cannot be read again"):
        connected(str(door.path))


@pytest.mark.parametrize("command", [("cat", "{data}"), (sys.executable, "-c", "print('x' * 100_000)")])
def test_a_command_is_begun_for_each_attempt(
    session: RepositorySession, tmp_path: Path, command: tuple[str, ...]
) -> None:
    (tmp_path / "data").write_bytes(DATA)
    wanted = tuple(word.format(data=tmp_path / "data") for word in command)
    with Door(tmp_path, wanted) as door:
        first, second = (finish(stream_run(session, door, run_id=name)) for name in ("first", "second"))
    assert first.totals.bytes_total == second.totals.bytes_total > 100_000


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("sh", "-c", "echo half; exit 3"), "exit code 3"),
        (("sh", "-c", "echo half; kill -9 $$"), "exit code -9"),
        (("/no/such/program",), "exit code 127"),
    ],
)
def test_half_a_stream_is_no_backup(
    session: RepositorySession, tmp_path: Path, command: tuple[str, ...], said: str
) -> None:
    with Door(tmp_path, command) as door:
        run = stream_run(session, door)
        run.select()
        with pytest.raises(StreamBrokenError, match=said):
            run.store(0)


def test_an_empty_stream_has_to_be_allowed(session: RepositorySession, tmp_path: Path) -> None:
    with Door(tmp_path, ("true",)) as door:
        run = stream_run(session, door)
        run.select()
        with pytest.raises(SourceMissingError, match="without a byte"):
            run.store(0)
        allowed = stream_run(session, door, run_id="allowed", allow_empty=True)
        assert finish(allowed).totals.bytes_total == 0


def test_a_command_whose_reader_has_gone_is_ended(tmp_path: Path) -> None:
    with Door(tmp_path, ("sh", "-c", "echo $$; exec sleep 1000")) as door:
        with connected(str(door.path)) as connection:
            message, (output,), _, _ = socket.recv_fds(connection, 64, 1)
            with open(output, "rb") as printed:
                pid = int(printed.readline())
        assert message == OUTPUT
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.01)


def test_options_of_streams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    make_repository(tmp_path / "repository")
    (tmp_path / "password").write_bytes(PASSWORD)
    monkeypatch.setenv("HOLDFAST_CONFIG", "")
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))
    of = ["backup", "-r", str(tmp_path / "repository"), "-p", str(tmp_path / "password"), "--dry-run"]
    for given, said in (
        (["--stdin", "x"], "does not go with"),
        (["--stdin", "--exclude", "x"], "does not go with --exclude"),
        (["--stdin-from-command"], "needs a command"),
        (["--stdin-from-command", "--stdin-filename", "a/b", "--", "true"], "is no name of a file"),
    ):
        assert main([*of, *given]) == 1
        assert said in capsys.readouterr().err
    assert main([*of, "--stdin-from-command", "--", "echo", "-n", "six by"]) == 0
    assert "processed 1 file, 6 B" in capsys.readouterr().out
