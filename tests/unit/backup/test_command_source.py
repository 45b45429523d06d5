"""A command's output as a source, and a restored file as a command's input."""

import asyncio
import contextlib
import hashlib
import os
import signal
import sys
from pathlib import Path

import pytest

from holdfast.backup.store.command_source import LEFT_OPEN
from holdfast.backup.store.shard import store_shard
from holdfast.commands import is_blind_pipeline
from holdfast.errors import RestoreCommandError, SnapshotNotFoundError, SourceCommandError
from holdfast.ids import BlobId, SnapshotId, from_hex
from holdfast.repository.snapshots import load_snapshot
from holdfast.restore.to_command import restore_to_command
from tests.support.comparison import restic
from tests.support.engine import PASSWORD, EngineRun, new_session, nothing

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
    assert result.totals.bytes_total == SIZE
    assert again.totals.tree_blobs == 1
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


def test_a_command_that_prints_nothing_makes_a_snapshot_only_where_it_may(tmp_path: Path) -> None:
    with new_session(tmp_path / "repository") as session:
        run = dump_run(session, "one", "import sys; sys.stderr.write('no such table')")
        run.open()
        run.select()
        with pytest.raises(SourceCommandError) as failed:
            run.store(0)
        assert "without printing a byte" in failed.value.message
        assert "allow_empty" in failed.value.hint
        assert "pipefail" in failed.value.hint
        allowed = EngineRun.of(
            session, Path("/dump.sql"), run_id="two", command=("true",), allow_empty=True
        ).run()
    assert (allowed.totals.bytes_total, allowed.totals.files, allowed.partial) == (0, 1, False)


def test_a_child_that_has_the_output_open_holds_nothing_up_and_what_it_prints_counts(tmp_path: Path) -> None:
    """The child is still writing when the command ends, as `bash -c "dump > >(gzip)"` leaves one; then it is silent."""
    code = (
        "import os, time\n"
        "if os.fork(): os._exit(0)\n"
        "for part in range(4): time.sleep(1); os.write(1, b'part %d' % part)\n"
        "time.sleep(600)"
    )
    with new_session(tmp_path / "repository") as session:
        run = dump_run(session, "one", code)
        run.open()
        pages = run.select()
        stored = run.store(0)
        outcome = run.commit(pages).result
    assert stored.totals.warnings == 1
    assert stored.outcomes[0].warning == LEFT_OPEN  # type: ignore[union-attr]  # it is stored
    assert outcome is not None
    assert (outcome.totals.bytes_total, outcome.totals.errors, outcome.partial) == (
        len(b"part 0") * 4,
        1,
        True,
    )


def test_a_failed_command_is_not_waited_for(tmp_path: Path) -> None:
    code = "import os, time\nif os.fork(): os._exit(7)\ntime.sleep(600)"
    with new_session(tmp_path / "repository") as session:
        run = dump_run(session, "one", code)
        run.open()
        run.select()
        with pytest.raises(SourceCommandError) as failed:
            run.store(0)
    assert "exit code 7" in failed.value.message


def test_being_stopped_waits_for_nobody_who_has_the_output(tmp_path: Path) -> None:
    """A child in a session of its own outlives its command, and cannot be killed with it."""
    child = tmp_path / "child"
    code = (
        "import os, time\n"
        f"if not os.fork(): os.setsid(); open({str(child)!r}, 'w').write(str(os.getpid()))\n"
        "while True: os.write(1, b'.'); time.sleep(0.01)"
    )

    async def stopped(run: EngineRun) -> None:
        storing = asyncio.create_task(store_shard(run.backup, run.order.spec, 0, nothing))
        while not (child.exists() and child.read_text()):
            await asyncio.sleep(0.1)
        storing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storing

    with new_session(tmp_path / "repository") as session:
        run = dump_run(session, "one", code)
        run.open()
        run.select()
        asyncio.run(stopped(run))
    with contextlib.suppress(ProcessLookupError):  # the next write to the closed pipe ends it
        os.kill(int(child.read_text()), signal.SIGKILL)


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        (["sh", "-c", "pg_dump shop | gzip"], "blind"),
        (["ssh", "db", "pg_dump shop | gzip"], "blind"),
        (["sudo", "-u", "postgres", "/bin/bash", "-c", "pg_dump shop|gzip"], "blind"),
        (["bash", "-c", "set -o pipefail; pg_dump shop | gzip"], "seen"),
        (["bash", "-o", "pipefail", "-c", "pg_dump shop | gzip"], "seen"),
        (["sh", "-c", "pg_dump shop || exit 3"], "seen"),
        (["sh", "-c", "grep 'a|b' /etc/services"], "seen"),
        (["grep", "a | b", "/etc/services"], "seen"),
    ],
)
def test_a_pipeline_whose_first_parts_fail_unseen_is_known(command: list[str], parts: str) -> None:
    assert is_blind_pipeline(command) is (parts == "blind")


def test_a_restore_command_that_leaves_its_input_to_a_child_fails(tmp_path: Path) -> None:
    code = "import os, time\nif os.fork(): os._exit(0)\ntime.sleep(600)"
    with new_session(tmp_path / "repository") as session:
        result = dump_run(session, "one", PRINT).run()
        tree = BlobId(from_hex(load_snapshot(session.repository, SnapshotId(result.snapshot)).snapshot.tree))
        with session.hold() as held, pytest.raises(RestoreCommandError) as failed:
            asyncio.run(restore_to_command(held.loader, tree, b"/dump.sql", [sys.executable, "-c", code]))
    assert "exit code 0 after" in failed.value.message
