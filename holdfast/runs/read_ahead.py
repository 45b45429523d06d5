"""Documents of a run read one after the other, while the next ones are on their way.

Where a request takes time, as many are under way as the storage wants at once (`Traits.requests`): 10,000 results at
40 ms each would be minutes else. Where it takes none, in a directory of this host, threads would cost more than they
bring, and there are none. What is read ahead and not yet asked for stays below READ_AHEAD_BYTES, or is one document.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from holdfast.repository.sealed_folder import SealedFolder

READ_AHEAD_BYTES: Final = 32 * 1024 * 1024
_FIRST: Final = 4
"""So many documents are asked for before the size of any is known."""


def read_ahead(
    folder: SealedFolder, names: Iterable[str], *, streams: int = 1, limit_bytes: int = READ_AHEAD_BYTES
) -> Iterator[bytes | None]:
    """The documents of these names, in their order; None for one that is not there.

    `names` are taken as they are needed, and in the caller's thread. streams: how many such readings go on beside each
    other; they share what the storage takes at once, and the limit.

    Raises:
        CorruptFileError, StorageUnavailableError and the like: at the place of the document that it is about.
    """
    traits = folder.traits
    if not traits.latency_s:
        yield from map(folder.get, names)
        return
    left = iter(names)
    reading: deque[Future[bytes | None]] = deque()
    most = max(1, traits.requests // streams)
    window, largest = min(_FIRST, most), 1
    with ThreadPoolExecutor(most, thread_name_prefix="read-ahead") as pool:
        try:
            while True:
                while len(reading) < window and (name := next(left, None)) is not None:
                    reading.append(pool.submit(folder.get, name))
                if not reading:
                    return
                data = reading.popleft().result()
                largest = max(largest, len(data or b""))
                window = max(1, min(most, limit_bytes // streams // largest))
                yield data
        finally:
            for future in reading:
                future.cancel()
