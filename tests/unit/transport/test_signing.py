"""Signatures: what they cover, where they count, and what is said of others."""

import base64
import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import ActivitySerializationContext, DataConverter, WorkflowSerializationContext
from temporalio.exceptions import ActivityError, ApplicationError

from holdfast.contracts.control import Asked, Throttle, ThrottleRequest, ThrottleWindow
from holdfast.contracts.warrant import MALFORMED, UNTRUSTED, Stamped, Warrant
from holdfast.transport.client import protecting
from holdfast.transport.codec import TrustCodec
from holdfast.transport.keyring import Keyring
from holdfast.transport.places import Place, nowhere, place_of, workflow_place
from holdfast.transport.refusals import RefusedError
from holdfast.transport.sealing import Sealer
from holdfast.transport.signing import SIGNATURE, Signer

OLD = "old:" + base64.b64encode(bytes(range(32))).decode()
NEW = "new:" + base64.b64encode(bytes(range(1, 33))).decode()
HERE = workflow_place("default", "backup:h:r:s")
PAYLOAD = Payload(metadata={"encoding": b"json/plain", "other": b"x"}, data=b'{"by":"anna"}')
places = st.lists(st.text(max_size=8), min_size=1, max_size=5).map(tuple)


def signer(*lines: str) -> Signer:
    return Signer.parse("\n".join(lines).encode())


def activity(**changes: str | None) -> ActivitySerializationContext:
    context = ActivitySerializationContext(
        namespace="default",
        activity_id="run/1",
        activity_type="store_shard",
        activity_task_queue="q",
        workflow_id="backup:h:r:s",
        workflow_type="Backup",
        is_local=False,
    )
    return replace(context, **changes)  # type: ignore[arg-type]


@given(st.binary(), st.dictionaries(st.text(), st.binary()), places)
def test_what_is_signed_is_readable_and_opens_as_it_was(
    data: bytes, metadata: dict[str, bytes], place: Place
) -> None:
    metadata = {name: value for name, value in metadata.items() if not name.startswith("holdfast-")}
    payload = Payload(metadata=metadata, data=data)
    signed = signer(OLD).close(payload, place)
    assert signed.data == payload.data
    assert signer(OLD).open(signed, place) == payload


@given(places, places)
def test_it_counts_at_its_place_only(place: Place, other: Place) -> None:
    signed = signer(OLD).close(PAYLOAD, place)
    if place != other:
        with pytest.raises(RefusedError, match="another place"):
            signer(OLD).open(signed, other)


def test_no_bit_of_it_can_be_changed() -> None:
    signed = signer(OLD).close(PAYLOAD, HERE)
    for name in ["", *signed.metadata]:
        original = signed.metadata[name] if name else signed.data
        for position in range(8 * len(original)):
            changed = bytearray(original)
            changed[position // 8] ^= 1 << position % 8
            forged = Payload(metadata=signed.metadata, data=signed.data)
            if name:
                forged.metadata[name] = bytes(changed)
            else:
                forged.data = bytes(changed)
            with pytest.raises(RefusedError):
                signer(OLD).open(forged, HERE)


@given(st.dictionaries(st.text(), st.binary(), min_size=1))
def test_nothing_can_be_added_to_its_metadata_or_taken_out(metadata: dict[str, bytes]) -> None:
    signed = signer(OLD).close(PAYLOAD, HERE)
    forged = Payload(metadata={**signed.metadata, **metadata}, data=signed.data)
    if forged != signed:
        with pytest.raises(RefusedError):
            signer(OLD).open(forged, HERE)
    without = Payload(metadata=signed.metadata, data=signed.data)
    del without.metadata["other"]
    with pytest.raises(RefusedError):
        signer(OLD).open(without, HERE)


def test_names_and_values_do_not_run_into_each_other() -> None:
    one = signer(OLD).close(Payload(metadata={"ab": b"c"}, data=b"d"), HERE)
    for metadata, data in [({"a": b"bc"}, b"d"), ({"ab": b"cd"}, b""), ({"ab": b""}, b"cd")]:
        other = signer(OLD).close(Payload(metadata=metadata, data=data), HERE)
        assert other.metadata[SIGNATURE] != one.metadata[SIGNATURE]
    joined = signer(OLD).close(PAYLOAD, ("a", "bc"))
    assert joined.metadata[SIGNATURE] != signer(OLD).close(PAYLOAD, ("ab", "c")).metadata[SIGNATURE]


def test_the_first_key_signs_and_all_are_believed() -> None:
    by_old, by_new = signer(OLD).close(PAYLOAD, HERE), signer(NEW, OLD).close(PAYLOAD, HERE)
    assert signer(NEW, OLD).open(by_old, HERE) == signer(OLD, NEW).open(by_new, HERE) == PAYLOAD
    with pytest.raises(RefusedError, match="'new'"):
        signer(OLD).open(by_new, HERE)
    with pytest.raises(RefusedError, match="does not bear"):
        signer(OLD).open(PAYLOAD, HERE)
    assert OLD.partition(":")[2] not in repr(signer(OLD))


@pytest.mark.parametrize(
    "other",
    [
        activity(activity_id="run/2"),
        activity(activity_id="other/1"),
        activity(activity_id=None),
        activity(activity_type="restore_shard"),
        activity(workflow_id="backup:h:r:t"),
        activity(workflow_id=None),
        activity(namespace="other"),
        WorkflowSerializationContext(namespace="default", workflow_id="backup:h:r:s"),
    ],
)
def test_every_activity_has_a_place_of_its_own(
    other: ActivitySerializationContext | WorkflowSerializationContext,
) -> None:
    assert place_of(activity(), "default") != place_of(other, "default")
    assert place_of(other, "default") != nowhere("default")


def test_runs_of_a_schedule_share_its_place() -> None:
    assert workflow_place("n", "nightly-2026-11-29T03:00:00Z") == workflow_place("n", "nightly")
    for other in ("nightly-2026-11-29", "nightly-2026-11-29T03:00:00", "nightly-2026-11-29T03:00:00Z-x"):
        assert workflow_place("n", other) != workflow_place("n", "nightly")


def converters(*, accept_unsigned: bool = False) -> list[DataConverter]:
    protections = (signer(OLD), Sealer(keyring=Keyring.parse(OLD.encode())))
    place = WorkflowSerializationContext(namespace="default", workflow_id="backup:h:r:s")
    return [
        protecting(
            TrustCodec(protection=one, namespace="default", accept_unsigned=accept_unsigned)
        ).with_context(place)
        for one in protections
    ]


async def test_a_value_that_is_refused_fails_what_reads_it_and_nothing_else() -> None:
    for converter in converters():
        [refused] = await converter._decode_payload_sequence([PAYLOAD])
        with pytest.raises(ApplicationError) as raised:
            converter.payload_converter.from_payload(refused, Asked)
        assert raised.value.type == UNTRUSTED
        assert raised.value.non_retryable
        again = await converter._encode_payload_sequence([refused])
        with pytest.raises(ApplicationError):
            await converter.decode(again, [Asked])


async def test_during_a_migration_it_is_believed_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for converter in converters(accept_unsigned=True):
        assert await converter.decode([PAYLOAD], [Asked]) == [Asked(by="anna")]
        assert "accept_unsigned" in caplog.text
        caplog.clear()


async def test_a_warrant_comes_along_and_cannot_stand_in_the_data() -> None:
    warrant = Warrant(purposes=("update pause",), run="r", until_s=7, once="o", spent=(("a", 1),))
    for converter in converters():
        sent = await converter.encode([Stamped(value=Asked(by="anna"), warrant=warrant)])
        [asked] = await converter.decode(sent, [Asked])
        assert asked == Asked(by="anna")
        assert asked.warrant == warrant
        assert replace(asked, reason="x").warrant is None
        [bare] = await converter.decode(await converter.encode([{"by": "x", "_warrant": {}}]), [Asked])
        assert bare.warrant is None


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (
            ApplicationError("no key", type="PasswordMissingError", non_retryable=True),
            "PasswordMissingError",
            "no key",
        ),
        (ApplicationError("full", type="StorageFullError"), "StorageFullError", "full"),
        (RuntimeError("a bug"), "RuntimeError", "a bug"),
    ],
)
async def test_a_failure_of_ours_is_believed(error: Exception, kind: str, message: str) -> None:
    for converter in converters():
        failure = Failure()
        await converter.encode_failure(error, failure)
        found = await converter.decode_failure(failure)
        assert isinstance(found, ApplicationError)
        assert (found.type, found.message) == (kind, message)
        handed_on = Failure()
        await converter.encode_failure(found, handed_on)
        again = await converter.decode_failure(handed_on)
        assert isinstance(again, ApplicationError)
        assert (again.type, again.message) == (kind, message)


async def test_a_failure_that_was_changed_or_made_up_is_not() -> None:
    for converter in converters():
        genuine = Failure()
        await converter.encode_failure(ApplicationError("full", type="StorageFullError"), genuine)
        changes = [Failure(message="complete"), Failure()]
        changes[1].application_failure_info.type = "WrongPasswordError"
        made_up = Failure(message="full")
        made_up.application_failure_info.type = "StorageFullError"
        for change in changes[converter.payload_codec.protection.hides :]:  # type: ignore[union-attr]
            forged = Failure()
            forged.CopyFrom(genuine)
            forged.MergeFrom(change)
            found = await converter.decode_failure(forged)
            assert isinstance(found, ApplicationError)
            assert found.type == UNTRUSTED
        found = await converter.decode_failure(made_up)
        assert isinstance(found, ApplicationError)
        assert found.type == UNTRUSTED


async def test_a_forged_cause_is_found_below_the_servers_own_wrapper() -> None:
    for converter in converters():
        wrapped = Failure(message="activity failed")
        wrapped.activity_failure_info.activity_id = "run/1"
        wrapped.cause.message = "no snapshot"
        wrapped.cause.application_failure_info.type = "SnapshotNotFoundError"
        wrapped.cause.application_failure_info.details.payloads.append(PAYLOAD)
        found = await converter.decode_failure(wrapped)
        assert isinstance(found, ActivityError)
        assert isinstance(found.cause, ApplicationError)
        assert found.cause.type == UNTRUSTED


async def test_a_failure_stays_small_enough_for_the_server_to_keep_it_whole() -> None:
    def deep(levels: int) -> None:
        if levels:
            deep(levels - 1)
        raise ApplicationError("full", type="StorageFullError")

    for converter in converters():
        failure = Failure()
        with pytest.raises(ApplicationError) as raised:
            deep(200)
        await converter.encode_failure(raised.value, failure)
        assert failure.ByteSize() < 4_000


@pytest.mark.parametrize(
    ("data", "where"),
    [
        (b"null", ""),
        (b"7", ""),
        (b'{"throttle": 7}', "throttle"),
        (b'{"throttle": {"bytes_per_second": "fast"}}', "throttle.bytes_per_second"),
        (b'{"throttle": {"windows": [7]}}', "throttle.windows"),
        (b'{"throttle": {"bytes_per_second": 1e400}}', "throttle.bytes_per_second"),
        (b'{"throttle": {"bytes_per_second": %s}}' % (b"9" * 30), "throttle.bytes_per_second"),
        (b'{"asked": {"by": "%s"}}' % (b"x" * 1_500_000), "asked.by"),
        (b"\xff", ""),
        (b"", ""),
        (b"{" * 100_000, ""),
        (b"[" * 100_000, ""),
    ],
)
def test_what_is_no_message_is_told_and_fails_at_once(data: bytes, where: str) -> None:
    converter = protecting(None).payload_converter
    payload = Payload(metadata={"encoding": b"json/plain"}, data=data)
    with pytest.raises(ApplicationError, match="this is no ThrottleRequest") as raised:
        converter.from_payload(payload, ThrottleRequest)
    assert raised.value.type == MALFORMED
    assert raised.value.non_retryable
    assert where in raised.value.message
    assert len(raised.value.message) < 400


@pytest.mark.parametrize("encoding", [b"binary/null", b"binary/plain", b"json/protobuf", b"unknown", b""])
def test_other_encodings_are_no_message_either(encoding: bytes) -> None:
    converter = protecting(None).payload_converter
    with pytest.raises(ApplicationError, match="this is no Asked"):
        converter.from_payload(Payload(metadata={"encoding": encoding}), Asked)


@given(st.binary(max_size=200))
def test_garbage_is_told_and_nothing_else_happens(garbage: bytes) -> None:
    converter = protecting(None).payload_converter
    with contextlib.suppress(ApplicationError):
        converter.from_payload(Payload(metadata={"encoding": b"json/plain"}, data=garbage), Asked)


def test_what_is_right_passes() -> None:
    converter = protecting(None).payload_converter
    throttle = Throttle(windows=(ThrottleWindow(start="22:00", end="06:00", bytes_per_second=5),))
    request = ThrottleRequest(throttle=throttle)
    assert converter.from_payload(converter.to_payload(request), ThrottleRequest) == request
