"""Which changes start a backup: those of what it would store."""

from pathlib import Path

import pytest

from holdfast.service.settings.load import load_settings
from holdfast.starter.watching.scope import Scope


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("nobackup/named", True),
        ("nobackup/named/file", True),
        ("nobackup/named/sub/file.o", False),
        ("nobackup/named/nobackup", False),
        ("nobackup/named/nobackup/file", False),
        ("nobackup/named/keep/file.o", True),
    ],
)
def test_patterns_count_below_a_root(tmp_path: Path, path: str, counts: bool) -> None:  # noqa: FBT001
    (tmp_path / "holdfast.toml").write_text(
        f"""
        [repositories.main]
        location = "{tmp_path}/repository"
        [sources.home]
        repository = "main"
        paths = ["nobackup/named"]
        exclude = ["nobackup", "*.o", "!keep"]
        """
    )
    settings = load_settings(
        tmp_path / "holdfast.toml", {"HOME": str(tmp_path), "HOLDFAST_STATE_DIR": str(tmp_path / "state")}
    )
    scope = Scope(settings, settings.source("home"), {})
    assert scope.counts(bytes(tmp_path / path), None) is counts
