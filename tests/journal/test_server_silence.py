"""A service tells once of each silence of the server that lasts."""

import asyncio
from collections.abc import Iterator

import pytest

from holdfast.service.notices.notice import Notice, NoticeEvent
from holdfast.starter.daemon.server_silence import watch


class OverError(Exception):
    """The script of answers is at its end."""


async def test_each_silence_that_lasts_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, script, told = 0.0, iter("+--+-----+----"), list[tuple[float, Notice]]()

    async def answers(script: Iterator[str] = script) -> bool:
        try:
            return next(script) == "+"
        except StopIteration:
            raise OverError from None

    async def send(notice: Notice) -> None:
        told.append((now_s, notice))

    async def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    monkeypatch.setattr(asyncio, "sleep", sleep)
    monkeypatch.setattr("time.time_ns", lambda: round((1 + now_s) * 10**9))
    with pytest.raises(OverError):
        await watch("mars", answers, send, after_s=120, every_s=60)
    assert [moment for moment, _ in told] == [6 * 60, 12 * 60]
    notice = told[0][1]
    assert notice.event is NoticeEvent.WAITING
    assert notice.title == "Holdfast: the server of mars is away"
    assert "since 1970-01-01 00:04:01 UTC" in notice.body
    assert "No schedule starts anything meanwhile" in notice.body
