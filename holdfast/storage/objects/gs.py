"""Where a Google Cloud Storage is: `gs:bucket:/prefix`, as restic spells it (internal/backend/gs/config.go)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast.errors import UsageError
from holdfast.storage.objects.clients import Options
from holdfast.storage.objects.spelling import clean_prefix, with_authority

if TYPE_CHECKING:  # obstore's types exist for checkers only
    from obstore.store import GCSConfig, GCSStore


@dataclass(frozen=True, slots=True, kw_only=True)
class GsPlace:
    """A prefix in a bucket."""

    location: str
    bucket: str
    prefix: str

    @classmethod
    def parse(cls, location: str) -> "GsPlace":
        """From the spelling.

        Raises:
            UsageError: it has no bucket or no path.
        """
        bucket, colon, prefix = location.removeprefix("gs:").partition(":")
        if not bucket or not colon:
            raise UsageError("a location of kind gs names a bucket and a path", hint="Write gs:BUCKET:/PATH.")
        return cls(location=location, bucket=bucket, prefix=clean_prefix(prefix, "gs"))

    def client(self, values: Mapping[str, str], options: Options) -> "GCSStore":
        """See the protocol `Place`. Without a file or a token it is the role of the instance or the pod."""
        from obstore.store import GCSStore  # noqa: PLC0415 - settings are checked without it

        config: GCSConfig = {"skip_signature": False}
        if path := values.get("GOOGLE_APPLICATION_CREDENTIALS"):
            config["application_credentials"] = path
        elif token := values.get("GOOGLE_ACCESS_TOKEN"):
            config["bearer_token"] = token
        emulator = values.get("STORAGE_EMULATOR_HOST", "")
        if emulator:
            config["base_url"] = emulator if "://" in emulator else f"http://{emulator}"
            config["skip_signature"] = True
        limits = with_authority({**options.limits, "allow_http": bool(emulator)}, values)
        return GCSStore(
            self.bucket,
            prefix=self.prefix or None,
            config=config,
            client_options=limits,
            retry_config=options.retries,
        )
