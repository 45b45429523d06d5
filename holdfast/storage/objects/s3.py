"""Where an S3 store is: restic's spellings of it, and its credentials as AWS's tools have them.

`s3:https://host/bucket/prefix`, `s3:host/bucket/prefix`, `s3://host/bucket/prefix` (restic's internal/backend/s3/
config.go); for `host`, also a region of AWS (`s3:eu-central-1/bucket`). AWS is asked by names of buckets in the host,
all others by paths, as restic does it.
"""

import configparser
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from holdfast.errors import StorageDeniedError, UsageError
from holdfast.storage.credentials import Credentials, CredentialSource
from holdfast.storage.objects.clients import Options
from holdfast.storage.objects.spelling import clean_prefix, split_url, with_authority

if TYPE_CHECKING:  # obstore's types exist for checkers only
    from obstore.store import S3Config, S3Store

_EXAMPLE: Final = "Write s3:https://HOST/BUCKET/PATH."
_AWS_HOST: Final = re.compile(r"s3(?:[.-]dualstack)?(?:[.-]([a-z0-9-]+))?\.amazonaws\.com(?:\.cn)?")
_REGION: Final = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
_DEFAULT_REGION: Final = "us-east-1"
_LOOK_AGAIN_S: Final = 60.0
_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_ROLE: Final = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
)
"""What a pod or a container finds in its environment, and where obstore then gets credentials by itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Place:
    """A prefix in a bucket. region: what the location says of it."""

    location: str
    endpoint: str
    bucket: str
    prefix: str
    region: str = ""
    by_host: bool = False

    @classmethod
    def parse(cls, location: str) -> "S3Place":
        """From the spelling.

        Raises:
            UsageError: it is none of those above, or holds a secret.
        """
        rest = location.removeprefix("s3:").removeprefix("//")
        if not rest.startswith(("http://", "https://")):
            rest = f"https://{rest}"
        scheme, host, path = split_url(rest, "s3", _EXAMPLE)
        bucket, _, prefix = path.removeprefix("/").partition("/")
        if not host or not bucket:
            raise UsageError("a location of kind s3 names a host and a bucket", hint=_EXAMPLE)
        prefix = clean_prefix(prefix, "s3")
        aws = _AWS_HOST.fullmatch(host)
        region = (aws[1] or "") if aws else host if _REGION.fullmatch(host) else ""
        if not aws and not region:
            return cls(location=location, endpoint=f"{scheme}://{host}", bucket=bucket, prefix=prefix)
        # a dot in the bucket's name is not covered by the certificate of *.s3.amazonaws.com
        by_host = "." not in bucket
        return cls(
            location=location, endpoint="", bucket=bucket, prefix=prefix, region=region, by_host=by_host
        )

    def client(self, values: Mapping[str, str], options: Options) -> "S3Store":
        """See the protocol `Place`. What is not given is left to the role of the instance or the pod."""
        from obstore.store import S3Store  # noqa: PLC0415 - settings are checked without it

        region = (
            self.region or values.get("AWS_DEFAULT_REGION") or values.get("AWS_REGION") or _DEFAULT_REGION
        )
        endpoint = self.endpoint or _aws_endpoint(region, self.bucket, by_host=self.by_host)
        config: S3Config = {
            "region": region,
            "endpoint": endpoint,
            # named as well, because obstore would prefer a variable of this name to the location
            "aws_endpoint_url_s3": endpoint,
            "virtual_hosted_style_request": self.by_host,
            "skip_signature": False,
            # a header, no trailer that some stores keep in the file; the signature needs the same hash
            "checksum_algorithm": "SHA256",
            # not every server knows the request that removes many
            "disable_bulk_delete": not options.many,
        }
        key, secret = values.get("AWS_ACCESS_KEY_ID", ""), values.get("AWS_SECRET_ACCESS_KEY", "")
        if bool(key) != bool(secret):
            raise StorageDeniedError(
                f"{self.location}: of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only one is given",
                hint="Give both, or neither for the role of the instance.",
            )
        if key:
            config["access_key_id"], config["secret_access_key"] = key, secret
            config["session_token"] = values.get("AWS_SESSION_TOKEN", "")
            if not config["session_token"]:
                del config["session_token"]
        else:
            config.update({name.lower(): values[name] for name in _ROLE if values.get(name)})  # type: ignore[typeddict-item]  # the names are obstore's as well
        limits = with_authority({**options.limits, "allow_http": endpoint.startswith("http://")}, values)
        return S3Store(
            self.bucket,
            prefix=self.prefix or None,
            config=config,
            client_options=limits,
            retry_config=options.retries,
        )


def with_shared_file(source: CredentialSource, *, now: Callable[[], float] = time.time) -> CredentialSource:
    """The source, and where it gives no key, the file that AWS's tools share, looked at again every minute."""

    def ask() -> Credentials:
        given = source()
        values = given.values
        path = _shared_file(values)
        if values.get("AWS_ACCESS_KEY_ID") or path is None:
            return given
        good_until_s = now() + _LOOK_AGAIN_S
        return Credentials(values={**values, **_profile(path, values)}, good_until_s=good_until_s)

    return ask


def _aws_endpoint(region: str, bucket: str, *, by_host: bool) -> str:
    host = f"s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
    return f"https://{bucket}.{host}" if by_host else f"https://{host}"


def _shared_file(values: Mapping[str, str]) -> Path | None:
    named = values.get("AWS_SHARED_CREDENTIALS_FILE")
    if named:
        return Path(named)
    home = values.get("HOME")
    path = Path(home, ".aws", "credentials") if home else None
    return path if path is not None and path.is_file() else None


def _profile(path: Path, values: Mapping[str, str]) -> dict[str, str]:
    """The keys of a profile in the shared file.

    Raises:
        StorageDeniedError: the file cannot be read, or does not have it.
    """
    profile = values.get("AWS_PROFILE") or "default"
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text("utf-8"))
        section = parser[profile]
        found = {name: section.get(name.lower(), "") for name in _KEYS}
    except OSError as error:
        raise StorageDeniedError(
            f"{path}: {error.strerror}", hint="AWS_SHARED_CREDENTIALS_FILE names it."
        ) from None
    except (KeyError, UnicodeDecodeError, configparser.Error):
        raise StorageDeniedError(
            f"{path}: it has no profile {profile!r} that can be read", hint="AWS_PROFILE names another one."
        ) from None
    return {name: value for name, value in found.items() if value}
