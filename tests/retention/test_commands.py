"""What commands show and change without a run: dry runs, the bin, holds, alarms, the simulator."""

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.ids import short, to_hex
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots
from holdfast.retention.bin import bin_roots, forget_snapshot, take_back
from holdfast.retention.holds import AlarmNote, raise_alarm
from holdfast.service.journal.journal import Journal
from holdfast.starter.main import main
from tests.support import fork_server
from tests.support.engine import PASSWORD, EngineRun, new_session, open_session

PROJECT = Path(__file__).parent.parent.parent
HOUR_NS = 3600 * 10**9
Answer = Callable[..., tuple[str, str]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Five hourly snapshots of a source with a policy, and settings."""
    source = tmp_path / "source"
    source.mkdir()
    with new_session(tmp_path / "repository") as session:
        for number in range(5):
            (source / "file").write_bytes(b"%d" % number * 5_000)
            run = EngineRun.of(session, source, run_id=f"{number}")
            started_ns = time.time_ns() - (5 - number) * HOUR_NS
            run.order = replace(run.order, started_ns=started_ns, source="docs", host="h")
            run.run()
    (tmp_path / "password").write_bytes(PASSWORD)
    (tmp_path / "holdfast.toml").write_text(
        f'host = "h"\nstate_dir = "{tmp_path}/state"\n'
        f'[repositories.main]\nlocation = "{tmp_path}/repository"\npassword_file = "{tmp_path}/password"\n'
        f'[sources.docs]\nrepository = "main"\npaths = ["{source}"]\n[sources.docs.retention]\nkeep_last = 2\n'
    )
    return tmp_path


@pytest.fixture
def answer(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Answer:
    """A command in this process: what it prints, and its complaints."""
    for name in list(os.environ):
        if name.startswith(("RESTIC_", "HOLDFAST_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOLDFAST_CONFIG", str(folder / "holdfast.toml"))
    monkeypatch.setenv("HOME", str(folder))

    def ask(*arguments: str, code: int = 0) -> tuple[str, str]:
        capsys.readouterr()
        ended = main(arguments)
        said = capsys.readouterr()
        assert ended == code, said.out + said.err
        return said.out, said.err

    return ask


def snapshots(folder: Path) -> list[StoredSnapshot]:
    with open_session(folder / "repository") as session:
        return list_snapshots(session.repository)


def test_a_dry_run_says_what_stays_what_goes_and_why(folder: Path, answer: Answer) -> None:
    first, *_, last = snapshots(folder)
    (group,) = json.loads(answer("forget", "--dry-run", "--json")[0])
    assert (group["source"], group["host"]) == ("docs", "h")
    assert group["keep"][0]["id"] == to_hex(last.id)
    assert [gone["id"] for gone in group["remove"]][-1] == to_hex(first.id)
    assert group["reasons"][0]["matches"] == ["last snapshot", "newest complete one"]
    assert group["remove"][0]["reason"] == "no rule keeps it"
    text, _ = answer("forget", "--dry-run", "--keep-last", "4", "--group-by", "host")
    assert "4 would stay, 1 would go" in text
    assert len(snapshots(folder)) == 5


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        (("--keep-last", "many"), "no number of snapshots"),
        (("--keep-within", "7w"), "no span of time"),
        (("--keep-within-size", "much"), "no size"),
        (("--group-by", "users"), "--group-by"),
        (("--unsafe-allow-remove-all",), "would forget everything"),
        (("--source", "doc"), "docs"),
        (("0000",), "no snapshot's id begins with"),
        (("--empty-bin",), "no dry run"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_a_way_out(
    answer: Answer, options: tuple[str, ...], wrong: str
) -> None:
    assert wrong in answer("forget", "--dry-run", *options, code=1)[1]


def test_a_hold_is_put_listed_kept_and_released_on_record(folder: Path, answer: Answer) -> None:
    first = snapshots(folder)[0]
    name = short(first.id)
    assert "reason" in answer("hold", name, "--reason", " ", code=1)[1]
    assert f"{name} held by Ann: audit" in answer("hold", name, "--reason", "audit", "--by", "Ann")[0]
    assert "audit" in answer("holds")[0]
    (hold,) = json.loads(answer("holds", "--json")[0])["holds"]
    assert (hold["snapshot"], hold["by"], hold["until"]) == (to_hex(first.id), "Ann", None)
    assert "held: audit (Ann)" in answer("forget", "--dry-run")[0]
    assert "stays: held: audit (Ann)" in answer("forget", "--dry-run", name, code=1)[1]
    answer("release", name, "--reason", "over", "--by", "Bob")
    assert "held" not in answer("forget", "--dry-run")[0]
    records = Journal.at(folder / "state" / "journal.db").runs()
    said = [(record.strategy, record.trigger_by, record.reason, record.snapshot_id) for record in records]
    assert said == [
        ("release", "Bob", "over", to_hex(first.id)),
        ("hold", "Ann", "audit", to_hex(first.id)),
    ]


def test_an_alarm_is_listed_and_settled(folder: Path, answer: Answer) -> None:
    with open_session(folder / "repository") as session:
        now_ns = time.time_ns()
        note = AlarmNote(host="h", source="docs", paths=(), since_ns=now_ns, alarm="noise", run="r")
        raise_alarm(session.repository, note)
    assert "noise" in answer("holds")[0]
    assert "5 would stay, 0 would go" in answer("forget", "--dry-run")[0]
    assert "there is no alarm of other" in answer("release", "--alarm", "other", "--reason", "x", code=1)[1]
    assert "settled: the alarm of docs" in answer("release", "--alarm", "docs", "--reason", "a test")[0]
    assert "2 would stay, 3 would go" in answer("forget", "--dry-run")[0]


def test_the_bin_is_listed_and_gives_back(folder: Path, answer: Answer) -> None:
    first, second, *_ = snapshots(folder)
    with open_session(folder / "repository") as session, session.hold() as held:
        for stored in (first, second):
            forget_snapshot(
                held, stored.id, now_ns=time.time_ns(), keep_s=60.0, by="Ann", reason="no rule keeps it"
            )
    assert "2 snapshots in the bin" in answer("unforget")[0]
    listed = json.loads(answer("forget", "--bin", "--json")[0])
    assert [one["id"] for one in listed] == [to_hex(first.id), to_hex(second.id)]
    assert f"took back snapshot {short(first.id)}" in answer("unforget", short(first.id))[0]
    assert "no snapshot in the bin begins" in answer("unforget", short(first.id), code=1)[1]
    assert len(snapshots(folder)) == 4
    said = json.loads(answer("retention", "simulate", "--json")[0])
    assert all(gone["bytes_alone"] > 0 for gone in said["groups"][0]["remove"])  # though the bin has it, too
    for more in (("--host", "other"), ("--source", "docs"), ("--keep-last", "1"), ("--prune",)):
        assert "no filter, no rule" in answer("forget", "--empty-bin", *more, code=1)[1]
    assert "1 snapshot in the bin" in answer("unforget")[0]
    assert "1 snapshot has left the bin" in answer("forget", "--empty-bin")[0]
    assert "0 snapshots in the bin" in answer("unforget")[0]


def test_the_simulator_tells_bytes_and_the_months_to_come(folder: Path, answer: Answer) -> None:
    said = json.loads(answer("retention", "simulate", "docs", "--json")[0])
    (group,) = said["groups"]
    assert said["bytes_freed"] >= sum(gone["bytes_alone"] for gone in group["remove"]) > 0
    assert len(group["calendar"]["months"]) == 13
    assert group["calendar"]["every_seconds"] == 3600
    assert len(group["calendar"]["goes"]) == 5
    text, _ = answer("retention", "simulate")
    assert "3 snapshots would go: together they free" in text
    assert "with a snapshot every 1h:" in text


def test_forgetting_and_pruning_in_one_command_and_the_bin_keeps_its_data(folder: Path) -> None:
    environ = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(folder), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "holdfast.starter", "forget", "--prune", "--json", "--config"]
    done = fork_server.run(
        [*command, str(folder / "holdfast.toml")], capture_output=True, text=True, env=environ
    )
    assert done.returncode == 0, done.stdout + done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    forgot, pruned = (message for message in said if message["message_type"] == "summary")
    assert (forgot["forgotten"], forgot["stays"]) == (3, 2)
    assert pruned["status"] == "complete"
    first = min(snapshots_in_bin(folder), key=lambda stored: stored.time_ns)
    with open_session(folder / "repository") as session, session.hold() as held:
        assert take_back(held, to_hex(first.id)) == first.id


def snapshots_in_bin(folder: Path) -> list[StoredSnapshot]:
    with open_session(folder / "repository") as session:
        return bin_roots(session.repository)
