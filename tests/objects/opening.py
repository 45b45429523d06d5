"""How tests open an object store."""

from collections.abc import Mapping

from holdfast.storage.credentials import CredentialSource, fixed
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.locations import open_storage
from holdfast.storage.objects.store import ObjectStorage


def opened(location: str, credentials: Mapping[str, str] | CredentialSource) -> ObjectStorage:
    """The storage below the retries."""
    source = credentials if callable(credentials) else fixed(credentials)
    layered = open_storage(location, source)
    assert isinstance(layered, Retrying)
    assert isinstance(layered.below, ObjectStorage)
    return layered.below
