"""What a request names and the snapshot lacks is told; a file can be named like a subfolder."""

from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import SnapshotNotFoundError
from holdfast.repository.choice import Choice
from holdfast.repository.layout import SNAPSHOTS, file_name
from holdfast.verify.documents import VerifyOrder, VerifyRun
from holdfast.verify.opening import choose_snapshots, open_verification
from holdfast.verify.trees import check_trees
from tests.restore.conftest import FILES, Place, listing
from tests.support.engine import nothing


@pytest.mark.parametrize(
    "asked",
    [
        {"includes": (b"/no/such/path",)},
        {"iincludes": (b"*.NO",)},
        {"exact_paths": (b"/no/such",)},
        {"excludes": (b"*",)},
        {"includes": (b"/docs",), "excludes": (b"docs",)},
    ],
    ids=str,
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_nothing_selected_is_an_error_and_makes_no_target(
    place: Place,
    asked: dict[str, tuple[bytes, ...]],
    dry_run: bool,  # noqa: FBT001 -- a parameter
) -> None:
    with pytest.raises(SnapshotNotFoundError, match="nothing in the snapshot matches"):
        place.restore(dry_run=dry_run, **asked)
    assert not place.target.exists()


def test_one_pattern_of_several_that_selects_nothing_is_told(place: Place) -> None:
    restored = place.restore(includes=(b"/bin", b"/no/such", b"no-such-name"))
    assert set(restored.failures) == {b"/no/such", b"/no-such-name"}
    assert restored.finished.partial
    assert listing(place.target) == {"bin", "bin/tool"}


def test_patterns_that_select_are_not_told(place: Place) -> None:
    restored = place.restore(includes=(b"/bin", b"docs"), iincludes=(b"TOOL",), excludes=(b"*.none",))
    assert restored.failures == {}


@pytest.mark.parametrize("name", ["readme", "docs/deep/notes", "docs/deep/picture"])
def test_a_file_named_after_the_snapshot(place: Place, name: str) -> None:
    restored = place.restore(snapshot=f"latest:{place.source}/{name}")
    assert not restored.finished.partial
    assert listing(place.target) == {Path(name).name}
    assert (place.target / Path(name).name).read_bytes() == FILES[name]


def test_a_file_named_after_the_snapshot_lands_where_it_was(place: Place) -> None:
    from tests.support.restore import restore_in_place  # noqa: PLC0415 -- one test's

    (place.source / "docs/guide").unlink()
    (place.source / "docs/later").write_bytes(b"later")
    mode = (place.source / "docs").stat().st_mode
    restored = restore_in_place(place.session, f"latest:{place.source}/docs/guide", delete=True)
    assert not restored.finished.partial
    assert (place.source / "docs/guide").read_bytes() == FILES["docs/guide"]
    assert (place.source / "docs/later").exists()
    assert (place.source / "docs").stat().st_mode == mode


@pytest.mark.parametrize("inside", ["no/such", "readme/below", "docs/guide/x"])
def test_a_subfolder_that_is_not_there(place: Place, inside: str) -> None:
    with pytest.raises(SnapshotNotFoundError):
        place.restore(snapshot=f"latest:{place.source}/{inside}")
    assert not place.target.exists()


@pytest.mark.parametrize(
    "wanted", [{"tags": ("no-such",)}, {"hosts": ("no-such",)}, {"paths": ("/no/such",)}], ids=str
)
def test_a_verification_of_nothing_is_an_error(place: Place, wanted: dict[str, Any]) -> None:
    with pytest.raises(SnapshotNotFoundError, match="nothing is verified"):
        choose_snapshots(place.session, VerifyOrder(which=Choice(**wanted)))


def test_a_snapshot_that_was_forgotten_before_its_verification(place: Place) -> None:
    """It is no damage that it is gone."""
    run = VerifyRun(session=place.session, run_id="late")
    opening = open_verification(run, VerifyOrder(snapshots=("latest",)))
    place.session.repository.storage.delete(file_name(SNAPSHOTS, opening.snapshots[0]))
    with pytest.raises(SnapshotNotFoundError, match="there is no snapshot"):
        check_trees(run, nothing)


def test_a_verification_of_a_folder(place: Place) -> None:
    """Damage beside the folder is no concern of it; a folder that is not there is an error."""
    runs = {name: VerifyRun(session=place.session, run_id=name) for name in ("whole", "part", "none")}
    whole = open_verification(runs["whole"], VerifyOrder(snapshots=("latest",)))
    part = open_verification(runs["part"], VerifyOrder(snapshots=(f"latest:{place.source}/docs/deep",)))
    assert part.snapshots == whole.snapshots
    files = {name: check_trees(runs[name], nothing).files for name in ("whole", "part")}
    assert files == {"whole": 6, "part": 2}
    for missing in ("no/such", "readme"):
        with pytest.raises(SnapshotNotFoundError):
            open_verification(runs["none"], VerifyOrder(snapshots=(f"latest:{place.source}/{missing}",)))
        assert [*runs["none"].workspace.list()] == []
