"""What the guard found, as values; and the judgement on it, which is pure."""

from dataclasses import dataclass, field
from enum import StrEnum


class FindingKind(StrEnum):
    """missing: the snapshot has it, the source does not. damaged: its content differs while size and time of change
    say that nobody wrote it. noise: it was written, and what was orderly is noise now."""

    MISSING = "missing"
    DAMAGED = "damaged"
    NOISE = "noise"


class Alarm(StrEnum):
    """Why a source as a whole looks wrong."""

    NONE = ""
    ROOT_GONE = "a root of the source is gone or empty"
    MASS_CHANGE = "an unusual share of the files changed at once"
    NOISE = "an unusual share of the files turned into noise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One path. A missing directory stands for everything below it: files and size_bytes count that."""

    path: bytes
    kind: FindingKind
    files: int = 1
    size_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When changes are an alarm; shares are of the snapshot's files.

    read_share: of seemingly unchanged files, those that are read.
    """

    max_changed_share: float = 0.5
    max_noise_share: float = 0.05
    min_alarm_files: int = 20
    read_share: float = 0.02


@dataclass(slots=True, kw_only=True)
class Comparison:
    """A source beside its newest snapshot, while it is being compared and after.

    files: those of the snapshot that were looked at, missing ones included. changed: written since, by size or time.
    noise_new: new files that are noise. samples: changed files whose content was looked at for noise.
    """

    files: int = 0
    new: int = 0
    changed: int = 0
    missing: int = 0
    missing_bytes: int = 0
    damaged: int = 0
    noise: int = 0
    noise_new: int = 0
    samples: int = 0
    unreadable: int = 0
    files_read: int = 0
    bytes_read: int = 0
    root_gone: bool = False
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Count a finding and keep it."""
        if finding.kind is FindingKind.MISSING:
            self.files += finding.files
            self.missing += finding.files
            self.missing_bytes += finding.size_bytes
        elif finding.kind is FindingKind.DAMAGED:
            self.damaged += 1
        else:
            self.noise += 1
        self.findings.append(finding)

    def paths(self, *kinds: FindingKind) -> tuple[bytes, ...]:
        """The paths of these kinds, in the order of the walk."""
        return tuple(finding.path for finding in self.findings if finding.kind in kinds)


def judge(found: Comparison, thresholds: Thresholds) -> Alarm:
    """The alarm that the counts give. A root that is gone comes first: its file system may just not be mounted."""
    if found.root_gone:
        return Alarm.ROOT_GONE
    noise = found.noise
    if found.changed > found.samples > 0:
        noise = noise * found.changed // found.samples
    # Ransomware that renames what it encrypts leaves missing files and as many new ones.
    noise += min(found.noise_new, found.missing)
    if noise >= thresholds.min_alarm_files and noise > thresholds.max_noise_share * found.files:
        return Alarm.NOISE
    if (
        found.changed >= thresholds.min_alarm_files
        and found.changed > thresholds.max_changed_share * found.files
    ):
        return Alarm.MASS_CHANGE
    return Alarm.NONE
