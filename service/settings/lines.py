"""Finds the line of a settings file on which a key stands.

TOML's own parser tells: the line is the last one of the shortest beginning of the file in which the key is there. So
keys with dots or quotes, tables in lines and lists of tables are found as they were read.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from typing import Final

_PART: Final = re.compile(r"[^.\[\]]+|\[\d+\]")
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)
Part = str | int


def parts_of(key: str, document: object) -> list[Part]:
    """A full name of a key as the steps to it; names that hold dots count as one where the document has them."""
    steps: list[Part] = []
    here = document
    found = _PART.findall(key)
    while found:
        step, found = found[0], found[1:]
        if step.startswith("["):
            steps.append(int(step[1:-1]))
        else:
            for more in range(len(found), 0, -1):  # the longest name that is there
                joined = ".".join([step, *found[:more]])
                if isinstance(here, dict) and joined in here:
                    step, found = joined, found[more:]
                    break
            steps.append(step)
        here = _step(here, steps[-1])
    return steps


def dotted(steps: Sequence[Part]) -> str:
    """The full name of the key that the steps lead to; what is no bare key in TOML stands in quotes."""
    name = ""
    for step in steps:
        if isinstance(step, int):
            name += f"[{step}]"
        else:
            written = step if _BARE.fullmatch(step) else json.dumps(step, ensure_ascii=False)
            name += f".{written}" if name else written
    return name


def depth(document: object, steps: Sequence[Part]) -> int:
    """How many of the steps lead somewhere."""
    here = document
    for number, step in enumerate(steps):
        here = _step(here, step)
        if here is None:
            return number
    return len(steps)


def line_of(text: str, steps: Sequence[Part]) -> int:
    """The line, from 1, where the key begins, or as much of the way to it as is there; 0 where nothing of it is."""
    lines = text.splitlines()
    steps = steps[: depth(tomllib.loads(text), steps)]
    if not steps:
        return 0
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        if depth(_beginning(lines, middle), steps) == len(steps):
            high = middle
        else:
            low = middle + 1
    return low


def _beginning(lines: Sequence[str], count: int) -> object:
    """What so many lines say, and those behind them that end what they have begun."""
    for end in range(count, len(lines)):
        try:
            return tomllib.loads("\n".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue
    return tomllib.loads("\n".join(lines))


def _step(here: object, step: Part) -> object:
    if isinstance(here, dict):
        return here.get(step)
    if isinstance(here, list) and isinstance(step, int) and step < len(here):
        return here[step]
    return None
