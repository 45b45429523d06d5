"""What of a source's tree asks for a backup, and what the kernel tells of it."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from holdfast.starter.watching.kernel import TreeWatch
from holdfast.starter.watching.scope import Scope
from tests.triggers.site import Site

TAG = b"Signature: 8a477f597d28d172789f06886806bc55"
LIMITED = """
import sys
from holdfast.starter.watching.kernel import TreeWatch, WatchLimitError
watch = TreeWatch(lambda *_: True)
try:
    watch.add_root(sys.argv[1].encode())
    (__import__("pathlib").Path(sys.argv[1]) / "late").mkdir()
    watch.take()
except WatchLimitError as error:
    print(error.setting)
"""


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(folder=tmp_path)


def changed(watch: TreeWatch, *, at_least: int = 1) -> set[str]:
    """The names of the paths that the kernel tells, once there are so many."""
    found: set[bytes] = set()
    while len(found) < at_least:
        more, whole = watch.take()
        assert whole
        found |= more
        time.sleep(0.01)
    return {os.fsdecode(os.path.basename(path)) for path in found}


def counted(site: Site, *paths: Path) -> set[str]:
    scope = Scope(site.settings, site.settings.source("docs"), {"CACHE": "cached"})
    counts = [path for path in paths if scope.counts(bytes(path), path.lstat() if path.exists() else None)]
    return {str(path.relative_to(site.source)) for path in counts}


def test_what_a_filter_leaves_out_does_not_count(site: Site, tmp_path: Path) -> None:
    (tmp_path / "patterns").write_text("*.skip\n$CACHE\n")
    site.declare(
        f'exclude = ["node_modules"]\niexclude = ["*.TMP"]\nexclude_files = ["{tmp_path}/patterns"]\n'
        'exclude_caches = true\nexclude_if_present = [".nobackup"]\nexclude_larger_than = "1k"\n'
    )
    for folder in ("cache", "marked", "node_modules/deep", "plain", "cached"):
        (site.source / folder).mkdir(parents=True)
        (site.source / folder / "file").write_bytes(b"x")
    (site.source / "cache" / "CACHEDIR.TAG").write_bytes(TAG)
    (site.source / "marked" / ".nobackup").touch()
    (site.source / "plain" / "CACHEDIR.TAG").write_bytes(b"no such signature")
    (site.source / "large").write_bytes(bytes(2_000))
    (site.source / "a.skip").touch()
    (site.source / "a.tmp").touch()
    with socket.socket(socket.AF_UNIX) as listener:
        os.chdir(site.source)  # a socket's path is short
        listener.bind("socket")
        everything = [path for path in site.source.rglob("*") if path.name != "deep"]
        assert counted(site, *everything, site.source / "gone", site.source / "gone.skip") == {
            *("cache", "cache/CACHEDIR.TAG", "marked", "marked/.nobackup"),
            *("plain", "plain/file", "plain/CACHEDIR.TAG", "gone"),
        }


def test_a_root_inside_of_what_is_left_out_counts(site: Site) -> None:
    inner = site.source / "node_modules" / "mine"
    inner.mkdir(parents=True)
    paths = f'["{site.source}", "{inner}"]'
    site.declare('exclude = ["node_modules"]\n')
    site.config.write_text(site.config.read_text().replace(f'["{site.source}"]', paths))
    assert counted(site, inner / "file", inner.parent / "other") == {"node_modules/mine/file"}


def test_what_we_write_ourselves_does_not_count(site: Site) -> None:
    """Also under another name: the repository by a link in its path."""
    source = site.source
    text = site.config.read_text().replace(f"{site.folder}/state", f"{source}/state")
    (source / "link").symlink_to(source / "real")
    (source / "real").mkdir()
    site.repository.rename(source / "real" / "repository")
    text = text.replace(f'"{site.repository}"', f'"{source}/link/repository"\ncompanion = "{source}/beside"')
    site.config.write_text(
        f'{text}\n[log]\nfile = "{source}/own.log"\n[journal]\nurl = "sqlite:///{source}/runs.db"\n'
    )
    (source / "state").mkdir()
    own = [source / name for name in ("state/x", "own.log", "runs.db", "runs.db-wal", "real/repository")]
    own.append(source / "beside" / ("0a" * 32) / "x")  # a companion's place may hold what is its owner's
    others = [source / name for name in ("own.log.txt", "real/x", "beside/x")]
    assert counted(site, *own, *others) == {"own.log.txt", "real/x", "beside/x"}
    scope = Scope(site.settings, site.settings.source("docs"), {})
    watched = [path for path in source.rglob("*") if path.is_dir() and not path.is_symlink()]
    below = {str(path.relative_to(source)) for path in watched if scope.watches(bytes(path), path.lstat())}
    assert "real" in below
    assert not {"state", "real/repository"} & below


def test_the_kernel_tells_of_what_is_wanted_wherever_it_moves(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "a" / "deep", root / "unwanted", outside):
        folder.mkdir(parents=True)
    (root / "to-outside").symlink_to(outside)
    watch = TreeWatch(lambda path, _: not path.endswith(b"unwanted"))
    try:
        watch.add_root(bytes(root))
        (root / "unwanted" / "1").touch()
        (outside / "2").touch()
        (root / "a" / "deep" / "3").touch()
        assert changed(watch) == {"3"}
        (root / "a").rename(root / "b")
        assert changed(watch, at_least=2) == {"a", "b"}
        (root / "b" / "deep" / "4").touch()
        (root / "new").mkdir()
        assert changed(watch, at_least=2) == {"4", "new"}
        (root / "new" / "5").touch()
        assert changed(watch) == {"5"}
        (root / "b").rename(tmp_path / "moved-away")
        assert changed(watch) == {"b"}
        (tmp_path / "moved-away" / "deep" / "6").touch()
        (root / "7").touch()
        assert changed(watch) == {"7"}
    finally:
        watch.close()


def test_a_root_that_is_a_file_is_seen_though_it_is_replaced(tmp_path: Path) -> None:
    root = tmp_path / "file"
    root.write_bytes(b"1")
    watch = TreeWatch(lambda *_: True)
    try:
        watch.add_root(bytes(root))
        for content in (b"2", b"3"):
            (tmp_path / "other").write_bytes(content)
            (tmp_path / "other").rename(root)
            assert changed(watch) == {"file"}
    finally:
        watch.close()


@pytest.mark.parametrize("directories", [40, 19])
def test_the_kernels_limit_is_named_at_the_start_and_later(tmp_path: Path, directories: int) -> None:
    for number in range(directories):
        (tmp_path / str(number)).mkdir()
    done = limited(20, sys.executable, "-c", LIMITED, str(tmp_path))
    assert done.stdout.strip() == "fs.inotify.max_user_watches", done.stderr


def test_a_directory_that_cannot_be_read_costs_only_itself(tmp_path: Path) -> None:
    """Root reads everything, so the directory's watch is refused by its kind: it became a file meanwhile."""
    for name in ("a", "closed", "z"):
        (tmp_path / name).mkdir()
    as_nobody = os.geteuid() == 0
    if as_nobody:
        tmp_path.chmod(0o777)
    (tmp_path / "closed").chmod(0)
    watch = TreeWatch(lambda *_: True)
    try:
        watch.add_root(bytes(tmp_path))
        assert watch.unread == (0 if as_nobody else 1)
        (tmp_path / "z" / "file").touch()
        assert changed(watch) == {"file"}
    finally:
        watch.close()
        (tmp_path / "closed").chmod(0o700)


def limited(watches: int, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command that has so many inotify watches, and no more."""
    script = f'echo {watches} > /proc/sys/user/max_inotify_watches && exec "$@"'
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *command],
        check=False,
        capture_output=True,
        text=True,
    )
    if "unshare:" in done.stderr:
        pytest.skip(f"no user namespace is to be had here: {done.stderr.strip()}")
    return done
