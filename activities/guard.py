"""The guard's activities: compare, and write the record. What was found stays here, in private request files.

An alarm is left in the repository's companion too (holdfast/retention/holds.py): until a person has decided, nothing of
ours forgets what the source has from before it.
"""

from dataclasses import replace

from holdfast.activities import records
from holdfast.activities.calls import EngineCall
from holdfast.activities.steps import Activities, step
from holdfast.backup.opening import snapshot_paths
from holdfast.contracts.common import Ending
from holdfast.contracts.guard import (
    COMPARE_ACTIVITY,
    LOG_GUARD_ACTIVITY,
    CompareInput,
    Decision,
    GuardFound,
    GuardLogInput,
    GuardRequest,
)
from holdfast.errors import UsageError
from holdfast.file_list import FileAction, FileRecord
from holdfast.guard.compare import compare, newest_snapshot
from holdfast.guard.findings import Comparison, FindingKind, Thresholds, judge
from holdfast.ids import BlobId, from_hex, short, to_hex
from holdfast.restore.request import RestoreOptions
from holdfast.retention.holds import AlarmNote, raise_alarm, settle_alarm
from holdfast.service.journal.records import RunRecord
from holdfast.service.settings.guard import GuardSettings
from holdfast.service.settings.model import SourceProfile
from holdfast.terms import Overwrite, RunKind, RunStatus

_ACTIONS = {
    FindingKind.MISSING: (FileAction.DELETED, "missing: the snapshot has it, the source does not"),
    FindingKind.DAMAGED: (FileAction.DAMAGED, "content differs, size and time of modification do not"),
    FindingKind.NOISE: (FileAction.DAMAGED, "written since the snapshot, and noise now"),
}


class GuardActivities(Activities):
    """The guard's activities over the services of this process."""

    @step(COMPARE_ACTIVITY)
    def compare(self, message: CompareInput, call: EngineCall) -> GuardFound:
        """Compare the source with its newest snapshot, and write down what was found."""
        source = self._services.source(message.run.source)
        settings = self._policy(source, message.request)
        thresholds = Thresholds(
            max_changed_share=settings.max_changed_share,
            max_noise_share=settings.max_noise_share,
            min_alarm_files=settings.min_alarm_files,
            read_share=settings.read_share,
        )
        session = self._services.session(message.run.repository)
        with session.hold() as held:
            stored = newest_snapshot(session.repository, source.spec, source.host or self._services.host)
            tree = BlobId(from_hex(stored.snapshot.tree))
            held.reach(tree)
            compared = compare(held, source.spec, tree, thresholds, call.check)
        snapshot_id = to_hex(stored.id)
        found = replace(
            _found(compared, settings, snapshot_id),
            alarm=judge(compared, thresholds).value,
            ahead=tuple(map(short, stored.ahead)),
        )
        if compared.missing >= settings.min_missing:
            paths = compared.paths(FindingKind.MISSING)
            found = replace(
                found, missing_selection=self._selection(message, snapshot_id, paths, Overwrite.NEVER)
            )
        damaged = compared.paths(FindingKind.DAMAGED, FindingKind.NOISE)
        found = replace(
            found, damaged_selection=self._selection(message, snapshot_id, damaged, Overwrite.ALWAYS)
        )
        if found.alarm:
            note = AlarmNote(
                host=source.host or self._services.host,
                source=source.name,
                paths=tuple(sorted(snapshot_paths(source.spec))),
                since_ns=message.started_ns,
                alarm=found.alarm,
                run=message.run.run_id,
            )
            raise_alarm(session.repository, note)
        self._services.journal.record(self._record(message, found, _as_compared(found, message.started_ns)))
        self._services.journal.add_files(message.run.run_id, _files(compared))
        return found

    @step(LOG_GUARD_ACTIVITY)
    def log(self, message: GuardLogInput, _: EngineCall) -> None:
        """Write how it ended over the first record."""
        if message.found.alarm and any(map(_is_by_a_person, message.decisions)):
            source = self._services.source(message.run.source)
            repository = self._services.session(message.run.repository).repository
            settle_alarm(repository, source.host or self._services.host, source.name)
        record = self._record(message, message.found, message.ending)
        said = filter(None, [message.found.alarm, *map(_decided, message.decisions)])
        self._services.journal.record(replace(record, reason="; ".join(said)))

    def _policy(self, source: SourceProfile, request: GuardRequest) -> GuardSettings:
        """The source's own policy; another one where a person of this host has asked for it.

        Raises:
            SettingsError, UsageError: there is no such request, or it is of another source.
        """
        if not request.order:
            return source.guard
        order = self._services.guard_order(request.order)
        if order.source != source.name:
            raise UsageError(f"the request {request.order} is not of the source {source.name!r}")
        return replace(
            source.guard,
            on_missing=order.on_missing or source.guard.on_missing,
            on_damaged=order.on_damaged or source.guard.on_damaged,
        )

    def _selection(
        self, message: CompareInput, snapshot_id: str, paths: tuple[bytes, ...], overwrite: Overwrite
    ) -> str:
        """The token of a restore in place of exactly these paths; empty when there are none."""
        if not paths:
            return ""
        options = RestoreOptions(snapshot=snapshot_id, exact_paths=paths, overwrite=overwrite)
        return self._services.store_order(options, once=message.run.run_id)

    def _record(self, message: CompareInput | GuardLogInput, found: GuardFound, ending: Ending) -> RunRecord:
        host = self._services.host
        record = records.run_record(
            message.run, RunKind.GUARD, message.request, host, message.started_ns, ending
        )
        names = ("files", "new", "changed", "missing", "missing_bytes", "damaged", "noise", "unreadable")
        return replace(
            record,
            reason=found.alarm,
            snapshot_id=found.snapshot_id,
            counters={name: getattr(found, name) for name in names},
        )


def _is_by_a_person(decision: Decision) -> bool:
    """Whether a person has decided: an approval has a name, and of what looks wrong no policy restores anything."""
    return bool(decision.by)


def _as_compared(found: GuardFound, now_ns: int) -> Ending:
    """The end that the run would have come to if nothing of what was found were put right."""
    wrong = found.missing or found.damaged or found.noise or found.alarm
    return Ending(status=RunStatus.PARTIAL if wrong else RunStatus.COMPLETE, ended_ns=now_ns)


def _found(compared: Comparison, settings: GuardSettings, snapshot_id: str) -> GuardFound:
    return GuardFound(
        snapshot_id=snapshot_id,
        files=compared.files,
        new=compared.new,
        changed=compared.changed,
        missing=compared.missing,
        missing_bytes=compared.missing_bytes,
        damaged=compared.damaged,
        noise=compared.noise,
        unreadable=compared.unreadable,
        files_read=compared.files_read,
        on_missing=settings.on_missing,
        on_damaged=settings.on_damaged,
        approval_s=settings.approval_s,
    )


def _files(compared: Comparison) -> list[FileRecord]:
    found = []
    for finding in compared.findings:
        action, message = _ACTIONS[finding.kind]
        found.append(
            FileRecord(path=finding.path, action=action, size_bytes=finding.size_bytes, message=message)
        )
    return found


def _decided(decision: Decision) -> str:
    """A decision as the journal has it: who, what, why."""
    said = f"{decision.part.value} {decision.outcome}"
    said += f" by {decision.by}" if decision.by else ""
    return f"{said}: {decision.reason}" if decision.reason else said
