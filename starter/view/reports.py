"""Reports a run that is over: the summary, the paths that went wrong, the exit code."""

import functools
import itertools
import os
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from holdfast.contracts.verbs import Result
from holdfast.control.journal import open_journal
from holdfast.control.records import TOLD_ACTIONS
from holdfast.errors import EXIT_COMPLETE, EXIT_FAILED, EXIT_PARTIAL, JournalUnavailableError
from holdfast.file_list import FileAction, FileRecord
from holdfast.safe_fs.attributes import kind_of_loss
from holdfast.service.settings.model import Settings
from holdfast.starter.shell.cells import one_line
from holdfast.starter.shell.output import say, say_flowed, say_json, warn, warn_json
from holdfast.starter.shell.screen import answer_screen
from holdfast.starter.shell.text import ahead_of_time, printable
from holdfast.starter.view import json_lines
from holdfast.starter.view.results.catalogue import words_of
from holdfast.starter.view.results.words import Words
from holdfast.terms import RunStatus
from holdfast.units import counted, format_bytes

if TYPE_CHECKING:
    from holdfast.service.journal.journal import Journal

_SHOWN_ERRORS: Final = 20
_ACTION_WIDTH: Final = 10
_WOULD: Final = "would "
_CONDITIONAL: Final[Mapping[FileAction, str]] = {
    FileAction.NEW: "add",
    FileAction.CHANGED: "add again",
    FileAction.RESTORED: "restore",
    FileAction.UPDATED: "update",
    FileAction.UNCHANGED: "keep",
    FileAction.SKIPPED: "skip",
    FileAction.DELETED: "delete",
    FileAction.FAILED: "fail",
}


class Report:
    """How one command tells of its run. list_files: also what became of each path (a dry run, or -v). files: what did
    become of each, of a run that left no record; else the journal knows."""

    def __init__(
        self,
        settings: Settings,
        *,
        as_json: bool,
        quiet: bool,
        list_files: bool = False,
        files: Callable[[], Iterable[FileRecord]] | None = None,
    ) -> None:
        self._unrecorded = files
        self._settings = settings
        self._json = as_json
        self._quiet = quiet
        self._list_files = list_files

    def tell(self, result: Result) -> int:
        """Say it all; the exit code."""
        words = words_of(result)
        if self._list_files:
            self._tell_files(result.run_id, dry_run=words.dry_run)
        if words.sound is False:
            self._tell_problems(result.run_id)
        if result.status is RunStatus.PARTIAL or words.paths:
            self._tell_errors(words.during, result.run_id)
        self._tell_hooks(words)
        self._tell_ahead(words)
        if self._json:
            say_json(words.summary)
        elif not self._quiet:
            say_flowed(words.lines)
        return _exit_code(result, words)

    def _tell_ahead(self, words: Words) -> None:
        """Of each snapshot that is dated in the future: another one was the latest."""
        for snapshot in words.ahead:
            text = ahead_of_time(snapshot, words.taken)
            if self._json:
                say_json(json_lines.note(text))
            else:
                warn(f"Warning: {text}")

    @functools.cached_property
    def _journal(self) -> "Journal":
        """Opened by those runs only of which there is more to tell than their result."""
        return open_journal(self._settings, os.environ)

    def _tell_hooks(self, words: Words) -> None:
        for hook in words.hooks:
            if hook.ok:
                continue
            if self._json:
                warn_json({"message_type": "error", "error": {"message": hook.words}, "during": "hooks"})
            else:
                warn(f"{hook.words}; `holdfast run show` has what it printed")

    def _tell_files(self, run_id: str, *, dry_run: bool) -> None:
        files = self._files(run_id)
        if self._json:
            for message in json_lines.actions(files):
                say_json(message)
            return
        screen = answer_screen()
        width = _ACTION_WIDTH + (len(_WOULD) if dry_run else 0)
        for file in files:
            done = file.action.value
            action = _WOULD + _CONDITIONAL[file.action] if dry_run and file.action in _CONDITIONAL else done
            size = f" ({format_bytes(file.size_bytes)})"
            path = one_line(printable(file.path), used=width + 1 + len(size), screen=screen)
            say(f"{action:<{width}} {path}{size}")

    def _tell_problems(self, run_id: str) -> None:
        """What a verification or a drill has found, as its verdict lists it."""
        try:
            record = self._journal.run(run_id)
        except JournalUnavailableError as error:
            warn(f"the journal cannot be read: {error.message}")
            return
        problems = () if record is None or record.verdict is None else record.verdict.problems
        if self._json:
            for problem in problems:
                warn_json({"message_type": "error", "error": {"message": problem}, "during": "verify"})
            return
        for problem in problems[:_SHOWN_ERRORS]:
            warn(problem)
        if len(problems) > _SHOWN_ERRORS:
            warn(f"… and {len(problems) - _SHOWN_ERRORS:,} more; --json lists them")

    def _tell_errors(self, during: str, run_id: str) -> None:
        wrong = self._files(run_id, TOLD_ACTIONS)
        if self._json:
            for file in wrong:
                warn_json(json_lines.file_error(during, file))
            return
        wrong = self._without_losses(wrong)
        for file in itertools.islice(wrong, _SHOWN_ERRORS):
            warn(f"{file.action.value}: {printable(file.path)}: {file.message}")
        rest = sum(1 for _ in wrong)
        if rest:
            warn(f"… and {rest:,} more; --json lists them all")

    @staticmethod
    def _without_losses(wrong: Iterator[FileRecord]) -> Iterator[FileRecord]:
        """All but what the target refuses; that is told once for each kind, at the end."""
        first: dict[str, FileRecord] = {}
        counts: Counter[str] = Counter()
        for file in wrong:
            if kind := kind_of_loss(file.message):
                counts[kind] += 1
                first.setdefault(kind, file)
            else:
                yield file
        for kind, count in counts.items():
            example = f"{printable(first[kind].path)}: {first[kind].message}"
            more = (
                f" (and {counted(count - 1, 'more path', 'more paths')}; `holdfast run files` lists them)"
                if count > 1
                else ""
            )
            warn(f"{first[kind].action.value}: {example}{more}")

    def _files(self, run_id: str, actions: Collection[FileAction] = ()) -> Iterator[FileRecord]:
        if self._unrecorded is not None:
            yield from (file for file in self._unrecorded() if not actions or file.action in actions)
            return
        try:
            yield from self._journal.files(run_id, actions)
        except JournalUnavailableError as error:
            warn(f"the journal cannot be read: {error.message}")


def _exit_code(result: Result, words: Words) -> int:
    if words.sound is not None:
        return EXIT_COMPLETE if words.sound else EXIT_FAILED
    verdict = result.verdict
    if verdict is not None and not verdict.ok:
        warn(
            f"Error: the verification ({verdict.level.value}) found {counted(verdict.problems, 'problem')}\n"
            "`holdfast status` names the run; the journal lists them."
        )
        return EXIT_FAILED
    if result.status is RunStatus.FAILED:
        return EXIT_FAILED
    return EXIT_PARTIAL if result.status is RunStatus.PARTIAL else EXIT_COMPLETE
