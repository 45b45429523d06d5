"""What a source is: where it begins, what is left out, and how changes are recognised."""

import hashlib
from dataclasses import dataclass, field, replace

import msgspec


@dataclass(frozen=True, slots=True, kw_only=True)
class FilterRules:
    """What is left out, with restic's meaning of each option.

    excludes, iexcludes: patterns, the latter without regard to case. exclude_if_present: `NAME` or `NAME:HEADER`, files
    that mark their directory's content as left out. exclude_larger_than_bytes: files above this size are left out.
    """

    excludes: tuple[str, ...] = ()
    iexcludes: tuple[str, ...] = ()
    exclude_if_present: tuple[str, ...] = ()
    exclude_caches: bool = False
    exclude_larger_than_bytes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """A source. roots: absolute paths, each a directory or anything else.

    one_file_system: mount points below a root are stored as empty directories. with_atime: store access times as
    they are (else the modification time). ignore_inode, ignore_ctime: recognise unchanged files without them.
    allow_empty: roots that hold nothing are no error (else they are taken for a file system that is not mounted).
    command: not empty where the source is a command's output; then the one root is the path, directly below "/", that
    the output is stored under. command_environ: all that it gets of an environment. door: not empty where the source is
    a stream that a process of this host hands over at this socket (backup/store/handed_stream.py); the root is as of a
    command's output.
    """

    roots: tuple[bytes, ...]
    filters: FilterRules = field(default_factory=FilterRules)
    one_file_system: bool = False
    with_atime: bool = False
    ignore_inode: bool = False
    ignore_ctime: bool = False
    allow_empty: bool = False
    command: tuple[str, ...] = ()
    command_environ: tuple[tuple[str, str], ...] = ()
    door: str = ""

    @property
    def is_stream(self) -> bool:
        """Whether it is one file that is read once, from its beginning to its end, and has no middle to go on from."""
        return bool(self.command or self.door)

    @property
    def stream_name(self) -> bytes:
        """The name that a stream is stored under."""
        return self.roots[0].removeprefix(b"/")

    @property
    def digest(self) -> str:
        """Stands for all that decides what is stored, in hex; not for the environment, which holds secrets."""
        return hashlib.sha256(msgspec.msgpack.encode(replace(self, command_environ=()))).hexdigest()[:32]
