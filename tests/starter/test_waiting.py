"""A run that waits says so: in `status`, in `schedule list`, and to the watchdog. On a real full disk."""

import json
import os
import time
from pathlib import Path
from random import Random

import pytest

from holdfast.starter.runs.follower import is_full
from tests.support.campaign import MIB, Site, kill_family
from tests.support.disks import tmpfs

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small disk")
PATIENCE_S = 120.0
SCHEDULE = '[[sources.home.schedules]]\nname = "nightly"\nkind = "backup"\nevery = "1d"\n'


def succeeds(site: Site, *words: str) -> str:
    ended = site.run(*words)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def told(site: Site, *words: str) -> object:
    found = json.loads(site.run(*words, "--json").stdout)
    return found["sources"] if isinstance(found, dict) else found


def until_it_waits(site: Site, *words: str) -> str:
    give_up, found = time.monotonic() + PATIENCE_S, None
    while time.monotonic() < give_up:
        found = told(site, *words)
        assert isinstance(found, list)
        reasons = [str(row["waits_for"]["detail"]) for row in found if row.get("waits_for")]
        if reasons:
            return reasons[0]
        time.sleep(0.5)
    raise AssertionError(f"nothing waits: {found}")


def test_a_scheduled_backup_onto_a_full_disk(tmp_path: Path) -> None:
    site = Site(folder=tmp_path, random=Random(1))
    with tmpfs(tmp_path / "disk", "size=2m"):
        site.prepare()
        (site.source / "large").write_bytes(site.random.randbytes(6 * MIB))
        with (tmp_path / "holdfast.toml").open("a") as settings:
            settings.write(SCHEDULE)
        service = site.command("up")
        try:
            succeeds(site, "schedule", "apply", "--yes")
            succeeds(site, "schedule", "trigger", "home.nightly")
            assert "no space left" in until_it_waits(site, "status")
            assert "no space left" in until_it_waits(site, "schedule", "list")
            assert "WAITS: full disk: " in site.run("status").stdout
        finally:
            kill_family(service)


def test_a_full_state_directory_is_known(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "state", "size=1m") as folder:
        assert not is_full(folder)
        with pytest.raises(OSError, match="space"):
            (folder / "fill").write_bytes(bytes(2 * MIB))
        assert is_full(folder)
