"""Stock restic judges the rules: `restic forget --dry-run` keeps the same snapshots, for the same reasons."""

import json
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.format.snapshot import encode_snapshot
from holdfast.ids import SnapshotId, to_hex
from holdfast.repository.layout import SNAPSHOTS
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots
from holdfast.retention.groups import grouped, parse_group_by
from holdfast.retention.policy import UNLIMITED, Kept, Policy, apply_policy
from tests.retention.made import COUNTS, NOW_NS, PERIODS, made, policies
from tests.retention.made import SNAPSHOTS as MADE
from tests.support.engine import new_session
from tests.support.stock import Restic

KEEPS_OLDEST = (0, 17)
"""From this version on restic has "unlimited", and the oldest stays where a count is left."""
SNAPSHOTS_OF_TWO = st.lists(
    st.builds(
        lambda stored, host, path: made(
            stored.snapshot.time, tags=stored.snapshot.tags or (), host=host, paths=(path,)
        ),
        MADE,
        st.sampled_from(("mars", "venus")),
        st.sampled_from(("/a", "/b")),
    ),
    min_size=1,
    max_size=30,
    unique_by=lambda stored: stored.time_ns,
)


def version() -> tuple[int, ...]:
    said = subprocess.run(["restic", "version"], check=True, capture_output=True, text=True).stdout
    found = re.match(r"restic (\d+)\.(\d+)", said)
    assert found is not None, said
    return int(found[1]), int(found[2])


def options(policy: Policy) -> list[str]:
    """The policy as restic's command line has it."""
    found = [f"--keep-tag={','.join(tags)}" for tags in policy.tags]
    for word in ("last", *PERIODS):
        count = getattr(policy, word)
        found += [f"--keep-{word}={'unlimited' if count == UNLIMITED else count}"] if count else []
    for word in ("within", *(f"within-{period}" for period in PERIODS)):
        span = getattr(policy, word.replace("-", "_"))
        found += [f"--keep-{word}={span}"] if span else []
    return found


def write(session: RepositorySession, snapshots: Sequence[StoredSnapshot]) -> None:
    """In place of those that are there."""
    session.repository.storage.delete_folder(SNAPSHOTS)
    for stored in snapshots:
        session.repository.save_file(SNAPSHOTS, encode_snapshot(stored.snapshot))


def judged_by_restic(repository: Path, policy: Policy, group_by: str) -> dict[str, tuple[str, ...]]:
    """The reasons for each snapshot, by its id; none for one that goes."""
    said = Restic(str(repository), {})(
        "forget", "--dry-run", "--no-lock", "--json", f"--group-by={group_by}", *options(policy)
    )
    found: dict[str, tuple[str, ...]] = {}
    for group in json.loads(said.splitlines()[0]):
        found |= {gone["id"]: () for gone in group["remove"] or ()}
        kept, reasons = group["keep"] or (), group["reasons"] or ()
        assert len(kept) == len(reasons)
        found |= {stays["id"]: tuple(reason["matches"]) for stays, reason in zip(kept, reasons, strict=True)}
    return found


def as_restic_of_old(kept: Kept) -> tuple[str, ...]:
    return tuple(reason for reason in kept.reasons if not reason.startswith("oldest "))


@pytest.mark.parametrize("group_by", ["host,paths", "", "tags"])
def test_restic_keeps_the_same_for_the_same_reasons(
    tmp_path_factory: pytest.TempPathFactory, group_by: str
) -> None:
    keeps_oldest = version() >= KEEPS_OLDEST
    counts = COUNTS | st.just(UNLIMITED) if keeps_oldest else COUNTS
    repository = tmp_path_factory.mktemp("judged") / "repository"
    with new_session(repository) as session:

        @settings(max_examples=8, deadline=None)
        @given(snapshots=SNAPSHOTS_OF_TWO, wanted=st.lists(policies(counts), min_size=3, max_size=3))
        def judge(snapshots: list[StoredSnapshot], wanted: list[Policy]) -> None:
            write(session, snapshots)
            stored = list_snapshots(session.repository)
            for policy in wanted:
                if not policy.has_rules:
                    continue
                ours: dict[str, tuple[str, ...]] = {}
                for group in grouped(stored, parse_group_by(group_by)).values():
                    for kept in apply_policy(policy, group, NOW_NS):
                        reasons = kept.reasons if keeps_oldest else as_restic_of_old(kept)
                        ours[to_hex(SnapshotId(kept.stored.id))] = reasons
                refused = keeps_oldest and any(
                    not any(ours[to_hex(one.id)] for one in group)
                    for group in grouped(stored, parse_group_by(group_by)).values()
                )
                if not refused:
                    assert judged_by_restic(repository, policy, group_by) == ours

        judge()
