"""Counts work: calls of a storage, and what strace sees a process read and open below a folder."""

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from holdfast.storage.contract import Content, StoredFile
from holdfast.storage.layers.layer import Layer
from holdfast.storage.local import LocalStorage

PROJECT: Final = Path(__file__).parent.parent.parent
_READS: Final = ("read", "readv", "pread64", "preadv", "preadv2")
_OPENS: Final = ("openat", "openat2")
_CALL: Final = re.compile(r"(?P<call>\w+)\(\d+<(?P<path>[^>]*)>.* = (?P<result>\d+)(?:<(?P<opened>[^>]*)>)?")


class CountingStorage(Layer):
    """A local storage that counts its calls, by method and by the first folder of the name."""

    def __init__(self, path: Path) -> None:
        super().__init__(LocalStorage(path))
        self.calls: Counter[tuple[str, str]] = Counter()
        self.names: Counter[tuple[str, str]] = Counter()

    def put(self, name: str, data: Content) -> None:
        self._count("put", name)
        super().put(name, data)

    def put_new(self, name: str, data: Content) -> bool:
        self._count("put", name)
        return super().put_new(name, data)

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        self._count("get", name)
        return super().get(name, limit_bytes=limit_bytes)

    def get_range(self, name: str, offset: int, length: int) -> bytes:
        self._count("get", name)
        return super().get_range(name, offset, length)

    def get_into(self, name: str, buffer: memoryview) -> int:
        self._count("get", name)
        return super().get_into(name, buffer)

    def get_range_into(self, name: str, offset: int, buffer: memoryview) -> None:
        self._count("get", name)
        super().get_range_into(name, offset, buffer)

    def size(self, name: str) -> int:
        self._count("size", name)
        return super().size(name)

    def size_or_none(self, name: str) -> int | None:
        self._count("size", name)
        return super().size_or_none(name)

    def list(self, folder: str) -> Iterator[StoredFile]:
        self._count("list", folder)
        return super().list(folder)

    def delete(self, name: str) -> None:
        self._count("delete", name)
        super().delete(name)

    def delete_many(self, names: Iterable[str]) -> None:
        wanted = list(names)
        for name in wanted:
            self._count("delete", name)
        super().delete_many(wanted)

    def delete_folder(self, folder: str) -> None:
        self._count("delete", folder)
        super().delete_folder(folder)

    def _count(self, method: str, name: str) -> None:
        self.calls[method, name.partition("/")[0]] += 1
        self.names[method, name] += 1


@dataclass(slots=True)
class FileWork:
    """What a process did with the files below a folder, by path: how often opened, how many bytes read."""

    opened: Counter[str] = field(default_factory=Counter)
    bytes_read: Counter[str] = field(default_factory=Counter)


def traced(folder: Path, logs: Path, *arguments: str | Path) -> FileWork:
    """Run a module of the project under strace; its work on regular files below `folder`."""
    logs.mkdir()
    command = ["strace", "-ff", "-qq", "-y", "-s", "0", "-o", str(logs / "log")]
    command += ["-e", f"trace={','.join((*_READS, *_OPENS))}", sys.executable, "-m", *map(str, arguments)]
    environment = {"PATH": os.environ.get("PATH", os.defpath), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run(command, check=True, capture_output=True, cwd=PROJECT, env=environment)
    work = FileWork()
    for log in logs.iterdir():  # one for each thread, so no call is cut in two
        for line in log.read_text(errors="replace").splitlines():
            _add(work, str(folder), line)
    return work


def _add(work: FileWork, folder: str, line: str) -> None:
    call = _CALL.match(line)
    if call is None:
        return
    opens = call["call"] in _OPENS
    path = call["opened"] if opens else call["path"]
    if not path or not path.startswith(f"{folder}/") or os.path.isdir(path):
        return
    if opens:
        work.opened[path] += 1
    else:
        work.bytes_read[path] += int(call["result"])
