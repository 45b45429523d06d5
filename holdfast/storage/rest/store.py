"""A restic REST server as storage.

The protocol (https://restic.readthedocs.io/en/stable/REST_backend.html) knows restic's names and no others, and no
request that creates a file only if there is none. So it holds a repository, whose files have the hash of their content
as their name, and no documents of runs: those lie in a companion. Servers differ in what they do with a name that is
taken: rest-server and rclone with --append-only refuse it, rclone alone replaces the file. Both are as good for a name
that only one content can have: a refusal is success where the same content stands there.
"""

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, Protocol

from urllib3 import BaseHTTPResponse

from holdfast.errors import (
    HoldfastError,
    StorageDeniedError,
    StorageUnavailableError,
    StoredFileMissingError,
)
from holdfast.storage.answers import NO_RANGES, Answer, parse_retry_after, translate
from holdfast.storage.contract import Content, StoredFile, Traits, check_name, parts_of
from holdfast.storage.credentials import CredentialSource, HeldCredentials
from holdfast.storage.distant import DistantStorage
from holdfast.storage.rest.connections import FAILURES, Connections, answer_to
from holdfast.storage.rest.place import RestPlace

_TRAITS: Final = Traits(
    requests=16,
    transfers=4,
    range_bytes=8 * 1024 * 1024,
    gap_bytes=512 * 1024,
    latency_s=0.05,
    creates_only=False,
    replaces=False,
    any_name=False,
)
_CHUNK_BYTES: Final = 256 * 1024
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


class Server(Protocol):
    """What serves a place: one that runs, or a child of this process (child.py)."""

    def ready(self, values: Mapping[str, str]) -> RestPlace:
        """Have it ready for requests with these credentials; where it is. Called before each request.

        Raises:
            StorageDeniedError, StorageUnavailableError: it cannot be had.
        """
        ...

    def close(self) -> None:
        """It is not needed for now."""
        ...


class RestStorage(DistantStorage):
    """A repository on a server."""

    def __init__(self, place: RestPlace, source: CredentialSource, *, server: Server | None = None) -> None:
        """server: of this place, where one has to be started; then only the location and the path count here."""
        super().__init__(place.location, _TRAITS)
        self._place = place
        self._server = server
        self._credentials = HeldCredentials(source)
        self._connections: Connections | None = None
        self._used: tuple[RestPlace, Mapping[str, str]] | None = None

    def put(self, name: str, data: Content) -> None:
        """See the contract; but what is there stays, and must be the same."""
        path, parts = self._path(name), parts_of(data)
        with self._asking(name):
            answer = self._post(path, parts)
            if answer.status == 404:  # no repository was ever made there
                self._post(f"{self._place.path}?create=true", ())
                answer = self._post(path, parts)
            if answer.status == 403 and self._holds(path, parts):
                return
            self._expect(name, answer)

    def put_new(self, name: str, data: Content) -> bool:
        """See the contract; but of two at the same time both may win (`Traits.creates_only`)."""
        if self.size_or_none(name) is not None:
            return False
        self.put(name, data)
        return True

    def get(self, name: str, *, limit_bytes: int) -> bytes:
        """See the contract."""
        with self._asking(name), self._whole(name, limit_bytes) as (answer, size):
            memory = bytearray(size)
            self._fill(name, answer.stream(_CHUNK_BYTES), memoryview(memory))
            return bytes(memory)

    def get_into(self, name: str, buffer: memoryview) -> int:
        """See the contract."""
        with self._asking(name), self._whole(name, len(buffer)) as (answer, size):
            self._fill(name, answer.stream(_CHUNK_BYTES), buffer[:size])
            return size

    def _read_into(self, name: str, offset: int, buffer: memoryview) -> None:
        """What the answer says of its range is believed, not its status alone."""
        end = offset + len(buffer)
        with self._asking(name):
            answer = self._ask("GET", self._path(name), span=(offset, end))
            with _finished(answer):
                self._expect(name, _told(answer), also=206)
                if answer.status == 200:
                    raise translate(Answer(status=501, code=NO_RANGES), self._what(name), worked=True)
                found = _CONTENT_RANGE.match(answer.headers.get("Content-Range", ""))
                if found is None or (int(found[1]), int(found[2]) + 1) != (offset, end):
                    raise self._too_short(name, int(found[3]) if found else 0, end)
                self._fill(name, answer.stream(_CHUNK_BYTES), buffer)

    def size_or_none(self, name: str) -> int | None:
        """See the contract."""
        path = self._place.file(check_name(name))
        if path is None:
            return None
        with self._asking(name):
            answer = self._ask("HEAD", path)
            with _finished(answer):
                if answer.status == 404:
                    return None
                self._expect(name, _told(answer))
                return self._length(name, answer)

    def list(self, folder: str) -> Iterator[StoredFile]:
        """See the contract. The protocol tells no times: what is listed counts as just written, which is never too
        old for anything."""
        path = self._place.folder(check_name(folder))
        if path is None:
            return
        listed_ns = time.time_ns()
        for file, size in self._listed(folder, path):
            name = self._place.name(folder, file)
            if name.startswith(f"{folder}/"):
                yield StoredFile(name, size, listed_ns)

    def delete(self, name: str) -> None:
        """See the contract."""
        path = self._place.file(check_name(name))
        if path is None:
            return
        with self._asking(name):
            answer = self._ask("DELETE", path)
            with _finished(answer):
                if answer.status != 404:
                    self._expect(name, _told(answer))

    def delete_many(self, names: Iterable[str]) -> None:
        """See the contract. The protocol has a request for each."""
        self._delete_each(names)

    def delete_folder(self, folder: str) -> None:
        """See the contract."""
        self.delete_many([stored.name for stored in self.list(folder)])

    def close(self) -> None:
        """See the contract."""
        if self._connections is not None:
            self._connections.close()
        if self._server is not None:
            self._server.close()
        self._credentials.forget()
        self._connections = None

    def _path(self, name: str) -> str:
        path = self._place.file(check_name(name))
        if path is None:
            raise StoredFileMissingError(f"{self._what(name)}: the server knows restic's names and no others")
        return path

    def _ask(
        self,
        method: str,
        path: str,
        *,
        body: Sequence[memoryview] | None = None,
        span: tuple[int, int] | None = None,
    ) -> BaseHTTPResponse:
        values = self._credentials.current()
        place = self._place if self._server is None else self._server.ready(values)
        connections = self._connections
        if connections is None or self._used != (place, values):
            connections = self._connections = Connections(place, values, self.traits.requests)
            self._used = (place, values)
        return connections.ask(method, path, body=body, span=span)

    def _post(self, path: str, parts: Sequence[memoryview]) -> Answer:
        answer = self._ask("POST", path, body=parts)
        with _finished(answer):
            return _told(answer)

    def _holds(self, path: str, parts: Sequence[memoryview]) -> bool:
        """Whether exactly this content stands there."""
        content = b"".join(parts)
        answer = self._ask("GET", path)
        with _finished(answer):
            return answer.status == 200 and answer.read() == content

    @contextmanager
    def _whole(self, name: str, limit_bytes: int) -> Iterator[tuple[BaseHTTPResponse, int]]:
        answer = self._ask("GET", self._path(name))
        with _finished(answer):
            self._expect(name, _told(answer))
            size = self._length(name, answer)
            self._check_size(name, size, limit_bytes)
            yield answer, size

    def _listed(self, folder: str, path: str) -> Iterator[tuple[str, int]]:
        with self._asking(folder):
            answer = self._ask("GET", path)
            with _finished(answer):
                if answer.status == 404:
                    # rclone says it of errors of its own as well, and never of folders
                    if answer.headers.get("Server", "").startswith("rclone/"):
                        raise StorageUnavailableError(f"{self._what(folder)}: the server cannot list it")
                    return
                self._expect(folder, _told(answer))
                document = answer.read()
        try:
            files: object = json.loads(document)
            if not isinstance(files, list):
                raise TypeError(folder)
            found = [(str(file["name"]), int(file["size"])) for file in files]
        except (ValueError, TypeError, KeyError):
            raise StorageDeniedError(
                f"{self._what(folder)}: the server's listing is none of version 2 of restic's protocol",
                hint="Look at the location: is it the repository's, and of a REST server?",
            ) from None
        yield from found

    def _length(self, name: str, answer: BaseHTTPResponse) -> int:
        length = answer.headers.get("Content-Length", "")
        if not length.isdigit():
            raise StorageUnavailableError(f"{self._what(name)}: the server does not say how long it is")
        return int(length)

    def _expect(self, name: str, answer: Answer, *, also: int = 200) -> None:
        if answer.status not in {200, also}:
            raise self._failure(answer, name)

    @contextmanager
    def _asking(self, name: str) -> Iterator[None]:
        """Turn what the client raises into our errors; its own text holds URLs."""
        try:
            yield
        except FAILURES as error:
            failure = self._failure(answer_to(error), name)
        else:
            return
        raise failure

    def _failure(self, answer: Answer, name: str) -> HoldfastError:
        try:
            if answer.refuses_credentials and self._credentials.renew():
                return StorageUnavailableError(
                    f"{self._what(name)}: {answer}; there are newer credentials now"
                )
        except StorageUnavailableError as error:
            return error
        if answer.status == 403:
            return StorageDeniedError(
                f"{self._what(name)}: {answer}",
                hint="The server takes no deletions and no other content for a name (append-only), or not from you.",
            )
        return translate(answer, self._what(name), worked=True)


def _told(answer: BaseHTTPResponse) -> Answer:
    """What an answer says before its body."""
    retry_after_s = parse_retry_after(answer.headers.get("Retry-After", ""), time.time())
    return Answer(status=answer.status, retry_after_s=retry_after_s)


@contextmanager
def _finished(answer: BaseHTTPResponse) -> Iterator[None]:
    """Give the connection back where little of the answer is left to read, and end it otherwise."""
    try:
        yield
    finally:
        left = answer.length_remaining
        if left is not None and left <= _CHUNK_BYTES:
            answer.drain_conn()
            answer.release_conn()
        else:
            answer.close()
