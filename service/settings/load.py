"""Reads holdfast.toml and turns it into checked values: every mistake is told by its key, with what to do about it.

Without any file (file.py) everything has its default, and repositories and sources are given on the command line.
"""

import re
import socket
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from holdfast.cores import usable_cores
from holdfast.errors import SettingsError
from holdfast.service.settings import logbook, profiles, values
from holdfast.service.settings.cache import cache
from holdfast.service.settings.cleanup import cleanup
from holdfast.service.settings.document import ServerTable, TopTable, WorkerTable, convert_table
from holdfast.service.settings.drills import drills
from holdfast.service.settings.encryption import keys
from holdfast.service.settings.file import FILE_NAME, find_settings
from holdfast.service.settings.hooks import hooks
from holdfast.service.settings.model import (
    PasswordSource,
    ServerSettings,
    Settings,
    TlsSettings,
    WorkerSettings,
)
from holdfast.service.settings.paths import PathRules
from holdfast.service.settings.place import Place, Trace
from holdfast.service.settings.prune import prune_settings
from holdfast.service.settings.schedules import top_schedules
from holdfast.service.settings.state_folder import asked_state_dir, own_state_dir
from holdfast.service.settings.suggestions import one_of
from holdfast.service.settings.systems import systems

SIGNING_KEY: Final = "signing.key"
"""In the state directory: what signs all that passes the embedded server."""
_MAX_FILE_BYTES: Final = 16 << 20
_TABLES: Final = (
    "repositories",
    "sources",
    "schedules",
    "drills",
    "hooks",
    "systems",
    "server",
    "encryption",
    "signing",
    "worker",
    "journal",
    "log",
    "notices",
    "cleanup",
    "cache",
    "prune",
)
_ADDRESS: Final = re.compile(r"(?:[^\s/:\[\]]+|\[[0-9a-fA-F:.]+\]):(?P<port>\d{1,5})", re.ASCII)
_LARGEST_PORT: Final = 65_535
_SHORTEST_TIMEOUT_S: Final = 1.0
_SHORTEST_THROTTLE_S: Final = 0.1
_MOST_PROCESSES: Final = 1_024


def load_settings(path: Path | None, environ: Mapping[str, str], trace: Trace | None = None) -> Settings:
    """The settings of this process. path: the file that a person named, None to look in the usual places.

    trace: is told what was read.

    Raises:
        SettingsError: the named file cannot be read, or a key in it is wrong.
    """
    file = find_settings(path, environ)
    return settings_of({} if file is None else parse(read_text(file), file), file, environ, trace)


def read_text(file: Path) -> str:
    """What stands in a settings file.

    Raises:
        SettingsError: it cannot be read, is too large, or is no text.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsError(
            f"the settings file {file} cannot be read: {error.strerror}",
            hint="Check its path and permissions; `holdfast config example` shows what it holds.",
        ) from error
    if len(content) > _MAX_FILE_BYTES:
        raise SettingsError(f"the settings file {file} is too large", hint="Check its path.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file}: byte {error.start} is not UTF-8", hint="Save it as UTF-8.") from None


def parse(text: str, file: Path) -> dict[str, object]:
    """What a settings file says, unchecked.

    Raises:
        SettingsError: it is no TOML.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: {error}", hint="Correct the line; text stands in quotes.") from None


def settings_of(
    document: Mapping[str, object], file: Path | None, environ: Mapping[str, str], trace: Trace | None = None
) -> Settings:
    """The settings that a document says. file: it stands there; None for none. trace: is told what was read.

    Raises:
        SettingsError: a key in it is wrong.
    """
    place = Place(file=FILE_NAME if file is None else str(file), trace=trace)
    rules = PathRules.of(Path.cwd() if file is None else file.parent, environ, in_file=file is not None)
    top = _top(document, place)
    repositories = profiles.repositories(document.get("repositories", {}), place.below("repositories"), rules)
    known_hooks = hooks(document.get("hooks", {}), place.below("hooks"))
    sources = profiles.sources(
        document.get("sources", {}), place.below("sources"), rules, repositories, known_hooks
    )
    known_systems = systems(
        document.get("systems", {}), place.below("systems"), sources, repositories, known_hooks
    )
    asked_dir = asked_state_dir(top.state_dir, place, rules, environ)
    state_dir = own_state_dir(asked_dir)
    return Settings(
        path=file,
        state_dir=state_dir,
        asked_state_dir=asked_dir,
        host=top.host or socket.gethostname(),
        repositories=repositories,
        sources=sources,
        schedules=top_schedules(
            document.get("schedules", []),
            place.below("schedules"),
            sources,
            repositories,
            known_systems,
            rules,
        ),
        drills=drills(document.get("drills", {}), place.below("drills"), sources),
        hooks=known_hooks,
        systems=known_systems,
        server=_protected(
            _server(document.get("server", {}), place.below("server"), rules),
            encryption=keys(document.get("encryption"), place.below("encryption"), rules),
            signing=keys(document.get("signing"), place.below("signing"), rules),
            state_dir=state_dir,
        ),
        worker=_worker(document.get("worker", {}), place.below("worker"), rules),
        journal=logbook.journal(document.get("journal", {}), place.below("journal"), rules),
        log=logbook.log(document.get("log", {}), place.below("log"), rules),
        notices=logbook.notices(document.get("notices", {}), place.below("notices"), rules),
        cleanup=cleanup(document.get("cleanup", {}), place.below("cleanup")),
        cache=cache(document.get("cache", {}), place.below("cache"), rules, environ),
        prune=prune_settings(document.get("prune", {}), place.below("prune")),
    )


def _top(document: Mapping[str, object], place: Place) -> TopTable:
    known = (*TopTable.__struct_fields__, *_TABLES)
    for key in document:
        if key not in known:
            place.refuse(key, "this key is not known", one_of(key, known, "the file"))
    return convert_table(
        {key: value for key, value in document.items() if key not in _TABLES}, TopTable, place
    )


def _server(value: object, place: Place, rules: PathRules) -> ServerSettings:
    table = convert_table(value, ServerTable, place)
    if table.address is not None:
        match = _ADDRESS.fullmatch(table.address)
        if match is None or not 0 < int(match["port"]) <= _LARGEST_PORT:
            place.refuse(
                "address", "a host and a port are expected", 'Write address = "temporal.example:7233".'
            )
    if not table.namespace:
        place.refuse("namespace", "it is empty", 'Leave it out for "default".')
    if table.ui_url is not None and not table.ui_url.startswith(("http://", "https://")):
        place.refuse("ui_url", "a URL is expected", 'Write ui_url = "http://temporal.example:8080".')
    if not table.ui and (table.address is not None or table.ui_url is not None):
        place.refuse("ui", "it is about the embedded server alone", "Remove this key, or address and ui_url.")
    if table.ui_port is not None:
        if table.address is not None or not table.ui:
            place.refuse(
                "ui_port", "it is about the embedded server's Web UI", "Remove this key, or address and ui."
            )
        if not 0 < table.ui_port <= _LARGEST_PORT:
            place.refuse("ui_port", "a port is expected", "Write one from 1024 to 32767, 8233 say.")
    tls = _tls(table, place, rules)
    if table.api_key_file is not None and tls is None:
        place.refuse(
            "api_key_file", "an API key is sent over TLS only", "Add tls = true, or remove this key."
        )
    return ServerSettings(
        address=table.address,
        namespace=table.namespace,
        tls=tls,
        api_key_file=_optional_path(place, "api_key_file", table.api_key_file, rules),
        accept_unsigned=table.accept_unsigned,
        ui=table.ui,
        ui_port=table.ui_port,
        ui_names=table.ui_names,
        ui_url=None if table.ui_url is None else table.ui_url.rstrip("/"),
    )


def _protected(
    server: ServerSettings,
    *,
    encryption: PasswordSource | None,
    signing: PasswordSource | None,
    state_dir: Path,
) -> ServerSettings:
    """With the keys that protect what is sent. The embedded server's are made with the state directory."""
    own = server.address is None and encryption is None and signing is None
    return replace(
        server,
        encryption=encryption,
        signing=signing,
        own_key=state_dir / SIGNING_KEY if own else None,
    )


def _tls(table: ServerTable, place: Place, rules: PathRules) -> TlsSettings | None:
    """Encryption: wanted when `tls` says so, or when any of its options is there."""
    given = [
        key for key in table.__struct_fields__ if key.startswith("tls_") and getattr(table, key) is not None
    ]
    if given and table.tls is False:
        place.refuse(given[0], "it is of no use with tls = false", "Remove one of the two.")
    if not given and not table.tls:
        return None
    if table.address is None:
        place.refuse(
            given[0] if given else "tls", "the embedded server has no TLS", "Add address, or remove this key."
        )
    if (table.tls_cert_file is None) != (table.tls_key_file is None):
        place.refuse(
            "tls_cert_file" if table.tls_cert_file is None else "tls_key_file",
            "this key is missing",
            "Certificate and key go together.",
        )
    return TlsSettings(
        ca_file=_optional_path(place, "tls_ca_file", table.tls_ca_file, rules),
        cert_file=_optional_path(place, "tls_cert_file", table.tls_cert_file, rules),
        key_file=_optional_path(place, "tls_key_file", table.tls_key_file, rules),
        server_name=table.tls_server_name,
    )


def _optional_path(place: Place, key: str, value: str | None, rules: PathRules) -> Path | None:
    return None if value is None else values.path(place, key, value, rules)


def _worker(value: object, place: Place, rules: PathRules) -> WorkerSettings:
    table = convert_table(value, WorkerTable, place)
    processes = usable_cores() if table.processes is None else table.processes
    if not 1 <= processes <= _MOST_PROCESSES:
        place.refuse("processes", "it must be from 1 to 1024", "Leave it out for one to each core.")
    timeout_s = values.duration_s(
        place, "heartbeat_timeout", table.heartbeat_timeout, at_least_s=_SHORTEST_TIMEOUT_S
    )
    throttle_s = values.duration_s(
        place, "heartbeat_throttle", table.heartbeat_throttle, at_least_s=_SHORTEST_THROTTLE_S
    )
    if throttle_s >= timeout_s:
        place.refuse(
            "heartbeat_throttle",
            "it must be shorter than heartbeat_timeout",
            "A heartbeat that comes too late counts as a dead worker.",
        )
    if table.task_queue == "":
        place.refuse("task_queue", "it is empty", "Leave it out for the host's own queue.")
    return WorkerSettings(
        processes=processes,
        heartbeat_timeout_s=timeout_s,
        heartbeat_throttle_s=throttle_s,
        graceful_shutdown_s=values.duration_s(place, "graceful_shutdown", table.graceful_shutdown),
        task_queue=table.task_queue,
        scratch_dir=_optional_path(place, "scratch_dir", table.scratch_dir, rules),
    )
