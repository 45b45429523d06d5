"""The jobs of the table."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from benchmarks import data
from benchmarks.contenders import Verb


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row. filled: it begins with a repository that holds a backup of the tree, else with an empty one.

    timed: else there is only the run that is watched for its memory. many_files: what it writes has very many files,
    so nothing of it is deleted before the end of all jobs (see runner.py). changes: the tree is changed once the
    filled repositories are there. targets: wall time as a share of restic's, by contender.
    """

    name: str
    title: str
    verb: Verb
    tree: str
    filled: bool = True
    timed: bool = True
    many_files: bool = False
    changes: bool = False
    targets: Mapping[str, float] = field(default_factory=dict)


def _targets(service: float, one_shot: float) -> Mapping[str, float]:
    return {"holdfast-service": service, "holdfast-one-shot": one_shot}


JOBS: Final = (
    Job(
        name="backup-big",
        title="backup, big",
        verb=Verb.BACKUP,
        tree=data.BIG,
        filled=False,
        targets=_targets(0.40, 0.50),
    ),
    Job(
        name="backup-small",
        title="backup, small",
        verb=Verb.BACKUP,
        tree=data.SMALL,
        filled=False,
        targets=_targets(0.45, 0.65),
    ),
    Job(
        name="unchanged-small",
        title="nothing changed, small",
        verb=Verb.BACKUP,
        tree=data.SMALL,
        targets=_targets(0.35, 1.00),
    ),
    Job(name="unchanged-tiny", title="nothing changed, ten files", verb=Verb.BACKUP, tree=data.TINY),
    Job(
        name="changed",
        title="changed",
        verb=Verb.BACKUP,
        tree=data.CHANGED,
        changes=True,
        targets=_targets(0.45, 0.70),
    ),
    Job(
        name="restore-big",
        title="restore, big",
        verb=Verb.RESTORE,
        tree=data.BIG,
        targets=_targets(0.50, 0.65),
    ),
    Job(
        name="restore-small",
        title="restore, small",
        verb=Verb.RESTORE,
        tree=data.SMALL,
        many_files=True,
        targets=_targets(0.60, 0.75),
    ),
    Job(
        name="verify-big",
        title="verify all data, big",
        verb=Verb.VERIFY,
        tree=data.BIG,
        targets=_targets(0.50, 0.80),
    ),
    Job(
        name="verify-small",
        title="verify all data, small",
        verb=Verb.VERIFY,
        tree=data.SMALL,
        targets=_targets(0.50, 1.00),
    ),
    Job(
        name="wide-reference",
        title="backup, wide, a hundredth",
        verb=Verb.BACKUP,
        tree=data.WIDE_REFERENCE,
        filled=False,
        timed=False,
    ),
    Job(name="wide", title="backup, wide", verb=Verb.BACKUP, tree=data.WIDE, filled=False, timed=False),
)


def chosen(names: str) -> list[Job]:
    """The jobs of a list of names, in the order of the table; all for an empty one.

    Raises:
        ValueError: one is not known.
    """
    wanted = set(names.replace(",", " ").split())
    unknown = wanted - {job.name for job in JOBS}
    if unknown:
        known = ", ".join(job.name for job in JOBS)
        raise ValueError(f"no such job: {', '.join(sorted(unknown))} (there are {known})")
    return [job for job in JOBS if not wanted or job.name in wanted]
