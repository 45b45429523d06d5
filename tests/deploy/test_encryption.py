"""Payload encryption: the keys, the codec, their settings and commands."""

import base64
import os
import stat
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError, FailureError

from holdfast.contracts.worker import ENCRYPTION_KEYS
from holdfast.errors import SettingsError, UsageError
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import PasswordSource
from holdfast.starter.host.supervisor import Crew, at
from holdfast.starter.main import main
from holdfast.transport.client import protecting, trust_codec
from holdfast.transport.codec import TrustCodec
from holdfast.transport.keyring import Keyring, new_key_line
from holdfast.transport.places import Place, workflow_place
from holdfast.transport.refusals import RefusedError
from holdfast.transport.sealing import Sealer

# Fixed, because tests are named by them, and each process of a parallel run must give the same names.
OLD = "old:" + base64.b64encode(bytes(range(32))).decode()
NEW = "new:" + base64.b64encode(bytes(range(1, 33))).decode()


HERE: Final = workflow_place("default", "backup:h:r:s")


def sealer(*lines: str) -> Sealer:
    return Sealer(keyring=Keyring.parse("\n".join(lines).encode()))


@given(st.binary(), st.dictionaries(st.text(), st.binary()))
def test_what_is_sealed_opens_as_it_was(data: bytes, metadata: dict[str, bytes]) -> None:
    payload = Payload(metadata=metadata, data=data)
    sealed = sealer(OLD).close(payload, HERE)
    assert sealer(OLD).open(sealed, HERE) == payload
    assert sealer(OLD).close(payload, HERE).data != sealed.data


def test_the_first_key_seals_and_all_open() -> None:
    payload = Payload(data=b"canary")
    by_old, by_new = sealer(OLD).close(payload, HERE), sealer(NEW, OLD).close(payload, HERE)
    assert by_new.metadata["encryption-key-id"] == b"new"
    assert sealer(NEW, OLD).open(by_old, HERE) == sealer(OLD, NEW).open(by_new, HERE) == payload
    with pytest.raises(RefusedError, match="'new'"):
        sealer(OLD).open(by_new, HERE)


def test_what_is_not_sealed_is_refused() -> None:
    payload = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    with pytest.raises(RefusedError, match="not encrypted"):
        sealer(OLD).open(payload, HERE)


def test_a_changed_or_moved_payload_does_not_open() -> None:
    sealed = sealer(OLD).close(Payload(data=b"canary"), HERE)
    for position in range(len(sealed.data)):
        changed = bytearray(sealed.data)
        changed[position] ^= 1
        with pytest.raises(RefusedError):
            sealer(OLD).open(Payload(metadata=sealed.metadata, data=bytes(changed)), HERE)
    with pytest.raises(RefusedError):
        sealer(OLD).open(Payload(metadata=sealed.metadata, data=sealed.data[:27]), HERE)
    same_key = OLD.replace("old:", "renamed:")
    renamed = Payload(metadata={**sealed.metadata, "encryption-key-id": b"renamed"}, data=sealed.data)
    with pytest.raises(RefusedError):
        sealer(same_key).open(renamed, HERE)
    with pytest.raises(RefusedError, match="something else"):
        sealer(OLD).open(Payload(metadata={**sealed.metadata, "encryption-cipher": b"ROT13"}, data=b""), HERE)


@pytest.mark.parametrize(
    "elsewhere", [workflow_place("other", "backup:h:r:s"), workflow_place("default", "backup:h:r:t")]
)
def test_a_payload_opens_where_it_belongs_and_nowhere_else(elsewhere: Place) -> None:
    sealed = sealer(OLD).close(Payload(data=b"canary"), HERE)
    with pytest.raises(RefusedError, match="another place"):
        sealer(OLD).open(sealed, elsewhere)
    moved = sealer(OLD).close(Payload(data=b"canary"), elsewhere).metadata["holdfast-place"]
    with pytest.raises(RefusedError):
        sealer(OLD).open(
            Payload(metadata={**sealed.metadata, "holdfast-place": moved}, data=sealed.data), elsewhere
        )
    assert sealer(OLD).open_anywhere(sealed).data == b"canary"  # to be shown


@given(st.binary(max_size=80))
def test_garbage_raises_only_what_is_said(garbage: bytes) -> None:
    with pytest.raises(SettingsError):
        Keyring.parse(garbage + b"\n!")
    sealed = sealer(OLD).close(Payload(data=b"canary"), HERE)
    with pytest.raises(RefusedError):
        sealer(OLD).open(Payload(metadata=sealed.metadata, data=garbage), HERE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "there is no key"),
        ("# a remark", "there is no key"),
        (f"{OLD}\n\n{OLD}", "line 3: the id old stands there twice"),
        ("key:Y2FuYXJ5", "line 1"),
        ("canary", "line 1"),
        ("ca nary:" + OLD.partition(":")[2], "line 1"),
    ],
)
def test_a_wrong_line_is_told_by_its_number_and_not_repeated(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said) as raised:
        Keyring.parse(text.encode())
    assert "canary" not in str(raised.value)
    assert "Y2FuYXJ5" not in str(raised.value)
    assert OLD.partition(":")[2] not in repr(sealer(OLD))


async def test_messages_and_traces_of_failures_are_sealed() -> None:
    converter = protecting(TrustCodec(protection=sealer(OLD), namespace="default"))
    failure = Failure()
    await converter.encode_failure(ApplicationError("canary", "detail", type="Kind"), failure)
    assert b"canary" not in failure.SerializeToString()
    error = await converter.decode_failure(failure)
    assert isinstance(error, FailureError)
    assert error.message == "canary"


def write_settings(folder: Path, table: str) -> Path:
    path = folder / "holdfast.toml"
    path.write_text(f'state_dir = "{folder}/state"\n{table}')
    return path


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("[encryption]", "encryption.key_file: this key is missing"),
        ('[encryption]\nkey_file = "a"\nkey_env = "B"', "there is key_file already"),
        ('[encryption]\nkey_env = "$KEY"', "the name of an environment variable"),
        ('[encryption]\nkey = "canary"', "encryption.key: this key is not known"),
        ('[server]\naddress = "h:1"\napi_key_file = "a"', "an API key is sent over TLS only"),
    ],
)
def test_wrong_settings_are_told_by_their_key(table: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=said.replace(".", r"\.")) as raised:
        load_settings(write_settings(tmp_path, table), {"HOME": str(tmp_path)})
    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("way", ['key_file = "keys"', 'key_command = "cat {}/keys"', 'key_env = "KEYS"'])
def test_keys_come_from_a_file_a_command_or_a_variable(way: str, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{NEW}\n{OLD}\n")
    environ = {"HOME": str(tmp_path), "PATH": os.defpath, "KEYS": f"{NEW}\n{OLD}"}
    file = write_settings(tmp_path, f"[encryption]\n{way.format(tmp_path)}")
    found = trust_codec(load_settings(file, environ).server, environ)
    assert found is not None
    assert isinstance(found.protection, Sealer)
    assert list(found.protection.keyring.keys) == ["new", "old"]


async def test_keys_of_a_variable_reach_workers_through_their_pipe(tmp_path: Path) -> None:
    environ = {"HOME": str(tmp_path), "KEYS": OLD}
    settings = load_settings(write_settings(tmp_path, '[encryption]\nkey_env = "KEYS"'), environ)
    assert settings.server.encryption == PasswordSource(env="KEYS")
    crew = Crew(settings=settings, place=at(""), queues=(), environ=environ)
    assert crew.config(0, crew.place.result()).passwords == {ENCRYPTION_KEYS: OLD.encode()}


def test_without_its_key_nothing_is_sent_at_all(tmp_path: Path) -> None:
    file = write_settings(tmp_path, '[encryption]\nkey_file = "missing"')
    with pytest.raises(SettingsError, match=r"encryption keys: .*missing'? cannot be read"):
        trust_codec(load_settings(file, {"HOME": str(tmp_path)}).server, {})


def test_new_keys_are_added_behind_the_first_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, settings = tmp_path / "keys", write_settings(tmp_path, '[encryption]\nkey_file = "keys"')
    assert main(["encryption", "new-key", "--id", "one", "--file", str(keys)]) == 0
    assert stat.S_IMODE(keys.stat().st_mode) == 0o600
    keys.write_bytes(keys.read_bytes().rstrip())  # as an editor may leave it
    assert main(["encryption", "new-key", "--id", "two", "--file", str(keys)]) == 0
    before = keys.read_bytes()
    assert main(["encryption", "new-key", "--id", "two", "--file", str(keys)]) != 0
    assert keys.read_bytes() == before
    capsys.readouterr()
    assert main(["encryption", "list", "--config", str(settings)]) == 0
    assert capsys.readouterr().out == "*one\n two\n"
    assert main(["encryption", "new-key"]) == 0
    Keyring.parse(capsys.readouterr().out.encode())
    with pytest.raises(UsageError):
        new_key_line("a:b")
