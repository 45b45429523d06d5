"""A host whose listings try a terminal: long paths, odd and wide names, every state; and the commands that list.

Repository, journal and cache are made by the product's own parts; no server and no command is needed.
"""

import io
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from holdfast.file_list import FileAction, FileRecord
from holdfast.format.snapshot import changed_snapshot
from holdfast.ids import to_hex
from holdfast.repository.layout import SNAPSHOTS
from holdfast.repository.session import RepositorySession
from holdfast.repository.snapshots import StoredSnapshot, list_snapshots, load_json
from holdfast.retention.bin import forget_snapshot
from holdfast.retention.holds import AlarmNote, hold, raise_alarm
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import OutputRecord, RunRecord, VerdictRecord
from holdfast.storage.cache import Cache
from holdfast.terms import RunKind, RunStatus
from tests.support.engine import PASSWORD, EngineRun, new_session

HOST: Final = "mars.headquarters.example.org"
LONG: Final = (
    "a directory whose name somebody took for the place to describe all of its content in every detail"
)
WIDE: Final = "写真と動画の保管場所"
EVIL: Final = "\x1b[2Jevil"
HOUR_NS: Final = 3600 * 10**9
DAY_NS: Final = 24 * HOUR_NS
LISTINGS: Final[tuple[tuple[str, ...], ...]] = (
    ("-r", "home", "snapshots"),
    ("-r", "home", "ls"),
    ("-r", "home", "ls", "--long"),
    ("status",),
    ("status", "documents"),
    ("runs",),
    ("run", "show", "00000001"),
    ("run", "show", "00000003"),
    ("run", "files", "00000003"),
    ("drills",),
    ("system", "list"),
    ("system", "show", "the-whole-shop"),
    ("-r", "home", "holds"),
    ("-r", "home", "forget", "--bin"),
    ("-r", "home", "forget", "--dry-run"),
    ("-r", "home", "retention", "simulate"),
    ("-r", "home", "stats"),
    ("-r", "home", "stats", "--mode", "shares"),
    ("-r", "home", "key", "list"),
    ("cache",),
    ("cache", "--cleanup", "--max-age", "10000"),
)
"""What lists without a server."""
SERVED: Final[tuple[tuple[str, ...], ...]] = (
    ("schedule", "list"),
    ("schedule", "next"),
    ("schedule", "apply", "--dry-run"),
    ("cleanup", "--dry-run"),
)
"""What asks a server, or starts one."""
_SETTINGS: Final = """
state_dir = "{folder}/state"
host = "{host}"
[worker]
processes = 1
[repositories.home]
location = "{folder}/repository"
password_file = "{folder}/password"
[repositories.archive-of-the-whole-company]
location = "{folder}/nowhere"
password_file = "{folder}/password"
[cache]
dir = "{folder}/cache"
[sources.documents]
repository = "home"
paths = ["{folder}/source"]
max_age = "26h"
[[sources.documents.schedules]]
name = "nightly"
cron = "0 3 * * *"
[[sources.documents.schedules]]
name = "weekly-full-at-the-weekend"
strategy = "full"
cron = "0 4 * * 0"
[sources.documents.retention]
keep_daily = 2
keep_last = 3
[sources.photos-of-the-family]
repository = "archive-of-the-whole-company"
paths = ["{folder}/source/{wide}"]
[systems.the-whole-shop]
sources = ["documents", "photos-of-the-family", "database@venus.headquarters.example.org"]
"""


def environment(folder: Path) -> dict[str, str]:
    """What commands on this host need."""
    return {"HOLDFAST_CONFIG": str(folder / "holdfast.toml"), "HOME": str(folder), "TZ": "Europe/Berlin"}


def make(folder: Path, now_ns: int = 0) -> None:
    """The host, in a folder that is there."""
    now_ns = now_ns or time.time_ns()
    (folder / "password").write_bytes(PASSWORD)
    (folder / "holdfast.toml").write_text(
        _SETTINGS.format(folder=folder, host=HOST, wide=WIDE), encoding="utf-8"
    )
    source = _tree(folder / "source")
    with new_session(folder / "repository") as session:
        _snapshots(session, source, now_ns)
    _journal(Journal.at(folder / "state" / "journal.db"), folder, now_ns)
    cache = Cache(folder / "cache", 1 << 30)
    cache.keep(f"{'ab' * 32}/index/{'cd' * 32}", [memoryview(b"x" * 5000)])


def _tree(source: Path) -> Path:
    deep = source / LONG / LONG / WIDE
    deep.mkdir(parents=True)
    (deep / "the last report.pdf").write_bytes(b"x" * 40_000)
    (source / WIDE).mkdir()
    (source / WIDE / f"{WIDE}.jpeg").write_bytes(b"y" * 3_000_000)
    (source / EVIL).write_bytes(b"z")
    with open(os.fsencode(source) + b"/no\xffutf-8", "wb"):
        pass
    (source / "link").symlink_to(f"{LONG}/{LONG}/{WIDE}/the last report.pdf")
    return source


def _snapshots(session: RepositorySession, source: Path, now_ns: int) -> None:
    run = EngineRun.of(session, source)
    run.order = replace(run.order, started_ns=now_ns - 9 * DAY_NS, source="documents", host=HOST)
    run.run()
    repository = session.repository
    (first,) = list_snapshots(repository)

    def also(**changes: object) -> None:
        repository.save_file(SNAPSHOTS, changed_snapshot(load_json(repository, first.id), changes))

    own = [tag for tag in first.snapshot.tags or () if "status" not in tag]
    for day in range(8):
        also(
            time=_time(now_ns - day * DAY_NS),
            tags=[*own, "nightly", "holdfast-status:partial"][: 6 + day % 2],
        )
    also(
        time=_time(now_ns - 5 * HOUR_NS),
        hostname="venus",
        paths=[f"/srv/{LONG}/{LONG}", f"/home/alice/{WIDE}/{WIDE}", "/etc"],
        tags=["before-the-great-migration-of-november", WIDE],
    )
    newest = list_snapshots(repository)
    _retained(session, newest, now_ns)


def _retained(session: RepositorySession, snapshots: list[StoredSnapshot], now_ns: int) -> None:
    repository = session.repository
    hold(repository, snapshots[1], by="alice", reason=f"The audit of {LONG}.", now_ns=now_ns - DAY_NS)
    hold(repository, snapshots[2], by="bob", reason="Until then.", now_ns=now_ns, until_ns=now_ns + DAY_NS)
    raise_alarm(
        repository,
        AlarmNote(
            host=HOST,
            source="documents",
            paths=("/",),
            since_ns=now_ns - HOUR_NS,
            alarm="1,200 of 2,000 files have turned into noise since the snapshot before",
            run="guard/00000009",
        ),
    )
    with session.hold() as held:
        forget_snapshot(
            held,
            snapshots[3].id,
            now_ns=now_ns - HOUR_NS,
            keep_s=7 * 86_400,
            by="alice",
            reason="beyond the 2 daily and the 3 last ones that the policy of the source keeps",
        )


def _time(ns: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(ns // 10**9))


def _journal(journal: Journal, folder: Path, now_ns: int) -> None:
    for number, (kind, status, source, more) in enumerate(_RUNS, start=1):
        journal.record(
            RunRecord(
                run_id=f"{kind.value}:{HOST}:home:{source}/{number:08}",
                kind=kind,
                status=status,
                repository="archive-of-the-whole-company" if number % 3 == 0 else "home",
                source=source,
                host=HOST,
                trigger_kind="schedule",
                trigger_by=f"documents.nightly of {HOST}",
                started_ns=now_ns - number * 5 * HOUR_NS,
                ended_ns=0
                if status is RunStatus.RUNNING
                else now_ns - number * 5 * HOUR_NS + number**5 * 10**7,
                **more,  # type: ignore[arg-type]  # test data
            )
        )
    run_id = f"backup:{HOST}:home:photos-of-the-family/00000003"
    journal.add_files(run_id, _FILES)
    journal.add_output(
        run_id,
        OutputRecord(
            hook="freeze-the-shop",
            moment="before",
            exit_code=1,
            started_ns=now_ns,
            ended_ns=now_ns + 10**8,
            output=f"cannot freeze {LONG}: {LONG}\n{EVIL}",
        ),
    )


_SNAPSHOT: Final = to_hex(b"\xab" * 32)
_GOOD: Final = VerdictRecord(level="structure", ok=True, blobs=4000, packs=20, files=1)
_BAD: Final = VerdictRecord(
    level="full", ok=False, packs=1, problem_count=1234, problems=(f"pack {'ef' * 32} is damaged: {LONG}",)
)
_COUNTS: Final[Mapping[str, int]] = {
    "files": 12_345,
    "bytes_total": 123_456_789_012,
    "data_added": 1_234_567,
    "errors": 1,
    "dirs": 3,
}
_DRILLED: Final[Mapping[str, int]] = {
    "proven": 1,
    "bytes_restored": 5 << 30,
    "estimated_recovery_ms": 7_260_000,
    "rto_goal_s": 7200,
    "rto_met": 0,
    "data_age_s": 93_600,
    "rpo_goal_s": 93_600,
    "rpo_met": 1,
}
_RUNS: Final[tuple[tuple[RunKind, RunStatus, str, dict[str, object]], ...]] = (
    (
        RunKind.BACKUP,
        RunStatus.COMPLETE,
        "documents",
        {"strategy": "incremental", "reason": "the last full one is 3 days old", "snapshot_id": _SNAPSHOT}
        | {"counters": _COUNTS, "verdict": _GOOD, "parent": "cd" * 32},
    ),
    (RunKind.BACKUP, RunStatus.RUNNING, "documents", {"strategy": "incremental"}),
    (
        RunKind.BACKUP,
        RunStatus.PARTIAL,
        "photos-of-the-family",
        {"strategy": "full", "snapshot_id": _SNAPSHOT, "counters": _COUNTS, "verdict": _BAD},
    ),
    (
        RunKind.BACKUP,
        RunStatus.FAILED,
        "documents",
        {
            "failure_kind": "StorageFullError",
            "failure_message": f"no space left on the device of /srv/{LONG}/{LONG}",
        },
    ),
    (
        RunKind.BACKUP,
        RunStatus.CANCELLED,
        "documents",
        {"failure_kind": "CancelledError", "resumes": "x/00000004"},
    ),
    (RunKind.RESTORE, RunStatus.COMPLETE, f"{WIDE}/{LONG}", {"counters": _COUNTS, "snapshot_id": _SNAPSHOT}),
    (RunKind.VERIFY, RunStatus.FAILED, "home", {"verdict": _BAD, "failure_kind": "DamagedError"}),
    (RunKind.PRUNE, RunStatus.COMPLETE, "home", {}),
    (RunKind.GUARD, RunStatus.PARTIAL, "documents", {}),
    (
        RunKind.DRILL,
        RunStatus.COMPLETE,
        "documents",
        {
            "strategy": "documents-in-full",
            "reason": "all (seed 123456)",
            "snapshot_id": _SNAPSHOT,
            "counters": _DRILLED,
        },
    ),
    (RunKind.DRILL, RunStatus.FAILED, "documents", {"reason": "5%", "failure_kind": "StorageDeniedError"}),
    (
        RunKind.SYSTEM_BACKUP,
        RunStatus.PARTIAL,
        "the-whole-shop",
        {"counters": {"members": 3, "members_ok": 2}, "verdict": _BAD},
    ),
)
_FILES: Final = (
    FileRecord(path=b"/srv/short", action=FileAction.NEW, size_bytes=2048),
    FileRecord(
        path=os.fsencode(f"/srv/{LONG}/{LONG}/file"), action=FileAction.CHANGED, size_bytes=123_456_789
    ),
    FileRecord(
        path=os.fsencode(f"/home/alice/{WIDE}/{WIDE}/{WIDE}"),
        action=FileAction.UNREADABLE,
        message="permission denied",
    ),
    FileRecord(
        path=b"/srv/no\xffutf-8\x1b[2J",
        action=FileAction.WARNING,
        message=f"changed while it was read: {LONG}",
    ),
)


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal; `written` is what it got."""

    def __init__(self) -> None:
        self._bytes = io.BytesIO()
        super().__init__(self._bytes, encoding="utf-8", write_through=True)

    def isatty(self) -> bool:
        return True

    @property
    def written(self) -> str:
        return self._bytes.getvalue().decode()
