"""[sources] with a command, [hooks] and [systems]: what they become, and how mistakes in them are told."""

from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import Settings

GOOD = """
[repositories.home]
location = "/r"
[sources.db]
repository = "home"
command = "pg_dump -Fc 'the shop'"
file = "shop.dump"
restore_command = ["pg_restore", "-d", "shop"]
before = ["freeze"]
[sources.etc]
repository = "home"
paths = ["/etc"]
[hooks.freeze]
command = ["/bin/freeze"]
timeout = "5s"
on_failure = "warn"
[systems.shop]
sources = ["db", "etc", "etc@venus"]
restore_order = ["etc@venus"]
before = ["freeze"]
[[schedules]]
kind = "system"
system = "shop"
cron = "0 2 * * *"
"""


def load(folder: Path, text: str) -> Settings:
    file = folder / "holdfast.toml"
    file.write_text(text)
    return load_settings(file, {"HOME": "/home/me"})


def test_commands_hooks_and_systems(tmp_path: Path) -> None:
    settings = load(tmp_path, GOOD)
    source = settings.source("db")
    assert (source.spec.roots, source.spec.command) == ((b"/shop.dump",), ("pg_dump", "-Fc", "the shop"))
    assert source.restore_command == ("pg_restore", "-d", "shop")
    hook = settings.hook("freeze")
    assert (hook.command, hook.timeout_s, hook.must_succeed) == (("/bin/freeze",), 5.0, False)
    system = settings.system("shop")
    assert [member.label for member in system.restore_order] == ["etc@venus", "db", "etc"]
    (schedule,) = settings.schedules
    assert (schedule.kind, schedule.system, schedule.name) == ("system", "shop", "system")


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('file = "shop.dump"', "", "sources.db.file"),
        ('file = "shop.dump"', 'file = "a/b"', "sources.db.file"),
        ('file = "shop.dump"', 'file = "x"\npaths = ["/x"]', "sources.db.paths"),
        ('paths = ["/etc"]', "", "sources.etc.paths"),
        ('paths = ["/etc"]', 'paths = ["/etc"]\nrestore_command = "x"', "sources.etc.restore_command"),
        ("'the shop'", "'the shop", "sources.db.command"),
        ('command = ["/bin/freeze"]', "command = []", "hooks.freeze.command"),
        ('on_failure = "warn"', 'on_failure = "shrug"', "hooks.freeze.on_failure"),
        ('restore_order = ["etc@venus"]', 'restore_order = ["srv"]', "systems.shop.restore_order[0]"),
        ('"etc@venus"]\nrestore', '"srv"]\nrestore', "systems.shop.sources[2]"),
        ('"etc@venus"]\nrestore', '"etc"]\nrestore', "systems.shop.sources[2]"),
        ('restore_order = ["etc@venus"]\nbefore = ["freeze"]', 'before = ["thaw"]', "systems.shop.before[0]"),
        ('system = "shop"\n', 'system = "shp"\n', "schedules[0].system"),
        ('system = "shop"\n', "", "schedules[0].system"),
        ('kind = "system"\n', 'kind = "verify"\nrepository = "home"\n', "schedules[0].system"),
        ('system = "shop"\n', 'system = "shop"\nsource = "etc"\n', "schedules[0].source"),
        ('system = "shop"\n', 'system = "shop"\nrepository = "home"\n', "schedules[0].repository"),
        ('system = "shop"\n', 'system = "shop"\nverify = "full"\n', "schedules[0].verify"),
        (
            '[[schedules]]\nkind = "system"\nsystem = "shop"',
            '[[sources.etc.schedules]]\nkind = "system"',
            "sources.etc.schedules[0].kind",
        ),
    ],
)
def test_a_mistake_is_told_by_its_key(tmp_path: Path, old: str, new: str, key: str) -> None:
    assert GOOD.count(old) == 1
    with pytest.raises(SettingsError) as refused:
        load(tmp_path, GOOD.replace(old, new))
    assert f": {key}: " in refused.value.message
    assert refused.value.hint
