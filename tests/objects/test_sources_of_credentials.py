"""Where a profile's credentials come from: a file, a command, variables; and that settings show none."""

import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from holdfast.errors import SettingsError, StorageDeniedError, StorageUnavailableError
from holdfast.service.settings.credentials import parse, source_of, variables_for
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import PasswordSource, RepositoryProfile
from tests.objects.opening import opened
from tests.support.seaweed import KEY, SECRET, Seaweed

READ = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "a secret"}
TEXTS = [
    "AWS_ACCESS_KEY_ID=key\nAWS_SECRET_ACCESS_KEY='a secret'\n",
    'export AWS_ACCESS_KEY_ID=key\nexport AWS_SECRET_ACCESS_KEY="a secret"\nexport RESTIC_PASSWORD=x\n',
    "# a comment\n\nAWS_ACCESS_KEY_ID=key # of the bucket\r\nAWS_SECRET_ACCESS_KEY=a\\ secret\n",
    ' {"Version": 1, "AccessKeyId": "key", "SecretAccessKey": "a secret"}\n',
]


@pytest.mark.parametrize("text", TEXTS)
def test_every_form_is_read(text: str, tmp_path: Path) -> None:
    assert parse(text, "it") == READ
    file = tmp_path / "file"
    file.write_text(text)
    assert source_of(PasswordSource(file=file), {})().values == READ
    environ = {"PATH": "/usr/bin:/bin"}
    assert source_of(PasswordSource(command=f"cat {file}"), environ)().values == READ


@pytest.mark.parametrize(
    "text", ["", "canary", "AWS_ACCESS_KEY_ID='canary", "{canary", "[]", "CANARY=canary", "{}"]
)
def test_what_holds_none_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(StorageDeniedError) as caught:
        parse(text, "it")
    assert "canary" not in f"{caught.value!r}{caught.value}".lower()


def test_variables_are_restics_or_begin_as_the_profile_says() -> None:
    environ = {**READ, "PATH": "/bin", "HOME": "/home/me", "EDITOR": "ed"}
    environ |= {"OFF_AWS_ACCESS_KEY_ID": "other", "OFF_AWS_PROFILE": "p", "OFF_RCLONE_CONFIG": "c"}
    own = {**READ, "PATH": "/bin", "HOME": "/home/me"}
    assert source_of(None, environ)().values == own
    offsite = PasswordSource(env="OFF_")
    there = {"AWS_ACCESS_KEY_ID": "other", "AWS_PROFILE": "p", "RCLONE_CONFIG": "c"}
    there |= {"PATH": "/bin", "HOME": "/home/me"}
    assert source_of(offsite, environ)().values == there
    profile = RepositoryProfile(name="off", location="s3:https://h/b", credentials=offsite)
    told = variables_for([profile], environ)
    assert "EDITOR" not in told
    assert source_of(offsite, told)().values == there
    assert source_of(None, told)().values == own


def test_a_file_is_read_again_every_minute_and_a_command_before_what_it_printed_expires(
    tmp_path: Path,
) -> None:
    file = tmp_path / "file"
    file.write_text(TEXTS[0])
    assert source_of(PasswordSource(file=file), {}, now=lambda: 100.0)().good_until_s == 160.0
    environ = {"PATH": "/usr/bin:/bin"}
    command = source_of(PasswordSource(command=f"cat {file}"), environ, now=lambda: 1000.0)
    assert command().good_until_s is None
    expires = datetime.fromtimestamp(4600, UTC).isoformat()
    file.write_text(json.dumps({"AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": expires}))
    assert command().good_until_s == 4300.0
    file.write_text(
        json.dumps({"AccessKeyId": "a", "SecretAccessKey": "b", "Expiration": "1970-01-01T00:00:00Z"})
    )
    assert command().good_until_s == 1060.0


def test_a_storage_uses_what_the_file_says_by_then(
    seaweed: Seaweed, prefix: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    now = [time.time()]

    def written(values: Mapping[str, str]) -> None:
        file.write_text("".join(f"{name}={value}\n" for name, value in values.items()))

    storage = opened(seaweed.location(prefix), source_of(PasswordSource(file=file), {}, now=lambda: now[0]))
    with pytest.raises(StorageDeniedError, match="cannot be read"):
        storage.put("a/b", b"1")
    written({"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET})
    storage.put("a/b", b"1")

    storage = opened(
        seaweed.location(prefix), source_of(PasswordSource(file=file), {}, now=lambda: now[0] - 120)
    )
    storage.put("a/b", b"1")
    file.unlink()
    storage.put("a/b", b"2")
    assert "credentials cannot be renewed" in caplog.text, "and what was there serves on"
    written({"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": "wrong"})
    storage.close()
    with pytest.raises(StorageDeniedError, match="SignatureDoesNotMatch"):
        storage.put("a/b", b"2")
    file.unlink()
    with pytest.raises(StorageUnavailableError, match="there are no newer ones"):
        storage.get("a/b", limit_bytes=1)


def test_a_command_that_fails_is_told_without_what_it_prints() -> None:
    failing = source_of(PasswordSource(command="sh -c 'echo canary; exit 3'"), {"PATH": "/usr/bin:/bin"})
    with pytest.raises(StorageDeniedError, match="credentials command") as caught:
        failing()
    assert "canary" not in str(caught.value).replace("'sh -c", "")


def settings_with(tmp_path: Path, table: str) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(f'state_dir = "{tmp_path}"\n[repositories.off]\n{table}')
    profile = load_settings(path, {"HOME": str(tmp_path)}).repository("off")
    assert profile.credentials is not None


def test_settings_name_one_place_of_them(tmp_path: Path) -> None:
    location = 'location = "s3:https://host/bucket"\n'
    settings_with(tmp_path, location + 'credentials_file = "off.env"\n')
    settings_with(tmp_path, location + 'credentials_command = "pass show off"\n')
    settings_with(tmp_path, location + 'credentials_env = "OFF_"\n')
    for wrong in (
        'credentials_env = "a b"\n',
        'credentials_command = "\'"\n',
        'credentials_file = "a"\ncredentials_env = "b"\n',
    ):
        with pytest.raises(SettingsError, match=r"repositories\.off\.credentials_"):
            settings_with(tmp_path, location + wrong)


@pytest.mark.parametrize("location", ["s3:https://canary:canary@host/b", "azure:c", "b2:b", "s3:h"])
def test_settings_refuse_a_location_that_cannot_be(tmp_path: Path, location: str) -> None:
    with pytest.raises(SettingsError, match=r"repositories\.off\.location") as caught:
        settings_with(tmp_path, f'location = "{location}"\n')
    assert "canary" not in str(caught.value)
