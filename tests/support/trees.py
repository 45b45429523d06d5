"""Plants a tree with everything in it that a Linux file system can hold. Needs root, and a file system like ext4.

Each function plants one kind of thing in a directory of its own; `plant_everything` calls them all. What depends on
chance comes from a seed. Directories get their times last, because planting below them changes those.
"""

import os
import stat
import struct
import subprocess
from pathlib import Path
from random import Random
from typing import Final

KIB: Final = 1 << 10
MIB: Final = 1 << 20
LARGE_BYTES: Final = 5 * MIB
DEEP_LEVELS: Final = 60
SECOND_NS: Final = 1_000_000_000
LAST_EXT4_SECOND: Final = 15_032_385_535
"""ext4 with large inodes ends in the year 2446, and begins in 1901."""
FIRST_EXT4_SECOND: Final = -(1 << 31)
ODD_NAMES: Final = (
    b"\xff\xfe not UTF-8",
    b"half \xc3",
    b"line\nfeed",
    b"tab\tand return\r",
    b"-rf",
    b"--delete",
    b"back\\slash",
    b"\\xff spelled out",
    b'"double"',
    b"'single'",
    b"`back`",
    "line\u2028separator".encode(),
    "paragraph\u2029separator".encode(),
    "no-break\u00a0space".encode(),
    "zero\u200bwidth".encode(),
    b"<tag> & entity",
    b"bell\x07 escape\x1b delete\x7f",
    b" leading and trailing ",
    b"*?[glob]",
    b"...",
    b"$HOME",
    "naïve ☃ 𝄞".encode(),
    "combining e\u0301".encode(),
    b"\xef\xbf\xbd replacement",
    b"\xed\xa0\x80 surrogate",
    b"x" * 255,
    "ü".encode() * 127,
)
TARGETS: Final = (
    b"file",
    b"/etc/passwd",
    b"../../../../../etc/shadow",
    b"nowhere",
    b"4",
    b"directory/",
    b".",
    b"t" * 200 + b"/" + b"t" * 200,
    "☃ <&>\u2028".encode(),
    b'quote " and \\ backslash',
    b"line\nfeed",
    b"\xff\xfe",
    b"half \xc3/x",
)
NON_UTF8_LINKS: Final = (11, 12)


def plant_everything(folder: Path, *, restic_014: bool = False) -> None:
    """Everything. restic_014: leave out what Debian's restic gets wrong.

    It loses symlink targets that are not UTF-8, sets a link's attributes on what the link points to, and wraps times
    after the year 2262.
    """
    for plant in (
        modes,
        owners,
        times,
        names,
        empties,
        deep,
        contents,
        sparse_files,
        devices,
        attributes,
        acls,
    ):
        below = folder / plant.__name__
        below.mkdir(parents=True)
        plant(below)
    hard_links(folder)
    symlinks(folder)
    if restic_014:
        for number in NON_UTF8_LINKS:
            (folder / "symlinks" / str(number)).unlink()
        os.removexattr(folder / "attributes/link", "trusted.text", follow_symlinks=False)
        (folder / "times/last").unlink()
        (folder / "times/link-last").unlink()
    date_directories(folder)


def modes(folder: Path) -> None:
    """Every special bit, on files and directories; no permission at all."""
    for mode in (0o0, 0o400, 0o644, 0o777, 0o4755, 0o2755, 0o1644, 0o6711, 0o7777):
        file = folder / f"file-{mode:04o}"
        file.write_bytes(b"mode")
        file.chmod(mode)
        directory = folder / f"directory-{mode:04o}"
        directory.mkdir()
        (directory / "inside").write_bytes(b"inside")
        directory.chmod(mode)


def owners(folder: Path) -> None:
    """Ids with and without names, and large ones; set-id bits of somebody else's file."""
    for uid, gid in ((0, 0), (1, 1), (65534, 65534), (123_456, 654_321), (4_000_000_000, 7)):
        file = folder / f"{uid}-{gid}"
        file.write_bytes(b"owner")
        os.chown(file, uid, gid)
        file.chmod(0o6755)
        directory = folder / f"directory-{uid}-{gid}"
        directory.mkdir()
        os.chown(directory, uid, gid)
        directory.chmod(0o2750)


def times(folder: Path) -> None:
    """Nanoseconds, before 1970, and as far ahead as the file system goes."""
    moments = {
        "nanoseconds": 1_600_000_000 * SECOND_NS + 123_456_789,
        "one-nanosecond": 1_600_000_000 * SECOND_NS + 1,
        "trailing-zeros": 1_600_000_000 * SECOND_NS + 120_000_000,
        "epoch": 0,
        "before-1970": -12_345 * SECOND_NS + 987_654_321,
        "first": FIRST_EXT4_SECOND * SECOND_NS,
        "last": LAST_EXT4_SECOND * SECOND_NS + 999_999_999,
    }
    for name, moment in moments.items():
        file = folder / name
        file.write_bytes(name.encode())
        os.utime(file, ns=(moment, moment))
        link = folder / f"link-{name}"
        link.symlink_to(name)
        os.utime(link, ns=(moment, moment), follow_symlinks=False)


def names(folder: Path) -> None:
    """Names that break programs, of files and of directories."""
    base = os.fsencode(folder)
    for name in ODD_NAMES:
        Path(os.fsdecode(base + b"/" + name)).write_bytes(name)
    below = base + b"/directories"
    os.mkdir(below)
    for name in ODD_NAMES:
        directory = below + b"/" + name
        os.mkdir(directory)
        Path(os.fsdecode(directory + b"/inside")).write_bytes(name)


def empties(folder: Path) -> None:
    """Files and directories without anything."""
    (folder / "file").touch()
    (folder / "directory").mkdir()
    (folder / "chain/of/empty/directories").mkdir(parents=True)


def deep(folder: Path) -> None:
    """A chain of directories with a file at its end and one in its middle."""
    here = folder
    for level in range(DEEP_LEVELS):
        here /= f"level-{level}"
        here.mkdir()
        if level in (DEEP_LEVELS // 2, DEEP_LEVELS - 1):
            (here / "file").write_bytes(b"deep")


def contents(folder: Path) -> None:
    """A file of several chunks, equal files, and sizes around the smallest chunk."""
    random = Random(1)
    large = random.randbytes(LARGE_BYTES)
    (folder / "large").write_bytes(large)
    (folder / "large-again").write_bytes(large)
    (folder / "zeros").write_bytes(bytes(3 * MIB))
    for size in (1, 512 * KIB - 1, 512 * KIB, 512 * KIB + 1):
        (folder / f"size-{size}").write_bytes(large[:size])
    for number in range(60):
        (folder / f"small-{number:02d}").write_bytes(random.randbytes(number * 31))


def sparse_files(folder: Path) -> None:
    """Holes at the start, in the middle, at the end, everywhere; large and small ones."""
    data = Random(2).randbytes(64 * KIB)
    plan: dict[str, tuple[int, tuple[int, ...]]] = {
        "start": (4 * MIB + len(data), (4 * MIB,)),
        "middle": (6 * MIB, (0, 6 * MIB - len(data))),
        "end": (5 * MIB, (0,)),
        "all": (8 * MIB, ()),
        "several": (32 * MIB, (1 * MIB, 9 * MIB, 10 * MIB, 30 * MIB)),
        "small": (256 * KIB, (128 * KIB,)),
        "odd-size": (3 * MIB + 12_345, (MIB,)),
    }
    for name, (size, offsets) in plan.items():
        with (folder / name).open("wb") as file:
            file.truncate(size)
            for offset in offsets:
                file.seek(offset)
                file.write(data)


def devices(folder: Path) -> None:
    """Nodes of devices (large numbers, too) and fifos; none is ever opened."""
    for name, kind, device in (
        ("null", stat.S_IFCHR, os.makedev(1, 3)),
        ("character-large", stat.S_IFCHR, os.makedev(511, 1_000_000)),
        ("block", stat.S_IFBLK, os.makedev(7, 200)),
        ("block-large", stat.S_IFBLK, os.makedev(259, 70_000)),
    ):
        os.mknod(folder / name, 0o640 | kind, device)
        os.chown(folder / name, 12, 34)
    os.mkfifo(folder / "fifo", 0o620)


def attributes(folder: Path) -> None:
    """Extended attributes of each name space, on each kind that may have them; a file's capability."""
    file = folder / "file"
    file.write_bytes(b"attributes")
    os.setxattr(file, "user.text", b"value")
    os.setxattr(file, "user.binary", bytes(range(256)))
    os.setxattr(file, "user.empty", b"")
    os.setxattr(file, "trusted.text", b"secret")
    # VFS_CAP_REVISION_2 with cap_net_bind_service, effective (linux/capability.h)
    os.setxattr(file, "security.capability", struct.pack("<5I", 0x0200_0001, 1 << 10, 0, 0, 0))
    directory = folder / "directory"
    directory.mkdir()
    os.setxattr(directory, "user.text", b"of a directory")
    os.setxattr(directory, "trusted.text", b"of a directory")
    link = folder / "link"
    link.symlink_to("file")
    os.setxattr(link, "trusted.text", b"of a link", follow_symlinks=False)
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    os.setxattr(fifo, "trusted.text", b"of a fifo")
    unreadable = folder / "read-only"
    unreadable.write_bytes(b"read only")
    os.setxattr(unreadable, "user.text", b"value")
    unreadable.chmod(0o400)


def acls(folder: Path) -> None:
    """Access and default ACLs; a file that lost what it inherited."""
    file = folder / "file"
    file.write_bytes(b"acl")
    _set_acl(file, "u:1234:rw-,g:4321:r-x,m::rwx")
    directory = folder / "directory"
    directory.mkdir()
    _set_acl(directory, "u:1234:rwx,d:u:1234:rwx,d:g:4321:r-x")
    (directory / "inherits").write_bytes(b"inherits")
    (directory / "subdirectory").mkdir()
    lost = directory / "lost-it"
    lost.write_bytes(b"none")
    subprocess.run(["setfacl", "-b", str(lost)], check=True)
    lost.chmod(0o600)


def hard_links(folder: Path) -> None:
    """Several names of a small file, a large one, an empty one, a link and a device; across directories."""
    below = folder / "hard-links"
    (below / "one").mkdir(parents=True)
    (below / "two/deeper").mkdir(parents=True)
    small, large, empty = below / "small", below / "one/large", below / "one/empty"
    small.write_bytes(b"small")
    large.write_bytes(Random(3).randbytes(2 * MIB))
    empty.touch()
    for number, file in enumerate((small, large, empty)):
        os.link(file, below / f"a-{number}")
        os.link(file, below / "two/deeper" / f"name-{number}")
    os.link(folder / "contents/small-01", below / "of-another-directory")


def symlinks(folder: Path) -> None:
    """Relative, absolute, dangling, to itself, to a directory, out of the tree, with long and odd targets."""
    below = folder / "symlinks"
    below.mkdir()
    (below / "file").write_bytes(b"target")
    (below / "directory").mkdir()
    for number, target in enumerate(TARGETS):
        os.symlink(target, below / str(number))
    os.chown(below / "0", 1234, 4321, follow_symlinks=False)


def date_directories(folder: Path) -> None:
    """Odd times for all directories, the innermost first."""
    found = sorted((os.fsencode(root) for root, _, _ in os.walk(folder)), reverse=True)
    for number, directory in enumerate(found):
        moment = (1_500_000_000 + number * 86_400) * SECOND_NS + number * 1_000_003
        os.utime(directory, ns=(moment, moment))


def itemized(left: Path, right: Path) -> list[str]:
    """What rsync would change to make `right` like `left`, in its letters; nothing when they are identical."""
    command = ["rsync", "-aHAXn", "--checksum", "--delete", "--itemize-changes", f"{left}/", f"{right}/"]
    found = subprocess.run(command, check=True, capture_output=True)
    return found.stdout.decode(errors="replace").splitlines()


def inside(target: Path, source: Path) -> Path:
    """Where a snapshot of `source` lies below the target of its restore."""
    return target / source.relative_to("/")


def _set_acl(path: Path, entries: str) -> None:
    subprocess.run(["setfacl", "-m", entries, str(path)], check=True)
