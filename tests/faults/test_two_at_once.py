"""Two backups of one source into one repository, in two processes at the same time, one of them killed: row 25."""

import time
from concurrent.futures import ThreadPoolExecutor

from tests.support.engine_process import backup
from tests.support.faults import KILL, Injection, Place, assert_sound, engine, faulty_engine, misnamed


def test_two_backups_at_once(place: Place, template: Place) -> None:
    arguments = [("backup", place.repository, template.source, run) for run in ("one", "other")]
    with ThreadPoolExecutor() as threads:
        ended = list(threads.map(lambda words: engine(*words), arguments))
    assert [one.answer["errors"] for one in ended] == [0, 0]
    assert_sound(place.repository, snapshots=3)


def test_one_is_killed_beside_the_other(place: Place, template: Place) -> None:
    slow = [
        Injection(call="fsync", what="delay_enter=20000", when="1+"),
        Injection(call="link", what=KILL, when="4"),
    ]
    with ThreadPoolExecutor() as threads:
        killed = threads.submit(
            faulty_engine, "backup", place.repository, template.source, log=place.log, faults=slow
        )
        while not place.log.exists():
            time.sleep(0.01)
        whole = threads.submit(engine, "backup", place.repository, template.source, "other")
        assert killed.result().killed
        assert whole.result().answer["errors"] == 0
    assert misnamed(place.repository) == []
    assert_sound(place.repository, snapshots=2)
    assert backup(place.repository, template.source)["errors"] == 0
    assert_sound(place.repository, snapshots=3)
