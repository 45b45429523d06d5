"""What is restored: one file, a batch, a pattern, a subfolder, the whole."""

import pytest

from holdfast.errors import SnapshotNotFoundError, TargetError, UsageError
from holdfast.repository.choice import Choice
from holdfast.restore.request import RestoreOptions
from tests.restore.conftest import FILES, Place, listing
from tests.support.trees import itemized


def test_the_whole(place: Place) -> None:
    restored = place.restore()
    assert not restored.failures
    assert itemized(place.source, place.target) == []
    assert (restored.counts.files, restored.counts.files_written) == (6, 6)


def test_one_file(place: Place) -> None:
    place.restore(includes=(b"/docs/deep/notes",))
    assert listing(place.target) == {"docs", "docs/deep", "docs/deep/notes"}
    assert (place.target / "docs/deep/notes").read_bytes() == FILES["docs/deep/notes"]


def test_a_batch_of_paths(place: Place) -> None:
    restored = place.restore(exact_paths=(b"/bin/tool", b"/docs/deep", b"/docs/no-such"))
    expected = {"bin", "bin/tool", "docs", "docs/deep", "docs/deep/notes", "docs/deep/picture"}
    assert listing(place.target) == expected
    assert restored.failures == {b"/docs/no-such": "the snapshot has no such path"}
    assert restored.finished.partial


def test_a_pattern_and_what_it_leaves_out(place: Place) -> None:
    place.restore(includes=(b"docs",), excludes=(b"pict*",))
    assert listing(place.target) == {"docs", "docs/guide", "docs/second-name", "docs/deep", "docs/deep/notes"}


def test_patterns_without_regard_to_case(place: Place) -> None:
    place.restore(iincludes=(b"TOOL",))
    assert listing(place.target) == {"bin", "bin/tool"}


def test_a_second_name_of_a_file_that_was_not_selected_is_a_file(place: Place) -> None:
    place.restore(includes=(b"second-name",))
    assert (place.target / "docs/second-name").read_bytes() == FILES["readme"]


def test_names_of_one_file_stay_together(place: Place) -> None:
    first, second = place.restore(), place.restore()
    assert (place.target / "readme").stat().st_ino == (place.target / "docs/second-name").stat().st_ino
    assert (first.counts.files_written, first.counts.files_kept) == (len(FILES) + 1, 0)
    assert (second.counts.files_written, second.counts.files_kept) == (0, len(FILES) + 1)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"snapshot": "latest:/no/such"}, SnapshotNotFoundError),
        ({"snapshot": "0123456789"}, SnapshotNotFoundError),
        ({"which": Choice(hosts=("elsewhere",))}, SnapshotNotFoundError),
        ({"snapshot": "latest:/a/../.."}, UsageError),
        ({"includes": (b"[",)}, UsageError),
    ],
)
def test_what_does_not_exist_is_refused(
    place: Place, options: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        place.restore(**options)
    assert not place.target.exists()


def test_a_target_that_is_a_file_is_refused(place: Place) -> None:
    place.target.write_bytes(b"in the way")
    with pytest.raises(TargetError):
        place.restore()
    assert place.target.read_bytes() == b"in the way"


def test_deleting_at_the_root_is_refused() -> None:
    with pytest.raises(TargetError):
        RestoreOptions(target=b"/", delete=True).check()


def test_a_path_to_leave_out_that_is_not_there_is_told(place: Place) -> None:
    """A typing error there restores over what was to be spared."""
    restored = place.restore(excludes=(b"/docs", b"/docs/deep", b"/no/such", b"*.tmp", b"no-such"))
    assert restored.failures == {b"/no/such": "nothing in the snapshot matches this pattern"}
    assert restored.finished.partial
    assert not (place.target / "docs").exists()


def test_paths_to_leave_out_that_are_there_are_no_failure(place: Place) -> None:
    restored = place.restore(excludes=(b"/docs/deep",), iexcludes=(b"/BIN/tool", b"*.tmp"))
    assert not restored.finished.partial
    assert not (place.target / "bin/tool").exists()
