"""`holdfast cache`: what is shown, what goes, and where the folder is found."""

import json
import os
import time
from pathlib import Path

import pytest

from holdfast.service.settings.load import load_settings
from holdfast.starter.main import main
from holdfast.storage.cache import Cache

OLD, NEW = 64 * "a", 64 * "b"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HOLDFAST_CACHE_DIR", "XDG_CACHE_HOME", "HOLDFAST_CONFIG", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def filled(directory: Path) -> None:
    cache = Cache(directory, 1 << 30)
    for repository in (OLD, NEW):
        assert cache.keep(f"{repository}/index/{64 * '1'}", [memoryview(b"12345")])
    days_ago = time.time() - 40 * 86_400
    os.utime(directory / OLD / "index" / (64 * "1"), (days_ago, days_ago))


def test_what_is_kept_is_shown_and_what_is_old_goes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(home / ".cache" / "holdfast")
    assert main(["cache"]) == 0
    shown = capsys.readouterr().out
    assert OLD[:10] in shown
    assert NEW[:10] in shown
    assert main(["cache", "--cleanup", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["repository"] for one in document["removed"]] == [OLD]
    assert [one["repository"] for one in document["repositories"]] == [NEW]
    assert main(["cache", "--cleanup", "--max-age", "0"]) == 0
    assert Cache(home / ".cache" / "holdfast", 1).repositories() == []


def test_the_folder_is_the_one_that_is_named(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    filled(home / "here")
    assert main(["cache", "--cache-dir", str(home / "here")]) == 0
    assert OLD[:10] in capsys.readouterr().out
    assert main(["cache", "--no-cache"]) == 1
    assert "switched off" in capsys.readouterr().err
    monkeypatch.setenv("HOLDFAST_CACHE_DIR", str(home / "here"))
    assert load_settings(None, os.environ).cache.directory == home / "here"


@pytest.mark.parametrize(
    ("written", "directory", "size"),
    [
        ("", ".cache/holdfast", 4 << 30),
        ('dir = "near"\nsize = "1GiB"', "near", 1 << 30),
        ('size = "64MiB"', ".cache/holdfast", 64 << 20),
    ],
)
def test_the_settings_say_where_and_how_much(home: Path, written: str, directory: str, size: int) -> None:
    file = home / "holdfast.toml"
    file.write_text(f"[cache]\n{written}\n")
    cache = load_settings(file, {"HOME": str(home)}).cache
    assert (cache.directory, cache.max_bytes) == (home / directory, size)
    assert cache.cache() is not None


def test_a_size_of_nothing_is_no_cache(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = home / "holdfast.toml"
    file.write_text("[cache]\nsize = 0\n")
    assert load_settings(file, {"HOME": str(home)}).cache.cache() is None
    file.write_text('[cache]\nsize = "1MiB"\n')
    assert main(["--config", str(file), "cache"]) == 1
    assert "cache.size" in capsys.readouterr().err
