"""Answers a shell that completes a word: `holdfast __complete SHELL …`, as the scripts in scripts/ call it.

`bash` gives the line up to the cursor, because it cuts words at "=" as well; `zsh` and `fish` give the words, from the
program's name to the one at the cursor. The answer is lines: first "words", "files" or "folders", which says what else
may stand there, then a candidate each, with its help behind a tab. A shell that is told nothing shows nothing, so
whatever goes wrong here is silence: a person who presses Tab has not asked anything yet.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from holdfast.starter.completion import candidates, grammar

_CONTROLS: Final = dict.fromkeys([*range(32), 127], " ")


def answer_shell(arguments: Sequence[str]) -> int:
    """Print what may stand at the cursor; arguments: behind `__complete`. The exit code, which is 0."""
    with contextlib.suppress(Exception):
        sys.stdout.write(lines(arguments, os.environ))
        sys.stdout.flush()
    return 0


def lines(arguments: Sequence[str], environ: Mapping[str, str]) -> str:
    """The answer, with a line end behind each line."""
    shell, *given = arguments
    words = split(given[0]) if shell == "bash" else given
    before, current = words[1:-1], words[-1]
    config = next((after for word, after in zip(before, words[2:], strict=False) if word == "--config"), "")

    def known(repository: str, kind: str) -> list[candidates.Candidate]:
        from holdfast.starter.completion.known import KnownValues  # noqa: PLC0415 - most words need no values

        return KnownValues(environ, config=config, repository=repository)(kind)

    found = candidates.answer(grammar.load(), before, current, known)
    kinds = {(True, False): "files", (False, True): "folders"}
    said = [kinds.get((found.files, found.folders), "words")]
    # Bash puts what it is told behind the "=" that stands there.
    cut = (
        len(current.partition("=")[0]) + 1
        if shell == "bash" and current.startswith("--") and "=" in current
        else 0
    )
    for word, about in found.candidates:
        help_ = about.translate(_CONTROLS)
        said.append(f"{word[cut:]}\t{help_}" if help_ else word[cut:])
    return "".join(f"{line}\n" for line in said)


def split(line: str) -> list[str]:
    """The words of a line as a shell reads them, the last one unfinished: "" where a new one begins at the end."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words += lexer
    except ValueError:  # an open quote, or a backslash at the end
        return [*words, lexer.token]
    return [*words, ""] if not line or line[-1].isspace() else words
