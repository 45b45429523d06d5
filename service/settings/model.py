"""The settings as values: parsed, checked and complete, with every default filled in and every path absolute."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from holdfast.contracts.identity import is_token
from holdfast.cores import usable_cores
from holdfast.errors import SettingsError, UsageError
from holdfast.format.pack import DEFAULT_PACK_SIZE_BYTES, Compression
from holdfast.service.settings.cache import CacheSettings
from holdfast.service.settings.cleanup import CleanupSettings
from holdfast.service.settings.drills import DrillProfile
from holdfast.service.settings.guard import GuardSettings
from holdfast.service.settings.hooks import HookProfile
from holdfast.service.settings.limits import Limits
from holdfast.service.settings.prune import PruneSettings
from holdfast.service.settings.retention import RetentionSettings
from holdfast.service.settings.schedules import ScheduleSettings
from holdfast.service.settings.suggestions import one_of
from holdfast.service.settings.systems import SystemProfile
from holdfast.service.settings.watch import WatchSettings
from holdfast.source.spec import SourceSpec
from holdfast.terms import Strategy, VerifyLevel

LOG_FORMATS: Final = ("text", "json")
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
NOTICE_EVENTS: Final = ("failed", "partial", "overdue", "missed", "waiting")

MIN_PACK_SIZE_BYTES: Final = 4 << 20
MAX_PACK_SIZE_BYTES: Final = 128 << 20

_JOURNAL_FILE: Final = "journal.db"
_SERVER_DATABASE_FILE: Final = "temporal.db"
_SCRATCH_FOLDER: Final = "scratch"

_Profile = TypeVar("_Profile")


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordSource:
    """Where a password, or another secret, is read from on the worker: exactly one of the three is set.

    file: absolute. command: split as a shell would, run without a shell. env: the name of a variable.
    """

    file: Path | None = None
    command: str | None = None
    env: str | None = None

    def __post_init__(self) -> None:
        if sum(way is not None for way in (self.file, self.command, self.env)) != 1:
            raise UsageError(
                "a password comes from exactly one place",
                hint="Give one of a file, a command and an environment variable.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryProfile:
    """One repository by name. `password` is None when it is only ever handed to the service by a person.

    credentials: of its storage; `env` is what the variables begin with. None for the variables of restic.
    companion: where documents of runs and marks of damage lie; empty for the repository's own storage.
    limits: how fast it is written and read. retention: of what no source's own table is about. no_lock: it is only
    read, and neither locked nor written; only in private request files.
    """

    name: str
    location: str
    companion: str = ""
    password: PasswordSource | None = None
    credentials: PasswordSource | None = None
    compression: Compression = Compression.AUTO
    pack_size_bytes: int = DEFAULT_PACK_SIZE_BYTES
    limits: Limits = field(default_factory=Limits)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    no_lock: bool = False

    @property
    def is_request(self) -> bool:
        """Whether this stands in a private request file and not in the settings."""
        return is_token(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceProfile:
    """One source by name. `spec` is complete but for the exclude files: `exclude_files.resolve` reads those.

    exclude_files, iexclude_files: absolute paths of files of patterns. variables: those that they name, of the shell
    that a command was typed into. host: as the snapshot shall say; empty means
    the settings' host. max_age_s: of the newest good backup, before the source is overdue. ping_url: told of each end.
    restore_command: what takes the one file of a command's output back. before, after: hooks around each backup.
    """

    name: str
    repository: str
    spec: SourceSpec
    exclude_files: tuple[Path, ...] = ()
    iexclude_files: tuple[Path, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    schedules: tuple[ScheduleSettings, ...] = ()
    watch: WatchSettings | None = None
    guard: GuardSettings = field(default_factory=GuardSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    tags: tuple[str, ...] = ()
    host: str = ""
    strategy: Strategy = Strategy.AUTO
    verify: VerifyLevel = VerifyLevel.STRUCTURE
    max_age_s: float | None = None
    ping_url: str | None = field(default=None, repr=False)
    restore_command: tuple[str, ...] = ()
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings:
    """How the connection to the server is encrypted; all None means the system's certificate authorities."""

    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """The Temporal server, and how one talks to it.

    address: "host:port", None for the embedded one. api_key_file: holds what the server knows us by. encryption: where
    the keys are read from that seal what is sent; None for clear text. signing: where those are read from that sign
    it; None for the key of the state directory, own_key, or for none where neither is there. accept_unsigned: believe
    what is not signed, or not sealed. ui: whether the embedded server shows its Web UI, which has no login. ui_port:
    where that is to listen; None for any. ui_names: whether the server is told the last parts of paths that were given
    by hand. ui_url: of another server's Web UI, without a "/" at its end.
    """

    address: str | None = None
    namespace: str = "default"
    tls: TlsSettings | None = None
    api_key_file: Path | None = None
    encryption: PasswordSource | None = None
    signing: PasswordSource | None = None
    own_key: Path | None = None
    accept_unsigned: bool = False
    ui: bool = True
    ui_port: int | None = None
    ui_names: bool = False
    ui_url: str | None = None

    @property
    def has_door(self) -> bool:
        """Whether a server of others asks its clients who they are."""
        return self.api_key_file is not None or (self.tls is not None and self.tls.cert_file is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """The worker service of this host.

    heartbeat_timeout_s: silence after which a worker counts as dead; heartbeat_throttle_s: the longest time between
    two heartbeats; graceful_shutdown_s: for activities to stop in after SIGTERM; task_queue: overrides the host's;
    scratch_dir: where drills restore to, None for a folder of the state directory.
    """

    processes: int = field(default_factory=usable_cores)
    heartbeat_timeout_s: float = 20.0
    heartbeat_throttle_s: float = 3.0
    graceful_shutdown_s: float = 20.0
    task_queue: str | None = None
    scratch_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalSettings:
    """Where the log of runs is kept. url: of a database, without a password; None for the file in the state directory.

    password: where the one of a PostgreSQL role is read from; None where the server asks for none.
    """

    url: str | None = None
    password: PasswordSource | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """How processes log. file: absolute, None for standard error. level: None for each process's own choice."""

    format: str = "text"
    file: Path | None = None
    level: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeSettings:
    """Whom to tell of what. urls: apprise's, which hold secrets. urls_file: one a line, read at each use.

    waiting_after_s: for how long a run may wait before that is told.
    """

    urls: tuple[str, ...] = field(default=(), repr=False)
    urls_file: Path | None = None
    on: tuple[str, ...] = NOTICE_EVENTS
    waiting_after_s: float = 1800.0

    @property
    def is_wanted(self) -> bool:
        """Whether anybody is to be told."""
        return bool(self.urls) or self.urls_file is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything. path: the file it was read from, None when there is none (then all is default).

    asked_state_dir: the state directory that was asked for, which may be another user's (state_folder.py).
    """

    path: Path | None
    state_dir: Path
    host: str
    asked_state_dir: Path | None = None
    repositories: Mapping[str, RepositoryProfile] = field(default_factory=dict)
    sources: Mapping[str, SourceProfile] = field(default_factory=dict)
    schedules: tuple[ScheduleSettings, ...] = ()
    drills: Mapping[str, DrillProfile] = field(default_factory=dict)
    hooks: Mapping[str, HookProfile] = field(default_factory=dict)
    systems: Mapping[str, SystemProfile] = field(default_factory=dict)
    server: ServerSettings = field(default_factory=ServerSettings)
    worker: WorkerSettings = field(default_factory=WorkerSettings)
    journal: JournalSettings = field(default_factory=JournalSettings)
    log: LogSettings = field(default_factory=LogSettings)
    notices: NoticeSettings = field(default_factory=NoticeSettings)
    cleanup: CleanupSettings = field(default_factory=CleanupSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)
    prune: PruneSettings = field(default_factory=PruneSettings)

    @property
    def journal_path(self) -> Path:
        """The journal's database, where the settings name no other."""
        return self.state_dir / _JOURNAL_FILE

    @property
    def server_database_path(self) -> Path:
        """The embedded server's database."""
        return self.state_dir / _SERVER_DATABASE_FILE

    @property
    def scratch_dir(self) -> Path:
        """Where drills restore to."""
        return self.worker.scratch_dir or self.state_dir / _SCRATCH_FOLDER

    def drill(self, name: str) -> DrillProfile:
        """The drill of that name.

        Raises:
            SettingsError: there is none.
        """
        return _named(self.drills, name, "drill", "drills")

    def hook(self, name: str) -> HookProfile:
        """The hook of that name.

        Raises:
            SettingsError: there is none.
        """
        return _named(self.hooks, name, "hook", "hooks")

    def system(self, name: str) -> SystemProfile:
        """The system of that name.

        Raises:
            SettingsError: there is none.
        """
        return _named(self.systems, name, "system", "systems")

    def repository(self, name: str) -> RepositoryProfile:
        """The profile of that name.

        Raises:
            SettingsError: there is none.
        """
        return _named(self.repositories, name, "repository", "repositories")

    def source(self, name: str) -> SourceProfile:
        """The profile of that name.

        Raises:
            SettingsError: there is none.
        """
        return _named(self.sources, name, "source", "sources")


def _named(profiles: Mapping[str, _Profile], name: str, what: str, table: str) -> _Profile:
    found = profiles.get(name)
    if found is None:
        hint = one_of(name, profiles, what) if profiles else f"Add a table [{table}.{name}] to holdfast.toml."
        raise SettingsError(f"the settings have no {what} {name!r}", hint=hint)
    return found
