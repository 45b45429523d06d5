"""Small requests are sent many at once, as many as the storage takes best."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from holdfast.storage.contract import Storage

ItemT = TypeVar("ItemT")
AnswerT = TypeVar("AnswerT")
FirstT = TypeVar("FirstT")
SecondT = TypeVar("SecondT")


def ask_all(storage: Storage, ask: Callable[[ItemT], AnswerT], items: Iterable[ItemT]) -> list[AnswerT]:
    """The answers about all items, in order. Raises the first error; what was not asked yet is left out then.

    A few questions to a place that answers at once are asked one by one: threads would take longer to begin.
    """
    wanted = list(items)
    traits = storage.traits
    threads = min(traits.requests, len(wanted))
    if threads < 2 or (not traits.latency_s and len(wanted) <= traits.requests):
        return [ask(item) for item in wanted]
    with ThreadPoolExecutor(threads, thread_name_prefix="requests") as pool:
        return list(pool.map(ask, wanted))


def ask_both(
    storage: Storage, first: Callable[[], FirstT], second: Callable[[], SecondT]
) -> tuple[FirstT, SecondT]:
    """Two answers, asked for at once where asking takes time."""
    if not storage.traits.latency_s:
        return first(), second()
    with ThreadPoolExecutor(1, thread_name_prefix="requests") as pool:
        asked = pool.submit(first)
        answer = second()
        return asked.result(), answer
