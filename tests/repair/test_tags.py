"""`tag` changes a person's tags as restic does, keeps what it does not know, and loses nothing when it dies."""

import itertools
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.errors import UsageError
from holdfast.ids import SnapshotId
from holdfast.repository.layout import SNAPSHOTS
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshot_tags import TagChange, change_tags
from holdfast.repository.snapshots import list_snapshots, load_json
from holdfast.storage.contract import Storage
from tests.interop.stored import restic_backup
from tests.repair.conftest import Commands, copied, dies_at, in_memory, on_disk, quick_session
from tests.support.comparison import plant, restic
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    plant(folder, files=3, large_bytes=0)
    return folder


@pytest.fixture(params=[1, 2])
def theirs(request: pytest.FixtureRequest, tmp_path: Path, source: Path) -> Path:
    """A repository of restic's with snapshots of several tags."""
    path = tmp_path / "repository"
    with new_session(path, version=request.param):  # a key of restic's own takes half a second to open
        pass
    restic_backup(path, source, "--tag", "one,two")
    restic_backup(path, source, "--tag", "two")
    restic_backup(path, source)
    return path


def snapshots(path: Path) -> list[dict[str, Any]]:
    """What restic says of them, without ids and in an order of their own."""
    (listed,) = [json.loads(line) for line in restic(path, PASSWORD, "snapshots", "--json").splitlines()]
    for snapshot in listed:
        del snapshot["id"], snapshot["short_id"]
        snapshot["tags"] = sorted(snapshot.get("tags") or [])
    return sorted(listed, key=lambda snapshot: snapshot["time"])


@pytest.mark.parametrize(
    "words",
    [
        ("--add", "three,four", "--add", "two"),
        ("--remove", "two"),
        ("--tag", "one", "--remove", "one", "--add", "was-one"),
        ("--set", "all,new"),
        ("latest", "--add", "newest"),
    ],
    ids=" ".join,
)
def test_it_does_what_restic_does(
    theirs: Path, tmp_path: Path, commands: Commands, words: tuple[str, ...]
) -> None:
    by_restic = copied(theirs, tmp_path / "by-restic")
    restic(by_restic, PASSWORD, "tag", *words)
    changed = commands.json("tag", *words)
    assert snapshots(theirs) == snapshots(by_restic)
    assert changed[-1] == {"message_type": "summary", "changed_snapshots": len(changed) - 1}
    assert "no errors were found" in restic(theirs, PASSWORD, "check")


def test_a_tag_that_no_snapshot_has_is_told_and_changes_nothing(theirs: Path, commands: Commands) -> None:
    before = snapshots(theirs)
    assert "no snapshot has 'none'" in commands.error("tag", "--tag", "none", "--add", "x")
    assert snapshots(theirs) == before


def test_original_names_the_first_id_however_often_tags_change(theirs: Path, commands: Commands) -> None:
    first = {snapshot["id"] for snapshot in restic_list(theirs)}
    commands("tag", "--add", "a")
    commands("tag", "--add", "b")
    again = restic_list(theirs)
    assert {snapshot["original"] for snapshot in again} == first
    assert not first & {snapshot["id"] for snapshot in again}
    assert commands("tag", "--add", "a", "--remove", "c") == "no snapshots were modified\n"
    assert {snapshot["id"] for snapshot in restic_list(theirs)} == {snapshot["id"] for snapshot in again}


def test_a_persons_tags_go_and_ours_stay(tmp_path: Path, source: Path, commands: Commands) -> None:
    with new_session(tmp_path / "repository") as session:
        EngineRun.of(session, source).run()
        (before,) = list_snapshots(session.repository)
    commands("tag", "--set", "mine")
    commands("tag", "--set", "")
    with open_session(tmp_path / "repository") as session:
        (after,) = list_snapshots(session.repository)
    assert after.snapshot.tags == before.snapshot.tags
    assert all(tag.startswith("holdfast-") for tag in before.snapshot.tags or ())
    for words in (
        ("--remove", "holdfast-status:complete"),
        ("--add", "holdfast-run:x"),
        ("--set", "holdfast-"),
    ):
        assert "are ours" in commands.error("tag", *words)


def test_what_other_programs_say_of_a_snapshot_stays(theirs: Path) -> None:
    with open_session(theirs) as session:
        stored = list_snapshots(session.repository)[0]
        more = msgspec.json.decode(load_json(session.repository, stored.id)) | {
            "delete": {"After": "x"},
            "label": "",
        }
        session.repository.save_file(SNAPSHOTS, msgspec.json.encode(more))
        session.repository.storage.delete(f"{SNAPSHOTS}/{stored.id.hex()}")
        ((old, new),) = change(session, "one")
        said = msgspec.json.decode(load_json(session.repository, new))
    assert said == more | {"tags": ["one", "two", "added"], "original": old.hex()}


def test_a_death_at_each_write_loses_no_snapshot_and_the_next_one_doubles_none(
    source: Path, tmp_path: Path
) -> None:
    template = tmp_path / "template"
    with new_session(template) as session:
        for number in range(3):
            EngineRun.of(session, source, run_id=str(number)).run()
    before = trees(template)
    place = in_memory(template)
    for at in itertools.count():
        place = in_memory(template)
        died = dies_at(
            place, at, done=bool(at % 2), work=lambda session: change(session, "holdfast-status:complete")
        )
        assert set(trees(place)) == set(before)
        with quick_session(place) as session:
            change(session, "holdfast-status:complete")
            assert all(
                "added" in (stored.snapshot.tags or ()) for stored in list_snapshots(session.repository)
            )
        assert trees(place) == before
        if not died:
            break
    assert at > 4
    assert "no errors were found" in restic(on_disk(place, tmp_path / "on-disk"), PASSWORD, "check")


def trees(place: Path | Storage) -> list[tuple[str, str]]:
    """Time and tree of each snapshot."""
    with quick_session(place) as session:
        return [(stored.snapshot.time, stored.snapshot.tree) for stored in list_snapshots(session.repository)]


def test_what_makes_no_sense_is_refused(theirs: Path, commands: Commands) -> None:
    assert "Give --add" in commands.error("tag")
    assert "control character" in commands.error("tag", "--add", "a\nb")
    assert "exclude each other" in commands.error("tag", "--set", "x", "--add", "y")
    assert "no snapshot's id begins" in commands.error("tag", "abcdef0123", "--add", "y")
    with pytest.raises(UsageError):
        TagChange().check()


def restic_list(path: Path) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = json.loads(restic(path, PASSWORD, "snapshots", "--json"))
    return listed


def change(session: RepositorySession, tag: str) -> list[tuple[SnapshotId, SnapshotId]]:
    """Add a tag to the snapshots that have another one."""
    repository = session.repository
    return list(
        change_tags(
            repository,
            TagChange(added=("added",)),
            lambda: [stored for stored in list_snapshots(repository) if tag in (stored.snapshot.tags or ())],
        )
    )
