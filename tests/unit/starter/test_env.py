"""`holdfast env`: what `temporal` needs, for a shell and for programs; secrets stay in their files."""

import json
import subprocess
from pathlib import Path

import pytest

from holdfast.starter.host.ownership import CodecNote, registered_codec
from holdfast.starter.main import main


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "holdfast.toml").write_text(
        '[server]\naddress = "temporal.example:7233"\nnamespace = "backup"\n'
        'tls_ca_file = "/etc/ca.pem"\napi_key_file = "api.key"\n[signing]\nkey_file = "/etc/keys"\n'
    )
    (tmp_path / "api.key").write_text("not-to-be-printed\n")
    (tmp_path / "token").write_text("a token\n")
    monkeypatch.setenv("HOLDFAST_CONFIG", str(tmp_path / "holdfast.toml"))
    monkeypatch.setenv("HOLDFAST_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_shell_takes_what_is_printed(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = CodecNote(pid=1, url="http://127.0.0.1:8081", token_file=str(state.parent / "token"))
    with registered_codec(state, note):
        assert main(["env"]) == 0
    printed = capsys.readouterr().out
    assert "not-to-be-printed" not in printed
    told = subprocess.run(["sh", "-c", f"{printed}\nenv"], capture_output=True, check=True, text=True).stdout
    assert {
        "TEMPORAL_ADDRESS=temporal.example:7233",
        "TEMPORAL_NAMESPACE=backup",
        "TEMPORAL_TLS=true",
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH=/etc/ca.pem",
        "TEMPORAL_API_KEY=not-to-be-printed",
        "TEMPORAL_CODEC_ENDPOINT=http://127.0.0.1:8081",
        "TEMPORAL_CODEC_AUTH=Bearer a token",
    } <= {*told.splitlines()}


def test_programs_are_told_which_files(state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["env", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["variables"]["TEMPORAL_ADDRESS"] == "temporal.example:7233"
    assert document["in_files"] == {"TEMPORAL_API_KEY": {"before": "", "file": str(state.parent / "api.key")}}
    assert "TEMPORAL_CODEC_ENDPOINT" not in document["variables"], "none runs"


def test_an_embedded_server_that_does_not_run_is_told(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_CONFIG", str(state.parent / "empty.toml"))
    (state.parent / "empty.toml").touch()
    assert main(["env"]) == 1
    printed = capsys.readouterr()
    assert not printed.out
    assert "holdfast up" in printed.err
