"""A run that waits says so: in `status`, in `schedule list`, and to the watchdog. On a real full disk."""

import json
import os
import subprocess
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


def told(site: Site, *words: str) -> object:
    ended = subprocess.run(
        ["holdfast", *words, "--json"],
        check=False,
        capture_output=True,
        env=site.environment,
        timeout=PATIENCE_S,
    )
    found = json.loads(ended.stdout)
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
            applied = ["holdfast", "schedule", "apply", "--yes"]
            subprocess.run(applied, check=True, env=site.environment, capture_output=True, timeout=PATIENCE_S)
            trigger = ["holdfast", "schedule", "trigger", "home.nightly"]
            subprocess.run(trigger, check=True, env=site.environment, capture_output=True, timeout=PATIENCE_S)
            assert "no space left" in until_it_waits(site, "status")
            assert "no space left" in until_it_waits(site, "schedule", "list")
            plain = subprocess.run(
                ["holdfast", "status"], check=False, capture_output=True, env=site.environment
            )
            assert b"WAITS: full disk: " in plain.stdout
        finally:
            kill_family(service)


def test_a_full_state_directory_is_known(tmp_path: Path) -> None:
    with tmpfs(tmp_path / "state", "size=1m") as folder:
        assert not is_full(folder)
        with pytest.raises(OSError, match="space"):
            (folder / "fill").write_bytes(bytes(2 * MIB))
        assert is_full(folder)
