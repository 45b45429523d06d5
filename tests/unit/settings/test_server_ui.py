"""`ui` in [server]: the embedded server's Web UI can be left out; of another server it says nothing."""

import socket
from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import ServerSettings, Settings
from holdfast.starter.host.ownership import ServerNote
from holdfast.starter.host.temporal_server import EmbeddedServer


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


def test_its_port_can_be_set(tmp_path: Path) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text("[server]\nui_port = 8233\n")
    assert load_settings(file, {"HOME": "/home/me"}).server.ui_port == 8233


@pytest.mark.parametrize("wrong", ["ui_port = 0", "ui_port = 65536", "ui_port = 8233\nui = false"])
def test_a_port_that_is_none_or_of_no_web_ui_is_refused(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "holdfast.toml"
    file.write_text(f"[server]\n{wrong}\n")
    with pytest.raises(SettingsError, match=r"server\.ui_port"):
        load_settings(file, {"HOME": "/home/me"})


def test_a_port_that_others_have_is_not_waited_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        settings = Settings(path=None, state_dir=tmp_path, host="mars", server=ServerSettings(ui_port=port))
        server = EmbeddedServer(settings, {})
        before = ServerNote(port=20_000, ui_port=port, pid=1)
        other = server._ui_port(before)
    assert other not in {port, 20_000}
    assert f"{port} is taken" in caplog.text
    assert server._ui_port(before) == port, "it is free again"
