"""Notices and pings: what they say, whom they reach, and when a source counts as overdue."""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from temporalio.testing import ActivityEnvironment

from holdfast.activities.notify import NotifyActivities
from holdfast.activities.recorder import Recorder
from holdfast.activities.services import Services
from holdfast.contracts.common import Ending, RunRef
from holdfast.contracts.notify import Notified, NotifyInput
from holdfast.service.journal.journal import Journal
from holdfast.service.journal.records import RunRecord, VerdictRecord
from holdfast.service.notices.delivery import Delivery, addresses, deliver
from holdfast.service.notices.notice import Notice, NoticeEvent, notice_of_overdue, notice_of_run
from holdfast.service.notices.overdue import REMIND_AFTER_S, Watched, look, newest_good_backup
from holdfast.service.notices.ping import ping, ping_address
from holdfast.service.notices.repeats import is_news, streak
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import NoticeSettings
from holdfast.service.settings.passwords import PasswordBook
from holdfast.terms import RunKind, RunStatus
from tests.support.receiver import Receiver, receiving

HOUR_NS: Final = 3_600_000_000_000
NOW_NS: Final = 1_800_000_000_000_000_000
# apprise loads all its plugins, and one of them a module that Python 3.13 has no more
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
NO_PAUSES: Final = (0.0, 0.0)
RUN = RunRecord(
    run_id="backup:mars:home:documents/aaaa0001",
    kind=RunKind.BACKUP,
    status=RunStatus.FAILED,
    repository="home",
    source="documents",
    host="mars",
    started_ns=NOW_NS,
    ended_ns=NOW_NS + HOUR_NS,
    counters={"errors": 3, "shards": 2},
    reason="no earlier snapshot",
    failure_kind="StorageFullError",
    failure_message="no space left on <repository>\nMake room.",
)
NOTICE = Notice(event=NoticeEvent.FAILED, title="a title", body="a body")
DAMAGED = VerdictRecord(level="full", ok=False, problem_count=2, problems=("a path",))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


def test_what_a_notice_says() -> None:
    failed = notice_of_run(RUN, "documents")
    assert failed is not None
    assert failed.title == "Holdfast: backup of documents: failed"
    assert failed.body.splitlines()[:2] == [
        "Why: no space left on the repository (StorageFullError)",
        "Next: Make room. `holdfast resume aaaa0001`, or the next backup, goes on from what is stored.",
    ]
    assert "`holdfast run show aaaa0001`" in failed.body
    well = replace(RUN, failure_kind="", failure_message="")
    partial = notice_of_run(replace(well, status=RunStatus.PARTIAL), "documents")
    assert partial is not None
    assert partial.event is NoticeEvent.PARTIAL
    assert partial.body.startswith("Why: 3 paths could not be read\n")
    assert "Next: `holdfast run files aaaa0001 --action unreadable` lists them." in partial.body
    damaged = notice_of_run(replace(well, status=RunStatus.COMPLETE, verdict=DAMAGED), "documents")
    assert damaged is not None
    assert damaged.event is NoticeEvent.FAILED
    assert damaged.title.endswith("found damage")
    assert "a path" not in damaged.body
    for status in (RunStatus.COMPLETE, RunStatus.CANCELLED):
        assert notice_of_run(replace(well, status=status), "documents") is None
    overdue = notice_of_overdue(
        "documents", newest_ns=NOW_NS, max_age_s=93_600, now_ns=NOW_NS + 100 * HOUR_NS
    )
    assert "4.2 days old" in overdue.body
    assert "never be older than 26 h" in overdue.body


def test_the_same_failure_again_is_news_once_a_day() -> None:
    day_ns, told = REMIND_AFTER_S * 10**9, 0
    earlier: list[RunRecord] = []
    for number in range(60):
        run = replace(RUN, run_id=f"r/{number}", started_ns=NOW_NS + number * HOUR_NS)
        before = streak(run, earlier)
        assert len(before) == number
        told += is_news(run, before)
        earlier.insert(0, run)
    assert told == 1 + 60 * HOUR_NS // day_ns
    notice = notice_of_run(earlier[0], "documents", before=earlier[1:])
    assert notice is not None
    assert "It has failed so 60 times since 2027-01-15 08:00:00 UTC." in notice.body
    later = replace(RUN, started_ns=NOW_NS + 61 * HOUR_NS)
    stopped, well = (replace(RUN, status=one) for one in (RunStatus.CANCELLED, RunStatus.COMPLETE))
    assert len(streak(later, [stopped, *earlier])) == 60
    assert streak(later, [well, *earlier]) == []
    assert streak(replace(later, failure_kind="WrongPasswordError"), earlier) == []
    assert streak(replace(later, verdict=DAMAGED), earlier) == [], "damage is always news"


def test_an_address_that_fails_is_tried_again_alone(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.refusals = 2
    with receiving() as other, caplog.at_level(logging.WARNING, logger="holdfast.service"):
        urls = [receiver.notice_url, other.notice_url, "nonsense://secret", "json://user:secret@127.0.0.1:1/"]
        assert deliver(urls, NOTICE, pauses_s=NO_PAUSES) == Delivery(sent=2, failed=2)
        assert len(other.notices) == 1
    assert [(notice["title"], notice["type"]) for notice in receiver.notices] == [("a title", "failure")]
    told = [record.getMessage() for record in caplog.records if record.name.startswith("holdfast.service")]
    assert len(told) == 2
    assert not any("secret" in line for line in told)


def test_addresses_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("# people\n json://one \n\njson://two\n")
    settings = NoticeSettings(urls=("json://zero",), urls_file=file)
    assert addresses(settings) == ("json://zero", "json://one", "json://two")
    assert "zero" not in repr(settings)


def test_pings(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    assert ping_address("https://x/uuid/?rid=1", ok=False) == "https://x/uuid/fail?rid=1"
    assert ping(receiver.ping_url, ok=True, pauses_s=NO_PAUSES)
    receiver.refusals = 1
    assert ping(receiver.ping_url, ok=False, pauses_s=NO_PAUSES)
    assert receiver.pings == ["/ping", "/ping/fail", "/ping/fail"]
    receiver.refusals = 3
    with caplog.at_level(logging.WARNING, logger="holdfast"):
        assert not ping(receiver.ping_url, ok=True, pauses_s=NO_PAUSES)
    assert "HTTP 503" in caplog.text
    assert receiver.ping_url not in caplog.text


def test_the_newest_good_backup_is_of_this_host_and_undamaged(journal: Journal) -> None:
    good = replace(RUN, status=RunStatus.PARTIAL)
    others = [
        replace(RUN, status=RunStatus.COMPLETE, verdict=DAMAGED),
        replace(RUN, status=RunStatus.FAILED),
        replace(RUN, status=RunStatus.RUNNING),
        replace(good, host="venus"),
        replace(good, repository="elsewhere"),
        replace(good, kind=RunKind.RESTORE),
    ]
    for number, run in enumerate([good, *others]):
        journal.record(replace(run, run_id=f"r/{number}", started_ns=NOW_NS + number))
    assert newest_good_backup(journal, source="documents", repository="home", host="mars") == NOW_NS
    assert newest_good_backup(journal, source="etc", repository="home", host="mars") is None


def test_overdue_is_told_once_and_again_after_a_day() -> None:
    old = Watched(source="old", max_age_s=3600, newest_ns=NOW_NS - 2 * HOUR_NS)
    fresh = Watched(source="fresh", max_age_s=3600, newest_ns=NOW_NS)
    never = Watched(source="never", max_age_s=3600, newest_ns=None)
    first = look([old, fresh, never], told={}, seen={}, now_ns=NOW_NS)
    assert first.due == (old,)
    assert first.told == {"old": NOW_NS}
    later = NOW_NS + HOUR_NS + 1
    second = look([old, never], told=first.told, seen=first.seen, now_ns=later)
    assert second.due == (never,)  # since it was looked at first
    day = NOW_NS + REMIND_AFTER_S * 10**9
    third = look([old, never], told=second.told, seen=second.seen, now_ns=day)
    assert third.due == (old,)
    mended = replace(old, newest_ns=day)
    fourth = look([mended], told=third.told, seen=third.seen, now_ns=day)
    assert (fourth.due, fourth.told, fourth.seen) == ((), {}, {"old": NOW_NS})


@pytest.mark.parametrize(
    ("status", "verdict", "pings", "types"),
    [
        (RunStatus.COMPLETE, None, ["/ping"], []),
        (RunStatus.PARTIAL, None, ["/ping"], ["warning"]),
        (RunStatus.FAILED, None, ["/ping/fail"], ["failure"]),
        (RunStatus.COMPLETE, DAMAGED, ["/ping/fail"], ["failure"]),
        (RunStatus.CANCELLED, None, [], []),
    ],
)
async def test_the_end_of_a_run_is_told_as_the_settings_say(
    tmp_path: Path,
    receiver: Receiver,
    status: RunStatus,
    verdict: VerdictRecord | None,
    pings: list[str],
    types: list[str],
) -> None:
    told = await told_by_activity(tmp_path, receiver, replace(RUN, status=status, verdict=verdict))
    assert receiver.pings == pings
    assert [notice["type"] for notice in receiver.notices] == types
    assert told == Notified(sent=len(types), pinged=bool(pings))


async def test_a_run_that_the_journal_does_not_know_is_told_as_its_workflow_says(
    tmp_path: Path, receiver: Receiver
) -> None:
    await told_by_activity(tmp_path, receiver, None)
    assert receiver.pings == ["/ping/fail"]
    (notice,) = receiver.notices
    assert "WrongPasswordError" in str(notice["message"])


async def told_by_activity(tmp_path: Path, receiver: Receiver, run: RunRecord | None) -> Notified:
    file = tmp_path / "holdfast.toml"
    file.write_text(
        f"""
        state_dir = "{tmp_path}"
        repositories.home.location = "{tmp_path}/repository"
        notices.urls = ["{receiver.notice_url}"]
        [sources.documents]
        repository = "home"
        paths = ["{tmp_path}"]
        ping_url = "{receiver.ping_url}"
        """
    )
    settings = load_settings(file, {})
    journal = Journal.at(settings.journal_path)
    if run is not None:
        journal.record(run)
    services = Services(
        settings=settings,
        passwords=PasswordBook(),
        journal=Recorder(journal),
        username="me",
        environ={},
    )
    message = NotifyInput(
        run=RunRef(run_id=RUN.run_id, repository="home", source="documents"),
        kind=RunKind.BACKUP,
        ending=Ending(status=RunStatus.FAILED, ended_ns=0, failure_kind="WrongPasswordError"),
    )
    with ThreadPoolExecutor(1) as executor:
        return await ActivityEnvironment().run(NotifyActivities(services, executor).notify, message)
