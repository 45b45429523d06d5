"""A month of backups as an operator finds it: 60 snapshots, failures, partial runs, cancelled ones, a drill, decisions.

The engine makes the snapshots, by a clock that is handed to it, and what fails fails in the engine; the journal gets
the records that activities write of such runs. `python -m tests.support.month FOLDER` makes a month that ends now.

    documents   backed up each night: 30 snapshots. Files are deleted, and one is moved, a week before the end; two runs
                are partial; proven by a drill; a snapshot is held
    photos      every second night: 15 snapshots, the last one partial; two runs were cancelled
    database    each night for the first 15 days; then its folder is not mounted, and every run fails
    music       declared, and never backed up
"""

import shutil
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Final

from holdfast.backup.opening import BackupOrder
from holdfast.backup.report import file_records
from holdfast.backup.run import BackupRun
from holdfast.contracts.identity import run_id, workflow_id
from holdfast.errors import HoldfastError
from holdfast.ids import SnapshotId, to_hex
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import load_snapshot
from holdfast.retention import holds
from holdfast.runs.opening import close_run
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.proofs import PROVEN
from holdfast.service.journal.records import RunRecord, VerdictRecord, backup_counters
from holdfast.source.spec import SourceSpec
from holdfast.terms import RunKind, RunStatus, StoredTotals, Strategy
from tests.support.engine import PASSWORD, EngineRun, new_session

HOST: Final = "mars"
REPOSITORY: Final = "vault"
DAYS: Final = 30
S_NS: Final = 10**9
HOUR_NS: Final = 3_600 * S_NS
DAY_NS: Final = 24 * HOUR_NS
KIB: Final = 1 << 10
_SETTINGS: Final = """\
state_dir = "{folder}/state"
host = "{host}"
[repositories.vault]
location = "{folder}/vault"
password_file = "{folder}/password"
[sources.documents]
repository = "vault"
paths = ["{folder}/home/documents"]
max_age = "26h"
[[sources.documents.schedules]]
name = "nightly"
cron = "0 3 * * *"
[sources.photos]
repository = "vault"
paths = ["{folder}/home/photos"]
max_age = "3d"
[sources.database]
repository = "vault"
paths = ["{folder}/dumps"]
max_age = "26h"
[[sources.database.schedules]]
name = "nightly"
cron = "30 3 * * *"
[sources.music]
repository = "vault"
paths = ["{folder}/home/music"]
"""


@dataclass(kw_only=True)
class Month:
    """An installation below a folder, at the end of its month. until_ns: that end; days are counted back from it."""

    folder: Path
    until_ns: int
    random: Random
    journal: Journal

    @classmethod
    def make(cls, folder: Path, until_ns: int) -> "Month":
        """Live through it."""
        month = cls(
            folder=folder,
            until_ns=until_ns,
            random=Random(17),
            journal=Journal.at(folder / "state" / "journal.db"),
        )
        for name in ("home/documents", "home/photos", "home/music", "dumps"):
            (folder / name).mkdir(parents=True)
        (folder / "password").write_bytes(PASSWORD)
        month.config.write_text(_SETTINGS.format(folder=folder, host=HOST))
        with new_session(folder / "vault") as session:
            month._live(session)
        return month

    @property
    def config(self) -> Path:
        return self.folder / "holdfast.toml"

    def night_ns(self, day: int) -> int:
        """The night of a day, 0 the first and DAYS - 1 the last: nine hours before the month's end."""
        return self.until_ns - (DAYS - 1 - day) * DAY_NS - 9 * HOUR_NS

    def _live(self, session: RepositorySession) -> None:
        documents, photos, dumps = (
            self.folder / "home/documents",
            self.folder / "home/photos",
            self.folder / "dumps",
        )
        snapshots: list[SnapshotId] = []
        for day in range(DAYS):
            self._write(documents, day)
            snapshots += self._back_up(session, "documents", documents, day, loses=day in {9, 20})
            if day % 2:
                self._photograph(photos, day)
                snapshots += self._back_up(session, "photos", photos, day, loses=day == DAYS - 1)
            if day in {6, 16}:
                self._cancel(session, "photos", photos, day)
            if day < 15:
                (dumps / "dump.sql").write_bytes(self.random.randbytes(48 * KIB))
            elif dumps.exists():
                shutil.rmtree(dumps)  # it is not mounted any more
            snapshots += self._back_up(session, "database", dumps, day)
            if day == 13:
                self._verify(day)
            if day == 20:
                self._drill(day, snapshots[-1])
        stored = load_snapshot(session.repository, snapshots[0])
        held = holds.hold(
            session.repository, stored, by="anna", reason="the audit of November", now_ns=self.night_ns(24)
        )
        self._record(
            RunKind.FORGET, "", 24, strategy="hold", reason=held.reason, by="anna", snapshot=snapshots[0]
        )

    def _write(self, folder: Path, day: int) -> None:
        """A day's work; on the seventh day before the end some of it is thrown away, and moved."""
        (folder / f"letter-{day:02d}.txt").write_bytes(
            self.random.randbytes(self.random.randrange(2, 24) * KIB)
        )
        with (folder / "diary.txt").open("ab") as diary:
            diary.write(self.random.randbytes(KIB))
        if day == DAYS - 7:
            for number in (3, 4, 5):
                (folder / f"letter-{number:02d}.txt").unlink()
            (folder / "archive").mkdir()
            (folder / "letter-06.txt").rename(folder / "archive" / "letter-06.txt")

    def _photograph(self, folder: Path, day: int) -> None:
        (folder / f"album-{day // 10}").mkdir(exist_ok=True)
        (folder / f"album-{day // 10}" / f"picture-{day:02d}.jpg").write_bytes(
            self.random.randbytes(96 * KIB)
        )

    def _back_up(
        self, session: RepositorySession, source: str, folder: Path, day: int, *, loses: bool = False
    ) -> list[SnapshotId]:
        """The snapshot of a run, or none of one that fails. loses: a file vanishes while it runs."""
        run, record = self._run(session, source, folder, day)
        lost = folder / "unsaved.tmp"
        if loses:
            lost.write_bytes(b"not for long")
        try:
            run.open()
            pages = run.select()
        except HoldfastError as error:
            self.journal.record(
                replace(
                    record,
                    status=RunStatus.FAILED,
                    failure_kind=type(error).__name__,
                    failure_message=error.message,
                )
            )
            return []
        lost.unlink(missing_ok=True)
        shards = sum(page.shards for page in pages)
        stored = StoredTotals()
        for shard in range(shards):
            stored = stored.plus(run.store(shard).totals)
        committed = run.commit(pages).result
        if committed is None:
            raise AssertionError("the commit asks for work to be done again")
        selected = pages[-1].totals
        self.journal.record(
            replace(
                record,
                status=RunStatus.PARTIAL if committed.partial else RunStatus.COMPLETE,
                strategy="incremental" if day else "full",
                snapshot_id=committed.snapshot.hex(),
                counters=backup_counters(selected, stored, committed.totals),
                verdict=VerdictRecord(level="structure", ok=True),
            )
        )
        self.journal.add_files(record.run_id, file_records(run.backup, len(pages), shards))
        close_run(run.backup.workspace)
        return [SnapshotId(committed.snapshot)]

    def _cancel(self, session: RepositorySession, source: str, folder: Path, day: int) -> None:
        run, record = self._run(session, source, folder, day)
        run.open()
        close_run(run.backup.workspace)
        why = "cancelled by ben: the line was needed"
        self.journal.record(replace(record, status=RunStatus.CANCELLED, failure_message=why))

    def _run(
        self, session: RepositorySession, source: str, folder: Path, day: int
    ) -> tuple[EngineRun, RunRecord]:
        """A run that is not begun, and what its record says whatever becomes of it."""
        started_ns = self.night_ns(day) + len(source) * 60 * S_NS
        run = self._id(RunKind.BACKUP, source, started_ns)
        order = BackupOrder(
            spec=SourceSpec(roots=(bytes(folder),)),
            host=HOST,
            strategy=Strategy.AUTO,
            started_ns=started_ns,
            source=source,
        )
        record = RunRecord(
            run_id=run,
            kind=RunKind.BACKUP,
            status=RunStatus.RUNNING,
            repository=REPOSITORY,
            source=source,
            host=HOST,
            trigger_kind="schedule",
            trigger_by=f"holdfast.{HOST}.{source}.nightly",
            started_ns=started_ns,
            ended_ns=started_ns + self.random.randrange(40, 400) * S_NS,
        )
        return EngineRun(BackupRun(session=session, run_id=run), order), record

    def _verify(self, day: int) -> None:
        self._record(RunKind.VERIFY, "", day, strategy="all")
        self.journal.set_verdict(
            self._id(RunKind.VERIFY, "", self.night_ns(day) + HOUR_NS), VerdictRecord(level="full", ok=True)
        )

    def _drill(self, day: int, snapshot: SnapshotId) -> None:
        counters = {
            PROVEN: 1,
            "bytes_restored": 300 * KIB,
            "estimated_recovery_ms": 41_000,
            "data_age_s": 3_600,
        }
        counters |= {"rto_goal_s": 3_600, "rto_met": 1}
        self._record(
            RunKind.DRILL,
            "documents",
            day,
            strategy="monthly",
            reason="10%, seed 4",
            snapshot=snapshot,
            counters=counters,
        )

    def _record(
        self,
        kind: RunKind,
        source: str,
        day: int,
        *,
        strategy: str = "",
        reason: str = "",
        by: str = "",
        snapshot: SnapshotId | None = None,
        counters: dict[str, int] | None = None,
    ) -> None:
        """A run of another kind that ended well, an hour after the night's backups."""
        started_ns = self.night_ns(day) + HOUR_NS
        self.journal.record(
            RunRecord(
                run_id=self._id(kind, source, started_ns),
                kind=kind,
                status=RunStatus.COMPLETE,
                repository=REPOSITORY,
                source=source,
                host=HOST,
                trigger_kind="person" if by else "schedule",
                trigger_by=by or f"holdfast.{HOST}.{REPOSITORY}.{kind}",
                strategy=strategy,
                reason=reason,
                snapshot_id="" if snapshot is None else to_hex(snapshot),
                counters=counters or {},
                started_ns=started_ns,
                ended_ns=started_ns + 90 * S_NS,
            )
        )

    def _id(self, kind: RunKind, source: str, started_ns: int) -> str:
        """The id of a run; its end is what people type."""
        digits = f"{started_ns // S_NS % (1 << 32) ^ len(source) << 24:08x}"
        return run_id(workflow_id(kind, HOST, REPOSITORY, source), f"019ac5d2-0000-7000-8000-0000{digits}")


if __name__ == "__main__":
    Month.make(Path(sys.argv[1]).absolute(), time.time_ns())
