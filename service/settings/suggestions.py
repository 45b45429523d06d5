"""Hints for mistyped names: the nearest known one, or all of them."""

import difflib
from collections.abc import Iterable
from typing import Final

_LIKENESS: Final = 0.6
_MOST_LISTED: Final = 16


def one_of(given: str, known: Iterable[str], what: str) -> str:
    """A sentence that helps a person who wrote `given` where one of `known` belongs."""
    names = sorted(known)
    near = difflib.get_close_matches(given.lower(), names, n=1, cutoff=_LIKENESS)
    if near:
        return f'Did you mean "{near[0]}"?'
    listed = ", ".join(f'"{name}"' for name in names[:_MOST_LISTED])
    return f"Known here for {what}: {listed}{', …' if len(names) > _MOST_LISTED else ''}."
