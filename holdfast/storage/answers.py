"""What a server at a distance answered, and what that means: a status, a code, or that no answer came.

What an answer means is the same for all of them but for the names of codes:
S3 https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html,
Azure https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes,
Google https://cloud.google.com/storage/docs/xml-api/reference-status,
restic's REST servers, which have no codes, https://restic.readthedocs.io/en/stable/REST_backend.html.
"""

from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from holdfast.errors import (
    CorruptFileError,
    HoldfastError,
    StorageDeniedError,
    StorageFullError,
    StorageUnavailableError,
    StoredFileMissingError,
)

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
NOT_TRUSTED: Final = "its certificate is not trusted"
NO_RANGES: Final = "NoRanges"
"""A code of our own: the server sent a whole file where a part was asked for."""
_LONGEST_WAIT_S: Final = 3600.0
_NO_ROLE: Final = "no credentials were given, and the instance has no role"

_HINT_CREDENTIALS: Final = (
    "Look at the credentials of this repository: are they those of this store, and whole?"
)
_HINT_NONE: Final = "Set restic's variables (AWS_ACCESS_KEY_ID and the like), or name a credentials_file."
_HINT_UNAVAILABLE: Final = "It is tried again; look whether the store can be reached from this host."


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a store said, or why it said nothing. status: None when no answer came. reason: what became of it then.

    retry_after_s: for how long it asks to be left alone.
    """

    status: int | None = None
    code: str = ""
    reason: str = ""
    from_role: bool = False
    retry_after_s: float = 0.0

    @property
    def no_bucket(self) -> bool:
        """Whether it is the whole bucket that is missing."""
        return self.code in _NO_BUCKET

    @property
    def refuses_credentials(self) -> bool:
        """Whether others may help: who sent this is not known, or no longer."""
        return self.status == 401 or self.code in _EXPIRED | _REFUSED

    @property
    def cannot(self) -> bool:
        """Whether the server does not know the request at all."""
        return self.status in {405, 501} or self.code in {"NotImplemented", "MalformedXML"}

    def __str__(self) -> str:
        if self.status is None:
            return self.reason
        said = f"the store answered {self.status} {self.code}".rstrip()
        return (
            f"{said}, and asks to be left alone for {self.retry_after_s:.0f} s"
            if self.retry_after_s
            else said
        )


def parse_retry_after(value: str, now_s: float) -> float:
    """The seconds that a Retry-After asks for (RFC 9110, 10.2.3: a number, or a date); 0 where it makes no sense, and
    an hour at most: by then a try is worth its request. now_s: since 1970."""
    try:
        wanted_s = float(value) if value.isdigit() else parsedate_to_datetime(value).timestamp() - now_s
    except (ValueError, OverflowError):
        return 0.0
    return min(max(wanted_s, 0.0), _LONGEST_WAIT_S)


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
        return StorageDeniedError(f"{what}: {_NO_ROLE}", hint=_HINT_NONE)
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
    if answer.reason == NOT_TRUSTED:
        return StorageDeniedError(
            message, hint="Name the authority that signed it: RESTIC_CACERT is the path of its certificate."
        )
    if answer.code == NO_RANGES:
        return StorageDeniedError(f"{what}: the store cannot read parts of files", hint="Use another store.")
    if answer.cannot:
        return StorageDeniedError(message, hint="The server does not know this request: use another store.")
    if "Immutable" in answer.code or "Lease" in answer.code or "Retention" in answer.code:
        return StorageDeniedError(message, hint="The file is protected: wait for the end of its retention.")
    return StorageUnavailableError(message, hint=_HINT_UNAVAILABLE, retry_after_s=answer.retry_after_s)


def _refusal(answer: Answer, what: str) -> HoldfastError:
    """What is the same again until something is changed."""
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
