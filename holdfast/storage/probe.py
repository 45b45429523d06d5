"""The probe of a place: tries what a repository relies on, and says what it found.

Files of its own lie under `holdfast/probe/` while it lasts. A place that takes no names but restic's is only read: what
has the name of a lock and is none would stop others.

    written      what was put is read back, byte for byte: some servers keep a checksum's trailer inside the file
    ranges       parts of a file can be read
    creates      of two `put_new` of one name the second is told, and changes nothing
    replaces     a file can be replaced
    listed       what was written is listed at once, and what was deleted is not after `settle_s`
    deletes      files can be deleted
    clock        the place's clock and this host's are at most five minutes apart
"""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from holdfast.errors import HoldfastError, StorageDeniedError, StorageUnavailableError
from holdfast.storage.contract import Storage

_FOLDER: Final = "holdfast/probe"
_CONTENT_BYTES: Final = 64 * 1024
_MOST_SKEW_S: Final = 300.0
_OF_DOCUMENTS: Final = frozenset({"creates", "replaces", "deletes"})
"""What documents of runs need, which may lie in a companion."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was tried. needed: a repository cannot lie there without it. what: in words, where it is not
    well."""

    subject: str
    well: bool
    needed: bool = True
    what: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probed:
    """All findings, and how long a small request took."""

    findings: tuple[Finding, ...]
    latency_s: float

    @property
    def holds_a_repository(self) -> bool:
        """Whether nothing is missing that a repository needs."""
        return all(found.well or not found.needed for found in self.findings)

    @property
    def creates(self) -> bool:
        """Whether of two that create a file one wins."""
        return all(found.well for found in self.findings if found.subject == "creates")


def probe(storage: Storage, *, now: Callable[[], float] = time.time) -> Probed:
    """Try a place. What cannot be tried because it cannot be reached is no finding.

    Raises:
        StorageUnavailableError: it does not answer.
        StorageDeniedError: it lets us do nothing at all.
    """
    begun = time.monotonic()
    storage.size_or_none("config")
    latency_s = time.monotonic() - begun
    if not storage.traits.any_name:
        return Probed(findings=(_only_read(storage),), latency_s=latency_s)
    folder = f"{_FOLDER}/{secrets.token_hex(8)}"
    trial = _Trial(storage, folder, now)
    findings = [
        trial.written(),
        trial.ranges(),
        trial.listed(),
        trial.clock(),
        trial.creates(),
        trial.replaces(),
    ]
    findings.append(trial.deletes())
    return Probed(findings=tuple(findings), latency_s=latency_s)


def refuse_unfit(storage: Storage, *, has_companion: bool) -> None:
    """Refuse a place at a distance that cannot hold a new repository. has_companion: what runs decide lies elsewhere.

    Raises:
        StorageDeniedError: it cannot; the message says why.
        StorageUnavailableError: it does not answer.
    """
    probed = probe(storage)
    wrong = [found.what for found in probed.findings if not found.well and found.needed]
    if not wrong and not has_companion:
        wrong = [found.what for found in probed.findings if not found.well and found.subject in _OF_DOCUMENTS]
    if wrong:
        raise StorageDeniedError(
            f"{storage.location}: this place cannot hold a repository: {'; '.join(wrong)}",
            hint="`holdfast storage check` tries it again; docs/storage.md says what a place must be able to do.",
        )


def _only_read(storage: Storage) -> Finding:
    with _told("listed") as finding:
        for folder in ("keys", "snapshots", "locks"):
            next(iter(storage.list(folder)), None)
    return finding[0]


class _Trial:
    """One probe in a folder of its own. The order of the methods matters: each builds on those before."""

    def __init__(self, storage: Storage, folder: str, now: Callable[[], float]) -> None:
        self._storage = storage
        self._folder = folder
        self._now = now
        self._name = f"{folder}/file"
        self._content = secrets.token_bytes(_CONTENT_BYTES)

    def written(self) -> Finding:
        """The first write: a place that refuses it is told as it is."""
        self._storage.put(self._name, self._content)
        with _told("written") as finding:
            size = self._storage.size(self._name)
            read = self._storage.get(self._name, limit_bytes=2 * _CONTENT_BYTES)
            if read != self._content or size != _CONTENT_BYTES:
                _refuse("what was written is read back differently")
        return finding[0]

    def ranges(self) -> Finding:
        with _told("ranges") as finding:
            if self._storage.get_range(self._name, 1000, 500) != self._content[1000:1500]:
                _refuse("parts of a file are read wrong")
        return finding[0]

    def listed(self) -> Finding:
        with _told("listed") as finding:
            if self._name not in self._names():
                _refuse("what was just written is not listed")
        return finding[0]

    def clock(self) -> Finding:
        with _told("clock", needed=False) as finding:
            for stored in self._storage.list(self._folder):
                skew_s = stored.modified_ns / 1e9 - self._now()
                if abs(skew_s) > _MOST_SKEW_S:
                    _refuse(f"its clock differs from this host's by {skew_s / 60:.0f} minutes")
        return finding[0]

    def creates(self) -> Finding:
        with _told("creates", needed=False) as finding:
            name = f"{self._folder}/new"
            self._storage.put_new(name, b"first")
            second = self._storage.put_new(name, b"second")
            if second or self._storage.get(name, limit_bytes=100) != b"first":
                _refuse("of two that create one file both win: name a `companion` for what runs decide")
        return finding[0]

    def replaces(self) -> Finding:
        with _told("replaces", needed=False) as finding:
            self._storage.put(self._name, b"replaced")
            if self._storage.get(self._name, limit_bytes=2 * _CONTENT_BYTES) != b"replaced":
                _refuse("a file that was replaced is read as it was: name a `companion`")
        return finding[0]

    def deletes(self) -> Finding:
        with _told("deletes", needed=False) as finding:
            self._storage.delete_folder(self._folder)
            time.sleep(self._storage.settle_s)
            if self._names() or self._storage.size_or_none(self._name) is not None:
                _refuse("what was deleted is still there")
        return finding[0]

    def _names(self) -> set[str]:
        return {stored.name for stored in self._storage.list(self._folder)}


class _NotWellError(Exception):
    """A trial has failed, in these words."""


def _refuse(what: str) -> None:
    raise _NotWellError(what)


@contextmanager
def _told(subject: str, *, needed: bool = True) -> Iterator[list[Finding]]:
    """Try something; the finding stands in the list afterwards."""
    found: list[Finding] = []
    what = ""
    try:
        yield found
    except StorageUnavailableError:
        raise
    except _NotWellError as error:
        what = str(error)
    except (StorageDeniedError, HoldfastError) as error:
        what = error.message
    found.append(Finding(subject=subject, well=not what, needed=needed, what=what))
