"""The settings file as it is written: its tables and keys, and how each mistake in them is told.

A table is converted as a whole by msgspec; what msgspec says about `$.paths[1]` is told as
`sources.home.paths[1]`, in words for people. Unknown keys are found before, so that the nearest known one can be
named. No value is repeated in a message, because it could be a misplaced secret.
"""

import re
from collections.abc import Mapping
from typing import Final, NoReturn, TypeVar

import msgspec

from holdfast.service.settings.place import Place
from holdfast.service.settings.suggestions import one_of

_Table = TypeVar("_Table", bound=msgspec.Struct)
Size = int | str
Duration = int | float | str

_WHERE: Final = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<where>[^`]*)`)?", re.DOTALL)
_EXPECTED: Final = re.compile(r"Expected `(?P<expected>[^`]*)`, got `(?P<got>[^`]*)`")
_MISSING: Final = re.compile(r"Object missing required field `(?P<key>[^`]*)`")
_WORDS: Final = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
    "datetime": "a date and time",
    "date": "a date",
    "time": "a time of day",
}
_HINTS: Final = {
    "str": 'Write it in quotes: {key} = "…"',
    "int": "Write it without quotes: {key} = 4",
    "bool": "Write it without quotes: {key} = true",
    "array": 'Write it in brackets: {key} = ["…"]',
}


class TopTable(msgspec.Struct, kw_only=True, frozen=True):
    """The keys that stand before any table."""

    state_dir: str = ""
    host: str = ""


class RepositoryTable(msgspec.Struct, kw_only=True, frozen=True):
    """[repositories.NAME]"""

    location: str
    companion: str | None = None
    password_file: str | None = None
    password_command: str | None = None
    password_env: str | None = None
    credentials_file: str | None = None
    credentials_command: str | None = None
    credentials_env: str | None = None
    compression: str = "auto"
    pack_size: Size = "16MiB"
    limit_upload: str | list[str] = "none"
    limit_download: str | list[str] = "none"
    retention: dict[str, object] | None = None


class SourceTable(msgspec.Struct, kw_only=True, frozen=True):
    """[sources.NAME]"""

    repository: str
    schedules: list[dict[str, object]] = []
    watch: dict[str, object] | None = None
    guard: dict[str, object] | None = None
    retention: dict[str, object] | None = None
    paths: list[str] = []
    command: str | list[str] | None = None
    file: str | None = None
    restore_command: str | list[str] | None = None
    before: list[str] = []
    after: list[str] = []
    exclude: list[str] = []
    iexclude: list[str] = []
    exclude_files: list[str] = []
    iexclude_files: list[str] = []
    exclude_if_present: list[str] = []
    exclude_caches: bool = False
    exclude_larger_than: Size | None = None
    one_file_system: bool = False
    with_atime: bool = False
    ignore_inode: bool = False
    ignore_ctime: bool = False
    allow_empty: bool = False
    tags: list[str] = []
    host: str = ""
    strategy: str = "auto"
    verify: str = "structure"
    max_age: Duration | None = None
    ping_url: str | None = None


class ServerTable(msgspec.Struct, kw_only=True, frozen=True):
    """[server]"""

    address: str | None = None
    namespace: str = "default"
    tls: bool | None = None
    tls_ca_file: str | None = None
    tls_cert_file: str | None = None
    tls_key_file: str | None = None
    tls_server_name: str | None = None
    api_key_file: str | None = None
    accept_unsigned: bool = False
    ui: bool = True
    ui_port: int | None = None
    ui_names: bool = False
    ui_url: str | None = None


class WorkerTable(msgspec.Struct, kw_only=True, frozen=True):
    """[worker]"""

    processes: int | None = None
    heartbeat_timeout: Duration = "20s"
    heartbeat_throttle: Duration = "3s"
    graceful_shutdown: Duration = "20s"
    task_queue: str | None = None
    scratch_dir: str | None = None


class JournalTable(msgspec.Struct, kw_only=True, frozen=True):
    """[journal]"""

    url: str | None = None
    password_file: str | None = None
    password_command: str | None = None
    password_env: str | None = None


class LogTable(msgspec.Struct, kw_only=True, frozen=True):
    """[log]"""

    format: str = "text"
    file: str | None = None
    level: str | None = None


class NoticesTable(msgspec.Struct, kw_only=True, frozen=True):
    """[notices]"""

    urls: list[str] = []
    urls_file: str | None = None
    on: list[str] | None = None
    waiting_after: Duration = "30m"


def convert_table(
    value: object, kind: type[_Table], place: Place, *, hints: Mapping[str, str] | None = None
) -> _Table:
    """`value` as a table of `kind`.

    hints: for unknown keys that deserve more than the nearest known one.

    Raises:
        SettingsError: it is not one; the message names the key.
    """
    table = expect_table(value, place)
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in table:
        if key not in known:
            special = (hints or {}).get(key, "")
            place.refuse(
                key, "this key is not known", special or one_of(key, known, place.table or "the top")
            )
    try:
        converted = msgspec.convert(table, kind, strict=True)
    except msgspec.ValidationError as error:
        _retell(str(error), place)
    place.note_table(msgspec.structs.asdict(converted), frozenset(table))
    return converted


def expect_table(value: object, place: Place) -> dict[str, object]:
    """`value` as a table.

    Raises:
        SettingsError: it is something else.
    """
    if not isinstance(value, dict):
        place.refuse(
            "", "a table is expected", f"Write [{place.table}] on a line of its own, its keys below."
        )
    return value


def _retell(message: str, place: Place) -> NoReturn:
    """Say in words for people what msgspec says about `$.key[index]`."""
    match = _WHERE.fullmatch(message)
    what, where = (match["what"], match["where"] or "") if match else (message, "")
    key = where.removeprefix(".")
    missing = _MISSING.fullmatch(what)
    if missing is not None:
        place.refuse(missing["key"], "this key is missing", f"Add it to [{place.table}].")
    expected = _EXPECTED.match(what)
    if expected is None:
        place.refuse(key, what, "Correct the value.")
    wanted = [word.strip() for word in expected["expected"].split("|")]
    wanted = [word for word in wanted if word != "null"]
    words = " or ".join(_WORDS.get(word, word) for word in wanted)
    hint = _HINTS.get(wanted[-1], "Correct the value.").format(key=re.sub(r"\[.*", "", key))
    place.refuse(key, f"{words} is expected, not {_WORDS.get(expected['got'], expected['got'])}", hint)
