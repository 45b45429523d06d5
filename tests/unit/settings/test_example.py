"""holdfast.example.toml: valid as it stands, and with every key that it explains; it explains every key."""

import re
import tomllib
from pathlib import Path
from typing import Final

import msgspec
import pytest

from holdfast.service.settings.cleanup import CleanupTable
from holdfast.service.settings.document import (
    JournalTable,
    LogTable,
    NoticesTable,
    RepositoryTable,
    ServerTable,
    SourceTable,
    TopTable,
    WorkerTable,
)
from holdfast.service.settings.drills import DrillTable
from holdfast.service.settings.encryption import KeysTable
from holdfast.service.settings.hooks import HookTable
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import Settings, WorkerSettings
from holdfast.service.settings.prune import PruneTable
from holdfast.service.settings.retention import RepositoryRetentionTable, SourceRetentionTable
from holdfast.service.settings.systems import SystemTable

EXAMPLE: Final = Path(__file__).parents[3] / "holdfast.example.toml"
_COMMENTED_KEY: Final = re.compile(r"^# (?=[a-z_]+ = |\[[a-z.]+\]$)", re.MULTILINE)
_ONE_OF_THREE: Final = (
    *("password_command", "password_env", "credentials_command", "credentials_env", "key_command", "key_env"),
    "ui_port",
)


def load(path: Path) -> Settings:
    return load_settings(path, {"HOME": "/home/me"})


def uncommented() -> str:
    """Every key switched on, but for those that exclude each other."""
    lines = _COMMENTED_KEY.sub("", EXAMPLE.read_text()).splitlines()
    return "\n".join(line for line in lines if not line.startswith(_ONE_OF_THREE))


def test_the_example_is_valid_and_its_defaults_are_the_defaults(tmp_path: Path) -> None:
    settings = load(EXAMPLE)
    assert settings.worker == WorkerSettings()
    assert settings.source("documents").repository == "home"
    assert [schedule.kind for schedule in settings.schedules] == ["verify", "system"]

    everything = tmp_path / "holdfast.toml"
    everything.write_text(uncommented())
    assert load(everything).server.address == "temporal.example:7233"


@pytest.mark.parametrize(
    ("table", "kind"),
    [
        ("", TopTable),
        ("repositories.home", RepositoryTable),
        ("sources.documents.retention", SourceRetentionTable),
        ("repositories.home.retention sources.documents.retention", RepositoryRetentionTable),
        ("sources.documents sources.shopdb", SourceTable),
        ("drills.documents", DrillTable),
        ("hooks.freeze", HookTable),
        ("systems.shop", SystemTable),
        ("server", ServerTable),
        ("encryption", KeysTable),
        ("signing", KeysTable),
        ("worker", WorkerTable),
        ("journal", JournalTable),
        ("log", LogTable),
        ("notices", NoticesTable),
        ("cleanup", CleanupTable),
        ("prune", PruneTable),
    ],
)
def test_the_example_explains_every_key(table: str, kind: type[msgspec.Struct]) -> None:
    """table: one, or several that together show all keys."""
    explained: set[str] = set()
    for path in table.split() or [""]:
        document: object = tomllib.loads(_COMMENTED_KEY.sub("", EXAMPLE.read_text()))
        for name in path.split(".") if path else []:
            assert isinstance(document, dict)
            document = document[name]
        assert isinstance(document, dict)
        explained |= document.keys()
    assert {field.name for field in msgspec.structs.fields(kind)} <= explained
