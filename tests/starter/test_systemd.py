"""What systemd is given, and what it is told: units for the host and for one user, and the words of a service.

No systemd runs where tests do; docs/service.md says what was tried under one. `systemd-analyze` reads units without it.
"""

import asyncio
import contextlib
import json
import os
import socket
import subprocess
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from holdfast.errors import EXIT_COMPLETE, EXIT_FAILED, SettingsError, UsageError
from holdfast.starter.daemon import needs
from holdfast.starter.daemon.manager import Manager
from holdfast.starter.daemon.unit import RESTORES, UnitPlan, is_changed, unit_text, version_of
from holdfast.starter.main import main

MOST_EXPOSED: Final = 20
"""Of 100, by `systemd-analyze security`: docs/service.md has the number of today."""
HOST: Final = UnitPlan(
    program="up",
    executable=("/bin/sh", "-c", 'say "100%" of $it'),
    settings=Path("/etc/holdfast/holdfast.toml"),
    for_host=True,
    writable=(Path("/srv/my backup"),),
    credentials={"home": Path("/etc/holdfast/home.password")},
)
SETTINGS: Final = """
state_dir = "{folder}/state"
[repositories.home]
location = "{folder}/repository"
[sources.files]
repository = "home"
paths = ["{folder}/files"]
"""


def lines(plan: UnitPlan) -> dict[str, list[str]]:
    """What the unit says, by key."""
    found = defaultdict[str, list[str]](list)
    for line in unit_text(plan, "1.0").splitlines():
        if not line.startswith(("#", "[")) and line:
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def test_the_hosts_service_reads_everything_and_writes_only_where_it_keeps_things() -> None:
    unit = lines(HOST)
    assert unit["User"] == ["holdfast"]
    assert unit["AmbientCapabilities"] == unit["CapabilityBoundingSet"] == ["CAP_DAC_READ_SEARCH"]
    assert unit["ProtectSystem"] == ["strict"]
    assert unit["ReadWritePaths"] == ['"-/srv/my backup"']
    assert unit["LoadCredential"] == ["home:/etc/holdfast/home.password"]
    assert unit["ExecStart"] == [
        r'/bin/sh -c "say \"100%%\" of $$it" --config /etc/holdfast/holdfast.toml up'
    ]


def test_restores_bring_their_rights_and_places_and_modes() -> None:
    unit = lines(replace(HOST, restores_to=(Path("/home"),)))
    assert set(RESTORES) < {*unit["AmbientCapabilities"][0].split()}
    assert "-/home" in unit["ReadWritePaths"]
    assert "RestrictSUIDSGID" not in unit, "a restored file may have these bits"
    drills = lines(replace(HOST, restores=True))
    assert drills["AmbientCapabilities"] == unit["AmbientCapabilities"]


def test_nothing_is_hidden_that_a_source_covers() -> None:
    assert lines(HOST)["PrivateTmp"] == ["yes"]
    unit = lines(replace(HOST, covers_temporary=True))
    assert "PrivateTmp" not in unit
    assert {"-/tmp", "-/var/tmp"} < {*unit["ReadWritePaths"]}, "strict made them read-only"


def test_no_unit_shows_other_owners_than_there_are() -> None:
    user = lines(replace(HOST, for_host=False))
    mounting = {
        "ProtectSystem",
        "ProtectHome",
        "PrivateTmp",
        "PrivateDevices",
        "PrivateMounts",
        "ProtectProc",
    }
    assert not mounting & user.keys(), "a user's manager can do it with PrivateUsers only, or not at all"
    assert "User" not in user
    assert "PrivateUsers" not in {**user, **lines(HOST)}


def test_a_path_that_no_unit_can_hold_is_refused() -> None:
    with pytest.raises(UsageError, match="cannot stand in a unit"):
        unit_text(replace(HOST, settings=Path("/etc/line\nend")), "1.0")


def test_what_a_person_changed_is_known() -> None:
    text = unit_text(HOST, "1.0")
    assert (version_of(text), is_changed(text)) == ("1.0", False)
    assert is_changed(text.replace("RestartSec=10s", "RestartSec=1s"))
    assert is_changed(text + "Nice=5\n")
    assert (version_of("[Unit]\n"), is_changed("[Unit]\n")) == (None, True)


@pytest.mark.parametrize(
    "plan",
    [
        HOST,
        replace(HOST, restores_to=(Path("/home"),), as_root=True),
        replace(HOST, for_host=False, variables={"XDG_STATE_HOME": "/home/me/my state"}),
    ],
    ids=["host", "root", "user"],
)
def test_systemd_understands_each_line(tmp_path: Path, plan: UnitPlan) -> None:
    unit = tmp_path / "holdfast.service"
    unit.write_text(unit_text(plan, "1.0"))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], check=False, capture_output=True, text=True
    )
    assert (done.returncode, [line for line in done.stderr.splitlines() if "holdfast" in line]) == (0, [])


def test_the_hosts_service_is_closed_as_far_as_is_on_record(tmp_path: Path) -> None:
    unit = tmp_path / "holdfast.service"
    unit.write_text(unit_text(HOST, "1.0"))
    command = ["systemd-analyze", "security", "--offline=yes", f"--threshold={MOST_EXPOSED}", str(unit)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


async def test_a_service_tells_its_manager_that_it_is_there_lives_and_ends(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(0)
        environ = {
            "NOTIFY_SOCKET": str(tmp_path / "notify"),
            "WATCHDOG_USEC": "1000",
            "WATCHDOG_PID": str(os.getpid()),
        }
        manager = Manager(environ)
        manager.tell_ready("serving holdfast.mars")
        assert listening.recv(4096) == b"READY=1\nSTATUS=serving holdfast.mars"
        living = asyncio.create_task(manager.keep_informed())
        loop = asyncio.get_running_loop()
        assert [await loop.sock_recv(listening, 4096) for _ in range(2)] == [b"WATCHDOG=1"] * 2
        living.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await living
        manager.tell_ending(within_s=35.0)
        told = await loop.sock_recv(listening, 4096)
        while told == b"WATCHDOG=1":
            told = await loop.sock_recv(listening, 4096)
        assert told == b"STOPPING=1\nSTATUS=ending\nEXTEND_TIMEOUT_USEC=35000000"
    manager.tell_ending(within_s=35.0)  # nobody listens any more, which is no reason to fail


async def test_no_manager_is_told_nothing_and_another_process_watchdog_is_not_ours() -> None:
    Manager({}).tell_ready("serving")
    await Manager({}).keep_informed()
    await Manager({"WATCHDOG_USEC": "1000", "WATCHDOG_PID": "1"}).keep_informed()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user whose systemd does not run, with settings."""
    for name in ("XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "HOLDFAST_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HOLDFAST_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "holdfast.toml").write_text(SETTINGS.format(folder=tmp_path))
    return tmp_path


def service(home: Path, *words: str) -> int:
    return main(["service", *words, "--user", "--config", str(home / "holdfast.toml")])


def test_a_unit_is_installed_again_but_never_over_changes_of_a_person(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = home / ".config" / "systemd" / "user" / "holdfast.service"
    assert service(home, "install") == EXIT_COMPLETE
    assert "systemd does not run here" in capsys.readouterr().out
    written = unit.read_text()
    assert f"HOLDFAST_CACHE_DIR={home}/cache" in written
    assert unit.stat().st_mode & 0o777 == 0o644
    assert service(home, "install", "worker") == EXIT_COMPLETE, "nobody changed it"
    assert unit.read_text() != written

    unit.write_text(unit.read_text() + "Nice=5\n")
    capsys.readouterr()
    for words in (["install"], ["remove"]):
        assert service(home, *words) == EXIT_FAILED
        assert "not as Holdfast wrote it" in capsys.readouterr().err
    assert unit.read_text().endswith("Nice=5\n")
    assert service(home, "install", "--replace") == EXIT_COMPLETE
    (aside,) = unit.parent.glob("holdfast.service.aside-*")
    assert aside.read_text().endswith("Nice=5\n")
    assert unit.read_text() == written


def test_status_says_how_a_service_stands_and_remove_takes_it_away(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert service(home, "install", "--quiet") == EXIT_COMPLETE
    capsys.readouterr()
    assert service(home, "status", "--json") == EXIT_FAILED
    document = json.loads(capsys.readouterr().out)
    assert (document["installed"], document["changed"], document["active"]) == (True, False, False)
    assert document["systemd"] is None
    assert service(home, "remove") == EXIT_COMPLETE
    assert not Path(document["unit"]).exists()
    assert service(home, "remove") == EXIT_FAILED
    assert "there is no" in capsys.readouterr().err


def test_what_a_service_needs_is_read_from_the_settings(home: Path) -> None:
    settings = needs.settings_of_service(home / "holdfast.toml", home, {})
    assert {home / "repository", home / "state"} <= {*needs.kept_by(settings, settings.state_dir)}
    assert needs.covers_temporary(settings) == home.is_relative_to("/tmp")  # noqa: S108 - where tests may lie
    (home / "holdfast.toml").write_text(
        SETTINGS.format(folder="/srv") + '[log]\nfile = "/var/log/holdfast/log"\n'
    )
    settings = needs.settings_of_service(home / "holdfast.toml", home, {})
    assert Path("/var/log/holdfast") in {*needs.kept_by(settings, settings.state_dir)}
    assert not needs.covers_temporary(settings)
    with pytest.raises(SettingsError, match="cannot be read"):
        needs.settings_of_service(home / "none.toml", home, {})
