"""The one place that connects to the Temporal server: TLS, API key and encryption as the settings say.

Files and commands are read once for a process: an attempt to connect is repeated often. Whoever changes a
certificate, an API key or an encryption key starts the processes again, as after any change of the settings.
"""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from temporalio.client import Client, TLSConfig
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.runtime import Runtime

from holdfast.errors import PasswordMissingError, SettingsError
from holdfast.settings.model import PasswordSource, ServerSettings, TlsSettings
from holdfast.settings.passwords import resolve_password
from transport.codec import EncryptionCodec
from transport.keyring import Keyring

_MAX_FILE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a connection needs, read from where the settings say."""

    tls: TLSConfig | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    converter: DataConverter = DataConverter.default


def read_credentials(
    server: ServerSettings, environ: Mapping[str, str], given_keys: bytes | None = None
) -> Credentials:
    """Read them. Blocks: a command may ask a key service. given_keys: of encryption, when a parent had to read them.

    Raises:
        SettingsError: a file cannot be read, or holds something else.
    """
    codec = encryption_codec(server, environ, given_keys)
    return Credentials(
        tls=_tls_config(server.tls),
        api_key=None if server.api_key_file is None else _api_key(server.api_key_file),
        converter=DataConverter.default if codec is None else encrypting(codec),
    )


def encrypting(codec: EncryptionCodec) -> DataConverter:
    """The converter that seals values, and with them messages and stack traces of failures."""
    return dataclasses.replace(
        DataConverter.default,
        payload_codec=codec,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )


def encryption_codec(
    server: ServerSettings, environ: Mapping[str, str], given_keys: bytes | None = None
) -> EncryptionCodec | None:
    """The codec that the settings ask for; None when they do not.

    Raises:
        SettingsError: the keys cannot be had, or are none.
    """
    if server.encryption is None:
        return None
    text = _keys(server.encryption, environ) if given_keys is None else given_keys
    return EncryptionCodec(keyring=Keyring.parse(text), namespace=server.namespace)


async def open_client(
    server: ServerSettings, address: str, credentials: Credentials, runtime: Runtime
) -> Client:
    """A client of the server there.

    Raises:
        RuntimeError, RPCError: nobody answers, or somebody refuses.
    """
    return await Client.connect(
        address,
        namespace=server.namespace,
        tls=credentials.tls or False,
        api_key=credentials.api_key,
        data_converter=credentials.converter,
        runtime=runtime,
    )


def _keys(source: PasswordSource, environ: Mapping[str, str]) -> bytes:
    try:
        return resolve_password(source, environ)
    except PasswordMissingError as error:
        raise SettingsError(f"encryption keys: {error.message}", hint=error.hint) from error


def _tls_config(tls: TlsSettings | None) -> TLSConfig | None:
    if tls is None:
        return None
    return TLSConfig(
        server_root_ca_cert=_read("tls_ca_file", tls.ca_file),
        client_cert=_read("tls_cert_file", tls.cert_file),
        client_private_key=_read("tls_key_file", tls.key_file),
        domain=tls.server_name,
    )


def _api_key(path: Path) -> str:
    """The key, which becomes a header: it must be one printable word."""
    raw = _read("api_key_file", path) or b""
    key = raw.decode("ascii", "replace").strip()
    if not key.isascii() or not key.isprintable() or not key or " " in key:
        raise SettingsError(
            f"server.api_key_file: {os.fspath(path)} does not hold an API key",
            hint="It must be there alone, on one line.",
        )
    return key


def _read(key: str, path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise SettingsError(
            f"server.{key}: {os.fspath(path)} cannot be read: {error.strerror}",
            hint="Correct the path, or the file's permissions.",
        ) from error
