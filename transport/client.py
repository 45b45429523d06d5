"""The one place that connects to the Temporal server: TLS, API key, signatures and encryption as the settings say.

Files and commands are read once for a process: an attempt to connect is repeated often. A person who changes a
certificate, an API key or an encryption key starts the processes again, as after any change of the settings.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from temporalio.client import Client, TLSConfig
from temporalio.converter import DataConverter, DefaultFailureConverter
from temporalio.runtime import Runtime

from holdfast.errors import PasswordMissingError, SettingsError
from holdfast.service.settings.model import PasswordSource, ServerSettings, TlsSettings
from holdfast.service.settings.passwords import resolve_password
from holdfast.transport.codec import Protection, TrustCodec
from holdfast.transport.converter import CheckedConverter, TolerantDataConverter
from holdfast.transport.failures import failure_converter
from holdfast.transport.keyring import Keyring
from holdfast.transport.own_key import read_key
from holdfast.transport.sealing import Sealer
from holdfast.transport.signing import Signer
from holdfast.transport.stamping import Stamping

_MAX_FILE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenKeys:
    """Keys that a parent had to read, because it has the variables that they stand in."""

    encryption: bytes | None = field(default=None, repr=False)
    signing: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a connection needs, read from where the settings say."""

    tls: TLSConfig | None = field(default=None, repr=False)
    api_key: str | None = field(default=None, repr=False)
    converter: DataConverter = field(default_factory=lambda: protecting(None))

    @property
    def signs(self) -> bool:
        """Whether values are signed or sealed."""
        return self.converter.payload_codec is not None

    @property
    def enforces(self) -> bool:
        """Whether those that are not are refused."""
        codec = self.converter.payload_codec
        return isinstance(codec, TrustCodec) and not codec.accept_unsigned


def read_credentials(
    server: ServerSettings, environ: Mapping[str, str], given: GivenKeys | None = None
) -> Credentials:
    """Read them. Blocks: a command may ask a key service.

    Raises:
        SettingsError: a file cannot be read, or holds something else.
    """
    return Credentials(
        tls=_tls_config(server.tls),
        api_key=None if server.api_key_file is None else _api_key(server.api_key_file),
        converter=protecting(trust_codec(server, environ, given)),
    )


def protecting(codec: TrustCodec | None) -> DataConverter:
    """The converter of all clients and workers; codec: None for a server where nothing is signed."""
    if codec is None:
        failures: type[DefaultFailureConverter] = DefaultFailureConverter
    else:
        failures = failure_converter(hides=codec.protection.hides, lenient=codec.accept_unsigned)
    return TolerantDataConverter(
        payload_converter_class=CheckedConverter, payload_codec=codec, failure_converter_class=failures
    )


def trust_codec(
    server: ServerSettings, environ: Mapping[str, str], given: GivenKeys | None = None
) -> TrustCodec | None:
    """The codec that the settings ask for; None where nothing is signed: on a server of others, without keys.

    Raises:
        SettingsError: the keys cannot be had, or are none.
    """
    protection = _protection(server, environ, given or GivenKeys())
    if protection is None:
        return None
    return TrustCodec(
        protection=protection, namespace=server.namespace, accept_unsigned=server.accept_unsigned
    )


async def service_client(
    address: str,
    *,
    key_file: Path,
    namespace: str = "default",
    encrypts: bool = False,
    tls: TLSConfig | bool = False,
    api_key: str | None = None,
) -> Client:
    """A client for other services: what it sends is signed (or encrypted), what it is answered is checked.

    key_file: with the installation's keys: `signing.key` of the embedded server's state directory, or that of [signing]
    or [encryption] in the settings; a file of the service's own user, which no other user can read. Values may be
    plain dictionaries with the keys of the messages in `contracts`.

    Raises:
        SettingsError: the file cannot be read, or others can.
        RuntimeError, RPCError: nobody answers, or a server refuses.
    """
    text = read_key(key_file)
    protection = Sealer(keyring=Keyring.parse(text)) if encrypts else Signer.parse(text)
    converter = protecting(TrustCodec(protection=protection, namespace=namespace))
    return await Client.connect(
        address,
        namespace=namespace,
        tls=tls,
        api_key=api_key,
        data_converter=converter,
        interceptors=[Stamping()],
    )


def _protection(server: ServerSettings, environ: Mapping[str, str], given: GivenKeys) -> Protection | None:
    if server.encryption is not None:
        text = given.encryption or _keys("encryption keys", server.encryption, environ)
        return Sealer(keyring=Keyring.parse(text))
    if server.signing is not None:
        return Signer.parse(given.signing or _keys("signing keys", server.signing, environ))
    return None if server.own_key is None else _own_signer(server.own_key)


def _own_signer(path: Path) -> Signer:
    text = read_key(path)
    try:
        return Signer.parse(text)
    except SettingsError as error:
        raise SettingsError(
            f"the signing key {path} is damaged: {error.message}",
            hint="Stop the service and remove the file: the next start makes another one, and `holdfast resume` "
            "goes on with what was under way.",
        ) from error


async def open_client(
    server: ServerSettings, address: str, credentials: Credentials, runtime: Runtime
) -> Client:
    """A client of the server there.

    Raises:
        RuntimeError, RPCError: nobody answers, or a server refuses.
    """
    return await Client.connect(
        address,
        namespace=server.namespace,
        tls=credentials.tls or False,
        api_key=credentials.api_key,
        data_converter=credentials.converter,
        interceptors=[Stamping()] if credentials.signs else [],
        runtime=runtime,
    )


def _keys(what: str, source: PasswordSource, environ: Mapping[str, str]) -> bytes:
    try:
        return resolve_password(source, environ)
    except PasswordMissingError as error:
        raise SettingsError(f"{what}: {error.message}", hint=error.hint) from error


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
