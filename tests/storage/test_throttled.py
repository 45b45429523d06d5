"""The layer that keeps to a rate hands everything on, and has packs and index files wait for their time."""

from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.pace import Pace, RateRules, RateWindow
from holdfast.service.settings.load import load_settings
from holdfast.starter.shell.invocation import Invocation
from holdfast.starter.shell.options import CommonOptions
from holdfast.storage.contract import Storage
from holdfast.storage.layers.throttled import Throttled, throttled
from tests.storage.conformance import StorageConformance
from tests.support.memory_storage import MemoryStorage

MIB = 1 << 20


def at(rate: int, waits: list[float]) -> Throttled:
    def pace() -> Pace:
        return Pace(RateRules(bytes_per_second=rate), clock=lambda: 0.0)

    return Throttled(MemoryStorage(), upload=pace(), download=pace(), wait=waits.append)


class TestThrottled(StorageConformance):
    def make(self, tmp_path: Path) -> Storage:
        return at(MIB, [])


def test_packs_wait_and_locks_do_not() -> None:
    waits: list[float] = []
    storage = at(MIB, waits)
    storage.put("data/00/a", bytes(4 * MIB))
    storage.put("locks/a", bytes(4 * MIB))
    storage.put_new("data/00/b", bytes(MIB))
    assert [round(wait) for wait in waits] == [0, 4]
    waits.clear()
    storage.get_range("data/00/a", 0, 2 * MIB)
    storage.get_into("data/00/b", memoryview(bytearray(MIB)))
    storage.get("locks/a", limit_bytes=4 * MIB)
    storage.get_range_into("data/00/b", 0, memoryview(bytearray(5)))
    assert [round(wait) for wait in waits] == [0, 2, 3]


def test_no_layer_where_there_is_no_limit(tmp_path: Path) -> None:
    storage = MemoryStorage()
    assert throttled(storage, RateRules(), RateRules(), tmp_path) is storage


def settings(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "holdfast.toml"
    path.write_text("\n".join(["[repositories.main]", f'location = "{tmp_path}/main"', *lines]))
    return path


def test_rates_of_the_settings_and_of_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))
    path = settings(tmp_path, 'limit_upload = ["2MiB", "22:00-06:00=none"]', 'limit_download = "512k"')
    limits = Invocation.of(CommonOptions(config=path)).repository().limits
    night = RateWindow(start_minute=22 * 60, end_minute=6 * 60, bytes_per_second=0)
    assert limits.upload == RateRules(bytes_per_second=2 * MIB, windows=(night,))
    assert limits.download == RateRules(bytes_per_second=512 << 10)
    given = Invocation.of(CommonOptions(config=path, limit_upload=100)).repository().limits
    assert given.upload == RateRules(bytes_per_second=100 << 10)
    assert given.download == limits.download


@pytest.mark.parametrize(
    "wrong", ['"fast"', '"10"', '["1MiB", "2MiB"]', '["22:00=1MiB"]', '["25:00-06:00=1MiB"]']
)
def test_a_limit_that_is_none_is_refused(tmp_path: Path, wrong: str) -> None:
    with pytest.raises(SettingsError, match="limit_upload"):
        load_settings(settings(tmp_path, f"limit_upload = {wrong}"), {})
