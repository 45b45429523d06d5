"""[journal], [log] and [notices], and a source's max_age and ping_url: what they give, and what is refused."""

from pathlib import Path

import pytest

from holdfast.errors import SettingsError
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import (
    JournalSettings,
    LogSettings,
    NoticeSettings,
    PasswordSource,
    Settings,
)

SOURCE = 'repositories.r.location = "/r"\nsources.s = {repository = "r", paths = ["/s"], %s}'


def load(folder: Path, text: str) -> Settings:
    file = folder / "holdfast.toml"
    file.write_text(text)
    return load_settings(file, {"HOME": "/home/me"})


def test_what_is_not_there_has_its_default(tmp_path: Path) -> None:
    settings = load(tmp_path, "")
    assert settings.journal == JournalSettings()
    assert settings.log == LogSettings()
    assert settings.notices == NoticeSettings()
    assert not settings.notices.is_wanted


def test_everything(tmp_path: Path) -> None:
    settings = load(
        tmp_path,
        """
        [journal]
        url = "postgresql+psycopg://me@db.example/journal?sslmode=verify-full"
        password_file = "secret"
        [log]
        format = "json"
        file = "logs/x"
        level = "debug"
        [notices]
        urls = ["json://user:canary@host"]
        urls_file = "~/urls"
        on = ["failed"]
        """,
    )
    assert settings.journal.password == PasswordSource(file=tmp_path / "secret")
    assert settings.log == LogSettings(format="json", file=tmp_path / "logs/x", level="debug")
    assert settings.notices.urls_file == Path("/home/me/urls")
    assert settings.notices.on == ("failed",)
    assert "canary" not in repr(settings)
    source = load(tmp_path, SOURCE % 'max_age = "26h", ping_url = "https://ping.example/canary"').source("s")
    assert (source.max_age_s, source.ping_url) == (93_600, "https://ping.example/canary")
    assert "canary" not in repr(source)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('journal.url = "postgresql://me:canary@db/journal"', "journal.url"),
        ('journal.url = "postgresql://me@db/journal?password=canary"', "journal.url"),
        ('journal.url = "mysql://db/journal"', "journal.url"),
        ('journal.url = "sqlite:///relative.db"', "journal.url"),
        ('journal.url = "postgresql://[canary"', "journal.url"),
        ('journal = {url = "sqlite:////j.db", password_file = "/p"}', "journal.url"),
        ('journal.password_file = "/p"', "journal.url"),
        ('journal = {url = "postgresql://db/j", password_file = "/p", password_env = "P"}', "password_env"),
        ('log.format = "xml"', "log.format"),
        ('log.level = "loud"', "log.level"),
        ('notices.urls = ["canary"]', "notices.urls[0]"),
        ('notices.on = ["failed", "late"]', "notices.on[1]"),
        (SOURCE % 'max_age = "1s"', "sources.s.max_age"),
        (SOURCE % 'ping_url = "file:///canary"', "sources.s.ping_url"),
    ],
)
def test_a_mistake_is_told_by_its_key_and_without_its_value(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(SettingsError) as raised:
        load(tmp_path, text)
    assert key in raised.value.message
    assert raised.value.hint
    assert "canary" not in str(raised.value)
