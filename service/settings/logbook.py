"""The tables [journal], [log] and [notices]: what is written down of runs, where, and who is told."""

from typing import Final
from urllib.parse import parse_qs, urlsplit

from holdfast.service.settings import values
from holdfast.service.settings.document import JournalTable, LogTable, NoticesTable, convert_table
from holdfast.service.settings.model import (
    LOG_FORMATS,
    LOG_LEVELS,
    NOTICE_EVENTS,
    JournalSettings,
    LogSettings,
    NoticeSettings,
)
from holdfast.service.settings.paths import PathRules
from holdfast.service.settings.place import Place
from holdfast.service.settings.profiles import password

_SERVERS: Final = ("postgresql", "postgresql+psycopg")
_FILE_PREFIX: Final = "sqlite:////"
_URL_HINT: Final = "Write postgresql://user@host/database, or sqlite:////folder/journal.db."


def journal(value: object, place: Place, rules: PathRules) -> JournalSettings:
    """[journal].

    Raises:
        SettingsError: something in it is wrong, or its URL holds a password.
    """
    table = convert_table(value, JournalTable, place)
    source = password(table, place, rules)
    if table.url is None:
        if source is not None:
            place.refuse("url", "this key is missing", "The file in state_dir has no password.")
        return JournalSettings()
    if table.url.startswith(_FILE_PREFIX):
        if source is not None:
            place.refuse("url", "an SQLite file has no password", "Remove the password, or name a server.")
        return JournalSettings(url=table.url)
    try:
        parts = urlsplit(table.url)
        holds_password = parts.password is not None or "password" in parse_qs(parts.query)
    except ValueError:
        place.refuse("url", "a database's URL is expected", _URL_HINT)
    if parts.scheme not in _SERVERS:
        place.refuse("url", "this kind of database is not known", _URL_HINT)
    if holds_password:
        place.refuse(
            "url", "a password does not stand here", "Name a password_file, password_command or password_env."
        )
    return JournalSettings(url=table.url, password=source)


def log(value: object, place: Place, rules: PathRules) -> LogSettings:
    """[log].

    Raises:
        SettingsError: something in it is wrong.
    """
    table = convert_table(value, LogTable, place)
    return LogSettings(
        format=values.choice(place, "format", table.format, LOG_FORMATS),
        file=None if table.file is None else values.path(place, "file", table.file, rules),
        level=None if table.level is None else values.choice(place, "level", table.level, LOG_LEVELS),
    )


def notices(value: object, place: Place, rules: PathRules) -> NoticeSettings:
    """[notices].

    Raises:
        SettingsError: something in it is wrong.
    """
    table = convert_table(value, NoticesTable, place)
    for number, url in enumerate(values.texts(place, "urls", table.urls)):
        if "://" not in url:
            place.refuse(f"urls[{number}]", "a URL is expected", "apprise's documentation lists their forms.")
    return NoticeSettings(
        urls=tuple(table.urls),
        urls_file=None
        if table.urls_file is None
        else values.path(place, "urls_file", table.urls_file, rules),
        on=tuple(
            values.choice(place, f"on[{number}]", event, NOTICE_EVENTS)
            for number, event in enumerate(NOTICE_EVENTS if table.on is None else table.on)
        ),
        waiting_after_s=values.duration_s(place, "waiting_after", table.waiting_after),
    )
