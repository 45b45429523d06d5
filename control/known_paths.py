"""Writes paths into messages of workers, which have placeholders there (contracts/veiled.py), as a reader knows them.

What a person typed may be shown to that person, though the server never sees it. It is a value, handed to what reads
messages: a process that serves several people shows each of them only what is his.
"""

import contextlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from holdfast.contracts.backup import BackupRequest
from holdfast.contracts.identity import is_token
from holdfast.contracts.restore import RestoreRequest
from holdfast.contracts.veiled import REPOSITORY, STATE_DIR, TARGET
from holdfast.contracts.verbs import verb_of
from holdfast.control.names import location_of, veiled_roots
from holdfast.errors import SettingsError
from holdfast.restore.request import RestoreOptions
from holdfast.service.settings.model import Settings
from holdfast.service.settings.requests import read_request
from holdfast.terms import RunKind


@dataclass(frozen=True, slots=True)
class KnownPaths:
    """What stands behind each placeholder that the reader may look behind."""

    by_placeholder: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, settings: Settings, request: object, location: str) -> "KnownPaths":
        """Those of who asks for a run. location: of its repository.

        Raises:
            SettingsError: the request file of a restore cannot be read.
        """
        known = {STATE_DIR: str(settings.state_dir), REPOSITORY: location}
        if isinstance(request, RestoreRequest):
            target = read_request(settings.state_dir, request.selection, RestoreOptions).target
            known |= {} if target is None else {TARGET: os.fsdecode(target)}
        elif isinstance(request, BackupRequest):
            known |= veiled_roots(settings, request.source)
        return cls(known)

    @classmethod
    def of_run(cls, settings: Settings, kind: RunKind, repository: str, source: str) -> "KnownPaths":
        """Those of who may see this host's runs: as far as its settings and request files still know them."""
        known = {STATE_DIR: str(settings.state_dir), REPOSITORY: location_of(settings, repository)}
        if verb_of(kind).kind is RunKind.BACKUP:
            known |= veiled_roots(settings, source)
        elif verb_of(kind).kind is RunKind.RESTORE and is_token(source):
            with contextlib.suppress(SettingsError):
                target = read_request(settings.state_dir, source, RestoreOptions).target
                known |= {} if target is None else {TARGET: os.fsdecode(target)}
        return cls(known)

    def shown_in(self, message: str) -> str:
        """A worker's message with these paths in it."""
        for placeholder, path in self.by_placeholder.items():
            message = message.replace(placeholder, path)
        return message


NO_PATHS: Final = KnownPaths()
