"""A system of three sources on two hosts: hooks, one verdict, and its recovery by name."""

import shutil

from temporalio.client import Client

from holdfast.contracts.system import SystemResult
from tests.support.hosts import Hosts
from tests.support.runs import everything_stored_about


def declare(hosts: Hosts, *, hook: str = "true", on_failure: str = "fail") -> None:
    """`shop`: a command's output and a directory on host one, a directory with a hook on host two."""
    one, two = hosts.one, hosts.two
    order = f'printf "%s\\\\n" "$0" >> {hosts.folder}/order'
    for host, name in ((one, "etc"), (two, "srv")):
        (host.folder / name).mkdir(exist_ok=True)
        (host.folder / name / "canary-file").write_text(f"{name} first")
    (one.folder / "table").write_text("rows of the table\n" * 1000)
    one.settings = f"""
[sources.db]
repository = "home"
command = ["sh", "-c", "cat {one.folder}/table"]
file = "shop.dump"
restore_command = ["sh", "-c", '{order}; env > {one.folder}/environment; cat > {one.folder}/table', "db"]
[sources.etc]
repository = "home"
paths = ["{one.folder}/etc"]
[hooks.stop]
command = ["sh", "-c", 'echo stopping "$HOLDFAST_SYSTEM" "$HOLDFAST_STATUS"; {order}', "stop"]
[hooks.start]
command = ["sh", "-c", 'echo "$HOLDFAST_STATUS"; {order}', "start"]
[systems.shop]
sources = ["db", "etc", "srv@{two.name}"]
restore_order = ["srv@{two.name}", "db"]
before = ["stop"]
after = ["start"]
busy_wait = "1s"
"""
    two.settings = f"""
[sources.srv]
repository = "home"
paths = ["{two.folder}/srv"]
before = ["freeze"]
after = ["thaw"]
[hooks.freeze]
command = ["sh", "-c", "echo canary-output; {hook}"]
on_failure = "{on_failure}"
[hooks.thaw]
command = ["sh", "-c", '{order}', "thaw"]
"""
    one.write()
    two.write()


def order_of(hosts: Hosts) -> list[str]:
    """Who ran, in order; forgotten by the next call."""
    file = hosts.folder / "order"
    lines = file.read_text().split() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def members(document: dict[str, object]) -> dict[str, dict[str, object]]:
    listed = document["members"]
    assert isinstance(listed, list)
    return {member["member"].partition("@")[0]: member for member in listed}


async def test_a_failing_hook_costs_its_source_and_the_recovery_goes_in_order(
    client: Client, hosts: Hosts
) -> None:
    one, two = hosts.one, hosts.two
    declare(hosts, hook="exit 7")
    with one.serving(), two.serving():
        partial = one.answer("system", "backup", "shop", code=3)
        found = members(partial)
        assert [found[name]["ok"] for name in ("db", "etc", "srv")] == [True, True, False]
        assert (found["db"]["status"], found["srv"]["status"]) == ("complete", "failed")
        assert found["srv"]["snapshot_id"] == ""
        assert (
            found["srv"]["reason"]
            == "not backed up: the hook 'freeze' before the backup failed with exit code 7"
        )
        assert order_of(hosts) == ["stop", "thaw", "start"]

        shown = one.holdfast("system", "show", "shop")
        assert "NOT RECOVERABLE as of this run" in shown
        assert "stopping shop running" in one.holdfast("run", "show", str(partial["run_id"]))
        assert "canary-output" in two.holdfast("run", "show", str(found["srv"]["run_id"] or "srv"))

        declare(hosts)
    with one.serving(), two.serving():
        whole = one.answer("system", "backup", "shop")
        assert all(member["ok"] for member in members(whole).values())
        order_of(hosts)

        (one.folder / "table").write_text("lost")
        shutil.rmtree(one.folder / "etc")
        (two.folder / "srv" / "canary-file").write_text("scrambled")
        recovered = one.answer("system", "restore", "shop", "--in-place")
        handle = client.get_workflow_handle(f"system-restore:{one.name}:shop", result_type=SystemResult)
        result = await handle.result()
        stored = await everything_stored_about(handle)
    assert recovered["system_run"]
    assert [member.label.partition("@")[0] for member in result.members] == ["srv", "db", "etc"]
    assert order_of(hosts) == ["db"]
    assert (one.folder / "table").read_text() == "rows of the table\n" * 1000
    assert (one.folder / "etc" / "canary-file").read_text() == "etc first"
    assert (two.folder / "srv" / "canary-file").read_text() == "srv first"
    assert b"canary" not in stored
    assert "canary-environment" not in (one.folder / "environment").read_text()
