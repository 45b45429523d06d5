"""Hooks around single sources, and a command's output as a source, by the command line."""

from tests.support.comparison import restic
from tests.support.hosts import PASSWORD, Hosts


def test_hooks_and_what_their_failure_means(hosts: Hosts) -> None:
    host = hosts.one
    (host.folder / "etc").mkdir()
    (host.folder / "etc" / "file").write_text("text")
    (host.folder / "table").write_text("rows")
    host.settings = f"""
[sources.etc]
repository = "home"
paths = ["{host.folder}/etc"]
before = ["slow"]
after = ["bad"]
[sources.db]
repository = "home"
command = ["cat", "{host.folder}/table"]
file = "shop.dump"
restore_command = ["sh", "-c", "cat > {host.folder}/given; echo canary-done"]
[sources.broken]
repository = "home"
command = ["sh", "-c", "echo half; exit 5"]
file = "half.dump"
after = ["note"]
[hooks.slow]
command = "sleep 60"
timeout = "1s"
on_failure = "warn"
[hooks.bad]
command = ["sh", "-c", "echo canary-bad; exit 9"]
[hooks.note]
command = ["sh", "-c", 'echo "$HOLDFAST_SOURCE $HOLDFAST_STATUS" > {host.folder}/noted']
"""
    host.write()
    with host.serving():
        partial = host.run("backup", "etc")
        assert partial.returncode == 3
        assert "the hook 'slow' before the backup ran out of time and was killed" in partial.stderr
        assert "the hook 'bad' after the backup failed with exit code 9" in partial.stderr
        shown = host.answer("run", "show", "etc")
        assert [(hook["hook"], hook["exit_code"], hook["timed_out"]) for hook in shown["hooks"]] == [
            ("slow", -9, True),
            ("bad", 9, False),
        ]
        assert "canary-bad" in shown["hooks"][1]["output"]
        assert len(shown["snapshot_id"]) == 64

        assert "failed with exit code 5" in host.failing("backup", "broken")
        assert (host.folder / "noted").read_text() == "broken failed\n"

        host.holdfast("backup", "db")
        host.holdfast("restore", "latest", "--source", "db", "--to-command")
        assert (host.folder / "given").read_text() == "rows"
        dump = host.answer("run", "show", "db")["snapshot_id"]
        assert "is of source broken" in host.failing(
            "restore", "latest", "--source", "broken", "--to-command"
        )
        assert "has no restore_command" in host.failing("restore", dump, "--source", "broken", "--to-command")
    assert restic(hosts.folder / "repository", PASSWORD, "snapshots", "--json").count('"short_id"') == 2
