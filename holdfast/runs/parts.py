"""Long lists of records as a run keeps them: in order, in documents of limited length, `<folder>/part-…`."""

from collections.abc import Iterable, Iterator
from typing import Generic, TypeVar

import msgspec

from holdfast.errors import CorruptFileError
from holdfast.repository.documents import encode
from holdfast.runs.read_ahead import read_ahead
from holdfast.runs.workspace import Workspace

RecordT = TypeVar("RecordT", bound=msgspec.Struct)


class PartWriter(Generic[RecordT]):
    """Writes records, up to `part_records` of them in one document. parts: how many documents there are."""

    def __init__(self, workspace: Workspace, folder: str, part_records: int) -> None:
        self.parts = 0
        self._workspace = workspace
        self._folder = folder
        self._part_records = part_records
        self._records: list[RecordT] = []

    def add(self, records: Iterable[RecordT]) -> None:
        """Add records; what is behind the last full document waits for `flush`."""
        self._records.extend(records)
        while len(self._records) >= self._part_records:
            self._write(self._records[: self._part_records])
            del self._records[: self._part_records]

    def flush(self) -> None:
        """Write what waits."""
        if self._records:
            self._write(self._records)
            self._records = []

    def _write(self, records: list[RecordT]) -> None:
        self._workspace.put(_name(self._folder, self.parts), encode(records))
        self.parts += 1


def read_parts(
    workspace: Workspace,
    parts_of: Iterable[tuple[str, int]],
    decoder: msgspec.msgpack.Decoder[list[RecordT]],
    *,
    streams: int = 1,
) -> Iterator[list[RecordT] | None]:
    """The documents of these folders, each with its number of parts, in order; None for one that is not there.

    Raises:
        CorruptFileError: a document cannot be read.
    """
    names = (_name(folder, part) for folder, parts in parts_of for part in range(parts))
    for data in read_ahead(workspace, names, streams=streams):
        try:
            yield None if data is None else decoder.decode(data)
        except msgspec.MsgspecError as error:
            raise CorruptFileError(f"a part of the run's records cannot be read: {error}") from error


def _name(folder: str, part: int) -> str:
    return f"{folder}/part-{part:06d}"
