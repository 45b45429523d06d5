"""What answers of stores mean: each status and code, and that no word of theirs is handed on."""

import pytest

from holdfast.errors import (
    CorruptFileError,
    HoldfastError,
    StorageDeniedError,
    StorageFullError,
    StorageUnavailableError,
    StoredFileMissingError,
)
from holdfast.storage.answers import parse_retry_after, translate
from holdfast.storage.objects.errors import answer_in
from holdfast.storage.objects.store import ObjectStorage
from tests.objects.opening import opened
from tests.support.proxy import Answer, Proxy
from tests.support.seaweed import KEY, SECRET, Seaweed

MEANINGS = [
    (400, "AuthorizationHeaderMalformed", StorageDeniedError),
    (400, "BadDigest", StorageUnavailableError),
    (400, "ExpiredToken", StorageUnavailableError),
    (400, "IncompleteBody", StorageUnavailableError),
    (400, "InvalidRequest", StorageDeniedError),
    (400, "RequestTimeout", StorageUnavailableError),
    (401, "", StorageDeniedError),
    (403, "AccessDenied", StorageDeniedError),
    (403, "InvalidAccessKeyId", StorageDeniedError),
    (403, "QuotaExceeded", StorageFullError),
    (403, "RequestTimeTooSkewed", StorageUnavailableError),
    (403, "SignatureDoesNotMatch", StorageDeniedError),
    (404, "NoSuchBucket", StorageDeniedError),
    (404, "NoSuchKey", StoredFileMissingError),
    (405, "MethodNotAllowed", StorageDeniedError),
    (408, "", StorageUnavailableError),
    (409, "BlobImmutableDueToPolicy", StorageDeniedError),
    (409, "OperationAborted", StorageUnavailableError),
    (416, "InvalidRange", CorruptFileError),
    (429, "TooManyRequests", StorageUnavailableError),
    (500, "InternalError", StorageUnavailableError),
    (501, "NotImplemented", StorageDeniedError),
    (503, "SlowDown", StorageUnavailableError),
    (507, "InsufficientStorage", StorageFullError),
    (507, "", StorageFullError),
]


@pytest.mark.parametrize(("status", "code", "expected"), MEANINGS)
def test_each_answer_has_one_meaning(
    between: ObjectStorage, proxy: Proxy, status: int, code: str, expected: type[HoldfastError]
) -> None:
    between.put("a/b", b"0123456789")
    for ask in (
        lambda: between.get("a/b", limit_bytes=100),
        lambda: between.get_into("a/b", memoryview(bytearray(10))),
        lambda: between.get_range("a/b", 2, 3),
    ):
        with proxy.meeting(Answer(status, code)), pytest.raises(expected) as caught:
            ask()
        assert type(caught.value) is expected
        assert_tells_nothing(caught.value)
    if status not in {404, 416}:
        with proxy.meeting(Answer(status, code), method="PUT"), pytest.raises(expected) as caught:
            between.put("a/c", b"1")
        assert_tells_nothing(caught.value)
    if status != 409 and (status, code) != (404, "NoSuchKey"):
        with proxy.meeting(Answer(status, code), each=True), pytest.raises(HoldfastError) as caught:
            [*between.list("a")]
        assert_tells_nothing(caught.value)


def assert_tells_nothing(error: HoldfastError) -> None:
    """The message names the file and perhaps status and code, and nothing else of what was asked and answered."""
    text = f"{error!r} {error} {error.__cause__!r}"
    for secret in (KEY, SECRET, "canary", "Signature=", "<Error>", "Debug", "="):
        assert secret not in text
    assert error.__cause__ is None


def test_an_answer_about_a_directory_says_where_it_was(between: ObjectStorage, proxy: Proxy) -> None:
    with proxy.meeting(Answer(503, "SlowDown")), pytest.raises(StorageUnavailableError) as caught:
        between.put("data/00/pack", b"1")
    assert caught.value.message == f"{between.location}: data/00/pack: the store answered 503 SlowDown"


def test_a_missing_file_is_missing_only_by_name(between: ObjectStorage, proxy: Proxy) -> None:
    """HEAD says 404 of a file that is there: the question that can be answered decides."""
    between.put("a/b", b"0123456789")
    with proxy.meeting(Answer(404), method="HEAD"):
        assert between.size_or_none("a/b") == 10
    assert between.size_or_none("a/none") is None
    assert proxy.requests["HEAD", "a"] == 2
    assert proxy.requests["GET", "a"] == 2


def test_the_wrong_secret_is_told_and_not_shown(seaweed: Seaweed, prefix: str) -> None:
    wrong = opened(
        seaweed.location(prefix), {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": "canary-wrong"}
    )
    for ask in (
        lambda: wrong.put("a/b", b"1"),
        lambda: wrong.get("a/b", limit_bytes=1),
        lambda: [*wrong.list("a")],
        lambda: wrong.delete_many(["a/b", "a/c"]),
    ):
        with pytest.raises(StorageDeniedError, match="403 SignatureDoesNotMatch") as caught:
            ask()
        assert "canary" not in f"{caught.value!r} {caught.value}"


GET = "Error performing GET http://h/b in 1ms"
NO_ANSWER = f"{GET} - HTTP error: error sending request"
DEBUG = "\n\nDebug source:\n"
STATUS = " - Server returned non-2xx status code: "
LIMIT = '{"error": {"code": 403, "reason": "rateLimitExceeded"}}'
BODY = " - Server returned error response: <Error><Code>SlowDown</Code></Error>"
ROLE = (
    "Error performing PUT http://169.254.169.254/latest/api/token in 1s - HTTP error: error sending request"
)
WORDS = [
    (
        f"{NO_ANSWER}{DEBUG}InvalidCertificate(UnknownIssuer)",
        StorageDeniedError,
        "certificate is not trusted",
    ),
    (f"{NO_ANSWER}{DEBUG}dns error", StorageUnavailableError, "name cannot be resolved"),
    (f"{GET} - HTTP error: timed out{DEBUG}TimedOut", StorageUnavailableError, "not answer in time"),
    ("something that no release has said yet", StorageUnavailableError, "the connection broke"),
    (f"Generic S3 error: {ROLE}", StorageDeniedError, "no credentials were given"),
    (f"{GET}{BODY}", StorageUnavailableError, "500 SlowDown"),
    (f"{GET}{STATUS}403 Forbidden: {LIMIT}", StorageUnavailableError, "403 rateLimitExceeded"),
]


@pytest.mark.parametrize(("text", "expected", "message"), WORDS)
def test_what_obstore_says_without_a_status(text: str, expected: type[HoldfastError], message: str) -> None:
    translated = translate(answer_in(Exception(text)), "s3:there: a/b", worked=False)
    assert type(translated) is expected
    assert message in translated.message
    assert "http" not in str(translated)


def test_a_role_that_cannot_be_had_is_a_passing_lack_where_it_was_had_before() -> None:
    answer = answer_in(Exception("Error performing GET http://169.254.169.254/x in 1s - HTTP error: dead"))
    assert type(translate(answer, "s3:there", worked=True)) is StorageUnavailableError


@pytest.mark.parametrize(
    ("value", "wanted_s"),
    [
        *(("0", 0), ("7", 7), ("86400", 3600), ("Thu, 01 Jan 1970 00:20:00 GMT", 200)),
        *(("Thu, 01 Jan 1970 00:00:00 GMT", 0), ("Fri, 31 Dec 9999 23:59:59 GMT", 3600)),
        *(("", 0), ("soon", 0), ("-5", 0), ("1.5", 0), ("9" * 400, 3600), ("\u00b2", 0)),
    ],
)
def test_for_how_long_a_server_asks_to_be_left_alone(value: str, wanted_s: float) -> None:
    assert parse_retry_after(value, now_s=1000.0) == wanted_s
