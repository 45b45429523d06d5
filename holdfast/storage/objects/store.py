"""An object store as storage: the contract, over any of obstore's stores.

A file is one object under the prefix, written by one PUT: whole or not there, durable with the answer, and nothing is
ever left over. `put_new` is a PUT with `If-None-Match: *`. docs/adr/0051-object-stores.md has the reasons for what is
not plain here.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError

from holdfast.errors import (
    HoldfastError,
    StorageDeniedError,
    StorageUnavailableError,
)
from holdfast.storage.answers import Answer, translate
from holdfast.storage.contract import Content, StoredFile, Traits, check_name, parts_of
from holdfast.storage.credentials import CredentialSource
from holdfast.storage.distant import DistantStorage
from holdfast.storage.objects.clients import Clients, Options
from holdfast.storage.objects.errors import answer_in

if TYPE_CHECKING:  # obstore's types exist for checkers only
    from obstore import GetResult
    from obstore.store import ObjectStore

_PAGE_FILES: Final = 1000
"""What a listing shows, and a removal takes, by one request."""
_CHUNK_BYTES: Final = 1024 * 1024
_TRAITS: Final = Traits(
    requests=32,
    transfers=4,
    range_bytes=8 * 1024 * 1024,
    gap_bytes=512 * 1024,
    latency_s=0.05,
)
"""Of a store that answers after some 50 ms and moves some 20 MB/s by each connection."""


class Place(Protocol):
    """Where an object store is, and how obstore reaches it: a class for each kind, beside this module."""

    @property
    def location(self) -> str:
        """As people write it; it never holds a secret."""
        ...

    def client(self, values: Mapping[str, str], options: Options) -> "ObjectStore":
        """A client that sees only what is under the prefix. Sends nothing.

        Raises:
            StorageDeniedError: the credentials make no sense.
        """
        ...


class ObjectStorage(DistantStorage):
    """The files at a place."""

    def __init__(self, place: Place, source: CredentialSource) -> None:
        super().__init__(place.location, _TRAITS)
        self._clients = Clients(place.client, source)
        self._worked = False
        self._one_by_one = False

    def put(self, name: str, data: Content) -> None:
        """See the contract."""
        parts = parts_of(data)
        with self._asking(check_name(name)):
            obstore.put(self._sending(parts), name, parts, use_multipart=False)

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract. An answer of 409 says only that two writers met; which file stands is asked then."""
        parts = parts_of(data)
        with self._asking(check_name(name)):
            try:
                obstore.put(self._sending(parts), name, parts, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                answer = answer_in(error)
                if answer.status == 409 and self.size_or_none(name) is None:
                    raise StorageUnavailableError(f"{self.location}: {name}: {answer}") from None
                return False
        return True

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        with self._asking(check_name(name)):
            found = self._within(name, limit_bytes)
            return found.bytes().to_bytes()

    def get_into(self, name: str, buffer: memoryview) -> int:
        """See the contract."""
        with self._asking(check_name(name)):
            found = self._within(name, len(buffer))
            size = found.meta["size"]
            self._fill(name, _pieces(found), buffer[:size])
            return size

    def _read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        end = offset + len(buffer)
        with self._asking(check_name(name)):
            found = obstore.get(self._clients.reading(), name, options={"range": (offset, end)})
            if found.range != (offset, end):
                raise self._too_short(name, found.range[1], end)
            self._fill(name, _pieces(found), buffer)

    def size_or_none(self, name: str) -> int | None:
        """See the contract. The answer to HEAD does not tell a missing file from a missing bucket: one byte is asked
        for then, because that answer has a body that does."""
        with self._asking(check_name(name)):
            client = self._clients.reading()
            try:
                return obstore.head(client, name)["size"]
            except FileNotFoundError:
                pass
            try:
                return obstore.get(client, name, options={"range": (0, 1)}).meta["size"]
            except FileNotFoundError as error:
                if answer_in(error).no_bucket:
                    raise
                return None

    def list(self, folder: str) -> Iterator[StoredFile]:
        """See the contract. A page that comes again shows that the store does not know where it was.

        Raises:
            StorageDeniedError: the listing goes round in circles.
        """
        prefix = check_name(folder) + "/"
        begins: set[str] = set()
        with self._asking(folder):
            for page in obstore.list(self._clients.listing(), prefix, chunk_size=_PAGE_FILES):
                if page and page[0]["path"] in begins:
                    raise StorageDeniedError(
                        f"{self.location}: {folder}: the listing shows the same page again",
                        hint="The store ignores where a listing is to go on; it cannot hold a repository.",
                    )
                begins.update(found["path"] for found in page[:1])
                for found in page:
                    # consoles make objects that stand for folders; they have the folder's own name
                    if found["path"].startswith(prefix):
                        modified_ns = int(found["last_modified"].timestamp() * 1e9)
                        yield StoredFile(found["path"], found["size"], modified_ns)

    def delete(self, name: str) -> None:
        """See the contract."""
        with self._asking(check_name(name)):
            try:
                obstore.delete(self._clients.reading(), name)
            except FileNotFoundError as error:
                if answer_in(error).no_bucket:
                    raise

    def delete_many(self, names: Iterable[str]) -> None:
        """See the contract. One request for a thousand files; where that is not known, or one of them is gone already
        and the store minds, one request for each."""
        pending = map(check_name, names)
        while not self._one_by_one and (batch := list(islice(pending, _PAGE_FILES))):
            if not self._removed_at_once(batch):
                self._delete_each(batch)
        self._delete_each(pending)

    def delete_folder(self, folder: str) -> None:
        """See the contract."""
        listing = self.list(folder)
        while batch := [stored.name for stored in islice(listing, _PAGE_FILES)]:
            self.delete_many(batch)

    def close(self) -> None:
        """See the contract."""
        self._clients.close()

    def _sending(self, parts: Sequence[memoryview]) -> "ObjectStore":
        return self._clients.sending(sum(part.nbytes for part in parts))

    def _within(self, name: str, limit_bytes: int) -> "GetResult":
        """The answer to a request for the whole file, of which nothing was read yet."""
        found = obstore.get(self._clients.reading(), name)
        self._check_size(name, found.meta["size"], limit_bytes)
        return found

    def _removed_at_once(self, names: Sequence[str]) -> bool:
        """Whether one request removed them all; False when they have to be removed one by one."""
        with self._asking(names[0]):
            try:
                obstore.delete(self._clients.removing(), names)
            except (BaseError, OSError) as error:
                answer = answer_in(error)
                self._one_by_one = self._one_by_one or answer.cannot
                if not answer.cannot and (answer.no_bucket or not isinstance(error, FileNotFoundError)):
                    raise
                return False
            return True

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        """Turn what obstore raises into our errors. Its own text holds URLs and is not even kept as their cause."""
        try:
            yield
        except (BaseError, OSError) as error:
            failure = self._failure(answer_in(error), name)
        else:
            self._worked = True
            return
        raise failure

    def _failure(self, answer: Answer, name: str) -> HoldfastError:
        if answer.refuses_credentials and self._clients.renew():
            return StorageUnavailableError(
                f"{self.location}: {name}: {answer}; there are newer credentials now"
            )
        return translate(answer, f"{self.location}: {name}", worked=self._worked)


def _pieces(found: "GetResult") -> Iterator[memoryview]:
    return (memoryview(chunk) for chunk in found.stream(min_chunk_size=_CHUNK_BYTES))
