"""An invocation is what a command was called with, resolved: settings, repository and password.

Where each comes from, first match wins. Repository: `--repo`, `--repository-file`, RESTIC_REPOSITORY,
RESTIC_REPOSITORY_FILE, the source's profile, the only profile that there is. Password: `--password-file` or
`--password-command`; the profile's own source; RESTIC_PASSWORD_FILE, RESTIC_PASSWORD_COMMAND, RESTIC_PASSWORD; the
person at the terminal. A profile's own source stands before the environment, which may be meant for another repository.
"""

import getpass
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from holdfast.errors import PasswordMissingError, SettingsError, UsageError
from holdfast.format.names import quote_path
from holdfast.pace import RateRules
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import PasswordSource, RepositoryProfile, Settings
from holdfast.service.settings.passwords import resolve_password
from holdfast.service.settings.paths import PathRules
from holdfast.service.settings.text import decode_text_file, trim
from holdfast.starter.shell.logging import configure_logging
from holdfast.starter.shell.options import CommonOptions

_KIB: Final = 1024
_MAX_LOCATION_BYTES: Final = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """Settings, common options and environment of one command.

    environ: a copy, because forked processes wipe theirs (forks.py).
    """

    settings: Settings
    options: CommonOptions
    environ: Mapping[str, str] = field(repr=False)

    @classmethod
    def of(cls, options: CommonOptions) -> "Invocation":
        """The invocation of this process.

        Raises:
            SettingsError: the settings are wrong.
            StorageDeniedError: the log file cannot be written.
        """
        settings = load_settings(options.config, os.environ)
        configure_logging(settings.log, label="holdfast", level=logging.WARNING)
        if settings.asked_state_dir not in {None, settings.state_dir}:
            logging.getLogger("holdfast.service.settings").warning(
                "the state directory %s belongs to another user; root's own is %s",
                settings.asked_state_dir,
                settings.state_dir,
            )
        return cls(
            settings=_with_cache(settings, options, os.environ), options=options, environ=dict(os.environ)
        )

    @property
    def rules(self) -> PathRules:
        """How paths of the command line become absolute."""
        return PathRules.of(Path.cwd(), self.environ)

    def listed(self, paths: Sequence[str]) -> tuple[str, ...]:
        """Paths of the command line as snapshots list them, absolute.

        Raises:
            UsageError: one is none.
        """
        try:
            return tuple(quote_path(os.fsencode(self.rules.text(path))) for path in paths)
        except ValueError as error:
            raise UsageError(f"--path: {error}", hint="Write the path as it was backed up.") from None

    def repository(self, fallback: str = "") -> RepositoryProfile:
        """The repository that is meant. fallback: the profile of the source.

        A location becomes a profile whose name is the location; `orders.repository_name` gives it a token.

        Raises:
            UsageError: none is named.
            SettingsError: its file cannot be read, or there is no such profile.
        """
        return self._limited(self._meant(fallback))

    def _meant(self, fallback: str) -> RepositoryProfile:
        named = self._named_repository()
        if named is not None:
            return self._profile_or_location(named)
        if fallback:
            return self.settings.repository(fallback)
        if len(self.settings.repositories) == 1:
            return next(iter(self.settings.repositories.values()))
        raise UsageError(
            "no repository is named",
            hint="Give --repo with a location or a profile's name, or set RESTIC_REPOSITORY.",
        )

    def names_repository(self) -> bool:
        """Whether the command line or the environment names a repository."""
        return self._named_repository() is not None

    def password(self, repository: RepositoryProfile, *, confirm: bool = False) -> bytes:
        """The repository's password. confirm: a person types it twice.

        Raises:
            PasswordMissingError: there is none, or its source fails.
            UsageError: file and command were both given.
        """
        given = self.given_password(repository)
        if given is not None:
            return given
        if repository.password is not None:
            return resolve_password(repository.password, self.environ)
        return ask_password(f"enter password for {repository.name}: ", confirm=confirm)

    def given_password(self, repository: RepositoryProfile) -> bytes | None:
        """The password that the command line or the environment gives for it, if any.

        Raises:
            PasswordMissingError, UsageError: as `password`.
        """
        source = self._option_source()
        if source is None and repository.password is None:
            source = self._environment_source()
        if source is None:
            return None
        return resolve_password(source, self.environ)

    def worker_passwords(self, repository: RepositoryProfile) -> dict[str, bytes]:
        """The passwords that workers of this command have to be told, by location.

        A profile's own source is read where it is needed: by the worker, or by the supervisor for a variable.

        Raises:
            PasswordMissingError, UsageError: as `password`.
        """
        given = self.given_password(repository)
        if given is None and repository.password is not None:
            return {}
        return {repository.location: self.password(repository) if given is None else given}

    def _named_repository(self) -> str | None:
        if self.options.repo is not None:
            return self.options.repo
        if self.options.repository_file is not None:
            return _read_location(self.options.repository_file)
        if self.environ.get("RESTIC_REPOSITORY"):
            return self.environ["RESTIC_REPOSITORY"]
        if self.environ.get("RESTIC_REPOSITORY_FILE"):
            return _read_location(Path(self.environ["RESTIC_REPOSITORY_FILE"]))
        return None

    def _limited(self, profile: RepositoryProfile) -> RepositoryProfile:
        """The repository at the rates of the command line, in restic's KiB per second, in place of its own."""
        up, down = self.options.limit_upload * _KIB, self.options.limit_download * _KIB
        limits = profile.limits
        if up:
            limits = replace(limits, upload=RateRules(bytes_per_second=up))
        if down:
            limits = replace(limits, download=RateRules(bytes_per_second=down))
        return replace(profile, limits=limits)

    def _profile_or_location(self, named: str) -> RepositoryProfile:
        profile = self.settings.repositories.get(named)
        if profile is not None:
            return profile
        try:
            location = self.rules.location(named)
        except ValueError as error:
            raise UsageError(
                f"the repository's location cannot be used: {error}", hint="Name a directory, or a profile."
            ) from None
        return RepositoryProfile(name=location, location=location)

    def _option_source(self) -> PasswordSource | None:
        file, command = self.options.password_file, self.options.password_command
        if file is not None and command is not None:
            raise UsageError(
                "--password-file and --password-command exclude each other", hint="Give one of them."
            )
        if file is not None:
            return PasswordSource(file=self._file(str(file)))
        return None if command is None else PasswordSource(command=command)

    def _environment_source(self) -> PasswordSource | None:
        file, command = self.environ.get("RESTIC_PASSWORD_FILE"), self.environ.get("RESTIC_PASSWORD_COMMAND")
        if file:
            return PasswordSource(file=self._file(file))
        if command:
            return PasswordSource(command=command)
        return PasswordSource(env="RESTIC_PASSWORD") if self.environ.get("RESTIC_PASSWORD") else None

    def _file(self, path: str) -> Path:
        try:
            return self.rules.path(path)
        except ValueError as error:
            raise UsageError(f"the password file: {error}", hint="Give its path.") from None


def ask_password(prompt: str, *, confirm: bool = False) -> bytes:
    """Ask the person at the terminal.

    Raises:
        PasswordMissingError: nobody is there, or nothing was typed.
        UsageError: the two differ.
    """
    if not sys.stdin.isatty():
        raise PasswordMissingError(
            "no password was given",
            hint="Give --password-file or --password-command, or set RESTIC_PASSWORD.",
        )
    typed = getpass.getpass(prompt)
    if not typed:
        raise PasswordMissingError("an empty password is not accepted", hint="Type one.")
    if confirm and getpass.getpass("enter password again: ") != typed:
        raise UsageError("the two passwords differ", hint="Nothing was changed; repeat the command.")
    return os.fsencode(typed)


def _with_cache(settings: Settings, options: CommonOptions, environ: Mapping[str, str]) -> Settings:
    """The settings with the cache that the command line asks for.

    Raises:
        UsageError: its folder is no path.
    """
    if options.no_cache:
        return replace(settings, cache=replace(settings.cache, directory=None))
    if options.cache_dir is None:
        return settings
    try:
        directory = PathRules.of(Path.cwd(), environ).path(str(options.cache_dir))
    except ValueError as error:
        raise UsageError(f"--cache-dir: {error}", hint="Name a folder.") from None
    return replace(settings, cache=replace(settings.cache, directory=directory))


def _read_location(path: Path) -> str:
    try:
        with path.open("rb") as file:
            location = trim(decode_text_file(file.read(_MAX_LOCATION_BYTES)))
    except OSError as error:
        raise SettingsError(
            f"the repository file {path} cannot be read: {error.strerror}", hint="Check its path."
        ) from error
    if not location:
        raise SettingsError(f"the repository file {path} is empty", hint="Write the location there.")
    return location
