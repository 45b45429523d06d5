"""Snapshots that are dated in the future, at the terminal: each command that takes the newest one says so."""

import json
from pathlib import Path

import pytest

from tests.starter.test_cli_runs import PASSWORD, Host
from tests.support.engine import make_repository

SYSTEM = """
[systems.all]
sources = ["home"]
"""


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Host:
    made = Host(folder=tmp_path_factory.mktemp("host"))
    made.prepare()
    with (made.folder / "holdfast.toml").open("a") as file:
        file.write(SYSTEM)
    make_repository(made.repository, PASSWORD.encode())
    made.restic("backup", "-q", "--time", "2099-01-01 00:00:00", str(made.source))
    assert made.run("backup", "-q", "home").returncode == 0
    return made


@pytest.fixture(scope="module")
def of_today_and_ahead(host: Host) -> tuple[str, str]:
    """Their short ids."""
    today, ahead = json.loads(host.run("snapshots", "--json").stdout)
    assert ahead["time"].startswith(("2098", "2099"))
    return today["short_id"], ahead["short_id"]


@pytest.mark.parametrize(
    "command",
    [
        ("verify", "latest"),
        ("drill", "home"),
        ("restore", "latest", "--target", "restored"),
        ("system", "restore", "all", "--target", "system"),
    ],
    ids=lambda words: words[0],
)
def test_the_newest_of_today_is_taken_and_the_other_told(
    host: Host, of_today_and_ahead: tuple[str, str], command: tuple[str, ...]
) -> None:
    today, ahead = of_today_and_ahead
    done = host.run(*command)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"snapshot {ahead} is dated in the future, and was passed over" in done.stdout + done.stderr
    if command[0] != "verify":
        assert today in done.stdout


def test_also_where_little_is_said_and_to_programs(host: Host, of_today_and_ahead: tuple[str, str]) -> None:
    _, ahead = of_today_and_ahead
    quiet = host.run("verify", "-q", "latest")
    assert (quiet.stdout, f"snapshot {ahead} is dated in the future" in quiet.stderr) == ("", True)
    notes = [line for line in host.messages("verify", "latest") if line["message_type"] == "note"]
    assert any(f"snapshot {ahead} is dated" in str(note["message"]) for note in notes)


def test_one_that_is_named_is_meant(host: Host, of_today_and_ahead: tuple[str, str]) -> None:
    _, ahead = of_today_and_ahead
    done = host.run("verify", ahead)
    assert (done.returncode, "future" in done.stdout + done.stderr) == (0, False)


def test_the_newest_of_a_list(host: Host, of_today_and_ahead: tuple[str, str]) -> None:
    today, _ = of_today_and_ahead
    assert [
        found["short_id"] for found in json.loads(host.run("snapshots", "--latest", "1", "--json").stdout)
    ] == [today]


def test_where_there_is_no_other(tmp_path: Path) -> None:
    """A machine that comes up with the clock of its factory: nothing else can be meant, and that is told."""
    host = Host(folder=tmp_path)
    host.prepare()
    make_repository(host.repository, PASSWORD.encode())
    host.restic("backup", "-q", "--time", "2099-01-01 00:00:00", str(host.source))
    done = host.run("verify", "latest")
    assert done.returncode == 0
    assert "is dated in the future\n" in done.stderr
