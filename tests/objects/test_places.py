"""The spellings of locations: restic's, and what is refused without being repeated."""

import os
from collections.abc import Mapping

import pytest

from holdfast.errors import StorageDeniedError, UsageError
from holdfast.storage.layers.retry import Retrying
from holdfast.storage.locations import open_storage
from holdfast.storage.objects.azure import AzurePlace
from holdfast.storage.objects.clients import Options
from holdfast.storage.objects.gs import GsPlace
from holdfast.storage.objects.s3 import S3Place
from tests.objects.opening import opened
from tests.support.seaweed import Seaweed

OPTIONS = Options(limits={}, retries={"max_retries": 0})

S3 = [
    ("s3:https://hostname/foobar", "https://hostname", "foobar", ""),
    ("s3:https://hostname:9999/foobar/", "https://hostname:9999", "foobar", ""),
    ("s3:http://hostname:9999/bucket/prefix/directory", "http://hostname:9999", "bucket", "prefix/directory"),
    ("s3:hostname.foo/foobar", "https://hostname.foo", "foobar", ""),
    ("s3:hostname.foo/foobar/prefix/directory", "https://hostname.foo", "foobar", "prefix/directory"),
    ("s3://hostname.foo/foobar/prefix//directory/", "https://hostname.foo", "foobar", "prefix/directory"),
    ("s3:http://[::1]:9000/bucket/a/../b", "http://[::1]:9000", "bucket", "b"),
    ("s3:s3.amazonaws.com/bucket/restic", "https://bucket.s3.us-east-1.amazonaws.com", "bucket", "restic"),
    ("s3:s3.eu-central-1.amazonaws.com/bucket", "https://bucket.s3.eu-central-1.amazonaws.com", "bucket", ""),
    ("s3:https://s3.eu-west-1.amazonaws.com/a.b/p", "https://s3.eu-west-1.amazonaws.com", "a.b", "p"),
    ("s3:eu-central-1/foobar/prefix", "https://foobar.s3.eu-central-1.amazonaws.com", "foobar", "prefix"),
    ("s3://eu-central-1/bucketname/", "https://bucketname.s3.eu-central-1.amazonaws.com", "bucketname", ""),
    ("s3:s3.cn-north-1.amazonaws.com.cn/b", "https://b.s3.cn-north-1.amazonaws.com.cn", "b", ""),
]


@pytest.mark.parametrize(("location", "endpoint", "bucket", "prefix"), S3)
def test_s3(location: str, endpoint: str, bucket: str, prefix: str) -> None:
    place = S3Place.parse(location)
    assert (place.bucket, place.prefix, place.location) == (bucket, prefix, location)
    config = place.client({}, OPTIONS).config
    assert config["endpoint"] == endpoint
    assert open_storage(location).location == location


def test_the_region_is_the_locations_or_the_variables() -> None:
    def region(location: str, values: Mapping[str, str]) -> object:
        return S3Place.parse(location).client(values, OPTIONS).config["region"]

    named = {"AWS_DEFAULT_REGION": "eu-north-1"}
    assert region("s3:https://host/bucket", {}) == "us-east-1"
    assert region("s3:https://host/bucket", named) == "eu-north-1"
    assert region("s3:s3.amazonaws.com/bucket", named) == "eu-north-1"
    assert region("s3:ap-south-1/bucket", named) == "ap-south-1"


@pytest.mark.parametrize(
    "location", ["azure:container:/", "azure:container:/prefix/directory/", "azure:c:a//b"]
)
def test_azure(location: str) -> None:
    place = AzurePlace.parse(location)
    assert place.prefix in {"", "prefix/directory", "a/b"}
    values = {
        "AZURE_ACCOUNT_NAME": "account",
        "AZURE_ACCOUNT_KEY": "a2V5",
        "AZURE_ENDPOINT_SUFFIX": "x.example",
    }
    assert place.client(values, OPTIONS).config["endpoint"] == "https://account.blob.x.example"
    with pytest.raises(StorageDeniedError, match="AZURE_ACCOUNT_NAME"):
        place.client({}, OPTIONS)
    assert open_storage(location).location == location


@pytest.mark.parametrize("location", ["gs:bucket:/", "gs:bucket:/prefix/directory/"])
def test_gs(location: str) -> None:
    place = GsPlace.parse(location)
    assert (place.bucket, place.prefix) == ("bucket", "prefix/directory" if "prefix" in location else "")
    client = place.client({"GOOGLE_ACCESS_TOKEN": "token"}, OPTIONS)
    assert client.config["bearer_token"] == "token"
    assert open_storage(location).location == location


REFUSED = [
    *(
        "s3:",
        "s3://",
        "s3:/",
        "s3:///",
        "s3:///bucket/prefix",
        "s3:https://",
        "s3:https://host",
        "s3:https://host/",
    ),
    *(
        "s3:https://canary-key:canary-secret@host/bucket",
        "s3:canary@host/bucket",
        "s3:https://host/b?canary=1",
    ),
    *(
        "s3:https://host/b#canary",
        "s3:https://host:canary/b",
        "s3:https://[canary/b",
        "s3:https://host/b/../../c",
    ),
    *("s3:https://host/b/a\nb", "azure:", "azure:container", "azure::/p", "azure:c:../x"),
    *("gs:", "gs:bucket", "gs::/p", "gs:bucket:../x"),
]


@pytest.mark.parametrize("location", REFUSED)
def test_a_location_that_makes_no_sense_or_holds_a_secret_is_refused(location: str) -> None:
    with pytest.raises(UsageError) as caught:
        open_storage(location)
    assert "canary" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize("location", ["b2:bucket", "swift:c:/p", "https://u:canary@h/"])
def test_a_kind_that_is_not_known_is_refused_by_name(location: str) -> None:
    with pytest.raises(UsageError, match=location.partition(":")[0]) as caught:
        open_storage(location)
    assert "canary" not in f"{caught.value!r} {caught.value}"


@pytest.mark.parametrize("location", ["s3", "gs/x", "./s3:x", "/s3:x", "with:colon", "c:/x"])
def test_what_looks_like_a_path_is_one(location: str) -> None:
    opened_there = open_storage(location)
    assert opened_there.traits.directory is not None


def test_variables_of_the_process_do_not_lead_elsewhere(
    seaweed: Seaweed, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = "http://127.0.0.1:1"
    for name, value in {
        "AWS_ENDPOINT": elsewhere,
        "AWS_ENDPOINT_URL": elsewhere,
        "AWS_ENDPOINT_URL_S3": elsewhere,
        "AWS_BUCKET": "another",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "true",
        "AWS_ACCESS_KEY_ID": "another",
        "AWS_SECRET_ACCESS_KEY": "another",
    }.items():
        monkeypatch.setenv(name, value)
    assert os.environ["AWS_BUCKET"] == "another"
    storage = opened(seaweed.location(prefix), seaweed.environ)
    storage.put("a/b", b"1")
    assert storage.get("a/b", limit_bytes=1) == b"1"


def test_making_a_storage_loads_no_client_and_asks_for_no_credentials() -> None:
    def nobody() -> None:
        raise AssertionError("asked")

    storage = open_storage("s3:https://host/bucket", nobody)  # type: ignore[arg-type]  # never called
    assert isinstance(storage, Retrying)
    storage.close()
