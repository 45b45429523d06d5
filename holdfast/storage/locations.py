"""From a location as people write it to a storage."""

from holdfast.storage.contract import Storage


def open_storage(location: str) -> Storage:
    """The storage at a location: a path, or `local:` and a path.

    Raises:
        UsageError: the location is empty, or of a kind that this program does not know.
    """
    raise NotImplementedError
