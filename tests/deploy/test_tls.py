"""TLS, client certificates and API keys: this program's own connections, against a real server behind a real proxy.

The dev server speaks no TLS, so a proxy ends it and passes the bytes on, as a load balancer does; on the way it reads
the headers of the requests, for the API key.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pytest

from holdfast.errors import ServerUnavailableError, SettingsError
from holdfast.service.settings.load import load_settings
from holdfast.service.settings.model import ServerSettings
from holdfast.starter.host.connection import connect
from tests.support.certificates import Authority

API_KEY: Final = "sesame-ant"
_HUFFMAN: Final = {
    "B": "1011101",
    "e": "00101",
    "a": "00011",
    "r": "101100",
    " ": "010100",
    "s": "01000",
    "m": "101001",
    "-": "010110",
    "n": "101010",
    "t": "01001",
}
"""The letters of the header, as HTTP/2 writes them (RFC 7541, appendix B)."""


@dataclass(kw_only=True)
class Proxy:
    """Ends TLS before the server at `address`. port: where it listens; seen: what clients sent."""

    address: str
    context: ssl.SSLContext
    port: int = 0
    seen: bytearray = field(default_factory=bytearray)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        server = await asyncio.start_server(self._pass_on, "127.0.0.1", 0, ssl=self.context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self.address.rpartition(":")
        there, onward = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(OSError):
            await asyncio.gather(_copy(reader, onward, self.seen), _copy(there, writer, bytearray()))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray) -> None:
    try:
        while data := await reader.read(65_536):
            seen += data
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


def context(folder: Path, *, clients: str = "") -> ssl.SSLContext:
    """The proxy's side. clients: the authority whose certificates clients must have."""
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(folder / "server.pem", folder / "server.key")
    made.set_alpn_protocols(["h2"])
    if clients:
        made.load_verify_locations(folder / f"{clients}.pem")
        made.verify_mode = ssl.CERT_REQUIRED
    return made


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Certificates of one authority for server and client, and of a stranger."""
    ours, stranger = Authority(folder=tmp_path, name="ca"), Authority(folder=tmp_path, name="stranger")
    ours.issue("server")
    ours.issue("client")
    stranger.issue("impostor")
    (tmp_path / "api.key").write_text(f"{API_KEY}\n")
    return tmp_path


def server_settings(folder: Path, port: int, *lines: str) -> ServerSettings:
    file = folder / "holdfast.toml"
    file.write_text("\n".join(("[server]", f'address = "127.0.0.1:{port}"', *lines)))
    return load_settings(file, {"HOME": str(folder)}).server


async def reached(server: ServerSettings) -> bool:
    """Whether our own connection gets an answer from the server."""
    assert server.address is not None
    try:
        client = await connect(server, server.address)
    except ServerUnavailableError:
        return False
    return (await client.count_workflows()).count >= 0


def in_http2(text: str) -> bytes:
    """A header's value in Huffman code, filled up with ones."""
    bits = "".join(_HUFFMAN[letter] for letter in text)
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


CA: Final = 'tls_ca_file = "ca.pem"'


async def test_the_server_is_known_by_its_certificate(folder: Path, server_address: str) -> None:
    async with Proxy(address=server_address, context=context(folder)).running() as proxy:
        assert await reached(server_settings(folder, proxy.port, CA))
        named = server_settings(folder, proxy.port, CA, 'tls_server_name = "temporal.test"')
        assert await reached(named)
        for refused in ('tls_ca_file = "stranger.pem"', "tls = true", "tls = false"):
            assert not await reached(server_settings(folder, proxy.port, refused))
        misnamed = server_settings(folder, proxy.port, CA, 'tls_server_name = "other.test"')
        assert not await reached(misnamed)


async def test_the_server_knows_us_by_our_certificate(folder: Path, server_address: str) -> None:
    async with Proxy(address=server_address, context=context(folder, clients="ca")).running() as proxy:
        for name, is_known in (("client", True), ("impostor", False)):
            ours = (f'tls_cert_file = "{name}.pem"', f'tls_key_file = "{name}.key"')
            assert await reached(server_settings(folder, proxy.port, CA, *ours)) is is_known
        assert not await reached(server_settings(folder, proxy.port, CA))


async def test_the_api_key_is_sent_as_a_bearer(folder: Path, server_address: str) -> None:
    async with Proxy(address=server_address, context=context(folder)).running() as proxy:
        assert await reached(server_settings(folder, proxy.port, CA, 'api_key_file = "api.key"'))
        assert in_http2(f"Bearer {API_KEY}") in proxy.seen
    async with Proxy(address=server_address, context=context(folder)).running() as proxy:
        assert await reached(server_settings(folder, proxy.port, CA))
        assert in_http2("Bearer sesame")[:6] not in proxy.seen


@pytest.mark.parametrize("content", ["", "two words", "line\nline", "canary-sch\u00f6n"])
async def test_what_is_no_api_key_is_refused_unseen(content: str, folder: Path) -> None:
    (folder / "api.key").write_text(content)
    with pytest.raises(SettingsError, match="does not hold an API key") as raised:
        await reached(server_settings(folder, 1, CA, 'api_key_file = "api.key"'))
    assert not content or content not in str(raised.value)
