"""Locks and `holdfast up`: what it removes when it begins, and reading without a lock beside it."""

import os
import subprocess
from pathlib import Path

import pytest

from holdfast.format.lock import Holder
from holdfast.repository.identity import this_place
from holdfast.repository.layout import LOCKS
from holdfast.repository.repository import Repository
from holdfast.storage.local import LocalStorage
from tests.locks.test_commands import until
from tests.locks.test_judgement import Locks
from tests.triggers.site import PASSWORD, Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(folder=tmp_path)


@pytest.fixture
def locks(site: Site) -> Locks:
    return Locks(site.repository, Repository.open(LocalStorage(site.repository), PASSWORD))


def test_it_removes_locks_of_processes_that_were_killed_and_no_others(
    site: Site,
    locks: Locks,
    dead: tuple[int, int],
) -> None:
    pid, started = dead
    own = Holder(place=this_place(), started=started)
    gone = [locks.plant(pid=pid, holder=own), locks.plant(pid=pid, holder=own, exclusive=True)]
    stay = [
        locks.plant(pid=pid),  # restic's, of a process that cannot be seen
        locks.plant(pid=pid, holder=Holder(place="elsewhere", started=started)),
        locks.plant(
            host="elsewhere", text_minutes=45, file_minutes=45
        ),  # stale: who needs it gone removes it
    ]
    with site.serving():
        until(lambda: not any(path.exists() for path in gone))
    assert all(path.exists() for path in stay)
    assert "removed 2 locks" in (site.folder / "service.log").read_text()


def test_without_a_lock_it_is_read_beside_the_service(site: Site, locks: Locks) -> None:
    """The service would lock. So the command has workers of its own, for a repository of the settings as for a path."""
    (site.source / "f").write_text("v")
    with site.serving():
        site.holdfast("backup", "-q", "docs")
        until(lambda: not os.listdir(site.repository / LOCKS))
        locks.plant(host="elsewhere", exclusive=True)
        before = {path: path.stat().st_mtime_ns for path in site.repository.rglob("*")}
        password = ("--password-file", str(site.folder / "password"))
        for name, repository in {
            "named": ("-r", "home"),
            "path": ("-r", str(site.repository), *password),
        }.items():
            out = site.folder / name
            words = ("restore", f"latest:{site.source}", "--target", str(out), "--no-lock", *repository)
            site.holdfast(*words)
            assert (out / "f").read_text() == "v"
        assert {path: path.stat().st_mtime_ns for path in site.repository.rglob("*")} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="root mounts")
def test_a_read_only_medium_is_restored_beside_the_service_and_backed_up_to_later(site: Site) -> None:
    (site.source / "f").write_text("v")
    repository = str(site.repository)
    with site.serving():
        site.holdfast("backup", "-q", "docs")
        until(lambda: not os.listdir(site.repository / LOCKS))
        subprocess.run(["mount", "--bind", repository, repository], check=True)
        try:
            subprocess.run(["mount", "-o", "remount,ro,bind", repository], check=True)
            password = ("--password-file", str(site.folder / "password"))
            for name, given in {"named": ("-r", "home"), "path": ("-r", repository, *password)}.items():
                out = site.folder / name
                ended = site.holdfast("restore", f"latest:{site.source}", "--target", str(out), *given)
                assert "nothing is locked" in ended
                assert (out / "f").read_text() == "v"
            assert "read-only" in site.holdfast("backup", "docs", code=1)
        finally:
            subprocess.run(["umount", repository], check=True)
        (site.source / "f").write_text("w")
        site.holdfast("backup", "-q", "docs")  # the service has noticed
