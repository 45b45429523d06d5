"""Storages that behave as badly as the contract allows: one lags, one fails, one loses answers, one is slow.

A test that arms a fault uses the double as a context manager: at the end of the block a fault that has not fired fails
the test, because then nothing was tested.
"""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, Self, TypeVar

from holdfast.errors import StorageDeniedError, StorageUnavailableError
from holdfast.storage.contract import Content, Storage, StoredFile, Traits, parts_of
from holdfast.storage.layers.layer import Layer

WRITES: Final = frozenset({"put", "put_new", "delete", "delete_many", "delete_folder", "make_folders"})
READS: Final = frozenset({"get", "get_range", "get_into", "get_range_into", "size", "size_or_none", "list"})
ResultT = TypeVar("ResultT")


class Watched(Layer):
    """Every request passes `request`, which a double overrides. Listings are made whole first."""

    def request(self, call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        """Do one request on a name (the first of many)."""
        raise NotImplementedError

    def put(self, name: str, data: Content) -> None:
        self.request("put", name, lambda: self.below.put(name, data))

    def put_new(self, name: str, data: Content) -> bool:
        return self.request("put_new", name, lambda: self.below.put_new(name, data))

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        return self.request("get", name, lambda: self.below.get(name, limit_bytes=limit_bytes))

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        return self.request("get_range", name, lambda: self.below.get_range(name, offset, length))

    def get_into(self, name: str, buffer: memoryview) -> int:
        return self.request("get_into", name, lambda: self.below.get_into(name, buffer))

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        self.request("get_range_into", name, lambda: self.below.get_range_into(name, offset, buffer))

    def size(self, name: str) -> int:
        return self.request("size", name, lambda: self.below.size(name))

    def size_or_none(self, name: str) -> int | None:
        return self.request("size_or_none", name, lambda: self.below.size_or_none(name))

    def list(self, folder: str) -> Iterator[StoredFile]:
        yield from self.request("list", folder, lambda: [*self.below.list(folder)])

    def delete(self, name: str) -> None:
        self.request("delete", name, lambda: self.below.delete(name))

    def delete_many(self, names: Iterable[str]) -> None:
        wanted = [*names]
        self.request("delete_many", wanted[0] if wanted else "", lambda: self.below.delete_many(wanted))

    def delete_folder(self, folder: str) -> None:
        self.request("delete_folder", folder, lambda: self.below.delete_folder(folder))

    def make_folders(self, folders: Iterable[str]) -> None:
        wanted = [*folders]
        self.request("make_folders", "", lambda: self.below.make_folders(wanted))


@dataclass(slots=True)
class Fault:
    """One request fails: the `at`-th (from 0) of these calls on names that begin with `folder`; all when at is None.

    done: it is carried out, and only its answer is lost.
    """

    calls: frozenset[str]
    folder: str = ""
    at: int | None = 0
    done: bool = False
    seen: int = 0
    fired: int = 0

    def hits(self, call: str, name: str) -> bool:
        """Whether it is this request's turn."""
        if call not in self.calls or not name.startswith(self.folder):
            return False
        self.seen += 1
        return self.at is None or self.seen - 1 == self.at


class FaultyStorage(Watched):
    """Fails by plan, before or after the request was carried out."""

    def __init__(self, below: Storage, *faults: Fault) -> None:
        super().__init__(below)
        self.faults = faults
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            quiet = [fault for fault in self.faults if not fault.fired]
            assert not quiet, f"faults that were armed and did not fire: {quiet}"

    def request(self, call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        with self._lock:
            fault = next((fault for fault in self.faults if fault.hits(call, name)), None)
            if fault is not None:
                fault.fired += 1
        if fault is None:
            return send()
        if fault.done:
            send()
        raise StorageUnavailableError(f"{call} {name}: the connection broke")


class Killed(BaseException):
    """The process ends here."""


class DyingStorage(Watched):
    """A process that is killed before or after its `at`-th write: what it does from then on reaches nothing."""

    def __init__(self, below: Storage, at: int, *, done: bool) -> None:
        super().__init__(below)
        self.at = at
        self.done = done
        self.dead = False
        self._lock = threading.Lock()

    def request(self, call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        with self._lock:
            if self.dead:
                raise StorageUnavailableError("there is no process that could ask")
            if call in WRITES:
                self.at -= 1
            if self.at >= 0:
                dies = False
            else:
                dies = self.dead = True
        if not dies:
            return send()
        if self.done:
            send()
        if threading.current_thread() is not threading.main_thread():
            raise StorageUnavailableError(
                "the process was killed"
            )  # the main thread meets it at its next request
        raise Killed


class LaggingStorage(Watched):
    """Listings show what was deleted for as long as the contract allows: settle_s after the deletion."""

    def __init__(
        self, below: Storage, settle_s: float = 0.1, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__(below)
        self._settle_s = settle_s
        self._clock = clock
        self._ghosts: dict[str, tuple[StoredFile, float]] = {}
        self._lock = threading.Lock()
        self.shown = 0

    @property
    def settle_s(self) -> float:
        return self._settle_s

    @contextmanager
    def armed(self) -> Iterator[Self]:
        """Fails the test when no listing in the block has shown a deleted file."""
        before = self.shown
        yield self
        assert self.shown > before, "no listing has shown a deleted file"

    def request(self, call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        return send()

    def list(self, folder: str) -> Iterator[StoredFile]:
        found = {stored.name: stored for stored in self.below.list(folder)}
        with self._lock:
            now = self._clock()
            self._ghosts = {name: ghost for name, ghost in self._ghosts.items() if ghost[1] > now}
            ghosts = [
                stored
                for name, (stored, _) in self._ghosts.items()
                if name.startswith(f"{folder}/") and name not in found
            ]
            self.shown += len(ghosts)
        yield from (*found.values(), *ghosts)

    def delete(self, name: str) -> None:
        self.delete_many([name])

    def delete_many(self, names: Iterable[str]) -> None:
        for name in names:
            size = self.below.size_or_none(name)
            self.below.delete(name)
            if size is not None:
                self._haunt(StoredFile(name, size, time.time_ns()))

    def delete_folder(self, folder: str) -> None:
        gone = [*self.below.list(folder)]
        self.below.delete_folder(folder)
        for stored in gone:
            self._haunt(stored)

    def _haunt(self, stored: StoredFile) -> None:
        with self._lock:
            self._ghosts[stored.name] = (stored, self._clock() + self._settle_s)


@dataclass(slots=True, eq=False)
class SlowStorage(Watched):
    """Every request takes a while, and many at once are welcome, as at a distance."""

    below: Storage
    latency_s: float = 0.002
    requests: int = 16
    transfers: int = 4
    most_at_once: int = 0
    _under_way: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def traits(self) -> Traits:
        return replace(
            self.below.traits,
            latency_s=self.latency_s,
            requests=self.requests,
            transfers=self.transfers,
            range_bytes=1 << 20,
            gap_bytes=1 << 19,
        )

    def request(self, call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        with self._lock:
            self._under_way += 1
            self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            time.sleep(self.latency_s)
            return send()
        finally:
            with self._lock:
                self._under_way -= 1


_RESTIC_NAME: Final = re.compile(r"config|(data/[0-9a-f]{2}|index|keys|locks|snapshots)/[0-9a-f]{64}")
_RESTIC_FOLDERS: Final = frozenset({"data", "index", "keys", "locks", "snapshots"})


class ResticOnlyStorage(Watched):
    """Takes no names but restic's own, as restic's REST server, and replaces nothing, as a store with object lock."""

    @property
    def traits(self) -> Traits:
        return replace(self.below.traits, any_name=False, replaces=False)

    def request(self, call: str, name: str, send: Callable[[], ResultT]) -> ResultT:
        if call == "make_folders":
            return send()
        known = name in _RESTIC_FOLDERS if call in {"list", "delete_folder"} else _RESTIC_NAME.fullmatch(name)
        assert known, f"{call} {name}: not a name of restic's"
        return send()

    def put(self, name: str, data: Content) -> None:
        stored = b"".join(parts_of(data))
        if self.size_or_none(name) is None:
            super().put(name, stored)
        elif self.get(name, limit_bytes=len(stored)) != stored:
            raise StorageDeniedError(f"{name}: nothing is replaced here")
