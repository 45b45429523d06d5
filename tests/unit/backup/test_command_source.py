"""A command's output as a source, and a restored file as a command's input."""

import asyncio
import hashlib
import sys
from pathlib import Path

import pytest

from holdfast.errors import RestoreCommandError, SnapshotNotFoundError, SourceCommandError
from holdfast.ids import BlobId, SnapshotId, from_hex
from holdfast.repository.snapshots import load_snapshot
from holdfast.restore.to_command import restore_to_command
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, new_session

PRINT = (
    "import hashlib,sys;[sys.stdout.buffer.write(hashlib.sha256(b'%d'%i).digest()*4096) for i in range(300)]"
)
SIZE = 32 * 4096 * 300


def dump_run(session: object, run_id: str, code: str) -> EngineRun:
    return EngineRun.of(
        session,  # type: ignore[arg-type]  # a session
        Path("/dump.sql"),
        run_id=run_id,
        command=(sys.executable, "-c", code),
    )


def expected() -> bytes:
    return b"".join(hashlib.sha256(b"%d" % i).digest() * 4096 for i in range(300))


def test_the_output_is_one_file_for_restic_and_goes_into_a_command(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        result = dump_run(session, "one", PRINT).run()
        again = dump_run(session, "two", PRINT).run()
        tree = BlobId(from_hex(load_snapshot(session.repository, SnapshotId(result.snapshot)).snapshot.tree))
        with session.hold() as held:
            given = asyncio.run(
                restore_to_command(
                    held.loader,
                    tree,
                    b"/dump.sql",
                    ["sh", "-c", f"cat > {tmp_path}/restored; echo done"],
                )
            )
            with pytest.raises(SnapshotNotFoundError):
                asyncio.run(restore_to_command(held.loader, tree, b"/other", ["cat"]))
    assert result.bytes_total == SIZE
    assert again.tree_blobs == 1
    assert (given.bytes_given, given.output) == (SIZE, "done")
    assert (tmp_path / "restored").read_bytes() == expected()
    assert "no errors were found" in restic(tmp_path / "repository", PASSWORD, "check", "--read-data")


@pytest.mark.parametrize("code", [PRINT + ";sys.exit(3)", "import os;os.kill(os.getpid(),9)"])
def test_a_command_that_fails_makes_no_snapshot(tmp_path: Path, code: str) -> None:
    with new_session(tmp_path / "repository") as session:
        run = dump_run(session, "one", code)
        run.open()
        run.select()
        with pytest.raises(SourceCommandError) as failed:
            run.store(0)
        assert "exit code" in failed.value.message
        assert run.commit(run.select()).missing_shards == (0,)


def test_a_command_that_does_not_take_its_input_fails(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        result = dump_run(session, "one", PRINT).run()
        tree = BlobId(from_hex(load_snapshot(session.repository, SnapshotId(result.snapshot)).snapshot.tree))
        with session.hold() as held:
            for command, words in ((["false"], "exit code 1"), (["/nothing/here"], "cannot be started")):
                with pytest.raises(RestoreCommandError) as failed:
                    asyncio.run(restore_to_command(held.loader, tree, b"/dump.sql", command))
                assert words in failed.value.message
            with pytest.raises(RestoreCommandError) as late:
                asyncio.run(
                    restore_to_command(held.loader, tree, b"/dump.sql", ["sleep", "60"], timeout_s=0.5)
                )
    assert "did not end within" in late.value.message
