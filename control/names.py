"""Says what the names in records and messages stand for: profiles of the settings, or what lies behind a token."""

import os
from collections.abc import Collection, Mapping, Sequence

from holdfast.contracts.identity import is_token
from holdfast.contracts.veiled import ROOT
from holdfast.contracts.verbs import Request, asked_by, verb_of
from holdfast.contracts.verbs import subject_of as subject_of_request
from holdfast.errors import HoldfastError, SettingsError, UsageError
from holdfast.restore.request import RestoreOptions
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.called import called
from holdfast.service.settings.exclude_files import resolve
from holdfast.service.settings.model import RepositoryProfile, Settings, SourceProfile
from holdfast.service.settings.requests import RepositoryOrder, SourceOrder, read_request
from holdfast.terms import RunKind


def known_repository(settings: Settings, name: str) -> RepositoryProfile:
    """The repository that a run names.

    Raises:
        SettingsError: it is no longer in the settings, or its request file is gone.
    """
    if not is_token(name):
        return settings.repository(name)
    return read_request(settings.state_dir, name, RepositoryOrder).profile(name)


def location_of(settings: Settings, name: str) -> str:
    """A repository's profile, or the location of one that was given by it."""
    try:
        profile = known_repository(settings, name)
    except UsageError:
        return name
    return profile.location if profile.is_request else profile.name


def repositories_at(settings: Settings, names: Sequence[str], places: Collection[str]) -> list[str]:
    """Those of the names that stand for a repository at one of these places, or for one that is gone and is one."""
    return [name for name in names if _place(settings, name) in places]


def subject_of(settings: Settings, kind: RunKind, subject: str, repository: str) -> str:
    """What is backed up, restored, checked, repaired or tried, in a person's words."""
    if verb_of(kind).kind is RunKind.RESTORE:
        return _selection(settings, subject)
    if not subject or verb_of(kind).subject == "repository":  # whatever of it was selected
        return location_of(settings, repository)
    return _source(settings, subject)


def called_on_server(settings: Settings, request: Request) -> str:
    """What a run is about, for those who see the server: a name of the settings, or as this host allows it."""
    subject, openly = subject_of_request(request), settings.server.ui_names
    if not is_token(subject):
        return subject or "all"
    if asked_by(request).kind is RunKind.BACKUP:
        return called(_known_source(settings, subject).spec.roots, openly=openly)
    if asked_by(request).kind is not RunKind.RESTORE or not openly:
        return "a selection"
    options = read_request(settings.state_dir, subject, RestoreOptions)
    target = "its place" if options.target is None else called([options.target], openly=True)
    return f"snapshot {options.snapshot[:8]} to {target}"


def source_changed(settings: Settings, environ: Mapping[str, str], record: RunRecord) -> bool:
    """Whether the source of a backup is not what it was when the run was opened: its plan is of what was meant then.

    False where that cannot be told: what is missing or cannot be read, the run itself says best.
    """
    if not record.source_digest:
        return False
    try:
        profile = _known_source(settings, record.source)
        return resolve(profile, environ).spec.digest != record.source_digest
    except HoldfastError:
        return False


def veiled_roots(settings: Settings, source: str) -> dict[str, str]:
    """What messages of a backup have in place of its source's paths, and the paths; none of a source that is gone."""
    try:
        roots = _known_source(settings, source).spec.roots
    except HoldfastError:
        return {}
    return {ROOT.format(number): os.fsdecode(root) for number, root in enumerate(roots, start=1)}


def _known_source(settings: Settings, name: str) -> SourceProfile:
    if is_token(name):
        return read_request(settings.state_dir, name, SourceOrder).profile(name)
    return settings.source(name)


def _source(settings: Settings, name: str) -> str:
    """The profile's name, or the paths behind a token."""
    if not is_token(name):
        return name
    try:
        roots = _known_source(settings, name).spec.roots
    except SettingsError:
        return name
    return ", ".join(root.decode(errors="backslashreplace") for root in roots)


def _selection(settings: Settings, name: str) -> str:
    """The snapshot and the target behind a token."""
    try:
        options = read_request(settings.state_dir, name, RestoreOptions)
    except SettingsError:
        return name
    target = "in place" if options.target is None else options.target.decode(errors="backslashreplace")
    return f"{options.snapshot} → {target}"


def _place(settings: Settings, name: str) -> str:
    try:
        return known_repository(settings, name).location
    except UsageError:
        return name
