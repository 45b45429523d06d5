"""Filters apply below roots and never to one: what is named is meant. Nothing is left out that nobody asked for."""

import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import UsageError
from holdfast.source.events import EnterDirectory, Entry, Files, LeftOut, Remark, Unreadable
from holdfast.source.filters import check_marker
from holdfast.source.spec import FilterRules, SourceSpec
from holdfast.source.walk import Walker
from tests.support.disks import tmpfs

CACHE = b"Signature: 8a477f597d28d172789f06886806bc55"
Told = Unreadable | Remark
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts, and files of others, need root")


def tree(folder: Path, *files: str) -> Path:
    for file in files:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("content")
    return folder


def spec_of(*roots: Path, **more: object) -> SourceSpec:
    rules = {name: more.pop(name) for name in list(more) if name in FilterRules.__dataclass_fields__}
    filters = FilterRules(**rules)  # type: ignore[arg-type]  # test data
    return SourceSpec(roots=tuple(map(bytes, roots)), filters=filters, **more)  # type: ignore[arg-type]


def told(spec: SourceSpec, below: Path) -> tuple[list[str], list[Told]]:
    """What is stored, but directories, relative to a folder; and what is said. In one go as in many."""
    whole, pieces = list(_events(spec, None)), list(_events(spec, 1))
    assert pieces == whole
    prefix = str(below) + "/"
    stored = [path.removeprefix(prefix) for path, _ in whole if isinstance(path, str)]
    return stored, [trouble for _, trouble in whole if trouble is not None]


def _events(spec: SourceSpec, step: int | None) -> list[tuple[str | None, Told | None]]:
    found: list[tuple[str | None, Told | None]] = []
    cursor: bytes | None = None
    for _ in range(200):
        walker, ended = Walker(spec, cursor=cursor), True
        for event in walker:
            match event:
                case Files():
                    found += [(os.fsdecode(os.path.join(event.directory, n)), None) for n in event.names]
                case Entry():
                    found.append((os.fsdecode(event.path), None))
                case Unreadable() | Remark():
                    found.append((None, event))
                case LeftOut():
                    continue  # may be told again, and is the restore's business
                case _:
                    pass
            troubles = (trouble for trouble in event.troubles if not isinstance(trouble, LeftOut))
            found += [(None, trouble) for trouble in troubles]
            if step is not None:
                cursor, ended = walker.cursor(), False
                break
        if ended:
            return found
    raise AssertionError("the walk does not end")


@pytest.mark.parametrize(
    "pattern", ["nobackup", "nobackup/**", "nobackup/*", "**/nobackup/**/*", "/**/nobackup", "no*", "!x"]
)
def test_a_pattern_does_not_match_the_way_to_a_root(tmp_path: Path, pattern: str) -> None:
    root = tree(tmp_path / "nobackup" / "mount", "a", "sub/b")
    assert told(spec_of(root, excludes=(pattern,)), root) == (["a", "sub/b"], [])
    assert told(spec_of(root, iexcludes=(pattern.upper(),)), root) == (["a", "sub/b"], [])


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("sub", ["a.o", "b"]),
        ("*.o", ["b", "sub/x/d"]),
        ("root/sub", ["a.o", "b"]),
        ("{root}/sub/*", ["a.o", "b"]),
        ("{root}/sub/**", ["a.o", "b"]),
        ("sub/**/*.o", ["a.o", "b", "sub/x/d"]),
        ("root/**/d", ["a.o", "b", "sub/c.o"]),
    ],
)
def test_what_a_pattern_names_below_a_root_is_left_out(tmp_path: Path, pattern: str, left: list[str]) -> None:
    root = tree(tmp_path / "root", "a.o", "b", "sub/c.o", "sub/x/d")
    assert told(spec_of(root, excludes=(pattern.format(root=root),)), root) == (left, [])


def test_what_takes_back_does_so_below_a_root_only(tmp_path: Path) -> None:
    root = tree(tmp_path / "keep" / "root", "a.tmp", "keep/b.tmp", "other/c.tmp")
    assert told(spec_of(root, excludes=("*.tmp", "!keep")), root)[0] == ["keep/b.tmp"]
    assert told(spec_of(root, excludes=(f"{root}/*", f"!{root}/keep")), root)[0] == ["keep/b.tmp"]


@pytest.mark.parametrize("rules", [{"excludes": ("left",)}, {"exclude_if_present": (".nobackup",)}])
def test_a_root_inside_of_what_is_left_out(tmp_path: Path, rules: dict[str, object]) -> None:
    outer = tree(tmp_path / "outer", "a", "left/b", "left/deep/named/c", "z")
    marker = outer / "left" / ".nobackup"
    marker.touch()
    stored, troubles = told(spec_of(outer, outer / "left" / "deep" / "named", **rules), outer)
    assert [path for path in stored if path != "left/.nobackup"] == ["a", "left/deep/named/c", "z"]
    assert troubles == []


@needs_root
def test_a_root_on_another_file_system(tmp_path: Path) -> None:
    outer = tree(tmp_path / "outer", "a")
    with tmpfs(outer / "mnt", "size=1m") as mount:
        tree(mount, "f", "deep/g")
        assert told(spec_of(outer, one_file_system=True), outer)[0] == ["a"]
        assert told(spec_of(outer, mount, one_file_system=True), outer)[0] == ["a", "mnt/deep/g", "mnt/f"]
        assert told(spec_of(outer, mount / "deep", one_file_system=True), outer)[0] == ["a", "mnt/deep/g"]
        assert told(spec_of(outer, mount / "f", one_file_system=True), outer)[0] == ["a", "mnt/f"]


def test_a_file_that_is_named_is_not_too_large(tmp_path: Path) -> None:
    folder = tree(tmp_path / "folder", "large", "other/large")
    spec = spec_of(folder / "large", folder / "other", exclude_larger_than_bytes=3)
    assert told(spec, folder) == (["large"], [Unreadable(bytes(folder / "other"), EMPTY)])


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _link(path: Path) -> None:
    (path.parent.parent / "tag").write_bytes(CACHE)
    path.symlink_to(path.parent.parent / "tag")


def _wrong(path: Path) -> None:
    path.write_bytes(CACHE[:-1])


@pytest.mark.parametrize("plant", [Path.mkdir, _fifo, _dangling, _link, _wrong])
@pytest.mark.parametrize(
    "rules", [{"exclude_caches": True}, {"exclude_if_present": (f"CACHEDIR.TAG:{CACHE.decode()}",)}]
)
def test_what_is_no_marker_is_content(
    tmp_path: Path, plant: Callable[[Path], object], rules: dict[str, object]
) -> None:
    root = tree(tmp_path / "root", "d/f", "d/sub/g")
    plant(root / "d" / "CACHEDIR.TAG")
    stored, troubles = told(spec_of(root, **rules), root)
    assert {"d/f", "d/sub/g"} <= set(stored)
    assert troubles == []


def test_a_marker_keeps_itself_alone(tmp_path: Path) -> None:
    root = tree(tmp_path / "root", "a", "d/f", "d/sub/g")
    (root / "d" / "CACHEDIR.TAG").write_bytes(CACHE + b"\n# more")
    assert told(spec_of(root, exclude_caches=True), root)[0] == ["a", "d/CACHEDIR.TAG"]


@pytest.mark.parametrize("plant", [Path.mkdir, _fifo, _dangling])
def test_a_marker_by_name_alone_is_a_file_as_well(tmp_path: Path, plant: Callable[[Path], object]) -> None:
    root = tree(tmp_path / "root", "d/f")
    plant(root / "d" / ".nobackup")
    assert "d/f" in told(spec_of(root, exclude_if_present=(".nobackup",)), root)[0]


@pytest.mark.parametrize("name", ["", "a/b", ":header"])
def test_a_marker_that_could_never_be_found_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        check_marker(name)


EMPTY = "nothing in it was stored: it is empty, or all of it is left out"


@pytest.mark.parametrize("files", [(), ("sub/x.o",), ("x.o",)])
def test_a_root_of_several_that_gives_nothing_is_told(tmp_path: Path, files: tuple[str, ...]) -> None:
    tree(tmp_path, "full/f")
    (tmp_path / "disk" / "folder").mkdir(parents=True)
    tree(tmp_path / "disk", *files)
    roots = tmp_path / "disk", tmp_path / "full"
    assert told(spec_of(*roots, excludes=("*.o",)), tmp_path) == (
        ["full/f"],
        [Unreadable(bytes(tmp_path / "disk"), EMPTY)],
    )
    assert told(spec_of(*roots, excludes=("*.o",), allow_empty=True), tmp_path) == (["full/f"], [])


def test_a_socket_that_is_named_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tree(tmp_path, "full/f")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        stored, troubles = told(spec_of(tmp_path / "full", tmp_path / "socket"), tmp_path)
    assert stored == ["full/f"]
    assert [trouble.path for trouble in troubles] == [bytes(tmp_path / "socket")]


def test_a_root_that_is_a_link_is_stored_as_one_and_told(tmp_path: Path) -> None:
    folder = tree(tmp_path, "real/f", "other/g")
    (folder / "link").symlink_to("real")
    stored, troubles = told(spec_of(folder / "link", folder / "other"), folder)
    assert stored == ["link", "other/g"]
    (trouble,) = troubles
    assert isinstance(trouble, Remark)
    assert (trouble.path, trouble.lost) == (bytes(folder / "link"), False)


def test_a_root_behind_a_link_inside_of_another_root_is_told(tmp_path: Path) -> None:
    folder = tree(tmp_path / "outer", "real/f")
    (folder / "link").symlink_to("real")
    stored, troubles = told(spec_of(folder, folder / "link" / "f"), folder)
    assert stored == ["link", "real/f"]
    assert [(type(trouble), trouble.path) for trouble in troubles] == [
        (Unreadable, bytes(folder / "link" / "f"))
    ]


def test_a_name_that_is_listed_twice_is_stored_once_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As some network file systems list a directory that changes."""
    root = tree(tmp_path / "root", "other", "twin", "sub/twin")
    listed = os.listdir

    def twice(path: bytes) -> list[bytes]:
        return [b"twin"] * (b"twin" in listed(path)) + listed(path)

    monkeypatch.setattr(os, "listdir", twice)
    stored = [path for path, _ in _events(spec_of(root), None) if path is not None]
    assert [path.removeprefix(f"{root}/") for path in stored] == ["other", "sub/twin", "twin"]
    troubles = [trouble for _, trouble in _events(spec_of(root), None) if trouble is not None]
    assert [trouble.path for trouble in troubles] == [bytes(root / "twin"), bytes(root / "sub" / "twin")]


@needs_root
def test_a_marker_that_cannot_be_read_is_content(tmp_path: Path) -> None:
    """A program of another user, which may look into the folder and not into the tag."""
    root = tree(tmp_path / "root", "d/f")
    (root / "d" / "CACHEDIR.TAG").write_bytes(CACHE)
    (root / "d" / "CACHEDIR.TAG").chmod(0)
    code = (
        "from holdfast.source.walk import Walker; from holdfast.source.spec import *; import sys\n"
        "from holdfast.source.events import Files\n"
        "spec = SourceSpec(roots=(sys.argv[1].encode(),), filters=FilterRules(exclude_caches=True))\n"
        "print([e.names for e in Walker(spec) if isinstance(e, Files)])"
    )
    import sys  # noqa: PLC0415

    command = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", sys.executable, "-c", code]
    done = subprocess.run([*command, str(root)], capture_output=True, text=True, check=True)
    assert "b'CACHEDIR.TAG', b'f'" in done.stdout


def test_directories_are_entered_where_a_root_lies_behind_them(tmp_path: Path) -> None:
    """The way through what is left out is stored, without what else lies there."""
    outer = tree(tmp_path / "outer", "left/b", "left/way/named/c", "left/way/d")
    spec = spec_of(outer, outer / "left" / "way" / "named", excludes=("left",))
    entered = [event.path for event in Walker(spec) if isinstance(event, EnterDirectory)]
    assert bytes(outer / "left" / "way") in entered
    assert told(spec, outer)[0] == ["left/way/named/c"]
