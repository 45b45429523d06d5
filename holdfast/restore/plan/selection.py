"""Which paths of a snapshot a restore is about: restic's patterns and a batch of exact paths.

Paths begin with "/" at the root of the selected tree. Includes and exact paths add up; excludes take away. As in
restic, a directory that matches is restored itself, and a directory that only leads to something selected is created
for it.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass

from holdfast.restore.request import RestoreOptions
from holdfast.source.patterns import PatternList


@dataclass(frozen=True, slots=True)
class Choice:
    """selected: restore it. descend: something below may be selected. whole: everything below is, by an exact path."""

    selected: bool
    descend: bool
    whole: bool = False


_WILD = frozenset("*?[")
_NOTHING = Choice(selected=False, descend=False)
EVERYTHING = Choice(selected=True, descend=True)
_WHOLE = Choice(selected=True, descend=True, whole=True)


class Selection:
    """The part of a request that selects, made ready for many questions. Raises UsageError for a malformed pattern.

    only: the one file that is meant by the subfolder. matched: numbers of the includes that earlier pages have met.
    """

    def __init__(self, options: RestoreOptions, only: bytes = b"", matched: Iterable[int] = ()) -> None:
        self._includes = [
            PatternList(_texts(options.includes)),
            PatternList(_texts(options.iincludes), ignore_case=True),
        ]
        self._excludes = [
            PatternList(_texts(options.excludes)),
            PatternList(_texts(options.iexcludes), ignore_case=True),
        ]
        self._named = [
            PatternList([text for text in _texts(options.includes) if not _WILD.intersection(text)]),
            PatternList(
                [text for text in _texts(options.iincludes) if not _WILD.intersection(text)], ignore_case=True
            ),
        ]
        exact = (only,) if only else options.exact_paths
        self._exact = frozenset(_clean(path) for path in exact)
        self._leading = frozenset(above for path in self._exact for above in _ancestors(path))
        self._limited = bool(only) or options.limits_selection
        patterns = [
            *((text, False) for text in _texts(options.includes)),
            *((text, True) for text in _texts(options.iincludes)),
        ]
        self._unmatched = {
            number: (text, PatternList([text], ignore_case=ignore_case))
            for number, (text, ignore_case) in enumerate(patterns)
        }
        self._names_excluded = not self._limited and not options.delete
        if self._names_excluded:
            self._unmatched |= self._named_excludes(options)
        self.matched = set(matched)
        for number in self.matched:
            self._unmatched.pop(number, None)
        self._filtered = self._limited or bool(options.excludes or options.iexcludes)

    @property
    def is_everything(self) -> bool:
        """Whether nothing was left out: then nobody has to make up paths for `choose`."""
        return not self._filtered

    def choose(self, path: bytes, *, whole: bool) -> Choice:
        """What to do with `path`; `whole`: it lies below an exact path."""
        if not self._filtered:
            return EVERYTHING
        if any(patterns.matches(path) for patterns in self._excludes):
            if self._names_excluded and self._unmatched:
                self._note_matches(path)
            return _NOTHING
        if whole or path in self._exact:
            return _WHOLE
        if not self._limited:
            return EVERYTHING
        selected = False
        descend = path in self._leading
        for patterns in self._includes:
            matches, below = patterns.matches_with_children(path)
            selected = selected or matches
            descend = descend or below
        if selected and self._unmatched:
            self._note_matches(path)
        return Choice(selected=selected, descend=descend)

    def _named_excludes(self, options: RestoreOptions) -> dict[int, tuple[str, PatternList]]:
        """The paths that are left out by name, by numbers, where patterns only exclude: each has to be there.

        Other patterns are rules, which may meet nothing. With `delete` they may be about what is on disk alone.
        """
        found = {}
        for ignore_case, texts in enumerate((_texts(options.excludes), _texts(options.iexcludes))):
            for number, text in enumerate(texts):
                others = PatternList(texts[:number] + texts[number + 1 :], ignore_case=bool(ignore_case))
                is_path = text.startswith("/") and not _WILD.intersection(text)
                if is_path and not others.matches(os.fsencode(text)):
                    found[2 * number + ignore_case] = (
                        text,
                        PatternList([text], ignore_case=bool(ignore_case)),
                    )
        return found

    def _note_matches(self, path: bytes) -> None:
        for number, (_, pattern) in tuple(self._unmatched.items()):
            if pattern.matches(path):
                del self._unmatched[number]
                self.matched.add(number)

    @property
    def unmatched(self) -> list[str]:
        """The patterns of the request that have selected nothing so far, or left out nothing that they name."""
        return [text for text, _ in self._unmatched.values()]

    @property
    def is_filtered(self) -> bool:
        """Whether anything may be left out."""
        return self._filtered

    def selects(self, path: bytes) -> bool:
        """Whether a path that the snapshot does not have would have been selected (what `delete` may remove)."""
        whole = bool(self._exact) and any(above in self._exact for above in _ancestors(path))
        return self.choose(path, whole=whole).selected

    def names(self, path: bytes) -> bool:
        """Whether the request names this very path, exactly or by a pattern without wildcards."""
        if path in self._exact:
            return True
        above = path.rpartition(b"/")[0] or b"/"
        return any(patterns.matches(path) and not patterns.matches(above) for patterns in self._named)

    @property
    def exact_paths(self) -> frozenset[bytes]:
        """The batch, cleaned of double and trailing slashes."""
        return self._exact


def _texts(patterns: tuple[bytes, ...]) -> list[str]:
    return [os.fsdecode(pattern) for pattern in patterns if pattern]


def _clean(path: bytes) -> bytes:
    return b"/" + b"/".join(part for part in path.split(b"/") if part not in (b"", b"."))


def _ancestors(path: bytes) -> list[bytes]:
    """The paths above `path`, beginning with "/"."""
    found = [b"/"]
    position = path.find(b"/", 1)
    while position > 0:
        found.append(path[:position])
        position = path.find(b"/", position + 1)
    return found
