"""Decides what may stand at the cursor: commands, options, words, and values that this host knows.

The command line that came before is read as the parser would read it, but for mistakes, which are passed over.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from holdfast.starter.completion.grammar import FILES, FOLDERS, Command, Option

Known = Callable[[str, str], "list[Candidate]"]
"""Values by the repository that the line names ("" for none) and their kind, "<sources>" say."""
_AT_ROOT_ONLY = "--version"


class Candidate(NamedTuple):
    """A word that may stand at the cursor. help: what it means, in a few words; may be empty."""

    word: str
    help: str = ""


class Answer(NamedTuple):
    """What may stand at the cursor, best first. files, folders: also the names of files, or of folders alone."""

    candidates: list[Candidate]
    files: bool = False
    folders: bool = False


class _Line(NamedTuple):
    """The words before the cursor, understood. open: the option whose value stands at the cursor, if one does."""

    command: Command
    arguments: int
    used: set[str]
    open: Option | None
    only_arguments: bool
    repository: str


def answer(root: Command, words: Sequence[str], current: str, known: Known) -> Answer:
    """What may stand in place of `current`, behind `words` (without the program's own name)."""
    line = _read(root, words)
    values = partial(known, line.repository)
    if line.open is not None:
        return _matching(_of(line.open.completed, values), current)
    if current.startswith("-") and not line.only_arguments:
        name, equals, begun = current.partition("=")
        if equals:
            option = _options(root, line.command).get(name)
            found = Answer([]) if option is None else _matching(_of(option.completed, values), begun)
            return found._replace(
                candidates=[one._replace(word=f"{name}={one.word}") for one in found.candidates]
            )
        return _matching(Answer(_unused(root, line)), current)
    if line.command.commands:
        commands = [Candidate(word, below.summary) for word, below in line.command.commands.items()]
        return _matching(Answer(commands), current)
    arguments = line.command.arguments
    if line.arguments < len(arguments):
        return _matching(_of(arguments[line.arguments].completed, values), current)
    if arguments and arguments[-1].repeatable:
        return _matching(_of(arguments[-1].completed, values), current)
    return _matching(Answer(_unused(root, line)), current)


def _read(root: Command, words: Sequence[str]) -> _Line:
    command, arguments, repository, used, only_arguments = root, 0, "", set[str](), False
    open_: Option | None = None
    for word in words:
        if open_ is not None:
            repository = word if "--repo" in open_.names else repository
            open_ = None
        elif word == "--" and not only_arguments:
            only_arguments = True
        elif word.startswith("-") and len(word) > 1 and not only_arguments:
            name, equals, value = word.partition("=")
            option = _options(root, command).get(name)
            if option is not None:
                used.update(option.names)
                open_ = option if option.metavar and not equals else None
                repository = value if equals and "--repo" in option.names else repository
        elif word in command.commands:
            command = command.commands[word]
        else:
            arguments += 1
    return _Line(command, arguments, used, open_, only_arguments, repository)


def _options(root: Command, command: Command) -> dict[str, Option]:
    """The options that a command takes, by each of their names: its own, and those of all."""
    return {name: option for one in (root, command) for option in one.options for name in option.names}


def _unused(root: Command, line: _Line) -> list[Candidate]:
    """Names of the options that can still be given, the command's own first; the short one where there is no other."""
    own = [] if line.command is root else line.command.options
    of_all = [option for option in root.options if line.command is root or _AT_ROOT_ONLY not in option.names]
    names = {name for option in own for name in option.names}
    return [
        Candidate(name, option.help)
        for option in (*own, *of_all)
        if option.repeatable or not line.used.intersection(option.names)
        for name in option.names
        if (name.startswith("--") or len(option.names) == 1) and (option in own or name not in names)
    ]


def _of(completed: Sequence[str], known: Callable[[str], list[Candidate]]) -> Answer:
    """What a place takes, from its kinds and words in their order."""
    found: dict[str, Candidate] = {}
    for kind in completed:
        if kind not in {FILES, FOLDERS}:
            for candidate in known(kind) if kind.startswith("<") else [Candidate(kind)]:
                found.setdefault(candidate.word, candidate)
    return Answer([*found.values()], files=FILES in completed, folders=FOLDERS in completed)


def _matching(found: Answer, begun: str) -> Answer:
    return found._replace(candidates=[one for one in found.candidates if one.word.startswith(begun)])
