"""The directories of a shard's files, opened one after the other: consecutive files mostly share theirs."""

import os
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from holdfast.backup.documents import Failed
from holdfast.backup.store.file_outcomes import failed
from holdfast.source.roots import SourceRoots
from holdfast.source.spec import SourceSpec


class SourceDirectories:
    """Keeps the directory that was opened last. One thread uses it; a context manager."""

    def __init__(self, spec: SourceSpec, paths: Sequence[bytes]) -> None:
        self._roots = SourceRoots(spec.roots)
        self._paths = paths
        self._open: tuple[int, int | Failed] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, directory: int) -> int | Failed:
        """The descriptor of a directory of the plan; valid until the next call. Failed when it cannot be opened."""
        if self._open is not None and self._open[0] == directory:
            return self._open[1]
        self.close()
        try:
            opened: int | Failed = self._roots.open_directory(self._paths[directory])
        except OSError as error:
            opened = failed(error)
        self._open = (directory, opened)
        return opened

    def close(self) -> None:
        """Close what is open."""
        if self._open is not None and isinstance(self._open[1], int):
            os.close(self._open[1])
        self._open = None
