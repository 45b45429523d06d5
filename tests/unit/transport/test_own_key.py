"""The key of a state directory, and what is used up there."""

import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError, SettingsError, StorageDeniedError
from holdfast.service.settings.admission import Admissions, AlreadyAdmittedError
from holdfast.service.settings.load import SIGNING_KEY, load_settings
from holdfast.service.settings.model import Settings
from holdfast.starter.host.service import open_door
from holdfast.transport.client import read_credentials, service_client, trust_codec
from holdfast.transport.keyring import new_key_line
from holdfast.transport.own_key import ensure_key, read_key
from holdfast.transport.signing import Signer

SOON = 4_000_000_000


def test_it_is_made_once_whole_and_for_its_user_only(tmp_path: Path) -> None:
    path = tmp_path / "signing.key"
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(ensure_key, [path] * 32))
    made = read_key(path)
    assert len(Signer.parse(made).keys) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    ensure_key(path)
    assert read_key(path) == made
    assert os.listdir(tmp_path) == ["signing.key"]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_one_that_others_may_have_is_not_believed(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "signing.key"
    ensure_key(path)
    path.chmod(mode)
    with pytest.raises(SettingsError, match="other users"):
        read_key(path)


def test_what_is_no_file_of_ones_own_is_not_read(tmp_path: Path) -> None:
    real, link, pipe = tmp_path / "real", tmp_path / "link", tmp_path / "pipe"
    ensure_key(real)
    link.symlink_to(real)
    os.mkfifo(pipe, 0o600)
    for path in (link, pipe, tmp_path, tmp_path / "missing"):
        with pytest.raises(SettingsError):
            read_key(path)
    if os.geteuid() == 0:
        os.chown(real, 1000, 1000)
        with pytest.raises(SettingsError, match="own"):
            read_key(real)


def test_a_crash_while_it_is_made_leaves_none_or_a_whole_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each call that changes something: the next start goes on."""
    for name in ("open", "fsync", "link"):
        folder = tmp_path / name
        folder.mkdir()
        with monkeypatch.context() as patched:

            def crash(*_: object, **__: object) -> None:
                raise KeyboardInterrupt

            patched.setattr(os, name, crash)
            with pytest.raises(KeyboardInterrupt):
                ensure_key(folder / "signing.key")
        assert not (folder / "signing.key").exists()
        ensure_key(folder / "signing.key")
        Signer.parse(read_key(folder / "signing.key"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageDeniedError, match="signing key"):
        ensure_key(tmp_path / "missing" / "signing.key")


def settings_of(folder: Path, text: str) -> Settings:
    (folder / "holdfast.toml").write_text(f'state_dir = "state"\n{text}')
    return load_settings(folder / "holdfast.toml", {"HOME": str(folder)})


def test_who_signs_with_what(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(new_key_line("shared"))
    (tmp_path / "state").mkdir()
    ensure_key(tmp_path / "state" / SIGNING_KEY)
    shared = '[server]\naddress = "h:1"\n'
    for text, signs, enforces, warned in [
        ("", True, True, False),
        ("[server]\naccept_unsigned = true", True, False, True),
        (shared, False, False, True),
        (shared + 'tls_cert_file = "c"\ntls_key_file = "k"', False, False, False),
        (shared + 'tls = true\napi_key_file = "a"', False, False, False),
        (shared + "tls = true", False, False, True),
        (shared + '[signing]\nkey_file = "keys"', True, True, False),
        (shared + '[encryption]\nkey_file = "keys"', True, True, False),
        (shared + 'accept_unsigned = true\n[signing]\nkey_file = "keys"', True, False, True),
    ]:
        server = settings_of(tmp_path, text).server
        codec = trust_codec(server, {})
        assert (codec is not None) is signs, text
        assert (codec is not None and not codec.accept_unsigned) is enforces, text
        assert (open_door(server) is not None) is warned, text
    own = read_credentials(settings_of(tmp_path, "").server, {})
    assert own.signs
    assert own.enforces


def test_an_emptied_key_is_named_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "state" / SIGNING_KEY
    path.parent.mkdir()
    path.touch(mode=0o600)
    with pytest.raises(SettingsError, match=f"{path} is damaged") as told:
        trust_codec(settings_of(tmp_path, "").server, {})
    assert "remove the file" in told.value.hint


def test_a_missing_key_is_no_reason_to_go_on_without(tmp_path: Path) -> None:
    for text in ("", '[signing]\nkey_file = "missing"', '[signing]\nkey_env = "NONE"'):
        with pytest.raises(SettingsError, match="key"):
            read_credentials(settings_of(tmp_path, text).server, {})


async def test_a_service_needs_a_key_file_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(new_key_line())
    path.chmod(0o644)
    with pytest.raises(SettingsError, match="other users"):
        await service_client("127.0.0.1:1", key_file=path)


def test_what_was_used_up_starts_its_own_run_only(tmp_path: Path) -> None:
    admissions, others = Admissions(tmp_path), Admissions(tmp_path)
    admissions.admit("word", SOON, "run-1")
    admissions.admit("word", SOON, "run-1")  # its worker was killed, and tries again
    for one in (admissions, others):
        with pytest.raises(AlreadyAdmittedError, match="before"):
            one.admit("word", SOON, "run-2")
    admissions.admit("other", SOON, "run-2")
    assert stat.S_IMODE((tmp_path / "admitted").stat().st_mode) == 0o700


def test_of_many_at_once_one_is_admitted(tmp_path: Path) -> None:
    def try_it(number: int) -> bool:
        try:
            Admissions(tmp_path).admit("word", SOON, f"run-{number}")
        except AlreadyAdmittedError:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(try_it, range(64))) == 1


def test_it_is_forgotten_when_it_cannot_be_tried_any_more(tmp_path: Path) -> None:
    now = int(time.time())
    admissions = Admissions(tmp_path)
    admissions.admit("yesterday", now - 86_400, "run-1")
    (tmp_path / "admitted" / f"{now - 8 * 86_400}-old").symlink_to("run-0")
    (tmp_path / "admitted" / "something else").touch()
    Admissions(tmp_path).admit("now", now + 600, "run-2")
    names = sorted(os.listdir(tmp_path / "admitted"))
    assert len(names) == 3
    assert not any(name.endswith("-old") for name in names)
    with pytest.raises(AlreadyAdmittedError, match="more than a week"):
        admissions.admit("old", now - 8 * 86_400, "run-3")


def test_a_state_directory_that_cannot_be_written_admits_nobody(tmp_path: Path) -> None:
    (tmp_path / "admitted").write_text("a file")
    with pytest.raises(HoldfastError, match="cannot be written"):
        Admissions(tmp_path).admit("word", SOON, "run-1")
