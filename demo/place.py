"""The place of the demonstration's repository: a folder of the work directory, or a bucket of a server beside it."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

STORES: Final = ("local", "s3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A location, as restic writes it. environ: what reaches it."""

    location: str
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)

    def stored_bytes(self) -> int:
        """How much lies there."""
        folder = Path(self.location)
        return sum((Path(top) / name).lstat().st_size for top, _, names in os.walk(folder) for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket(Place):
    """The same in a bucket."""

    def stored_bytes(self) -> int:
        """See `Place`."""
        from holdfast.storage.credentials import fixed  # noqa: PLC0415 - only where there is a bucket
        from holdfast.storage.locations import open_storage  # noqa: PLC0415 - as above

        storage = open_storage(self.location, fixed(self.environ))
        folders = ("data", "index", "keys", "snapshots")
        return sum(stored.size_bytes for folder in folders for stored in storage.list(folder))


@contextlib.contextmanager
def place(store: str, work: Path) -> Iterator[Place]:
    """The place, for as long as the demonstration lasts."""
    if store == "local":
        yield Place(location=str(work / "repository"))
        return
    from tests.support.seaweed import running_seaweed  # noqa: PLC0415 - a tool of development

    with running_seaweed() as server:
        yield Bucket(location=server.location("demo"), environ=server.environ)
