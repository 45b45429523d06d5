"""Where an Azure Blob Storage is: `azure:container:/prefix`, as restic spells it (internal/backend/azure/config.go)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.errors import StorageDeniedError, UsageError
from holdfast.storage.objects.clients import Options
from holdfast.storage.objects.spelling import clean_prefix, with_authority

if TYPE_CHECKING:  # obstore's types exist for checkers only
    from obstore.store import AzureConfig, AzureStore

_SUFFIX: Final = "core.windows.net"
_IDENTITY: Final = {
    "AZURE_CLIENT_ID": "client_id",
    "AZURE_CLIENT_SECRET": "client_secret",
    "AZURE_TENANT_ID": "tenant_id",
    "AZURE_AUTHORITY_HOST": "authority_host",
    "AZURE_FEDERATED_TOKEN_FILE": "federated_token_file",
}
"""Who an application or a pod is, in the names of Azure's own tools."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AzurePlace:
    """A prefix in a container. The account is one of the credentials, as with restic."""

    location: str
    container: str
    prefix: str

    @classmethod
    def parse(cls, location: str) -> "AzurePlace":
        """From the spelling.

        Raises:
            UsageError: it has no container or no path.
        """
        container, colon, prefix = location.removeprefix("azure:").partition(":")
        if not container or not colon:
            raise UsageError(
                "a location of kind azure names a container and a path", hint="Write azure:CONTAINER:/PATH."
            )
        return cls(location=location, container=container, prefix=clean_prefix(prefix, "azure"))

    def client(self, values: Mapping[str, str], options: Options) -> "AzureStore":
        """See the protocol `Place`. Without a key or a SAS token it is the identity of the instance or the pod."""
        from obstore.store import AzureStore  # noqa: PLC0415 - settings are checked without it

        account = values.get("AZURE_ACCOUNT_NAME", "")
        if not account:
            raise StorageDeniedError(
                f"{self.location}: AZURE_ACCOUNT_NAME is not given", hint="It names the storage account."
            )
        suffix = values.get("AZURE_ENDPOINT_SUFFIX") or _SUFFIX
        endpoint = values.get("AZURE_STORAGE_ENDPOINT") or f"https://{account}.blob.{suffix}"
        config: AzureConfig = {"account_name": account, "endpoint": endpoint, "skip_signature": False}
        if key := values.get("AZURE_ACCOUNT_KEY"):
            config["account_key"] = key
            config["credential_type"] = "access_key"
        elif sas := values.get("AZURE_ACCOUNT_SAS"):
            config["sas_key"] = sas.removeprefix("?")
            config["credential_type"] = "sas_token"
        else:
            config.update({ours: values[name] for name, ours in _IDENTITY.items() if values.get(name)})  # type: ignore[typeddict-item]  # the names are obstore's
            config["use_azure_cli"] = values.get("AZURE_FORCE_CLI_CREDENTIAL", "").lower() in {
                "1",
                "t",
                "true",
            }
        limits = with_authority({**options.limits, "allow_http": endpoint.startswith("http://")}, values)
        return AzureStore(
            self.container,
            prefix=self.prefix or None,
            config=config,
            client_options=limits,
            retry_config=options.retries,
        )
