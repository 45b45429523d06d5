"""Errors of obstore as errors of this program: by status and code, which are all that is taken from its messages.

obstore raises a class for each kind of answer, with a text for developers: the URL, the time it took, the body of the
answer, and all of it once more in Rust's notation. The URL may hold a token and the body a key id, so nothing of the
text is handed on but the status, the code (`SlowDown`), and which of the known words for a broken connection it has.

What an answer means is the same for all stores but for the names of codes:
S3 https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
Azure https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes,
Google https://cloud.google.com/storage/docs/xml-api/reference-status.
"""

import re
from dataclasses import dataclass
from typing import Final

from holdfast.errors import (
    CorruptFileError,
    HoldfastError,
    StorageDeniedError,
    StorageFullError,
    StorageUnavailableError,
    StoredFileMissingError,
)

_STATUS: Final = re.compile(r" - Server returned non-2xx status code: (\d{3})")
_BROKEN_ANSWER: Final = " - Server returned error response: "
"""A status of success, and a body that tells of an error: S3 does that."""
_CODES: Final = (
    re.compile(r"<Code>\s*([A-Za-z0-9]{1,64})\s*</Code>"),
    re.compile(r'"(?:code|reason)"\s*:\s*"([A-Za-z0-9]{1,64})"'),
    re.compile(r"\(code: ([A-Za-z0-9]{1,64})\)"),
)
_DEBUG: Final = "\n\nDebug source:"
_ROLES: Final = ("169.254.169.254", "169.254.170.", "metadata.google.internal", "fd00:ec2::254")
"""Where instances and pods ask for their role's credentials."""

_NO_BUCKET: Final = frozenset(
    {"NoSuchBucket", "ContainerNotFound", "InvalidBucketName", "ContainerBeingDeleted"}
)
_FULL: Final = frozenset(
    {"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "StorageFull", "InsufficientCapacity"}
)
_EXPIRED: Final = frozenset({"ExpiredToken", "TokenRefreshRequired", "ExpiredAuthenticationToken"})
_REFUSED: Final = frozenset(
    {"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "AuthenticationFailed", "InvalidSecurity"}
)
_PASSING: Final = frozenset(
    {
        "BadDigest",
        "ConditionalRequestConflict",
        "ContentSHA256Mismatch",
        "IncompleteBody",
        "InternalError",
        "Md5Mismatch",
        "OperationAborted",
        "OperationTimedOut",
        "RequestTimeout",
        "ServerBusy",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "rateLimitExceeded",
        "userRateLimitExceeded",
        "XAmzContentSHA256Mismatch",
    }
)
"""Whatever their status: the request was damaged on its way, met another one, or came at a bad time."""
_WRONG_REGION: Final = frozenset(
    {"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"}
)
_TRANSPORT: Final = (
    ("InvalidCertificate", "its certificate is not trusted"),
    ("dns error", "its name cannot be resolved"),
    ("ConnectionRefused", "nothing answers there"),
    ("TimedOut", "it did not answer in time"),
    ("ConnectionReset", "the connection was reset"),
    ("error decoding response body", "its answer broke off"),
    ("IncompleteMessage", "its answer broke off"),
)
"""Words of Rust's notation, the most telling first, and what they mean."""
_NO_RANGES: Final = "non-partial response when range requested"
_NO_ROLE: Final = "no credentials were given, and the instance has no role"

_HINT_CREDENTIALS: Final = (
    "Look at the credentials of this repository: are they those of this store, and whole?"
)
_HINT_UNAVAILABLE: Final = "It is tried again; look whether the store can be reached from this host."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a store said, or why it said nothing. status: None when no answer came. reason: what became of it then."""

    status: int | None = None
    code: str = ""
    reason: str = ""
    from_role: bool = False

    @property
    def no_bucket(self) -> bool:
        """Whether it is the whole bucket that is missing."""
        return self.code in _NO_BUCKET

    @property
    def refuses_credentials(self) -> bool:
        """Whether others may help: who sent this is not known, or not any more."""
        return self.status == 401 or self.code in _EXPIRED | _REFUSED

    @property
    def cannot(self) -> bool:
        """Whether the server does not know the request at all."""
        return self.status in {405, 501} or self.code in {"NotImplemented", "MalformedXML"}

    def __str__(self) -> str:
        if self.status is None:
            return self.reason
        return f"the store answered {self.status} {self.code}".rstrip()


def answer_in(error: Exception) -> Answer:
    """What stands in an error of obstore."""
    head, _, debug = str(error).partition(_DEBUG)
    from_role = any(address in head for address in _ROLES)
    found = _STATUS.search(head)
    body = head[found.end() :] if found else head
    code = next((match[1] for pattern in _CODES if (match := pattern.search(body))), "")
    if found:
        return Answer(status=int(found[1]), code=code, from_role=from_role)
    if _BROKEN_ANSWER in head:
        return Answer(status=500, code=code, from_role=from_role)
    if code:  # one file of many, in an answer that was one of success
        return Answer(status=403 if code == "AccessDenied" else 400, code=code)
    if _NO_RANGES in head:
        return Answer(status=501, code="NoRanges")
    if "redirect" in head:
        return Answer(status=301, code="PermanentRedirect")
    reason = next(
        (words for word, words in _TRANSPORT if word in debug or word in head), "the connection broke"
    )
    return Answer(reason=reason, from_role=from_role)


def translate(answer: Answer, what: str, *, worked: bool) -> HoldfastError:
    """The HoldfastError for an answer about `what`. worked: the store has answered as it should before, so the lack of
    a role's credentials is a passing one."""
    message = f"{what}: {answer}"
    status, code = answer.status, answer.code
    if answer.from_role:
        if worked:
            return StorageUnavailableError(
                f"{what}: the role's credentials cannot be had", hint=_HINT_UNAVAILABLE
            )
        return StorageDeniedError(f"{what}: {_NO_ROLE}", hint=_HINT_CREDENTIALS)
    if code in _NO_BUCKET:
        return StorageDeniedError(
            f"{what}: there is no such bucket",
            hint="Create it, or look at the location: none is made for you.",
        )
    if code in _FULL or status == 507:
        return StorageFullError(
            f"{message}: it is full", hint="Make room there; the run goes on from its last checkpoint."
        )
    if code in _EXPIRED:
        return StorageUnavailableError(
            f"{message}: the credentials have expired", hint="It goes on when their source has newer ones."
        )
    if code == "RequestTimeTooSkewed":
        return StorageUnavailableError(
            f"{message}: its clock and this host's differ", hint="Set this host's clock; requests are dated."
        )
    if status is None or status >= 500 or status in {408, 409, 425, 429} or code in _PASSING:
        return _passing_or_not(answer, what)
    return _refusal(answer, what)


def _passing_or_not(answer: Answer, what: str) -> HoldfastError:
    """What looks like a bad moment, and a few answers that only look so."""
    message = f"{what}: {answer}"
    if answer.reason == _TRANSPORT[0][1]:
        return StorageDeniedError(
            message, hint="Name the authority that signed it: RESTIC_CACERT is the path of its certificate."
        )
    if answer.code == "NoRanges":
        return StorageDeniedError(f"{what}: the store cannot read parts of files", hint="Use another store.")
    if answer.cannot:
        return StorageDeniedError(message, hint="The server does not know this request: use another store.")
    if "Immutable" in answer.code or "Lease" in answer.code or "Retention" in answer.code:
        return StorageDeniedError(message, hint="The file is protected: wait for the end of its retention.")
    return StorageUnavailableError(message, hint=_HINT_UNAVAILABLE)


def _refusal(answer: Answer, what: str) -> HoldfastError:
    """What is the same again until somebody changes something."""
    message = f"{what}: {answer}"
    if answer.status == 404:
        return StoredFileMissingError(f"{what}: there is no such file")
    if answer.status == 416:
        return CorruptFileError(
            f"{what}: it ends before what is needed",
            hint="The file was cut off; `restic check` tells what it held.",
        )
    if answer.code in _WRONG_REGION or answer.status in {301, 302, 307, 308}:
        return StorageDeniedError(
            message,
            hint="The bucket is in another region: name it (AWS_DEFAULT_REGION), or use its own host.",
        )
    if answer.refuses_credentials:
        return StorageDeniedError(message, hint=_HINT_CREDENTIALS)
    if answer.status == 403:
        return StorageDeniedError(
            message,
            hint="The credentials lack a permission: to read, write, list and delete; without that to list, "
            "the store says 403 of files that are not there.",
        )
    return StorageDeniedError(
        message, hint="Trying again promises nothing: look at the location and the server's log."
    )
