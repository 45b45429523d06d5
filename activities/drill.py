"""The activities of a drill. Each is safe to run twice or late; the check is the user's, who is told that it may be."""

import os
from pathlib import Path
from typing import Final

import msgspec

from holdfast.activities import drill_records
from holdfast.activities.calls import EngineCall
from holdfast.activities.steps import Activities, step
from holdfast.commands import CommandRun
from holdfast.contracts import names
from holdfast.contracts.common import RunInput, RunRef
from holdfast.contracts.drill import (
    DrillChecked,
    DrillCheckInput,
    DrillLogInput,
    DrillOpened,
    DrillTriggerInput,
)
from holdfast.drill.check_command import run_check
from holdfast.drill.form import parse_sample
from holdfast.drill.sample import Sample, draw
from holdfast.drill.scratch import make_scratch, remove_scratch, scratch_of
from holdfast.errors import SettingsError, UsageError
from holdfast.ids import BlobId, from_hex, sha256, short, to_hex
from holdfast.repository.choice import Choice
from holdfast.repository.documents import encode, load
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import StoredSnapshot, find_snapshot
from holdfast.restore.request import RestoreOptions
from holdfast.runs.opening import OPENING, close_run, open_run
from holdfast.runs.workspace import Workspace
from holdfast.service.settings.choice import of_source
from holdfast.service.settings.drills import DrillProfile
from holdfast.service.settings.requests import write_request
from holdfast.terms import LATEST
from holdfast.verify.documents import VerifyOrder

_TREE: Final = "tree"
_CHECK: Final = "check"
_SEED_DIGITS: Final = 16


class _CheckDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The output of a check: for the journal, not for Temporal."""

    output: str


class _DrillDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The trial that the run is for: no other drill's check runs in what it restored. snapshot: 64 hex digits."""

    drill: str
    snapshot: str


class DrillActivities(Activities):
    """The drill's activities over the services of this process."""

    @step(names.TRIGGER_DRILL)
    def trigger(self, message: DrillTriggerInput, call: EngineCall) -> DrillOpened:
        """Find the snapshot, draw the sample, write the journal's first record."""
        request = message.request
        profile = self._profile(message)
        session = self._services.session(message.run.repository)
        seed = sha256(message.run.run_id.encode())
        workspace = Workspace(session.repository, message.run.run_id)
        with session.hold() as held:
            stored = self._snapshot(session, profile, request.snapshot)
            found = _DrillDocument(drill=profile.name, snapshot=to_hex(stored.id))
            decided, _ = open_run(workspace, _DrillDocument, lambda: found)
            if decided != found:  # an earlier attempt has found an older newest one
                stored = self._snapshot(session, profile, decided.snapshot)
            root = BlobId(from_hex(stored.snapshot.tree))
            held.reach(root)
            size = parse_sample(profile.sample)
            sample = None if size.is_all else draw(held.loader_of_store(), root, size, seed, call.check)
        folder = scratch_of(self._services.settings.scratch_dir, message.run.run_id)
        make_scratch(folder)
        opened = self._opened(profile, stored, sample, folder, message.run.run_id, seed.hex()[:_SEED_DIGITS])
        self._services.journal.record(drill_records.begun(message, opened, host=self._services.host))
        return opened

    @step(names.CHECK_DRILL)
    def check(self, message: DrillCheckInput, call: EngineCall) -> DrillChecked:
        """Run the user's own check in the restored tree."""
        settings = self._services.settings
        opened = load(self._workspace(message.run), OPENING, _DrillDocument)
        if opened != _DrillDocument(drill=message.drill, snapshot=message.snapshot_id):
            raise UsageError(
                "this run was not opened for that drill and snapshot", hint="Start the drill again."
            )
        profile = settings.drill(message.drill)
        if profile.check is None:
            raise SettingsError(
                f"the drill {profile.name!r} has a check no longer", hint="Start the drill again."
            )
        checked = run_check(
            profile.check,
            scratch_of(settings.scratch_dir, message.run.run_id) / _TREE,
            snapshot=message.snapshot_id,
            environ=self._services.environ,
            timeout_s=profile.check_timeout_s,
            on_wait=call.check,
        )
        self._keep_output(message, checked)
        return DrillChecked(
            ok=checked.ok,
            exit_code=checked.exit_code,
            timed_out=checked.timed_out,
            duration_ns=checked.duration_ns,
        )

    @step(names.CLEAN_DRILL)
    def clean(self, message: RunInput, call: EngineCall) -> None:
        """Remove what was restored, and the run's documents."""
        remove_scratch(scratch_of(self._services.settings.scratch_dir, message.run.run_id), call.check)
        close_run(self._workspace(message.run))

    @step(names.LOG_DRILL)
    def log(self, message: DrillLogInput, _: EngineCall) -> None:
        """Write the run's record, its verdict, and the paths that did not come back."""
        journal = self._services.journal
        journal.record(drill_records.ended(message, host=self._services.host))
        if message.findings is None:
            return
        document = load(self._workspace(message.run), _CHECK, _CheckDocument)
        output = "" if document is None else document.output
        journal.set_verdict(message.run.run_id, drill_records.verdict(message, output))
        if message.restored is not None:
            journal.add_files(message.run.run_id, journal.wrong_files(message.restored.run_id))

    def _opened(
        self,
        profile: DrillProfile,
        stored: StoredSnapshot,
        sample: Sample | None,
        folder: Path,
        run_id: str,
        seed: str,
    ) -> DrillOpened:
        snapshot_id = to_hex(stored.id)
        options = RestoreOptions(
            snapshot=snapshot_id,
            target=os.fsencode(folder / _TREE),
            exact_paths=() if sample is None else sample.paths,
            from_store=True,
        )
        state_dir = self._services.settings.state_dir
        return DrillOpened(
            source=profile.source,
            sample=profile.sample,
            seed=seed,
            snapshot_id=snapshot_id,
            snapshot_time_ns=stored.time_ns,
            selection=write_request(state_dir, options, once=run_id),
            verification=write_request(state_dir, VerifyOrder(snapshots=(snapshot_id,))),
            sample_files=0 if sample is None else sample.files,
            sample_bytes=0 if sample is None else sample.size_bytes,
            files_of_all=0 if sample is None else sample.files_of_all,
            bytes_of_all=0 if sample is None else sample.bytes_of_all,
            rto_s=profile.rto_s or 0.0,
            rpo_s=profile.rpo_s or 0.0,
            check_timeout_s=profile.check_timeout_s if profile.check else 0.0,
            tell=self._services.tells_of(profile.source),
            ahead=tuple(map(short, stored.ahead)),
        )

    def _profile(self, message: DrillTriggerInput) -> DrillProfile:
        request, settings = message.request, self._services.settings
        if request.drill:
            return settings.drill(request.drill)
        if not request.source:
            raise SettingsError("a drill needs a name or a source", hint="Name one of the settings' drills.")
        return DrillProfile(name="", source=request.source, sample=request.sample)

    def _snapshot(self, session: RepositorySession, profile: DrillProfile, wanted: str) -> StoredSnapshot:
        source = self._services.source(profile.source)
        choice = Choice(source=of_source(self._services.settings, source))
        return find_snapshot(session.repository, wanted or LATEST, choice)

    def _keep_output(self, message: DrillCheckInput, checked: CommandRun) -> None:
        self._workspace(message.run).put(_CHECK, encode(_CheckDocument(output=checked.output)))

    def _workspace(self, ref: RunRef) -> Workspace:
        return Workspace(self._services.session(ref.repository).repository, ref.run_id)
