"""A repository may be written by an enemy who knows its password: nothing leaves the target, nothing is unbounded."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zstandard

from holdfast.errors import CorruptFileError, IntegrityError, WrongPasswordError
from holdfast.format.key import decode_key
from holdfast.format.sealed import decompress
from holdfast.ids import sha256
from holdfast.repository.repository import Repository
from holdfast.terms import Overwrite
from tests.restore.forged import EMPTY_TREE, SETUID_ROOT, Forger, node
from tests.support.engine import PASSWORD, new_session
from tests.support.restore import Restored, restore


class Scene:
    """A forged repository, a target, and a canary beside it that must stay as it is."""

    def __init__(self, folder: Path, forger: Forger) -> None:
        self.forger = forger
        self.target = folder / "target"
        self.canary = folder / "canary"
        self.canary.mkdir()
        (self.canary / "file").write_bytes(b"canary")
        self._before = self._state()

    def restore(self, tree: str, **options: object) -> Restored:
        self.forger.snapshot(tree)
        return restore(self.forger.session, self.target, **options)

    def canary_sings(self) -> bool:
        return self._state() == self._before

    def _state(self) -> list[tuple[str, int, int, bytes]]:
        found = []
        for path in [self.canary, *sorted(self.canary.rglob("*"))]:
            status = path.lstat()
            content = path.read_bytes() if stat.S_ISREG(status.st_mode) else b""
            found.append((path.name, status.st_mode, status.st_mtime_ns, content))
        return found


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with new_session(tmp_path / "repository") as session:
        scene = Scene(tmp_path, Forger(session))
        yield scene
        assert scene.canary_sings()
        assert sorted(os.listdir(tmp_path)) in (
            ["canary", "repository"],
            ["canary", "repository", "target"],
        )


@pytest.mark.parametrize(
    "names",
    [
        ["..", "x"],
        ["."],
        [""],
        ["/etc"],
        ["../canary/file"],
        ["a/b"],
        ["a\\x2fb"],
        ["nul\\x00"],
        ["\\x2e\\x2e"],
        ["a", "a"],
        ["b", "a"],
        ['"'],
        ["\\q"],
        ["\\"],
        ["\\ud800"],
    ],
)
def test_names_that_no_directory_can_hold_are_refused(scene: Scene, names: list[str]) -> None:
    content = scene.forger.data(b"evil")
    evil = scene.forger.tree(*(node(name, content=[content], size=4) for name in names))
    good = node("good", content=[content], size=4)
    below = scene.forger.tree(node("evil", "dir", subtree=evil), good)
    restored = scene.restore(below)
    assert b"/evil" in restored.failures
    assert restored.finished.partial
    assert (scene.target / "good").read_bytes() == b"evil"
    assert sorted(os.listdir(scene.target)) in (["good"], ["evil", "good"])


def test_a_root_tree_that_cannot_be_read_is_refused(scene: Scene) -> None:
    with pytest.raises(IntegrityError):
        scene.restore(scene.forger.raw_tree(b"{}"))


def test_a_name_cannot_be_a_link_and_a_directory(scene: Scene) -> None:
    """A link named like a directory that comes after it would lead the directory's files out of the target."""
    content = scene.forger.data(b"evil")
    inside = scene.forger.tree(node("file", content=[content], size=4))
    tree = scene.forger.tree(
        node("way", "symlink", linktarget=str(scene.canary)), node("way", "dir", subtree=inside)
    )
    with pytest.raises(IntegrityError):
        scene.restore(tree)


@pytest.mark.parametrize("rule", list(Overwrite))
def test_a_directory_is_not_restored_through_a_link_on_disk(scene: Scene, rule: Overwrite) -> None:
    content = scene.forger.data(b"evil")
    inside = scene.forger.tree(node("file", content=[content], size=4))
    scene.target.mkdir()
    (scene.target / "way").symlink_to(scene.canary)
    scene.restore(scene.forger.tree(node("way", "dir", subtree=inside)), overwrite=rule, delete=True)
    assert scene.canary_sings()


def test_links_out_of_the_target_are_links_and_nothing_more(scene: Scene) -> None:
    content = scene.forger.data(b"evil")
    tree = scene.forger.tree(
        node("a", "symlink", linktarget="../canary/file"),
        node("b", content=[content], size=4, links=2, inode=7),
        node("c", content=[content], size=4, links=2, inode=7),
    )
    scene.restore(tree)
    restored = scene.restore(tree)
    assert not restored.failures
    assert os.readlink(scene.target / "a") == "../canary/file"


def test_what_a_link_points_to_gets_no_attributes(scene: Scene) -> None:
    tree = scene.forger.tree(
        node(
            "link",
            "symlink",
            linktarget=str(scene.canary / "file"),
            mode=1 << 27 | 0o777,
            uid=1234,
            extended_attributes=[{"name": "trusted.evil", "value": "AAAA"}],
        )
    )
    scene.restore(tree)
    assert (scene.canary / "file").stat().st_uid == os.geteuid()
    assert "trusted.evil" not in os.listxattr(scene.canary / "file")


def test_a_file_of_another_owner_gets_set_id_bits_only_with_that_owner(scene: Scene) -> None:
    tree = scene.forger.tree(node("su", mode=SETUID_ROOT, uid=4242, gid=4242))
    scene.restore(tree)
    status = (scene.target / "su").stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (4242, 0o4755)


@pytest.mark.parametrize(
    "fields",
    [
        {"uid": 1 << 32},
        {"uid": -1},
        {"gid": 4_294_967_295},
        {"mtime": "yesterday"},
        {"mtime": "2026-13-45T99:99:99Z"},
        {"extended_attributes": [{"name": "nul\0", "value": ""}]},
        {"extended_attributes": [{"name": "", "value": ""}]},
        {"content": ["00" * 32], "size": 1},
        {"type": "unheard-of"},
        {"type": "symlink", "linktarget": ""},
        {"type": "symlink", "linktarget": "a\0b"},
        {"type": "symlink", "linktarget": "x" * 5_000},
        {"type": "dev", "device": 1 << 64},
        {"type": "dev", "device": -1},
        {"type": "dir", "subtree": "11" * 32},
    ],
)
def test_impossible_metadata_fails_that_path_alone(scene: Scene, fields: dict[str, object]) -> None:
    kind = str(fields.get("type", "file"))
    tree = scene.forger.tree(
        node("bad", kind, **{k: v for k, v in fields.items() if k != "type"}), node("good")
    )
    try:
        restored = scene.restore(tree)
    except IntegrityError:
        return  # the tree as a whole is refused
    assert b"/bad" in restored.failures
    assert (scene.target / "good").exists()
    assert not [name for name in os.listdir(scene.target) if name.startswith(".holdfast-")]


def test_a_file_that_says_another_size_is_flagged(scene: Scene) -> None:
    content = scene.forger.data(b"four")
    restored = scene.restore(scene.forger.tree(node("file", content=[content], size=1 << 40)))
    assert b"/file" in restored.failures
    assert (scene.target / "file").stat().st_size == 4


def test_a_chain_of_shared_trees_is_not_multiplied_in_memory(scene: Scene) -> None:
    """Two directories in each of twelve levels, all sharing one tree below: 4,096 leaves out of 12 trees."""
    tree = scene.forger.raw_tree(EMPTY_TREE)
    for _ in range(8):
        tree = scene.forger.tree(node("a", "dir", subtree=tree), node("b", "dir", subtree=tree))
    restored = scene.restore(tree, dry_run=True)
    assert restored.counts.dirs == 2**9 - 2


@pytest.mark.parametrize(
    ("n", "r", "p"),
    [(1 << 30, 8, 1), (1 << 15, 1 << 20, 1), (1 << 15, 8, 1 << 20), (3, 8, 1), (0, 0, 0), (16, -1, 1)],
)
def test_huge_scrypt_numbers_are_refused_before_they_cost(scene: Scene, n: int, r: int, p: int) -> None:
    storage = scene.forger.session.repository.storage
    folder = storage.traits.directory
    assert folder is not None
    (honest,) = (folder / "keys").iterdir()
    forged = msgspec.json.encode({**msgspec.json.decode(honest.read_bytes()), "N": n, "r": r, "p": p})
    with pytest.raises(CorruptFileError):
        decode_key(forged)
    honest.unlink()
    (folder / "keys" / sha256(forged).hex()).write_bytes(forged)
    with pytest.raises(WrongPasswordError):
        Repository.open(storage, PASSWORD)


def test_a_bomb_is_not_expanded() -> None:
    bomb = zstandard.ZstdCompressor(level=19).compress(bytes(256 << 20))
    assert len(bomb) < 64 << 10
    with pytest.raises(CorruptFileError):
        decompress(bomb, limit_bytes=1 << 20)
    hidden = zstandard.ZstdCompressor(level=19, write_content_size=False).compress(bytes(256 << 20))
    with pytest.raises(CorruptFileError):
        decompress(hidden, limit_bytes=1 << 20)
