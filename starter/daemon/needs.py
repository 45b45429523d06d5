"""What a service needs of its host is read from the settings: where it writes, and what its sources hold."""

import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from holdfast.errors import SettingsError
from holdfast.service.settings.file import find_settings
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import Settings
from holdfast.starter.daemon.unit import TEMPORARY

_SQLITE: Final = "sqlite:///"
_COMMAND: Final = "holdfast"


def settings_of_service(config: Path | None, home: Path, variables: Mapping[str, str]) -> Settings:
    """The settings as the service will read them, with its own home. config: the file that a person named.

    Raises:
        SettingsError: there is none, or it is wrong.
    """
    environ = {**variables, "HOME": str(home)}
    if find_settings(config, environ) is None:
        raise SettingsError(
            "there are no settings, and a service does what they say",
            hint="Write /etc/holdfast/holdfast.toml (`holdfast config example` shows one), or name a file by --config.",
        )
    return load_settings(config, environ)


def kept_by(settings: Settings, state_dir: Path) -> Iterator[Path]:
    """The folders of this host that the service writes to."""
    yield state_dir
    yield from local_repositories(settings)
    yield from (
        Path(profile.companion)
        for profile in settings.repositories.values()
        if profile.companion.startswith("/")
    )
    if settings.cache.directory is not None:
        yield settings.cache.directory
    if settings.worker.scratch_dir is not None:
        yield settings.worker.scratch_dir
    if settings.log.file is not None:
        yield settings.log.file.parent
    url = settings.journal.url
    if url is not None and url.startswith(_SQLITE):
        yield Path(url.removeprefix(_SQLITE)).parent


def local_repositories(settings: Settings) -> Iterator[Path]:
    """The folders of this host that are repositories."""
    locations = (profile.location for profile in settings.repositories.values())
    yield from (Path(location) for location in locations if location.startswith("/"))


def restores_unasked(settings: Settings) -> bool:
    """Whether runs that no person starts restore into places of their own: of schedules, and of guards."""
    return any(schedule.kind == "restore" for schedule in settings.schedules) or any(
        source.guard.on_missing == "restore" for source in settings.sources.values()
    )


def covers_temporary(settings: Settings) -> bool:
    """Whether a source lies in /tmp or /var/tmp, or holds one of them."""
    roots = (Path(os.fsdecode(root)) for source in settings.sources.values() for root in source.spec.roots)
    return any(
        root.is_relative_to(place) or place.is_relative_to(root) for root in roots for place in TEMPORARY
    )


def executable() -> tuple[str, ...]:
    """The words that start `holdfast` as it is installed here, from any folder."""
    beside = Path(sys.executable).with_name(_COMMAND)
    return (str(beside),) if beside.exists() else (sys.executable, "-m", "holdfast.starter")


def closed_to_others() -> Path | None:
    """The outermost folder that keeps other users from calling this `holdfast`; None where none does."""
    for path in (Path(executable()[0]), Path(sys.executable).resolve()):
        for folder in reversed(path.parents):
            if not folder.stat().st_mode & stat.S_IXOTH:
                return folder
    return None
