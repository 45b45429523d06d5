"""`ui` in [server]: the embedded server's Web UI can be left out; of another server it says nothing."""

from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.service.settings.load import load_settings


def test_the_web_ui_can_be_left_out(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text("[server]\nui = false\n")
    assert not load_settings(file, {"HOME": "/home/me"}).server.ui
    file.write_text("")
    assert load_settings(file, {"HOME": "/home/me"}).server.ui


@pytest.mark.parametrize("other", ['address = "temporal.example:7233"', 'ui_url = "http://temporal.example"'])
def test_of_another_server_it_says_nothing(tmp_path: Path, other: str) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text(f"[server]\nui = false\n{other}\n")
    with pytest.raises(SettingsError, match="ui"):
        load_settings(file, {"HOME": "/home/me"})
