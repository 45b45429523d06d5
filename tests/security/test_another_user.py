"""Another user of the host against `holdfast up` of root, and of an ordinary user: nothing is obeyed or believed.

`HOLDFAST_ATTACKED=CHECKOUT` has another checkout attacked. Against the state before values were signed and checked
(commit dc8b82b) most of these were shown to fail; that an old restore was done again, and that a restore's command was
fed, was not shown there by these assertions.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from tests.security.attacker import LIE
from tests.security.victim import Attacker, Victim

pytestmark = pytest.mark.timeout(900)
PATIENCE_S: Final = 180.0
POLICY: Final = {"heartbeat_timeout_s": 5.0, "light_timeout_s": 20.0}


@pytest.fixture(scope="module")
def backed_up(mallory: Attacker) -> Attacker:
    """Root has snapshots, and has restored to a folder and in place; newer data came after that."""
    victim = mallory.victim
    victim.holdfast("backup", "-q", "docs")
    (victim.folder / "go").touch()
    victim.holdfast("backup", "-q", "slow")
    (victim.folder / "go").unlink()
    in_place(victim)
    slow = ("restore", "-q", "latest", "--source", "slow")
    victim.holdfast(*slow, "--target", str(victim.folder / "restored"))
    return mallory


def in_place(victim: Victim) -> None:
    """A restore that brings the source back as it was; then the source goes on."""
    where = ("--in-place", "--delete", "--include", str(victim.folder / "src"))
    victim.holdfast("restore", "-q", "latest", "--source", "docs", *where)
    (victim.folder / "src" / "file").write_text("newer data")


@pytest.mark.parametrize("way", [pytest.param("absolute", marks=pytest.mark.faults), "climbing"])
def test_no_file_is_written_anywhere_by_a_member_that_is_a_path(backed_up: Attacker, way: str) -> None:
    victim = backed_up.victim
    rooted = victim.folder / "rooted"
    order = {
        "run": {"run_id": "mallory/1", "repository": "", "source": "shop"},
        "member": {
            "label": str(rooted) if way == "absolute" else "../" * 12 + str(rooted),
            "source": "docs",
            "host": "h",
            "queue": "q",
        },
        "snapshot_id": f"latest:{victim.folder}/mallory",
        "target": next(iter(tokens(backed_up).values())),  # as it was called
        "order": next(iter(tokens(backed_up).values())),
    }
    said = [backed_up.does("activity_of_my_own", type="system_prepare", input=order, id="mallory")]
    alone = ("--activity-id", f"a-{way}", "--type", "system_prepare", "--task-queue", victim.queue)
    limit = ("--schedule-to-close-timeout", "20s")
    said.append(
        backed_up.temporal("activity", "execute", *alone, *limit, "--input", json.dumps(order)).stdout
    )
    found = [word for text in said for word in text.replace('"', "'").split("'") if word.startswith("@")]
    for selection in found:
        request = {"repository": "home", "selection": selection, "policy": POLICY}
        backed_up.does("start", type="Restore", input=request)
    assert list(rooted.iterdir()) == []


def test_no_old_restore_is_done_again(backed_up: Attacker) -> None:
    """Not as it was started, not under another id, not as the resumption of the run that it was."""
    known = tokens(backed_up)
    for name, selection in known.items():
        backed_up.does("replay", type="Restore", id=name)
        request = {"repository": "home", "selection": selection, "policy": POLICY}
        backed_up.does("start", type="Restore", input=request)
        resumed = request | {"resume_run": f"{name}/{backed_up.does('first_run', id=name)}"}
        backed_up.does("start", type="Restore", input=resumed, id=name)
    assert known
    assert (backed_up.victim.folder / "src" / "file").read_text() == "newer data"


def test_no_run_is_done_again_from_its_middle(backed_up: Attacker) -> None:
    victim = backed_up.victim
    before = snapshots(victim)
    for name in (*tokens(backed_up), f"backup:{victim.host}:home:docs"):
        assert "done: " not in backed_up.does("reset", id=name)
    assert (victim.folder / "src" / "file").read_text() == "newer data"
    assert snapshots(victim) == before


def test_no_hook_runs(backed_up: Attacker) -> None:
    run = {"run_id": "mallory/1", "repository": "home", "source": "docs"}
    hook = {"run": run, "hook": {"name": "canary"}, "moment": "before", "source": "docs"}
    backed_up.does("activity_of_my_own", type="hook", input=hook)
    backed_up.does("activity_of_my_own", type="hook", input=hook, id="mallory")
    assert "hook" not in backed_up.victim.canaries


def test_no_check_of_a_drill_runs(backed_up: Attacker) -> None:
    drill = {"repository": "home", "drill": "docs", "policy": POLICY}
    backed_up.does("start", type="Drill", input=drill)
    assert "check" not in backed_up.victim.canaries


@pytest.mark.faults
def test_no_restore_command_is_fed(backed_up: Attacker) -> None:
    for selection in tokens(backed_up).values():
        order = {"repository": "home", "selection": selection, "to_command": "slow", "policy": POLICY}
        backed_up.does("start", type="Restore", input=order)
    assert "restore_command" not in backed_up.victim.canaries


def test_no_backup_is_begun(backed_up: Attacker) -> None:
    before = snapshots(backed_up.victim)
    request = {"repository": "home", "source": "docs", "host": "forged", "tags": ["forged"], "policy": POLICY}
    backed_up.does("start", type="Backup", input=request)
    where = ("--type", "Backup", "--task-queue", backed_up.victim.queue, "--workflow-id", "mallory")
    limit = ("--execution-timeout", "20s")
    backed_up.temporal("workflow", "execute", *where, *limit, "--input", json.dumps(request))
    assert snapshots(backed_up.victim) == before


def test_the_journal_takes_no_record(backed_up: Attacker) -> None:
    victim = backed_up.victim
    name = f"backup:{victim.host}:home:docs"
    record = {
        "run": {"run_id": f"{name}/1", "repository": "home", "source": "docs"},
        "request": {"repository": "home", "source": "docs"},
        "status": "complete",
        "started_ns": 1,
        "ended_ns": time.time_ns(),
        "committed": {"snapshot_id": LIE, "status": "complete"},
    }
    backed_up.does("activity_of_my_own", type="log", input=record)
    backed_up.does("activity_of_my_own", type="log", input=record, id=name)
    assert LIE not in victim.holdfast("runs", "--json").stdout


@pytest.mark.faults
def test_a_living_run_is_left_alone(backed_up: Attacker) -> None:
    """Its workspace is not closed, it is not stopped or paused, and nobody else answers for its activities."""
    victim = backed_up.victim
    victim.holdfast("backup", "-q", "slow", "--detach")
    name = f"backup:{victim.host}:home:slow"
    until(lambda: workspaces(victim) and running(victim, "slow"))
    (started,) = running(victim, "slow")
    run = {"run_id": started["run_id"], "repository": "home", "source": "slow"}
    close = {"run": run, "status": "complete", "ended_ns": 1}
    backed_up.does("activity_of_my_own", type="close", input=close)
    assert workspaces(victim)
    for asked in ("cancel", "pause"):
        backed_up.does("signal", id=name, name=asked, input={"by": "mallory"})
        backed_up.does("update", id=name, name=asked, input={"by": "mallory"})
    backed_up.does("query", id=name, name="progress")
    backed_up.does("heartbeat", id=name, input={"shard": 0, "bytes_done": 1 << 60})
    backed_up.does("complete", id=name, input={"shard": 0, "totals": {"files": 1}})
    (victim.folder / "go").touch()
    until(lambda: not running(victim, "slow"))
    (victim.folder / "go").unlink()
    ended = recorded(victim, "slow")
    assert ended["status"] in ("complete", "failed"), ended
    if ended["status"] == "failed":  # an answer that nobody believes may end a run, which then says so
        assert ended["failure"] == "UntrustedError", ended
        victim.holdfast("cancel", "slow", code=None)
    else:
        assert ended["snapshot_id"] in snapshots(victim)


def test_a_command_believes_no_false_worker(backed_up: Attacker) -> None:
    """It answers when it is asked before root's workers; that may delay a backup or fail it, never invent one."""
    victim = backed_up.victim
    with backed_up.doing("false_worker", workers=3):
        for _ in range(3):
            done = victim.holdfast("backup", "docs", "--json", code=None)
            assert LIE not in done.stdout
            assert done.returncode != 0 or summary(done.stdout)["snapshot_id"] in snapshots(victim)
    assert LIE not in victim.holdfast("runs", "--json").stdout


@pytest.mark.faults
def test_the_end_that_another_gives_a_run_is_told(backed_up: Attacker) -> None:
    victim = backed_up.victim
    victim.holdfast("backup", "-q", "lasting", "--detach")
    until(lambda: running(victim, "lasting"))
    backed_up.does("terminate", id=f"backup:{victim.host}:home:lasting")
    until(lambda: recorded(victim, "lasting")["status"] == "failed")
    assert "ended from outside" in json.dumps(recorded(victim, "lasting"))


def test_all_ports_are_the_loopbacks(backed_up: Attacker) -> None:
    assert backed_up.victim.listening()
    assert all(address.startswith("127.0.0.1") for address in backed_up.victim.listening())


def test_root_goes_on(backed_up: Attacker) -> None:
    done = backed_up.victim.holdfast("backup", "docs", "--json")
    assert summary(done.stdout)["snapshot_id"] in snapshots(backed_up.victim)


@pytest.mark.faults
def test_an_ordinary_user_is_as_safe(neighbour: Attacker) -> None:
    victim = neighbour.victim
    victim.holdfast("backup", "-q", "docs")
    in_place(victim)
    for name in tokens(neighbour):
        neighbour.does("replay", type="Restore", id=name)
    request = {"repository": "home", "source": "docs", "policy": POLICY}
    neighbour.does("start", type="Backup", input=request)
    run = {"run_id": "mallory/1", "repository": "home", "source": "docs"}
    hook = {"run": run, "hook": {"name": "canary"}, "moment": "before", "source": "docs"}
    neighbour.does("activity_of_my_own", type="hook", input=hook, id="mallory")
    assert (victim.folder / "src" / "file").read_text() == "newer data"
    assert victim.canaries == []
    assert len(snapshots(victim)) == 1


def tokens(attacker: Attacker) -> dict[str, str]:
    """The selections of restores, by workflow id, as their histories show them."""
    names = dict.fromkeys(attacker.does("find", type="Restore").split())
    inputs = {name: attacker.does("inputs", id=name) for name in names}
    return {name: text.partition('"selection":"')[2].partition('"')[0] for name, text in inputs.items()}


def snapshots(victim: Victim) -> set[str]:
    """The ids in the repository."""
    return {path.name for path in (victim.folder / "repository" / "snapshots").iterdir()}


def workspaces(victim: Victim) -> list[Path]:
    return list(victim.runs.iterdir()) if victim.runs.exists() else []


def summary(printed: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(printed.strip().splitlines()[-1])
    return found


def running(victim: Victim, source: str) -> list[dict[str, Any]]:
    return [run for run in records(victim) if (run["status"], run["source"]) == ("running", source)]


def recorded(victim: Victim, source: str) -> dict[str, Any]:
    return next(run for run in records(victim) if run["source"] == source)


def records(victim: Victim) -> list[dict[str, Any]]:
    """The journal, the newest first."""
    found: list[dict[str, Any]] = json.loads(victim.holdfast("runs", "--json").stdout)
    return found


def until(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.5)
