"""Methods of dataclasses, compiled once for all processes, as Python itself does with modules.

`dataclasses` writes the methods of a class as text and compiles that whenever the class is made. The 500 classes of a
command have 2,500 methods: a quarter of a second of its processor time. What was compiled is kept where Python keeps
this module's own bytecode, written by who may write there and trusted as much, and is found by its text, so it is never
out of date. A dataclasses module that does not call `exec` would compile as before.
"""

import builtins
import contextlib
import dataclasses
import importlib.util
import marshal
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from types import CodeType
from typing import Any, Final

_MAGIC: Final = b"methods 2" + importlib.util.MAGIC_NUMBER
_SUM_BYTES: Final = 4
"""After the magic, a checksum: a file that a power failure has left half written is not to be executed."""
_KEPT: Final = importlib.util.cache_from_source(__file__).removesuffix(".pyc") + ".methods"
_MOST: Final = 10_000
"""Above this, what this process has not asked for is left out: former releases made it."""


class _Methods:
    """What dataclasses calls in place of `exec`."""

    def __init__(self, kept: Mapping[str, CodeType]) -> None:
        self._kept = kept
        self._used: dict[str, CodeType] = {}

    def execute(self, text: str, variables: dict[str, Any], names: dict[str, Any]) -> None:
        """As `exec`."""
        code = self._kept.get(text)
        if code is None:
            code = compile(text, "<string>", "exec")
        self._used[text] = code
        builtins.exec(code, variables, names)  # noqa: S102 - what dataclasses would have executed

    def to_keep(self) -> dict[str, CodeType] | None:
        """What to keep from now on; None where that is what was kept."""
        if self._used.keys() <= self._kept.keys():
            return None
        both = {**self._kept, **self._used}
        return both if len(both) <= _MOST else self._used


@contextlib.contextmanager
def kept_methods(path: str = _KEPT) -> Iterator[None]:
    """Have dataclasses that are made meanwhile use what was compiled before, and keep what was not."""
    methods = _Methods(_read(path))
    vars(dataclasses)["exec"] = methods.execute
    try:
        yield
    finally:
        del vars(dataclasses)["exec"]
        grown = methods.to_keep()
        if grown is not None and not sys.dont_write_bytecode:
            with contextlib.suppress(OSError):  # Python does not tell of its own bytecode either
                _write(path, grown)


def _read(path: str) -> Mapping[str, CodeType]:
    try:
        with open(path, "rb") as file:
            content = file.read()
        rest = content.removeprefix(_MAGIC)
        methods = rest[_SUM_BYTES:]
        if rest == content or rest[:_SUM_BYTES] != _checksum(methods):
            return {}
        kept: dict[str, CodeType] = marshal.loads(methods)  # noqa: S302 - as Python its bytecode
    except (OSError, EOFError, ValueError, TypeError):
        return {}
    return kept


def _checksum(methods: bytes) -> bytes:
    return zlib.crc32(methods).to_bytes(_SUM_BYTES, "big")


def _write(path: str, methods: dict[str, CodeType]) -> None:
    """In one step, because others may be reading: those who may read this module."""
    content = marshal.dumps(methods)
    descriptor, beside = tempfile.mkstemp(dir=os.path.dirname(path))
    try:
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, os.stat(__file__).st_mode & 0o666)
            file.write(_MAGIC + _checksum(content) + content)
        os.replace(beside, path)
    except BaseException:
        os.unlink(beside)
        raise
