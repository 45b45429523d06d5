"""The journal as activities use it: a backup is worth more than its record, so a broken journal never fails a run."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from holdfast.errors import JournalUnavailableError
from holdfast.file_list import WRONG_ACTIONS, Chunk, FileRecord
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import OutputRecord, RunRecord, VerdictRecord

_LOG: Final = logging.getLogger(__name__)


class Recorder:
    """Writes to the journal; where that fails, says so in the worker's log and goes on."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    @property
    def journal(self) -> Journal:
        """The journal itself, for those who cannot go on without it."""
        return self._journal

    def run(self, run_id: str) -> RunRecord | None:
        """The run's record; None also when it cannot be read."""
        try:
            return self._journal.run(run_id)
        except JournalUnavailableError as error:
            _LOG.warning("the record of a run could not be read: %s", error.message)
            return None

    def record(self, record: RunRecord) -> None:
        """Write the run's record, over an earlier one."""
        self._attempt("the record", lambda: self._journal.record(record))

    def add_files(self, run_id: str, files: Iterable[FileRecord]) -> None:
        """Write what became of each file; errors of the iterable itself are raised."""
        self._attempt("the list of files", lambda: self._journal.add_files(run_id, files))

    def add_chunks(self, run_id: str, chunks: Iterable[Chunk]) -> None:
        """The same for files that are encoded already."""
        self._attempt("the list of files", lambda: self._journal.add_chunks(run_id, chunks))

    def wrong_files(self, run_id: str) -> Iterator[FileRecord]:
        """List what went wrong with paths of a run; nothing when that cannot be read."""
        try:
            yield from self._journal.files(run_id, WRONG_ACTIONS)
        except JournalUnavailableError as error:
            _LOG.warning("the list of files of a run could not be read: %s", error.message)

    def add_output(self, run_id: str, output: OutputRecord) -> None:
        """Write what a hook of the run printed."""
        self._attempt("the output of a hook", lambda: self._journal.add_output(run_id, output))

    def outputs(self, run_id: str) -> list[OutputRecord]:
        """How the run's hooks ended; none when that cannot be read."""
        try:
            return self._journal.outputs(run_id)
        except JournalUnavailableError as error:
            _LOG.warning("how the hooks of a run ended could not be read: %s", error.message)
            return []

    def set_verdict(self, run_id: str, verdict: VerdictRecord) -> None:
        """Add the verdict to the run's record."""
        self._attempt("the verdict", lambda: self._journal.set_verdict(run_id, verdict))

    def _attempt(self, what: str, write: Callable[[], object]) -> None:
        try:
            write()
        except JournalUnavailableError as error:
            _LOG.warning("%s of a run could not be written to the journal: %s", what, error.message)
